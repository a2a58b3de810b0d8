//! Newsletters as the server keeps them. They are not encrypted, so their posts are here as sent.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wacore_binary::Jid;

use super::World;
use super::encoding::base64_bytes;
use crate::clock::unix_seconds;

/// What somebody is to a newsletter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Follower {
    Subscriber,
    Admin,
    Owner,
}

impl Follower {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Subscriber => "subscriber",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

/// One post.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Post {
    pub(crate) server_id: u64,
    pub(crate) id: String,
    pub(crate) by: String,
    pub(crate) at: u64,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) media: Option<String>,
    /// The message's protobuf; empty when it was revoked.
    #[serde(with = "base64_bytes")]
    pub(crate) body: Vec<u8>,
    /// One reaction a person.
    pub(crate) reactions: BTreeMap<String, String>,
    /// Who said that it has seen it.
    #[serde(default)]
    pub(crate) viewers: BTreeSet<String>,
}

impl Post {
    /// How often each reaction was given.
    pub(crate) fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for code in self.reactions.values() {
            *counts.entry(code.as_str()).or_default() += 1;
        }
        counts
    }
}

/// One newsletter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Newsletter {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) invite: String,
    pub(crate) created_at: u64,
    pub(crate) followers: BTreeMap<String, Follower>,
    pub(crate) muted: BTreeSet<String>,
    /// In ascending order of their server ids.
    pub(crate) posts: Vec<Post>,
    pub(crate) next_server_id: u64,
    /// Phone and device of who watches it live, until when.
    #[serde(skip)]
    pub(crate) watched: BTreeMap<(String, u16), u64>,
}

impl Newsletter {
    pub(crate) fn jid(&self) -> Jid {
        Jid::newsletter(self.id.as_str())
    }

    pub(crate) fn follower(&self, phone: &str) -> Option<Follower> {
        self.followers.get(phone).copied()
    }

    pub(crate) fn is_admin(&self, phone: &str) -> bool {
        self.follower(phone).is_some_and(|follower| follower >= Follower::Admin)
    }
}

impl World {
    /// Makes a newsletter; gives its id.
    pub(crate) fn new_newsletter(&mut self, owner: &str, name: &str, description: &str) -> String {
        let bytes = self.next_bytes("newsletter");
        let number = u64::from_be_bytes(*bytes.first_chunk().expect("8 of 32 bytes"));
        let id = format!("120363{:012}", number % 1_000_000_000_000);
        let newsletter = Newsletter {
            id: id.clone(),
            name: name.to_owned(),
            description: description.to_owned(),
            invite: self.code("newsletter-invite"),
            created_at: unix_seconds(),
            followers: BTreeMap::from([(owner.to_owned(), Follower::Owner)]),
            muted: BTreeSet::new(),
            posts: Vec::new(),
            next_server_id: 100,
            watched: BTreeMap::new(),
        };
        self.newsletters.insert(id.clone(), newsletter);
        self.touch();
        id
    }
}
