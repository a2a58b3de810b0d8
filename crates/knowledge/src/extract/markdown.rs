//! Markdown with tables. Markup goes, words, headings and rows stay.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{Budget, Unreadable, html};

/// What has been read of the block at hand.
#[derive(Debug, Default)]
struct Reading {
    text: String,
    row: Vec<String>,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Inside a fenced block the text is no markup of ours.
    in_html: bool,
}

pub(super) fn read(markdown: &str, into: &mut Budget) -> Result<(), Unreadable> {
    let mut at = Reading::default();
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    for event in Parser::new_ext(markdown, options) {
        match event {
            Event::Text(text) | Event::Code(text) => at.text.push_str(&text),
            Event::SoftBreak | Event::HardBreak => at.text.push('\n'),
            Event::Html(text) | Event::InlineHtml(text) if at.in_html => at.text.push_str(&text),
            Event::InlineHtml(tag) if tag.starts_with("<br") => at.text.push('\n'),
            Event::Start(tag) => start(&tag, &mut at, into)?,
            Event::End(tag) => end(tag, &mut at, into)?,
            _ => {}
        }
    }
    into.text(&at.text)
}

fn start(tag: &Tag<'_>, at: &mut Reading, into: &mut Budget) -> Result<(), Unreadable> {
    match tag {
        Tag::HtmlBlock => at.in_html = true,
        Tag::Item => {
            // The line before a nested list belongs to the item above.
            into.text(&std::mem::take(&mut at.text))?;
            at.text.push_str("- ");
        }
        Tag::Heading { .. } | Tag::Paragraph if !at.text.starts_with("- ") => {
            into.text(&std::mem::take(&mut at.text))?;
        }
        Tag::Table(_) => into.text(&std::mem::take(&mut at.text))?,
        _ => {}
    }
    Ok(())
}

fn end(tag: TagEnd, at: &mut Reading, into: &mut Budget) -> Result<(), Unreadable> {
    match tag {
        TagEnd::Heading(level) => into.heading(level as u8, &std::mem::take(&mut at.text)),
        TagEnd::Paragraph | TagEnd::Item | TagEnd::CodeBlock => {
            into.text(&std::mem::take(&mut at.text))
        }
        TagEnd::HtmlBlock => {
            at.in_html = false;
            html::read(&std::mem::take(&mut at.text), into)
        }
        TagEnd::TableCell => {
            at.row.push(std::mem::take(&mut at.text));
            Ok(())
        }
        TagEnd::TableHead => {
            at.header = std::mem::take(&mut at.row);
            Ok(())
        }
        TagEnd::TableRow => {
            at.rows.push(std::mem::take(&mut at.row));
            Ok(())
        }
        TagEnd::Table => into.table(&std::mem::take(&mut at.header), &std::mem::take(&mut at.rows)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Block;
    use super::*;

    #[test]
    fn headings_items_and_rows_are_kept() {
        let mut into = Budget::new();
        let text =
            "# Shop\n\nWe **open** at\nnine.\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n";
        read(text, &mut into).expect("short");
        let text = |text: &str| Block::Text(text.to_owned());
        let cells = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        assert_eq!(
            into.blocks,
            [
                Block::Heading { level: 1, text: "Shop".to_owned() },
                text("We open at\nnine."),
                text("- one"),
                text("- two"),
                Block::Table { header: cells("a", "b"), rows: vec![cells("1", "2")] },
            ]
        );
    }
}
