//! What the client tells, turned into reports and handed to the gateway in order.
//!
//! The client calls its listeners in the middle of its own work, so the listener only queues. A task
//! of the session empties the queue into the sink and waits while the gateway is behind. Messages are
//! not among the reports: they go through the durability hook. The exceptions, which the hook never
//! sees (newsletters, placeholders recovered from the phone), are committed from here.

use super::past;
use super::translate::{self, OwnAddresses};
use crate::crash_points::{self, CrashPoint};
use flowcore_domain::backoff::Backoff;
use flowcore_domain::clock::Millis;
use flowcore_domain::engine::{Report, SessionSink};
use flowcore_domain::happening::Happening;
use flowcore_domain::instance::{Identity, Reason};
use flowcore_domain::message::{DeliveryStatus, Inbound};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use wacore::types::events::{
    ConnectFailureReason, Event, EventHandler, EventInterest, EventKind, LazyHistorySync,
    MessageBatch, Receipt, ServerAck,
};
use wacore::types::presence::ReceiptType;
use whatsapp_rust::Client;

/// How many reports of one session may wait. Only receipts and presence come in numbers.
const QUEUE: usize = 4096;

/// Who comes, goes or types is news of the moment: it takes no more than half of the queue.
const FOR_THE_MOMENT: usize = QUEUE / 2;

/// How often messages that the store does not take are tried again: some minutes. Newsletters and phones
/// have them still.
const COMMIT_AGAIN: u32 = 30;

/// What waits for the gateway.
pub(super) enum News {
    /// A report.
    Report(Report),
    /// Messages that did not pass the hook.
    Messages(Vec<Inbound>),
    /// A phone confirmed the link. The client keeps the fresh identity in memory for up to its saving
    /// interval; a crash in that time would leave the phone with a link that nobody holds.
    Paired(Arc<Client>, Identity),
    /// What was before the link.
    Past(Box<LazyHistorySync>, OwnAddresses),
}

/// The session's end of the queue.
pub(super) type NewsSender = mpsc::Sender<News>;

/// A queue for one session.
pub(super) fn queue() -> (NewsSender, mpsc::Receiver<News>) {
    mpsc::channel(QUEUE)
}

/// Empties the queue into the sink until the session is over.
pub(super) async fn pump(
    mut news: mpsc::Receiver<News>,
    sink: Arc<dyn SessionSink>,
    stopping: CancellationToken,
) {
    while let Some(item) = news.recv().await {
        match item {
            News::Report(report) => sink.report(report).await,
            News::Paired(client, identity) => {
                if let Err(error) = client.persistence_manager().flush().await {
                    tracing::error!(%error, "a fresh link could not be written yet");
                }
                drop(client);
                sink.report(Report::Paired(identity)).await;
            }
            News::Messages(messages) => commit(messages, &*sink, &stopping).await,
            News::Past(chunk, own) => {
                if let Err(error) = past::hand_over(&chunk, &own, &*sink).await {
                    tracing::error!(%error, "a part of the history was not stored");
                }
            }
        }
    }
}

/// Nobody brings these again by themselves: they are tried until the store takes them.
async fn commit(messages: Vec<Inbound>, sink: &dyn SessionSink, stopping: &CancellationToken) {
    for failures in 1..=COMMIT_AGAIN {
        let Err(error) = sink.commit(messages.clone()).await else { return };
        tracing::warn!(%error, "messages outside of the durability hook are not stored yet");
        let pause = tokio::time::sleep(Backoff::STORAGE.delay(failures, rand::random()));
        if stopping.run_until_cancelled(pause).await.is_none() {
            break;
        }
    }
    tracing::error!("messages outside of the durability hook were not stored");
}

/// Listens to one client.
pub(super) struct Listener {
    news: NewsSender,
    client: OnceLock<Weak<Client>>,
    /// How the current connection ended, where the server said so.
    ending: Mutex<Option<Ending>>,
    /// Whether the current connection is logged in.
    open: Mutex<bool>,
    /// Rung at each login.
    logged_in: Notify,
    /// Rung when a connection ends by our word: WhatsApp itself would go on.
    gave_up: Notify,
}

/// How a connection ended by the server's own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Dial again after a while.
    Lost(Reason),
    /// Do not dial again.
    Final(Reason),
}

impl Listener {
    pub(super) fn new(news: NewsSender) -> Arc<Self> {
        Arc::new(Self {
            news,
            client: OnceLock::new(),
            ending: Mutex::new(None),
            open: Mutex::new(false),
            logged_in: Notify::new(),
            gave_up: Notify::new(),
        })
    }

    /// Lets the listener ask the client who it is.
    pub(super) fn attach(&self, client: &Arc<Client>) {
        // A listener belongs to one client for its whole life: the first call counts.
        let _ = self.client.set(Arc::downgrade(client));
    }

    /// How the connection ended, where the server said so; asked once per connection.
    pub(super) fn take_ending(&self) -> Option<Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits for the login of the current connection.
    pub(super) async fn arrived(&self) {
        self.logged_in.notified().await;
    }

    /// Waits for something with which the current connection can't go on.
    pub(super) async fn gave_up(&self) {
        self.gave_up.notified().await;
    }

    fn end(&self, ending: Ending) {
        *self.ending.lock().unwrap_or_else(PoisonError::into_inner) = Some(ending);
    }

    fn client(&self) -> Option<Arc<Client>> {
        self.client.get().and_then(Weak::upgrade)
    }

    fn tell(&self, report: Report) {
        self.queue(News::Report(report));
    }

    fn queue(&self, news: News) {
        let momentary = matches!(news, News::Report(Report::Happened(Happening::Presence { .. })));
        if momentary && self.news.capacity() < FOR_THE_MOMENT {
            return;
        }
        if let Err(error) = self.news.try_send(news) {
            tracing::warn!(%error, "a report of the session was dropped: the gateway is too far behind");
        }
    }

    /// The connection ended. What the client still tells of it makes the number look connected no more.
    pub(super) fn closed(&self) {
        *self.open() = false;
    }

    /// Reports a login, or what the number is called now.
    fn opened(&self, login: bool) {
        // Held until it is queued: what is told after `closed` comes before this or not at all.
        let mut open = self.open();
        *open |= login;
        if *open && let Some(identity) = self.client().as_deref().and_then(translate::identity) {
            self.tell(Report::Opened(identity));
        }
    }

    fn open(&self) -> MutexGuard<'_, bool> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unhooked(&self, batch: &MessageBatch) {
        let Some(client) = self.client() else { return };
        let own = OwnAddresses::of(&client);
        let messages: Vec<_> =
            batch.iter().filter_map(|item| translate::received(item, &own)).collect();
        if !messages.is_empty() {
            self.queue(News::Messages(messages));
        }
    }

    fn receipt(&self, receipt: &Receipt) {
        let source = &receipt.source;
        if source.is_from_me {
            // On another device of the owner: no news of our own messages.
            if matches!(receipt.r#type, ReceiptType::Read | ReceiptType::ReadSelf) {
                let chat = translate::address(&source.chat);
                self.tell(Report::Happened(Happening::ChatChanged { chat, read: Some(true) }));
            }
            return;
        }
        let Some(status) = translate::receipt_status(&receipt.r#type) else { return };
        self.tell(Report::Status {
            chat: Some(translate::address(&source.chat)),
            ids: receipt.message_ids.clone(),
            status,
            participant: source.is_group.then(|| translate::address(&source.sender)),
            at: Millis(receipt.timestamp.timestamp_millis()),
        });
    }

    fn server_ack(&self, ack: &ServerAck) {
        if ack.class.as_deref().is_some_and(|class| class != "message") {
            return;
        }
        let refused = ack.error.is_some();
        let status = if refused { DeliveryStatus::Error } else { DeliveryStatus::ServerAck };
        self.tell(Report::Status {
            chat: ack.from.as_ref().map(translate::address),
            ids: vec![ack.id.clone()],
            status,
            participant: None,
            at: Millis(
                ack.timestamp.map_or_else(wacore::time::now_millis, |t| t.timestamp_millis()),
            ),
        });
    }
}

/// What a refused login means for the link.
fn refused_login(reason: ConnectFailureReason) -> Ending {
    match reason {
        ConnectFailureReason::AccountLocked => Ending::Final(Reason::Refused),
        reason if reason.is_logged_out() => Ending::Final(Reason::LoggedOut),
        ConnectFailureReason::TempBanned => Ending::Final(Reason::TemporaryBan),
        ConnectFailureReason::ClientOutdated => Ending::Final(Reason::ClientOutdated),
        reason if reason.should_reconnect() => Ending::Lost(Reason::Network),
        _ => Ending::Final(Reason::Refused),
    }
}

impl EventHandler for Listener {
    fn handle_event(&self, event: Arc<Event>) {
        match &*event {
            Event::PairingQrCode(code) => {
                self.tell(Report::Qr { text: code.code.clone(), valid_for: code.timeout });
            }
            Event::PairingQrCodesExhausted(_) => self.end(Ending::Final(Reason::QrExpired)),
            Event::PairSuccess(_) => {
                let Some(client) = self.client() else { return };
                if let Some(identity) = translate::identity(&client) {
                    self.queue(News::Paired(client, identity));
                }
            }
            Event::Connected(_) => {
                self.logged_in.notify_waiters();
                self.opened(true);
            }
            Event::SelfPushNameUpdated(_) => self.opened(false),
            Event::Messages(batch) if batch.hook_committed => {
                crash_points::pass(CrashPoint::AfterAck);
            }
            Event::Messages(batch) => self.unhooked(batch),
            Event::HistorySync(chunk) => {
                let Some(client) = self.client() else { return };
                self.queue(News::Past(chunk.clone(), OwnAddresses::of(&client)));
            }
            Event::Receipt(receipt) => self.receipt(receipt),
            Event::ServerAck(ack) => self.server_ack(ack),
            Event::LoggedOut(gone) => self.end(refused_login(gone.reason)),
            Event::StreamReplaced(_) => self.end(Ending::Final(Reason::Replaced)),
            Event::TemporaryBan(_) => self.end(Ending::Final(Reason::TemporaryBan)),
            Event::ClientOutdated(_) => self.end(Ending::Final(Reason::ClientOutdated)),
            Event::ConnectFailure(failure) => self.end(refused_login(failure.reason)),
            Event::PairPasskeyRequest(_) => {
                self.end(Ending::Final(Reason::NeedsPasskey));
                self.gave_up.notify_one();
            }
            Event::Disconnected(_) => self.end(Ending::Lost(Reason::Network)),
            other => {
                if let Some(happening) = translate::happening::of(other) {
                    self.tell(Report::Happened(happening));
                }
            }
        }
    }

    fn interest(&self) -> EventInterest {
        EventInterest::of(&[
            EventKind::PairingQrCode,
            EventKind::PairingQrCodesExhausted,
            EventKind::PairSuccess,
            EventKind::Connected,
            EventKind::SelfPushNameUpdated,
            EventKind::Messages,
            EventKind::HistorySync,
            EventKind::Receipt,
            EventKind::ServerAck,
            EventKind::LoggedOut,
            EventKind::StreamReplaced,
            EventKind::TemporaryBan,
            EventKind::ClientOutdated,
            EventKind::ConnectFailure,
            EventKind::PairPasskeyRequest,
            EventKind::Disconnected,
            EventKind::ChatPresence,
            EventKind::Presence,
            EventKind::ContactUpdate,
            EventKind::PictureUpdate,
            EventKind::ArchiveUpdate,
            EventKind::PinUpdate,
            EventKind::MuteUpdate,
            EventKind::MarkChatAsReadUpdate,
            EventKind::DeleteChatUpdate,
            EventKind::GroupUpdate,
            EventKind::IncomingCall,
            EventKind::MissedCall,
            EventKind::LabelEditUpdate,
            EventKind::LabelAssociationUpdate,
        ])
    }
}
