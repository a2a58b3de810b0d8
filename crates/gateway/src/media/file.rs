//! The file of a stored message, fetched from WhatsApp when somebody wants it: it is not kept here.

use super::{picture, voice};
use crate::accounts::Caller;
use crate::error::ServiceError;
use crate::{Instances, Shared};
use bytes::Bytes;
use flowcore_domain::engine::{Session, StoredMedia};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::jid::Server;
use flowcore_domain::message::MessageKey;
use flowcore_storage::{Media, StoredMessage};
use std::sync::Arc;

/// The files of messages.
#[derive(Debug, Clone)]
pub struct Files {
    shared: Arc<Shared>,
    instances: Instances,
}

/// A file and what its sender says of it.
#[derive(Debug, Clone)]
pub struct File {
    /// The file.
    pub bytes: Bytes,
    /// What the message says of it; not checked.
    pub media: Media,
}

impl Files {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let instances = Instances::new(Arc::clone(&shared));
        Self { shared, instances }
    }

    /// The file of the message with that id of WhatsApp. When WhatsApp has it no more, the phone that sent
    /// it is asked to bring it again.
    ///
    /// # Errors
    /// [`ServiceError::MessageNotFound`] also where the message has no file.
    pub async fn of(
        &self,
        caller: &Caller,
        name: &InstanceName,
        message_id: &str,
    ) -> Result<File, ServiceError> {
        let instance = self.instances.find(caller, name).await?.id;
        let store = &self.shared.store;
        let message = store.message(instance, message_id).await?;
        let message = message.ok_or(ServiceError::MessageNotFound)?;
        let media = store.media(message.row_id).await?.ok_or(ServiceError::MessageNotFound)?;
        let online = self.instances.online(caller, name).await?;
        let bytes = fetch(&*online.session, message, super::MAX_MEDIA).await?;
        Ok(File { bytes, media })
    }

    /// A recording in MP4, for players that know no Ogg.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] where the file is no audio.
    pub async fn in_mp4(&self, file: File) -> Result<File, ServiceError> {
        let audio = file.bytes;
        let bytes = picture::aside(&self.shared, move || voice::in_mp4(&audio)).await?;
        let mimetype = Some("audio/mp4".to_owned());
        Ok(File { bytes, media: Media { mimetype, ..file.media } })
    }
}

/// Fetches and opens the file of a message; at most `limit` bytes.
pub(crate) async fn fetch(
    session: &dyn Session,
    message: StoredMessage,
    limit: usize,
) -> Result<Bytes, ServiceError> {
    let shared_chat = matches!(message.chat.server(), Server::Group | Server::Broadcast);
    let key = MessageKey {
        participant: shared_chat.then_some(message.sender),
        chat: message.chat,
        from_me: message.from_me,
        id: message.wa_id,
    };
    let media = StoredMedia { key, proto: message.proto };
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    Ok(session.download(&media, limit).await?)
}
