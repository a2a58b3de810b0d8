//! Blocks become passages: pieces of at most [`LONGEST`] characters that know where they stand.
//!
//! Pieces are as long as they may be: what answers a question is often a line under a heading three
//! paragraphs above it, and a model reads two thousand characters as easily as four hundred. They end where a
//! section ends when that is near, else between paragraphs, rows or sentences, and only in a word when
//! there is nothing else. A table that is parted repeats its header.

use crate::extract::Block;

/// Most characters of a passage's text.
pub const LONGEST: usize = 2_000;
/// From how many characters on the end of a section may end a passage.
const FULL_ENOUGH: usize = 1_000;
/// Most characters that a passage repeats of the one before, when a section runs over its end.
const OVERLAP: usize = 200;

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Passage {
    /// The headings above its first line, the highest first.
    pub headings: Vec<String>,
    /// Its words; headings inside it stand on lines of their own.
    pub text: String,
}

/// The smallest piece that is not parted.
#[derive(Debug)]
struct Unit {
    text: String,
    characters: usize,
    headings: Vec<String>,
    /// The level of the heading that this unit is, 0 for what is none.
    level: u8,
    /// The header of the table that this unit is a row of.
    header: Option<std::rc::Rc<str>>,
}

/// Cuts `blocks` into passages of at most `longest` characters; [`LONGEST`] is what is used.
pub fn cut(blocks: &[Block], longest: usize) -> Vec<Passage> {
    let longest = longest.max(16);
    let units = units(blocks, longest);
    let mut passages = Vec::new();
    let mut start = 0;
    let mut overlap = 0;
    while start < units.len() {
        let end = end_of(&units, start, overlap, longest);
        passages.push(passage(&units[start - overlap..end]));
        overlap = overlap_before(&units, start, end, longest);
        start = end;
    }
    passages.retain(|passage| passage.text.chars().any(char::is_alphanumeric));
    passages
}

/// Parts the blocks and gives each part its headings.
fn units(blocks: &[Block], longest: usize) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut path: Vec<(u8, String)> = Vec::new();
    for block in blocks {
        match block {
            Block::Heading { level, text } => {
                path.retain(|(above, _)| above < level);
                path.push((*level, text.clone()));
                for piece in parted(text, longest) {
                    units.push(unit(piece, &path, *level, None));
                }
            }
            Block::Text(text) => {
                units.extend(
                    parted(text, longest).into_iter().map(|piece| unit(piece, &path, 0, None)),
                );
            }
            Block::Table { header, rows } => {
                let header = header.join(" | ");
                // A header that leaves no room for its rows is a row.
                let short = header.chars().count() * 4 <= longest && !header.is_empty();
                if !short && !header.is_empty() {
                    units.extend(
                        parted(&header, longest).into_iter().map(|p| unit(p, &path, 0, None)),
                    );
                }
                let header: Option<std::rc::Rc<str>> = short.then(|| header.as_str().into());
                let room = longest - header.as_ref().map_or(0, |header| header.chars().count() + 1);
                for row in rows {
                    let pieces = parted(&row.join(" | "), room);
                    units.extend(pieces.into_iter().map(|p| unit(p, &path, 0, header.clone())));
                }
            }
        }
    }
    units
}

fn unit(text: String, path: &[(u8, String)], level: u8, header: Option<std::rc::Rc<str>>) -> Unit {
    let headings = path.iter().map(|(_, text)| text.clone()).collect();
    Unit { characters: text.chars().count(), text, headings, level, header }
}

/// `text` in pieces of at most `longest` characters, cut after sentences, else words, else anywhere.
fn parted(text: &str, longest: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while let Some((limit, _)) = rest.char_indices().nth(longest) {
        let window = &rest[..limit];
        let cut = ["\n", ". ", "? ", "! ", "。", "; ", " "]
            .iter()
            .find_map(|mark| {
                window.rfind(mark).map(|at| at + mark.len()).filter(|at| *at * 2 > limit)
            })
            .unwrap_or(limit);
        pieces.push(rest[..cut].trim().to_owned());
        rest = rest[cut..].trim();
    }
    if !rest.is_empty() {
        pieces.push(rest.to_owned());
    }
    pieces
}

/// What a unit takes when it follows `before`: itself, a line's end and perhaps its table's header.
fn cost(unit: &Unit, before: Option<&Unit>) -> usize {
    let header = match (&unit.header, before.and_then(|before| before.header.as_ref())) {
        (Some(header), Some(same)) if header == same => 0,
        (Some(header), _) => header.chars().count() + 1,
        (None, _) => 0,
    };
    unit.characters + 1 + header
}

/// Where the passage that starts at `start` ends: as late as it may, but at a section's end if one is
/// near enough, the highest one first, and never between a heading and what it heads.
fn end_of(units: &[Unit], start: usize, overlap: usize, longest: usize) -> usize {
    let mut size = 0;
    let mut end = start - overlap;
    let mut best: Option<(u8, usize)> = None;
    let enough = FULL_ENOUGH.min(longest / 2);
    while end < units.len() {
        let before = (end > start - overlap).then(|| &units[end - 1]);
        size += cost(&units[end], before);
        if end > start && size > longest + 1 {
            break;
        }
        end += 1;
        let next = units.get(end).map_or(0, |next| next.level);
        if next > 0 && size >= enough && best.is_none_or(|(level, _)| next <= level) {
            best = Some((next, end));
        }
    }
    if end == units.len() {
        return end;
    }
    let end = best.map_or(end, |(_, end)| end);
    let headings = units[start..end].iter().rev().take_while(|unit| unit.level > 0).count();
    if headings < end - start { end - headings } else { end }
}

/// How many units before `end` the next passage repeats: a little of the same section, no table's rows.
fn overlap_before(units: &[Unit], start: usize, end: usize, longest: usize) -> usize {
    let Some(next) = units.get(end).filter(|next| next.level == 0 && next.header.is_none()) else {
        return 0;
    };
    let most = OVERLAP.min(longest / 10);
    let mut size = next.characters;
    let repeated = units[start + 1..end].iter().rev().take_while(|unit| {
        size += unit.characters + 1;
        unit.level == 0
            && unit.header.is_none()
            && size <= longest
            && size - next.characters <= most
    });
    repeated.count()
}

fn passage(units: &[Unit]) -> Passage {
    let mut lines: Vec<&str> = Vec::new();
    let mut header: Option<&std::rc::Rc<str>> = None;
    for unit in units {
        if let Some(new) = unit.header.as_ref().filter(|new| header != Some(new)) {
            lines.push(new);
        }
        header = unit.header.as_ref();
        lines.push(&unit.text);
    }
    // A passage that begins with a heading has it in its text.
    let mut headings = units.first().map(|unit| unit.headings.clone()).unwrap_or_default();
    if units.first().is_some_and(|unit| unit.level > 0) {
        headings.pop();
    }
    Passage { headings, text: lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn heading(level: u8, text: &str) -> Block {
        Block::Heading { level, text: text.to_owned() }
    }

    #[test]
    fn a_table_that_is_parted_repeats_its_header() {
        let rows = (0..100).map(|n| vec![format!("code-{n}"), "some words".to_owned()]).collect();
        let header = vec!["code".to_owned(), "meaning".to_owned()];
        let passages = cut(&[heading(1, "Codes"), Block::Table { header, rows }], 400);
        assert!(passages.len() > 3);
        for passage in &passages[1..] {
            assert!(passage.text.starts_with("code | meaning\ncode-"), "{}", passage.text);
            assert_eq!(passage.headings, ["Codes"]);
        }
    }

    #[test]
    fn sections_stay_whole_when_they_can() {
        let section = |name| [heading(2, name), Block::Text("words and more ".repeat(50))];
        let blocks: Vec<_> = [heading(1, "Top")]
            .into_iter()
            .chain(section("One"))
            .chain(section("Two"))
            .chain(section("Three"))
            .collect();
        let passages = cut(&blocks, LONGEST);
        assert_eq!(passages.len(), 2);
        assert!(passages[1].text.starts_with("Three\n"));
        assert_eq!(passages[1].headings, ["Top"]);
    }

    fn any_block() -> impl Strategy<Value = Block> {
        prop_oneof![
            (1..6u8, "[a-z ]{1,40}").prop_map(|(level, text)| Block::Heading { level, text }),
            "[a-zé. ]{1,600}".prop_map(Block::Text),
            prop::collection::vec(prop::collection::vec("[a-z]{0,90}", 1..4), 1..5)
                .prop_map(|rows| Block::Table { header: vec!["h".repeat(30)], rows }),
        ]
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_long(
            blocks in prop::collection::vec(any_block(), 0..30),
            longest in 60..2_000usize,
        ) {
            let passages = cut(&blocks, longest);
            let all: String = passages.iter().map(|p| p.text.replace(char::is_whitespace, "")).collect();
            for passage in &passages {
                prop_assert!(passage.text.chars().count() <= longest, "{}", passage.text.chars().count());
            }
            for block in &blocks {
                if let Block::Text(text) = block {
                    for word in text.split_whitespace().filter(|w| w.len() < 30 && w.contains(char::is_alphanumeric)) {
                        prop_assert!(all.contains(word));
                    }
                }
            }
        }
    }
}
