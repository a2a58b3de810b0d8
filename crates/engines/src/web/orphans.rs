//! Messages whose ratchet step outlived them.
//!
//! The client writes all Signal state at once and behind. A flush that another conversation caused can
//! make the step of a message durable while the message itself is still on its way into the buffer.
//! Killed there, the client takes the redelivered message for one it has had and would acknowledge it:
//! lost. So before it may, the gateway is asked whether it holds the message. When it does not, the
//! acknowledgement is withheld and the sender's phone is asked to encrypt the message once more, as
//! for one that could not be decrypted.

use flowcore_domain::engine::SessionSink;
use flowcore_domain::session_store::{Change, SessionStore, SessionStoreError};
use std::sync::{Arc, OnceLock, Weak};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wacore::protocol::retry::RetryReason;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt, Node};
use whatsapp_rust::Client;
use whatsapp_rust::features::RetryRequestOptions;

use super::session_store::keys::{self, ASKED_AGAIN};

/// How often one message is asked for. What the gateway never stores (notices between the devices) is
/// acknowledged after that many times.
const ATTEMPTS: u8 = 3;
/// How long an attempt is remembered: as long as WhatsApp keeps messages for a device.
const REMEMBERED: i64 = 30 * 24 * 60 * 60;

/// A message as the client names it.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) chat: &'a str,
    pub(super) sender: &'a str,
    pub(super) id: &'a str,
}

/// Tells messages that were received from those of which only the ratchet step was kept.
pub(super) struct Orphans {
    store: Arc<dyn SessionStore>,
    sink: Arc<dyn SessionSink>,
    tracker: TaskTracker,
    end: CancellationToken,
    client: OnceLock<Weak<Client>>,
}

impl std::fmt::Debug for Orphans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Orphans").finish_non_exhaustive()
    }
}

impl Orphans {
    pub(super) fn new(
        store: Arc<dyn SessionStore>,
        sink: Arc<dyn SessionSink>,
        tracker: TaskTracker,
        end: CancellationToken,
    ) -> Self {
        Self { store, sink, tracker, end, client: OnceLock::new() }
    }

    /// The client through which senders are asked. Once.
    pub(super) fn attach(&self, client: &Arc<Client>) {
        // One client for its whole life: the first call counts.
        let _ = self.client.set(Arc::downgrade(client));
    }

    /// Whether a message that comes again without a buffered copy may be acknowledged. When it may
    /// not, its sender is asked for it.
    pub(super) async fn may_be_acknowledged(
        &self,
        message: Named<'_>,
    ) -> Result<bool, SessionStoreError> {
        let held = self.sink.holds(message.id).await;
        if held.map_err(|error| SessionStoreError::Unavailable(error.to_string()))? {
            return Ok(true);
        }
        let Some(client) = self.client.get().and_then(Weak::upgrade) else { return Ok(true) };
        let attempt = self.count_attempt(message).await?;
        if attempt > ATTEMPTS {
            return Ok(true);
        }
        let Some(stanza) = stanza_of(message) else { return Ok(true) };
        tracing::warn!(attempt, "a message was lost between two steps; its sender is asked again");
        self.tracker.spawn(self.end.clone().run_until_cancelled_owned(ask(client, stanza)));
        Ok(false)
    }

    async fn count_attempt(&self, message: Named<'_>) -> Result<u8, SessionStoreError> {
        let key = keys::join([message.chat, message.sender, message.id]);
        let before = self.store.get(ASKED_AGAIN, &key).await?;
        let attempt = before.and_then(|value| value.first().copied()).unwrap_or(0) + 1;
        if attempt <= ATTEMPTS {
            let until = wacore::time::now_secs().saturating_add(REMEMBERED);
            let change = Change::put_until(ASKED_AGAIN, key, vec![attempt], until);
            self.store.apply(vec![change]).await?;
        }
        Ok(attempt)
    }
}

/// The outline of the stanza that brought a message: what a retry receipt is made from.
fn stanza_of(message: Named<'_>) -> Option<Node> {
    let chat: Jid = message.chat.parse().ok()?;
    let sender: Jid = message.sender.parse().ok()?;
    let outline = NodeBuilder::new("message")
        .attr("id", message.id)
        .attr("type", "text")
        .attr("t", wacore::time::now_secs());
    let outline = if chat.is_group() || chat.is_broadcast_list() || chat.is_status_broadcast() {
        outline.attr("from", chat).attr("participant", sender)
    } else if chat.is_same_user_as(&sender) {
        outline.attr("from", sender)
    } else {
        // Written on another device of this number.
        outline.attr("from", sender).attr("recipient", chat)
    };
    Some(outline.build())
}

async fn ask(client: Arc<Client>, stanza: Node) {
    let options = RetryRequestOptions::new().with_reason(RetryReason::UnknownError);
    if let Err(error) = client.request_message_retry(&stanza.as_node_ref(), options).await {
        // It stays in WhatsApp's queue: the next login brings it here again.
        tracing::warn!(%error, "a sender could not be asked again yet");
    }
}
