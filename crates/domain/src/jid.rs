//! WhatsApp addresses and telephone numbers.
//!
//! A JID names a person (by phone number or by LID, WhatsApp's private id), a group, a newsletter or a
//! broadcast list. A *number* is what users type; [`Number::parse`] turns it into a JID or says what is
//! wrong with it. Brazil, Mexico and Argentina write mobile numbers in two ways; which one exists only
//! WhatsApp knows, so [`Number::spellings`] gives all candidates.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The part of a JID behind the `@`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Server {
    /// A person by phone number: `s.whatsapp.net` (also written `c.us` by old clients).
    Person,
    /// A person by private id: `lid`.
    Lid,
    /// A group: `g.us`.
    Group,
    /// A status or broadcast list: `broadcast`.
    Broadcast,
    /// A channel: `newsletter`.
    Newsletter,
    /// WhatsApp's own assistants: `bot`.
    Bot,
    /// People of other networks that WhatsApp bridges to: `interop`.
    Interop,
}

impl Server {
    /// As written on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "s.whatsapp.net",
            Self::Lid => "lid",
            Self::Group => "g.us",
            Self::Broadcast => "broadcast",
            Self::Newsletter => "newsletter",
            Self::Bot => "bot",
            Self::Interop => "interop",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "s.whatsapp.net" | "c.us" => Self::Person,
            "lid" => Self::Lid,
            "g.us" => Self::Group,
            "broadcast" => Self::Broadcast,
            "newsletter" => Self::Newsletter,
            "bot" => Self::Bot,
            "interop" => Self::Interop,
            _ => return None,
        })
    }
}

/// An address without a device: whom a chat is with, who wrote a message.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Jid {
    user: String,
    server: Server,
}

/// Text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a WhatsApp address")]
pub struct JidError;

/// Longest user part that is accepted; real ones have at most 31 characters.
const MAX_USER_LENGTH: usize = 64;

impl Jid {
    /// An address from its parts; the user part must already be valid.
    ///
    /// # Errors
    /// [`JidError`] when the user part is empty, too long, or has other characters than letters,
    /// digits, `-`, `_` and `.`.
    pub fn new(user: impl Into<String>, server: Server) -> Result<Self, JidError> {
        let user = user.into();
        let fits = !user.is_empty() && user.len() <= MAX_USER_LENGTH;
        if fits && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            Ok(Self { user, server })
        } else {
            Err(JidError)
        }
    }

    /// The part before the `@`: digits for people, an id for groups.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// What kind of address this is.
    #[must_use]
    pub fn server(&self) -> Server {
        self.server
    }

    /// True for groups.
    #[must_use]
    pub fn is_group(&self) -> bool {
        self.server == Server::Group
    }

    /// The phone number in digits, when this address is one.
    #[must_use]
    pub fn phone(&self) -> Option<&str> {
        (self.server == Server::Person).then_some(self.user.as_str())
    }
}

impl FromStr for Jid {
    type Err = JidError;

    /// Reads `user@server` and `user:device@server` (the device is dropped).
    fn from_str(text: &str) -> Result<Self, JidError> {
        let (user, server) = text.split_once('@').ok_or(JidError)?;
        let server = Server::parse(server).ok_or(JidError)?;
        let user = user.split_once(':').map_or(user, |(user, _device)| user);
        Self::new(user, server)
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.server.as_str())
    }
}

/// Never shows the address: logs print values with `Debug`.
impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jid(…@{})", self.server.as_str())
    }
}

impl Serialize for Jid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Jid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Whom a user wants to reach: a phone number still to be looked up, or an address taken as it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Number {
    /// Country code and digits.
    Phone(String),
    /// An address that was given in full.
    Address(Jid),
}

/// Never shows the number.
impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Number(…)")
    }
}

/// What is wrong with a number, in words for the person who typed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Nothing there.
    #[error("give a number: country code and digits, for example 5511999999999")]
    Empty,
    /// Letters or signs that no number has.
    #[error("a number has digits only (\"+\", spaces, dashes and brackets are tolerated)")]
    NotDigits,
    /// Too short or too long for any country (E.164 allows at most 15 digits).
    #[error("a number with its country code has 7 to 15 digits")]
    Length,
    /// No country code begins with zero.
    #[error("begin with the country code, not with a zero")]
    LeadingZero,
    /// Looks like an address, but of no kind that can be written to.
    #[error("this address is not one of a person, a group or a channel")]
    Address,
}

impl Number {
    /// Reads the number of a phone; an address is none.
    ///
    /// # Errors
    /// [`NumberError`] says what to change.
    pub fn phone(text: &str) -> Result<String, NumberError> {
        match Self::parse(text)? {
            Self::Phone(digits) => Ok(digits),
            Self::Address(_) => Err(NumberError::NotDigits),
        }
    }

    /// Reads what a user typed.
    ///
    /// # Errors
    /// [`NumberError`] says what to change.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NumberError::Empty);
        }
        if text.contains('@') {
            return text.parse().map(Self::Address).map_err(|JidError| NumberError::Address);
        }
        let digits: String =
            text.chars().filter(|c| !matches!(c, '+' | ' ' | '-' | '(' | ')' | '.')).collect();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NumberError::NotDigits);
        }
        if digits.starts_with('0') {
            return Err(NumberError::LeadingZero);
        }
        if !(7..=15).contains(&digits.len()) {
            return Err(NumberError::Length);
        }
        Ok(Self::Phone(digits))
    }

    /// The phone numbers under which WhatsApp may know this one, as typed first. One entry for most
    /// countries, two for Brazil (with and without the ninth digit), Mexico (`52` and `521`) and
    /// Argentina (`54` and `549`).
    #[must_use]
    pub fn spellings(digits: &str) -> Vec<String> {
        let mut all = vec![digits.to_owned()];
        all.extend(other_spelling(digits));
        all
    }
}

/// The other way to write the same mobile number, where the country has one.
fn other_spelling(digits: &str) -> Option<String> {
    let brazil = digits.strip_prefix("55");
    // Landlines begin with 2 to 5 and never took the extra digit.
    let is_mobile = |local: &str| local.as_bytes().first().is_some_and(|first| *first >= b'6');
    let with_nine = brazil.filter(|rest| rest.len() == 11 && rest.as_bytes()[2] == b'9');
    if let Some(rest) = with_nine.filter(|rest| is_mobile(&rest[3..])) {
        return Some(format!("55{}{}", &rest[..2], &rest[3..]));
    }
    if let Some(rest) = brazil.filter(|rest| rest.len() == 10 && is_mobile(&rest[2..])) {
        return Some(format!("55{}9{}", &rest[..2], &rest[2..]));
    }
    for (country, with_digit, extra) in [("52", "521", '1'), ("54", "549", '9')] {
        if digits.len() == 13 && digits.starts_with(with_digit) {
            return Some(format!("{country}{}", &digits[3..]));
        }
        if digits.len() == 12 && digits.starts_with(country) {
            return Some(format!("{country}{extra}{}", &digits[2..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_typed_number_is_cleaned() {
        let phone = |text: &str| match Number::parse(text) {
            Ok(Number::Phone(digits)) => digits,
            other => panic!("{text}: {:?}", other.err()),
        };
        assert_eq!(phone("+55 (11) 99999-9999"), "5511999999999");
        assert_eq!(phone(" 919876543210 "), "919876543210");
    }

    #[test]
    fn bad_numbers_say_what_to_change() {
        let error = |text: &str| Number::parse(text).err();
        assert_eq!(error(""), Some(NumberError::Empty));
        assert_eq!(error("call me"), Some(NumberError::NotDigits));
        assert_eq!(error("0911123456"), Some(NumberError::LeadingZero));
        assert_eq!(error("12345"), Some(NumberError::Length));
        assert_eq!(error("1234567890123456"), Some(NumberError::Length));
        assert_eq!(error("a@b"), Some(NumberError::Address));
    }

    #[test]
    fn an_address_is_taken_as_it_is() {
        let Ok(Number::Address(jid)) = Number::parse("5511999999999:12@s.whatsapp.net") else {
            panic!("an address");
        };
        assert_eq!(jid.to_string(), "5511999999999@s.whatsapp.net");
    }

    #[test]
    fn three_countries_have_two_spellings() {
        assert_eq!(Number::spellings("5511987654321"), ["5511987654321", "551187654321"]);
        assert_eq!(Number::spellings("551187654321"), ["551187654321", "5511987654321"]);
        assert_eq!(Number::spellings("551132654321"), ["551132654321"]);
        assert_eq!(Number::spellings("5215512345678"), ["5215512345678", "525512345678"]);
        assert_eq!(Number::spellings("541112345678"), ["541112345678", "5491112345678"]);
        assert_eq!(Number::spellings("4915112345678"), ["4915112345678"]);
    }

    #[test]
    fn debug_hides_the_address() {
        let jid: Jid = "5511999999999@s.whatsapp.net".parse().expect("a JID");
        assert!(!format!("{jid:?}").contains("5511"));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,80}") {
            let _ = Number::parse(&text);
            let _ = text.parse::<Jid>();
        }

        #[test]
        fn spellings_are_symmetric(digits in "(55|52|54)[0-9]{9,12}") {
            for other in Number::spellings(&digits).into_iter().skip(1) {
                prop_assert!(Number::spellings(&other).contains(&digits));
            }
        }
    }
}
