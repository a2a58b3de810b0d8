//! What callers ask to be sent.

use crate::media::MediaSource;
use flowcore_domain::message::{Button, ContactCard, List, MediaKind, MessageKey};
use std::time::Duration;

/// A caller's promise that two requests with the same key are the same request.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// The key.
    pub key: String,
    /// SHA-256 of the request.
    pub body_hash: [u8; 32],
}

/// A message to send.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// A number as people write it, or an address.
    pub to: String,
    /// What it says.
    pub content: NewContent,
    /// What it answers.
    pub quoted: Option<QuotedMessage>,
    /// Who is named in it: numbers or addresses.
    pub mentions: Vec<String>,
    /// Everybody in the group is named.
    pub mention_all: bool,
    /// How long the other side sees that it is being made, before it is sent.
    pub delay: Duration,
    /// A text with a link is shown with what the page says of itself.
    pub link_preview: bool,
    /// Whether its sender has the conversation from then on; when nobody says, people have it and programs
    /// have not.
    pub take_over: Option<bool>,
}

impl NewMessage {
    /// A message without any of the options.
    #[must_use]
    pub fn plain(to: impl Into<String>, content: NewContent) -> Self {
        Self {
            to: to.into(),
            content,
            quoted: None,
            mentions: Vec::new(),
            mention_all: false,
            delay: Duration::ZERO,
            link_preview: false,
            take_over: None,
        }
    }
}

/// What a message is to say.
#[derive(Debug, Clone)]
pub enum NewContent {
    /// A text.
    Text(String),
    /// A file.
    Media(NewMedia),
    /// A place.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// What is there.
        name: Option<String>,
        /// Its address.
        address: Option<String>,
    },
    /// People.
    Contacts(Vec<ContactCard>),
    /// A question with answers to tick.
    Poll {
        /// The question.
        name: String,
        /// The answers.
        options: Vec<String>,
        /// How many may be ticked; 0 is any number.
        selectable: u32,
    },
    /// A menu.
    List(List),
    /// A text with buttons.
    Buttons(NewButtons),
    /// A text above cards that are shown side by side.
    Carousel {
        /// The text.
        text: String,
        /// The cards.
        cards: Vec<NewButtons>,
    },
}

/// A file to send.
#[derive(Debug, Clone)]
pub struct NewMedia {
    /// As what it is shown.
    pub kind: MediaKind,
    /// Where it comes from.
    pub source: MediaSource,
    /// What the caller says that it is; else it is found out.
    pub mimetype: Option<String>,
    /// The text with it.
    pub caption: Option<String>,
    /// Its name.
    pub file_name: Option<String>,
    /// Makes of it what WhatsApp shows: voice notes of any audio, stickers of any picture. Otherwise it has
    /// to be that already.
    pub convert: bool,
}

impl NewMedia {
    /// A file without a text.
    #[must_use]
    pub fn plain(kind: MediaKind, source: MediaSource) -> Self {
        Self { kind, source, mimetype: None, caption: None, file_name: None, convert: true }
    }
}

/// A text with buttons.
#[derive(Debug, Clone)]
pub struct NewButtons {
    /// Its heading.
    pub title: String,
    /// The text.
    pub description: Option<String>,
    /// Small text below.
    pub footer: Option<String>,
    /// A picture above.
    pub image: Option<MediaSource>,
    /// What can be pressed.
    pub buttons: Vec<Button>,
}

/// An earlier message that is answered.
#[derive(Debug, Clone)]
pub struct QuotedMessage {
    /// Its id; enough for one that is stored.
    pub id: String,
    /// The whole key, for one that is not.
    pub key: Option<MessageKey>,
    /// What it said, for one that is not stored.
    pub text: Option<String>,
}
