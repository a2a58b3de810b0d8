//! A socket after its handshake: who it is, and what happens to each stanza it sends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp::ClientPayload;

use super::SocketError;
use super::login::{self, Entry};
use super::mailbox::{Mailbox, Outgoing, SocketId};
use crate::clock::unix_seconds;
use crate::hub::Hub;
use crate::stanza::{SERVER, attr, has_attr, not_well_formed, text_attr};
use crate::world::faults::FaultKind;
use crate::world::queue::{Ack, Class};
use crate::world::record::Acked;
use crate::world::stats::Stats;
use crate::world::{DeviceAddress, World};
use crate::{calls, iq, messages, pairing, phone, presence, receipts};

/// What follows a stanza besides its replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Then {
    #[default]
    Nothing,
    /// The phone greets a device that can now be written to.
    Welcome,
    /// The phone does what one of its devices asked.
    Phone,
    /// The socket ends after the replies.
    Finish,
}

/// The outcome of one stanza.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) stanzas: Vec<Node>,
    pub(crate) then: Then,
}

impl From<Node> for Reply {
    fn from(stanza: Node) -> Self {
        Self { stanzas: vec![stanza], then: Then::Nothing }
    }
}

impl From<Option<Node>> for Reply {
    fn from(stanza: Option<Node>) -> Self {
        Self { stanzas: stanza.into_iter().collect(), then: Then::Nothing }
    }
}

/// Whose socket it is; empty while it is not linked.
type Owner = Arc<Mutex<Option<DeviceAddress>>>;

pub(super) struct Session {
    hub: Arc<Hub>,
    id: SocketId,
    mailbox: Mailbox,
    owner: Owner,
}

impl Session {
    pub(super) fn new(hub: Arc<Hub>, id: SocketId, mailbox: Mailbox) -> Self {
        Self { hub, id, mailbox, owner: Owner::default() }
    }

    /// The writer's view of the device's queue.
    pub(super) fn delivery(&self) -> Delivery {
        Delivery { hub: Arc::clone(&self.hub), id: self.id, owner: Arc::clone(&self.owner) }
    }

    pub(super) async fn cancelled(&self) {
        self.mailbox.cancel.cancelled().await;
    }

    /// How long a peer may say nothing before it is asked, and after that again.
    pub(super) fn patience(&self) -> Duration {
        self.hub.silence / 2
    }

    /// Pings a peer that was silent.
    pub(super) async fn ask_for_a_sign(&self) {
        let ping = {
            let mut world = self.hub.world();
            world.stats.pings += 1;
            let id = world.stanza_id("ping");
            NodeBuilder::new("iq")
                .attr("from", SERVER)
                .attr("type", "get")
                .attr("xmlns", "urn:xmpp:ping")
                .attr("id", id)
                .attr("t", unix_seconds())
                .children([NodeBuilder::new("ping").build()])
                .build()
        };
        self.mailbox.send(ping).await;
    }

    /// Says that the last bytes were no stanza; returns when the socket has ended.
    pub(super) async fn complain(&self) {
        self.mailbox.send(not_well_formed()).await;
        self.mailbox.finish().await;
        self.cancelled().await;
    }

    fn owner(&self) -> Option<DeviceAddress> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Decides by the payload what this socket is and says the server's first words.
    pub(super) async fn begin(
        &self,
        client_static: &[u8; 32],
        payload: ClientPayload,
    ) -> Result<(), SocketError> {
        let entry = if payload.device_pairing_data.as_option().is_some() {
            let times = self.hub.ref_times();
            let mut world = self.hub.world();
            let first = pairing::begin(
                &mut world,
                self.id,
                self.mailbox.clone(),
                client_static,
                &payload,
                times,
            )
            .map_err(SocketError::Payload)?;
            Entry::Registering(first)
        } else {
            login::log_in(&mut self.hub.world(), self.id, &self.mailbox, client_static, &payload)
        };
        match entry {
            Entry::Registering(first) => self.mailbox.send(first).await,
            Entry::LoggedIn(address, success) => {
                *self.owner.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
                self.mailbox.send(success).await;
            }
            Entry::Refused(failure) => {
                self.mailbox.send(failure).await;
                self.mailbox.finish().await;
            }
            Entry::Cut => self.mailbox.cut(),
        }
        Ok(())
    }

    /// Handles one stanza of the client.
    pub(super) async fn handle(&self, stanza: Node) {
        let owner = self.owner();
        let asked = phone::mail::concerns_phone(&stanza).then(|| stanza.clone());
        let (mut reply, delay) = {
            let mut world = self.hub.world();
            world.stats.stanzas_in += 1;
            let delay = owner
                .as_ref()
                .filter(|_| stanza.tag == "message")
                .and_then(|owner| world.faults.held_until(FaultKind::DelayAcks, &owner.phone));
            let reply = match &owner {
                Some(owner) => route(&mut world, owner, &stanza),
                None => pairing::handle(&mut world, self.id, &stanza),
            };
            (reply, delay)
        };
        if let Some(end) = delay {
            self.reply_later(std::mem::take(&mut reply.stanzas), end);
        } else {
            for stanza in std::mem::take(&mut reply.stanzas) {
                self.mailbox.send(stanza).await;
            }
        }
        if asked.is_some() && reply.then == Then::Nothing {
            reply.then = Then::Phone;
        }
        match reply.then {
            Then::Nothing => {}
            Then::Phone => {
                if let (Some(owner), Some(asked)) = (owner, asked) {
                    phone::mail::attend(&self.hub, &owner, &asked).await;
                }
            }
            Then::Welcome => {
                if let Some(owner) = owner {
                    phone::welcome(&self.hub, &owner).await;
                }
            }
            Then::Finish => self.mailbox.finish().await,
        }
    }

    fn reply_later(&self, stanzas: Vec<Node>, end: tokio::time::Instant) {
        let mailbox = self.mailbox.clone();
        self.hub.tracker.spawn(async move {
            tokio::select! {
                () = mailbox.cancel.cancelled() => {}
                () = tokio::time::sleep_until(end) => {
                    for stanza in stanzas {
                        mailbox.post(Outgoing::Stanza(stanza));
                    }
                }
            }
        });
    }

    /// Forgets the socket.
    pub(super) fn end(&self) {
        self.mailbox.cancel.cancel();
        let mut world = self.hub.world();
        world.registrations.remove(&self.id);
        if let Some(owner) = self.owner() {
            presence::disconnected(&mut world, &owner, self.id);
        }
    }
}

/// Handles a stanza of a linked device.
pub(crate) fn route(world: &mut World, owner: &DeviceAddress, stanza: &Node) -> Reply {
    if world.device(owner).is_none() {
        // The device was unlinked; its last words do not count.
        return Reply::default();
    }
    match stanza.tag.as_ref() {
        "iq" => iq::handle(world, owner, stanza),
        "message" => messages::accept(world, owner, stanza).into(),
        "receipt" => receipts::accept(world, owner, stanza).into(),
        "ack" => {
            acknowledge(world, owner, stanza);
            Reply::default()
        }
        "presence" => {
            presence::update(world, owner, stanza);
            Reply::default()
        }
        "call" => calls::accept(world, owner, stanza).into(),
        "chatstate" => {
            presence::chat_state(world, owner, stanza);
            Reply::default()
        }
        "ib" => {
            more_offline(world, owner, stanza);
            Reply::default()
        }
        other => {
            let name = other.to_owned();
            Stats::count(&mut world.stats.unknown, name);
            Reply::default()
        }
    }
}

/// The client confirms a stanza; with an error it refuses it, which also ends its delivery.
fn acknowledge(world: &mut World, owner: &DeviceAddress, stanza: &Node) {
    let Some(class) = attr(stanza, "class").and_then(|class| Class::parse(&class)) else { return };
    let refused = attr(stanza, "error").is_some();
    if refused {
        world.stats.client_nacks += 1;
    }
    let text = |key| attr(stanza, key).map(std::borrow::Cow::into_owned);
    let ack = Ack {
        class,
        id: text_attr(stanza, "id"),
        from: text("to"),
        participant: text("participant"),
        kind: text("type"),
    };
    settle(world, owner, &ack, !refused);
}

/// Takes an entry out of a device's queue; notes a received message in the record.
pub(crate) fn settle(world: &mut World, owner: &DeviceAddress, ack: &Ack, received: bool) {
    let Some(device) = world.device_mut(owner) else { return };
    let cursor = device.link.as_ref().map_or(0, |link| link.cursor);
    let settled = device.queue.acknowledge(ack, cursor);
    if let Some(link) = &mut device.link
        && let Some(drain) = &mut link.drain
        && device.queue.unacked(link.cursor) == 0
    {
        // A client that asks for one batch only still gets the rest.
        drain.budget += MORE_OFFLINE;
        link.mailbox.wake();
    }
    let Some(settled) = settled else { return };
    world.touch();
    let stanza = &settled.stanza;
    if received
        && settled.may_be_read()
        && ack.class == Class::Message
        && !has_attr(stanza, "category", "peer")
    {
        // In groups the author is the participant.
        let from = ["participant", "from"]
            .iter()
            .find_map(|key| crate::stanza::jid_attr(stanza, key))
            .unwrap_or_default();
        let entry = Acked {
            id: ack.id.clone(),
            from: world.phone_of(&from).unwrap_or_else(|| from.user.to_string()),
            to: owner.phone.clone(),
            device: owner.device,
        };
        world.record.ack(entry);
    }
}

/// Notes that a device asked for a message again.
pub(crate) fn not_understood(world: &mut World, owner: &DeviceAddress, ack: &Ack) {
    let Some(device) = world.device_mut(owner) else { return };
    let cursor = device.link.as_ref().map_or(0, |link| link.cursor);
    device.queue.not_understood(ack, cursor);
}

/// Entries granted when a client acked everything it was given.
const MORE_OFFLINE: usize = 50;
/// No client asks for more at once.
const LARGEST_BATCH: usize = 1000;

fn more_offline(world: &mut World, owner: &DeviceAddress, stanza: &Node) {
    let Some(batch) = crate::stanza::child(stanza, "offline_batch") else { return };
    let count = text_attr(batch, "count").parse().unwrap_or(LARGEST_BATCH).min(LARGEST_BATCH);
    let Some(link) = world.device_mut(owner).and_then(|device| device.link.as_mut()) else {
        return;
    };
    if let Some(drain) = &mut link.drain {
        drain.budget += count;
        link.mailbox.wake();
    }
}

/// The writer's access to the queue of the device that the socket turned out to be.
pub(super) struct Delivery {
    hub: Arc<Hub>,
    id: SocketId,
    owner: Owner,
}

impl Delivery {
    /// The next stanzas, when this socket is still the device's.
    pub(super) fn pull(&self, limit: usize) -> Vec<Node> {
        let owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(owner) = owner else { return Vec::new() };
        let mut world = self.hub.world();
        let mut stanzas = {
            let Some(device) = world.device_mut(&owner) else { return Vec::new() };
            let Some(link) = device.link.as_mut().filter(|link| link.socket == self.id) else {
                return Vec::new();
            };
            device.queue.pull(link, limit)
        };
        for index in (0..stanzas.len()).rev() {
            if stanzas[index].tag == "message"
                && world.faults.strike(FaultKind::Duplicate, &owner.phone).is_some()
            {
                let copy = stanzas[index].clone();
                stanzas.insert(index, copy);
            }
        }
        stanzas
    }

    pub(super) fn count(&self, written: usize) {
        self.hub.world().stats.stanzas_out += written as u64;
    }
}
