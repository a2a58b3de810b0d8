//! What is shown of a page that a text links to: its title, what it says of itself, a small picture.
//!
//! A message never waits long for it and never fails because of it: the page and its picture have a few seconds
//! together, of the page only the beginning is read, and what can't be had is not shown. Pages are fetched as
//! files are: through the guard, which keeps users' links away from private addresses.

mod html;

use crate::Shared;
use crate::media::picture;
use bytes::Bytes;
use flowcore_domain::clock::Millis;
use flowcore_domain::message::LinkPreview;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long a message waits for the page and its picture.
const WITHIN: Duration = Duration::from_secs(5);
/// How much of a page is read: what it says of itself stands at its beginning.
const PAGE: usize = 512 << 10;
/// Longest picture that is fetched.
const PICTURE: usize = 2 << 20;
/// Longest title and description, in characters.
const TITLE: usize = 256;
const DESCRIPTION: usize = 512;
/// How many pages are fetched at a time.
const AT_ONCE: usize = 16;
/// How many pages are remembered, and for how long: one link often goes to many.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");
const REMEMBERED_FOR: Duration = Duration::from_secs(600);
/// How long a page that shows nothing is not asked again.
const NOTHING_FOR: Duration = Duration::from_secs(60);

/// Looks at pages.
#[derive(Debug)]
pub(crate) struct Previews {
    turns: Semaphore,
    known: Mutex<LruCache<String, Known>>,
}

/// What a page showed, and until when that is believed.
#[derive(Debug, Clone)]
struct Known {
    preview: Option<LinkPreview>,
    until: Millis,
}

impl Default for Previews {
    fn default() -> Self {
        Self { turns: Semaphore::new(AT_ONCE), known: Mutex::new(LruCache::new(REMEMBERED)) }
    }
}

impl Previews {
    /// What is shown of the first link of a text; `None` when there is none, or nothing to show.
    pub(crate) async fn of(&self, shared: &Shared, text: &str) -> Option<LinkPreview> {
        let link = link_in(text)?;
        let now = shared.now();
        if let Some(known) = self.remembered(link, now) {
            return known.preview;
        }
        let looking = async {
            let _turn = self.turns.acquire().await.ok()?;
            look(shared, link).await
        };
        let found = tokio::time::timeout(WITHIN, looking).await.ok().flatten();
        let lasts = if found.is_some() { REMEMBERED_FOR } else { NOTHING_FOR };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.put(link.to_owned(), Known { preview: found.clone(), until: now.plus(lasts) });
        found
    }

    fn remembered(&self, link: &str, now: Millis) -> Option<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(link).filter(|known| known.until > now).cloned()
    }
}

async fn look(shared: &Shared, link: &str) -> Option<LinkPreview> {
    let page = shared.fetcher.page(link, PAGE).await.ok()?;
    if !page.kind.starts_with("text/html") && !page.kind.starts_with("application/xhtml") {
        return None;
    }
    let said = html::said_of(&html::text(&page.bytes, &page.kind));
    let title = short(&said.title?, TITLE)?;
    let thumbnail = match said.image.and_then(|image| page.url.join(&image).ok()) {
        Some(image) => small_picture(shared, image.as_str()).await,
        None => None,
    };
    Some(LinkPreview {
        matched: link.to_owned(),
        title,
        description: said.description.and_then(|text| short(&text, DESCRIPTION)),
        thumbnail,
    })
}

async fn small_picture(shared: &Shared, url: &str) -> Option<Bytes> {
    let file = shared.fetcher.fetch(url, PICTURE).await.ok()?;
    let made = picture::aside(shared, move || picture::thumbnail(&file.bytes)).await;
    made.ok().map(|(jpeg, _)| jpeg)
}

/// On one line, and no longer than that; `None` when nothing is left.
fn short(text: &str, most: usize) -> Option<String> {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(words.chars().take(most).collect()).filter(|text: &String| !text.is_empty())
}

/// The first link, without the punctuation of the sentence that it ends.
fn link_in(text: &str) -> Option<&str> {
    let starts = ["https://", "http://"];
    let at = starts.iter().filter_map(|start| text.find(start)).min()?;
    let end = text[at..].find(|c: char| c.is_whitespace() || "<>\"`".contains(c));
    let link = &text[at..end.map_or(text.len(), |end| at + end)];
    let link =
        link.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_', '~', ')', ']', '}']);
    let host = link.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
    (!host.is_empty()).then_some(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_link_is_found_without_what_ends_the_sentence() {
        for (text, link) in [
            ("see https://a.example/b?c=d, it is new", Some("https://a.example/b?c=d")),
            ("(http://a.example/)", Some("http://a.example/")),
            ("*https://a.example* and http://b.example", Some("https://a.example")),
            ("http://b.example https://a.example", Some("http://b.example")),
            ("no link: a.example", None),
            ("https:// is none", None),
        ] {
            assert_eq!(link_in(text), link, "{text}");
        }
    }

    #[test]
    fn what_a_page_says_is_one_short_line() {
        assert_eq!(short(" a \n b ", 10).as_deref(), Some("a b"));
        assert_eq!(short("é\u{301}abc", 2).map(|text| text.chars().count()), Some(2));
        assert_eq!(short(" \n", 10), None);
    }
}
