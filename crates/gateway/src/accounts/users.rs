//! Users: made, changed, shut out and deleted by administrators; everybody looks at themselves.

use super::error::AccountError;
use super::passwords;
use super::{Accounts, Caller};
use crate::error::ServiceError;
use crate::{Instances, fresh_id};
use flowcore_domain::account::{Role, Username};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::UserId;
use flowcore_domain::quota::{Quota, QuotaPatch, Quotas};
use flowcore_storage::{LAST_ADMIN, NewUser, StorageError, User, UserChange};

/// A user to be made.
#[derive(Debug, Clone)]
pub struct UserOrder {
    /// What they are called at sign-in.
    pub username: String,
    /// Where they can be written to.
    pub email: Option<String>,
    /// Their first password.
    pub password: String,
    /// What they are.
    pub role: Role,
    /// How much they may have; what is not named has no limit.
    pub quotas: QuotaPatch,
}

/// What changes about a user; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct UserPatch {
    /// Where they can be written to.
    pub email: Option<Option<String>>,
    /// Their password; signs them out everywhere.
    pub password: Option<String>,
    /// What they are.
    pub role: Option<Role>,
    /// Whether they are shut out.
    pub disabled: Option<bool>,
    /// How much they may have.
    pub quotas: QuotaPatch,
}

/// How much of something a user has and may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Of what.
    pub quota: Quota,
    /// How much there is.
    pub used: u64,
    /// How much is allowed; `None` for no limit.
    pub limit: Option<u64>,
    /// When counting begins anew.
    pub renews: Option<Millis>,
}

impl Accounts {
    /// Makes a user. For administrators, as all of these.
    ///
    /// # Errors
    /// [`AccountError`] says what is wrong with the name or the password.
    pub async fn create_user(&self, order: UserOrder) -> Result<User, ServiceError> {
        let username: Username = order.username.parse().map_err(AccountError::from)?;
        passwords::check(&order.password, username.as_str()).map_err(AccountError::from)?;
        let password_hash = self.parts.passwords.hash(order.password).await?;
        let new = NewUser {
            id: fresh_id(),
            username,
            email: order.email,
            password_hash,
            role: order.role,
            quotas: Quotas::default().patched(&order.quotas),
            now: self.shared.now(),
        };
        self.shared.store.create_user(new).await.map_err(user_error)
    }

    /// The users behind `after`.
    pub async fn users(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<User>, ServiceError> {
        Ok(self.shared.store.users(after, limit).await?)
    }

    /// One user.
    pub async fn user(&self, id: UserId) -> Result<User, ServiceError> {
        let found = self.shared.store.user(id).await?;
        found.ok_or_else(|| AccountError::UserNotFound.into())
    }

    /// Changes a user, at once for whatever they do next; returns them before and after.
    ///
    /// # Errors
    /// [`AccountError::LastAdmin`], [`AccountError::UserNotFound`].
    pub async fn update_user(
        &self,
        id: UserId,
        patch: UserPatch,
    ) -> Result<(User, User), ServiceError> {
        let password_hash = match patch.password {
            Some(password) => {
                let name = self.user(id).await?.username.unwrap_or_default();
                passwords::check(&password, &name).map_err(AccountError::from)?;
                Some(self.parts.passwords.hash(password).await?)
            }
            None => None,
        };
        let change = UserChange {
            email: patch.email,
            password_hash,
            role: patch.role,
            disabled: patch.disabled,
            quotas: patch.quotas,
        };
        self.shared.store.update_user(id, change).await.map_err(user_error)
    }

    /// Sets the caller's own password, which signs them out everywhere.
    ///
    /// # Errors
    /// [`AccountError::InvalidCredentials`] when the one before is not right.
    pub async fn change_password(
        &self,
        caller: &Caller,
        old: String,
        new: String,
    ) -> Result<(), ServiceError> {
        let secrets = self.shared.store.secrets(caller.user_id).await?;
        let secrets = secrets.ok_or(AccountError::UserNotFound)?;
        let name = secrets.user.username.clone().unwrap_or_default();
        self.parts
            .throttle
            .begin("", &name, self.shared.now())
            .map_err(super::logins::throttled)?;
        if !self.parts.passwords.is_right(old, secrets.password_hash).await? {
            return Err(AccountError::InvalidCredentials.into());
        }
        self.parts.throttle.was_right("", &name);
        let patch = UserPatch { password: Some(new), ..UserPatch::default() };
        self.update_user(caller.user_id, patch).await.map(drop)
    }

    /// Unlinks and deletes everything of a user, then the user; returns who it was. They are shut out first,
    /// so that nothing new comes meanwhile.
    ///
    /// # Errors
    /// [`AccountError::LastAdmin`], [`AccountError::UserNotFound`].
    pub async fn delete_user(
        &self,
        instances: &Instances,
        id: UserId,
    ) -> Result<User, ServiceError> {
        let shut_out = UserPatch { disabled: Some(true), ..UserPatch::default() };
        let (before, after) = self.update_user(id, shut_out).await?;
        let theirs = Caller::new(id, after.role, super::Credential::Server);
        let theirs = theirs.limited_to(Role::Member.scopes());
        loop {
            let some = instances.list(&theirs, &crate::InstanceFilter::default()).await?;
            if some.is_empty() {
                break;
            }
            for instance in some {
                match instances.delete(&theirs, &instance.name).await {
                    Ok(()) | Err(ServiceError::InstanceNotFound) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.shared.store.delete_user(id).await.map_err(user_error)?;
        Ok(before)
    }

    /// How much a user has and may have.
    pub async fn usage(&self, user: &User) -> Result<Vec<Usage>, ServiceError> {
        let now = self.shared.now();
        let counted = self.shared.store.usage(user.id, now).await?;
        let usage = counted.into_iter().map(|(quota, used)| Usage {
            quota,
            used,
            limit: user.quotas.limit(quota),
            renews: quota.renews(now),
        });
        Ok(usage.collect())
    }

    /// Counts something that a user does within a window of time, or refuses it.
    ///
    /// # Errors
    /// [`ServiceError::OverQuota`]: nothing was counted.
    pub async fn spend(&self, user: UserId, quota: Quota) -> Result<u64, ServiceError> {
        Ok(self.shared.store.spend(user, (quota, 1), self.shared.now()).await?)
    }
}

pub(crate) fn user_error(error: StorageError) -> ServiceError {
    match error {
        StorageError::Conflict(LAST_ADMIN) => AccountError::LastAdmin.into(),
        StorageError::Conflict(_) => AccountError::UsernameTaken.into(),
        StorageError::NotFound(_) => AccountError::UserNotFound.into(),
        other => other.into(),
    }
}
