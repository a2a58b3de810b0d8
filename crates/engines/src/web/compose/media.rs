//! Files as messages.

use buffa::MessageField;
use flowcore_domain::message::{Media, MediaKind};
use waproto::whatsapp as wa;
use waproto::whatsapp::message as kinds;

/// The message that shows a file.
pub(super) fn message(media: &Media) -> wa::Message {
    match media.kind {
        MediaKind::Image => {
            wa::Message { image_message: MessageField::some(image(media)), ..Default::default() }
        }
        MediaKind::Video | MediaKind::Gif => {
            wa::Message { video_message: MessageField::some(video(media)), ..Default::default() }
        }
        MediaKind::VideoNote => {
            wa::Message { ptv_message: MessageField::some(video(media)), ..Default::default() }
        }
        MediaKind::Audio | MediaKind::VoiceNote => {
            wa::Message { audio_message: MessageField::some(audio(media)), ..Default::default() }
        }
        MediaKind::Document => document(media),
        MediaKind::Sticker => wa::Message {
            sticker_message: MessageField::some(sticker(media)),
            ..Default::default()
        },
    }
}

fn jpeg(media: &Media) -> Option<Vec<u8>> {
    media.thumbnail.as_ref().map(|jpeg| jpeg.to_vec())
}

/// A picture, also the one above buttons.
pub(super) fn image(media: &Media) -> kinds::ImageMessage {
    let file = &media.file;
    kinds::ImageMessage {
        url: Some(file.url.clone()),
        direct_path: Some(file.direct_path.clone()),
        media_key: Some(file.media_key.to_vec()),
        file_sha256: Some(file.sha256.to_vec()),
        file_enc_sha256: Some(file.encrypted_sha256.to_vec()),
        file_length: Some(file.length),
        media_key_timestamp: Some(file.key_made_at),
        mimetype: Some(media.mimetype.clone()),
        caption: media.caption.clone(),
        jpeg_thumbnail: jpeg(media),
        width: media.size.map(|(width, _)| width),
        height: media.size.map(|(_, height)| height),
        ..Default::default()
    }
}

fn video(media: &Media) -> kinds::VideoMessage {
    let file = &media.file;
    kinds::VideoMessage {
        url: Some(file.url.clone()),
        direct_path: Some(file.direct_path.clone()),
        media_key: Some(file.media_key.to_vec()),
        file_sha256: Some(file.sha256.to_vec()),
        file_enc_sha256: Some(file.encrypted_sha256.to_vec()),
        file_length: Some(file.length),
        media_key_timestamp: Some(file.key_made_at),
        streaming_sidecar: file.sidecar.as_ref().map(|table| table.to_vec()),
        mimetype: Some(media.mimetype.clone()),
        caption: media.caption.clone(),
        jpeg_thumbnail: jpeg(media),
        seconds: media.seconds,
        width: media.size.map(|(width, _)| width),
        height: media.size.map(|(_, height)| height),
        gif_playback: (media.kind == MediaKind::Gif).then_some(true),
        ..Default::default()
    }
}

fn audio(media: &Media) -> kinds::AudioMessage {
    let file = &media.file;
    kinds::AudioMessage {
        url: Some(file.url.clone()),
        direct_path: Some(file.direct_path.clone()),
        media_key: Some(file.media_key.to_vec()),
        file_sha256: Some(file.sha256.to_vec()),
        file_enc_sha256: Some(file.encrypted_sha256.to_vec()),
        file_length: Some(file.length),
        media_key_timestamp: Some(file.key_made_at),
        streaming_sidecar: file.sidecar.as_ref().map(|table| table.to_vec()),
        mimetype: Some(media.mimetype.clone()),
        seconds: media.seconds,
        ptt: Some(media.kind == MediaKind::VoiceNote),
        waveform: media.waveform.as_ref().map(|levels| levels.to_vec()),
        ..Default::default()
    }
}

fn sticker(media: &Media) -> kinds::StickerMessage {
    let file = &media.file;
    kinds::StickerMessage {
        url: Some(file.url.clone()),
        direct_path: Some(file.direct_path.clone()),
        media_key: Some(file.media_key.to_vec()),
        file_sha256: Some(file.sha256.to_vec()),
        file_enc_sha256: Some(file.encrypted_sha256.to_vec()),
        file_length: Some(file.length),
        media_key_timestamp: Some(file.key_made_at),
        mimetype: Some(media.mimetype.clone()),
        width: media.size.map(|(width, _)| width),
        height: media.size.map(|(_, height)| height),
        is_animated: Some(media.animated),
        ..Default::default()
    }
}

/// A document with a text has a wrapper of its own; phones show the text only then.
fn document(media: &Media) -> wa::Message {
    let file = &media.file;
    let document = kinds::DocumentMessage {
        url: Some(file.url.clone()),
        direct_path: Some(file.direct_path.clone()),
        media_key: Some(file.media_key.to_vec()),
        file_sha256: Some(file.sha256.to_vec()),
        file_enc_sha256: Some(file.encrypted_sha256.to_vec()),
        file_length: Some(file.length),
        media_key_timestamp: Some(file.key_made_at),
        mimetype: Some(media.mimetype.clone()),
        title: media.file_name.clone(),
        file_name: media.file_name.clone(),
        caption: media.caption.clone(),
        jpeg_thumbnail: jpeg(media),
        ..Default::default()
    };
    let message =
        wa::Message { document_message: MessageField::some(document), ..Default::default() };
    if media.caption.is_none() {
        return message;
    }
    let wrapper = kinds::FutureProofMessage { message: MessageField::some(message) };
    wa::Message { document_with_caption_message: MessageField::some(wrapper), ..Default::default() }
}
