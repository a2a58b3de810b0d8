//! Webhook endpoints. Secrets and headers are sealed.

use crate::Store;
use crate::deliveries::{health, pieces, queue};
use crate::dialect::{self, Connection, Query, query};
use crate::error::StorageError;
use crate::events::read_kind;
use crate::quotas;
use crate::row::{Record, json_text};
use flowcore_domain::clock::Millis;
use flowcore_domain::event::EventKind;
use flowcore_domain::id::{InstanceId, WebhookId};
use flowcore_domain::quota::Quota;
use flowcore_domain::webhook::{BytesForm, FileForm, Scope, Secret, Webhook};

const TABLE: &str = "webhook_endpoints";

/// Most endpoints of one scope: every event is written once for each.
pub const MAX_WEBHOOKS: usize = 20;

/// The columns that are not plain text.
struct Sealed {
    events: String,
    headers: Vec<u8>,
    secret: Vec<u8>,
    previous_secrets: Option<Vec<u8>>,
}

impl Store {
    /// Stores a new endpoint; false when its scope has [`MAX_WEBHOOKS`] already.
    ///
    /// # Errors
    /// `NotFound` when the instance or the user was deleted, `OverQuota` when they have enough.
    pub async fn create_webhook(&self, webhook: Webhook) -> Result<bool, StorageError> {
        let sealed = self.seal_webhook(&webhook)?;
        self.write(move |connection| {
            Box::pin(async move {
                let (instance, user) = match webhook.scope {
                    Scope::Instance(id) => (Some(id), None),
                    Scope::User(id) => (None, Some(id)),
                };
                lock(connection, webhook.scope).await?;
                let owner = match webhook.scope {
                    Scope::Instance(id) => quotas::owner(connection, id).await?,
                    Scope::User(id) => id,
                };
                quotas::room(connection, owner, (Quota::Webhooks, 1)).await?;
                let count: Option<i64> = query(
                    "SELECT COUNT(*) FROM webhook_endpoints WHERE instance_id = $1 OR user_id = $1",
                )
                .bind(webhook.scope)
                .scalar(&mut *connection)
                .await?;
                if count.and_then(|count| usize::try_from(count).ok()) >= Some(MAX_WEBHOOKS) {
                    return Ok(false);
                }
                query(
                    "INSERT INTO webhook_endpoints (id, instance_id, user_id, url, enabled, events, \
                     headers, by_events, secret, created_at, updated_at, evolution, media, bytes) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12, $13)",
                )
                .bind(webhook.id.text())
                .bind(instance)
                .bind(user)
                .bind(webhook.url)
                .bind(webhook.enabled)
                .bind(sealed.events)
                .bind(sealed.headers)
                .bind(webhook.by_events)
                .bind(sealed.secret)
                .bind(webhook.created_at.0)
                .bind(webhook.evolution)
                .bind(webhook.media.as_str())
                .bind(webhook.bytes.as_str())
                .execute(connection)
                .await?;
                Ok(true)
            })
        })
        .await
    }

    /// The endpoints of a scope, oldest first.
    pub async fn webhooks(&self, scope: Scope) -> Result<Vec<Webhook>, StorageError> {
        let ask = query(
            "SELECT * FROM webhook_endpoints WHERE instance_id = $1 OR user_id = $1 ORDER BY id",
        );
        self.read_webhooks(ask.bind(scope)).await
    }

    /// The endpoints that get an instance's events: its own, those of all its owner's instances, and
    /// those of admins.
    pub async fn webhooks_hearing(
        &self,
        instance: InstanceId,
    ) -> Result<Vec<Webhook>, StorageError> {
        let ask = query(
            "SELECT * FROM webhook_endpoints WHERE instance_id = $1 OR user_id = \
             (SELECT owned.user_id FROM whatsapp_instances owned WHERE owned.id = $1) \
             OR (SELECT role FROM profiles WHERE id = user_id) = 'admin' ORDER BY id",
        );
        self.read_webhooks(ask.bind(instance)).await
    }

    async fn read_webhooks(&self, ask: Query) -> Result<Vec<Webhook>, StorageError> {
        let rows = ask.fetch_all(self.readers()).await?;
        rows.iter().map(|row| self.read_webhook(&Record::new(TABLE, row))).collect()
    }

    /// An endpoint by id.
    pub async fn webhook(&self, id: WebhookId) -> Result<Option<Webhook>, StorageError> {
        let query = query("SELECT * FROM webhook_endpoints WHERE id = $1").bind(id.text());
        let row = query.fetch_optional(self.readers()).await?;
        row.map(|row| self.read_webhook(&Record::new(TABLE, &row))).transpose()
    }

    /// Replaces what an endpoint says; its scope and time of creation stay. Whatever made it fail is
    /// taken for mended: a pause ends. Switching it off ends what waits for it.
    ///
    /// # Errors
    /// `NotFound` when it was deleted.
    pub async fn update_webhook(&self, webhook: Webhook, now: Millis) -> Result<(), StorageError> {
        let sealed = self.seal_webhook(&webhook)?;
        let (id, enabled) = (webhook.id, webhook.enabled);
        if enabled {
            // Of an earlier switching off that did not come to its end.
            self.abandon_all(id, now).await?;
        }
        let ended = self.write(move |connection| {
            Box::pin(async move {
                lock(connection, webhook.scope).await?;
                let changed = query(
                    "UPDATE webhook_endpoints SET url = $3, enabled = $4, events = $5, \
                     headers = $6, by_events = $7, secret = $8, previous_secret = $9, \
                     previous_until = $10, media = $11, bytes = $12, updated_at = $13, \
                     failures = 0, failing_since = NULL, paused_until = NULL, off_because = NULL \
                     WHERE id = $1 AND (instance_id = $2 OR user_id = $2)",
                )
                .bind(webhook.id.text())
                .bind(webhook.scope)
                .bind(webhook.url)
                .bind(webhook.enabled)
                .bind(sealed.events)
                .bind(sealed.headers)
                .bind(webhook.by_events)
                .bind(sealed.secret)
                .bind(sealed.previous_secrets)
                .bind(webhook.previous_secrets.iter().map(|(_, until)| until.0).max())
                .bind(webhook.media.as_str())
                .bind(webhook.bytes.as_str())
                .bind(now.0)
                .execute(&mut *connection)
                .await?;
                if changed == 0 {
                    return Err(StorageError::NotFound("the webhook"));
                }
                if enabled {
                    health::release(connection, &id.text(), now).await?;
                    Ok(0)
                } else {
                    pieces::abandon(connection, &id.text(), now).await
                }
            })
        });
        if ended.await? == pieces::PIECE {
            self.abandon_later(id, now);
        }
        Ok(())
    }

    /// Deletes an endpoint of a scope with its deliveries; false when it was not there.
    pub async fn delete_webhook(&self, scope: Scope, id: WebhookId) -> Result<bool, StorageError> {
        let off = self.write(move |connection| {
            Box::pin(async move {
                query(
                    "UPDATE webhook_endpoints SET enabled = FALSE WHERE id = $1 \
                     AND (instance_id = $2 OR user_id = $2)",
                )
                .bind(id.text())
                .bind(scope)
                .execute(connection)
                .await
            })
        });
        if off.await? == 0 {
            return Ok(false);
        }
        self.empty_webhook(id).await?;
        self.write(move |connection| {
            Box::pin(async move {
                lock(connection, scope).await?;
                let deleted = query(
                    "DELETE FROM webhook_endpoints WHERE id = $1 \
                     AND (instance_id = $2 OR user_id = $2)",
                )
                .bind(id.text())
                .bind(scope)
                .execute(connection)
                .await?;
                Ok(deleted > 0)
            })
        })
        .await
    }

    fn seal_webhook(&self, webhook: &Webhook) -> Result<Sealed, StorageError> {
        let sealer = &self.inner.webhooks;
        let mut events: Vec<&str> = webhook.events.iter().map(|kind| kind.as_str()).collect();
        let chats = webhook.chats;
        let left_out = [("!groups", chats.groups), ("!own", chats.own), ("!status", chats.status)];
        events.extend(left_out.iter().filter(|(_, wanted)| !wanted).map(|(word, _)| word));
        let headers = json_text(&webhook.headers)?;
        Ok(Sealed {
            events: json_text(&events)?,
            headers: sealer.seal(&row_of(webhook.id, "headers"), headers.as_bytes())?,
            secret: sealer
                .seal(&row_of(webhook.id, "secret"), webhook.secret.reveal().as_bytes())?,
            previous_secrets: if webhook.previous_secrets.is_empty() {
                None
            } else {
                let kept = webhook.previous_secrets.iter();
                let kept = kept.map(|(old, until)| format!("{} {}", old.reveal(), until.0));
                let kept = kept.collect::<Vec<_>>().join("\n");
                Some(sealer.seal(&row_of(webhook.id, "previous_secret"), kept.as_bytes())?)
            },
        })
    }

    fn read_webhook(&self, record: &Record<'_>) -> Result<Webhook, StorageError> {
        let id: WebhookId = record.parsed("id")?;
        let open = |column, sealed| self.inner.webhooks.open(TABLE, &row_of(id, column), sealed);
        let text =
            |column, sealed| String::from_utf8(open(column, sealed)?).map_err(|_| record.corrupt());
        let secret = |text: &str| Secret::parse(text).map_err(|_| record.corrupt());
        let previous = match record.get::<Option<&[u8]>>("previous_secret")? {
            Some(sealed) => text("previous_secret", sealed)?,
            None => String::new(),
        };
        let previous = previous.lines().map(|line| match line.split_once(' ') {
            Some((old, until)) => {
                let until = until.parse().map_err(|_| record.corrupt())?;
                Ok((secret(old)?, Millis(until)))
            }
            // As it was when there was one at most.
            None => Ok((secret(line)?, Millis(record.get("previous_until")?))),
        });
        let previous = previous.collect::<Result<Vec<_>, StorageError>>()?;
        let words: Vec<String> = record.json("events")?;
        let (kinds, chats) = queue::split_selection(&words);
        let events: Option<Vec<EventKind>> = kinds.into_iter().map(read_kind).collect();
        let headers = open("headers", record.get::<&[u8]>("headers")?)?;
        Ok(Webhook {
            id,
            scope: match record.parsed_option("instance_id")? {
                Some(instance) => Scope::Instance(instance),
                None => Scope::User(record.parsed("user_id")?),
            },
            url: record.get("url")?,
            enabled: record.get("enabled")?,
            events: events.ok_or_else(|| record.corrupt())?,
            chats,
            headers: serde_json::from_slice(&headers).map_err(|_| record.corrupt())?,
            by_events: record.get("by_events")?,
            media: record.word("media", FileForm::parse)?,
            bytes: record.word("bytes", BytesForm::parse)?,
            secret: secret(&text("secret", record.get::<&[u8]>("secret")?)?)?,
            previous_secrets: previous,
            health: health::read(record)?,
            evolution: record.get("evolution")?,
            created_at: Millis(record.get("created_at")?),
            updated_at: Millis(match record.get::<Option<i64>>("updated_at")? {
                Some(at) => at,
                None => record.get("created_at")?,
            }),
        })
    }
}

async fn lock(connection: &mut Connection, scope: Scope) -> Result<(), StorageError> {
    match scope {
        Scope::Instance(instance) => dialect::lock_instance(connection, instance).await,
        Scope::User(user) => dialect::lock_user(connection, user).await,
    }
}

/// What ties a sealed column to its row.
pub(crate) fn row_of(id: impl std::fmt::Display, column: &str) -> String {
    format!("{TABLE}/{id}/{column}")
}
