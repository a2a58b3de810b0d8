//! HTML, token by token: headings, blocks and rows stay, scripts, styles and menus go.
//!
//! No tree is built, so that no nesting can be too deep.

use html5gum::{DefaultEmitter, Token, Tokenizer};

use super::{Budget, Unreadable};

/// Elements whose words are not of the page: code, and what stands on every page of a site.
const LEFT_OUT: [&[u8]; 8] =
    [b"script", b"style", b"noscript", b"template", b"nav", b"svg", b"iframe", b"select"];
/// Elements that end a line of text.
const BLOCKS: [&[u8]; 20] = [
    b"p",
    b"div",
    b"li",
    b"ul",
    b"ol",
    b"dl",
    b"dt",
    b"dd",
    b"section",
    b"article",
    b"header",
    b"footer",
    b"main",
    b"aside",
    b"blockquote",
    b"pre",
    b"form",
    b"figure",
    b"address",
    b"body",
];

#[derive(Debug, Default)]
struct Reading {
    text: String,
    /// How many elements of [`LEFT_OUT`] are open, and which is the outermost.
    left_out: Option<(Vec<u8>, usize)>,
    /// Whether a cell is open; its row so far, and how many of that are `th`.
    in_cell: bool,
    row: Vec<String>,
    heads: usize,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    tables: usize,
}

pub(super) fn read(html: &str, into: &mut Budget) -> Result<(), Unreadable> {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut at = Reading::default();
    for token in Tokenizer::new_with_emitter(html, emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => at.start(&tag.name, tag.self_closing, into)?,
            Token::EndTag(tag) => at.end(&tag.name, into)?,
            Token::String(text) if at.left_out.is_none() => {
                at.text.push_str(&String::from_utf8_lossy(&text));
            }
            _ => {}
        }
    }
    at.end_table(into)?;
    into.text(&at.text)
}

impl Reading {
    fn start(
        &mut self,
        name: &[u8],
        self_closing: bool,
        into: &mut Budget,
    ) -> Result<(), Unreadable> {
        if let Some((outermost, depth)) = &mut self.left_out {
            *depth += usize::from(outermost == name && !self_closing);
            return Ok(());
        }
        if LEFT_OUT.contains(&name) && !self_closing {
            self.left_out = Some((name.to_vec(), 1));
            return Ok(());
        }
        match name {
            b"br" => self.text.push('\n'),
            b"table" => {
                self.end_block(into)?;
                self.tables += 1;
            }
            b"tr" if self.tables > 0 => self.end_row(),
            b"td" | b"th" if self.tables > 0 => {
                self.end_cell();
                self.in_cell = true;
                self.heads += usize::from(name == b"th");
                self.text.clear();
            }
            b"li" if self.tables == 0 => {
                self.end_block(into)?;
                self.text.push_str("- ");
            }
            _ if self.tables == 0 && is_block(name) => self.end_block(into)?,
            _ if is_block(name) => self.text.push(' '),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &[u8], into: &mut Budget) -> Result<(), Unreadable> {
        if let Some((outermost, depth)) = &mut self.left_out {
            *depth -= usize::from(outermost == name);
            if *depth == 0 {
                self.left_out = None;
            }
            return Ok(());
        }
        match name {
            b"title" => into.heading(1, &std::mem::take(&mut self.text)),
            b"table" => self.end_table(into),
            b"td" | b"th" if self.tables > 0 => {
                self.end_cell();
                Ok(())
            }
            b"tr" if self.tables > 0 => {
                self.end_row();
                Ok(())
            }
            _ if self.tables == 0 => match heading_level(name) {
                Some(level) => into.heading(level, &std::mem::take(&mut self.text)),
                None if is_block(name) => self.end_block(into),
                None => Ok(()),
            },
            _ => {
                if is_block(name) {
                    self.text.push(' ');
                }
                Ok(())
            }
        }
    }

    fn end_block(&mut self, into: &mut Budget) -> Result<(), Unreadable> {
        let text = std::mem::take(&mut self.text);
        if text.trim() == "-" { Ok(()) } else { into.text(&text) }
    }

    /// Authors leave `</td>` out.
    fn end_cell(&mut self) {
        if std::mem::take(&mut self.in_cell) {
            self.row.push(std::mem::take(&mut self.text));
        }
    }

    /// The first row heads the table when all its cells are `th`.
    fn end_row(&mut self) {
        self.end_cell();
        let row = std::mem::take(&mut self.row);
        let heads = std::mem::take(&mut self.heads);
        if row.is_empty() {
            return;
        }
        if self.rows.is_empty() && self.header.is_empty() && heads == row.len() {
            self.header = row;
        } else {
            self.rows.push(row);
        }
    }

    fn end_table(&mut self, into: &mut Budget) -> Result<(), Unreadable> {
        if self.tables == 0 {
            return Ok(());
        }
        self.end_row();
        self.tables -= 1;
        into.table(&std::mem::take(&mut self.header), &std::mem::take(&mut self.rows))
    }
}

fn heading_level(name: &[u8]) -> Option<u8> {
    match name {
        [b'h', level @ b'1'..=b'6'] => Some(level - b'0'),
        _ => None,
    }
}

fn is_block(name: &[u8]) -> bool {
    BLOCKS.contains(&name) || heading_level(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::Block;
    use super::*;

    #[test]
    fn scripts_and_menus_go_headings_and_rows_stay() {
        let mut into = Budget::new();
        read(
            "<nav><p>Home</nav><h2>Hours &amp; more</h2><script>if (a<b) {}</script><ul><li>Mon<li>Tue</ul>\
             <table><tr><th>a<th>b</tr><tr><td>1</td><td><p>2</p></td></tr></table>after",
            &mut into,
        )
        .expect("short");
        let text = |text: &str| Block::Text(text.to_owned());
        assert_eq!(into.blocks[0], Block::Heading { level: 2, text: "Hours & more".to_owned() });
        assert_eq!(into.blocks[1..3], [text("- Mon"), text("- Tue")]);
        assert!(
            matches!(&into.blocks[3], Block::Table { rows, .. } if rows.last() == Some(&vec!["1".to_owned(), "2".to_owned()]))
        );
        assert_eq!(into.blocks[4], text("after"));
    }

    #[test]
    fn nesting_has_no_depth_that_hurts() {
        let deep = "<div>".repeat(200_000) + "words" + &"</div>".repeat(200_000);
        let mut into = Budget::new();
        read(&deep, &mut into).expect("one block");
        assert_eq!(into.blocks, [Block::Text("words".to_owned())]);
    }
}
