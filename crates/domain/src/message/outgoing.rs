//! Messages on their way out: what a user asks for ([`Draft`]), what an engine makes of it ([`Composed`]),
//! and what is handed to WhatsApp ([`Outgoing`]).
//!
//! A draft is composed once, before it is stored. What is stored is WhatsApp's own protobuf, so that a
//! message that is sent again after a crash is the same one, to the last random byte.

use crate::clock::Millis;
use crate::jid::Jid;
use bytes::Bytes;
use serde_json::Value;

/// Which message.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageKey {
    /// The conversation.
    pub chat: Jid,
    /// Whether the owner of the number wrote it.
    pub from_me: bool,
    /// WhatsApp's id.
    pub id: String,
    /// Who wrote it, in groups and status.
    pub participant: Option<Jid>,
}

impl std::fmt::Debug for MessageKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a message is to say.
#[derive(Clone, PartialEq)]
pub enum Content {
    /// A text.
    Text {
        /// What it says.
        text: String,
        /// What is shown of the page that it links to.
        preview: Option<LinkPreview>,
    },
    /// A file that was uploaded.
    Media(Box<Media>),
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
    /// People; one or several.
    Contacts(Vec<ContactCard>),
    /// A reaction to a message; an empty one takes it back.
    Reaction {
        /// To which.
        key: MessageKey,
        /// One emoji or nothing.
        emoji: String,
    },
    /// A question with answers to tick.
    Poll {
        /// The question.
        name: String,
        /// The answers.
        options: Vec<String>,
        /// How many may be ticked; 0 is any number.
        selectable: u32,
    },
    /// A menu that opens.
    List(List),
    /// A text with buttons.
    Buttons(Buttons),
    /// A text above cards that are shown side by side.
    Carousel {
        /// The text.
        text: String,
        /// The cards.
        cards: Vec<Buttons>,
    },
    /// A text status.
    StatusText {
        /// What it says.
        text: String,
        /// Colour behind it, `0xAARRGGBB`.
        background: u32,
        /// Which of WhatsApp's fonts.
        font: u8,
    },
    /// Another text for a message of ours.
    Edit {
        /// Which.
        key: MessageKey,
        /// What it says now.
        text: String,
    },
    /// A message taken back for everyone.
    Revoke {
        /// Which.
        key: MessageKey,
    },
    /// A stored message passed on: its protobuf.
    Forward(Bytes),
    /// An invitation into a group.
    GroupInvite(GroupInvite),
}

/// Never shows content.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Content(…)")
    }
}

/// What is shown of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkPreview {
    /// The link as it stands in the text.
    pub matched: String,
    /// The page's title.
    pub title: String,
    /// What the page says of itself.
    pub description: Option<String>,
    /// A small JPEG.
    pub thumbnail: Option<Bytes>,
}

/// What a file is shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A film.
    Video,
    /// A film without sound that repeats.
    Gif,
    /// A round film.
    VideoNote,
    /// Music and the like.
    Audio,
    /// Something spoken.
    VoiceNote,
    /// Any file.
    Document,
    /// A sticker.
    Sticker,
}

/// A file and how it is shown.
#[derive(Clone, PartialEq)]
pub struct Media {
    /// As what.
    pub kind: MediaKind,
    /// Where it is.
    pub file: UploadedFile,
    /// What it is.
    pub mimetype: String,
    /// The text with it.
    pub caption: Option<String>,
    /// Its name.
    pub file_name: Option<String>,
    /// A small JPEG of it.
    pub thumbnail: Option<Bytes>,
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
    /// How long it lasts.
    pub seconds: Option<u32>,
    /// How loud it is: 64 values of 0 to 100.
    pub waveform: Option<Bytes>,
    /// A sticker that moves.
    pub animated: bool,
}

/// Where WhatsApp keeps an encrypted file, and how it is opened.
#[derive(Clone, PartialEq, Eq)]
pub struct UploadedFile {
    /// Its address.
    pub url: String,
    /// Its path on any media host.
    pub direct_path: String,
    /// What opens it.
    pub media_key: [u8; 32],
    /// Hash of the file.
    pub sha256: [u8; 32],
    /// Hash of the file as encrypted.
    pub encrypted_sha256: [u8; 32],
    /// Length in bytes.
    pub length: u64,
    /// When the key was made, in seconds.
    pub key_made_at: i64,
    /// What lets a player begin before the end is there.
    pub sidecar: Option<Bytes>,
}

/// Never shows keys.
impl std::fmt::Debug for UploadedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UploadedFile").field("length", &self.length).finish_non_exhaustive()
    }
}

/// Somebody's card.
#[derive(Clone, PartialEq, Eq)]
pub struct ContactCard {
    /// Their name.
    pub full_name: String,
    /// Their phone, as people write it.
    pub phone: String,
    /// Their number on WhatsApp, in digits.
    pub number: String,
    /// Where they work.
    pub organization: Option<String>,
    /// Their mail address.
    pub email: Option<String>,
    /// Their page.
    pub url: Option<String>,
}

impl ContactCard {
    /// The card in the format of version 3, with line breaks in values taken out.
    #[must_use]
    pub fn vcard(&self) -> String {
        let clean = |text: &str| -> String {
            let text = text.replace(['\r', '\n'], " ");
            text.replace('\\', "\\\\").replace(',', "\\,").replace(';', "\\;")
        };
        let mut lines = vec![
            "BEGIN:VCARD".to_owned(),
            "VERSION:3.0".to_owned(),
            format!("N:{}", clean(&self.full_name)),
            format!("FN:{}", clean(&self.full_name)),
        ];
        if let Some(organization) = &self.organization {
            lines.push(format!("ORG:{};", clean(organization)));
        }
        if let Some(email) = &self.email {
            lines.push(format!("EMAIL:{}", clean(email)));
        }
        if let Some(url) = &self.url {
            lines.push(format!("URL:{}", url.replace(['\r', '\n'], "")));
        }
        let phone = self.phone.replace(['\r', '\n', ';', ':'], "");
        lines.push(format!("item1.TEL;waid={}:{phone}", self.number));
        lines.push("item1.X-ABLabel:Celular".to_owned());
        lines.push("END:VCARD".to_owned());
        lines.join("\n")
    }
}

impl std::fmt::Debug for ContactCard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContactCard(…)")
    }
}

/// A menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Its heading.
    pub title: String,
    /// What it is about.
    pub description: Option<String>,
    /// What the button that opens it says.
    pub button: String,
    /// Small text below.
    pub footer: Option<String>,
    /// Its parts.
    pub sections: Vec<ListSection>,
}

/// A part of a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListSection {
    /// Its heading.
    pub title: String,
    /// What can be chosen.
    pub rows: Vec<ListRow>,
}

/// A line of a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRow {
    /// What the answer carries.
    pub id: String,
    /// What it says.
    pub title: String,
    /// What it says below.
    pub description: Option<String>,
}

/// A text with buttons.
#[derive(Debug, Clone, PartialEq)]
pub struct Buttons {
    /// Its heading.
    pub title: String,
    /// The text.
    pub description: Option<String>,
    /// Small text below.
    pub footer: Option<String>,
    /// A picture above.
    pub image: Option<Box<Media>>,
    /// What can be pressed.
    pub buttons: Vec<Button>,
}

impl std::fmt::Debug for Media {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Media").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Button {
    /// Answers.
    Reply {
        /// What it says.
        text: String,
        /// What the answer carries.
        id: String,
    },
    /// Copies a code.
    Copy {
        /// What it says.
        text: String,
        /// What is copied.
        code: String,
    },
    /// Opens a page.
    Url {
        /// What it says.
        text: String,
        /// Which.
        url: String,
    },
    /// Calls.
    Call {
        /// What it says.
        text: String,
        /// Whom.
        phone: String,
    },
    /// Shows a key for a payment by Pix.
    Pix {
        /// The currency.
        currency: String,
        /// Who is paid.
        name: String,
        /// Kind of the key, in capitals as WhatsApp wants it.
        key_type: String,
        /// The key.
        key: String,
    },
}

/// An invitation into a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInvite {
    /// Which.
    pub group: Jid,
    /// What it is called.
    pub subject: String,
    /// What lets one in.
    pub code: String,
    /// The text with it.
    pub caption: Option<String>,
}

/// An earlier message that is answered.
#[derive(Clone, PartialEq, Eq)]
pub struct Quoted {
    /// Which.
    pub key: MessageKey,
    /// Its protobuf.
    pub proto: Bytes,
}

impl std::fmt::Debug for Quoted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quoted").field("key", &self.key).finish_non_exhaustive()
    }
}

/// A message as it is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Whom it goes to.
    pub to: Jid,
    /// What it says.
    pub content: Content,
    /// What it answers.
    pub quoted: Option<Quoted>,
    /// Who is named in it.
    pub mentions: Vec<Jid>,
}

impl Draft {
    /// A message that answers nothing and names nobody.
    #[must_use]
    pub fn plain(to: Jid, content: Content) -> Self {
        Self { to, content, quoted: None, mentions: Vec::new() }
    }
}

/// A message as WhatsApp will have it.
#[derive(Clone, PartialEq)]
pub struct Composed {
    /// WhatsApp's protobuf.
    pub proto: Bytes,
    /// The message in the shape of events.
    pub content: Value,
    /// Which kind it is.
    pub kind: String,
    /// What lists and search show.
    pub text: Option<String>,
    /// Quote and mentions.
    pub context: Option<Value>,
}

impl std::fmt::Debug for Composed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Composed").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A composed message that is handed to WhatsApp.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The id that the message will have on WhatsApp. Given by us, so that a retry after a crash
    /// carries the same one and the other phone shows the message once.
    pub id: String,
    /// Whom it goes to.
    pub to: Jid,
    /// Who sees it, for a status; empty otherwise.
    pub recipients: Vec<Jid>,
    /// WhatsApp's protobuf.
    pub proto: Bytes,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What is remembered of a message that was handed to WhatsApp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// When it was written to the socket.
    pub at: Millis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_can_not_be_broken_out_of() {
        let card = ContactCard {
            full_name: "Ana\nTEL:1".into(),
            phone: "+55 11\r\n9".into(),
            number: "5511".into(),
            organization: Some("A;B".into()),
            email: None,
            url: None,
        };
        let text = card.vcard();
        assert_eq!(text.lines().count(), 8);
        assert!(text.contains("ORG:A\\;B;") && text.contains("item1.TEL;waid=5511:+55 119"));
    }
}
