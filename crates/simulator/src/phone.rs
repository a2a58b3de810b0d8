//! The phones: device 0 of every account, played by the network with real Signal sessions.
//!
//! A phone greets each new companion with the app-state key share that lets its link finish and
//! with its history ([`history`]); and it writes messages of its own. What is encrypted for a
//! phone is kept, and opened when the phone needs it ([`mail`]): to upload a file again, to tell a
//! companion what it could not read ([`resend`]), or more of the past.

pub(crate) mod app_state;
mod group;
pub(crate) mod history;
pub(crate) mod mail;
mod resend;
mod reupload;
pub(crate) mod sessions;

use std::sync::Arc;

use buffa::MessageField;
use wacore::libsignal::protocol::{DeviceId, ProtocolAddress, SignalProtocolError};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type as ProtocolType;
use waproto::whatsapp::message::{
    AppStateSyncKey, AppStateSyncKeyData, AppStateSyncKeyFingerprint, AppStateSyncKeyId,
    AppStateSyncKeyShare, DeviceSentMessage, ProtocolMessage,
};

use crate::clock::unix_seconds;
use crate::hub::Hub;
use crate::iq::{take_bundle, unlink};
use crate::notifications::{self, Change};
use crate::stanza::with_attr;
use crate::world::faults::FaultKind;
use crate::world::queue::Class;
use crate::world::record::Accepted;
use crate::world::{DeviceAddress, World};

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
        if world.faults.strike(FaultKind::WithholdDevice, &owner.phone).is_none() {
            notifications::devices_changed(&mut world, owner, key_index, Change::Added);
        }
        let withheld = world.faults.strike(FaultKind::WithholdKey, &owner.phone).is_some();
        let Some(account) = world.accounts.get(&owner.phone) else { return };
        (!withheld).then(|| key_share(account.keys.raw_id, &account.app_state))
    };
    if let Some(share) = share
        && let Some(enc) = encrypt_or_log(hub, &owner.phone, owner, &share).await
    {
        deliver_peer(hub, owner, enc);
    }
    history::send(hub, owner).await;
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

/// Gives a device the key of the account's app state.
async fn share_key(hub: &Arc<Hub>, to: &DeviceAddress) {
    let share = {
        let world = hub.world();
        let Some(account) = world.accounts.get(&to.phone) else { return };
        key_share(account.keys.raw_id, &account.app_state)
    };
    if let Some(enc) = encrypt_or_log(hub, &to.phone, to, &share).await {
        deliver_peer(hub, to, enc);
    }
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
    if !hub.world().accounts.contains_key(phone) {
        return Err(PhoneError::NoAccount);
    }
    if to.server == Server::Group {
        return group::write(hub, phone, to, text).await;
    }
    let (recipient, id) = {
        let mut world = hub.world();
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
    for reader in [phone, recipient.as_str()] {
        let author = DeviceAddress { phone: phone.to_owned(), device: 0 };
        if let Some(account) = world.accounts.get_mut(reader) {
            account.mail.remember(&author, (&id, unix_seconds()), &copy);
        }
    }
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
    let Some(enc) = encrypt_or_log(hub, phone, device, message).await else { return };
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

/// [`encrypt`] for who can do without: what goes wrong is logged.
pub(crate) async fn encrypt_or_log(
    hub: &Arc<Hub>,
    phone: &str,
    to: &DeviceAddress,
    message: &wa::Message,
) -> Option<Node> {
    encrypt(hub, phone, to, message).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the phone could not encrypt a message");
        None
    })
}

/// The phone is set up anew: its companions are gone, it has a new identity, and who knows the
/// account hears of that.
pub(crate) fn reinstall(world: &mut World, phone: &str) -> Result<(), PhoneError> {
    if !world.accounts.contains_key(phone) {
        return Err(PhoneError::NoAccount);
    }
    for device in world.companions(phone) {
        unlink(world, &device);
    }
    let seed = world.seed;
    let account = world.accounts.get_mut(phone).ok_or(PhoneError::NoAccount)?;
    account.rekey(seed, account.profile.reinstalls + 1);
    world.touch();
    notifications::identity_changed(world, phone);
    Ok(())
}

/// How a device is named in the phone's Signal state, whatever address it was written to.
fn signal_address(device: &DeviceAddress) -> ProtocolAddress {
    ProtocolAddress::new(&device.phone, DeviceId::new(u32::from(device.device)))
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
    let address = signal_address(to);
    if !sessions.knows(&address) {
        let bundle = take_bundle(&mut hub.world(), to);
        let Some(bundle) = bundle else { return Ok(None) };
        sessions.open(&address, bundle).await?;
    }
    let sealed = sessions.seal(&address, message).await?;
    Ok(Some(sealed))
}
