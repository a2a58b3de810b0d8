//! From what models write to what WhatsApp shows: Markdown becomes WhatsApp's own marks, tables become lines,
//! and what is too long for one bubble becomes several.

/// Longest bubble, in characters.
pub const BUBBLE: usize = 1_500;
/// Most bubbles of one answer.
pub const MAX_BUBBLES: usize = 6;

/// Markdown as WhatsApp's text.
#[must_use]
pub fn whatsapp(markdown: &str) -> String {
    let mut lines: Vec<String> = vec![];
    let mut code = false;
    let mut table: Option<Table> = None;
    for line in markdown.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with("```") {
            code = !code;
            lines.push("```".to_owned());
            continue;
        }
        if code {
            lines.push(line.to_owned());
            continue;
        }
        if let Some(cells) = row(trimmed) {
            if cells.iter().all(|cell| is_rule(cell)) {
                continue;
            }
            match &mut table {
                None => table = Some(Table { header: cells, rows: 0 }),
                Some(table) => {
                    table.rows += 1;
                    lines.push(record(&table.header, &cells));
                }
            }
            continue;
        }
        flush(&mut table, &mut lines);
        if trimmed.len() >= 3
            && ["-", "*", "_"].iter().any(|mark| trimmed.replace(mark, "").trim().is_empty())
        {
            continue;
        }
        lines.push(text_line(line));
    }
    flush(&mut table, &mut lines);
    if code {
        lines.push("```".to_owned());
    }
    collapse(&lines)
}

/// A table that is being read: its first row, and how many came after it.
struct Table {
    header: Vec<String>,
    rows: usize,
}

/// A table is over. One that is but a header is a line.
fn flush(table: &mut Option<Table>, lines: &mut Vec<String>) {
    if let Some(Table { header, rows: 0 }) = table.take() {
        lines.push(inline(&header.join(" | ")));
    }
}

fn row(line: &str) -> Option<Vec<String>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    let cells: Vec<String> = inner.split('|').map(|cell| cell.trim().to_owned()).collect();
    (cells.len() > 1).then_some(cells)
}

fn is_rule(cell: &str) -> bool {
    !cell.is_empty() && cell.chars().all(|c| c == '-' || c == ':')
}

/// `- *first*: header: value, header: value`
fn record(header: &[String], cells: &[String]) -> String {
    let first = cells.first().map(|cell| inline(cell)).unwrap_or_default();
    let rest: Vec<String> = cells
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, cell)| !cell.is_empty())
        .map(|(at, cell)| match header.get(at).filter(|name| !name.is_empty()) {
            Some(name) => format!("{}: {}", inline(name), inline(cell)),
            None => inline(cell),
        })
        .collect();
    let first = first.trim_matches('*');
    if rest.is_empty() { format!("- {first}") } else { format!("- *{first}*: {}", rest.join(", ")) }
}

fn text_line(line: &str) -> String {
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).take(4).collect();
    let text = line.trim();
    let level = text.bytes().take_while(|byte| *byte == b'#').count();
    if (1..=6).contains(&level) && text[level..].starts_with(' ') {
        let title = inline(text[level..].trim().trim_end_matches('#').trim());
        let title = title.replace('*', "");
        return if title.is_empty() { title } else { format!("*{title}*") };
    }
    for mark in ["* ", "+ ", "• "] {
        if let Some(item) = text.strip_prefix(mark) {
            return format!("{indent}- {}", inline(item));
        }
    }
    format!("{indent}{}", inline(text))
}

/// Bold, struck out, links and breaks within a line.
fn inline(text: &str) -> String {
    let text = text.replace("<br>", "\n").replace("<br/>", "\n").replace("<br />", "\n");
    let text = links(&text);
    let text = text.replace("***", "*").replace("**", "*").replace("__", "*");
    text.replace("~~", "~")
}

/// `[text](address)` as `text: address`.
fn links(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let (before, from) = rest.split_at(open);
        let link = from.find("](").and_then(|middle| {
            let end = from[middle + 2..].find(')')? + middle + 2;
            let (label, address) = (&from[1..middle], &from[middle + 2..end]);
            let plain = !label.contains(['[', '\n']) && !address.contains(char::is_whitespace);
            plain.then_some((label, address, end + 1))
        });
        let Some((label, address, end)) = link else {
            out.push_str(before);
            out.push('[');
            rest = &from[1..];
            continue;
        };
        out.push_str(before.strip_suffix('!').unwrap_or(before));
        if label.is_empty() || label == address {
            out.push_str(address);
        } else {
            out.push_str(label);
            out.push_str(": ");
            out.push_str(address);
        }
        rest = &from[end..];
    }
    out.push_str(rest);
    out
}

/// No more than one empty line in a row, none at the ends.
fn collapse(lines: &[String]) -> String {
    let mut out = String::new();
    let mut empty = 0;
    for line in lines {
        let line = line.trim_end();
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            out.push_str(line);
            out.push('\n');
        }
    }
    out.trim().to_owned()
}

/// The bubbles of an answer: cut at paragraphs, lines, sentences or words, the first of these that fits.
#[must_use]
pub fn bubbles(text: &str) -> Vec<String> {
    let mut rest = text.trim();
    let mut bubbles = vec![];
    while !rest.is_empty() && bubbles.len() < MAX_BUBBLES {
        let end = rest.char_indices().nth(BUBBLE).map_or(rest.len(), |(at, _)| at);
        if end == rest.len() {
            bubbles.push(rest.to_owned());
            break;
        }
        let at = cut(&rest[..end]);
        bubbles.push(rest[..at].trim_end().to_owned());
        rest = rest[at..].trim_start();
    }
    bubbles
}

fn cut(window: &str) -> usize {
    let least = window.len() / 3;
    let after = |mark: &str| window.rfind(mark).map(|at| at + mark.len()).filter(|at| *at > least);
    ["\n\n", "\n", ". ", "! ", "? ", "。", " "]
        .iter()
        .find_map(|mark| after(mark))
        .unwrap_or(window.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn markdown_becomes_whatsapp() {
        let text = "# Prices\n\n**Bread** is ~~3~~ 2.\n\n* rye\n* spelt\n\n---\n[Shop](https://a.b) ![](https://c.d/e.png)";
        let expected = "*Prices*\n\n*Bread* is ~3~ 2.\n\n- rye\n- spelt\n\nShop: https://a.b https://c.d/e.png";
        assert_eq!(whatsapp(text), expected);
    }

    #[test]
    fn tables_become_lines() {
        let table = "Here:\n| Cake | Price |\n|---|:--:|\n| Apple | 3 € |\n| Plum | 4 € |\nBye";
        assert_eq!(whatsapp(table), "Here:\n- *Apple*: Price: 3 €\n- *Plum*: Price: 4 €\nBye");
    }

    #[test]
    fn code_stays_as_it_is() {
        assert_eq!(whatsapp("```rust\nlet a = **b**;\n```"), "```\nlet a = **b**;\n```");
    }

    #[test]
    fn long_answers_are_cut_at_paragraphs() {
        let paragraph = "word ".repeat(200);
        let text = format!("{paragraph}\n\n{paragraph}\n\n{paragraph}");
        let parts = bubbles(&text);
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part == paragraph.trim()));
    }

    proptest! {
        #[test]
        fn nothing_is_too_long_and_nothing_panics(text in "(?s).{0,4000}") {
            let text = whatsapp(&text);
            for bubble in bubbles(&text) {
                prop_assert!(bubble.chars().count() <= BUBBLE && !bubble.is_empty());
            }
        }

        #[test]
        fn what_is_short_is_one_bubble(text in "[a-z ]{1,1000}") {
            prop_assume!(!text.trim().is_empty());
            prop_assert_eq!(bubbles(&text), vec![text.trim().to_owned()]);
        }
    }
}
