//! PDF: the lines of all pages made one text again, without what stands on every page.

use std::collections::HashMap;

use super::{Budget, Unreadable, text};

/// How many lines at the top and at the foot of a page may be a running title.
const MARGIN: usize = 2;

pub(super) fn read(bytes: &[u8], into: &mut Budget) -> Result<(), Unreadable> {
    let pages =
        pdf_extract::extract_text_from_mem_by_pages(bytes).map_err(|error| match error {
            pdf_extract::OutputError::PdfError(error) if error.to_string().contains("crypt") => {
                Unreadable::Sealed
            }
            _ => Unreadable::Damaged,
        })?;
    if pages.iter().map(String::len).sum::<usize>() > super::MOST_TEXT {
        return Err(Unreadable::TooLong);
    }
    let pages: Vec<Vec<&str>> =
        pages.iter().map(|page| page.lines().map(str::trim).collect()).collect();
    text::read(&whole(&pages), into)
}

/// A line without its numbers, so that running titles of different pages are one.
fn without_digits(line: &str) -> String {
    line.chars().filter(|c| !c.is_ascii_digit()).collect::<String>().trim().to_owned()
}

/// The first and the last lines of a page that say something, by their place in it.
fn margins<'a>(page: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
    let filled: Vec<usize> = (0..page.len()).filter(|&at| !page[at].is_empty()).collect();
    let last = filled.len().saturating_sub(MARGIN).max(MARGIN.min(filled.len()));
    let (top, foot) = (filled[..MARGIN.min(filled.len())].to_vec(), filled[last..].to_vec());
    top.into_iter().chain(foot)
}

fn whole(pages: &[Vec<&str>]) -> String {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for page in pages {
        for at in margins(page) {
            *seen.entry(without_digits(page[at])).or_default() += 1;
        }
    }
    // On most pages: a title that comes twice in three pages is a running one.
    let runs = |line: &str| {
        pages.len() > 1
            && seen.get(&without_digits(line)).is_some_and(|n| *n * 3 >= pages.len() * 2)
    };
    let mut text = String::new();
    let mut kept_title = false;
    for page in pages {
        let running: Vec<usize> = margins(page).filter(|&at| runs(page[at])).collect();
        let lines =
            page.iter().enumerate().filter(|(at, _)| !running.contains(at)).map(|(_, l)| *l);
        if !kept_title && let Some(&title) = running.first() {
            kept_title = true;
            // A page number alone is no title.
            let number = |c: char| c.is_ascii_digit() || " |-–/".contains(c);
            let title = page[title].trim_matches(number);
            if title.chars().filter(|c| c.is_alphabetic()).count() > 8 {
                text.push_str(title);
                text.push_str("\n\n");
            }
        }
        for line in lines.skip_while(|line| line.is_empty()) {
            push_line(&mut text, line);
        }
        end_page(&mut text);
    }
    text
}

/// A word that was parted at the end of its line is whole again, its hyphen kept.
fn push_line(text: &mut String, line: &str) {
    let parted = text.trim_end_matches('\n').ends_with('-')
        && !text.ends_with("\n\n")
        && line.starts_with(char::is_lowercase);
    if parted {
        text.truncate(text.trim_end_matches('\n').len());
    }
    text.push_str(line);
    text.push('\n');
}

/// A paragraph that goes on over the page's end is not ended by it.
fn end_page(text: &mut String) {
    text.truncate(text.trim_end().len());
    let ended = text.ends_with(['.', '!', '?', ':', '|']);
    text.push_str(if ended { "\n\n" } else { "\n" });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_titles_go_and_paragraphs_run_on() {
        let pages = [
            vec!["Guide for owners 1", "", "Guide for owners", "", "Clean the basket every"],
            vec!["Guide for owners 2", "", "week. Then rinse the half-", "open tap."],
            vec!["Guide for owners 3", "", "End."],
        ];
        let text = whole(&pages);
        assert_eq!(
            text,
            "Guide for owners\n\nClean the basket every\nweek. Then rinse the half-open tap.\n\nEnd.\n\n"
        );
    }
}
