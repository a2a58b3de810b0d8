//! The owner writes on the phone in a group.
//!
//! The phone encrypts the message for every device by itself, as it does when somebody asks for a
//! message again, so it needs no sender key.

use std::sync::Arc;

use wacore_binary::Jid;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;

use super::{PhoneError, encrypt_or_log};
use crate::clock::unix_seconds;
use crate::hub::Hub;
use crate::world::DeviceAddress;
use crate::world::groups::Group;
use crate::world::queue::Class;
use crate::world::record::Accepted;

/// Writes a text to all devices of all members, the own ones included; gives its id.
pub(crate) async fn write(
    hub: &Arc<Hub>,
    phone: &str,
    to: &Jid,
    text: &str,
) -> Result<String, PhoneError> {
    let (devices, id) = {
        let mut world = hub.world();
        let group: &Group = world.groups.get(to.user.as_str()).ok_or(PhoneError::NoRecipient)?;
        group.role(phone).ok_or(PhoneError::NoRecipient)?;
        let members = group.members.keys();
        let devices: Vec<DeviceAddress> =
            members.flat_map(|member| world.companions(member)).collect();
        (devices, format!("3A{}", world.stanza_id("phone-message")))
    };
    let message = wa::Message { conversation: Some(text.to_owned()), ..wa::Message::default() };
    for device in devices {
        if let Some(enc) = encrypt_or_log(hub, phone, &device, &message).await {
            deliver(hub, phone, (to, &id), (&device, enc));
        }
    }
    let mut world = hub.world();
    let entry = Accepted { id: id.clone(), from: phone.to_owned(), to: to.to_string() };
    world.record.accept(entry);
    world.touch();
    Ok(id)
}

fn deliver(
    hub: &Hub,
    phone: &str,
    (to, id): (&Jid, &str),
    (device, enc): (&DeviceAddress, wacore_binary::Node),
) {
    let mut world = hub.world();
    let Some(account) = world.accounts.get(phone) else { return };
    let Some(group) = world.groups.get(to.user.as_str()) else { return };
    let stanza = NodeBuilder::new("message")
        .attr("from", group.jid())
        .attr("id", id)
        .attr("type", "text")
        .attr("t", unix_seconds())
        .attr("participant", account.user_jid(group.addressing.server()))
        .attr("addressing_mode", group.addressing.name())
        .attr("notify", account.profile.push_name.as_str())
        .children([enc])
        .build();
    world.deliver(device, Class::Message, stanza);
}
