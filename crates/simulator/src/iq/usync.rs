//! usync: questions about users — devices, whether a number exists, LID, about, picture.
//!
//! Every user is answered in the namespace in which it was asked. A number nobody created is not
//! on WhatsApp: `contact type="out"`, and no devices. A number that its country writes in two ways is
//! found by both, and answered by the one that it was registered with.

use flowcore_domain::jid::Number;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};

use crate::clock::unix_seconds;
use crate::privacy;
use crate::stanza::{
    attr, child, children, children_named, error_node, error_of, jid_attr, leaf, result_of, text_of,
};
use crate::world::account::Account;
use crate::world::{DeviceAddress, World};

const ECHOED: [&str; 5] = ["sid", "mode", "context", "index", "last"];

pub(super) fn handle(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Node {
    let Some(usync) = child(iq, "usync") else { return error_of(iq, 400, "bad-request") };
    let protocols: Vec<String> = child(usync, "query")
        .map(|query| children(query).iter().map(|node| node.tag.to_string()).collect())
        .unwrap_or_default();
    let asked: Vec<&Node> =
        child(usync, "list").map(|list| children_named(list, "user").collect()).unwrap_or_default();
    let mut users = Vec::with_capacity(asked.len());
    for user in asked {
        let question = Question::read(world, user);
        if let Some(phone) = question.phone.clone() {
            world.acquaint(&owner.phone, &phone);
        }
        users.push(question.answer(world, owner, &protocols));
    }
    let results = protocols.iter().map(|name| NodeBuilder::new_dynamic(name.clone()).build());
    let mut answer = NodeBuilder::new("usync");
    for key in ECHOED {
        if let Some(value) = attr(usync, key) {
            answer = answer.attr(key, value.into_owned());
        }
    }
    let answer = answer.children([
        NodeBuilder::new("result").children(results).build(),
        NodeBuilder::new("list").children(users).build(),
    ]);
    result_of(iq, [answer.build()])
}

/// One user of the list: how it was asked for and who it is.
struct Question {
    jid: Option<Jid>,
    /// The number as written, when the contact protocol asks by number.
    number: Option<String>,
    /// Phone of the account, when there is one.
    phone: Option<String>,
}

impl Question {
    fn read(world: &World, user: &Node) -> Self {
        let jid = jid_attr(user, "jid").map(|jid| jid.to_non_ad());
        let contact = child(user, "contact");
        let number = contact.and_then(text_of).filter(|text| !text.is_empty());
        let by_number = number.as_deref().map(digits);
        let by_lid = contact.and_then(|contact| jid_attr(contact, "lid"));
        let jid = jid.or(by_lid);
        let phone = jid.as_ref().and_then(|jid| world.phone_of(jid)).or_else(|| {
            let spellings = Number::spellings(&by_number?);
            spellings.into_iter().find(|number| world.accounts.contains_key(number))
        });
        Self { jid, number, phone }
    }

    fn answer(&self, world: &World, owner: &DeviceAddress, protocols: &[String]) -> Node {
        let account = self.phone.as_ref().and_then(|phone| world.accounts.get(phone));
        let mut builder = NodeBuilder::new("user");
        let server = self.jid.as_ref().map_or(Server::Pn, |jid| jid.server);
        if let Some(jid) = self.jid.clone().or_else(|| account.map(|a| a.user_jid(Server::Pn))) {
            builder = builder.attr("jid", jid);
        }
        if let Some(account) = account.filter(|_| server == Server::Lid) {
            builder = builder.attr("pn_jid", account.user_jid(Server::Pn));
        }
        let answers = protocols
            .iter()
            .filter_map(|protocol| self.answer_protocol(world, account, owner, protocol));
        builder.children(answers).build()
    }

    fn answer_protocol(
        &self,
        world: &World,
        account: Option<&Account>,
        owner: &DeviceAddress,
        protocol: &str,
    ) -> Option<Node> {
        if protocol == "contact" {
            let kind = if account.is_some() { "in" } else { "out" };
            let number = self.number.clone().unwrap_or_default();
            let contact = NodeBuilder::new("contact").attr("type", kind);
            return Some(contact.bytes(number.into_bytes()).build());
        }
        let Some(account) = account else {
            let missing = [error_node(404, "item-not-found")];
            let devices = NodeBuilder::new("devices").children(missing).build();
            return (protocol == "devices").then_some(devices);
        };
        match protocol {
            "devices" => Some(devices(account)),
            "lid" => {
                let lid = account.user_jid(Server::Lid);
                Some(NodeBuilder::new("lid").attr("val", lid).build())
            }
            "status" => Some(about(world, account, &owner.phone)),
            "picture" => {
                let picture = account.profile.picture.as_ref()?;
                let shown = privacy::allows(world, &account.phone, &owner.phone, "profile");
                let node = NodeBuilder::new("picture").attr("id", picture.id.as_str());
                shown.then(|| node.build())
            }
            "business" => Some(NodeBuilder::new("business").build()),
            "disappearing_mode" => {
                let mode = NodeBuilder::new("disappearing_mode");
                let (duration, since) = account.profile.disappearing;
                let since = since.max(account.profile.created_at);
                Some(mode.attr("duration", duration).attr("t", since).build())
            }
            // The other protocols are optional.
            _ => None,
        }
    }
}

/// The account's device list, with the signed indexes that make peers believe it.
fn devices(account: &Account) -> Node {
    let now = unix_seconds();
    let mut list = vec![NodeBuilder::new("device").attr("id", 0).build()];
    for (id, device) in &account.devices {
        let node = NodeBuilder::new("device").attr("id", *id).attr("key-index", device.key_index);
        list.push(node.build());
    }
    let indexes = NodeBuilder::new("key-index-list")
        .attr("ts", now)
        .bytes(account.signed_key_index_list(now))
        .build();
    NodeBuilder::new("devices")
        .children([NodeBuilder::new("device-list").children(list).build(), indexes])
        .build()
}

fn about(world: &World, account: &Account, asker: &str) -> Node {
    if !privacy::allows(world, &account.phone, asker, "status") {
        return NodeBuilder::new("status").attr("code", 401).build();
    }
    let mut node = leaf("status", account.profile.about.as_bytes());
    node.attrs.insert("t", account.profile.about_at);
    node
}

fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_whatever_its_punctuation() {
        assert_eq!(digits("+1 555-010"), "1555010");
    }
}
