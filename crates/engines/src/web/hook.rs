//! The way in for messages: committed by the gateway first, acknowledged to WhatsApp after.
//!
//! The client buffers a decrypted message in the session store, calls this hook, and sends the
//! acknowledgement only when it returns `Ok`. An error makes the session dial again: WhatsApp then
//! delivers the message once more and the client replays it from its buffer.

use super::translate;
use crate::crash_points::{self, CrashPoint};
use async_trait::async_trait;
use flowcore_domain::engine::SessionSink;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use wacore::types::events::InboundMessage;
use whatsapp_rust::{Client, InboundDurabilityHook};

/// Hands decrypted messages to the gateway.
pub(super) struct CommitHook {
    pub(super) sink: Arc<dyn SessionSink>,
    /// Fired when the gateway could not store a batch.
    pub(super) failed: CancellationToken,
}

#[async_trait]
impl InboundDurabilityHook for CommitHook {
    async fn on_messages(
        &self,
        client: Arc<Client>,
        batch: &[InboundMessage],
    ) -> anyhow::Result<()> {
        crash_points::pass(CrashPoint::AfterDecrypt);
        let own = translate::OwnAddresses::of(&client);
        let messages: Vec<_> =
            batch.iter().filter_map(|item| translate::received(item, &own)).collect();
        if !messages.is_empty()
            && let Err(error) = self.sink.commit(messages).await
        {
            self.failed.cancel();
            return Err(error.into());
        }
        crash_points::pass(CrashPoint::AfterCommit);
        Ok(())
    }
}
