//! What a page says of itself, read from the beginning of its HTML: `<title>` and the `<meta>` of Open Graph.
//!
//! No tree is built and nothing of the page is run or loaded. What is cut off in the middle, or is no HTML at
//! all, says nothing.

use std::borrow::Cow;

/// What a page says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    /// Where its picture is; may be relative.
    pub(super) image: Option<String>,
}

/// The bytes of a page as text. Pages that say to be in a Western code page are read so, all others as UTF-8.
pub(super) fn text<'a>(bytes: &'a [u8], kind: &str) -> Cow<'a, str> {
    let western = ["iso-8859-1", "windows-1252", "latin1"];
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).to_ascii_lowercase();
    let kind = kind.to_ascii_lowercase();
    let told = kind.split_once("charset=").map(|(_, name)| name);
    let told = told.or_else(|| head.split_once("charset=").map(|(_, name)| name));
    let told = told.unwrap_or_default().trim_start_matches(['"', '\'']);
    if western.iter().any(|name| told.starts_with(name)) {
        return bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into();
    }
    String::from_utf8_lossy(bytes)
}

/// Goes through the tags of a page. What Open Graph says counts more than the page's own title.
pub(super) fn said_of(page: &str) -> Said {
    let (mut open, mut plain) = (Said::default(), Said::default());
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        rest = after;
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let Some(length) = tag_length(rest) else { break };
        let tag = &rest[..length];
        let name = tag.split(|c: char| c.is_ascii_whitespace() || c == '/').next();
        rest = &rest[length..];
        match name.unwrap_or_default().to_ascii_lowercase().as_str() {
            "meta" => note(&attributes(tag), &mut open, &mut plain),
            "title" if plain.title.is_none() => {
                let inner = rest.trim_start_matches('>').split('<').next();
                plain.title = inner.map(decoded).filter(|text| !text.trim().is_empty());
            }
            // What is in there is no HTML.
            name @ ("script" | "style") => rest = behind(rest, name),
            "body" => break,
            _ => {}
        }
    }
    Said {
        title: open.title.or(plain.title),
        description: open.description.or(plain.description),
        image: open.image,
    }
}

/// Where a tag ends: at a `>` that is in no quotes.
fn tag_length(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

fn behind<'a>(text: &'a str, name: &str) -> &'a str {
    let end = format!("</{name}");
    let found = text.as_bytes().windows(end.len()).position(|part| {
        // A match begins with '<', so it stands between two characters.
        part.eq_ignore_ascii_case(end.as_bytes())
    });
    found.map_or("", |at| &text[at..])
}

fn note(attributes: &[(String, String)], open: &mut Said, plain: &mut Said) {
    let value = |name: &str| {
        attributes.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    };
    let Some(content) = value("content").filter(|text| !text.trim().is_empty()) else { return };
    let called = value("property").or(value("name")).unwrap_or_default().to_ascii_lowercase();
    let place = match called.as_str() {
        "og:title" => &mut open.title,
        "og:description" => &mut open.description,
        "og:image" | "og:image:url" | "og:image:secure_url" => &mut open.image,
        "description" => &mut plain.description,
        _ => return,
    };
    place.get_or_insert_with(|| content.to_owned());
}

/// The attributes of a tag, their names in small letters.
fn attributes(tag: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = tag.trim_start_matches(|c: char| !c.is_ascii_whitespace());
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.split_ascii_whitespace().next_back().unwrap_or_default();
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, left) = match quote {
            Some(quote) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
            None => after.split_at(after.find(char::is_whitespace).unwrap_or(after.len())),
        };
        found.push((name.to_ascii_lowercase(), decoded(value)));
        rest = left;
    }
    found
}

/// Text with the characters that HTML writes by name or number.
fn decoded(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        // The longest name that is known has six letters, the longest number eight signs.
        let end = after.bytes().take(9).position(|byte| byte == b';');
        if let Some((character, end)) = end.and_then(|end| Some((character(&after[..end])?, end))) {
            plain.push(character);
            rest = &after[end + 1..];
        } else {
            plain.push('&');
            rest = after;
        }
    }
    plain + rest
}

fn character(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "hellip" => '…',
        "ndash" => '–',
        "mdash" => '—',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|c| !c.is_control())?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn open_graph_counts_more_than_the_title() {
        let page = "<!doctype html><html><head><!-- <title>no</title> --><title>Plain</title>\
            <script>if (a < b) document.write('<title>never</title>')</script>\
            <meta name=description content='What &quot;it&quot; is'>\
            <META PROPERTY=\"og:title\" content=\"A > B &amp; C&#39;s\">\
            <meta content=/pic.png property=og:image></head><body><meta property=og:title content=late>";
        let said = said_of(page);
        assert_eq!(said.title.as_deref(), Some("A > B & C's"));
        assert_eq!(said.description.as_deref(), Some("What \"it\" is"));
        assert_eq!(said.image.as_deref(), Some("/pic.png"));
    }

    #[test]
    fn a_page_without_open_graph_has_its_title() {
        let said = said_of("<title>\nShop &#x1F600;</title><p>");
        assert_eq!(said.title.as_deref(), Some("\nShop 😀"));
        assert_eq!(said_of("%PDF-1.4 nothing"), Said::default());
        assert_eq!(said_of("<meta property=\"og:title\" content=\"cut"), Said::default());
    }

    #[test]
    fn western_pages_are_read_by_what_they_say() {
        assert_eq!(text(b"caf\xe9", "text/html; charset=ISO-8859-1"), "café");
        assert_eq!(text("café".as_bytes(), "text/html"), "café");
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(page in "[<>a-z=\"'/&;#! é-]{0,200}") {
            let _ = said_of(&page);
            let _ = decoded(&page);
        }
    }
}
