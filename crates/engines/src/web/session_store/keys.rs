//! Where each kind of protocol state lives: namespaces, and how a key is written.
//!
//! Keys are readable text. A key of several parts joins them with `/`; a part that contains `/`, `%`
//! or a control character has it written as `%XX`, so that two different keys never meet, whatever
//! a peer put into a message id, and so that every database takes the text.

use std::borrow::Cow;

use flowcore_domain::session_store::Namespace;
use wacore::store::error::{Result, StoreError};

/// The device itself: account, keys, counters. One entry.
pub(super) const DEVICE: Namespace = Namespace("device");
/// Identity keys by Signal address.
pub(super) const IDENTITY: Namespace = Namespace("identity");
/// Signal sessions by address.
pub(super) const SESSION: Namespace = Namespace("session");
/// One-time prekeys by id.
pub(super) const PREKEY: Namespace = Namespace("prekey");
/// Signed prekeys by id.
pub(super) const SIGNED_PREKEY: Namespace = Namespace("signed_prekey");
/// Sender keys by group and sender.
pub(super) const SENDER_KEY: Namespace = Namespace("sender_key");
/// App state sync keys by id.
pub(super) const SYNC_KEY: Namespace = Namespace("sync_key");
/// App state versions by collection.
pub(super) const SYNC_VERSION: Namespace = Namespace("sync_version");
/// App state value MACs by collection and index MAC.
pub(super) const SYNC_MAC: Namespace = Namespace("sync_mac");
/// Which devices have our sender key, one entry per group.
pub(super) const SENDER_KEY_DEVICES: Namespace = Namespace("sender_key_devices");
/// LID to phone number.
pub(super) const LID: Namespace = Namespace("lid");
/// Phone number to the LIDs it had, newest last.
pub(super) const LIDS_OF_PHONE: Namespace = Namespace("lids_of_phone");
/// Base keys of retries by address and message.
pub(super) const BASE_KEY: Namespace = Namespace("base_key");
/// Device lists by user.
pub(super) const DEVICE_LIST: Namespace = Namespace("device_list");
/// Group metadata by group.
pub(super) const GROUP: Namespace = Namespace("group");
/// Trusted contact tokens by contact.
pub(super) const TC_TOKEN: Namespace = Namespace("tc_token");
/// Payloads of sent messages, for retries.
pub(super) const SENT_MESSAGE: Namespace = Namespace("sent_message");
/// Decrypted messages that were not yet committed.
pub(super) const PENDING_INBOUND: Namespace = Namespace("pending_inbound");
/// Written to learn whether the store takes writes. One entry.
pub(in crate::web) const PROBE: Namespace = Namespace("probe");
/// The key of the one entry of [`PROBE`].
pub(in crate::web) const PROBE_KEY: &str = "at";
/// How often the sender of a message was asked for it again.
pub(in crate::web) const ASKED_AGAIN: Namespace = Namespace("asked_again");
/// Secrets of messages, for reactions, votes and edits.
pub(super) const MSG_SECRET: Namespace = Namespace("msg_secret");

/// The key of the one entry of [`DEVICE`].
pub(super) const DEVICE_KEY: &str = "self";

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A key of one part, or one part of a key.
pub(super) fn part(text: &str) -> Cow<'_, str> {
    if !text.chars().any(must_be_escaped) {
        return Cow::Borrowed(text);
    }
    let mut key = String::with_capacity(text.len() + 8);
    push_part(&mut key, text);
    Cow::Owned(key)
}

/// A key of several parts.
pub(in crate::web) fn join<const N: usize>(parts: [&str; N]) -> String {
    let mut key = String::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for (index, part) in parts.into_iter().enumerate() {
        if index > 0 {
            key.push('/');
        }
        push_part(&mut key, part);
    }
    key
}

/// The text of a one-part key as it was given to [`part`].
pub(super) fn unescape(key: &str) -> Result<String> {
    let mut pieces = key.split('%');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let byte = piece.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        let (Some(byte), Some(rest)) = (byte, piece.get(2..)) else {
            return Err(StoreError::Validation("a key of the session store is malformed".into()));
        };
        text.push(char::from(byte));
        text.push_str(rest);
    }
    Ok(text)
}

/// A number as a key; the order of the keys is the order of the numbers.
pub(super) fn number(id: u32) -> String {
    format!("{id:08x}")
}

/// The number of a key made by [`number`].
pub(super) fn parse_number(key: &str) -> Result<u32> {
    u32::from_str_radix(key, 16).map_err(|_| {
        StoreError::Validation("a numeric key of the session store is malformed".into())
    })
}

/// Bytes as a key; the order of the keys is the order of the bytes.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut key = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        push_hex(&mut key, *byte);
    }
    key
}

/// The bytes of a key made by [`hex`].
pub(super) fn parse_hex(key: &str) -> Result<Vec<u8>> {
    let malformed = || StoreError::Validation("a hex key of the session store is malformed".into());
    key.as_bytes()
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).map_err(|_| malformed())?;
            u8::from_str_radix(pair, 16).map_err(|_| malformed())
        })
        .collect()
}

fn push_part(key: &mut String, text: &str) {
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(byte) if must_be_escaped(character) => {
                key.push('%');
                push_hex(key, byte);
            }
            _ => key.push(character),
        }
    }
}

fn push_hex(key: &mut String, byte: u8) {
    key.push(char::from(HEX[usize::from(byte >> 4)]));
    key.push(char::from(HEX[usize::from(byte & 0xf)]));
}

/// All of these are below U+0100, so that one byte names them.
fn must_be_escaped(character: char) -> bool {
    matches!(character, '/' | '%') || character.is_control()
}
