//! What kind of file some bytes are.

use super::{Unreadable, docx, text};

/// A kind of file that has a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Pdf,
    Docx,
    /// XLSX, XLSM, XLSB or ODS.
    Workbook,
    Csv,
    Html,
    Markdown,
    Text,
}

/// How far into a file its signature may stand.
const HEAD: usize = 1024;
/// Containers of Office files before 2007, and of newer ones that are encrypted.
const COMPOUND_FILE: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";

impl Format {
    /// Reads the kind off the bytes; `name` settles only which sort of plain text it is.
    pub fn of(name: &str, bytes: &[u8]) -> Result<Self, Unreadable> {
        let head = &bytes[..bytes.len().min(HEAD)];
        if head.windows(5).any(|window| window == b"%PDF-") {
            return Ok(Self::Pdf);
        }
        if head.starts_with(COMPOUND_FILE) {
            return Err(Unreadable::Sealed);
        }
        if head.starts_with(b"PK") {
            return docx::container(bytes);
        }
        if text::is_binary(bytes) {
            return Err(Unreadable::Unsupported);
        }
        Ok(Self::of_text(name, &text::decode(start_of(bytes))))
    }

    fn of_text(name: &str, start: &str) -> Self {
        let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
        if looks_like_html(start) {
            return Self::Html;
        }
        match extension.as_deref() {
            Some("md" | "markdown") => Self::Markdown,
            Some("csv" | "tsv") => Self::Csv,
            Some("txt" | "text") if !has_markdown_headings(start) => Self::Text,
            _ if has_markdown_headings(start) => Self::Markdown,
            _ if is_tabular(start) => Self::Csv,
            _ => Self::Text,
        }
    }
}

/// Enough to see what a text is, not cut within a character.
fn start_of(bytes: &[u8]) -> &[u8] {
    let is_middle = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
    let end = (64 * HEAD..bytes.len()).take(4).find(|&at| !is_middle(&bytes[at]));
    end.map_or(bytes, |end| &bytes[..end])
}

fn looks_like_html(start: &str) -> bool {
    let head: String = start.trim_start().chars().take(HEAD).collect::<String>().to_lowercase();
    let opens = ["<!doctype html", "<html", "<head", "<body"];
    let marks = ["<p>", "<p ", "<h1", "<h2", "<div", "<table", "<ul", "<br"];
    opens.iter().any(|tag| head.contains(tag))
        || (head.starts_with('<') && marks.iter().any(|tag| head.contains(tag)))
}

/// Two headings or more: a single `#` line also begins a shell script or a hashtag.
fn has_markdown_headings(start: &str) -> bool {
    let is_heading = |line: &&str| {
        let after = line.trim_start_matches('#');
        after.len() < line.len() && line.len() - after.len() <= 6 && after.starts_with(' ')
    };
    start.lines().filter(is_heading).take(2).count() == 2
}

/// The delimiter that most lines hold equally often, if the text looks like a table.
pub(super) fn delimiter(start: &str) -> Option<u8> {
    let lines: Vec<&str> = start.lines().filter(|line| !line.trim().is_empty()).take(20).collect();
    let same = |delimiter: &u8| {
        let count = |line: &&str| line.bytes().filter(|byte| byte == delimiter).count();
        let first = lines.first().map_or(0, count);
        let equal = lines.iter().filter(|line| count(line) >= first.max(1)).count();
        (equal * 10 >= lines.len() * 8).then_some(first).filter(|&columns| columns > 0)
    };
    [b';', b'\t', b',', b'|']
        .into_iter()
        .max_by_key(|d| same(d).unwrap_or(0))
        .filter(|d| same(d).is_some())
}

fn is_tabular(start: &str) -> bool {
    let lines = start.lines().filter(|line| !line.trim().is_empty()).count();
    // Prose holds commas too; a table by commas has at least three columns and few words in a cell.
    lines >= 3
        && delimiter(start).is_some_and(|d| {
            let cells =
                start.lines().next().map_or(0, |line| line.bytes().filter(|b| *b == d).count());
            d != b',' || (cells >= 2 && !start.lines().take(20).any(|line| line.contains(". ")))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_decide_and_the_name_settles_the_rest() {
        let of = |name: &str, bytes: &[u8]| Format::of(name, bytes);
        assert_eq!(of("x.txt", b"\n%PDF-1.7 ..."), Ok(Format::Pdf));
        assert_eq!(of("x.txt", b"<!DOCTYPE html><p>hi"), Ok(Format::Html));
        assert_eq!(of("x.pdf", b"We open at nine."), Ok(Format::Text));
        assert_eq!(of("prices", b"sku;price\na;1\nb;2\n"), Ok(Format::Csv));
        assert_eq!(of("notes", b"# A\n\ntext\n\n## B\n"), Ok(Format::Markdown));
        assert_eq!(of("a.md", b"just words"), Ok(Format::Markdown));
        assert_eq!(of("x.docx", b"\x7fELF\0\0\0"), Err(Unreadable::Unsupported));
        assert_eq!(of("x.docx", b"PK\x03\x04 not a zip"), Err(Unreadable::Damaged));
        assert_eq!(of("x.doc", COMPOUND_FILE), Err(Unreadable::Sealed));
    }
}
