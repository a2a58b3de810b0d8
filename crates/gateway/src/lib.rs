//! The services that run Flowcore.
//!
//! [`Gateway`] puts them together: it opens the store, starts the engine, brings back the instances
//! that should run, and stops it all in order. The server speaks to it through the services it hands
//! out; the services find each other through `Shared`.

#![warn(missing_docs)]

mod accounts;
mod assistant;
mod chats;
mod clients;
mod clock;
mod conversations;
mod documents;
mod error;
mod events;
mod floor;
mod glance;
mod groups;
mod housekeeping;
mod inbox;
mod instances;
mod jobs;
mod lifecycle;
mod media;
mod messages;
mod numbers;
pub mod operator;
mod outbox;
mod people;
mod polls;
mod previews;
mod pulse;
mod qr;
mod room;
mod support;
mod trace;
mod turns;
mod vitals;

pub use accounts::{
    AccountError, Accounts, AccountsConfig, AdminKey, Allowance, BrowserSession, Caller, Client,
    Credential, Credentials, Deed, ForeignTokens, KeyOrder, NewAdmin, Rate, Tokens, TotpOffer,
    Usage, UserOrder, UserPatch, WeakKey, WeakPassword,
};
pub use assistant::{
    Assistant, AssistantView, CaseOutcome, CaseTurn, Draft, Expectation, Generated, MAX_AUDIO,
    MAX_CASES, ModelCheck, ModelDefaults, ModelError, NewCase, Rehearsal, RehearsalEnd, Told,
    Transcript,
};
pub use chats::{ChatRef, Chats};
pub use clients::{AllowPrivate, AllowPrivateError};
pub use clock::SystemClock;
pub use conversations::{Conversations, MAX_ENTRIES};
pub use documents::reading::as_child as read_document_as_child;
pub use documents::{
    DefaultEmbedder, DocumentSource, Documents, EmbedderView, FoundPassage, MAX_DOCUMENT,
    MAX_FOUND, MAX_PASSAGES,
};
pub use error::{ServiceError, StartError};
pub use events::posting::Posting;
pub use events::trial::Trial;
pub use events::webhooks::{NewWebhook, WebhookPatch, Webhooks, WebhooksOf};
pub use flowcore_engines::Watch;
pub use flowcore_engines::{crash_points, verifies_certificates};
pub use flowcore_knowledge::query::{Line, Speaker};
pub use flowcore_storage::{
    AiCase, ApiKey, AuditEntry, AuditFilter, ChatFilter, ChatOverview, Contact, ContactFilter,
    Conversation, DatabaseOptions, Delivery, DeliveryAttempt, DeliveryFilter, DeliveryState,
    Document, DocumentPassage, Escalation, Glance, InstanceCounts, Label, LoginSession, Mark,
    MasterKey, Media, MessageFilter, Note, Page, PromptVersion, Queue, Receipt, Retention, Said,
    StoredEvent, StoredKeyword, StoredMessage, Transition, User,
};
pub use groups::{Groups, NewGroup};
pub use instances::linking::Linking;
pub use instances::options::{InstanceDetails, MAX_TOKEN, MIN_TOKEN, NewOptions};
pub use instances::{InstanceFilter, InstanceView, Instances};
pub use media::{File, Files, MAX_MEDIA, MediaSource};
pub use messages::{
    AckDelay, Audience, Idempotency, MAX_TEXT, Messages, NewButtons, NewContent, NewMedia,
    NewMessage, NewStatus, QuotedMessage, SentView, StatusContent,
};
pub use numbers::CheckedNumber;
pub use outbox::follower::{Follower, Seen};
pub use outbox::live::{FollowFilter, Live, LiveEvent, Settled};
pub use outbox::render::{group_record, record};
pub use people::{OwnProfile, People, PersonView};
pub use polls::PollAnswer;
pub use pulse::{Hour, Pulse};
pub use qr::png_data_url;
pub use room::Room;
pub use support::{
    ConversationQuery, ConversationView, EscalationQuery, EscalationView, Held, Support,
    SupportPatch,
};
pub use trace::{PassedOver, Trace, Traces, TurnTaken};
pub use vitals::{Vitals, resident_memory};

use events::post::Poster;
use flowcore_domain::backoff::Backoff;
use flowcore_domain::clock::{Clock, Millis};
use flowcore_engines::{WebEngine, WebEngineConfig};
use flowcore_storage::{StorageError, Store, StoreOptions};
use instances::registry::Registry;
use lifecycle::Lifecycle;
use outbox::Outbox;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// What the gateway needs to know to start.
#[derive(Debug)]
pub struct GatewayConfig {
    /// Where the database, the keys and the files are.
    pub data_dir: PathBuf,
    /// Which database; the default is a file in the data directory.
    pub database: DatabaseOptions,
    /// Real numbers or simulated ones; a store of one kind is refused by the other.
    pub mark: Mark,
    /// Key that seals secrets at rest; `None` uses (or makes) the file in the data directory.
    pub master_key: Option<MasterKey>,
    /// Users and who calls.
    pub accounts: AccountsConfig,
    /// Address of WhatsApp's chat socket; `None` is WhatsApp's own.
    pub whatsapp_url: Option<String>,
    /// Address under which users reach this server, for what is sent to their apps.
    pub public_url: String,
    /// How long events can be followed and replayed.
    pub keep_events: Duration,
    /// Private addresses that users' URLs may name all the same.
    pub allow_private: AllowPrivate,
    /// How numbers are linked and reach WhatsApp.
    pub linking: Linking,
    /// When a connection on which nothing comes is doubted.
    pub watch: Watch,
    /// Bytes that all numbers together may keep of groups' members; `None` is 64 MiB.
    pub cache_memory: Option<u64>,
    /// How much this server takes.
    pub room: Room,
    /// The program that reads documents when it is called with `extract`: a binary of ours.
    pub reader: PathBuf,
    /// The models of those who choose none themselves.
    pub models: ModelDefaults,
    /// What everything goes by; [`SystemClock`] but in tests.
    pub clock: Arc<dyn Clock>,
}

/// The running services. Clones share them.
#[derive(Debug, Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
    accounts: Accounts,
    instances: Instances,
    messages: Messages,
    groups: Groups,
    people: People,
    chats: Chats,
    webhooks: Webhooks,
    live: Live,
    conversations: Conversations,
    traces: Traces,
    files: Files,
    support: Support,
    documents: Documents,
    assistant: Assistant,
}

/// What [`Gateway::start`] gives.
#[derive(Debug)]
pub struct Started {
    /// The services.
    pub gateway: Gateway,
    /// The admin's key and password when they were made just now: shown once, never again.
    pub new_admin: NewAdmin,
}

/// How often a store that takes nothing is tried while somebody waits: for a few seconds.
const INSIST: u32 = 3;

/// What every service may use.
#[derive(Debug)]
pub(crate) struct Shared {
    store: Store,
    clock: Arc<dyn Clock>,
    lifecycle: Lifecycle,
    outbox: Outbox,
    registry: Registry,
    room: Room,
    waiting: messages::Waiting,
    acks: messages::Acks,
    numbers: numbers::KnownNumbers,
    groups: groups::KnownGroups,
    switches: instances::switches::Switches,
    fetcher: media::Fetcher,
    attentions: turns::Attentions,
    bell: jobs::Bell,
    floors: floor::Floors,
    previews: previews::Previews,
    linking: Linking,
    memory_at_start: Option<u64>,
}

impl Shared {
    fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Writes a note to what has happened already; tried a few times, as its caller waits.
    async fn insist<T, F>(&self, what: &'static str, mut write: impl FnMut() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        for failures in 1..=INSIST {
            match write().await {
                Ok(written) => return Some(written),
                Err(error @ StorageError::Unavailable(_)) => {
                    tracing::warn!(%error, what, "the store takes nothing; trying on");
                }
                Err(error) => {
                    tracing::error!(%error, what, "could not be stored");
                    return None;
                }
            }
            let pause = tokio::time::sleep(Backoff::STORAGE.delay(failures, rand::random()));
            self.lifecycle.stopping().run_until_cancelled(pause).await?;
        }
        None
    }
}

/// A fresh id that sorts by time.
pub(crate) fn fresh_id<T: From<Uuid>>() -> T {
    T::from(Uuid::now_v7())
}

/// Whether the server can take traffic.
#[derive(Debug)]
pub struct Readiness {
    /// What is wrong with the store, if anything.
    pub storage: Result<(), String>,
}

impl Readiness {
    /// True when everything needed works.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.storage.is_ok()
    }
}

impl Gateway {
    /// Opens the store, brings back the instances that should run, and starts the webhook worker.
    ///
    /// # Errors
    /// [`StartError`] says what to do.
    pub async fn start(config: GatewayConfig) -> Result<Started, StartError> {
        let lifecycle = Lifecycle::new();
        let clock = config.clock;
        let options = StoreOptions {
            data_dir: config.data_dir,
            database: config.database,
            mark: config.mark,
            master_key: config.master_key,
        };
        let store = Store::open(options).await?;
        let engine_config = WebEngineConfig {
            url: config.whatsapp_url,
            proxy_guard: clients::proxy_guard(&config.allow_private, config.linking.proxy.as_ref()),
            watch: config.watch,
            cache_memory: config.cache_memory,
        };
        let engine = WebEngine::new(&engine_config, lifecycle.tracker().clone())?;
        let mut accounts = config.accounts;
        let admin_key = accounts.admin_key.take();
        let (admin, new_admin) = accounts::ensure_admin(&store, admin_key, clock.now()).await?;
        let shared = Arc::new(Shared {
            store,
            clock,
            outbox: Outbox::new(),
            registry: Registry::new(Arc::new(engine)),
            waiting: messages::Waiting::default(),
            acks: messages::Acks::default(),
            numbers: numbers::KnownNumbers::default(),
            groups: groups::KnownGroups::default(),
            switches: instances::switches::Switches::default(),
            fetcher: media::Fetcher::new(config.allow_private.clone())?,
            attentions: turns::Attentions::default(),
            bell: jobs::Bell::new(),
            floors: floor::Floors::default(),
            previews: previews::Previews::default(),
            linking: config.linking,
            memory_at_start: resident_memory(),
            room: config.room,
            lifecycle,
        });
        let allow = config.allow_private.clone();
        let (embedder, reader) = (config.models.embedder.clone(), config.reader);
        let documents =
            Documents::start(Arc::clone(&shared), reader, embedder, allow.clone()).await?;
        let assistant =
            Assistant::new(Arc::clone(&shared), config.models, allow, documents.clone())?;
        let poster = Poster::new(config.allow_private, config.public_url)?;
        let gateway = Self {
            accounts: Accounts::new(Arc::clone(&shared), admin, accounts)?,
            instances: Instances::new(Arc::clone(&shared)),
            messages: Messages::new(Arc::clone(&shared)),
            groups: Groups::new(Arc::clone(&shared)),
            people: People::new(Arc::clone(&shared)),
            chats: Chats::new(Arc::clone(&shared)),
            webhooks: Webhooks::new(Arc::clone(&shared), poster.clone()),
            conversations: Conversations::new(Arc::clone(&shared)),
            live: Live::new(Arc::clone(&shared), &poster.server_url),
            traces: Traces::new(Arc::clone(&shared)),
            files: Files::new(Arc::clone(&shared)),
            support: Support::new(Arc::clone(&shared)),
            documents,
            assistant,
            shared,
        };
        events::delivery::start(Arc::clone(&gateway.shared), poster);
        jobs::release(&gateway.shared).await?;
        let assistant = gateway.assistant.clone();
        let shared = Arc::clone(&gateway.shared);
        jobs::start(&gateway.shared, turns::Turns { shared, assistant: assistant.clone() });
        jobs::start(&gateway.shared, assistant::answering::Answers { assistant });
        let errands = support::errands::Errands { shared: Arc::clone(&gateway.shared) };
        jobs::start(&gateway.shared, errands);
        support::timer::start(Arc::clone(&gateway.shared));
        gateway.instances.bring_back().await?;
        housekeeping::start(Arc::clone(&gateway.shared), config.keep_events);
        Ok(Started { gateway, new_admin })
    }

    /// Who may do what.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The numbers.
    #[must_use]
    pub fn instances(&self) -> &Instances {
        &self.instances
    }

    /// Sending.
    #[must_use]
    pub fn messages(&self) -> &Messages {
        &self.messages
    }

    /// Groups.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Others, and what the owner of a number shows.
    #[must_use]
    pub fn people(&self) -> &People {
        &self.people
    }

    /// What is around messages.
    #[must_use]
    pub fn chats(&self) -> &Chats {
        &self.chats
    }

    /// Where events go.
    #[must_use]
    pub fn webhooks(&self) -> &Webhooks {
        &self.webhooks
    }

    /// What is stored of conversations.
    #[must_use]
    pub fn conversations(&self) -> &Conversations {
        &self.conversations
    }

    /// Events as they happen.
    #[must_use]
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// The time that everything here goes by.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.shared.now()
    }

    /// The files of messages.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Conversations with customers, and the people who help in them.
    #[must_use]
    pub fn support(&self) -> &Support {
        &self.support
    }

    /// What the assistant answers from.
    #[must_use]
    pub fn documents(&self) -> &Documents {
        &self.documents
    }

    /// The assistants.
    #[must_use]
    pub fn assistant(&self) -> &Assistant {
        &self.assistant
    }

    /// What happened to messages.
    #[must_use]
    pub fn traces(&self) -> &Traces {
        &self.traces
    }

    /// Whether the server can take traffic.
    pub async fn readiness(&self) -> Readiness {
        let probe = self.shared.store.probe().await;
        Readiness { storage: probe.map_err(|error| error.to_string()) }
    }

    /// Stops taking work, lets every session say goodbye, finishes what is in flight, closes the store.
    /// Whether everything was finished within ten seconds; what was not is taken up by the next start.
    pub async fn stop(&self) -> bool {
        let finished = self.shared.lifecycle.stop().await;
        self.shared.store.close().await;
        finished
    }
}
