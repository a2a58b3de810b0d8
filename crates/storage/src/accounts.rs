//! Users, their API keys and their sign-ins. Keys and tokens are known by their SHA-256 only.

use crate::dialect::{Connection, Instant, query};
use crate::error::StorageError;
use crate::row::Record;
use crate::{Store, new_id};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{ApiKeyId, UserId};

const LOGINS: &str = "login_sessions";

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
    /// Whether they have a key.
    pub has_key: bool,
}

/// A browser that signed in.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginSession {
    /// Whose it is.
    pub user_id: UserId,
    /// What unsafe requests have to repeat; sealed at rest.
    pub csrf: String,
    /// When it ends.
    pub expires_at: Millis,
}

/// Never shows the token.
impl std::fmt::Debug for LoginSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginSession").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// What the key of the administrator is called and may do.
const ADMIN_KEY_NAME: &str = "admin";
const ADMIN_SCOPES: &str = "[\"*\"]";

impl Store {
    /// The administrator, made as `user_id` when there is none yet. A given key takes the place of the
    /// administrator's key before, which stops working.
    pub async fn ensure_admin(
        &self,
        user_id: UserId,
        key_hash: Option<[u8; 32]>,
        now: Millis,
    ) -> Result<Admin, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let user_id = match stored_admin(connection).await? {
                    Some(stored) => stored,
                    None => create_admin(connection, user_id, now).await?,
                };
                if let Some(hash) = key_hash {
                    set_admin_key(connection, user_id, hash, now).await?;
                }
                let keys: Option<i64> = query("SELECT COUNT(*) FROM api_keys WHERE user_id = $1")
                    .bind(user_id)
                    .scalar(connection)
                    .await?;
                Ok(Admin { user_id, has_key: keys > Some(0) })
            })
        })
        .await
    }

    /// The key with this hash, unless it has expired.
    pub async fn api_key(
        &self,
        hash: [u8; 32],
        now: Millis,
    ) -> Result<Option<ApiKey>, StorageError> {
        let row = query(
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

    /// Notes a sign-in under the hash of its token.
    ///
    /// # Errors
    /// `NotFound` when the user is not there.
    pub async fn create_login_session(
        &self,
        token_hash: [u8; 32],
        session: LoginSession,
        now: Millis,
    ) -> Result<(), StorageError> {
        let csrf = self.inner.logins.seal(&row_of(&token_hash), session.csrf.as_bytes())?;
        self.write(move |connection| {
            Box::pin(async move {
                query(
                    "INSERT INTO login_sessions (token_hash, user_id, csrf, created_at, \
                     expires_at) VALUES ($1, $2, $3, $4, $5)",
                )
                .bind(token_hash.as_slice())
                .bind(session.user_id)
                .bind(csrf)
                .bind(now.0)
                .bind(session.expires_at.0)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The sign-in with this token hash, unless it has expired.
    pub async fn login_session(
        &self,
        token_hash: [u8; 32],
        now: Millis,
    ) -> Result<Option<LoginSession>, StorageError> {
        let row = query(
            "SELECT user_id, csrf, expires_at FROM login_sessions \
             WHERE token_hash = $1 AND expires_at > $2",
        )
        .bind(token_hash.as_slice())
        .bind(now.0)
        .fetch_optional(self.readers())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let record = Record::new(LOGINS, &row);
        let csrf = self.inner.logins.open(LOGINS, &row_of(&token_hash), record.get("csrf")?)?;
        Ok(Some(LoginSession {
            user_id: record.parsed("user_id")?,
            csrf: String::from_utf8(csrf).map_err(|_| record.corrupt())?,
            expires_at: Millis(record.get("expires_at")?),
        }))
    }

    /// Ends a sign-in; false when it was not there.
    pub async fn delete_login_session(&self, token_hash: [u8; 32]) -> Result<bool, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let deletion = query("DELETE FROM login_sessions WHERE token_hash = $1");
                let deleted = deletion.bind(token_hash.as_slice()).execute(connection).await?;
                Ok(deleted > 0)
            })
        })
        .await
    }

    /// Forgets sign-ins that have expired; returns how many.
    pub async fn sweep_login_sessions(&self, now: Millis) -> Result<u64, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let sweep = query("DELETE FROM login_sessions WHERE expires_at <= $1");
                sweep.bind(now.0).execute(connection).await
            })
        })
        .await
    }
}

async fn stored_admin(connection: &mut Connection) -> Result<Option<UserId>, StorageError> {
    let row = query("SELECT id FROM profiles WHERE role = 'admin' ORDER BY created_at, id LIMIT 1")
        .fetch_optional(connection)
        .await?;
    row.map(|row| Record::new("profiles", &row).parsed("id")).transpose()
}

async fn create_admin(
    connection: &mut Connection,
    user_id: UserId,
    now: Millis,
) -> Result<UserId, StorageError> {
    query("INSERT INTO profiles (id, role, created_at) VALUES ($1, 'admin', $2)")
        .bind(user_id)
        .bind(Instant(now))
        .execute(connection)
        .await?;
    Ok(user_id)
}

async fn set_admin_key(
    connection: &mut Connection,
    user_id: UserId,
    hash: [u8; 32],
    now: Millis,
) -> Result<(), StorageError> {
    query("DELETE FROM api_keys WHERE user_id = $1 AND name = $2 AND key_hash <> $3")
        .bind(user_id)
        .bind(ADMIN_KEY_NAME)
        .bind(hash.as_slice())
        .execute(&mut *connection)
        .await?;
    query(
        "INSERT INTO api_keys (id, user_id, name, key_hash, scopes, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (key_hash) DO NOTHING",
    )
    .bind(new_id(now).to_string())
    .bind(user_id)
    .bind(ADMIN_KEY_NAME)
    .bind(hash.as_slice())
    .bind(ADMIN_SCOPES)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// What ties the sealed column to its row.
pub(crate) fn row_of(token_hash: &[u8]) -> String {
    format!("{LOGINS}/{}", STANDARD_NO_PAD.encode(token_hash))
}
