//! Newsletters: posts for everybody who follows, in the clear; `newsletter` iqs for their history.
//!
//! Who makes, finds, follows and renames them does so by `w:mex`.

pub(crate) mod describe;

use std::collections::{BTreeMap, BTreeSet};

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::clock::unix_seconds;
use crate::messages::ack;
use crate::stanza::{
    attr, bytes_of, child, children, error_of, has_attr, jid_attr, result_of, text_attr, with_attr,
};
use crate::world::newsletters::{Newsletter, Post};
use crate::world::queue::Class;
use crate::world::record::Accepted;
use crate::world::stats::Stats;
use crate::world::{DeviceAddress, World};

/// Seconds for which live updates are sent after they were asked for.
const LIVE_SECONDS: u64 = 300;
const MOST_POSTS: usize = 500;
const ADMIN_EDIT: &str = "3";
const ADMIN_REVOKE: &str = "8";

/// Accepts a post, an edit, a revocation or a reaction, and gives the server's ack.
pub(crate) fn accept(world: &mut World, sender: &DeviceAddress, message: &Node, to: &Jid) -> Node {
    let Some(newsletter) = world.newsletters.get_mut(to.user.as_str()) else {
        return ack(message, Some(404));
    };
    if newsletter.follower(&sender.phone).is_none() {
        return ack(message, Some(403));
    }
    if has_attr(message, "type", "reaction") {
        return react(world, sender, message, to);
    }
    if !newsletter.is_admin(&sender.phone) {
        return ack(message, Some(403));
    }
    let Some(plaintext) = child(message, "plaintext") else { return ack(message, Some(400)) };
    let body = bytes_of(plaintext).unwrap_or_default().to_vec();
    let edit = text_attr(message, "edit");
    let id = text_attr(message, "id");
    let post = if edit == ADMIN_EDIT || edit == ADMIN_REVOKE {
        let Some(post) = newsletter.posts.iter_mut().find(|post| post.id == id) else {
            return ack(message, Some(404));
        };
        post.body = body;
        post.clone()
    } else {
        let server_id = newsletter.next_server_id;
        newsletter.next_server_id += 1;
        let post = Post {
            server_id,
            id,
            by: sender.phone.clone(),
            at: unix_seconds(),
            kind: text_attr(message, "type"),
            media: attr(plaintext, "mediatype").map(std::borrow::Cow::into_owned),
            body,
            reactions: BTreeMap::new(),
            viewers: BTreeSet::new(),
        };
        newsletter.posts.push(post.clone());
        post
    };
    let edit = Some(edit).filter(|edit| !edit.is_empty());
    publish(world, sender, to, (&post, edit));
    let entry = Accepted { id: post.id.clone(), from: sender.phone.clone(), to: to.to_string() };
    world.record.accept(entry);
    world.touch();
    with_attr(ack(message, None), "server_id", post.server_id)
}

fn publish(
    world: &mut World,
    sender: &DeviceAddress,
    to: &Jid,
    (post, edit): (&Post, Option<String>),
) {
    let Some(newsletter) = world.newsletters.get(to.user.as_str()) else { return };
    let followers: Vec<String> = newsletter.followers.keys().cloned().collect();
    let mut stanza = NodeBuilder::new("message")
        .attr("from", newsletter.jid())
        .attr("id", post.id.as_str())
        .attr("server_id", post.server_id)
        .attr("t", post.at)
        .attr("type", post.kind.as_str());
    if let Some(edit) = edit {
        stanza = stanza.attr("edit", edit);
    }
    let stanza = stanza.children([plaintext(post)]).build();
    for phone in followers {
        for device in world.companions(&phone) {
            if device != *sender {
                let mut copy = stanza.clone();
                if device.phone == sender.phone {
                    copy.attrs.insert("is_sender", "true");
                }
                world.deliver(&device, Class::Message, copy);
            }
        }
    }
}

fn plaintext(post: &Post) -> Node {
    let mut builder = NodeBuilder::new("plaintext");
    if let Some(media) = &post.media {
        builder = builder.attr("mediatype", media.as_str());
    }
    builder.bytes(post.body.clone()).build()
}

/// A reaction, or none any more; those who watch live see the new counts.
fn react(world: &mut World, sender: &DeviceAddress, message: &Node, to: &Jid) -> Node {
    let server_id = text_attr(message, "server_id").parse().unwrap_or(0);
    let code = child(message, "reaction").map(|node| text_attr(node, "code")).unwrap_or_default();
    let Some(newsletter) = world.newsletters.get_mut(to.user.as_str()) else {
        return ack(message, Some(404));
    };
    let Some(post) = newsletter.posts.iter_mut().find(|post| post.server_id == server_id) else {
        return ack(message, Some(404));
    };
    if code.is_empty() {
        post.reactions.remove(&sender.phone);
    } else {
        post.reactions.insert(sender.phone.clone(), code);
    }
    let updates = vec![counts(post)];
    tell_watchers(world, to, updates);
    world.touch();
    with_attr(ack(message, None), "server_id", server_id)
}

/// A follower's `<receipt type="view">`: it has seen these posts.
pub(crate) fn viewed(world: &mut World, viewer: &DeviceAddress, receipt: &Node, of: &Jid) {
    let Some(newsletter) = world.newsletters.get_mut(of.user.as_str()) else { return };
    if newsletter.follower(&viewer.phone).is_none() {
        return;
    }
    let listed = child(receipt, "list").map(children).unwrap_or_default();
    let seen: BTreeSet<u64> = listed.iter().filter_map(|item| number(item, "server_id")).collect();
    let mut updates = Vec::new();
    for post in newsletter.posts.iter_mut().filter(|post| seen.contains(&post.server_id)) {
        if post.viewers.insert(viewer.phone.clone()) {
            updates.push(counts(post));
        }
    }
    if !updates.is_empty() {
        tell_watchers(world, of, updates);
        world.touch();
    }
}

/// What became of some posts, for those who watch live.
fn tell_watchers(world: &mut World, to: &Jid, updates: Vec<Node>) {
    let now = unix_seconds();
    let Some(newsletter) = world.newsletters.get_mut(to.user.as_str()) else { return };
    newsletter.watched.retain(|_, until| *until > now);
    let watchers: Vec<DeviceAddress> = newsletter
        .watched
        .keys()
        .map(|(phone, device)| DeviceAddress { phone: phone.clone(), device: *device })
        .collect();
    let messages = NodeBuilder::new("messages").attr("t", now).children(updates).build();
    let stanza = NodeBuilder::new("notification")
        .attr("from", to.clone())
        .attr("type", "newsletter")
        .attr("id", world.stanza_id("newsletter"))
        .attr("t", now)
        .children([NodeBuilder::new("live_updates").children([messages]).build()])
        .build();
    for watcher in watchers {
        world.deliver(&watcher, Class::Notification, stanza.clone());
    }
}

/// A post's reactions and views.
fn counts(post: &Post) -> Node {
    NodeBuilder::new("message")
        .attr("server_id", post.server_id)
        .children([reactions(post), views(post)])
        .build()
}

fn views(post: &Post) -> Node {
    NodeBuilder::new("views_count").attr("count", post.viewers.len()).build()
}

fn reactions(post: &Post) -> Node {
    let counts = post.counts().into_iter().map(|(code, count)| {
        NodeBuilder::new("reaction").attr("code", code).attr("count", count).build()
    });
    NodeBuilder::new("reactions").children(counts).build()
}

/// `newsletter` iqs.
pub(crate) fn handle(world: &mut World, owner: &DeviceAddress, iq: &Node) -> Node {
    let found = jid_attr(iq, "to").and_then(|to| world.newsletters.get_mut(to.user.as_str()));
    let Some(newsletter) = found else { return error_of(iq, 404, "item-not-found") };
    let Some(action) = children(iq).first() else { return error_of(iq, 400, "bad-request") };
    match action.tag.as_ref() {
        "messages" => result_of(iq, [messages(newsletter, owner, action)]),
        "message_updates" => result_of(iq, [updates(newsletter, action)]),
        "live_updates" => {
            let until = unix_seconds() + LIVE_SECONDS;
            newsletter.watched.insert((owner.phone.clone(), owner.device), until);
            let answer = NodeBuilder::new("live_updates").attr("duration", LIVE_SECONDS);
            result_of(iq, [answer.build()])
        }
        tag => {
            Stats::count(&mut world.stats.unknown, format!("newsletter/{tag}"));
            error_of(iq, 501, "feature-not-implemented")
        }
    }
}

fn number(node: &Node, key: &str) -> Option<u64> {
    attr(node, key)?.parse().ok()
}

fn wanted(action: &Node) -> usize {
    number(action, "count")
        .and_then(|count| usize::try_from(count).ok())
        .unwrap_or(MOST_POSTS)
        .min(MOST_POSTS)
}

/// The latest posts, or those before one, in ascending order.
fn messages(newsletter: &Newsletter, owner: &DeviceAddress, action: &Node) -> Node {
    let before = number(action, "before").unwrap_or(u64::MAX);
    let older: Vec<&Post> =
        newsletter.posts.iter().filter(|post| post.server_id < before).collect();
    let start = older.len().saturating_sub(wanted(action));
    let posts = older[start..].iter().map(|post| {
        let mut builder = NodeBuilder::new("message")
            .attr("id", post.id.as_str())
            .attr("server_id", post.server_id)
            .attr("t", post.at)
            .attr("type", post.kind.as_str());
        if post.by == owner.phone {
            builder = builder.attr("is_sender", "true");
        }
        let mut content = vec![plaintext(post)];
        if !post.reactions.is_empty() {
            content.push(reactions(post));
        }
        content.push(views(post));
        builder.children(content).build()
    });
    NodeBuilder::new("messages")
        .attr("jid", newsletter.jid())
        .attr("t", unix_seconds())
        .children(posts)
        .build()
}

/// What changed about posts since a time or after a post.
fn updates(newsletter: &Newsletter, action: &Node) -> Node {
    let since = number(action, "since").unwrap_or(0);
    let after = number(action, "after").unwrap_or(0);
    let changed = newsletter
        .posts
        .iter()
        .filter(|post| post.at >= since && post.server_id > after)
        .take(wanted(action))
        .map(counts);
    let messages = NodeBuilder::new("messages")
        .attr("jid", newsletter.jid())
        .attr("t", unix_seconds())
        .children(changed)
        .build();
    NodeBuilder::new("message_updates").children([messages]).build()
}
