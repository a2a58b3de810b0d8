//! What a support contact can order by a message: `#resolve`, `#ai`, `#help`.

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// It is done; with a note, when there is one.
    Resolve(Option<String>),
    /// The assistant goes on.
    Ai,
    /// Tell what can be ordered.
    Help,
    /// No such order.
    Unknown,
}

/// What is answered to `#help`, and to what is no order.
pub const HELP: &str = "Reply to a notification to write to that customer. #resolve [note]: done, the \
    assistant goes on. #ai: hand back without a note. #help: this text.";

impl Command {
    /// Reads an order; `None` for what is to be passed on.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let order = text.trim().strip_prefix('#')?;
        let (word, rest) = order.split_once(char::is_whitespace).unwrap_or((order, ""));
        let note = Some(rest.trim()).filter(|note| !note.is_empty()).map(str::to_owned);
        Some(match word.to_lowercase().as_str() {
            "resolve" | "resolved" => Self::Resolve(note),
            "ai" => Self::Ai,
            "help" => Self::Help,
            // "#1 is sold out" is for the customer.
            word if !word.chars().all(char::is_alphabetic) || word.is_empty() => return None,
            _ => Self::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_told_from_messages() {
        let note = Some("paid back".to_owned());
        assert_eq!(Command::parse(" #Resolve paid back "), Some(Command::Resolve(note)));
        assert_eq!(Command::parse("#resolve"), Some(Command::Resolve(None)));
        assert_eq!(Command::parse("#AI"), Some(Command::Ai));
        assert_eq!(Command::parse("#help"), Some(Command::Help));
        assert_eq!(
            Command::parse("#resovle"),
            Some(Command::Unknown),
            "a slip reaches no customer"
        );
        for message in ["Hello #ai", "#1 is sold out", "#", "It is done"] {
            assert_eq!(Command::parse(message), None, "{message}");
        }
    }
}
