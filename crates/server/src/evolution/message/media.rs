//! Files that are sent: as a URL, as base64, or as a part of a form.

use super::{Options, TEXT, read, send};
use crate::app::AppState;
use crate::evolution::body::{MEDIA_LIMIT, Upload};
use crate::evolution::refusal::Refusal;
use crate::evolution::schema::{Field, Kind, optional, required};
use crate::evolution::{Answer, Held};
use axum::extract::State;
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use flowcore_domain::message::MediaKind;
use flowcore_gateway::{MediaSource, NewContent, NewMedia};
use serde::Deserialize;

pub(in crate::evolution) const FILE: Kind = Kind::Text(MEDIA_LIMIT);
const NAME: Kind = Kind::Text(255);
const KINDS: [&str; 4] = ["image", "document", "video", "audio"];

pub(in crate::evolution) const MEDIA: [Field; 6] = [
    required("mediatype", Kind::OneOf(&KINDS)),
    optional("media", FILE),
    optional("mimetype", NAME),
    optional("caption", TEXT),
    optional("fileName", NAME),
    optional("gifPlayback", Kind::Flag),
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MediaBlock {
    mediatype: String,
    media: Option<String>,
    mimetype: Option<String>,
    caption: Option<String>,
    file_name: Option<String>,
    gif_playback: Option<bool>,
}

/// Base64 with or without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a client gave as a file.
pub(in crate::evolution) fn source(
    text: Option<String>,
    file: Option<Bytes>,
    else_said: &str,
) -> Result<MediaSource, Refusal> {
    if let Some(file) = file {
        return Ok(MediaSource::Bytes(file));
    }
    let text = text.filter(|text| !text.is_empty()).ok_or_else(|| Refusal::bad(else_said))?;
    if text.starts_with("http://") || text.starts_with("https://") {
        return Ok(MediaSource::Url(text));
    }
    let encoded = match text.split_once(";base64,") {
        Some((head, encoded)) if head.starts_with("data:") => encoded,
        _ => &text,
    };
    let clean = if encoded.bytes().any(|byte| byte.is_ascii_whitespace()) {
        encoded.split_ascii_whitespace().collect::<String>()
    } else {
        encoded.to_owned()
    };
    match BASE64.decode(clean) {
        Ok(bytes) if !bytes.is_empty() => Ok(MediaSource::Bytes(bytes.into())),
        _ => Err(Refusal::bad(else_said)),
    }
}

/// `POST /message/sendMedia/{name}`
pub(in crate::evolution) async fn send_media(
    State(state): State<AppState>,
    held: Held,
    upload: Upload,
) -> Answer {
    let Upload { body, file, file_name, mimetype, room: _room } = upload;
    let (options, own): (Options, MediaBlock) = read(body, &MEDIA)?;
    let source = source(own.media, file, "Owned media must be a url or base64")?;
    let file_name = own.file_name.filter(|name| !name.is_empty()).or(file_name);
    let is_url = matches!(source, MediaSource::Url(_));
    if own.mediatype == "document" && !is_url && file_name.is_none() {
        return Err(Refusal::bad("For base64 the file name must be informed."));
    }
    let kind = match own.mediatype.as_str() {
        "image" => MediaKind::Image,
        "video" if own.gif_playback == Some(true) => MediaKind::Gif,
        "video" => MediaKind::Video,
        "audio" => MediaKind::Audio,
        _ => MediaKind::Document,
    };
    let media = NewMedia {
        mimetype: own.mimetype.filter(|kind| !kind.is_empty()).or(mimetype),
        caption: own.caption.filter(|text| !text.is_empty()),
        file_name,
        ..NewMedia::plain(kind, source)
    };
    send(&state, &held, (options, NewContent::Media(media))).await
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct One {
    #[serde(alias = "video", alias = "audio", alias = "sticker")]
    file: Option<String>,
    encoding: Option<bool>,
    not_convert_sticker: Option<bool>,
}

/// The body of a message that is one file, by the name of its field.
pub(in crate::evolution) const fn one_file(field: &'static str) -> [Field; 3] {
    [
        optional(field, FILE),
        optional("encoding", Kind::Flag),
        optional("notConvertSticker", Kind::Flag),
    ]
}

async fn send_one(
    state: &AppState,
    held: &Held,
    upload: Upload,
    (field, kind, sentence): (&'static str, MediaKind, &str),
) -> Answer {
    let Upload { mut body, file, room: _room, .. } = upload;
    // The field that this route does not have is no file.
    if let Some(fields) = body.0.as_object_mut() {
        fields.retain(|name, _| {
            name == field || !["file", "video", "audio", "sticker"].contains(&name.as_str())
        });
    }
    let fields = one_file(field);
    let (options, own): (Options, One) = read(body, &fields)?;
    let source = source(own.file, file, sentence)?;
    let as_it_is = own.encoding == Some(false) || own.not_convert_sticker == Some(true);
    let media = NewMedia { convert: !as_it_is, ..NewMedia::plain(kind, source) };
    send(state, held, (options, NewContent::Media(media))).await
}

/// `POST /message/sendPtv/{name}`
pub(in crate::evolution) async fn send_ptv(
    State(state): State<AppState>,
    held: Held,
    upload: Upload,
) -> Answer {
    let sentence = "Owned media must be a url or base64";
    send_one(&state, &held, upload, ("video", MediaKind::VideoNote, sentence)).await
}

/// `POST /message/sendWhatsAppAudio/{name}`
pub(in crate::evolution) async fn send_audio(
    State(state): State<AppState>,
    held: Held,
    upload: Upload,
) -> Answer {
    let sentence = "Owned media must be a url, base64, or valid file with buffer";
    send_one(&state, &held, upload, ("audio", MediaKind::VoiceNote, sentence)).await
}

/// `POST /message/sendSticker/{name}`
pub(in crate::evolution) async fn send_sticker(
    State(state): State<AppState>,
    held: Held,
    upload: Upload,
) -> Answer {
    let sentence = "Owned media must be a url or base64";
    send_one(&state, &held, upload, ("sticker", MediaKind::Sticker, sentence)).await
}
