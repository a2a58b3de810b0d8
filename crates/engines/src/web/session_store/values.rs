//! How values are written: JSON where the client's own types have serde, fixed bytes where there is
//! one entry per message or contact and JSON would multiply its size.
//!
//! The fixed forms begin with a format byte, so that they can change later.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wacore::store::error::{Result, StoreError};
use wacore::store::traits::{MessageSecret, TcTokenEntry};

const FORMAT: u8 = 1;
const TC_TOKEN_HEADER: usize = 1 + 8 + 1 + 8;
const MSG_SECRET_LEN: usize = 1 + 32 + 8 + 8;

/// A stored message secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MsgSecret {
    /// The secret itself.
    pub(super) secret: MessageSecret,
    /// Unix seconds after which it may go, `0` for never.
    pub(super) expires_at: i64,
    /// When the message was sent in Unix seconds, `0` if that is not known.
    pub(super) message_ts: i64,
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<Bytes> {
    let json = serde_json::to_vec(value).map_err(|e| StoreError::Serialization(Box::new(e)))?;
    Ok(json.into())
}

pub(super) fn from_json<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|e| StoreError::Serialization(Box::new(e)))
}

pub(super) fn encode_tc_token(entry: &TcTokenEntry) -> Bytes {
    let mut value = BytesMut::with_capacity(TC_TOKEN_HEADER + entry.token.len());
    value.put_u8(FORMAT);
    value.put_i64(entry.token_timestamp);
    value.put_u8(u8::from(entry.sender_timestamp.is_some()));
    value.put_i64(entry.sender_timestamp.unwrap_or_default());
    value.put_slice(&entry.token);
    value.freeze()
}

pub(super) fn decode_tc_token(value: &[u8]) -> Result<TcTokenEntry> {
    let (format, rest) = take::<1>(value)?;
    let (token_timestamp, rest) = take::<8>(rest)?;
    let (has_sender, rest) = take::<1>(rest)?;
    let (sender_timestamp, token) = take::<8>(rest)?;
    if format != [FORMAT] {
        return Err(unreadable());
    }
    Ok(TcTokenEntry {
        token: token.to_vec(),
        token_timestamp: i64::from_be_bytes(token_timestamp),
        sender_timestamp: (has_sender != [0]).then(|| i64::from_be_bytes(sender_timestamp)),
    })
}

pub(super) fn encode_msg_secret(entry: &MsgSecret) -> Bytes {
    let mut value = BytesMut::with_capacity(MSG_SECRET_LEN);
    value.put_u8(FORMAT);
    value.put_slice(&entry.secret);
    value.put_i64(entry.expires_at);
    value.put_i64(entry.message_ts);
    value.freeze()
}

pub(super) fn decode_msg_secret(value: &[u8]) -> Result<MsgSecret> {
    let (format, rest) = take::<1>(value)?;
    let (secret, rest) = take::<32>(rest)?;
    let (expires_at, rest) = take::<8>(rest)?;
    let (message_ts, rest) = take::<8>(rest)?;
    if format != [FORMAT] || !rest.is_empty() {
        return Err(unreadable());
    }
    Ok(MsgSecret {
        secret,
        expires_at: i64::from_be_bytes(expires_at),
        message_ts: i64::from_be_bytes(message_ts),
    })
}

/// A value of exactly `N` bytes.
pub(super) fn exactly<const N: usize>(value: &[u8]) -> Result<[u8; N]> {
    value.try_into().map_err(|_| unreadable())
}

fn take<const N: usize>(value: &[u8]) -> Result<([u8; N], &[u8])> {
    value.split_first_chunk::<N>().map(|(head, rest)| (*head, rest)).ok_or_else(unreadable)
}

fn unreadable() -> StoreError {
    StoreError::Validation("a value of the session store has an unknown form".into())
}
