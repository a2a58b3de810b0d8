//! Codes of the product that wait to be scanned, when somebody can tell the network of them.
//!
//! A QR code holds a secret that never passes the chat socket, so the network cannot know it. Who
//! runs the product beside the network gives it a [`CodeSource`]; the page with the phones then
//! scans by one click.

use async_trait::async_trait;
use serde::Serialize;

/// A code that is shown somewhere.
#[derive(Debug, Clone, Serialize)]
pub struct WaitingCode {
    /// Whose code it is, as a person calls it.
    pub name: String,
    /// The text in the QR code.
    pub qr: String,
}

/// Knows the codes that are shown now.
#[async_trait]
pub trait CodeSource: Send + Sync {
    /// The current code of everybody who shows one.
    async fn waiting(&self) -> Vec<WaitingCode>;
}
