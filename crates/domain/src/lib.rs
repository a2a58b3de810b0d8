//! The words and the rules of Flowcore.
//!
//! Everything here is pure: no I/O, no runtime, no clock and no randomness of its own. What the other
//! crates agree on (ids, addresses, the life cycle of an instance, the vocabulary of events, the ports
//! to WhatsApp) is defined here once and tested without a network.

#![warn(missing_docs)]

pub mod account;
pub mod assistant;
pub mod backoff;
pub mod clock;
pub mod conversation;
pub mod document;
pub mod engine;
pub mod event;
pub mod happening;
pub mod id;
pub mod instance;
pub mod jid;
pub mod message;
pub mod network;
pub mod proxy;
pub mod quota;
pub mod session_store;
pub mod support;
pub mod webhook;
