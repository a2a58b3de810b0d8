//! An account: a phone number, its keys, and the devices linked to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use buffa::Message;
use serde::{Deserialize, Serialize};
use wacore::libsignal::protocol::KeyPair;
use wacore_binary::{Jid, Server};
use waproto::whatsapp::{ADVKeyIndexList, ADVSignedKeyIndexList};

use super::app_state::AppState;
use super::device::{Device, SignedKey};
use super::encoding::base64_bytes;
use super::trust::{Issued, Scenario};
use crate::clock::unix_seconds;
use crate::keys;
use crate::phone::history::PastChat;
use crate::phone::mail::Mail;
use crate::phone::sessions::PhoneSessions;
use crate::trust;

/// Companion device ids start here and are never reused.
const FIRST_DEVICE: u16 = 33;
const SIGNED_KEY_ID: u32 = 1;

/// The phone's keys, all derived from the seed.
pub(crate) struct AccountKeys {
    /// Signs devices (ADV) and is the Signal identity of device 0.
    pub(crate) identity: KeyPair,
    pub(crate) signed_prekey: KeyPair,
    pub(crate) signed_prekey_signature: [u8; 64],
    pub(crate) registration: u32,
    /// Identifies the account's device list; a changed one resets every peer's sessions.
    pub(crate) raw_id: u32,
}

impl AccountKeys {
    /// The keys of a phone that was set up anew so many times.
    fn derive(seed: u64, number: &str, reinstalls: u32) -> Self {
        let named = format!("{number}/{reinstalls}");
        let phone = if reinstalls == 0 { number } else { named.as_str() };
        let identity = keys::key_pair(seed, "account-identity", phone);
        let signed_prekey = keys::key_pair(seed, "account-signed-prekey", phone);
        let signature = keys::sign(&identity, &[&signed_prekey.public_key.serialize()]);
        // Signal registration ids have 14 bits and are not 0.
        let registration = keys::derive_number(seed, "registration", phone) % 16_380 + 1;
        let raw_id = keys::derive_number(seed, "adv-raw-id", phone) % 0x7fff_ffff;
        Self {
            identity,
            signed_prekey,
            signed_prekey_signature: signature,
            registration: u32::try_from(registration).unwrap_or(1),
            raw_id: u32::try_from(raw_id).unwrap_or(1),
        }
    }

    /// The phone's signed prekey as a bundle carries it.
    pub(crate) fn signed_key(&self) -> SignedKey {
        SignedKey {
            id: SIGNED_KEY_ID,
            public: keys::public_bytes(&self.signed_prekey),
            signature: self.signed_prekey_signature,
        }
    }
}

/// One account.
pub(crate) struct Account {
    pub(crate) phone: String,
    pub(crate) lid: String,
    pub(crate) keys: AccountKeys,
    pub(crate) profile: Profile,
    pub(crate) devices: BTreeMap<u16, Device>,
    pub(crate) app_state: AppState,
    /// Accounts that hear of changes to this one's devices.
    pub(crate) peers: BTreeSet<String>,
    /// The phone's own Signal sessions; they do not outlive a restart, a new bundle replaces them.
    pub(crate) phone_sessions: Arc<tokio::sync::Mutex<PhoneSessions>>,
    /// What was encrypted for the phone and is not opened yet; ends with the process.
    pub(crate) mail: Mail,
    pub(crate) next_device: u16,
    pub(crate) next_key_index: u32,
}

/// What others see of an account and what it allows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) push_name: String,
    pub(crate) about: String,
    pub(crate) about_at: u64,
    pub(crate) created_at: u64,
    /// Whether the network plays this person with a client of its own.
    pub(crate) person: bool,
    pub(crate) privacy: BTreeMap<String, String>,
    /// Phone numbers.
    pub(crate) blocked: BTreeSet<String>,
    /// Whom a category of privacy leaves out.
    #[serde(default)]
    pub(crate) excluded: BTreeMap<String, BTreeSet<String>>,
    #[serde(default)]
    pub(crate) picture: Option<Picture>,
    /// Set for an account of a business.
    #[serde(default)]
    pub(crate) business: Option<Business>,
    /// How often the phone was set up anew.
    #[serde(default)]
    pub(crate) reinstalls: u32,
    /// The chats that the phone tells a new companion of.
    #[serde(default)]
    pub(crate) past: Vec<PastChat>,
    /// When the last device went away; 0 while none ever did.
    #[serde(default)]
    pub(crate) last_seen: u64,
    /// Whom it wrote to: those may answer whatever else it restricts.
    #[serde(default)]
    pub(crate) wrote_to: BTreeSet<String>,
    /// Tokens that it gave to others.
    #[serde(default)]
    pub(crate) issued_tokens: Issued,
    #[serde(default)]
    pub(crate) scenario: Scenario,
    /// Seconds that messages live in new chats, and since when; 0 is for ever.
    #[serde(default)]
    pub(crate) disappearing: (u32, u64),
}

/// A profile picture.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Picture {
    pub(crate) id: String,
    #[serde(with = "base64_bytes")]
    pub(crate) jpeg: Vec<u8>,
}

/// What a business says of itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Business {
    pub(crate) description: String,
    pub(crate) address: String,
    pub(crate) email: String,
    pub(crate) website: String,
}

impl Account {
    /// A fresh account: a phone without linked devices.
    pub(crate) fn new(seed: u64, phone: &str, push_name: &str) -> Self {
        let keys = AccountKeys::derive(seed, phone, 0);
        let lid_space = 900_000_000_000_000;
        let lid = 100_000_000_000_000 + keys::derive_number(seed, "lid", phone) % lid_space;
        let sessions = PhoneSessions::new(&keys);
        let scenario = Scenario::of(push_name);
        let mut app_state = AppState::new(seed, phone, push_name);
        if scenario.nct_by_app_state {
            app_state.write(&trust::salt_action(seed, phone), &keys::derive(seed, "nct-iv", phone));
        }
        Self {
            phone: phone.to_owned(),
            lid: lid.to_string(),
            profile: Profile {
                push_name: push_name.to_owned(),
                scenario,
                about: "Hey there! I am using WhatsApp.".to_owned(),
                about_at: unix_seconds(),
                created_at: unix_seconds(),
                ..Profile::default()
            },
            devices: BTreeMap::new(),
            app_state,
            peers: BTreeSet::new(),
            phone_sessions: Arc::new(tokio::sync::Mutex::new(sessions)),
            mail: Mail::default(),
            next_device: FIRST_DEVICE,
            next_key_index: 1,
            keys,
        }
    }

    /// The phone is set up anew: keys that nobody knows yet. Its companions are gone by then.
    pub(crate) fn rekey(&mut self, seed: u64, reinstalls: u32) {
        self.profile.reinstalls = reinstalls;
        self.keys = AccountKeys::derive(seed, &self.phone, reinstalls);
        self.phone_sessions = Arc::new(tokio::sync::Mutex::new(PhoneSessions::new(&self.keys)));
        self.mail = Mail::default();
    }

    /// A device's address in one of the two namespaces.
    pub(crate) fn jid(&self, device: u16, server: Server) -> Jid {
        if server == Server::Lid {
            Jid::lid_device(self.lid.as_str(), device)
        } else {
            Jid::pn_device(self.phone.as_str(), device)
        }
    }

    /// The account's address without a device.
    pub(crate) fn user_jid(&self, server: Server) -> Jid {
        self.jid(0, server)
    }

    /// The list of valid devices, signed by the account: what lets peers trust a new device.
    pub(crate) fn signed_key_index_list(&self, timestamp: u64) -> Vec<u8> {
        let mut valid_indexes = vec![0];
        valid_indexes.extend(self.devices.values().map(|device| device.key_index));
        let details = ADVKeyIndexList {
            raw_id: Some(self.keys.raw_id),
            timestamp: Some(timestamp),
            current_index: Some(self.next_key_index.saturating_sub(1)),
            valid_indexes,
            ..ADVKeyIndexList::default()
        }
        .encode_to_vec();
        let signature = keys::sign(&self.keys.identity, &[&[6, 2], &details]);
        ADVSignedKeyIndexList {
            details: Some(details),
            account_signature: Some(signature.to_vec()),
            account_signature_key: Some(keys::public_bytes(&self.keys.identity).to_vec()),
        }
        .encode_to_vec()
    }
}
