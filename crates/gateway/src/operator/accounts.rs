//! Users and keys from the command line: for the first ones, and for who lost the last.

use super::{Data, OperatorError};
use crate::accounts::{AccountError, admin_key, passwords, users};
use crate::clock::SystemClock;
use crate::error::ServiceError;
use crate::fresh_id;
use flowcore_domain::account::{Role, Scopes, Username};
use flowcore_domain::clock::Clock as _;
use flowcore_domain::quota::Quotas;
use flowcore_storage::{
    ApiKey, AuditEntry, Deed, NewKey, NewUser, Secrets, StorageError, Store, UserChange,
};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_util::task::TaskTracker;

impl Data {
    /// Makes a user with a new password, which is returned to be shown once.
    pub async fn add_user(
        &self,
        name: &str,
        role: Role,
        email: Option<String>,
    ) -> Result<String, OperatorError> {
        let username: Username = name.parse().map_err(AccountError::from)?;
        let store = self.open_beside().await?;
        let password = admin_key::random_token()[..24].to_owned();
        let id = fresh_id();
        let new = NewUser {
            id,
            username,
            email,
            password_hash: hashed(password.clone()).await?,
            role,
            quotas: Quotas::default(),
            now: SystemClock.now(),
        };
        let deed = deed("user.add", id.text(), json!({ "username": name, "role": role }));
        let made = deed.during(store.create_user(new)).await;
        store.close().await;
        made.map_err(told)?;
        Ok(password)
    }

    /// Gives a user a new password, which is returned to be shown once, and signs them out everywhere.
    pub async fn reset_password(&self, name: &str) -> Result<String, OperatorError> {
        let password = admin_key::random_token()[..24].to_owned();
        let password_hash = Some(hashed(password.clone()).await?);
        let change = UserChange { password_hash, ..UserChange::default() };
        self.change_user(name, change, "user.password").await?;
        Ok(password)
    }

    /// Shuts a user out, or lets them in again.
    pub async fn disable_user(&self, name: &str, disabled: bool) -> Result<(), OperatorError> {
        let change = UserChange { disabled: Some(disabled), ..UserChange::default() };
        self.change_user(name, change, if disabled { "user.disable" } else { "user.enable" }).await
    }

    async fn change_user(
        &self,
        name: &str,
        change: UserChange,
        action: &str,
    ) -> Result<(), OperatorError> {
        let store = self.open_beside().await?;
        let changed = async {
            let id = named(&store, name).await?.user.id;
            let deed = deed(action, id.text(), json!({ "username": name }));
            deed.during(store.update_user(id, change)).await.map_err(told)?;
            Ok(())
        };
        let changed = changed.await;
        store.close().await;
        changed
    }

    /// Makes a key for a user, which is returned to be shown once.
    pub async fn add_key(
        &self,
        user: &str,
        name: &str,
        scopes: Option<Scopes>,
    ) -> Result<String, OperatorError> {
        let store = self.open_beside().await?;
        let made = async {
            let user = named(&store, user).await?.user;
            let most = user.role.scopes();
            let scopes = scopes.unwrap_or(most);
            if !most.covers(scopes) {
                let why = format!("a {} can't have a key with these scopes", user.role.as_str());
                return Err(OperatorError::Refused(why));
            }
            let text = format!("{}{}", admin_key::PREFIX, admin_key::random_token());
            let key = ApiKey {
                id: fresh_id(),
                user_id: user.id,
                name: name.to_owned(),
                prefix: Some(text[..10].to_owned()),
                scopes,
                instances: None,
                addresses: vec![],
                created_at: SystemClock.now(),
                expires_at: None,
                last_used_at: None,
            };
            let data = json!({ "userId": user.id, "scopes": scopes.words() });
            let deed = deed("key.add", key.id.text(), data);
            let new = NewKey { key, hash: admin_key::hash(&text) };
            deed.during(store.create_key(new)).await?;
            Ok(text)
        };
        let made = made.await;
        store.close().await;
        made
    }

    /// Takes a key away, by its id or by its first characters.
    pub async fn revoke_key(&self, which: &str) -> Result<(), OperatorError> {
        let store = self.open_beside().await?;
        let revoked = async {
            let keys = store.keys(None, None, usize::MAX).await?;
            let fits = |key: &&ApiKey| {
                key.id.text() == which || key.prefix.as_deref().is_some_and(|own| own == which)
            };
            let mut found = keys.iter().filter(fits);
            let (Some(key), None) = (found.next(), found.next()) else {
                return Err(AccountError::KeyNotFound.into());
            };
            let deed = deed("key.revoke", key.id.text(), json!({ "userId": key.user_id }));
            deed.during(store.delete_key(key.id)).await?;
            Ok(())
        };
        let revoked = revoked.await;
        store.close().await;
        revoked
    }
}

async fn hashed(password: String) -> Result<String, OperatorError> {
    let passwords = passwords::Passwords::new(TaskTracker::new());
    passwords.hash(password).await.map_err(|error| OperatorError::Refused(error.to_string()))
}

async fn named(store: &Store, name: &str) -> Result<Secrets, OperatorError> {
    let name: Username = name.parse().map_err(AccountError::from)?;
    let found = store.secrets_by_name(&name).await?;
    found.ok_or_else(|| AccountError::UserNotFound.into())
}

/// What is written for it takes its entry along.
fn deed(action: &str, target: String, data: Value) -> Arc<Deed> {
    Deed::new(AuditEntry {
        id: fresh_id(),
        at: SystemClock.now(),
        user_id: None,
        username: None,
        credential: "command line".to_owned(),
        address: None,
        action: action.to_owned(),
        target: Some(target),
        data,
    })
}

fn told(error: StorageError) -> OperatorError {
    match users::user_error(error) {
        ServiceError::Account(error) => error.into(),
        other => OperatorError::Refused(other.to_string()),
    }
}
