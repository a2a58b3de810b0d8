//! How a linked device is announced to WhatsApp.

/// What the owner's phone shows of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceProfile {
    /// Its name.
    pub name: String,
    /// As which program it shows; none in particular.
    pub browser: Option<Browser>,
    /// A new link asks the phone for all of its history.
    pub full_history: bool,
}

/// A program that the phone has a picture for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Browser {
    /// Chrome.
    Chrome,
    /// Firefox.
    Firefox,
    /// Edge.
    Edge,
    /// Opera.
    Opera,
    /// Safari.
    Safari,
    /// WhatsApp's own program.
    Desktop,
}

impl Browser {
    /// Reads a name as people write it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "chrome" => Self::Chrome,
            "firefox" => Self::Firefox,
            "edge" => Self::Edge,
            "opera" => Self::Opera,
            "safari" => Self::Safari,
            "desktop" => Self::Desktop,
            _ => return None,
        })
    }
}
