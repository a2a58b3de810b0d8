//! Users: rows of `profiles`. Deleting one deletes everything of it.

use crate::Store;
use crate::dialect::{self, Connection, Instant, Row, query};
use crate::error::StorageError;
use crate::row::{Record, json_text};
use flowcore_domain::account::{Role, Username};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::UserId;
use flowcore_domain::quota::{QuotaPatch, Quotas};

const TABLE: &str = "profiles";

/// What `Conflict` says when there would be no administrator left.
pub const LAST_ADMIN: &str = "the last administrator";

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// What they are called at sign-in; foreign users have no name.
    pub username: Option<String>,
    /// Where they can be written to.
    pub email: Option<String>,
    /// What they are.
    pub role: Role,
    /// Whether they are shut out.
    pub disabled: bool,
    /// How much they may have.
    pub quotas: Quotas,
    /// Whether they sign in with a second factor.
    pub has_totp: bool,
    /// Whether they sign in elsewhere and come with a token from there.
    pub foreign: bool,
    /// When they were made.
    pub created_at: Millis,
}

/// A user to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Their id.
    pub id: UserId,
    /// What they are called at sign-in.
    pub username: Username,
    /// Where they can be written to.
    pub email: Option<String>,
    /// The hash of their password.
    pub password_hash: String,
    /// What they are.
    pub role: Role,
    /// How much they may have.
    pub quotas: Quotas,
    /// When.
    pub now: Millis,
}

/// What changes about a user; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// Where they can be written to.
    pub email: Option<Option<String>>,
    /// The hash of their password; signs them out everywhere.
    pub password_hash: Option<String>,
    /// What they are.
    pub role: Option<Role>,
    /// Whether they are shut out; doing so signs them out everywhere.
    pub disabled: Option<bool>,
    /// How much they may have.
    pub quotas: QuotaPatch,
}

/// What is needed to check a sign-in.
#[derive(Clone)]
pub struct Secrets {
    /// The user.
    pub user: User,
    /// The hash of their password; none for foreign users.
    pub password_hash: Option<String>,
    /// The secret of their second factor.
    pub totp: Option<Vec<u8>>,
}

/// Never shows them.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("user", &self.user.id).finish_non_exhaustive()
    }
}

impl Store {
    /// Makes a user.
    ///
    /// # Errors
    /// `Conflict` when the name is taken (compared without case).
    pub async fn create_user(&self, new: NewUser) -> Result<User, StorageError> {
        let quotas = json_text(&new.quotas)?;
        self.write(move |connection| {
            Box::pin(async move {
                let row = query(
                    "INSERT INTO profiles (id, role, username, email, password_hash, quotas, \
                     created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *",
                )
                .bind(new.id)
                .bind(new.role.as_str())
                .bind(new.username.as_str())
                .bind(new.email)
                .bind(new.password_hash)
                .bind(quotas)
                .bind(Instant(new.now))
                .fetch_one(connection)
                .await?;
                read(&row)
            })
        })
        .await
    }

    /// The user whom a foreign token names, made as `id` at first sight.
    pub async fn foreign_user(
        &self,
        (subject, email): (String, Option<String>),
        id: UserId,
        quotas: &Quotas,
        now: Millis,
    ) -> Result<User, StorageError> {
        let found = query("SELECT * FROM profiles WHERE foreign_subject = $1").bind(&subject);
        if let Some(row) = found.fetch_optional(self.readers()).await? {
            return read(&row);
        }
        let quotas = json_text(quotas)?;
        self.write(move |connection| {
            Box::pin(async move {
                let row = query(
                    "INSERT INTO profiles (id, role, email, foreign_subject, quotas, created_at) \
                     VALUES ($1, 'member', $2, $3, $4, $5) ON CONFLICT (foreign_subject) \
                     DO UPDATE SET foreign_subject = excluded.foreign_subject RETURNING *",
                )
                .bind(id)
                .bind(email)
                .bind(subject)
                .bind(quotas)
                .bind(Instant(now))
                .fetch_one(connection)
                .await?;
                read(&row)
            })
        })
        .await
    }

    /// A user by id.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StorageError> {
        let query = query("SELECT * FROM profiles WHERE id = $1").bind(id);
        query.fetch_optional(self.readers()).await?.as_ref().map(read).transpose()
    }

    /// What is needed to check a sign-in under this name.
    pub async fn secrets_by_name(&self, name: &Username) -> Result<Option<Secrets>, StorageError> {
        let query = query("SELECT * FROM profiles WHERE lower(username) = $1");
        let row = query.bind(name.folded()).fetch_optional(self.readers()).await?;
        row.map(|row| self.read_secrets(&row)).transpose()
    }

    /// What is needed to check a sign-in of this user.
    pub async fn secrets(&self, id: UserId) -> Result<Option<Secrets>, StorageError> {
        let query = query("SELECT * FROM profiles WHERE id = $1").bind(id);
        let row = query.fetch_optional(self.readers()).await?;
        row.map(|row| self.read_secrets(&row)).transpose()
    }

    /// The users behind `after`, oldest first.
    pub async fn users(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<User>, StorageError> {
        let rows = query("SELECT * FROM profiles WHERE $1 IS NULL OR id > $1 ORDER BY id LIMIT $2")
            .bind(after)
            .bind(dialect::limit(limit))
            .fetch_all(self.readers())
            .await?;
        rows.iter().map(read).collect()
    }

    /// Changes a user; returns them before and after.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` with [`LAST_ADMIN`] when there would be no administrator left.
    pub async fn update_user(
        &self,
        id: UserId,
        change: UserChange,
    ) -> Result<(User, User), StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                dialect::lock_user(connection, id).await?;
                let row = query("SELECT * FROM profiles WHERE id = $1").bind(id);
                let row = row.fetch_optional(&mut *connection).await?;
                let before = read(&row.ok_or(StorageError::NotFound("the user"))?)?;
                let quotas = json_text(&before.quotas.clone().patched(&change.quotas))?;
                let sign_out = change.disabled == Some(true) || change.password_hash.is_some();
                let row = query(
                    "UPDATE profiles SET email = CASE WHEN $2 THEN $3 ELSE email END, \
                     password_hash = COALESCE($4, password_hash), role = COALESCE($5, role), \
                     disabled = COALESCE($6, disabled), quotas = $7 WHERE id = $1 RETURNING *",
                )
                .bind(id)
                .bind(change.email.is_some())
                .bind(change.email.flatten())
                .bind(change.password_hash)
                .bind(change.role.map(Role::as_str))
                .bind(change.disabled)
                .bind(quotas)
                .fetch_one(&mut *connection)
                .await?;
                if sign_out {
                    let delete = query("DELETE FROM login_sessions WHERE user_id = $1").bind(id);
                    delete.execute(&mut *connection).await?;
                }
                an_admin_is_left(connection).await?;
                Ok((before, read(&row)?))
            })
        })
        .await
    }

    /// Deletes a user and everything of them; false when they were not there.
    ///
    /// # Errors
    /// `Conflict` with [`LAST_ADMIN`] when there would be no administrator left.
    pub async fn delete_user(&self, id: UserId) -> Result<bool, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let delete = query("DELETE FROM profiles WHERE id = $1").bind(id);
                let deleted = delete.execute(&mut *connection).await?;
                an_admin_is_left(connection).await?;
                Ok(deleted > 0)
            })
        })
        .await
    }

    /// Sets or takes away the secret of a second factor.
    pub async fn set_totp(&self, id: UserId, secret: Option<Vec<u8>>) -> Result<(), StorageError> {
        let seal = |secret: Vec<u8>| self.inner.profiles.seal(&totp_row(id), &secret);
        let sealed = secret.map(seal).transpose()?;
        self.write(move |connection| {
            Box::pin(async move {
                let update = query("UPDATE profiles SET totp = $2, totp_step = 0 WHERE id = $1");
                update.bind(id).bind(sealed).execute(connection).await?;
                Ok(())
            })
        })
        .await
    }

    /// Takes the code of a step; false when one of it or a later step was taken before.
    pub async fn take_totp_step(&self, id: UserId, step: i64) -> Result<bool, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let take =
                    query("UPDATE profiles SET totp_step = $2 WHERE id = $1 AND totp_step < $2");
                Ok(take.bind(id).bind(step).execute(connection).await? > 0)
            })
        })
        .await
    }

    fn read_secrets(&self, row: &Row) -> Result<Secrets, StorageError> {
        let (user, record) = (read(row)?, Record::new(TABLE, row));
        let sealed: Option<Vec<u8>> = record.get("totp")?;
        let open = |blob: Vec<u8>| self.inner.profiles.open(TABLE, &totp_row(user.id), &blob);
        let totp = sealed.map(open).transpose()?;
        Ok(Secrets { password_hash: record.get("password_hash")?, totp, user })
    }
}

/// What ties the sealed column to its row.
pub(crate) fn totp_row(id: UserId) -> String {
    format!("{TABLE}/{id}/totp")
}

/// Two that give up the role in the same moment must not both succeed.
async fn an_admin_is_left(connection: &mut Connection) -> Result<(), StorageError> {
    let lock = connection.pick("", " FOR UPDATE");
    let sql = format!("SELECT id FROM profiles WHERE role = 'admin' AND NOT disabled{lock}");
    let left = query(sqlx::AssertSqlSafe(sql)).fetch_all(connection).await?;
    if left.is_empty() { Err(StorageError::Conflict(LAST_ADMIN)) } else { Ok(()) }
}

pub(crate) fn read(row: &Row) -> Result<User, StorageError> {
    let record = Record::new(TABLE, row);
    Ok(User {
        id: record.parsed("id")?,
        username: record.get("username")?,
        email: record.get("email")?,
        role: record.word("role", Role::parse)?,
        disabled: record.get("disabled")?,
        quotas: record.json("quotas")?,
        has_totp: record.get::<Option<Vec<u8>>>("totp")?.is_some(),
        foreign: record.get::<Option<String>>("foreign_subject")?.is_some(),
        created_at: record.millis("created_at")?,
    })
}
