//! Newsletters by `w:mex`: making, finding, following, changing and ending them.

use serde_json::{Value, json};
use wacore_binary::{Jid, Server};

use super::{BAD_REQUEST, FORBIDDEN, NOT_FOUND, Operation, Refusal, notification};
use crate::newsletters::describe;
use crate::world::World;
use crate::world::newsletters::{Follower, Newsletter};
use crate::world::queue::Class;

pub(super) fn run(
    world: &mut World,
    viewer: &str,
    operation: Operation,
    variables: &Value,
) -> Result<Value, Refusal> {
    match operation {
        Operation::CreateNewsletter => create(world, viewer, &variables["input"]),
        Operation::Newsletter => fetch(world, viewer, &variables["input"]),
        Operation::Subscribed => {
            let mine = world.newsletters.values().filter(|n| n.follower(viewer).is_some());
            let all: Vec<Value> = mine.map(|n| describe::newsletter(n, viewer)).collect();
            Ok(json!({ "xwa2_newsletter_subscribed": all }))
        }
        Operation::UserSetting => {
            let input = &variables["input"];
            let id = id_of(&input["newsletter_id"])?;
            set_muted(world, viewer, &id, input["value"] == "ON")?;
            let described = described(world, viewer, &id)?;
            Ok(json!({ "xwa2_newsletter_update_user_setting": described }))
        }
        _ => {
            let id = id_of(&variables["newsletter_id"])?;
            on_one(world, viewer, operation, (&id, variables))
        }
    }
}

/// Operations on the newsletter that the variables name.
fn on_one(
    world: &mut World,
    viewer: &str,
    operation: Operation,
    (id, variables): (&str, &Value),
) -> Result<Value, Refusal> {
    let root = match operation {
        Operation::Join => {
            newsletter(world, id)?;
            follow(world, viewer, id);
            "xwa2_newsletter_join_v2"
        }
        Operation::Leave => {
            leave(world, viewer, id)?;
            "xwa2_newsletter_leave_v2"
        }
        Operation::Update => {
            update(world, viewer, id, &variables["updates"])?;
            "xwa2_newsletter_update"
        }
        Operation::Mute => {
            set_muted(world, viewer, id, true)?;
            "xwa2_newsletter_mute_v2"
        }
        Operation::Unmute => {
            set_muted(world, viewer, id, false)?;
            "xwa2_newsletter_unmute_v2"
        }
        Operation::Subscribers => return subscribers(world, viewer, id),
        Operation::AdminCount => {
            let found = newsletter(world, id)?;
            let admins = found.followers.keys().filter(|phone| found.is_admin(phone)).count();
            return Ok(json!({ "xwa2_newsletter_admin": { "admin_count": admins } }));
        }
        Operation::ChangeOwner => {
            change_owner(world, viewer, id, &variables["user_id"])?;
            "xwa2_newsletter_change_owner"
        }
        Operation::Demote => {
            demote(world, viewer, id, &variables["user_id"])?;
            "xwa2_newsletter_demote"
        }
        Operation::Delete => return delete(world, viewer, id),
        _ => return Err(BAD_REQUEST),
    };
    Ok(json!({ root: described(world, viewer, id)? }))
}

/// Somebody follows a newsletter from now on, and its devices learn of it.
pub(crate) fn follow(world: &mut World, phone: &str, id: &str) {
    let Some(found) = world.newsletters.get_mut(id) else { return };
    found.followers.entry(phone.to_owned()).or_insert(Follower::Subscriber);
    tell(world, phone, id, ("NotificationNewsletterJoin", None));
}

fn id_of(value: &Value) -> Result<String, Refusal> {
    let jid: Jid = value.as_str().and_then(|text| text.parse().ok()).ok_or(BAD_REQUEST)?;
    Ok(jid.user.to_string())
}

fn newsletter<'a>(world: &'a mut World, id: &str) -> Result<&'a mut Newsletter, Refusal> {
    world.newsletters.get_mut(id).ok_or(NOT_FOUND)
}

fn as_admin<'a>(
    world: &'a mut World,
    viewer: &str,
    id: &str,
) -> Result<&'a mut Newsletter, Refusal> {
    let found = newsletter(world, id)?;
    if found.is_admin(viewer) { Ok(found) } else { Err(FORBIDDEN) }
}

fn as_owner<'a>(
    world: &'a mut World,
    viewer: &str,
    id: &str,
) -> Result<&'a mut Newsletter, Refusal> {
    let found = newsletter(world, id)?;
    if found.follower(viewer) == Some(Follower::Owner) { Ok(found) } else { Err(FORBIDDEN) }
}

fn described(world: &World, viewer: &str, id: &str) -> Result<Value, Refusal> {
    let found = world.newsletters.get(id).ok_or(NOT_FOUND)?;
    Ok(describe::newsletter(found, viewer))
}

fn create(world: &mut World, viewer: &str, input: &Value) -> Result<Value, Refusal> {
    let name = input["name"].as_str().filter(|name| !name.is_empty()).ok_or(BAD_REQUEST)?;
    let description = input["description"].as_str().unwrap_or_default();
    let id = world.new_newsletter(viewer, name, description);
    Ok(json!({ "xwa2_newsletter_create": described(world, viewer, &id)? }))
}

/// By address or by invitation; what does not exist is null.
fn fetch(world: &World, viewer: &str, input: &Value) -> Result<Value, Refusal> {
    let key = input["key"].as_str().ok_or(BAD_REQUEST)?;
    let found = if input["type"] == "INVITE" {
        world.newsletters.values().find(|newsletter| newsletter.invite == key)
    } else {
        world.newsletters.get(&id_of(&input["key"])?)
    };
    Ok(json!({ "xwa2_newsletter": found.map(|found| describe::newsletter(found, viewer)) }))
}

fn leave(world: &mut World, viewer: &str, id: &str) -> Result<(), Refusal> {
    let found = newsletter(world, id)?;
    match found.follower(viewer) {
        // An owner hands the newsletter over or deletes it.
        Some(Follower::Owner) => Err(FORBIDDEN),
        Some(_) => {
            found.followers.remove(viewer);
            found.muted.remove(viewer);
            tell(world, viewer, id, ("NotificationNewsletterLeave", None));
            Ok(())
        }
        None => Err(NOT_FOUND),
    }
}

fn set_muted(world: &mut World, viewer: &str, id: &str, muted: bool) -> Result<(), Refusal> {
    let found = newsletter(world, id)?;
    found.follower(viewer).ok_or(FORBIDDEN)?;
    if muted {
        found.muted.insert(viewer.to_owned());
    } else {
        found.muted.remove(viewer);
    }
    world.touch();
    Ok(())
}

fn update(world: &mut World, viewer: &str, id: &str, updates: &Value) -> Result<(), Refusal> {
    let found = as_admin(world, viewer, id)?;
    if let Some(name) = updates["name"].as_str() {
        name.clone_into(&mut found.name);
    }
    if let Some(description) = updates["description"].as_str() {
        description.clone_into(&mut found.description);
    }
    tell_all(world, id, "NotificationNewsletterUpdate", None);
    Ok(())
}

fn subscribers(world: &mut World, viewer: &str, id: &str) -> Result<Value, Refusal> {
    let found = as_admin(world, viewer, id)?.clone();
    let edges: Vec<Value> = found
        .followers
        .iter()
        .filter_map(|(phone, role)| {
            let jid = world.accounts.get(phone)?.user_jid(Server::Lid).to_string();
            Some(json!({ "node": { "id": jid }, "role": role.name().to_uppercase() }))
        })
        .collect();
    Ok(json!({ "xwa2_newsletter_subscribers": {
        "id": found.jid().to_string(), "subscribers": { "edges": edges },
    }}))
}

fn user(world: &World, value: &Value) -> Result<String, Refusal> {
    let jid: Jid = value.as_str().and_then(|text| text.parse().ok()).ok_or(BAD_REQUEST)?;
    world.phone_of(&jid).ok_or(NOT_FOUND)
}

fn change_owner(
    world: &mut World,
    viewer: &str,
    id: &str,
    new_owner: &Value,
) -> Result<(), Refusal> {
    let heir = user(world, new_owner)?;
    let found = as_owner(world, viewer, id)?;
    found.follower(&heir).ok_or(NOT_FOUND)?;
    found.followers.insert(viewer.to_owned(), Follower::Admin);
    found.followers.insert(heir.clone(), Follower::Owner);
    tell_all(world, id, "NotificationNewsletterAdminPromote", Some(&heir));
    Ok(())
}

fn demote(world: &mut World, viewer: &str, id: &str, admin: &Value) -> Result<(), Refusal> {
    let admin = user(world, admin)?;
    let found = as_owner(world, viewer, id)?;
    if found.follower(&admin) != Some(Follower::Admin) {
        return Err(NOT_FOUND);
    }
    found.followers.insert(admin.clone(), Follower::Subscriber);
    tell_all(world, id, "NotificationNewsletterAdminDemote", Some(&admin));
    Ok(())
}

fn delete(world: &mut World, viewer: &str, id: &str) -> Result<Value, Refusal> {
    let found = as_owner(world, viewer, id)?;
    let jid = found.jid().to_string();
    tell_all(world, id, "NotificationNewsletterStateChange", None);
    world.newsletters.remove(id);
    world.touch();
    Ok(json!({ "xwa2_newsletter_delete_v2": { "id": jid, "state": { "type": "DELETED" } } }))
}

/// Tells everybody who follows a newsletter.
fn tell_all(world: &mut World, id: &str, name: &'static str, whom: Option<&str>) {
    let Some(found) = world.newsletters.get(id) else { return };
    let followers: Vec<String> = found.followers.keys().cloned().collect();
    for phone in followers {
        tell(world, &phone, id, (name, whom));
    }
}

/// Tells all devices of an account what became of a newsletter, and of whom in it.
fn tell(world: &mut World, phone: &str, id: &str, (name, whom): (&'static str, Option<&str>)) {
    let Some(found) = world.newsletters.get(id) else { return };
    let root = match name {
        "NotificationNewsletterJoin" => "xwa2_notify_newsletter_on_join",
        "NotificationNewsletterLeave" => "xwa2_notify_newsletter_on_leave",
        "NotificationNewsletterStateChange" => "xwa2_notify_newsletter_on_state_change",
        "NotificationNewsletterAdminPromote" => "xwa2_notify_newsletter_admin_promote",
        "NotificationNewsletterAdminDemote" => "xwa2_notify_newsletter_admin_demote",
        _ => "xwa2_notify_newsletter_on_metadata_update",
    };
    let data = json!({ root: describe::newsletter(found, phone) });
    let from = found.jid();
    let user = whom.and_then(|phone| world.accounts.get(phone));
    let updates = json!([{
        "jid": from.to_string(),
        "user": user.map(|account| account.user_jid(Server::Lid).to_string()),
        "settings": { "name": found.name, "description": found.description },
    }]);
    let stanza = notification(world, &from, name, (&data, &updates));
    for device in world.companions(phone) {
        world.deliver(&device, Class::Notification, stanza.clone());
    }
    world.touch();
}
