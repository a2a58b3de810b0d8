//! API keys, known by their SHA-256 only, and the tokens of instances.

use crate::Store;
use crate::dialect::{self, Row, query};
use crate::error::StorageError;
use crate::row::{Record, json_text};
use flowcore_domain::account::{Role, Scopes};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{ApiKeyId, InstanceId, UserId};

const TABLE: &str = "api_keys";

/// How exactly the last use of a key is known, in milliseconds: not every request is a write.
const LAST_USED_STEP: i64 = 60_000;

/// An API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub user_id: UserId,
    /// What its user calls it.
    pub name: String,
    /// Its first characters, to tell it from others.
    pub prefix: Option<String>,
    /// What it may do.
    pub scopes: Scopes,
    /// The instances that it knows; `None` for all of its user's.
    pub instances: Option<Vec<InstanceId>>,
    /// The networks that it may come from; none means any.
    pub addresses: Vec<String>,
    /// When it was made.
    pub created_at: Millis,
    /// When it ends.
    pub expires_at: Option<Millis>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Millis>,
}

/// A key to be stored, under the hash of its text.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The key.
    pub key: ApiKey,
    /// SHA-256 of its text.
    pub hash: [u8; 32],
}

impl Store {
    /// Stores a key.
    ///
    /// # Errors
    /// `NotFound` when the user is not there.
    pub async fn create_key(&self, NewKey { key, hash }: NewKey) -> Result<(), StorageError> {
        let scopes = json_text(&key.scopes.words())?;
        let instances = key.instances.as_ref().map(json_text).transpose()?;
        let addresses = json_text(&key.addresses)?;
        self.write(move |connection| {
            Box::pin(async move {
                query(
                    "INSERT INTO api_keys (id, user_id, name, key_prefix, key_hash, scopes, \
                     instances, addresses, created_at, expires_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                )
                .bind(key.id.text())
                .bind(key.user_id)
                .bind(key.name)
                .bind(key.prefix)
                .bind(hash.as_slice())
                .bind(scopes)
                .bind(instances)
                .bind(addresses)
                .bind(key.created_at.0)
                .bind(key.expires_at.map(|at| at.0))
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The key with this hash and its user's role, unless it has expired or its user is shut out.
    pub async fn api_key(
        &self,
        hash: [u8; 32],
        now: Millis,
    ) -> Result<Option<(ApiKey, Role)>, StorageError> {
        let row = query(
            "SELECT api_keys.*, profiles.role AS role FROM api_keys \
             JOIN profiles ON profiles.id = api_keys.user_id \
             WHERE api_keys.key_hash = $1 AND NOT profiles.disabled \
             AND (api_keys.expires_at IS NULL OR api_keys.expires_at > $2)",
        )
        .bind(hash.as_slice())
        .bind(now.0)
        .fetch_optional(self.point())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let role = Record::new(TABLE, &row).word("role", Role::parse)?;
        Ok(Some((read(&row)?, role)))
    }

    /// The keys of a user, or of everybody, behind `after`, oldest first.
    pub async fn keys(
        &self,
        user: Option<UserId>,
        after: Option<ApiKeyId>,
        limit: usize,
    ) -> Result<Vec<ApiKey>, StorageError> {
        let rows = query(
            "SELECT * FROM api_keys WHERE ($1 IS NULL OR user_id = $1) \
             AND ($2 IS NULL OR id > $2) ORDER BY id LIMIT $3",
        )
        .bind(user)
        .bind(after.map(|id| id.text()))
        .bind(dialect::limit(limit))
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(read).collect()
    }

    /// A key by id.
    pub async fn key(&self, id: ApiKeyId) -> Result<Option<ApiKey>, StorageError> {
        let query = query("SELECT * FROM api_keys WHERE id = $1").bind(id.text());
        query.fetch_optional(self.readers()).await?.as_ref().map(read).transpose()
    }

    /// Takes a key away; false when it was not there.
    pub async fn delete_key(&self, id: ApiKeyId) -> Result<bool, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let delete = query("DELETE FROM api_keys WHERE id = $1").bind(id.text());
                Ok(delete.execute(connection).await? > 0)
            })
        })
        .await
    }

    /// Notes that a key was used, when that was not noted within the last minute.
    pub async fn touch_key(&self, key: &ApiKey, now: Millis) -> Result<(), StorageError> {
        if key.last_used_at.is_some_and(|last| now.0 - last.0 < LAST_USED_STEP) {
            return Ok(());
        }
        let id = key.id;
        self.write(move |connection| {
            Box::pin(async move {
                let touch = query(
                    "UPDATE api_keys SET last_used_at = $2 WHERE id = $1 \
                     AND (last_used_at IS NULL OR last_used_at < $2)",
                );
                touch.bind(id.text()).bind(now.0).execute(connection).await?;
                Ok(())
            })
        })
        .await
    }
}

fn read(row: &Row) -> Result<ApiKey, StorageError> {
    let record = Record::new(TABLE, row);
    let scopes: Vec<String> = record.json("scopes")?;
    Ok(ApiKey {
        id: record.parsed("id")?,
        user_id: record.parsed("user_id")?,
        name: record.get("name")?,
        prefix: record.get("key_prefix")?,
        scopes: Scopes::from_words(scopes.iter().map(String::as_str)),
        instances: record.json_option("instances")?,
        addresses: record.json("addresses")?,
        created_at: Millis(record.get("created_at")?),
        expires_at: record.get::<Option<i64>>("expires_at")?.map(Millis),
        last_used_at: record.get::<Option<i64>>("last_used_at")?.map(Millis),
    })
}
