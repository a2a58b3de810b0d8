//! Plain text: its encoding, its lines, and what looks like a heading in it.

use std::borrow::Cow;

use super::{Budget, Unreadable};

/// The longest line that can be a heading.
const LONGEST_HEADING: usize = 90;

/// The text of `bytes`: by its byte order mark, as UTF-8, or as Windows-1252, which takes anything.
pub(super) fn decode(bytes: &[u8]) -> String {
    if let Some((encoding, _)) = encoding_rs::Encoding::for_bom(bytes) {
        return encoding.decode(bytes).0.into_owned();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::WINDOWS_1252.decode(bytes).0.into_owned(),
    }
}

/// Whether these bytes are no text in any encoding that [`decode`] knows.
pub(super) fn is_binary(bytes: &[u8]) -> bool {
    if encoding_rs::Encoding::for_bom(bytes).is_some() {
        return false;
    }
    let head = &bytes[..bytes.len().min(64 * 1024)];
    let strange =
        head.iter().filter(|b| **b == 0 || (**b < 0x20 && !b.is_ascii_whitespace())).count();
    head.contains(&0) || strange * 100 > head.len()
}

/// All white space made single spaces, invisible characters removed.
pub(super) fn one_line(text: &str) -> String {
    let visible = without_invisible(text);
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lines kept, white space within them made single spaces.
pub(super) fn tidy(text: &str) -> String {
    let visible = without_invisible(text);
    let lines: Vec<String> = visible
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect();
    lines.join("\n")
}

/// Soft hyphens, joiners and marks of direction break words apart for whoever searches them.
fn without_invisible(text: &str) -> Cow<'_, str> {
    let invisible = |c: char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{feff}' | '\0');
    if text.contains(invisible) {
        Cow::Owned(text.chars().filter(|&c| !invisible(c)).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// Reads plain text: blank lines part paragraphs, and some lines are headings by their looks.
pub(super) fn read(text: &str, into: &mut Budget) -> Result<(), Unreadable> {
    let mut paragraph: Vec<&str> = Vec::new();
    let mut first = true;
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for (at, &line) in lines.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |at| lines[at]);
        let after = lines.get(at + 1).copied().unwrap_or_default();
        if line.is_empty() || is_rule(line) {
            into.text(&paragraph.join("\n"))?;
            paragraph.clear();
            continue;
        }
        let level = if is_rule(after) { Some(2) } else { heading_level(line, before, after) };
        match level {
            Some(level) => {
                into.text(&paragraph.join("\n"))?;
                paragraph.clear();
                into.heading(if first { 1 } else { level }, line)?;
            }
            None => paragraph.push(line),
        }
        first = false;
    }
    into.text(&paragraph.join("\n"))
}

/// A line that only underlines: `====`, `----`.
fn is_rule(line: &str) -> bool {
    line.len() >= 3 && line.chars().all(|c| matches!(c, '=' | '-' | '_' | '*' | '~'))
}

/// The level of a line that looks like a heading: all capitals, or numbered, or short and alone.
fn heading_level(line: &str, before: &str, after: &str) -> Option<u8> {
    let letters = line.chars().filter(|c| c.is_alphabetic()).count();
    if letters < 3 || line.chars().count() > LONGEST_HEADING || ends_a_sentence(line) {
        return None;
    }
    let outside_brackets: String = line.split('(').next().unwrap_or(line).to_owned();
    let capitals = !outside_brackets.chars().any(char::is_lowercase)
        && outside_brackets.chars().filter(|c| c.is_uppercase()).count() >= 3;
    let alone = before.is_empty();
    if capitals && alone {
        return Some(2);
    }
    let numbered = numbering(line);
    if let (Some(depth), true) =
        (numbered, alone && !after.is_empty() && numbering(after).is_none())
    {
        return Some(depth.saturating_add(1));
    }
    let words = line.split_whitespace().count();
    (alone && after.is_empty() && words <= 8 && numbered.is_none() && !is_item(line)).then_some(3)
}

fn ends_a_sentence(line: &str) -> bool {
    line.ends_with(['.', ';', ',', '!', ':']) && !line.ends_with("...")
}

fn is_item(line: &str) -> bool {
    line.starts_with(['-', '*', '•', '–', '·'])
}

/// How deep a number like `3.2` or `1)` at the start of a line goes.
pub(super) fn numbering(line: &str) -> Option<u8> {
    let number = line.split_whitespace().next()?;
    let digits = number.trim_end_matches(['.', ')']);
    let parts = digits.split('.').collect::<Vec<_>>();
    let all = parts
        .iter()
        .all(|p| !p.is_empty() && p.len() <= 2 && p.bytes().all(|b| b.is_ascii_digit()));
    let marked = number.len() > digits.len() || parts.len() > 1;
    (all && marked && parts.len() <= 4 && line.len() > number.len())
        .then(|| u8::try_from(parts.len()).unwrap_or(4))
}

#[cfg(test)]
mod tests {
    use super::super::Block;
    use super::*;

    #[test]
    fn headings_are_seen_by_their_looks() {
        let mut into = Budget::new();
        let text =
            "OUR SHOP - RULES\nValid now\n\n1. FIRST\nTwo hours.\n\nPRICES (IN EURO)\nA 1\nB 2\n";
        read(text, &mut into).expect("short");
        let headings: Vec<_> = into
            .blocks
            .iter()
            .filter_map(|b| match b {
                Block::Heading { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(headings, ["OUR SHOP - RULES", "1. FIRST", "PRICES (IN EURO)"]);
    }

    #[test]
    fn any_bytes_decode_and_controls_are_binary() {
        assert_eq!(decode(b"caf\xe9"), "café");
        assert_eq!(decode(b"\xff\xfeh\0i\0"), "hi");
        assert!(is_binary(b"\x01\x02\x03abc"));
        assert!(!is_binary("Öffnungszeiten\t1\r\n".as_bytes()));
    }
}
