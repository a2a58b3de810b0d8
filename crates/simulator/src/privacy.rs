//! What an account lets others see: last seen, presence, picture, about, who may call.
//!
//! An account's contacts are the people it has written to. A blocked account sees nothing.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::stanza::{
    attr, child, children_named, error_of, has_attr, jid_attr, result_of, text_attr,
};
use crate::trust;
use crate::world::account::Account;
use crate::world::{DeviceAddress, World};

/// Categories with their values, the default first.
const CATEGORIES: [(&str, &[&str]); 9] = [
    ("last", &["all", "contacts", "contact_blacklist", "none"]),
    ("online", &["all", "match_last_seen"]),
    ("profile", &["all", "contacts", "contact_blacklist", "none"]),
    ("status", &["all", "contacts", "contact_blacklist", "none"]),
    ("readreceipts", &["all", "none"]),
    ("groupadd", &["all", "contacts", "contact_blacklist", "none"]),
    ("calladd", &["all", "known", "contacts"]),
    ("messages", &["all", "contacts"]),
    ("defense", &["off", "on_standard"]),
];
const EXCEPT: &str = "contact_blacklist";

/// Whether somebody may see or do what a category guards.
pub(crate) fn allows(world: &World, owner: &str, asker: &str, category: &str) -> bool {
    if owner == asker {
        return true;
    }
    let Some(account) = world.accounts.get(owner) else { return false };
    if account.profile.blocked.contains(asker) {
        return false;
    }
    let is_contact = account.profile.wrote_to.contains(asker);
    match value_of(account, category) {
        "all" | "off" => true,
        "contacts" | "known" | "on_standard" => is_contact,
        "match_last_seen" => allows(world, owner, asker, "last"),
        EXCEPT => {
            let excluded = account.profile.excluded.get(category);
            is_contact && !excluded.is_some_and(|list| list.contains(asker))
        }
        _ => false,
    }
}

/// Whether somebody may see a picture or presence: privacy, and the token of a restricted account.
pub(crate) fn reveals(
    world: &World,
    owner: &str,
    asker: &str,
    category: &str,
    shown: &Node,
) -> bool {
    allows(world, owner, asker, category) && trust::may_approach(world, asker, owner, shown)
}

fn value_of<'a>(account: &'a Account, category: &str) -> &'a str {
    let default = || {
        let known = CATEGORIES.iter().find(|(name, _)| *name == category);
        known.map_or("all", |(_, values)| values[0])
    };
    account.profile.privacy.get(category).map_or_else(default, String::as_str)
}

/// `privacy`: reading all categories, or changing some.
pub(crate) fn handle(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Node {
    if let Some(tokens) = child(iq, "tokens") {
        return trust::issue(world, owner, iq, tokens);
    }
    let changes = child(iq, "privacy").filter(|_| has_attr(iq, "type", "set"));
    let outcome = match changes {
        None => Ok(all_categories(world, owner)),
        Some(changes) => children_named(changes, "category")
            .map(|category| change(world, owner, category))
            .collect::<Result<Vec<Node>, Refusal>>(),
    };
    match outcome {
        Ok(categories) => {
            world.touch();
            result_of(iq, [NodeBuilder::new("privacy").children(categories).build()])
        }
        Err(Refusal::Stale) => error_of(iq, 409, "conflict"),
        Err(Refusal::Malformed) => error_of(iq, 400, "bad-request"),
    }
}

enum Refusal {
    /// The list was changed by another device.
    Stale,
    Malformed,
}

fn all_categories(world: &World, owner: &DeviceAddress) -> Vec<Node> {
    let Some(account) = world.accounts.get(&owner.phone) else { return Vec::new() };
    CATEGORIES.iter().map(|(name, _)| category_node(account, name)).collect()
}

fn category_node(account: &Account, name: &'static str) -> Node {
    let node =
        NodeBuilder::new("category").attr("name", name).attr("value", value_of(account, name));
    match account.profile.excluded.get(name).filter(|list| !list.is_empty()) {
        Some(list) => node.attr("dhash", hash_of(list)).build(),
        None => node.build(),
    }
}

fn change(world: &mut World, owner: &DeviceAddress, category: &Node) -> Result<Node, Refusal> {
    let (wanted, value) = (text_attr(category, "name"), text_attr(category, "value"));
    let known = CATEGORIES.iter().find(|(name, _)| *name == wanted).ok_or(Refusal::Malformed)?;
    if !known.1.contains(&value.as_str()) {
        return Err(Refusal::Malformed);
    }
    let users: Vec<(bool, String)> = children_named(category, "user")
        .filter_map(|user| {
            let jid = jid_attr(user, "pn_jid").or_else(|| jid_attr(user, "jid"))?;
            Some((has_attr(user, "action", "add"), world.phone_of(&jid)?))
        })
        .collect();
    let account = world.accounts.get_mut(&owner.phone).ok_or(Refusal::Malformed)?;
    let list = account.profile.excluded.entry(wanted.clone()).or_default();
    let stale = attr(category, "dhash")
        .is_some_and(|hash| hash != "none" && !list.is_empty() && hash != hash_of(list));
    if stale {
        return Err(Refusal::Stale);
    }
    for (add, phone) in users {
        if add {
            list.insert(phone);
        } else {
            list.remove(&phone);
        }
    }
    account.profile.privacy.insert(wanted, value);
    Ok(category_node(account, known.0))
}

/// Names the state of a list.
fn hash_of(list: &BTreeSet<String>) -> String {
    let mut hasher = Sha256::new();
    for phone in list {
        hasher.update(phone.as_bytes());
        hasher.update([0]);
    }
    STANDARD.encode(&hasher.finalize()[..6])
}
