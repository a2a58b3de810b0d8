//! How a number reaches WhatsApp, behind one port.
//!
//! [`WebEngine`] runs linked devices on WhatsApp's multi-device protocol. The gateway sees only the
//! ports of `flowcore_domain::engine`; nothing of the client library leaves this crate.

#![warn(missing_docs)]

pub mod crash_points;
mod web;

pub use web::{ProxyGuard, Watch, WebEngine, WebEngineConfig, verifies_certificates};
