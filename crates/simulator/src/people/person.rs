//! One person: its client, and what happens to the client's events.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use wacore::store::InMemoryBackend;
use wacore::types::events::{Event, EventHandler};
use wacore::types::presence::ChatPresence;
use wacore_binary::{Jid, Server};
use whatsapp_rust::bot::{Bot, BotHandle};
use whatsapp_rust::transport::TokioWebSocketTransportFactory;
use whatsapp_rust::{Client, SendError};
use whatsapp_rust_ureq_http_client::UreqHttpClient;

use super::inbox::{Inbox, Received, SentReceipt};
use crate::hub::Hub;
use crate::pairing;

/// Linking takes milliseconds; a person that needs longer has failed.
const LINK_DEADLINE: Duration = Duration::from_secs(30);
/// Announced so that the client asks no web page for the current version.
const CLIENT_VERSION: (u32, u32, u32) = (2, 3000, 1_023_223_821);

/// Why a person could not do something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PersonError {
    #[error("this number is taken")]
    Taken,
    #[error("the client could not be built: {0}")]
    Build(String),
    #[error("the client did not link in time")]
    NotLinked,
    #[error("the recipient is not on WhatsApp")]
    NoRecipient,
    #[error("this person has no message with the id that is quoted")]
    NothingToQuote,
    #[error("this person knows no poll with this id")]
    NoPoll,
    #[error("sending failed: {0}")]
    Send(#[from] SendError),
    #[error("the client refused: {0}")]
    Client(String),
}

/// A contact that lives.
pub(crate) struct Person {
    pub(crate) phone: String,
    pub(super) client: Arc<Client>,
    handle: Mutex<Option<BotHandle>>,
    pub(super) state: Arc<State>,
}

/// What the client's events change.
pub(super) struct State {
    phone: String,
    hub: Weak<Hub>,
    inbox: Mutex<Inbox>,
    /// Counts changes, for those who wait.
    version: watch::Sender<u64>,
    connected: watch::Sender<bool>,
}

impl Person {
    /// Starts the client and waits until it is linked and connected.
    pub(super) async fn start(
        hub: &Arc<Hub>,
        phone: &str,
        name: &str,
        prekeys: usize,
    ) -> Result<Arc<Self>, PersonError> {
        let state = Arc::new(State {
            phone: phone.to_owned(),
            hub: Arc::downgrade(hub),
            inbox: Mutex::default(),
            version: watch::Sender::new(0),
            connected: watch::Sender::new(false),
        });
        let url = format!("ws://{}/ws/chat", hub.addr);
        let bot = Bot::builder()
            .with_backend(InMemoryBackend::new())
            .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(url))
            .with_http_client(UreqHttpClient::new())
            .with_push_name(name)
            .with_version(CLIENT_VERSION)
            .with_wanted_pre_key_count(prekeys)
            .with_event_handler(Events(Arc::clone(&state)))
            .skip_history_sync()
            .build()
            .await
            .map_err(|error| PersonError::Build(error.to_string()))?;
        let client = bot.client();
        let handle = Mutex::new(Some(bot.spawn()));
        let person = Arc::new(Self { phone: phone.to_owned(), client, handle, state });
        let mut connected = person.state.connected.subscribe();
        let linked =
            matches!(timeout(LINK_DEADLINE, connected.wait_for(|up| *up)).await, Ok(Ok(_)));
        if !linked {
            person.stop().await;
            return Err(PersonError::NotLinked);
        }
        Ok(person)
    }

    pub(super) fn require_recipient(&self, to: &Jid) -> Result<(), PersonError> {
        let hub = self.state.hub.upgrade().ok_or(PersonError::NotLinked)?;
        let known = hub.world().is_chat(to);
        known.then_some(()).ok_or(PersonError::NoRecipient)
    }

    /// Marks received messages as read, which tells their senders.
    pub(crate) async fn read(&self, chat: &Jid, ids: &[String]) -> Result<(), PersonError> {
        // The receipt must go where the message came from, in that namespace.
        let (chat, author) = {
            let inbox = self.state.inbox();
            let first = ids.iter().find_map(|id| inbox.find(id));
            first.map_or((chat.clone(), None), |m| (m.chat_jid.clone(), m.author.clone()))
        };
        let named: Vec<&str> = ids.iter().map(String::as_str).collect();
        self.client
            .mark_as_read(&chat, author.as_ref(), &named)
            .await
            .map_err(|error| PersonError::Client(error.to_string()))?;
        self.state.inbox().mark(ids, "read");
        Ok(())
    }

    /// Shows the other side that this person is typing, recording, or has paused.
    pub(crate) async fn type_to(&self, to: &Jid, state: &str) -> Result<(), PersonError> {
        let chat_state = self.client.chatstate();
        let outcome = match state {
            "recording" => chat_state.send_recording(to).await,
            "paused" => chat_state.send_paused(to).await,
            _ => chat_state.send_composing(to).await,
        };
        outcome.map_err(|error| PersonError::Client(error.to_string()))
    }

    /// Comes or goes.
    pub(crate) async fn appear(&self, available: bool) -> Result<(), PersonError> {
        let presence = self.client.presence();
        let outcome = if available {
            presence.set_available().await
        } else {
            presence.set_unavailable().await
        };
        outcome.map_err(|error| PersonError::Client(error.to_string()))
    }

    /// Messages after an id, waiting for one until the deadline when there is none yet.
    pub(crate) async fn messages(&self, after: Option<&str>, wait: Duration) -> Vec<Received> {
        let deadline = Instant::now() + wait;
        let mut version = self.state.version.subscribe();
        loop {
            version.borrow_and_update();
            let messages = self.state.inbox().after(after);
            if !messages.is_empty() {
                self.open_all(&messages).await;
                return self.state.inbox().after(after);
            }
            if !matches!(timeout_at(deadline, version.changed()).await, Ok(Ok(()))) {
                return messages;
            }
        }
    }

    /// Waits until something is newer than `version`, or the deadline; how new it is then.
    pub(crate) async fn changed_since(&self, version: u64, wait: Duration) -> u64 {
        let mut versions = self.state.version.subscribe();
        let newer = versions.wait_for(|now| *now > version);
        // Late or never, what is so is shown.
        drop(timeout(wait, newer).await);
        *self.state.version.borrow()
    }

    /// Receipts for what this person sent, and who is typing to it.
    pub(crate) fn observed(&self) -> (Vec<SentReceipt>, Vec<String>) {
        let inbox = self.state.inbox();
        (inbox.receipts.clone(), inbox.typing.clone())
    }

    /// Ends the client at once, without flushing anything.
    pub(super) fn abort(&self) {
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle {
            handle.abort();
        }
    }

    /// Ends the client.
    pub(super) async fn stop(&self) {
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle {
            handle.shutdown().await;
        }
    }
}

impl State {
    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn phone_of(&self, jid: &Jid) -> String {
        let known = self.hub.upgrade().and_then(|hub| hub.world().phone_of(jid));
        known.unwrap_or_else(|| match jid.server {
            Server::Pn => jid.user.to_string(),
            _ => jid.to_non_ad().to_string(),
        })
    }

    fn scan(&self, code: &str) {
        let Some(hub) = self.hub.upgrade() else { return };
        let scanned = pairing::scan(&mut hub.world(), code, Some(&self.phone));
        if let Err(error) = scanned {
            tracing::warn!(%error, "a contact's own phone could not scan its code");
        }
    }
}

/// The client's events, in their order.
struct Events(Arc<State>);

impl EventHandler for Events {
    fn handle_event(&self, event: Arc<Event>) {
        let state = &self.0;
        match &*event {
            Event::PairingQrCode(code) => state.scan(&code.code),
            Event::Connected(_) => {
                state.connected.send_replace(true);
            }
            Event::Disconnected(_) | Event::LoggedOut(_) => {
                state.connected.send_replace(false);
            }
            Event::Messages(batch) => {
                for inbound in batch {
                    state.inbox().receive(inbound, |jid| state.phone_of(jid));
                }
            }
            Event::Receipt(receipt) => state.inbox().note_receipt(receipt),
            Event::ChatPresence(update) => {
                let phone = state.phone_of(&update.source.sender);
                let mut inbox = state.inbox();
                inbox.typing.retain(|known| *known != phone);
                if matches!(update.state, ChatPresence::Composing) {
                    inbox.typing.push(phone);
                }
            }
            _ => return,
        }
        state.version.send_modify(|version| *version += 1);
    }
}
