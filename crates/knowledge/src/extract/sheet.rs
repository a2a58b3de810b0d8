//! Workbooks and CSV: a sheet is a heading, a few lines above, and rows under their header.

use std::io::Cursor;

use calamine::{Data, Reader, Sheets, open_workbook_auto_from_rs};

use super::{Budget, Unreadable, docx, format};

pub(super) fn workbook(bytes: &[u8], into: &mut Budget) -> Result<(), Unreadable> {
    docx::refuse_bombs(bytes)?;
    let mut book: Sheets<_> =
        open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(|_| Unreadable::Damaged)?;
    for name in book.sheet_names() {
        // A sheet of charts has no cells.
        let Ok(range) = book.worksheet_range(&name) else { continue };
        into.heading(1, &name)?;
        rows(range.rows().map(|row| row.iter().map(cell).collect()), into)?;
    }
    Ok(())
}

fn cell(data: &Data) -> String {
    match data {
        Data::DateTime(at) if at.is_datetime() => {
            let (year, month, day, hour, minute, ..) = at.to_ymd_hms_milli();
            match (at.as_f64() < 1.0, hour, minute) {
                (true, ..) => format!("{hour:02}:{minute:02}"),
                (false, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
                _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}"),
            }
        }
        Data::Error(_) => String::new(),
        other => other.to_string(),
    }
}

pub(super) fn csv(text: &str, into: &mut Budget) -> Result<(), Unreadable> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(format::delimiter(text).unwrap_or(b','))
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut records = Vec::new();
    let mut characters = 0;
    for record in reader.records() {
        let record = record.map_err(|_| Unreadable::Damaged)?;
        characters += record.as_slice().len();
        if characters > super::MOST_TEXT {
            return Err(Unreadable::TooLong);
        }
        records.push(record.iter().map(str::to_owned).collect());
    }
    rows(records.into_iter(), into)
}

/// Lines of one cell above the table are text; the first row of words heads it.
fn rows(rows: impl Iterator<Item = Vec<String>>, into: &mut Budget) -> Result<(), Unreadable> {
    let mut header: Option<Vec<String>> = None;
    let mut body = Vec::new();
    for row in rows {
        let filled: Vec<&String> = row.iter().filter(|cell| !cell.trim().is_empty()).collect();
        match (&header, filled.as_slice()) {
            (_, []) => {}
            (None, [only]) => into.text(only)?,
            (None, cells) => {
                let words = cells.iter().all(|cell| cell.parse::<f64>().is_err());
                header = Some(if words {
                    row
                } else {
                    body.push(row);
                    Vec::new()
                });
            }
            (Some(_), _) => body.push(row),
        }
    }
    into.table(&header.unwrap_or_default(), &body)
}

#[cfg(test)]
mod tests {
    use super::super::Block;
    use super::*;

    #[test]
    fn the_first_row_of_words_heads_a_table() {
        let mut into = Budget::new();
        csv("sku;size;price\nA-1;\"250 g; bag\";9.40\n\nB-2;1 kg;32.90\n", &mut into)
            .expect("rows");
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        assert_eq!(
            into.blocks,
            [Block::Table {
                header: row(["sku", "size", "price"]),
                rows: vec![row(["A-1", "250 g; bag", "9.40"]), row(["B-2", "1 kg", "32.90"])],
            }]
        );
    }
}
