//! WhatsApp's side of the wire, simulated: one TCP port with the chat socket that real clients
//! dial, and an HTTP surface that plays the phones and the people.
//!
//! It owns the protocol as the server sees it (frames, Noise, pairing, login, keys, fan-out,
//! offline queues) and promises to decide by what the protocol says, never by what our own engine
//! happens to send: signatures and key ownership are verified. It stores no message text of the
//! clients, posts of newsletters apart, which nobody encrypts; what the people it plays have
//! received is theirs and stays in memory.
//!
//! Never part of `flowcore`: tests and the sandbox start a [`Network`], as many as they like in
//! one process.

mod admin;
mod calls;
mod clock;
mod codes;
pub mod fuzzing;
mod groups;
mod hub;
mod iq;
mod keys;
mod media;
mod messages;
mod mex;
mod model;
mod network;
mod newsletters;
mod notifications;
mod pairing;
mod people;
mod phone;
mod presence;
mod privacy;
mod receipts;
mod socket;
mod stanza;
mod trust;
mod wire;
mod world;

pub use codes::{CodeSource, WaitingCode};
pub use network::{Network, NetworkConfig, NetworkError, StateError};
pub use wire::certificate::TlsError;
