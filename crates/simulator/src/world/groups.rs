//! Groups and communities as the server keeps them: members, rights, settings, invitations.
//!
//! Members are phone numbers; a group's addressing mode decides by which of the two addresses of
//! an account its members see each other. A community is a group of groups: its own member list
//! holds everybody who is in one of its subgroups.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wacore_binary::{Jid, JidExt, Server};

use super::World;
use super::account::Picture;
use crate::clock::unix_seconds;

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Member,
    Admin,
    /// Who made the group; can be neither removed nor demoted.
    SuperAdmin,
}

impl Role {
    /// The wire's name, which plain members lack.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Member => None,
            Self::Admin => Some("admin"),
            Self::SuperAdmin => Some("superadmin"),
        }
    }
}

/// By which address members are known in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Addressing {
    Lid,
    Pn,
}

impl Addressing {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lid => "lid",
            Self::Pn => "pn",
        }
    }

    pub(crate) fn server(self) -> Server {
        match self {
            Self::Lid => Server::Lid,
            Self::Pn => Server::Pn,
        }
    }

    /// The other address of a member.
    pub(crate) fn other(self) -> Server {
        match self {
            Self::Lid => Server::Pn,
            Self::Pn => Server::Lid,
        }
    }
}

/// A group's description; its id must be named by who replaces it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) by: String,
    pub(crate) at: u64,
}

/// How long messages live.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Ephemeral {
    pub(crate) expiration: u32,
    pub(crate) trigger: Option<u32>,
}

/// Somebody asks to be let in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JoinRequest {
    pub(crate) at: u64,
    pub(crate) method: String,
}

/// A code for one person whose privacy forbids being added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PersonalInvite {
    pub(crate) code: String,
    pub(crate) expires: u64,
}

/// A group's place in a community.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    Alone,
    /// It is the community; closed ones let people in only by approval.
    Community {
        closed: bool,
    },
    /// It belongs to a community, named by its id.
    Subgroup {
        parent: String,
        /// The announcement group that everybody is in.
        default: bool,
        general: bool,
    },
}

/// One group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) addressing: Addressing,
    pub(crate) subject: String,
    pub(crate) subject_by: String,
    pub(crate) subject_at: u64,
    pub(crate) creator: String,
    pub(crate) created_at: u64,
    pub(crate) description: Option<Description>,
    pub(crate) members: BTreeMap<String, Role>,
    /// Switches that are on, by the name of their element.
    pub(crate) switches: BTreeSet<String>,
    /// Settings with a word: `member_add_mode` and the like.
    pub(crate) modes: BTreeMap<String, String>,
    pub(crate) ephemeral: Option<Ephemeral>,
    pub(crate) approval: bool,
    pub(crate) invite_code: String,
    pub(crate) requests: BTreeMap<String, JoinRequest>,
    pub(crate) personal_invites: BTreeMap<String, PersonalInvite>,
    pub(crate) place: Place,
    #[serde(default)]
    pub(crate) picture: Option<Picture>,
}

impl Group {
    pub(crate) fn jid(&self) -> Jid {
        Jid::group(self.id.as_str())
    }

    pub(crate) fn role(&self, phone: &str) -> Option<Role> {
        self.members.get(phone).copied()
    }

    pub(crate) fn is_admin(&self, phone: &str) -> bool {
        self.role(phone).is_some_and(|role| role >= Role::Admin)
    }

    pub(crate) fn is_on(&self, switch: &str) -> bool {
        self.switches.contains(switch)
    }

    pub(crate) fn parent(&self) -> Option<&str> {
        match &self.place {
            Place::Subgroup { parent, .. } => Some(parent),
            Place::Alone | Place::Community { .. } => None,
        }
    }

    pub(crate) fn is_community(&self) -> bool {
        matches!(self.place, Place::Community { .. })
    }

    pub(crate) fn is_default_subgroup(&self) -> bool {
        matches!(self.place, Place::Subgroup { default: true, .. })
    }
}

impl World {
    /// Makes a group of one: its creator.
    pub(crate) fn new_group(&mut self, creator: &str, subject: &str, place: Place) -> String {
        let bytes = self.next_bytes("group");
        let number = u64::from_be_bytes(*bytes.first_chunk().expect("8 of 32 bytes"));
        let id = format!("120363{:012}", number % 1_000_000_000_000);
        let now = unix_seconds();
        let group = Group {
            id: id.clone(),
            addressing: Addressing::Lid,
            subject: subject.to_owned(),
            subject_by: creator.to_owned(),
            subject_at: now,
            creator: creator.to_owned(),
            created_at: now,
            description: None,
            members: BTreeMap::from([(creator.to_owned(), Role::SuperAdmin)]),
            switches: BTreeSet::new(),
            modes: BTreeMap::new(),
            ephemeral: None,
            approval: false,
            invite_code: self.code("group-invite"),
            requests: BTreeMap::new(),
            personal_invites: BTreeMap::new(),
            place,
            picture: None,
        };
        self.groups.insert(id.clone(), group);
        self.touch();
        id
    }

    /// An invitation code: 22 letters and digits.
    pub(crate) fn code(&mut self, purpose: &str) -> String {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let bytes = self.next_bytes(purpose);
        bytes[..22].iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
    }

    /// The groups of one community.
    pub(crate) fn subgroups(&self, community: &str) -> Vec<String> {
        let of = |group: &&Group| group.parent() == Some(community);
        self.groups.values().filter(of).map(|group| group.id.clone()).collect()
    }

    /// Everybody who shares a group with an account.
    pub(crate) fn co_members(&self, phone: &str) -> BTreeSet<String> {
        let groups = self.groups.values().filter(|group| group.members.contains_key(phone));
        let mut members: BTreeSet<String> =
            groups.flat_map(|group| group.members.keys().cloned()).collect();
        members.remove(phone);
        members
    }

    /// Whether something can be written to this address: a user, a group, a newsletter, status.
    pub(crate) fn is_chat(&self, jid: &Jid) -> bool {
        match jid.server {
            Server::Group => self.groups.contains_key(jid.user.as_str()),
            Server::Newsletter => self.newsletters.contains_key(jid.user.as_str()),
            Server::Broadcast => jid.is_status_broadcast(),
            _ => self.phone_of(jid).is_some(),
        }
    }
}
