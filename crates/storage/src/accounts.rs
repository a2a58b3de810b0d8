//! Users, their API keys and their sign-ins. Keys and tokens are known by their SHA-256 only.

use crate::Store;
use crate::error::StorageError;
use crate::row::{Record, json_text};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{ApiKeyId, UserId};

/// An API key to be stored.
#[derive(Clone)]
pub struct NewApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// What its user calls it.
    pub name: String,
    /// Its first characters, to tell keys apart in lists.
    pub prefix: String,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// What it may do.
    pub scopes: Vec<String>,
    /// When.
    pub now: Millis,
    /// When it stops working.
    pub expires_at: Option<Millis>,
}

/// The prefix and the hash are nobody's business.
impl std::fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewApiKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// An API key that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub user_id: UserId,
    /// Its user's role.
    pub role: String,
    /// What it may do.
    pub scopes: Vec<String>,
}

/// The administrator of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admin {
    /// Their profile.
    pub user_id: UserId,
    /// Whether they were made just now.
    pub created: bool,
}

/// A sign-in that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginSession {
    /// Whose it is.
    pub user_id: UserId,
    /// When it ends.
    pub expires_at: Millis,
}

impl Store {
    /// The administrator: `user_id` with the key `key` is made when there is none yet.
    pub async fn ensure_admin(
        &self,
        user_id: UserId,
        key: NewApiKey,
    ) -> Result<Admin, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let row = sqlx::query(
                    "SELECT id FROM profiles WHERE role = 'admin' ORDER BY created_at, id LIMIT 1",
                )
                .fetch_optional(&mut *connection)
                .await?;
                if let Some(row) = row {
                    let user_id = Record::new("profiles", &row).parsed("id")?;
                    return Ok(Admin { user_id, created: false });
                }
                sqlx::query("INSERT INTO profiles (id, role, created_at) VALUES ($1, 'admin', $2)")
                    .bind(user_id.text())
                    .bind(key.now.0)
                    .execute(&mut *connection)
                    .await?;
                insert_key(connection, user_id, key).await?;
                Ok(Admin { user_id, created: true })
            })
        })
        .await
    }

    /// Adds a key of a user. One with the same hash stays as it is.
    ///
    /// # Errors
    /// `NotFound` when the user is not there.
    pub async fn add_api_key(&self, user_id: UserId, key: NewApiKey) -> Result<(), StorageError> {
        self.write(move |connection| {
            Box::pin(async move { insert_key(connection, user_id, key).await })
        })
        .await
    }

    /// The key with this hash, unless it has expired.
    pub async fn api_key(
        &self,
        hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<ApiKey>, StorageError> {
        let row = sqlx::query(
            "SELECT api_keys.id AS id, api_keys.user_id AS user_id, api_keys.scopes AS scopes, \
             profiles.role AS role FROM api_keys JOIN profiles ON profiles.id = api_keys.user_id \
             WHERE api_keys.key_hash = $1 \
             AND (api_keys.expires_at IS NULL OR api_keys.expires_at > $2)",
        )
        .bind(hash.as_slice())
        .bind(now.0)
        .fetch_optional(self.readers())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let record = Record::new("api_keys", &row);
        Ok(Some(ApiKey {
            id: record.parsed("id")?,
            user_id: record.parsed("user_id")?,
            role: record.get("role")?,
            scopes: record.json("scopes")?,
        }))
    }

    /// Deletes a key; false when it was not there.
    pub async fn delete_api_key(&self, id: ApiKeyId) -> Result<bool, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let deletion = sqlx::query("DELETE FROM api_keys WHERE id = $1").bind(id.text());
                Ok(deletion.execute(connection).await?.rows_affected() > 0)
            })
        })
        .await
    }

    /// Notes a sign-in under the hash of its token.
    ///
    /// # Errors
    /// `NotFound` when the user is not there.
    pub async fn create_login(
        &self,
        token_hash: [u8; 32],
        login: LoginSession,
        now: Millis,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO login_sessions (token_hash, user_id, created_at, expires_at) \
                     VALUES ($1, $2, $3, $4)",
                )
                .bind(token_hash.as_slice())
                .bind(login.user_id.text())
                .bind(now.0)
                .bind(login.expires_at.0)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The sign-in with this token hash, unless it has expired.
    pub async fn login(
        &self,
        token_hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<LoginSession>, StorageError> {
        let row = sqlx::query(
            "SELECT user_id, expires_at FROM login_sessions \
             WHERE token_hash = $1 AND expires_at > $2",
        )
        .bind(token_hash.as_slice())
        .bind(now.0)
        .fetch_optional(self.readers())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let record = Record::new("login_sessions", &row);
        Ok(Some(LoginSession {
            user_id: record.parsed("user_id")?,
            expires_at: Millis(record.get("expires_at")?),
        }))
    }

    /// Ends a sign-in; false when it was not there.
    pub async fn delete_login(&self, token_hash: [u8; 32]) -> Result<bool, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let deletion = sqlx::query("DELETE FROM login_sessions WHERE token_hash = $1");
                let deleted = deletion.bind(token_hash.as_slice()).execute(connection).await?;
                Ok(deleted.rows_affected() > 0)
            })
        })
        .await
    }

    /// Forgets sign-ins that have expired; returns how many.
    pub async fn sweep_logins(&self, now: Millis) -> Result<u64, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let sweep = sqlx::query("DELETE FROM login_sessions WHERE expires_at <= $1");
                Ok(sweep.bind(now.0).execute(connection).await?.rows_affected())
            })
        })
        .await
    }
}

async fn insert_key(
    connection: &mut crate::dialect::Connection,
    user_id: UserId,
    key: NewApiKey,
) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO api_keys (id, user_id, name, key_prefix, key_hash, scopes, created_at, \
         expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (key_hash) DO NOTHING",
    )
    .bind(key.id.text())
    .bind(user_id.text())
    .bind(key.name)
    .bind(key.prefix)
    .bind(key.hash.as_slice())
    .bind(json_text(&key.scopes)?)
    .bind(key.now.0)
    .bind(key.expires_at.map(|at| at.0))
    .execute(connection)
    .await?;
    Ok(())
}
