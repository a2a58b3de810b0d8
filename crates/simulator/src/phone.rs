//! The phones: device 0 of every account, played by the network with real Signal sessions.
//!
//! A phone greets each new companion with the app-state key share that lets its link finish and
//! with its history, which is empty; and it writes messages of its own. What companions encrypt
//! for a phone is not opened.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use async_trait::async_trait;
use buffa::MessageField;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use rand::RngExt;
use wacore::libsignal::protocol::error::Result as SignalResult;
use wacore::libsignal::protocol::{
    CiphertextMessageType, DeviceId, Direction, IdentityChange, IdentityKey, IdentityKeyPair,
    IdentityKeyStore, KeyPair, PreKeyBundle, ProtocolAddress, PublicKey, SessionRecord,
    SessionStore, SignalProtocolError, UsePQRatchet, message_encrypt, process_prekey_bundle,
};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type as ProtocolType;
use waproto::whatsapp::message::{
    AppStateSyncKey, AppStateSyncKeyData, AppStateSyncKeyFingerprint, AppStateSyncKeyId,
    AppStateSyncKeyShare, DeviceSentMessage, HistorySyncNotification, HistorySyncType,
    ProtocolMessage,
};

use crate::clock::unix_seconds;
use crate::hub::Hub;
use crate::iq::take_bundle;
use crate::notifications::{self, Change};
use crate::stanza::with_attr;
use crate::world::DeviceAddress;
use crate::world::queue::Class;
use crate::world::record::Accepted;

/// Signal plaintexts end in n bytes of value n, at most this many.
const LARGEST_PADDING: u8 = 16;

/// Why a phone could not write.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PhoneError {
    #[error("there is no such account")]
    NoAccount,
    #[error("the recipient is not on WhatsApp")]
    NoRecipient,
}

/// A companion has uploaded its keys: peers and siblings hear of it, the phone sends its share.
pub(crate) async fn welcome(hub: &Arc<Hub>, owner: &DeviceAddress) {
    let share = {
        let mut world = hub.world();
        let Some(device) = world.device(owner) else { return };
        let key_index = device.key_index;
        notifications::devices_changed(&mut world, owner, key_index, Change::Added);
        let Some(account) = world.accounts.get(&owner.phone) else { return };
        key_share(account.keys.raw_id, &account.app_state)
    };
    for message in [share, history()] {
        match encrypt(hub, &owner.phone, owner, &message).await {
            Ok(Some(enc)) => deliver_peer(hub, owner, enc),
            Ok(None) => return,
            Err(error) => tracing::warn!(%error, "the phone could not greet a new device"),
        }
    }
}

/// The first and last chunk of a history without chats. Some clients hold back what they receive
/// until they have seen it.
fn history() -> wa::Message {
    let history = wa::HistorySync {
        sync_type: wa::history_sync::HistorySyncType::INITIAL_BOOTSTRAP,
        chunk_order: Some(0),
        progress: Some(100),
        ..wa::HistorySync::default()
    };
    let mut compressed = ZlibEncoder::new(Vec::new(), Compression::fast());
    let inline = compressed
        .write_all(&waproto::codec::history_sync_to_vec(&history))
        .and_then(|()| compressed.finish())
        .expect("writing to memory does not fail");
    protocol_message(ProtocolMessage {
        r#type: Some(ProtocolType::HISTORY_SYNC_NOTIFICATION),
        history_sync_notification: MessageField::some(HistorySyncNotification {
            sync_type: Some(HistorySyncType::INITIAL_BOOTSTRAP),
            chunk_order: Some(0),
            progress: Some(100),
            initial_hist_bootstrap_inline_payload: Some(inline),
            ..HistorySyncNotification::default()
        }),
        ..ProtocolMessage::default()
    })
}

fn protocol_message(message: ProtocolMessage) -> wa::Message {
    wa::Message { protocol_message: MessageField::some(message), ..wa::Message::default() }
}

fn key_share(raw_id: u32, state: &crate::world::app_state::AppState) -> wa::Message {
    let key = AppStateSyncKey {
        key_id: MessageField::some(AppStateSyncKeyId { key_id: Some(state.key_id.to_vec()) }),
        key_data: MessageField::some(AppStateSyncKeyData {
            key_data: Some(state.key.to_vec()),
            fingerprint: MessageField::some(AppStateSyncKeyFingerprint {
                raw_id: Some(raw_id),
                current_index: Some(0),
                device_indexes: vec![0],
            }),
            timestamp: i64::try_from(unix_seconds()).ok(),
        }),
    };
    protocol_message(ProtocolMessage {
        r#type: Some(ProtocolType::APP_STATE_SYNC_KEY_SHARE),
        app_state_sync_key_share: MessageField::some(AppStateSyncKeyShare { keys: vec![key] }),
        ..ProtocolMessage::default()
    })
}

fn deliver_peer(hub: &Hub, to: &DeviceAddress, enc: Node) {
    let mut world = hub.world();
    let id = format!("3A{}", world.stanza_id("phone-message"));
    let Some(account) = world.accounts.get(&to.phone) else { return };
    let stanza = NodeBuilder::new("message")
        .attr("from", account.user_jid(Server::Pn))
        .attr("id", id)
        .attr("type", "text")
        .attr("category", "peer")
        .attr("t", unix_seconds())
        .children([enc])
        .build();
    world.deliver(to, Class::Message, stanza);
}

/// The owner writes on the phone: to every device of the recipient, and a copy to the own ones.
pub(crate) async fn write(
    hub: &Arc<Hub>,
    phone: &str,
    to: &Jid,
    text: &str,
) -> Result<String, PhoneError> {
    let (recipient, id) = {
        let mut world = hub.world();
        if !world.accounts.contains_key(phone) {
            return Err(PhoneError::NoAccount);
        }
        let recipient = world.phone_of(to).ok_or(PhoneError::NoRecipient)?;
        world.acquaint(phone, &recipient);
        (recipient, format!("3A{}", world.stanza_id("phone-message")))
    };
    let message = wa::Message { conversation: Some(text.to_owned()), ..wa::Message::default() };
    let chat = to.to_non_ad();
    let copy = wa::Message {
        device_sent_message: MessageField::some(DeviceSentMessage {
            destination_jid: Some(chat.to_string()),
            message: MessageField::some(message.clone()),
            ..DeviceSentMessage::default()
        }),
        ..wa::Message::default()
    };
    let (devices, own) = {
        let world = hub.world();
        (world.companions(&recipient), world.companions(phone))
    };
    for device in devices {
        send(hub, phone, &device, &id, (&message, None)).await;
    }
    for device in own {
        send(hub, phone, &device, &id, (&copy, Some(&chat))).await;
    }
    let mut world = hub.world();
    let entry = Accepted { id: id.clone(), from: phone.to_owned(), to: recipient };
    world.record.accept(entry);
    world.touch();
    Ok(id)
}

/// One device's copy; the chat is named when it is one of the own devices.
async fn send(
    hub: &Arc<Hub>,
    phone: &str,
    device: &DeviceAddress,
    id: &str,
    (message, chat): (&wa::Message, Option<&Jid>),
) {
    let enc = match encrypt(hub, phone, device, message).await {
        Ok(Some(enc)) => enc,
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(%error, "the phone could not encrypt a message");
            return;
        }
    };
    let mut world = hub.world();
    let Some(account) = world.accounts.get(phone) else { return };
    let mut stanza = NodeBuilder::new("message")
        .attr("from", account.user_jid(Server::Pn))
        .attr("sender_lid", account.user_jid(Server::Lid))
        .attr("id", id)
        .attr("type", "text")
        .attr("t", unix_seconds())
        .attr("notify", account.profile.push_name.as_str())
        .children([enc])
        .build();
    if let Some(chat) = chat {
        stanza = with_attr(stanza, "recipient", chat.clone());
    }
    world.deliver(device, Class::Message, stanza);
}

/// An `<enc>` for one device; `None` when the device is gone.
async fn encrypt(
    hub: &Arc<Hub>,
    phone: &str,
    to: &DeviceAddress,
    message: &wa::Message,
) -> Result<Option<Node>, SignalProtocolError> {
    let sessions = {
        let world = hub.world();
        let Some(account) = world.accounts.get(phone) else { return Ok(None) };
        Arc::clone(&account.phone_sessions)
    };
    let mut sessions = sessions.lock().await;
    let address = ProtocolAddress::new(&to.phone, DeviceId::new(u32::from(to.device)));
    if !sessions.records.0.contains_key(&address) {
        let bundle = take_bundle(&mut hub.world(), to);
        let Some(bundle) = bundle else { return Ok(None) };
        sessions.open(&address, bundle).await?;
    }
    let sealed = sessions.seal(&address, message).await?;
    Ok(Some(sealed))
}

/// Signal state of one phone.
pub(crate) struct PhoneSessions {
    records: Records,
    identity: Identity,
}

impl PhoneSessions {
    pub(crate) fn new(identity: KeyPair, registration: u32) -> Self {
        let key = IdentityKey::new(identity.public_key);
        let pair = IdentityKeyPair::new(key, identity.private_key);
        let identity = Identity { pair, registration, known: HashMap::new() };
        Self { records: Records::default(), identity }
    }

    async fn open(
        &mut self,
        address: &ProtocolAddress,
        bundle: crate::iq::Bundle,
    ) -> Result<(), SignalProtocolError> {
        let key = |bytes: &[u8; 32]| PublicKey::from_djb_public_key_bytes(bytes);
        let one_time = match &bundle.one_time {
            Some(one_time) => Some((one_time.id.into(), key(&one_time.public)?)),
            None => None,
        };
        let bundle = PreKeyBundle::new(
            bundle.registration,
            address.device_id(),
            one_time,
            bundle.signed.id.into(),
            key(&bundle.signed.public)?,
            bundle.signed.signature.to_vec(),
            IdentityKey::new(key(&bundle.identity)?),
        )?;
        let (records, identity) = (&mut self.records, &mut self.identity);
        let mut rng = rand::make_rng::<rand::rngs::StdRng>();
        process_prekey_bundle(address, records, identity, &bundle, &mut rng, UsePQRatchet::No)
            .await?;
        Ok(())
    }

    async fn seal(
        &mut self,
        address: &ProtocolAddress,
        message: &wa::Message,
    ) -> Result<Node, SignalProtocolError> {
        let mut plain = waproto::codec::message_to_vec(message);
        let padding = rand::rng().random_range(1..=LARGEST_PADDING);
        plain.extend(std::iter::repeat_n(padding, usize::from(padding)));
        let (records, identity) = (&mut self.records, &mut self.identity);
        let sealed = message_encrypt(&plain, address, records, identity).await?;
        let kind = match sealed.message_type() {
            CiphertextMessageType::PreKey => "pkmsg",
            _ => "msg",
        };
        let enc = NodeBuilder::new("enc").attr("v", "2").attr("type", kind);
        Ok(enc.bytes(sealed.serialize()).build())
    }
}

#[derive(Default)]
struct Records(HashMap<ProtocolAddress, SessionRecord>);

#[async_trait]
impl SessionStore for Records {
    async fn load_session(&self, address: &ProtocolAddress) -> SignalResult<Option<SessionRecord>> {
        Ok(self.0.get(address).cloned())
    }

    async fn has_session(&self, address: &ProtocolAddress) -> SignalResult<bool> {
        Ok(self.0.contains_key(address))
    }

    async fn store_session(
        &mut self,
        address: &ProtocolAddress,
        record: SessionRecord,
    ) -> SignalResult<()> {
        self.0.insert(address.clone(), record);
        Ok(())
    }
}

struct Identity {
    pair: IdentityKeyPair,
    registration: u32,
    known: HashMap<ProtocolAddress, IdentityKey>,
}

#[async_trait]
impl IdentityKeyStore for Identity {
    async fn get_identity_key_pair(&self) -> SignalResult<IdentityKeyPair> {
        Ok(self.pair.clone())
    }

    async fn get_local_registration_id(&self) -> SignalResult<u32> {
        Ok(self.registration)
    }

    async fn save_identity(
        &mut self,
        address: &ProtocolAddress,
        identity: &IdentityKey,
    ) -> SignalResult<IdentityChange> {
        let replaced = self.known.insert(address.clone(), *identity);
        Ok(IdentityChange::from_changed(replaced.is_some_and(|old| old != *identity)))
    }

    async fn is_trusted_identity(
        &self,
        _address: &ProtocolAddress,
        _identity: &IdentityKey,
        _direction: Direction,
    ) -> SignalResult<bool> {
        // The network itself vouches for the identities it hands out.
        Ok(true)
    }

    async fn get_identity(&self, address: &ProtocolAddress) -> SignalResult<Option<IdentityKey>> {
        Ok(self.known.get(address).copied())
    }
}
