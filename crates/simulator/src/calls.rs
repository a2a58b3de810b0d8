//! Calls: signalling only — offered, answered, rejected, ended. No sound goes anywhere.
//!
//! 1. A device offers; every linked device of the callee rings.
//! 2. One of them accepts or rejects: the caller hears it, the callee's others stop ringing.
//! 3. Either side ends the call; who called and waits in vain ends it by a timeout.
//!
//! What a device signals to a phone ends here, in the state that the admin API shows. The owner
//! of a phone calls through [`place`].

use std::sync::Arc;
use std::time::Duration;

use buffa::MessageField;
use serde::Serialize;
use tokio::time::sleep;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};
use waproto::whatsapp as wa;

use crate::clock::unix_seconds;
use crate::hub::Hub;
use crate::phone::{self, PhoneError};
use crate::privacy;
use crate::stanza::{
    attr, child, children, children_named, has_attr, jid_attr, leaf, text_attr, with_attr,
};
use crate::world::queue::Class;
use crate::world::{DeviceAddress, World};

/// Calls that are remembered; the oldest are forgotten.
const MOST_CALLS: usize = 1000;
const CALL_KEY: usize = 32;
const NOBODY: u16 = 404;
const OUT_OF_ORDER: u16 = 439;
/// What an offer holds, in its order; what else there is may stand anywhere.
const OFFER: [&[&str]; 8] = [
    &["privacy"],
    &["audio"],
    &["video"],
    &["net"],
    &["capability"],
    &["destination", "enc"],
    &["encopt"],
    &["device-identity"],
];

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CallState {
    Ringing,
    Accepted,
    Rejected,
    Ended,
    Timeout,
}

/// One call, as both sides' phones would list it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Call {
    pub(crate) id: String,
    /// Phone numbers.
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) video: bool,
    pub(crate) state: CallState,
}

/// Accepts one `<call>` of a device and gives the server's ack.
pub(crate) fn accept(world: &mut World, sender: &DeviceAddress, stanza: &Node) -> Option<Node> {
    let action = children(stanza).first()?;
    let to = jid_attr(stanza, "to")?;
    if text_attr(stanza, "id").is_empty() {
        // Nobody could ack it.
        return None;
    }
    let id = text_attr(action, "call-id");
    let mut error = None;
    match action.tag.as_ref() {
        "offer" => error = offer(world, sender, &to, stanza, action).err(),
        "accept" => answered(world, sender, &id, CallState::Accepted, "accepted_elsewhere"),
        // One device is in another call; the others ring on.
        "reject" if has_attr(action, "reason", "busy") => {}
        "reject" => answered(world, sender, &id, CallState::Rejected, "rejected_elsewhere"),
        "terminate" => {
            let timeout = attr(action, "reason").is_some_and(|reason| reason == "timeout");
            settle(world, &id, if timeout { CallState::Timeout } else { CallState::Ended });
        }
        _ => {}
    }
    if action.tag != "offer" {
        forward(world, sender, &to, stanza, action);
    }
    let ack = NodeBuilder::new("ack")
        .attr("class", "call")
        .attr("type", action.tag.to_string())
        .attr("id", text_attr(stanza, "id"))
        .attr("from", to)
        .attr("t", unix_seconds())
        .build();
    Some(match error {
        Some(code) => with_attr(ack, "error", code),
        None => ack,
    })
}

/// Whether the children of an offer are in the order on which WhatsApp insists.
fn is_in_order(offer: &Node) -> bool {
    let known = children(offer)
        .iter()
        .filter_map(|node| OFFER.iter().position(|tags| tags.contains(&node.tag.as_ref())));
    known.is_sorted()
}

/// Lets the callee's devices ring; an error is for the ack.
fn offer(
    world: &mut World,
    sender: &DeviceAddress,
    to: &Jid,
    stanza: &Node,
    action: &Node,
) -> Result<(), u16> {
    if !is_in_order(action) {
        return Err(OUT_OF_ORDER);
    }
    let callee = world.phone_of(to).ok_or(NOBODY)?;
    let call = Call {
        id: text_attr(action, "call-id"),
        from: sender.phone.clone(),
        to: callee.clone(),
        video: child(action, "video").is_some(),
        state: CallState::Ringing,
    };
    note(world, call);
    if !privacy::allows(world, &callee, &sender.phone, "calladd") {
        return Ok(());
    }
    for device in world.companions(&callee) {
        let jid = world.accounts.get(&device.phone).map(|a| a.jid(device.device, to.server));
        let mut ringing = action.clone();
        let own_enc = child(action, "destination").into_iter().flat_map(|destination| {
            children_named(destination, "to").filter(|to| jid_attr(to, "jid") == jid)
        });
        let enc: Vec<Node> = own_enc.flat_map(|to| children(to).to_vec()).collect();
        let others = children(action).iter().filter(|node| node.tag != "destination").cloned();
        ringing.content = Some(wacore_binary::NodeContent::Nodes(others.chain(enc).collect()));
        deliver(world, sender, to.server, stanza, ringing, &device);
    }
    Ok(())
}

/// One device of the callee answered: the others stop ringing.
fn answered(
    world: &mut World,
    device: &DeviceAddress,
    id: &str,
    state: CallState,
    elsewhere: &'static str,
) {
    let Some(call) = find(world, id).filter(|call| call.to == device.phone) else { return };
    settle(world, id, state);
    for sibling in world.siblings(device) {
        let stanza = ending(world, &call, elsewhere);
        if let Some(stanza) = stanza {
            world.deliver(&sibling, Class::Call, stanza);
        }
    }
}

/// Signalling besides the offer goes where it is addressed.
fn forward(world: &mut World, sender: &DeviceAddress, to: &Jid, stanza: &Node, action: &Node) {
    let Some(target) = world.address_of(to) else { return };
    let receivers = match target.device {
        0 => world.companions(&target.phone),
        _ => vec![target],
    };
    for device in receivers.into_iter().filter(|device| device != sender) {
        deliver(world, sender, to.server, stanza, action.clone(), &device);
    }
}

fn deliver(
    world: &mut World,
    sender: &DeviceAddress,
    server: Server,
    stanza: &Node,
    action: Node,
    to: &DeviceAddress,
) {
    let Some(account) = world.accounts.get(&sender.phone) else { return };
    let server = if server == Server::Lid { Server::Lid } else { Server::Pn };
    let forwarded = NodeBuilder::new("call")
        .attr("from", account.jid(sender.device, server))
        .attr("id", text_attr(stanza, "id"))
        .attr("t", unix_seconds())
        .attr("notify", account.profile.push_name.as_str())
        .attr("e", "0")
        .children([action])
        .build();
    world.deliver(to, Class::Call, forwarded);
}

fn note(world: &mut World, call: Call) {
    if world.calls.len() == MOST_CALLS {
        world.calls.pop_front();
    }
    world.calls.push_back(call);
}

fn find(world: &World, id: &str) -> Option<Call> {
    world.calls.iter().rev().find(|call| call.id == id).cloned()
}

/// Moves a call on, unless it is over.
fn settle(world: &mut World, id: &str, state: CallState) {
    let call = world.calls.iter_mut().rev().find(|call| call.id == id);
    if let Some(call) = call
        && matches!(call.state, CallState::Ringing | CallState::Accepted)
    {
        call.state = state;
    }
}

/// The calls of a number, oldest first.
pub(crate) fn of(world: &World, phone: &str) -> Vec<Call> {
    let is_of = |call: &&Call| call.from == phone || call.to == phone;
    world.calls.iter().filter(is_of).cloned().collect()
}

/// The owner of a phone calls; it rings until somebody answers or `ring` is over.
pub(crate) async fn place(
    hub: &Arc<Hub>,
    from: &str,
    to: &Jid,
    video: bool,
    ring: Duration,
) -> Result<String, PhoneError> {
    let (call, devices) = {
        let mut world = hub.world();
        if !world.accounts.contains_key(from) {
            return Err(PhoneError::NoAccount);
        }
        let callee = world.phone_of(to).ok_or(PhoneError::NoRecipient)?;
        world.acquaint(from, &callee);
        let id = world.stanza_id("call") + &world.stanza_id("call");
        let state = CallState::Ringing;
        let call = Call { id, from: from.to_owned(), to: callee.clone(), video, state };
        note(&mut world, call.clone());
        let reachable = privacy::allows(&world, &callee, from, "calladd");
        (call, if reachable { world.companions(&callee) } else { Vec::new() })
    };
    let key = hub.world().next_bytes("call-key");
    let message = wa::Message {
        call: MessageField::some(wa::message::Call {
            call_key: Some(key[..CALL_KEY].to_vec()),
            ..wa::message::Call::default()
        }),
        ..wa::Message::default()
    };
    for device in devices {
        if let Some(enc) = phone::encrypt_or_log(hub, from, &device, &message).await {
            ring_device(&mut hub.world(), &call, &device, enc);
        }
    }
    let id = call.id.clone();
    let waiting = Arc::clone(hub);
    hub.tracker.spawn(async move {
        tokio::select! {
            () = waiting.cancel.cancelled() => {}
            () = sleep(ring) => end(&mut waiting.world(), &call.id, CallState::Timeout),
        }
    });
    Ok(id)
}

/// The offer of a phone, in the order of children that clients insist on.
fn ring_device(world: &mut World, call: &Call, device: &DeviceAddress, enc: Node) {
    let Some(account) = world.accounts.get(&call.from) else { return };
    let from = account.user_jid(Server::Pn);
    let name = account.profile.push_name.clone();
    let codec = |rate: &'static str| {
        NodeBuilder::new("audio").attr("enc", "opus").attr("rate", rate).build()
    };
    let video = call.video.then(|| {
        NodeBuilder::new("video").attr("enc", "vp8").attr("dec", "vp8").attr("orientation", 0)
    });
    let mut children = vec![codec("16000"), codec("8000")];
    children.extend(video.map(NodeBuilder::build));
    children.push(NodeBuilder::new("net").attr("medium", "3").build());
    let mut capability = leaf("capability", [1, 5, 0xf7, 9, 0xe4, 0xbb, 7]);
    capability.attrs.insert("ver", "1");
    children.push(capability);
    children.push(enc);
    children.push(NodeBuilder::new("encopt").attr("keygen", "2").build());
    let offer = NodeBuilder::new("offer")
        .attr("call-id", call.id.as_str())
        .attr("call-creator", from.clone())
        .attr("caller_pn", from.clone())
        .children(children)
        .build();
    let stanza = NodeBuilder::new("call")
        .attr("from", from)
        .attr("id", world.stanza_id("call-offer"))
        .attr("t", unix_seconds())
        .attr("notify", name)
        .attr("e", "0")
        .children([offer])
        .build();
    world.deliver(device, Class::Call, stanza);
}

/// The caller's phone gives up or hangs up; nothing happens to a call that is over.
pub(crate) fn end(world: &mut World, id: &str, state: CallState) {
    let Some(call) = find(world, id) else { return };
    let over = match state {
        CallState::Timeout => call.state != CallState::Ringing,
        _ => !matches!(call.state, CallState::Ringing | CallState::Accepted),
    };
    if over {
        return;
    }
    settle(world, id, state);
    let reason = if state == CallState::Timeout { "timeout" } else { "" };
    for device in world.companions(&call.to) {
        if let Some(stanza) = ending(world, &call, reason) {
            world.deliver(&device, Class::Call, stanza);
        }
    }
}

/// `<terminate>` from the caller.
fn ending(world: &mut World, call: &Call, reason: &'static str) -> Option<Node> {
    let id = world.stanza_id("call-end");
    let from = world.accounts.get(&call.from)?.user_jid(Server::Pn);
    let mut terminate = NodeBuilder::new("terminate")
        .attr("call-id", call.id.as_str())
        .attr("call-creator", from.clone());
    if !reason.is_empty() {
        terminate = terminate.attr("reason", reason);
    }
    let stanza = NodeBuilder::new("call")
        .attr("from", from)
        .attr("id", id)
        .attr("t", unix_seconds())
        .children([terminate.build()]);
    Some(stanza.build())
}
