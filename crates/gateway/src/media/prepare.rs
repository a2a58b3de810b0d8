//! A file made ready to be uploaded.

use super::kind::{by_name, extension, sniff};
use super::{film, picture, voice};
use crate::Shared;
use crate::error::ServiceError;
use crate::messages::NewMedia;
use bytes::Bytes;
use flowcore_domain::message::MediaKind;

/// Longest name of a file, in characters.
const MAX_NAME: usize = 255;

/// A file as it is uploaded, and what is shown of it.
pub(crate) struct Prepared {
    pub(crate) bytes: Bytes,
    pub(crate) mimetype: String,
    pub(crate) file_name: Option<String>,
    pub(crate) thumbnail: Option<Bytes>,
    pub(crate) size: Option<(u32, u32)>,
    pub(crate) seconds: Option<u32>,
    pub(crate) waveform: Option<Bytes>,
    pub(crate) animated: bool,
}

/// Brings a file and makes it ready.
pub(crate) async fn prepare(shared: &Shared, asked: &NewMedia) -> Result<Prepared, ServiceError> {
    let brought = shared.fetcher.bring(&asked.source).await?;
    if brought.bytes.is_empty() {
        return Err(ServiceError::Invalid("the file is empty".into()));
    }
    let name = asked.file_name.clone().or(brought.name);
    let mimetype = mimetype(asked, &brought.bytes, brought.said.as_deref(), name.as_deref())?;
    let file_name = (asked.kind == MediaKind::Document).then(|| {
        let name = name.unwrap_or_else(|| format!("file.{}", extension(&mimetype)));
        name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
    });
    let raw = Prepared {
        bytes: brought.bytes,
        mimetype,
        file_name,
        thumbnail: None,
        size: None,
        seconds: None,
        waveform: None,
        animated: false,
    };
    match asked.kind {
        MediaKind::Image => picture::aside(shared, || image(raw)).await,
        MediaKind::Sticker => {
            let convert = asked.convert;
            picture::aside(shared, move || sticker(raw, convert)).await
        }
        MediaKind::VoiceNote if asked.convert => picture::aside(shared, || spoken(raw)).await,
        MediaKind::Audio | MediaKind::VoiceNote => picture::aside(shared, || sound(raw)).await,
        MediaKind::Video | MediaKind::Gif | MediaKind::VideoNote => Ok(film(raw)),
        MediaKind::Document => Ok(raw),
    }
}

fn spoken(raw: Prepared) -> Result<Prepared, ServiceError> {
    let note = voice::note(&raw.bytes, &raw.mimetype)?;
    Ok(Prepared {
        bytes: note.ogg,
        mimetype: "audio/ogg; codecs=opus".into(),
        seconds: Some(note.seconds),
        waveform: Some(note.waveform),
        ..raw
    })
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of work that is done aside")]
fn sound(raw: Prepared) -> Result<Prepared, ServiceError> {
    let seconds = voice::seconds(&raw.bytes);
    let opus = raw.mimetype == "audio/ogg";
    let mimetype = if opus { "audio/ogg; codecs=opus".into() } else { raw.mimetype };
    Ok(Prepared { mimetype, seconds, ..raw })
}

/// A film is sent as it is; its header says how long it is.
fn film(raw: Prepared) -> Prepared {
    let seconds = film::seconds(&raw.bytes);
    Prepared { seconds, ..raw }
}

fn image(raw: Prepared) -> Result<Prepared, ServiceError> {
    let (thumbnail, size) = picture::thumbnail(&raw.bytes)?;
    let (bytes, mimetype) = picture::shown(&raw.bytes, &raw.mimetype)?;
    let (thumbnail, size) = (Some(thumbnail), Some(size));
    Ok(Prepared { bytes, mimetype: mimetype.into(), thumbnail, size, ..raw })
}

fn sticker(raw: Prepared, convert: bool) -> Result<Prepared, ServiceError> {
    if !convert && raw.mimetype != "image/webp" {
        return Err(ServiceError::Invalid("a sticker that is not converted is a WebP".into()));
    }
    let (bytes, animated) = if convert {
        picture::sticker(&raw.bytes, &raw.mimetype)?
    } else {
        let animated = picture::moves(&raw.bytes);
        (raw.bytes, animated)
    };
    let size = Some(picture::STICKER_SIZE);
    Ok(Prepared { bytes, mimetype: "image/webp".into(), size, animated, ..raw })
}

/// What the file is. Its bytes have the first word where they say something; a document may be called
/// anything, the others have to be what they are shown as.
fn mimetype(
    asked: &NewMedia,
    bytes: &[u8],
    said: Option<&str>,
    name: Option<&str>,
) -> Result<String, ServiceError> {
    let found = sniff(bytes);
    let (family, word) = match asked.kind {
        MediaKind::Document => {
            let told = asked.mimetype.as_deref().or_else(|| name.and_then(by_name)).or(found);
            return Ok(told.or(said).unwrap_or("application/octet-stream").to_owned());
        }
        MediaKind::Image | MediaKind::Sticker => ("image/", "image"),
        MediaKind::Video | MediaKind::Gif | MediaKind::VideoNote => ("video/", "video"),
        MediaKind::Audio | MediaKind::VoiceNote => ("audio/", "audio"),
    };
    // Films and sound share their containers.
    let containers = ["video/mp4", "video/webm", "audio/mp4"];
    match found {
        Some(kind) if kind.starts_with(family) => Ok(kind.to_owned()),
        Some(kind) if family != "image/" && containers.contains(&kind) => {
            Ok(kind.replace("video/", family).replace("audio/", family))
        }
        _ => Err(ServiceError::Invalid(format!("the file is no {word} that WhatsApp shows"))),
    }
}
