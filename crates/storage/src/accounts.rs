//! Users, their API keys and their sign-ins. Keys and tokens are known by their SHA-256 only.

mod keys;
mod logins;
mod users;

pub use keys::{ApiKey, NewKey};
pub use logins::{LoginSession, Refresh};
pub(crate) use users::totp_row;
pub use users::{LAST_ADMIN, NewUser, Secrets, User, UserChange};

use crate::dialect::{Connection, Instant, query};
use crate::error::StorageError;
use crate::row::Record;
use crate::{Store, new_id};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use flowcore_domain::clock::Millis;
use flowcore_domain::id::UserId;

/// The administrator of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admin {
    /// Their profile.
    pub user_id: UserId,
    /// Whether they have a key.
    pub has_key: bool,
    /// Whether they have a password.
    pub has_password: bool,
}

/// What the first administrator is called at sign-in.
const ADMIN_NAME: &str = "admin";
/// What the key of the administrator is called and may do.
const ADMIN_KEY_NAME: &str = "admin";
const ADMIN_SCOPES: &str = "[\"*\"]";

impl Store {
    /// The first administrator, made as `user_id` when there is none yet. A given key takes the place of the
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
                    .scalar(&mut *connection)
                    .await?;
                let passwords: Option<i64> = query(
                    "SELECT COUNT(*) FROM profiles WHERE id = $1 AND password_hash IS NOT NULL",
                )
                .bind(user_id)
                .scalar(connection)
                .await?;
                let (has_key, has_password) = (keys > Some(0), passwords > Some(0));
                Ok(Admin { user_id, has_key, has_password })
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
    query("INSERT INTO profiles (id, role, username, created_at) VALUES ($1, 'admin', $2, $3)")
        .bind(user_id)
        .bind(ADMIN_NAME)
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
    format!("login_sessions/{}", STANDARD_NO_PAD.encode(token_hash))
}
