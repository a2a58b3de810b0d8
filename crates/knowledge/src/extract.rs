//! From a file's bytes to blocks of text.
//!
//! What a file is, is read off its bytes; its name only settles what bytes cannot (whether plain
//! text is Markdown or a table). Each reader keeps the structure that retrieval needs: headings with their
//! level, and tables row by row with their header. Everything is bounded by [`Budget`].

mod docx;
mod format;
mod html;
mod markdown;
mod pdf;
mod sheet;
mod text;

pub use format::Format;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Most characters of text that are taken from one file.
pub const MOST_TEXT: usize = 4_000_000;
/// Most blocks and rows that are taken from one file.
const MOST_BLOCKS: usize = 200_000;

/// A piece of a document, in reading order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A heading; level 1 is the highest.
    Heading { level: u8, text: String },
    /// A paragraph, an item of a list, a line that stands alone.
    Text(String),
    /// A table: what heads its columns (perhaps nothing) and its rows.
    Table { header: Vec<String>, rows: Vec<Vec<String>> },
}

/// Why a file gave no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("this kind of file is not read: use PDF, DOCX, XLSX, ODS, CSV, HTML, Markdown or text")]
    Unsupported,
    #[error(
        "the file is protected by a password, or an Office file of before 2007: save it without, or as DOCX or XLSX"
    )]
    Sealed,
    #[error("the file is damaged")]
    Damaged,
    #[error("the file holds no text: a scan must go through text recognition first")]
    Empty,
    #[error("the file holds more text than one document may: split it")]
    TooLong,
}

impl Unreadable {
    const ALL: [Self; 5] =
        [Self::Unsupported, Self::Sealed, Self::Damaged, Self::Empty, Self::TooLong];

    /// The reason of that word.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.code() == code)
    }

    /// The word for it that programs switch on.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported_format",
            Self::Sealed => "protected",
            Self::Damaged => "damaged",
            Self::Empty => "no_text",
            Self::TooLong => "too_much_text",
        }
    }
}

/// What is left of what one file may give. Readers put their blocks in through it.
#[derive(Debug)]
struct Budget {
    blocks: Vec<Block>,
    characters: usize,
    count: usize,
}

impl Budget {
    fn new() -> Self {
        Self { blocks: Vec::new(), characters: MOST_TEXT, count: MOST_BLOCKS }
    }

    fn spend(&mut self, characters: usize) -> Result<(), Unreadable> {
        self.characters = self.characters.checked_sub(characters).ok_or(Unreadable::TooLong)?;
        self.count = self.count.checked_sub(1).ok_or(Unreadable::TooLong)?;
        Ok(())
    }

    fn heading(&mut self, level: u8, text: &str) -> Result<(), Unreadable> {
        let text = text::one_line(text);
        if !text.is_empty() {
            self.spend(text.len())?;
            self.blocks.push(Block::Heading { level: level.clamp(1, 6), text });
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Unreadable> {
        let text = text::tidy(text);
        if !text.is_empty() {
            self.spend(text.len())?;
            self.blocks.push(Block::Text(text));
        }
        Ok(())
    }

    /// Takes a table; rows without a word in them are left out.
    fn table(&mut self, header: &[String], rows: &[Vec<String>]) -> Result<(), Unreadable> {
        let line = |cells: &[String]| -> Vec<String> {
            let mut line: Vec<String> = cells.iter().map(|cell| text::one_line(cell)).collect();
            while line.last().is_some_and(String::is_empty) {
                line.pop();
            }
            line
        };
        let header = line(header);
        let rows: Vec<_> = rows.iter().map(|row| line(row)).filter(|row| !row.is_empty()).collect();
        for row in rows.iter().chain([&header]) {
            self.spend(row.iter().map(|cell| cell.len() + 3).sum())?;
        }
        if !(rows.is_empty() && header.is_empty()) {
            self.blocks.push(Block::Table { header, rows });
        }
        Ok(())
    }
}

/// The blocks of the file `bytes` that its owner calls `name`.
pub fn read(name: &str, bytes: &[u8]) -> Result<Vec<Block>, Unreadable> {
    let format = Format::of(name, bytes)?;
    // Parsers of binary formats panic on some damaged files; that is an answer like any other.
    let read = catch_unwind(AssertUnwindSafe(|| {
        let mut into = Budget::new();
        match format {
            Format::Pdf => pdf::read(bytes, &mut into),
            Format::Docx => docx::read(bytes, &mut into),
            Format::Workbook => sheet::workbook(bytes, &mut into),
            Format::Csv => sheet::csv(&text::decode(bytes), &mut into),
            Format::Html => html::read(&text::decode(bytes), &mut into),
            Format::Markdown => markdown::read(&text::decode(bytes), &mut into),
            Format::Text => text::read(&text::decode(bytes), &mut into),
        }
        .map(|()| into.blocks)
    }));
    let blocks = read.unwrap_or(Err(Unreadable::Damaged))?;
    let letters = |text: &str| text.chars().any(char::is_alphanumeric);
    let says_something = blocks.iter().any(|block| match block {
        Block::Heading { text, .. } | Block::Text(text) => letters(text),
        Block::Table { header, rows } => rows.iter().chain([header]).flatten().any(|c| letters(c)),
    });
    if says_something { Ok(blocks) } else { Err(Unreadable::Empty) }
}
