//! `md` of a linked device: leaving the account, by itself or by the phone.

use wacore_binary::Node;

use crate::notifications::{self, Change};
use crate::socket::session::{Reply, Then};
use crate::stanza::{child, conflict, error_of, jid_attr, result_of, stream_error};
use crate::world::{DeviceAddress, World};

const LOGGED_OUT: u16 = 401;

pub(super) fn handle(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Reply {
    let Some(removal) = child(iq, "remove-companion-device") else {
        return error_of(iq, 400, "bad-request").into();
    };
    let Some(target) = jid_attr(removal, "jid").and_then(|jid| world.address_of(&jid)) else {
        return error_of(iq, 404, "item-not-found").into();
    };
    if target.phone != owner.phone {
        return error_of(iq, 403, "forbidden").into();
    }
    if target != *owner {
        if unlink(world, &target) {
            return result_of(iq, []).into();
        }
        return error_of(iq, 404, "item-not-found").into();
    }
    remove(world, owner);
    Reply { stanzas: vec![result_of(iq, []), device_removed()], then: Then::Finish }
}

/// Takes a device off its account: its socket ends, everybody is told. `false` when there is none.
pub(crate) fn unlink(world: &mut World, address: &DeviceAddress) -> bool {
    let link = world.device_mut(address).map(|device| device.link.take());
    let Some(link) = link else { return false };
    if let Some(link) = link {
        link.mailbox.post_last(device_removed());
    }
    remove(world, address);
    true
}

fn device_removed() -> Node {
    stream_error(Some(LOGGED_OUT), Some(conflict("device_removed")))
}

fn remove(world: &mut World, address: &DeviceAddress) {
    let Some(account) = world.accounts.get_mut(&address.phone) else { return };
    let Some(device) = account.devices.remove(&address.device) else { return };
    world.touch();
    notifications::devices_changed(world, address, device.key_index, Change::Removed);
}
