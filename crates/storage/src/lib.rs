//! Everything that must last: one [`Store`] over one database.
//!
//! A write returns when it is durable, and it is whole or not at all. What a write causes (events, their
//! deliveries) is written with it. Secrets are sealed before they reach the database. All times are
//! arguments; the store has no clock.
//!
//! The database is SQLite or PostgreSQL. Writes go through tasks of their own (`database`), reads run
//! beside them. What differs between the two is in `dialect`.

#![warn(missing_docs)]

mod accounts;
mod assistant;
mod audit;
mod changes;
mod contacts;
mod conversations;
mod database;
mod deliveries;
mod dialect;
mod documents;
mod error;
mod events;
mod glance;
mod history;
mod inbox;
mod instances;
mod jobs;
mod labels;
mod maintenance;
mod media;
mod messages;
mod open;
mod outgoing;
mod pictures;
mod pulse;
mod queries;
mod quotas;
mod rotation;
mod row;
mod sessions;
mod statuses;
mod support;
mod trace;
mod vault;
mod vitals;
mod webhooks;

pub use accounts::{
    Admin, ApiKey, LAST_ADMIN, LoginSession, NewKey, NewUser, Refresh, Secrets, User, UserChange,
};
pub use assistant::{AiCase, PromptVersion, Spending, StoredAssistant};
pub use audit::{AuditEntry, AuditFilter, Deed};
pub use contacts::{Chat, ChatCursor};
pub use conversations::{
    AUTOMATIC, Attention, Caused, Causing, Conversation, ConversationFilter, Moved, Moving,
    NewEscalation, Said, Summary, Transition,
};
pub use deliveries::{
    Again, Claim, ClaimedDelivery, Delivery, DeliveryAttempt, DeliveryFilter, DeliveryState,
    PassedOver, RenderTurn, Settlement,
};
pub use documents::{
    Document, DocumentFilter, DocumentPassage, EmbeddingProgress, KnownDocument, MAX_UNREAD,
    NewContent, NewDocument, PassageRef, StoredEmbedder,
};
pub use error::{OpenError, StorageError};
pub use events::{Followed, FollowedEvent, Place, StoredEvent};
pub use glance::Glance;
pub use history::Retention;
pub use inbox::{InboundRow, TellPast};
pub use instances::options::{InstanceCounts, InstanceOptions, InstanceToken};
pub use instances::{InstanceChange, InstanceFilter, NewInstance};
pub use jobs::{ClaimedJob, JobOutcome, NewJob};
pub use labels::Label;
pub use maintenance::{BackupError, MigrationPlan, backup, migration_plan, restore};
pub use media::Media;
pub use messages::{MessageCursor, StoredMessage};
pub use open::{DatabaseOptions, Mark, StoreOptions};
pub use outgoing::{IDEMPOTENCY_LIFETIME, OutgoingInsert, OutgoingRow, Turn};
pub use pulse::{Queue, Traffic};
pub use queries::{ChatFilter, ChatOverview, Contact, ContactFilter, MessageFilter, Page};
pub use rotation::{key_is_rotated, rotate_key_file};
pub use statuses::{Receipt, Render, StatusNews};
pub use support::{Escalation, EscalationFilter, KeywordAdded, StoredKeyword};
pub use trace::Note;
pub use vault::{MasterKey, MasterKeyError};
pub use webhooks::MAX_WEBHOOKS;

use crate::database::{Database, Extent, JobFuture};
use crate::dialect::{Connection, Point, Readers, query};
use crate::open::{Guard, Opened};
use crate::vault::{Sealer, Vault};
use flowcore_domain::clock::Millis;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::{Timestamp, Uuid};

/// The store. Clones share one database.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    database: Database,
    guard: Guard,
    vault: Vault,
    /// Where the master key is, unless it is a setting.
    key_file: Option<PathBuf>,
    webhooks: Sealer,
    logins: Sealer,
    options: Sealer,
    profiles: Sealer,
    assistants: Sealer,
}

impl Store {
    /// Opens the store of a data directory, making or migrating what is needed.
    ///
    /// # Errors
    /// [`OpenError`] says what to do; nothing was changed.
    pub async fn open(options: StoreOptions) -> Result<Self, OpenError> {
        let key_file = match options.master_key {
            Some(_) => None,
            None => Some(options.data_dir.join(open::KEY_FILE)),
        };
        let store = Self::around(open::open(options).await?, key_file);
        if store.inner.key_file.is_some() || store.inner.vault.master().has_earlier() {
            store.watch_key();
        }
        Ok(store)
    }

    /// Opens the store beside a server that runs on it, for a small change.
    ///
    /// # Errors
    /// [`OpenError::InUse`] when that server is of another version.
    pub async fn open_beside(options: StoreOptions) -> Result<Self, OpenError> {
        Ok(Self::around(open::beside(options).await?, None))
    }

    fn around(opened: Opened, key_file: Option<PathBuf>) -> Self {
        let Opened { database, vault, guard } = opened;
        let inner = Inner {
            webhooks: vault.sealer("webhook_endpoints"),
            logins: vault.sealer("login_sessions"),
            options: vault.sealer("whatsapp_instances"),
            profiles: vault.sealer("profiles"),
            assistants: vault.sealer("whatsapp_ai_config"),
            database,
            guard,
            vault,
            key_file,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Finishes the writes that wait and closes the database. Later calls fail as unavailable.
    pub async fn close(&self) {
        self.inner.database.close().await;
        self.inner.guard.release().await;
    }

    /// Whether a write becomes durable now.
    pub async fn probe(&self) -> Result<(), StorageError> {
        self.write(|connection| {
            Box::pin(async move {
                let touch = query(
                    "INSERT INTO meta (key, value) VALUES ('probe', $1) \
                     ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                );
                touch.bind(Vec::<u8>::new()).execute(connection).await?;
                Ok(())
            })
        })
        .await
    }

    /// A key that only servers with this master key know, for something that is not stored.
    pub fn derived_key(&self, purpose: &str) -> [u8; 32] {
        self.inner.vault.derive(purpose)
    }

    fn readers(&self) -> &Readers {
        self.inner.database.readers()
    }

    /// Where a row, or a few, are read by their key.
    fn point(&self) -> Point<'_> {
        Point(self.readers())
    }

    /// Runs a job of the writer; see `database`.
    async fn write<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> JobFuture<'c, T> + Send + 'static,
    {
        self.write_in(Extent::Transaction, work).await
    }

    /// The same with a job that may be a single statement. What is done for a deed takes its entry along.
    async fn write_in<T, F>(&self, extent: Extent, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> JobFuture<'c, T> + Send + 'static,
    {
        let Some(deed) = Deed::under_way() else {
            return self.inner.database.write(extent, work).await;
        };
        let entered = Arc::clone(&deed);
        let writing = self.inner.database.write(Extent::Transaction, move |connection| {
            Box::pin(async move {
                entered.enter(&mut *connection).await?;
                work(connection).await
            })
        });
        let written = writing.await?;
        deed.is_durable();
        Ok(written)
    }
}

/// A new id that sorts by `now`.
fn new_id(now: Millis) -> Uuid {
    let ms = u64::try_from(now.0).unwrap_or_default();
    let nanos = u32::try_from(ms % 1000).unwrap_or_default() * 1_000_000;
    Uuid::new_v7(Timestamp::from_unix_time(ms / 1000, nanos, 0, 0))
}
