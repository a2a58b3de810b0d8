//! How numbers are linked and reach WhatsApp, as far as the operator chose it for all of them.

use flowcore_domain::engine::Browser;
use flowcore_domain::proxy::Proxy;

/// What the operator chose.
#[derive(Debug, Clone)]
pub struct Linking {
    /// The name of a link on its owner's phone.
    pub device_name: String,
    /// As which program it shows.
    pub browser: Option<Browser>,
    /// How many codes are shown before nobody is asked to scan any more, over as many rounds as that takes;
    /// `None` is one round.
    pub codes: Option<u32>,
    /// The way out of instances that have none of their own.
    pub proxy: Option<Proxy>,
}

impl Default for Linking {
    fn default() -> Self {
        Self { device_name: "Flowcore".to_owned(), browser: None, codes: None, proxy: None }
    }
}

/// The codes that were shown since an instance was started.
#[derive(Debug, Default)]
pub(crate) struct ShownCodes {
    count: u32,
    reference: Option<String>,
}

impl ShownCodes {
    /// A code is about to be shown: whether it may, by the operator's limit. A refreshed one is no new one.
    pub(crate) fn next(&mut self, text: &str, limit: Option<u32>) -> bool {
        let code = text.split(',').next();
        if code == self.reference.as_deref() {
            return true;
        }
        if limit.is_some_and(|limit| self.count >= limit) {
            return false;
        }
        self.count += 1;
        self.reference = code.map(str::to_owned);
        true
    }

    /// Whether there is another round after the one that is over.
    pub(crate) fn go_on(&self, limit: Option<u32>) -> bool {
        limit.is_some_and(|limit| self.count < limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_counted_by_their_references_to_the_limit() {
        let mut shown = ShownCodes::default();
        assert!(shown.next("2@a,x", Some(2)) && shown.next("2@a,y", Some(2)));
        assert!(shown.go_on(Some(2)) && !shown.go_on(None));
        assert!(shown.next("2@b,y", Some(2)));
        assert!(!shown.go_on(Some(2)) && !shown.next("2@c,y", Some(2)));
    }
}
