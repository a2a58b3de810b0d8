//! What an instance has besides its state: a key of its own, a proxy, what Socket.IO tells of it, and how
//! much is stored of it. Token and proxy are sealed; a token is found by its hash.

use super::{NewInstance, TABLE, named, read_instance};
use crate::Store;
use crate::dialect::{Connection, Instant, query};
use crate::error::StorageError;
use crate::events::{self, read_kind};
use crate::quotas;
use crate::row::{Record, json_text};
use flowcore_domain::clock::Millis;
use flowcore_domain::event::NewEvent;
use flowcore_domain::id::InstanceId;
use flowcore_domain::instance::Instance;
use flowcore_domain::instance::settings::{LiveSelection, Settings};
use flowcore_domain::proxy::Proxy;
use flowcore_domain::quota::Quota;
use serde::{Deserialize, Serialize};

/// What a new instance begins with.
#[derive(Debug, Clone, Default)]
pub struct InstanceOptions {
    /// Its switches.
    pub settings: Settings,
    /// A key that is good for this instance alone.
    pub token: Option<InstanceToken>,
    /// The way out.
    pub proxy: Option<Proxy>,
}

/// A key of one instance and its SHA-256.
#[derive(Clone, PartialEq, Eq)]
pub struct InstanceToken {
    /// The key; sealed at rest.
    pub text: String,
    /// By which it is found.
    pub hash: [u8; 32],
}

/// Never shows the token.
impl std::fmt::Debug for InstanceToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InstanceToken(…)")
    }
}

/// How much is stored of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InstanceCounts {
    /// Messages.
    pub messages: i64,
    /// People.
    pub contacts: i64,
    /// Conversations.
    pub chats: i64,
}

#[derive(Serialize, Deserialize)]
struct StoredSelection {
    enabled: bool,
    events: Vec<String>,
    created_at: i64,
    updated_at: i64,
}

impl Store {
    /// Makes an instance with what it begins with, and appends `events` about it.
    ///
    /// # Errors
    /// `Conflict` when the name (compared without case) or the token is taken, `NotFound` when the user is
    /// not there, `OverQuota` when they have enough.
    pub async fn create_instance_with(
        &self,
        new: NewInstance,
        options: InstanceOptions,
        events: Vec<NewEvent>,
    ) -> Result<Instance, StorageError> {
        let token = options.token.as_ref().map(|token| token.text.as_bytes());
        let token = token.map(|text| self.seal_option(new.id, "token", text)).transpose()?;
        let proxy = options.proxy.as_ref().map(json_text).transpose()?;
        let proxy = proxy.map(|text| self.seal_option(new.id, "proxy", text.as_bytes()));
        let proxy = proxy.transpose()?;
        self.write(move |connection| {
            Box::pin(async move {
                quotas::room(connection, new.user_id, (Quota::Instances, 1)).await?;
                let hash = options.token.map(|token| token.hash.to_vec());
                refuse_taken_token(connection, hash.as_deref()).await?;
                let switches = options.settings;
                let row = query(
                    "INSERT INTO whatsapp_instances (id, user_id, instance_name, status, wanted, \
                     created_at, updated_at, groups_ignore, read_messages, reject_calls, \
                     reject_calls_message, always_online, read_status, sync_full_history, \
                     token_hash, token, proxy) VALUES ($1, $2, $3, 'CREATED', FALSE, $4, $4, \
                     $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING *",
                )
                .bind(new.id)
                .bind(new.user_id)
                .bind(new.name.as_str())
                .bind(Instant(new.now))
                .bind(switches.groups_ignore)
                .bind(switches.read_messages)
                .bind(switches.reject_calls)
                .bind(switches.reject_calls_message)
                .bind(switches.always_online)
                .bind(switches.read_status)
                .bind(switches.sync_full_history)
                .bind(hash)
                .bind(token)
                .bind(proxy)
                .fetch_one(&mut *connection)
                .await
                .map_err(named)?;
                events::append(connection, new.id, new.now, events).await?;
                read_instance(&Record::new(TABLE, &row))
            })
        })
        .await
    }

    /// The instance whose own key has this hash.
    pub async fn instance_by_token(
        &self,
        hash: [u8; 32],
    ) -> Result<Option<Instance>, StorageError> {
        let row =
            query("SELECT * FROM whatsapp_instances WHERE token_hash = $1 AND retired_at IS NULL")
                .bind(hash.as_slice())
                .fetch_optional(self.readers())
                .await?;
        row.map(|row| read_instance(&Record::new(TABLE, &row))).transpose()
    }

    /// Gives an instance a key in place of the one before.
    ///
    /// # Errors
    /// `Conflict` when another instance has it, `NotFound` when it was deleted.
    pub async fn set_instance_token(
        &self,
        id: InstanceId,
        token: InstanceToken,
    ) -> Result<(), StorageError> {
        let sealed = self.seal_option(id, "token", token.text.as_bytes())?;
        let change = "UPDATE whatsapp_instances SET token_hash = $2, token = $3 WHERE id = $1";
        self.write(move |connection| {
            Box::pin(async move {
                let change = query(change).bind(id).bind(token.hash.as_slice()).bind(sealed);
                found(change.execute(connection).await?)
            })
        })
        .await
    }

    /// The key of an instance, when it has one.
    ///
    /// # Errors
    /// `NotFound` when it was deleted.
    pub async fn instance_token(&self, id: InstanceId) -> Result<Option<String>, StorageError> {
        let text = self.open_option(
            id,
            "SELECT token AS sealed FROM whatsapp_instances WHERE id = $1",
            "token",
        );
        Ok(text.await?.map(|text| String::from_utf8_lossy(&text).into_owned()))
    }

    /// The way out of an instance, when it has one of its own.
    ///
    /// # Errors
    /// `NotFound` when it was deleted.
    pub async fn proxy(&self, id: InstanceId) -> Result<Option<Proxy>, StorageError> {
        let text = self.open_option(
            id,
            "SELECT proxy AS sealed FROM whatsapp_instances WHERE id = $1",
            "proxy",
        );
        let corrupt = |_| StorageError::Corrupt { table: TABLE, row: id.text() };
        text.await?.map(|text| serde_json::from_slice(&text).map_err(corrupt)).transpose()
    }

    /// Changes the way out of an instance.
    ///
    /// # Errors
    /// `NotFound` when it was deleted.
    pub async fn set_proxy(
        &self,
        id: InstanceId,
        proxy: Option<Proxy>,
        now: Millis,
    ) -> Result<(), StorageError> {
        let text = proxy.as_ref().map(json_text).transpose()?;
        let sealed = text.map(|text| self.seal_option(id, "proxy", text.as_bytes())).transpose()?;
        let change = "UPDATE whatsapp_instances SET proxy = $2, updated_at = $3 WHERE id = $1";
        self.write(move |connection| {
            Box::pin(async move {
                let change = query(change).bind(id).bind(sealed).bind(Instant(now));
                found(change.execute(connection).await?)
            })
        })
        .await
    }

    /// What Socket.IO tells of an instance; `None` when nobody chose.
    ///
    /// # Errors
    /// `NotFound` when it was deleted.
    pub async fn live_selection(
        &self,
        id: InstanceId,
    ) -> Result<Option<LiveSelection>, StorageError> {
        let row = query("SELECT id, live_selection FROM whatsapp_instances WHERE id = $1")
            .bind(id)
            .fetch_optional(self.readers())
            .await?
            .ok_or(StorageError::NotFound("the instance"))?;
        let record = Record::new(TABLE, &row);
        let Some(stored) = record.json_option::<StoredSelection>("live_selection")? else {
            return Ok(None);
        };
        let events: Option<Vec<_>> = stored.events.iter().map(|name| read_kind(name)).collect();
        Ok(Some(LiveSelection {
            enabled: stored.enabled,
            events: events.ok_or_else(|| record.corrupt())?,
            created_at: Millis(stored.created_at),
            updated_at: Millis(stored.updated_at),
        }))
    }

    /// Chooses what Socket.IO tells of an instance.
    ///
    /// # Errors
    /// `NotFound` when it was deleted.
    pub async fn set_live_selection(
        &self,
        id: InstanceId,
        selection: LiveSelection,
    ) -> Result<(), StorageError> {
        let text = json_text(&StoredSelection {
            enabled: selection.enabled,
            events: selection.events.iter().map(|kind| kind.as_str().to_owned()).collect(),
            created_at: selection.created_at.0,
            updated_at: selection.updated_at.0,
        })?;
        self.write(move |connection| {
            Box::pin(async move {
                let change = "UPDATE whatsapp_instances SET live_selection = $2 WHERE id = $1";
                found(query(change).bind(id).bind(text).execute(connection).await?)
            })
        })
        .await
    }

    /// How much is stored of an instance.
    pub async fn counts(&self, id: InstanceId) -> Result<InstanceCounts, StorageError> {
        let row = query(
            "SELECT (SELECT COUNT(*) FROM messages WHERE instance_id = $1) AS messages, \
             (SELECT COUNT(*) FROM contacts WHERE instance_id = $1) AS contacts, \
             (SELECT COUNT(*) FROM chats WHERE instance_id = $1) AS chats",
        )
        .bind(id)
        .fetch_one(self.readers())
        .await?;
        let record = Record::new("the counts", &row);
        Ok(InstanceCounts {
            messages: record.get("messages")?,
            contacts: record.get("contacts")?,
            chats: record.get("chats")?,
        })
    }

    fn seal_option(
        &self,
        id: InstanceId,
        column: &str,
        value: &[u8],
    ) -> Result<Vec<u8>, StorageError> {
        self.inner.options.seal(&row_of(id, column), value)
    }

    async fn open_option(
        &self,
        id: InstanceId,
        select: &'static str,
        column: &str,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let row = query(select).bind(id).fetch_optional(self.readers()).await?;
        let row = row.ok_or(StorageError::NotFound("the instance"))?;
        let sealed = Record::new(TABLE, &row).get::<Option<Vec<u8>>>("sealed")?;
        let open = |sealed: Vec<u8>| self.inner.options.open(TABLE, &row_of(id, column), &sealed);
        sealed.map(open).transpose()
    }
}

async fn refuse_taken_token(
    connection: &mut Connection,
    hash: Option<&[u8]>,
) -> Result<(), StorageError> {
    let Some(hash) = hash else { return Ok(()) };
    let taken = query("SELECT 1 FROM whatsapp_instances WHERE token_hash = $1").bind(hash);
    match taken.fetch_optional(connection).await? {
        Some(_) => Err(StorageError::Conflict("an instance with this token")),
        None => Ok(()),
    }
}

fn found(changed: u64) -> Result<(), StorageError> {
    if changed > 0 { Ok(()) } else { Err(StorageError::NotFound("the instance")) }
}

/// What ties a sealed column to its row.
pub(crate) fn row_of(id: InstanceId, column: &str) -> String {
    format!("{TABLE}/{id}/{column}")
}
