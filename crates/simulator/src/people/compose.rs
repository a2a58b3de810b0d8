//! What a person can write, from the admin API's JSON to the message its client encrypts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buffa::MessageField;
use serde::Deserialize;
use wacore::download::MediaType;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::{
    AudioMessage, ContactMessage, DocumentMessage, ExtendedTextMessage, ImageMessage,
    LocationMessage, StickerMessage, VideoMessage,
};
use whatsapp_rust::upload::UploadResponse;

use super::voice::VoiceNote;

/// A picture's own bytes serve as its thumbnail when they are no larger than a real one.
const LARGEST_THUMBNAIL: usize = 10 * 1024;
const VOICE_MIMETYPE: &str = "audio/ogg; codecs=opus";

/// Fills what all kinds of media share.
macro_rules! uploaded {
    ($kind:ident, $upload:expr, $mimetype:expr) => {
        $kind {
            url: Some($upload.url),
            direct_path: Some($upload.direct_path),
            mimetype: Some($mimetype),
            media_key: Some($upload.media_key.to_vec()),
            media_key_timestamp: Some($upload.media_key_timestamp),
            file_sha256: Some($upload.file_sha256.to_vec()),
            file_enc_sha256: Some($upload.file_enc_sha256.to_vec()),
            file_length: Some($upload.file_length),
            ..$kind::default()
        }
    };
}
/// The body of a request to write; one kind of content is set.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Writing {
    pub(crate) to: String,
    text: Option<String>,
    /// Id of the message that this one answers.
    pub(crate) quote: Option<String>,
    #[serde(rename = "type")]
    kind: Option<MediaKind>,
    media: Option<String>,
    mimetype: Option<String>,
    caption: Option<String>,
    file_name: Option<String>,
    reaction: Option<Reaction>,
    edit: Option<Edit>,
    delete: Option<Target>,
    poll: Option<Poll>,
    vote: Option<Vote>,
    location: Option<Location>,
    contact: Option<Card>,
    voice: Option<Voice>,
}

/// Kinds of media by `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MediaKind {
    Image,
    Video,
    Audio,
    Document,
    Sticker,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Reaction {
    pub(crate) id: String,
    pub(crate) emoji: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Edit {
    pub(crate) id: String,
    pub(crate) text: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) id: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Poll {
    pub(crate) name: String,
    pub(crate) options: Vec<String>,
    #[serde(default = "one")]
    pub(crate) selectable: u32,
}

fn one() -> u32 {
    1
}

#[derive(Debug, Deserialize)]
pub(crate) struct Vote {
    pub(crate) id: String,
    pub(crate) options: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Location {
    latitude: f64,
    longitude: f64,
    name: Option<String>,
    address: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Card {
    name: String,
    phone: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Voice {
    pub(crate) text: String,
    pub(crate) seconds: Option<f32>,
}

/// A file to be sent.
#[derive(Debug)]
pub(crate) struct MediaDraft {
    pub(crate) kind: MediaKind,
    pub(crate) bytes: Vec<u8>,
    mimetype: String,
    caption: Option<String>,
    file_name: Option<String>,
}

/// One thing to be written.
#[derive(Debug)]
pub(crate) enum Draft {
    Text(String),
    Media(MediaDraft),
    Voice(Voice),
    Location(Location),
    Contact(Card),
    Reaction(Reaction),
    Edit(Edit),
    Delete(Target),
    Poll(Poll),
    Vote(Vote),
}

impl Writing {
    /// The one thing that is written; the error says what is wrong.
    pub(crate) fn draft(self) -> Result<Draft, &'static str> {
        let media = match (self.kind, self.media) {
            (Some(kind), Some(media)) => {
                let bytes = STANDARD.decode(media).map_err(|_| "`media` is not base64")?;
                let mimetype = self.mimetype.unwrap_or_else(|| kind.usual_mimetype().to_owned());
                let (caption, file_name) = (self.caption, self.file_name);
                Some(MediaDraft { kind, bytes, mimetype, caption, file_name })
            }
            (None, None) => None,
            _ => return Err("`type` and `media` go together"),
        };
        let mut drafts = [
            self.text.map(Draft::Text),
            media.map(Draft::Media),
            self.voice.map(Draft::Voice),
            self.location.map(Draft::Location),
            self.contact.map(Draft::Contact),
            self.reaction.map(Draft::Reaction),
            self.edit.map(Draft::Edit),
            self.delete.map(Draft::Delete),
            self.poll.map(Draft::Poll),
            self.vote.map(Draft::Vote),
        ]
        .into_iter()
        .flatten();
        match (drafts.next(), drafts.next()) {
            (Some(draft), None) => Ok(draft),
            (None, _) => Err("there is nothing to write"),
            _ => Err("a message has one kind of content"),
        }
    }
}

impl MediaKind {
    fn usual_mimetype(self) -> &'static str {
        match self {
            Self::Image => "image/jpeg",
            Self::Video => "video/mp4",
            Self::Audio => "audio/mpeg",
            Self::Document => "application/octet-stream",
            Self::Sticker => "image/webp",
        }
    }

    /// How the bytes are encrypted and where they are uploaded.
    pub(crate) fn media_type(self) -> MediaType {
        match self {
            Self::Image => MediaType::Image,
            Self::Video => MediaType::Video,
            Self::Audio => MediaType::Audio,
            Self::Document => MediaType::Document,
            Self::Sticker => MediaType::Sticker,
        }
    }
}

/// A text; `@` with a number mentions that person, as phones do it.
pub(super) fn text(text: &str) -> wa::Message {
    let words = text.split_whitespace().filter_map(|word| word.strip_prefix('@'));
    let numbers = words.filter(|word| word.len() > 6 && word.bytes().all(|b| b.is_ascii_digit()));
    let mentioned: Vec<String> = numbers.map(|number| format!("{number}@s.whatsapp.net")).collect();
    let context = (!mentioned.is_empty())
        .then(|| wa::ContextInfo { mentioned_jid: mentioned, ..wa::ContextInfo::default() });
    // Extended, so that a quote fits in.
    wa::Message {
        extended_text_message: MessageField::some(ExtendedTextMessage {
            text: Some(text.to_owned()),
            context_info: context.map(MessageField::some).unwrap_or_default(),
            ..ExtendedTextMessage::default()
        }),
        ..wa::Message::default()
    }
}

/// The message for an uploaded file.
pub(super) fn media(draft: MediaDraft, upload: UploadResponse) -> wa::Message {
    let MediaDraft { kind, bytes, mimetype, caption, file_name } = draft;
    let is_small_jpeg = mimetype == "image/jpeg" && bytes.len() <= LARGEST_THUMBNAIL;
    let thumbnail = is_small_jpeg.then_some(bytes);
    let mut message = wa::Message::default();
    match kind {
        MediaKind::Image => {
            let mut image: ImageMessage = uploaded!(ImageMessage, upload, mimetype);
            image.caption = caption;
            image.jpeg_thumbnail = thumbnail;
            message.image_message = MessageField::some(image);
        }
        MediaKind::Video => {
            let mut video: VideoMessage = uploaded!(VideoMessage, upload, mimetype);
            video.caption = caption;
            message.video_message = MessageField::some(video);
        }
        MediaKind::Audio => {
            let audio: AudioMessage = uploaded!(AudioMessage, upload, mimetype);
            message.audio_message = MessageField::some(audio);
        }
        MediaKind::Document => {
            let mut document: DocumentMessage = uploaded!(DocumentMessage, upload, mimetype);
            document.title.clone_from(&file_name);
            document.file_name = file_name;
            document.caption = caption;
            message.document_message = MessageField::some(document);
        }
        MediaKind::Sticker => {
            let sticker: StickerMessage = uploaded!(StickerMessage, upload, mimetype);
            message.sticker_message = MessageField::some(sticker);
        }
    }
    message
}

/// The message for an uploaded voice note.
pub(super) fn voice(note: VoiceNote, upload: UploadResponse) -> wa::Message {
    let mut audio: AudioMessage = uploaded!(AudioMessage, upload, VOICE_MIMETYPE.to_owned());
    audio.ptt = Some(true);
    audio.seconds = Some(note.seconds);
    audio.waveform = Some(note.waveform);
    wa::Message { audio_message: MessageField::some(audio), ..wa::Message::default() }
}

pub(super) fn location(location: Location) -> wa::Message {
    wa::Message {
        location_message: MessageField::some(LocationMessage {
            degrees_latitude: Some(location.latitude),
            degrees_longitude: Some(location.longitude),
            name: location.name,
            address: location.address,
            ..LocationMessage::default()
        }),
        ..wa::Message::default()
    }
}

pub(super) fn contact(card: &Card) -> wa::Message {
    let digits: String = card.phone.chars().filter(char::is_ascii_digit).collect();
    let name = card.name.replace(['\r', '\n'], " ");
    let vcard = format!(
        "BEGIN:VCARD\nVERSION:3.0\nN:;{name};;;\nFN:{name}\n\
         TEL;type=CELL;waid={digits}:+{digits}\nEND:VCARD"
    );
    wa::Message {
        contact_message: MessageField::some(ContactMessage {
            display_name: Some(card.name.clone()),
            vcard: Some(vcard),
            ..ContactMessage::default()
        }),
        ..wa::Message::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(json: &str) -> Result<Draft, &'static str> {
        serde_json::from_str::<Writing>(json).expect("JSON of a request").draft()
    }

    #[test]
    fn a_message_has_exactly_one_kind_of_content() {
        assert!(matches!(draft(r#"{"to":"1","text":"a"}"#), Ok(Draft::Text(_))));
        assert!(draft(r#"{"to":"1"}"#).is_err());
        assert!(draft(r#"{"to":"1","text":"a","voice":{"text":"b"}}"#).is_err());
        assert!(draft(r#"{"to":"1","type":"image"}"#).is_err());
        assert!(draft(r#"{"to":"1","type":"image","media":"?"}"#).is_err());
    }
}
