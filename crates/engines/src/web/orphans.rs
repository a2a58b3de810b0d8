//! Messages whose ratchet step outlived them.
//!
//! The client writes all Signal state at once and behind. A flush that another conversation caused can
//! make the step of a message durable while the message itself is still on its way into the buffer.
//! Killed there, the client takes the redelivered message for one it has had and would acknowledge it:
//! lost. So before it may, the gateway is asked whether it holds the message. When it does not:
//! 1. The sender's phone is asked to encrypt the message once more, as for one that could not be
//!    decrypted.
//! 2. The client is given a stand-in for the message. It keeps the place among those that came before
//!    and after it on the way to the commit hook.
//! 3. There the stand-in makes what its chat brought after it wait ([`line`]). Nothing of its batch is
//!    acknowledged.
//! 4. Once the message is there, or the wait is over, the connection is made anew and WhatsApp delivers
//!    what was not acknowledged once more.

mod line;

use flowcore_domain::engine::SessionSink;
use flowcore_domain::session_store::{Change, SessionStore, SessionStoreError};
use line::Lines;
use rand::RngExt;
use std::sync::{Arc, OnceLock, Weak};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wacore::protocol::retry::RetryReason;
use wacore::types::events::InboundMessage;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt, Node};
use waproto::whatsapp as wa;
use whatsapp_rust::Client;
use whatsapp_rust::features::RetryRequestOptions;

use super::session_store::keys::{self, ASKED_AGAIN};

/// How often one message is asked for. What the gateway never stores (notices between the devices) is
/// acknowledged after that many times.
const ATTEMPTS: u8 = 5;
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
    stand_in: StandIn,
    lines: Lines,
}

/// A message that only keeps a place.
struct StandIn {
    /// Nobody else knows it.
    text: String,
    encoded: Vec<u8>,
}

impl StandIn {
    fn new() -> Self {
        let text = format!("{:032x}", rand::rng().random::<u128>());
        let message = wa::Message { conversation: Some(text.clone()), ..Default::default() };
        Self { text, encoded: waproto::codec::message_to_vec(&message) }
    }
}

/// What becomes of a message that comes again and of which the client has no copy.
#[derive(Debug)]
pub(super) enum Again {
    /// The gateway has it, or gives it up: it is acknowledged.
    Known,
    /// It is asked for, and is not acknowledged.
    Asked,
    /// The same, and what came after it waits: this goes its way in its place.
    AskedWithStandIn(Vec<u8>),
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
        Self {
            store,
            sink,
            tracker,
            end,
            client: OnceLock::new(),
            stand_in: StandIn::new(),
            lines: Lines::default(),
        }
    }

    /// The client through which senders are asked. Once.
    pub(super) fn attach(&self, client: &Arc<Client>) {
        // One client for its whole life: the first call counts.
        let _ = self.client.set(Arc::downgrade(client));
    }

    /// Decides on a message that comes again without a buffered copy.
    pub(super) async fn again(&self, message: Named<'_>) -> Result<Again, SessionStoreError> {
        let held = self.sink.holds(message.id).await;
        if held.map_err(|error| SessionStoreError::Unavailable(error.to_string()))? {
            return Ok(Again::Known);
        }
        let Some(client) = self.client.get().and_then(Weak::upgrade) else {
            return Ok(Again::Known);
        };
        let attempt = self.count_attempt(message).await?;
        if attempt > ATTEMPTS {
            return Ok(Again::Known);
        }
        let Some(stanza) = stanza_of(message) else { return Ok(Again::Known) };
        // What the devices of this number tell each other is in no order with anything.
        let in_order = !is_own(&client, message.chat) && self.lines.may_begin(message);
        tracing::warn!(attempt, "a message was lost between two steps; its sender is asked again");
        self.tracker.spawn(self.end.clone().run_until_cancelled_owned(ask(client, stanza)));
        Ok(if in_order {
            Again::AskedWithStandIn(self.stand_in.encoded.clone())
        } else {
            Again::Asked
        })
    }

    /// Whether this is no message but what keeps its place.
    pub(super) fn is_stand_in(&self, encoded: &[u8]) -> bool {
        encoded == self.stand_in.encoded
    }

    /// Whether a message may be committed now.
    pub(super) fn may_pass(&self, item: &InboundMessage) -> bool {
        let chat = &item.info.source.chat;
        if item.message.conversation.as_ref() == Some(&self.stand_in.text) {
            self.lines.begin(&chat.to_string(), &item.info.id);
            return false;
        }
        self.lines.is_empty() || self.lines.may_pass(&chat.to_string(), &item.info.id)
    }

    /// What was let pass is committed.
    pub(super) fn moved(&self) {
        self.lines.moved();
    }

    /// A connection begins.
    pub(super) fn connecting(&self) {
        self.lines.connecting();
    }

    /// Returns when the connection should be made anew, for the messages that waited.
    pub(super) async fn over(&self) {
        self.lines.over().await;
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

fn is_own(client: &Client, chat: &str) -> bool {
    let Ok(chat) = chat.parse::<Jid>() else { return false };
    [client.pn(), client.lid()].iter().flatten().any(|own| own.is_same_user_as(&chat))
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
