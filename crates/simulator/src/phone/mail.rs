//! What devices encrypted for a phone: kept sealed, opened when the phone has a reason to look.
//!
//! Every message brings a copy for the phones of both sides. Opening each would double the
//! network's work for nothing, so a phone keeps the latest [`MOST_LETTERS`] and opens them when
//! one of its own devices asks it for something: a key, a file, a message that it could not read,
//! more of the past. Of groups it gets nothing, since it plays no part in their sender keys.

use std::collections::VecDeque;
use std::sync::Arc;

use wacore::download::MediaType;
use wacore::proto_helpers::MessageExt;
use wacore_binary::Node;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type as ProtocolType;

use super::{history, resend, reupload, signal_address};
use crate::clock::unix_seconds;
use crate::hub::Hub;
use crate::people::downloadable;
use crate::stanza::{has_attr, text_attr};
use crate::world::DeviceAddress;

const MOST_LETTERS: usize = 256;
const MOST_FILES: usize = 1024;
const MOST_MESSAGES: usize = 256;

/// One sealed message.
#[derive(Debug, Clone)]
struct Letter {
    from: DeviceAddress,
    id: String,
    at: u64,
    encs: Vec<Node>,
}

/// A message that the phone has read.
#[derive(Debug, Clone)]
pub(super) struct KnownMessage {
    pub(super) from: DeviceAddress,
    pub(super) id: String,
    /// Unix seconds.
    pub(super) at: u64,
    pub(super) message: wa::Message,
}

/// A file that the phone knows from a message.
#[derive(Debug, Clone)]
pub(super) struct KnownFile {
    pub(super) id: String,
    pub(super) media_key: Vec<u8>,
    pub(super) file_enc_sha256: Vec<u8>,
    pub(super) media_type: MediaType,
}

/// A phone's mail.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    letters: VecDeque<Letter>,
    files: VecDeque<KnownFile>,
    messages: VecDeque<KnownMessage>,
}

impl Mail {
    /// Keeps what a device encrypted for the phone.
    pub(crate) fn put(&mut self, from: &DeviceAddress, id: String, encs: Vec<Node>) {
        if self.letters.len() == MOST_LETTERS {
            self.letters.pop_front();
        }
        self.letters.push_back(Letter { from: from.clone(), id, at: unix_seconds(), encs });
    }

    pub(super) fn file(&self, id: &str) -> Option<KnownFile> {
        self.files.iter().rev().find(|file| file.id == id).cloned()
    }

    pub(super) fn message(&self, id: &str) -> Option<KnownMessage> {
        self.messages.iter().rev().find(|known| known.id == id).cloned()
    }

    /// Notes a message that the phone has read or written.
    pub(super) fn remember(
        &mut self,
        from: &DeviceAddress,
        (id, at): (&str, u64),
        message: &wa::Message,
    ) {
        if self.messages.len() == MOST_MESSAGES {
            self.messages.pop_front();
        }
        let (from, message) = (from.clone(), message.clone());
        self.remember_file(id, &message);
        self.messages.push_back(KnownMessage { from, id: id.to_owned(), at, message });
    }

    fn remember_file(&mut self, id: &str, message: &wa::Message) {
        let Some(file) = downloadable(message) else { return };
        let (Some(key), Some(hash)) = (file.media_key(), file.file_enc_sha256()) else { return };
        if self.files.len() == MOST_FILES {
            self.files.pop_front();
        }
        self.files.push_back(KnownFile {
            id: id.to_owned(),
            media_key: key.to_vec(),
            file_enc_sha256: hash.to_vec(),
            media_type: file.app_info(),
        });
    }
}

/// Whether a stanza of a device asks something of its own phone.
pub(crate) fn concerns_phone(stanza: &Node) -> bool {
    match stanza.tag.as_ref() {
        "message" => has_attr(stanza, "category", "peer"),
        "receipt" => has_attr(stanza, "type", "server-error"),
        _ => false,
    }
}

/// The phone does what one of its devices asked.
pub(crate) async fn attend(hub: &Arc<Hub>, owner: &DeviceAddress, stanza: &Node) {
    let opened = open(hub, &owner.phone).await;
    if stanza.tag == "receipt" {
        return reupload::answer(hub, owner, stanza);
    }
    let asked = text_attr(stanza, "id");
    for KnownMessage { from, id, message, .. } in opened {
        if from.phone == owner.phone && id == asked {
            obey(hub, &from, (&id, &message)).await;
        }
    }
}

async fn obey(hub: &Arc<Hub>, from: &DeviceAddress, (id, message): (&str, &wa::Message)) {
    let Some(protocol) = message.get_base_message().protocol_message.as_option() else { return };
    if protocol.r#type == Some(ProtocolType::APP_STATE_SYNC_KEY_REQUEST) {
        return super::share_key(hub, from).await;
    }
    let Some(request) = protocol.peer_data_operation_request_message.as_option() else {
        return tracing::debug!("a phone was asked for what it does not give");
    };
    if let Some(wanted) = request.history_sync_on_demand_request.as_option() {
        history::send_older(hub, from, (id, wanted)).await;
    }
    resend::answer(hub, from, (id, &request.placeholder_message_resend_request)).await;
}

/// Opens what waits; files become known to the phone.
async fn open(hub: &Arc<Hub>, phone: &str) -> Vec<KnownMessage> {
    let sessions = {
        let world = hub.world();
        let Some(account) = world.accounts.get(phone) else { return Vec::new() };
        Arc::clone(&account.phone_sessions)
    };
    let mut sessions = sessions.lock().await;
    let letters = {
        let mut world = hub.world();
        let Some(account) = world.accounts.get_mut(phone) else { return Vec::new() };
        std::mem::take(&mut account.mail.letters)
    };
    let mut opened = Vec::new();
    for Letter { from, id, at, encs } in letters {
        for enc in &encs {
            match sessions.unseal(&signal_address(&from), enc).await {
                Ok(message) => {
                    opened.push(KnownMessage { from: from.clone(), id: id.clone(), at, message });
                }
                Err(error) => tracing::debug!(%error, "a phone cannot read a message"),
            }
        }
    }
    let mut world = hub.world();
    if let Some(account) = world.accounts.get_mut(phone) {
        for KnownMessage { from, id, at, message } in &opened {
            account.mail.remember(from, (id, *at), message);
        }
    }
    opened
}
