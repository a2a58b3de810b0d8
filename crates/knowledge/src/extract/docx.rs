//! DOCX: paragraphs, headings by their style, tables row by row.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use zip::ZipArchive;

use super::format::Format;
use super::{Budget, Unreadable};

/// Most bytes that one part of a container may unpack to, whatever it declares.
const MOST_XML: u64 = 32 << 20;
/// Most bytes that a whole container may unpack to.
const MOST_UNPACKED: u64 = 128 << 20;
/// Most parts of a container.
const MOST_PARTS: usize = 10_000;

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

fn open(bytes: &[u8]) -> Result<Archive<'_>, Unreadable> {
    let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| Unreadable::Damaged)?;
    if archive.len() > MOST_PARTS { Err(Unreadable::TooLong) } else { Ok(archive) }
}

/// What kind of Office file a ZIP container is, by the parts in it.
pub(super) fn container(bytes: &[u8]) -> Result<Format, Unreadable> {
    let archive = open(bytes)?;
    let has = |name: &str| archive.index_for_name(name).is_some();
    if has("word/document.xml") {
        Ok(Format::Docx)
    } else if has("xl/workbook.xml") || has("xl/workbook.bin") || is_spreadsheet(bytes) {
        Ok(Format::Workbook)
    } else {
        Err(Unreadable::Unsupported)
    }
}

fn is_spreadsheet(bytes: &[u8]) -> bool {
    let kind = open(bytes).and_then(|mut archive| part(&mut archive, "mimetype"));
    kind.is_ok_and(|kind| kind.trim() == "application/vnd.oasis.opendocument.spreadsheet")
}

/// Unpacks everything once and throws it away: a parser that unpacks by itself comes after.
pub(super) fn refuse_bombs(bytes: &[u8]) -> Result<(), Unreadable> {
    let mut archive = open(bytes)?;
    let mut left = MOST_UNPACKED;
    for at in 0..archive.len() {
        let entry = archive.by_index(at).map_err(|error| unpacking(&error))?;
        let taken = std::io::copy(&mut entry.take(left + 1), &mut std::io::sink());
        left =
            left.checked_sub(taken.map_err(|_| Unreadable::Damaged)?).ok_or(Unreadable::TooLong)?;
    }
    Ok(())
}

fn unpacking(error: &zip::result::ZipError) -> Unreadable {
    match error {
        zip::result::ZipError::UnsupportedArchive(why) if why.contains("assword") => {
            Unreadable::Sealed
        }
        _ => Unreadable::Damaged,
    }
}

fn part(archive: &mut Archive<'_>, name: &str) -> Result<String, Unreadable> {
    let entry = archive.by_name(name).map_err(|error| unpacking(&error))?;
    let mut bytes = Vec::new();
    entry.take(MOST_XML + 1).read_to_end(&mut bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::OutOfMemory => Unreadable::TooLong,
        _ => Unreadable::Damaged,
    })?;
    if bytes.len() as u64 > MOST_XML {
        return Err(Unreadable::TooLong);
    }
    Ok(super::text::decode(&bytes))
}

/// What has been read of the paragraph and the tables around it.
#[derive(Debug, Default)]
struct Reading {
    text: String,
    in_text: bool,
    level: Option<u8>,
    item: bool,
    /// Tables stand in tables; the inner one's words belong to the outer one's cell.
    tables: usize,
    cell: String,
    row: Vec<String>,
    rows: Vec<Vec<String>>,
}

pub(super) fn read(bytes: &[u8], into: &mut Budget) -> Result<(), Unreadable> {
    let mut archive = open(bytes)?;
    let levels =
        part(&mut archive, "word/styles.xml").map(|xml| heading_styles(&xml)).unwrap_or_default();
    let document = part(&mut archive, "word/document.xml")?;
    let mut reader = Reader::from_str(&document);
    let mut at = Reading::default();
    loop {
        match reader.read_event().map_err(|_| Unreadable::Damaged)? {
            Event::Start(tag) => at.start(&tag, &levels),
            Event::Empty(tag) => at.empty(&tag, &levels),
            Event::Text(text) if at.in_text => at.text.push_str(&text),
            Event::GeneralRef(name) if at.in_text => at.text.push_str(&entity(&name)),
            Event::End(tag) => at.end(tag.local_name().as_ref(), into)?,
            Event::Eof => break,
            _ => {}
        }
    }
    Ok(())
}

/// The five entities of XML and characters by number; others have no meaning here.
fn entity(name: &str) -> String {
    let number = match name.strip_prefix('#') {
        Some(code) => match code.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => code.parse().ok(),
        },
        None => None,
    };
    if let Some(character) = number.and_then(char::from_u32) {
        return character.to_string();
    }
    quick_xml::escape::resolve_xml_entity(name).unwrap_or_default().to_owned()
}

fn value(tag: &BytesStart<'_>) -> Option<String> {
    let attributes = tag.attributes().flatten();
    let mut values = attributes.filter(|a| a.key.local_name().as_ref() == "val");
    values.next().map(|attribute| attribute.value.into_owned())
}

impl Reading {
    fn start(&mut self, tag: &BytesStart<'_>, levels: &HashMap<String, u8>) {
        match tag.local_name().as_ref() {
            "t" => self.in_text = true,
            "tbl" => self.tables += 1,
            _ => self.empty(tag, levels),
        }
    }

    fn empty(&mut self, tag: &BytesStart<'_>, levels: &HashMap<String, u8>) {
        match tag.local_name().as_ref() {
            "tab" => self.text.push(' '),
            "br" | "cr" => self.text.push('\n'),
            "pStyle" => self.level = value(tag).and_then(|style| levels.get(&style).copied()),
            "outlineLvl" => {
                self.level = value(tag)
                    .and_then(|level| level.parse().ok())
                    .filter(|l| *l < 6)
                    .map(|l: u8| l + 1);
            }
            "numPr" => self.item = true,
            _ => {}
        }
    }

    fn end(&mut self, name: &str, into: &mut Budget) -> Result<(), Unreadable> {
        match name {
            "t" => self.in_text = false,
            "p" => return self.end_paragraph(into),
            "tc" if self.tables == 1 => self.row.push(std::mem::take(&mut self.cell)),
            "tr" if self.tables == 1 => self.rows.push(std::mem::take(&mut self.row)),
            "tbl" => {
                self.tables = self.tables.saturating_sub(1);
                if self.tables == 0 {
                    let mut rows = std::mem::take(&mut self.rows);
                    let header = if rows.len() > 1 { rows.remove(0) } else { Vec::new() };
                    return into.table(&header, &rows);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end_paragraph(&mut self, into: &mut Budget) -> Result<(), Unreadable> {
        let text = std::mem::take(&mut self.text);
        let (level, item) = (self.level.take(), std::mem::take(&mut self.item));
        if self.tables > 0 {
            self.cell.push(' ');
            self.cell.push_str(&text);
            return Ok(());
        }
        match level {
            Some(level) => into.heading(level, &text),
            None if item && !text.trim().is_empty() => into.text(&format!("- {text}")),
            None => into.text(&text),
        }
    }
}

/// The level of each style that is a heading, by its id: ids are translated, names and outline levels are not.
fn heading_styles(xml: &str) -> HashMap<String, u8> {
    let mut reader = Reader::from_str(xml);
    let mut levels = HashMap::new();
    let mut style = String::new();
    while let Ok(event) = reader.read_event() {
        let (Event::Start(tag) | Event::Empty(tag)) = event else {
            if matches!(event, Event::Eof) {
                break;
            }
            continue;
        };
        let level = match tag.local_name().as_ref() {
            "style" => {
                let ids = tag.attributes().flatten();
                style = ids
                    .filter(|a| a.key.local_name().as_ref() == "styleId")
                    .map(|a| a.value.into_owned())
                    .next()
                    .unwrap_or_default();
                None
            }
            "name" => value(&tag).and_then(|name| match name.to_lowercase().as_str() {
                "title" => Some(1),
                name => name.strip_prefix("heading ").and_then(|level| level.parse().ok()),
            }),
            "outlineLvl" => {
                value(&tag).and_then(|l| l.parse::<u8>().ok()).filter(|l| *l < 6).map(|l| l + 1)
            }
            _ => None,
        };
        if let Some(level) = level {
            levels.entry(style.clone()).or_insert(level);
        }
    }
    levels
}
