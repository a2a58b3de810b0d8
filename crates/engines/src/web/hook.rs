//! The way in for messages: committed by the gateway first, acknowledged to WhatsApp after.
//!
//! The client buffers a decrypted message in the session store, calls this hook, and sends the
//! acknowledgement only when it returns `Ok`. An error makes the session dial again: WhatsApp then
//! delivers the message once more and the client replays it from its buffer. A message that has to wait
//! for an earlier one of its chat is refused without that; see [`super::orphans`].

use super::orphans::Orphans;
use super::translate::{self, OwnAddresses};
use super::votes;
use crate::crash_points::{self, CrashPoint};
use async_trait::async_trait;
use flowcore_domain::engine::{CommitError, SessionSink};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use wacore::types::events::InboundMessage;
use whatsapp_rust::{Client, InboundDurabilityHook};

/// Hands decrypted messages to the gateway.
pub(super) struct CommitHook {
    pub(super) sink: Arc<dyn SessionSink>,
    /// Knows which messages wait for one that was asked for again.
    pub(super) orphans: Arc<Orphans>,
    /// Fired when the gateway could not store a batch.
    pub(super) failed: CancellationToken,
}

/// The client does not acknowledge the batch.
#[derive(Debug, thiserror::Error)]
#[error("a message waits for an earlier one of its chat")]
struct Waits;

impl CommitHook {
    async fn commit(
        &self,
        batch: &[&InboundMessage],
        own: &OwnAddresses,
    ) -> Result<(), CommitError> {
        let mut messages = Vec::with_capacity(batch.len());
        for item in batch {
            if let Some(mut inbound) = translate::received(item, own) {
                votes::open(&mut inbound, item, own, &*self.sink).await?;
                messages.push(inbound);
            }
        }
        if messages.is_empty() { Ok(()) } else { self.sink.commit(messages).await }
    }
}

#[async_trait]
impl InboundDurabilityHook for CommitHook {
    async fn on_messages(
        &self,
        client: Arc<Client>,
        batch: &[InboundMessage],
    ) -> anyhow::Result<()> {
        crash_points::pass(CrashPoint::AfterDecrypt);
        if self.failed.is_cancelled() {
            // What came before it could not be stored, and comes again first.
            return Err(Waits.into());
        }
        let own = OwnAddresses::of(&client);
        let in_order: Vec<_> = batch.iter().filter(|item| self.orphans.may_pass(item)).collect();
        if let Err(error) = self.commit(&in_order, &own).await {
            self.failed.cancel();
            return Err(error.into());
        }
        self.orphans.moved();
        crash_points::pass(CrashPoint::AfterCommit);
        // Acknowledged as one: what is committed already comes again with what waits, and is known.
        if in_order.len() < batch.len() { Err(Waits.into()) } else { Ok(()) }
    }
}
