//! What a phone tells a new companion about the past.
//!
//! The chats come in chunks: the bootstrap with the latest messages of every chat, then the names
//! of people, then the rest up to 100 percent. Small ones travel inside the message, others are
//! put on the media host. A phone without chats sends one empty chunk, since some clients hold
//! back what they receive until they have seen it. Later a companion may ask for what is older
//! than the oldest message that it has of a chat.

use std::io::Write;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use buffa::MessageField;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};
use wacore::download::MediaType;
use wacore::upload::encrypt_media;
use wacore_binary::{Jid, Server};
use waproto::whatsapp as wa;
use waproto::whatsapp::history_sync::HistorySyncType as Kind;
use waproto::whatsapp::message::peer_data_operation_request_message::HistorySyncOnDemandRequest;
use waproto::whatsapp::message::protocol_message::Type as ProtocolType;
use waproto::whatsapp::message::{HistorySyncNotification, HistorySyncType, ProtocolMessage};

use super::{deliver_peer, encrypt_or_log, protocol_message};
use crate::clock::unix_seconds;
use crate::hub::Hub;
use crate::trust;
use crate::world::media::Media;
use crate::world::{DeviceAddress, World};

/// Messages of a chat that come with the bootstrap.
const LATEST: usize = 3;
/// Messages of one later chunk.
const CHUNK: usize = 500;
/// A chunk this small travels inside the message.
const LARGEST_INLINE: usize = 4 * 1024;

/// A chat as the phone kept it, oldest message first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PastChat {
    /// With whom: a phone number.
    pub(crate) phone: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) unread: u32,
    pub(crate) messages: Vec<PastMessage>,
}

/// A message of the past.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PastMessage {
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) from_me: bool,
    /// Unix seconds; without it an hour before the next.
    #[serde(default)]
    pub(crate) at: Option<u64>,
}

/// Sends the past to a new companion.
pub(super) async fn send(hub: &Arc<Hub>, to: &DeviceAddress) {
    let messages = notifications(&mut hub.world(), &to.phone);
    for message in messages {
        if let Some(enc) = encrypt_or_log(hub, &to.phone, to, &message).await {
            deliver_peer(hub, to, enc);
        }
    }
}

/// Sends what is older than a message of a chat, as much as the companion asked for.
pub(super) async fn send_older(
    hub: &Arc<Hub>,
    to: &DeviceAddress,
    (request, wanted): (&str, &HistorySyncOnDemandRequest),
) {
    let message = {
        let mut world = hub.world();
        let Some(chunk) = older(&world, &to.phone, wanted) else { return };
        notification(&mut world.media, &chunk, Some(request))
    };
    if let Some(enc) = encrypt_or_log(hub, &to.phone, to, &message).await {
        deliver_peer(hub, to, enc);
    }
}

fn older(
    world: &World,
    phone: &str,
    wanted: &HistorySyncOnDemandRequest,
) -> Option<wa::HistorySync> {
    let chat: Jid = wanted.chat_jid.as_deref()?.parse().ok()?;
    // The past may name people who are not on this network.
    let chat = world.phone_of(&chat).unwrap_or_else(|| chat.user.to_string());
    let kept = &world.accounts.get(phone)?.profile.past;
    let chat = Past::of(world, kept.iter().find(|past| past.phone == chat)?);
    let is_oldest = |message: &wa::WebMessageInfo| {
        message.key.as_option().is_some_and(|key| key.id == wanted.oldest_msg_id)
    };
    let end = chat.messages.iter().position(is_oldest).unwrap_or(chat.messages.len());
    let count = usize::try_from(wanted.on_demand_msg_count.unwrap_or_default()).unwrap_or(0);
    let start = end.saturating_sub(count.min(CHUNK));
    let mut chunk = empty(Kind::ON_DEMAND);
    chunk.conversations.push(chat.conversation(&chat.messages[start..end], start == 0));
    chunk.chunk_order = Some(0);
    chunk.progress = Some(100);
    Some(chunk)
}

fn notifications(world: &mut World, phone: &str) -> Vec<wa::Message> {
    let Some(account) = world.accounts.get(phone) else { return Vec::new() };
    let salt = account
        .profile
        .scenario
        .nct_by_history
        .then(|| trust::nct_salt(world.seed, phone).to_vec());
    let chats: Vec<Past> = account.profile.past.iter().map(|chat| Past::of(world, chat)).collect();
    let mut chunks = chunks(&chats);
    chunks[0].nct_salt = salt;
    let count = chunks.len();
    let media = &mut world.media;
    chunks
        .into_iter()
        .enumerate()
        .map(|(order, mut chunk)| {
            let progress = u32::try_from((order + 1) * 100 / count).unwrap_or(100);
            chunk.chunk_order = u32::try_from(order).ok();
            chunk.progress = Some(progress);
            notification(media, &chunk, None)
        })
        .collect()
}

/// A chat with what the messages need besides.
struct Past {
    pn: Jid,
    lid: Option<Jid>,
    name: Option<String>,
    unread: u32,
    messages: Vec<wa::WebMessageInfo>,
}

impl Past {
    fn of(world: &World, chat: &PastChat) -> Self {
        let pn = Jid::pn(chat.phone.as_str());
        let lid = world.accounts.get(&chat.phone).map(|account| account.user_jid(Server::Lid));
        let now = unix_seconds();
        let count = chat.messages.len() as u64;
        let message = |(index, past): (usize, &PastMessage)| wa::WebMessageInfo {
            key: MessageField::some(wa::MessageKey {
                remote_jid: Some(pn.to_string()),
                from_me: Some(past.from_me),
                id: Some(format!("3A{}{index:08X}", chat.phone)),
                participant: None,
            }),
            message: MessageField::some(wa::Message {
                conversation: Some(past.text.clone()),
                ..wa::Message::default()
            }),
            message_timestamp: Some(past.at.unwrap_or(now - (count - index as u64) * 3600)),
            push_name: chat.name.clone().filter(|_| !past.from_me),
            ..wa::WebMessageInfo::default()
        };
        let messages = chat.messages.iter().enumerate().map(message).collect();
        Self { lid, name: chat.name.clone(), unread: chat.unread, messages, pn }
    }

    fn conversation(&self, messages: &[wa::WebMessageInfo], ends: bool) -> wa::Conversation {
        let last = self.messages.last().and_then(|message| message.message_timestamp);
        let ordered =
            messages.iter().rev().enumerate().map(|(order, message)| wa::HistorySyncMsg {
                message: MessageField::some(message.clone()),
                msg_order_id: Some(order as u64),
            });
        wa::Conversation {
            id: self.pn.to_string(),
            messages: ordered.collect(),
            unread_count: Some(self.unread),
            conversation_timestamp: last,
            last_msg_timestamp: last,
            end_of_history_transfer: Some(ends),
            name: self.name.clone(),
            ..wa::Conversation::default()
        }
    }
}

fn empty(kind: Kind) -> wa::HistorySync {
    wa::HistorySync { sync_type: kind, ..wa::HistorySync::default() }
}

/// All chunks in order; at least the bootstrap.
fn chunks(chats: &[Past]) -> Vec<wa::HistorySync> {
    let mut bootstrap = empty(Kind::INITIAL_BOOTSTRAP);
    let mut rest = Vec::new();
    for chat in chats {
        let latest = chat.messages.len().saturating_sub(LATEST);
        let (older, newest) = chat.messages.split_at(latest);
        bootstrap.conversations.push(chat.conversation(newest, older.is_empty()));
        if let Some(lid) = &chat.lid {
            bootstrap.phone_number_to_lid_mappings.push(wa::PhoneNumberToLIDMapping {
                pn_jid: Some(chat.pn.to_string()),
                lid_jid: Some(lid.to_string()),
            });
        }
        for (index, part) in older.rchunks(CHUNK).enumerate() {
            let ends = (index + 1) * CHUNK >= older.len();
            rest.push((chat.conversation(part, ends), part.len()));
        }
    }
    let mut chunks = vec![bootstrap];
    if chats.is_empty() {
        return chunks;
    }
    let mut names = empty(Kind::PUSH_NAME);
    names.pushnames = chats
        .iter()
        .filter_map(|chat| {
            let id = Some(chat.pn.to_string());
            Some(wa::Pushname { id, pushname: Some(chat.name.clone()?) })
        })
        .collect();
    chunks.push(names);
    let mut recent = empty(Kind::RECENT);
    let mut size = 0;
    for (conversation, messages) in rest {
        if size > 0 && size + messages > CHUNK {
            chunks.push(std::mem::replace(&mut recent, empty(Kind::RECENT)));
            size = 0;
        }
        recent.conversations.push(conversation);
        size += messages;
    }
    chunks.push(recent);
    chunks
}

/// The message that brings a chunk or says where it is, and which request it answers.
fn notification(media: &mut Media, chunk: &wa::HistorySync, request: Option<&str>) -> wa::Message {
    let mut compressed = ZlibEncoder::new(Vec::new(), Compression::fast());
    let bytes = compressed
        .write_all(&waproto::codec::history_sync_to_vec(chunk))
        .and_then(|()| compressed.finish())
        .expect("writing to memory does not fail");
    let mut notification = HistorySyncNotification {
        sync_type: Some(match chunk.sync_type {
            Kind::PUSH_NAME => HistorySyncType::PUSH_NAME,
            Kind::RECENT => HistorySyncType::RECENT,
            Kind::ON_DEMAND => HistorySyncType::ON_DEMAND,
            _ => HistorySyncType::INITIAL_BOOTSTRAP,
        }),
        chunk_order: chunk.chunk_order,
        progress: chunk.progress,
        peer_data_request_session_id: request.map(str::to_owned),
        ..HistorySyncNotification::default()
    };
    if bytes.len() <= LARGEST_INLINE {
        notification.initial_hist_bootstrap_inline_payload = Some(bytes);
    } else if let Ok(encrypted) = encrypt_media(&bytes, MediaType::History) {
        let token = URL_SAFE_NO_PAD.encode(encrypted.file_enc_sha256);
        let sealed = Bytes::from(encrypted.data_to_upload);
        notification.direct_path = Some(media.store(&token, "md-msg-hist", "", sealed));
        notification.file_length = Some(bytes.len() as u64);
        notification.media_key = Some(encrypted.media_key.to_vec());
        notification.file_sha256 = Some(encrypted.file_sha256.to_vec());
        notification.file_enc_sha256 = Some(encrypted.file_enc_sha256.to_vec());
    }
    protocol_message(ProtocolMessage {
        r#type: Some(ProtocolType::HISTORY_SYNC_NOTIFICATION),
        history_sync_notification: MessageField::some(notification),
        ..ProtocolMessage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(messages: usize) -> Past {
        let message = PastMessage { text: "text".to_owned(), from_me: false, at: None };
        let chat = PastChat {
            phone: "15550100001".to_owned(),
            name: Some("Ann".to_owned()),
            unread: 0,
            messages: vec![message; messages],
        };
        Past::of(&World::new(1, Arc::default()), &chat)
    }

    #[test]
    fn a_phone_without_chats_sends_one_chunk() {
        assert_eq!(chunks(&[]).len(), 1);
    }

    #[test]
    fn every_message_is_in_exactly_one_chunk() {
        let chunks = chunks(&[chat(1203), chat(2)]);
        let count = |chunk: &wa::HistorySync| {
            chunk.conversations.iter().map(|chat| chat.messages.len()).sum::<usize>()
        };
        assert_eq!(chunks.iter().map(count).sum::<usize>(), 1205);
        assert!(chunks.iter().all(|chunk| count(chunk) <= CHUNK));
        assert_eq!(chunks[1].sync_type, Kind::PUSH_NAME);
    }
}
