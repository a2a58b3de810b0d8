//! What clients write where a number is wanted: digits in any spelling, an address, the id of a group.

use flowcore_domain::jid::Jid;

/// From this many digits on it is the id of a group.
const GROUP_DIGITS: usize = 18;
/// Ids of old groups have a dash, and at least so many characters.
const OLD_GROUP: usize = 24;
/// What makes a text an address.
const ADDRESSES: [&str; 5] = ["@g.us", "@s.whatsapp.net", "@lid", "@broadcast", "@newsletter"];

/// The address behind a number, as Evolution makes it; whether it exists is another question. Brazil, Mexico
/// and Argentina lose their extra digit as there.
pub(super) fn address_of(text: &str) -> String {
    let text = without_device(text.trim());
    if ADDRESSES.iter().any(|server| text.contains(server)) {
        return text;
    }
    let kept: String = text.chars().filter(|c| !matches!(c, ' ' | '+' | '(' | ')')).collect();
    let kept = kept.split([':', '@']).next().unwrap_or_default();
    if kept.contains('-') && kept.len() >= OLD_GROUP {
        let id: String = kept.chars().filter(|c| c.is_ascii_digit() || *c == '-').collect();
        return format!("{id}@g.us");
    }
    let digits: String = kept.chars().filter(char::is_ascii_digit).collect();
    if digits.len() >= GROUP_DIGITS {
        return format!("{digits}@g.us");
    }
    format!("{}@s.whatsapp.net", shortened(&digits))
}

/// What the services are asked for: an address as it is, else the digits as they were typed, so that both
/// spellings are tried, the typed one first.
pub(super) fn wanted(text: &str) -> String {
    let address = address_of(text);
    match address.strip_suffix("@s.whatsapp.net") {
        Some(_) if !text.contains('@') => text
            .split(':')
            .next()
            .unwrap_or_default()
            .chars()
            .filter(char::is_ascii_digit)
            .collect(),
        _ => address,
    }
}

/// An address, when the text is one or can be made one.
pub(super) fn jid_of(text: &str) -> Option<Jid> {
    address_of(text).parse().ok()
}

/// The id of a group, its server added where it is left out.
pub(super) fn group_of(text: &str) -> Option<Jid> {
    let text = text.trim();
    let text = if text.contains('@') { text.to_owned() } else { format!("{text}@g.us") };
    let is_id = |jid: &Jid| jid.user().bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    text.parse().ok().filter(|jid: &Jid| jid.is_group() && is_id(jid))
}

/// `123:4@s.whatsapp.net` is the fourth device of 123.
fn without_device(text: &str) -> String {
    match text.split_once('@') {
        Some((user, server)) => {
            format!("{}@{server}", user.split(':').next().unwrap_or_default())
        }
        None => text.to_owned(),
    }
}

fn shortened(digits: &str) -> String {
    let bytes = digits.as_bytes();
    let thirteen = bytes.len() == 13;
    if thirteen && (digits.starts_with("52") || digits.starts_with("54")) {
        return format!("{}{}", &digits[..2], &digits[3..]);
    }
    if thirteen && digits.starts_with("55") {
        let area: u8 = digits[2..4].parse().unwrap_or_default();
        if bytes[5] >= b'7' && area >= 31 {
            return format!("{}{}", &digits[..4], &digits[5..]);
        }
    }
    digits.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_addresses_as_there() {
        for (text, address) in [
            ("+55 (11) 99999-9999", "5511999999999@s.whatsapp.net"),
            ("5531999999999", "553199999999@s.whatsapp.net"),
            ("5531969999999", "5531969999999@s.whatsapp.net"),
            ("5215512345678", "525512345678@s.whatsapp.net"),
            ("5491112345678", "541112345678@s.whatsapp.net"),
            ("4915112345678", "4915112345678@s.whatsapp.net"),
            ("4915112345678:3@s.whatsapp.net", "4915112345678@s.whatsapp.net"),
            ("120363012345678901", "120363012345678901@g.us"),
            ("4915112345678-1600000000", "4915112345678-1600000000@g.us"),
            ("1@lid", "1@lid"),
            ("status@broadcast", "status@broadcast"),
            ("", "@s.whatsapp.net"),
        ] {
            assert_eq!(address_of(text), address, "{text}");
        }
    }

    #[test]
    fn what_was_typed_is_tried_first() {
        assert_eq!(wanted("+55 31 99999-9999"), "5531999999999");
        assert_eq!(wanted("1203@g.us"), "1203@g.us");
        assert_eq!(wanted("12-3"), "123");
    }
}
