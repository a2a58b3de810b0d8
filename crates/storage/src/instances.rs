//! Instances: rows of `whatsapp_instances`. Deleting one deletes everything of it.

pub(crate) mod options;

use crate::Store;
use crate::dialect::{Instant, query};
use crate::error::StorageError;
use crate::events::{self, StoredEvent};
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::event::NewEvent;
use flowcore_domain::id::{InstanceId, UserId};
use flowcore_domain::instance::settings::Settings;
use flowcore_domain::instance::{Identity, Instance, InstanceName, Reason, Status};
use options::InstanceOptions;

const TABLE: &str = "whatsapp_instances";

/// An instance to be made.
#[derive(Debug, Clone)]
pub struct NewInstance {
    /// Its id.
    pub id: InstanceId,
    /// Who owns it.
    pub user_id: UserId,
    /// What its user calls it.
    pub name: InstanceName,
    /// When.
    pub now: Millis,
}

/// What changes about an instance.
#[derive(Debug, Clone)]
pub struct InstanceChange {
    /// What it is doing.
    pub status: Status,
    /// Why it is not connected.
    pub reason: Option<Reason>,
    /// Whose number it is: `Some(None)` unlinks, `None` leaves it.
    pub identity: Option<Option<Identity>>,
    /// Whether its user wants it to run; `None` leaves it.
    pub wanted: Option<bool>,
    /// When it was last connected; `None` leaves it.
    pub last_connected: Option<Millis>,
    /// When.
    pub now: Millis,
}

/// Which instances a list shows.
#[derive(Debug, Clone, Default)]
pub struct InstanceFilter {
    /// Only those that do this.
    pub status: Option<Status>,
    /// Only those whose name or number contains this, whatever the case.
    pub search: Option<String>,
    /// Only those of this user.
    pub user_id: Option<UserId>,
}

/// What opens a door goes at once, as the link does; what was said goes with the row.
const RETIRE: &str = "UPDATE whatsapp_instances SET retired_at = $2, status = 'DISCONNECTED', \
     wanted = FALSE, token_hash = NULL, token = NULL, proxy = NULL WHERE id = $1";

impl Store {
    /// Makes an instance and appends `events` about it.
    ///
    /// # Errors
    /// `Conflict` when the name is taken (compared without case), `NotFound` when the user is not there,
    /// `OverQuota` when they have enough.
    pub async fn create_instance(
        &self,
        new: NewInstance,
        events: Vec<NewEvent>,
    ) -> Result<Instance, StorageError> {
        self.create_instance_with(new, InstanceOptions::default(), events).await
    }

    /// An instance by id.
    pub async fn instance(&self, id: InstanceId) -> Result<Option<Instance>, StorageError> {
        let query =
            query("SELECT * FROM whatsapp_instances WHERE id = $1 AND retired_at IS NULL").bind(id);
        let row = query.fetch_optional(self.point()).await?;
        row.map(|row| read_instance(&Record::new(TABLE, &row))).transpose()
    }

    /// An instance by name, compared without case.
    pub async fn instance_by_name(
        &self,
        name: &InstanceName,
    ) -> Result<Option<Instance>, StorageError> {
        let row = query(
            "SELECT * FROM whatsapp_instances WHERE lower(instance_name) = $1 AND retired_at IS NULL",
        )
            .bind(name.folded())
            .fetch_optional(self.point())
            .await?;
        row.map(|row| read_instance(&Record::new(TABLE, &row))).transpose()
    }

    /// The instances that pass a filter, oldest first.
    pub async fn instances(&self, filter: &InstanceFilter) -> Result<Vec<Instance>, StorageError> {
        let search = filter.search.as_deref().unwrap_or_default().to_lowercase();
        let rows = query(
            "SELECT * FROM whatsapp_instances WHERE retired_at IS NULL \
             AND ($1 IS NULL OR status = $1) \
             AND ($2 IS NULL OR user_id = $2) AND ($3 = '' \
             OR replace(lower(instance_name), $3, '') <> lower(instance_name) \
             OR replace(COALESCE(phone, ''), $3, '') <> COALESCE(phone, '')) ORDER BY id",
        )
        .bind(filter.status.map(Status::stored))
        .bind(filter.user_id)
        .bind(search)
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| read_instance(&Record::new(TABLE, row))).collect()
    }

    /// Changes an instance and appends `events` about it.
    ///
    /// # Errors
    /// `NotFound` when it was deleted.
    pub async fn update_instance(
        &self,
        id: InstanceId,
        change: InstanceChange,
        events: Vec<NewEvent>,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let identity = change.identity.as_ref();
                let linked = identity.and_then(Option::as_ref);
                let changed = query(
                    "UPDATE whatsapp_instances SET status = $2, status_reason = $3, \
                     jid = CASE WHEN $4 THEN $5 ELSE jid END, \
                     phone = CASE WHEN $4 THEN $6 ELSE phone END, \
                     lid = CASE WHEN $4 THEN $7 ELSE lid END, \
                     profile_name = CASE WHEN $4 THEN $8 ELSE profile_name END, \
                     wanted = COALESCE($9, wanted), \
                     last_connected = COALESCE($10, last_connected), \
                     disconnected_at = CASE WHEN $2 <> 'DISCONNECTED' THEN NULL \
                     ELSE COALESCE(disconnected_at, $11) END, \
                     updated_at = $11 WHERE id = $1",
                )
                .bind(id)
                .bind(change.status.stored())
                .bind(change.reason.map(Reason::as_str))
                .bind(identity.is_some())
                .bind(linked.map(|identity| identity.jid.to_string()))
                .bind(linked.and_then(|identity| identity.jid.phone()))
                .bind(linked.and_then(|identity| identity.lid.as_ref()).map(ToString::to_string))
                .bind(linked.and_then(|identity| identity.profile_name.as_deref()))
                .bind(change.wanted)
                .bind(change.last_connected.map(Instant))
                .bind(Instant(change.now))
                .execute(&mut *connection)
                .await?;
                if changed == 0 {
                    return Err(StorageError::NotFound("the instance"));
                }
                events::append(connection, id, change.now, events).await
            })
        })
        .await
    }

    /// No connection outlives the process that held it: who was connected when the last one ended, and
    /// is to run, is on the way back. Told to nobody; each tells of itself when it dials.
    pub async fn expect_back(&self) -> Result<(), StorageError> {
        self.write(|connection| {
            Box::pin(async move {
                let expected = query(
                    "UPDATE whatsapp_instances SET status = $1 \
                     WHERE status = $2 AND wanted AND jid IS NOT NULL",
                );
                let expected = expected.bind(Status::Connecting.stored());
                expected.bind(Status::Connected.stored()).execute(connection).await?;
                Ok(())
            })
        })
        .await
    }

    /// Changes what the owner can switch.
    ///
    /// # Errors
    /// `NotFound` when it was deleted.
    pub async fn update_settings(
        &self,
        id: InstanceId,
        settings: Settings,
        now: Millis,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let changed = query(
                    "UPDATE whatsapp_instances SET groups_ignore = $2, read_messages = $3, \
                     updated_at = $4, reject_calls = $5, reject_calls_message = $6, \
                     always_online = $7, read_status = $8, sync_full_history = $9 WHERE id = $1",
                )
                .bind(id)
                .bind(settings.groups_ignore)
                .bind(settings.read_messages)
                .bind(Instant(now))
                .bind(settings.reject_calls)
                .bind(settings.reject_calls_message)
                .bind(settings.always_online)
                .bind(settings.read_status)
                .bind(settings.sync_full_history)
                .execute(connection)
                .await?;
                let there = changed > 0;
                there.then_some(()).ok_or(StorageError::NotFound("the instance"))
            })
        })
        .await
    }

    /// Deletes an instance, and tells `farewell` to who listens. It is gone for everybody at once and its
    /// name is free; events on their way, `farewell` among them, still reach their webhooks: what they need
    /// stays until they are through, or until [`bury_retired`](Self::bury_retired) ends it. Returns the
    /// events, and nothing when it was not there.
    pub async fn retire_instance(
        &self,
        id: InstanceId,
        farewell: Vec<NewEvent>,
        now: Millis,
    ) -> Result<Option<Vec<StoredEvent>>, StorageError> {
        let retired = self.write(move |connection| {
            Box::pin(async move {
                let told = events::append(connection, id, now, farewell).await?;
                let link = query("DELETE FROM session_entries WHERE instance_id = $1");
                link.bind(id).execute(&mut *connection).await?;
                query(RETIRE).bind(id).bind(now.0).execute(connection).await?;
                Ok(told)
            })
        });
        let told = match retired.await {
            Ok(told) => told,
            Err(StorageError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        if !self.is_awaited(id).await? {
            self.delete_instance(id).await?;
        }
        Ok(Some(told))
    }

    /// Deletes what is left of retired instances: of those whose events are through, and of those that were
    /// retired before `before`. Returns how many.
    pub async fn bury_retired(&self, before: Millis) -> Result<u64, StorageError> {
        let retired = "SELECT id, retired_at FROM whatsapp_instances WHERE retired_at IS NOT NULL";
        let rows = query(retired).fetch_all(self.readers()).await?;
        let mut buried = 0;
        for row in &rows {
            let record = Record::new(TABLE, row);
            let id: InstanceId = record.parsed("id")?;
            let old = record.get::<i64>("retired_at")? < before.0;
            if old || !self.is_awaited(id).await? {
                buried += u64::from(self.delete_instance(id).await?);
            }
        }
        Ok(buried)
    }

    /// Whether an event of the instance is on its way.
    async fn is_awaited(&self, id: InstanceId) -> Result<bool, StorageError> {
        let waiting =
            "SELECT id FROM deliveries WHERE instance_id = $1 AND state = 'waiting' LIMIT 1";
        Ok(query(waiting).bind(id).fetch_optional(self.readers()).await?.is_some())
    }

    /// Deletes an instance and everything of it; false when it was not there. What it has much of goes
    /// first, in small jobs.
    pub async fn delete_instance(&self, id: InstanceId) -> Result<bool, StorageError> {
        self.empty_instance(id).await?;
        let deleted = self.write(move |connection| {
            Box::pin(async move {
                let deletion = query("DELETE FROM whatsapp_instances WHERE id = $1");
                deletion.bind(id).execute(connection).await
            })
        });
        let deleted = deleted.await?;
        // A delivery of it may have been the one that was to try a paused endpoint of all instances.
        if let Err(error) = self.mend_endpoints(Millis(0)).await {
            tracing::warn!(%error, "endpoints are mended later");
        }
        Ok(deleted > 0)
    }
}

/// A conflict of this insert can only be about the name: ids are random.
fn named(error: StorageError) -> StorageError {
    match error {
        StorageError::Conflict(_) => StorageError::Conflict("an instance with this name"),
        StorageError::NotFound(_) => StorageError::NotFound("the user"),
        other => other,
    }
}

fn read_instance(record: &Record<'_>) -> Result<Instance, StorageError> {
    let reason: Option<&str> = record.get("status_reason")?;
    let reason = reason.map(|word| Reason::parse(word).ok_or_else(|| record.corrupt()));
    let jid = record.parsed_option("jid")?;
    let lid = record.parsed_option("lid")?;
    let profile_name = record.get("profile_name")?;
    Ok(Instance {
        id: record.parsed("id")?,
        user_id: record.parsed("user_id")?,
        name: record.parsed("instance_name")?,
        status: record.word("status", Status::parse)?,
        reason: reason.transpose()?,
        identity: jid.map(|jid| Identity { jid, lid, profile_name }),
        wanted: record.get("wanted")?,
        last_connected: record.millis_option("last_connected")?,
        disconnected_at: record.millis_option("disconnected_at")?,
        created_at: record.millis("created_at")?,
        updated_at: record.millis("updated_at")?,
        settings: Settings {
            reject_calls: record.get("reject_calls")?,
            reject_calls_message: record.get("reject_calls_message")?,
            groups_ignore: record.get("groups_ignore")?,
            always_online: record.get("always_online")?,
            read_messages: record.get("read_messages")?,
            read_status: record.get("read_status")?,
            sync_full_history: record.get("sync_full_history")?,
        },
    })
}
