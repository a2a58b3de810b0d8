//! Messages and their files over one client.
//!
//! A file that a message names is fetched from WhatsApp's media hosts and from nowhere else: addresses
//! in a message are written by whoever sent it.

use super::session::WebSession;
use super::{compose, error, translate};
use crate::crash_points::{self, CrashPoint};
use async_trait::async_trait;
use bytes::Bytes;
use flowcore_domain::clock::Millis;
use flowcore_domain::engine::{EngineError, Mail, StoredMedia};
use flowcore_domain::jid::{Jid, Server};
use flowcore_domain::message::{Composed, Content, Draft, MediaKind, Outgoing, Sent, UploadedFile};
use std::io::Cursor;
use std::time::Duration;
use wacore::download::{DownloadWriter, Downloadable, MediaType};
use wacore::media_retry::MediaRetryResult;
use wacore::proto_helpers::MessageExt as _;
use wacore::types::message::AddressingMode;
use waproto::whatsapp as wa;
use whatsapp_rust::download::DownloadParams;
use whatsapp_rust::features::{MediaReuploadRequest, StatusPrivacySetting, StatusSendOptions};
use whatsapp_rust::upload::UploadOptions;
use whatsapp_rust::{Client, SendOptions};

/// How long a send waits for the backlog of a fresh connection.
const BACKLOG: Duration = Duration::from_secs(30);
/// How long one try to move a file may take.
const TRANSFER: Duration = Duration::from_secs(120);

#[async_trait]
impl Mail for WebSession {
    async fn compose(&self, draft: &Draft) -> Result<Composed, EngineError> {
        let own = match &draft.content {
            Content::Edit { .. } | Content::Reaction { .. } if draft.to.is_group() => {
                own_address(&*self.client()?, &draft.to).await?
            }
            _ => None,
        };
        compose::of(draft, own.as_ref())
    }

    async fn upload(&self, kind: MediaKind, file: Bytes) -> Result<UploadedFile, EngineError> {
        let client = self.client()?;
        let upload = client.upload(file.into(), media_type(kind), UploadOptions::new());
        let done = tokio::time::timeout(TRANSFER, upload)
            .await
            .map_err(|_| EngineError::Interrupted)?
            .map_err(|failure| error::of_transfer(&failure))?;
        Ok(UploadedFile {
            url: done.url,
            direct_path: done.direct_path,
            media_key: done.media_key,
            sha256: done.file_sha256,
            encrypted_sha256: done.file_enc_sha256,
            length: done.file_length,
            key_made_at: done.media_key_timestamp,
            sidecar: done.streaming_sidecar.map(Bytes::from),
        })
    }

    async fn send(&self, message: &Outgoing) -> Result<Sent, EngineError> {
        let client = self.client()?;
        let proto = compose::stored(&message.proto)?;
        // What waits on the server is read first, as a phone does; see `departure` for the other reason.
        if client.wait_for_startup_sync(BACKLOG).await.is_err() {
            return Err(EngineError::NotConnected);
        }
        let _under_way = self.departures().begin();
        crash_points::pass(CrashPoint::BeforeSendWrite);
        if message.to.server() == Server::Broadcast {
            post_status(&client, message, proto).await?;
        } else {
            let options = SendOptions::default().with_message_id(message.id.as_str());
            let to = translate::wire_address(&message.to);
            client
                .send_message_with_options(to, proto, options)
                .await
                .map_err(|failure| error::of_send(&failure))?;
        }
        crash_points::pass(CrashPoint::AfterSendWrite);
        Ok(Sent { at: Millis(wacore::time::now_millis()) })
    }

    async fn download(&self, media: &StoredMedia, limit: u64) -> Result<Bytes, EngineError> {
        let message = compose::stored(&media.proto)?;
        let mut file = file_of(&message)
            .ok_or_else(|| EngineError::Invalid("the message has no file".into()))?;
        if file.file_length > limit {
            return Err(EngineError::Invalid(format!("the file is longer than {limit} bytes")));
        }
        let client = self.client()?;
        match fetch(&client, &file, limit).await {
            Err(EngineError::Gone) => {}
            other => return other,
        }
        file.direct_path = brought_again(&client, media, &file).await?;
        fetch(&client, &file, limit).await
    }
}

async fn post_status(
    client: &Client,
    message: &Outgoing,
    proto: wa::Message,
) -> Result<(), EngineError> {
    let recipients: Vec<_> = message.recipients.iter().map(translate::wire_address).collect();
    let options = StatusSendOptions {
        privacy: StatusPrivacySetting::Contacts,
        message_id: Some(message.id.clone()),
        ..Default::default()
    };
    let posted = client.status().send_raw(proto, &recipients, options).await;
    posted.map(drop).map_err(|failure| error::of_send(&failure))
}

/// How the owner is known in a group.
async fn own_address(client: &Client, group: &Jid) -> Result<Option<Jid>, EngineError> {
    let info = client.groups().query_info(&translate::wire_address(group)).await;
    let info = info.map_err(|failure| error::of_any(&failure))?;
    let own = match info.addressing_mode {
        AddressingMode::Lid => client.lid(),
        AddressingMode::Pn => client.pn(),
    };
    Ok(own.as_ref().map(translate::address))
}

fn media_type(kind: MediaKind) -> MediaType {
    match kind {
        MediaKind::Image => MediaType::Image,
        MediaKind::Video | MediaKind::Gif | MediaKind::VideoNote => MediaType::Video,
        MediaKind::Audio | MediaKind::VoiceNote => MediaType::Audio,
        MediaKind::Document => MediaType::Document,
        MediaKind::Sticker => MediaType::Sticker,
    }
}

/// Where a message says that its file is. Only the path on the media hosts: not the whole address that
/// some messages carry, which could lead anywhere.
fn file_of(message: &wa::Message) -> Option<DownloadParams> {
    let base = message.get_base_message();
    let document = base.document_with_caption_message.as_option();
    let base = document.and_then(|wrapper| wrapper.message.as_option()).unwrap_or(base);
    let file: &dyn Downloadable = if let Some(image) = base.image_message.as_option() {
        image
    } else if let Some(video) = base.video_message.as_option() {
        video
    } else if let Some(video) = base.ptv_message.as_option() {
        video
    } else if let Some(audio) = base.audio_message.as_option() {
        audio
    } else if let Some(document) = base.document_message.as_option() {
        document
    } else {
        base.sticker_message.as_option()?
    };
    let path = file.direct_path().filter(|path| path.starts_with('/'))?;
    Some(DownloadParams {
        direct_path: path.to_owned(),
        media_key: file.media_key().map(<[u8]>::to_vec),
        file_sha256: file.file_sha256()?.to_vec(),
        file_enc_sha256: file.file_enc_sha256().map(<[u8]>::to_vec),
        file_length: file.file_length().unwrap_or_default(),
        media_type: file.app_info(),
    })
}

async fn fetch(client: &Client, file: &DownloadParams, limit: u64) -> Result<Bytes, EngineError> {
    let room = Bounded { bytes: Cursor::default(), limit };
    let download = client.download_from_params_to_writer(file, room);
    let done = tokio::time::timeout(TRANSFER, download).await;
    let done = done.map_err(|_| EngineError::Interrupted)?;
    done.map(|room| room.bytes.into_inner().into()).map_err(|failure| error::of_transfer(&failure))
}

/// Takes what is downloaded, to a limit: the length that a message tells is its sender's word.
struct Bounded {
    bytes: Cursor<Vec<u8>>,
    limit: u64,
}

impl std::io::Write for Bounded {
    fn write(&mut self, some: &[u8]) -> std::io::Result<usize> {
        let length = u64::try_from(some.len()).unwrap_or(u64::MAX);
        if self.bytes.position().saturating_add(length) > self.limit {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.write(some)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl std::io::Seek for Bounded {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.bytes.seek(to)
    }
}

impl DownloadWriter for Bounded {
    fn truncate(&mut self, length: u64) -> std::io::Result<()> {
        self.bytes.get_mut().truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(())
    }
}

/// Asks the phone that sent a file to hand it to WhatsApp once more; where it is then.
async fn brought_again(
    client: &Client,
    media: &StoredMedia,
    file: &DownloadParams,
) -> Result<String, EngineError> {
    let chat = translate::wire_address(&media.key.chat);
    let participant = media.key.participant.as_ref().map(translate::wire_address);
    let request = MediaReuploadRequest {
        msg_id: &media.key.id,
        chat_jid: &chat,
        media_key: file.media_key.as_deref().ok_or(EngineError::Gone)?,
        is_from_me: media.key.from_me,
        participant: participant.as_ref(),
    };
    let answer = client.media_reupload().request(&request).await;
    match answer.map_err(|failure| error::of_any(&failure))? {
        MediaRetryResult::Success { direct_path } if direct_path.starts_with('/') => {
            Ok(direct_path)
        }
        _ => Err(EngineError::Gone),
    }
}
