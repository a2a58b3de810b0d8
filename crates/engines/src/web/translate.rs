//! From WhatsApp's types to ours, and back. Total: whatever arrives gets an answer, and nothing is
//! lost because it was of a kind that nobody expected.

mod change;
pub(super) mod content;
pub(super) mod happening;

use flowcore_domain::engine::Account;
use flowcore_domain::instance::Identity;
use flowcore_domain::jid::{Jid, Server};
use flowcore_domain::message::{Addressing, DeliveryStatus, Inbound, InboundMessage};
use wacore::iq::usync::IsOnWhatsAppResult;
use wacore::types::events::InboundMessage as WireMessage;
use wacore::types::message::{AddressingMode, MessageInfo};
use wacore::types::presence::ReceiptType;
use wacore_binary::{Jid as WireJid, JidExt as _, Server as WireServer};
use whatsapp_rust::Client;

/// The addresses of the number itself.
pub(super) struct OwnAddresses {
    pn: Option<WireJid>,
    lid: Option<WireJid>,
}

impl OwnAddresses {
    pub(super) fn of(client: &Client) -> Self {
        Self { pn: client.pn(), lid: client.lid() }
    }

    /// Each of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &WireJid> {
        [&self.pn, &self.lid].into_iter().flatten()
    }

    /// Whether an address is the number's own.
    fn includes(&self, jid: &WireJid) -> bool {
        self.all().any(|own| own.is_same_user_as(jid))
    }

    /// The other namespace's address for one of ours.
    fn alternative(&self, jid: &WireJid) -> Option<Jid> {
        match jid.server {
            WireServer::Pn => self.lid.as_ref().map(address),
            _ => self.pn.as_ref().map(address),
        }
    }
}

/// Who the client is logged in as; `None` while it is not linked.
pub(super) fn identity(client: &Client) -> Option<Identity> {
    let jid = address(&client.pn()?);
    let name = client.push_name();
    Some(Identity {
        jid,
        lid: client.lid().as_ref().map(address),
        profile_name: (!name.is_empty()).then_some(name),
    })
}

/// An address without its device. Hosted devices are devices of the same person.
pub(super) fn address(jid: &WireJid) -> Jid {
    let server = match jid.server {
        WireServer::Pn | WireServer::Hosted | WireServer::Legacy | WireServer::Call => {
            Server::Person
        }
        WireServer::Lid | WireServer::HostedLid => Server::Lid,
        WireServer::Group => Server::Group,
        WireServer::Broadcast => Server::Broadcast,
        WireServer::Newsletter => Server::Newsletter,
        WireServer::Bot => Server::Bot,
        WireServer::Messenger | WireServer::Interop => Server::Interop,
    };
    // The server's own notices come from an address without a user; WhatsApp writes it as 0.
    let user = if jid.user.is_empty() { "0" } else { jid.user.as_str() };
    Jid::new(user, server).unwrap_or_else(|_| {
        let safe: String = user.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        Jid::new(format!("0{safe}").chars().take(64).collect::<String>(), server)
            .expect("letters and digits make a user part")
    })
}

/// An address of ours in the client's type.
pub(super) fn wire_address(jid: &Jid) -> WireJid {
    let user = jid.user();
    match jid.server() {
        Server::Person => WireJid::pn(user),
        Server::Lid => WireJid::lid(user),
        Server::Group => WireJid::group(user),
        Server::Broadcast => WireJid::new(user, WireServer::Broadcast),
        Server::Newsletter => WireJid::new(user, WireServer::Newsletter),
        Server::Bot => WireJid::new(user, WireServer::Bot),
        Server::Interop => WireJid::new(user, WireServer::Interop),
    }
}

/// What the gateway is to keep of a decrypted message.
pub(super) fn received(item: &WireMessage, own: &OwnAddresses) -> Option<Inbound> {
    let change = change::of(item, own).map(Inbound::Change);
    change.or_else(|| inbound(item, own).map(Inbound::Message))
}

/// A decrypted message as the gateway stores it. `None` for what is between the devices only: key
/// shares, history notices and the like, which the client handles itself.
fn inbound(item: &WireMessage, own: &OwnAddresses) -> Option<InboundMessage> {
    let content = content::of(&item.message)?;
    let info = &item.info;
    let source = &info.source;
    let sender_alt = source.sender_alt.as_ref().map(address);
    let sender_alt =
        if source.is_from_me { own.alternative(&source.sender).or(sender_alt) } else { sender_alt };
    Some(InboundMessage {
        id: info.id.clone(),
        chat: address(&source.chat),
        chat_alt: chat_alternative(info, sender_alt.as_ref()),
        sender: address(&source.sender),
        sender_alt,
        from_me: source.is_from_me,
        addressing: addressing(info),
        push_name: (!info.push_name.is_empty()).then(|| info.push_name.clone()),
        timestamp: info.timestamp.timestamp(),
        proto: waproto::codec::message_to_vec(&item.message).into(),
        content: content.json,
        kind: content.kind,
        text: content.text,
        context: content.context,
    })
}

fn addressing(info: &MessageInfo) -> Addressing {
    match info.source.addressing_mode {
        Some(AddressingMode::Lid) => Addressing::Lid,
        Some(AddressingMode::Pn) => Addressing::Pn,
        None if info.source.chat.server == WireServer::Lid => Addressing::Lid,
        None => Addressing::Pn,
    }
}

/// In a direct chat the other address of the conversation is that of the other person.
fn chat_alternative(info: &MessageInfo, sender_alt: Option<&Jid>) -> Option<Jid> {
    let source = &info.source;
    if source.is_group || !matches!(source.chat.server, WireServer::Pn | WireServer::Lid) {
        return None;
    }
    if source.is_from_me { source.recipient_alt.as_ref().map(address) } else { sender_alt.cloned() }
}

/// How far a receipt moves a message of ours; `None` for receipts that say nothing about that.
pub(super) fn receipt_status(receipt: &ReceiptType) -> Option<DeliveryStatus> {
    Some(match receipt {
        ReceiptType::Delivered | ReceiptType::Inactive => DeliveryStatus::DeliveryAck,
        ReceiptType::Read => DeliveryStatus::Read,
        ReceiptType::Played => DeliveryStatus::Played,
        _ => return None,
    })
}

/// Someone whom WhatsApp knows; `None` for a number that is not on WhatsApp.
pub(super) fn account(found: &IsOnWhatsAppResult) -> Option<Account> {
    if !found.is_registered {
        return None;
    }
    let by_phone = found.pn_jid.as_ref().or((found.jid.is_pn()).then_some(&found.jid))?;
    let lid = found.lid.as_ref().or((found.jid.is_lid()).then_some(&found.jid));
    Some(Account {
        phone: by_phone.user.to_string(),
        jid: address(by_phone),
        lid: lid.map(address),
    })
}
