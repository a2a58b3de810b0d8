//! Sign-ins: of browsers, which have a cookie, and of programs, which have a refresh token that is good once.
//! Both are known by their SHA-256 only.

use crate::Store;
use crate::accounts::row_of;
use crate::dialect::query;
use crate::error::StorageError;
use crate::row::Record;
use flowcore_domain::account::Role;
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{SessionId, UserId};

const TABLE: &str = "login_sessions";

/// A sign-in.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginSession {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// What a browser's unsafe requests have to repeat; sealed at rest. Empty for programs.
    pub csrf: String,
    /// Whether it is a program's, with a refresh token.
    pub program: bool,
    /// From where it was begun.
    pub address: Option<String>,
    /// By which client.
    pub agent: Option<String>,
    /// When it began.
    pub created_at: Millis,
    /// When it was last refreshed.
    pub last_used_at: Millis,
    /// When it ends.
    pub expires_at: Millis,
}

/// Never shows the token.
impl std::fmt::Debug for LoginSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginSession").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// What came of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refresh {
    /// It was the newest: a new one is good from now on.
    Rotated(LoginSession, Role),
    /// It was used before: somebody has a copy. The sign-in is ended.
    Reused(UserId),
    /// There is no such sign-in, or it is over.
    Unknown,
}

impl Store {
    /// Notes a sign-in under the hash of its token; a program's also has the hash of its refresh token.
    ///
    /// # Errors
    /// `NotFound` when the user is not there.
    pub async fn create_login_session(
        &self,
        token_hash: [u8; 32],
        refresh_hash: Option<[u8; 32]>,
        session: LoginSession,
    ) -> Result<(), StorageError> {
        let csrf = self.inner.logins.seal(&row_of(&token_hash), session.csrf.as_bytes())?;
        self.write(move |connection| {
            Box::pin(async move {
                query(
                    "INSERT INTO login_sessions (token_hash, refresh_hash, id, user_id, csrf, \
                     address, agent, created_at, last_used_at, expires_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                )
                .bind(token_hash.as_slice())
                .bind(refresh_hash.map(Vec::from))
                .bind(session.id.text())
                .bind(session.user_id)
                .bind(csrf)
                .bind(session.address)
                .bind(session.agent)
                .bind(session.created_at.0)
                .bind(session.last_used_at.0)
                .bind(session.expires_at.0)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The browser's sign-in with this token hash and its user's role, unless it has expired or the user is
    /// shut out.
    pub async fn login_session(
        &self,
        token_hash: [u8; 32],
        now: Millis,
    ) -> Result<Option<(LoginSession, Role)>, StorageError> {
        let row = query(
            "SELECT login_sessions.*, profiles.role AS role FROM login_sessions \
             JOIN profiles ON profiles.id = login_sessions.user_id WHERE NOT profiles.disabled \
             AND token_hash = $1 AND expires_at > $2 AND refresh_hash IS NULL",
        )
        .bind(token_hash.as_slice())
        .bind(now.0)
        .fetch_optional(self.readers())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let record = Record::new(TABLE, &row);
        let csrf = self.inner.logins.open(TABLE, &row_of(&token_hash), record.get("csrf")?)?;
        let csrf = String::from_utf8(csrf).map_err(|_| record.corrupt())?;
        Ok(Some((LoginSession { csrf, ..read(&record)? }, record.word("role", Role::parse)?)))
    }

    /// The role of the user of a sign-in, while it lasts.
    pub async fn login_by_id(
        &self,
        id: SessionId,
        now: Millis,
    ) -> Result<Option<(UserId, Role)>, StorageError> {
        let row = query(
            "SELECT login_sessions.user_id AS user_id, profiles.role AS role FROM login_sessions \
             JOIN profiles ON profiles.id = login_sessions.user_id \
             WHERE login_sessions.id = $1 AND expires_at > $2 AND NOT profiles.disabled",
        )
        .bind(id.text())
        .bind(now.0)
        .fetch_optional(self.readers())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let record = Record::new(TABLE, &row);
        Ok(Some((record.parsed("user_id")?, record.word("role", Role::parse)?)))
    }

    /// The sign-ins of a user, newest first, without what browsers have to repeat.
    pub async fn login_sessions(
        &self,
        user: UserId,
        now: Millis,
    ) -> Result<Vec<LoginSession>, StorageError> {
        let rows = query(
            "SELECT * FROM login_sessions WHERE user_id = $1 AND expires_at > $2 \
             ORDER BY id DESC LIMIT 200",
        )
        .bind(user)
        .bind(now.0)
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| read(&Record::new(TABLE, row))).collect()
    }

    /// Puts a new refresh token in the place of the one that is shown. One that was used before ends the
    /// sign-in: whoever has the newest is no longer known to be the one who signed in.
    pub async fn rotate_refresh(
        &self,
        token_hash: [u8; 32],
        (shown, next): ([u8; 32], [u8; 32]),
        (now, expires_at): (Millis, Millis),
    ) -> Result<Refresh, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let updated = query(
                    "UPDATE login_sessions SET refresh_hash = $3, last_used_at = $4, \
                     expires_at = $5 WHERE token_hash = $1 AND refresh_hash = $2 \
                     AND expires_at > $4",
                )
                .bind(token_hash.as_slice())
                .bind(shown.as_slice())
                .bind(next.as_slice())
                .bind(now.0)
                .bind(expires_at.0)
                .execute(&mut *connection)
                .await?;
                let row = query(
                    "SELECT login_sessions.*, profiles.role AS role, profiles.disabled AS shut_out \
                     FROM login_sessions JOIN profiles ON profiles.id = login_sessions.user_id \
                     WHERE token_hash = $1 AND refresh_hash IS NOT NULL AND expires_at > $2",
                )
                .bind(token_hash.as_slice())
                .bind(now.0)
                .fetch_optional(&mut *connection)
                .await?;
                let Some(row) = row else { return Ok(Refresh::Unknown) };
                let record = Record::new(TABLE, &row);
                if updated == 0 {
                    let end = query("DELETE FROM login_sessions WHERE token_hash = $1");
                    end.bind(token_hash.as_slice()).execute(connection).await?;
                    return Ok(Refresh::Reused(record.parsed("user_id")?));
                }
                if record.get::<bool>("shut_out")? {
                    return Ok(Refresh::Unknown);
                }
                Ok(Refresh::Rotated(read(&record)?, record.word("role", Role::parse)?))
            })
        })
        .await
    }

    /// Ends a sign-in by its token; false when it was not there.
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

    /// Ends a user's sign-in by its id; false when there was none.
    pub async fn delete_login(&self, user: UserId, id: SessionId) -> Result<bool, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let deletion = query("DELETE FROM login_sessions WHERE user_id = $1 AND id = $2");
                Ok(deletion.bind(user).bind(id.text()).execute(connection).await? > 0)
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

fn read(record: &Record<'_>) -> Result<LoginSession, StorageError> {
    Ok(LoginSession {
        id: record.parsed("id")?,
        user_id: record.parsed("user_id")?,
        csrf: String::new(),
        program: record.get::<Option<Vec<u8>>>("refresh_hash")?.is_some(),
        address: record.get("address")?,
        agent: record.get("agent")?,
        created_at: Millis(record.get("created_at")?),
        last_used_at: Millis(record.get("last_used_at")?),
        expires_at: Millis(record.get("expires_at")?),
    })
}
