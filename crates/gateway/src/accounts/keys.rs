//! API keys: made by who has at least as much, shown once, taken away at once.

use super::admin_key::{PREFIX, hash, random_token};
use super::error::AccountError;
use super::{Accounts, Caller};
use crate::error::ServiceError;
use crate::{Instances, fresh_id};
use flowcore_domain::account::{Role, Scopes};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{ApiKeyId, UserId};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::network::Network;
use flowcore_storage::{ApiKey, NewKey};

/// How many characters of a key are kept to tell it from others.
const SHOWN: usize = 10;
/// Shortest and longest name of a key.
const NAME: std::ops::RangeInclusive<usize> = 1..=100;

/// A key to be made.
#[derive(Debug, Clone, Default)]
pub struct KeyOrder {
    /// What it is called.
    pub name: String,
    /// Whose it will be; the caller's own when not given.
    pub user_id: Option<UserId>,
    /// What it will be good for; all that it can when not given.
    pub scopes: Option<Scopes>,
    /// The instances that it will know; all of its user's when not given.
    pub instances: Option<Vec<InstanceName>>,
    /// When it ends.
    pub expires_at: Option<Millis>,
    /// The networks that it may come from; any when there is none.
    pub addresses: Vec<String>,
}

impl Accounts {
    /// Makes a key; its text is returned here and never again.
    ///
    /// # Errors
    /// [`AccountError::WiderKey`] when it would be good for more than the caller.
    pub async fn create_key(
        &self,
        caller: &Caller,
        instances: &Instances,
        order: KeyOrder,
    ) -> Result<(ApiKey, String), ServiceError> {
        if !NAME.contains(&order.name.trim().chars().count()) {
            return Err(AccountError::InvalidKeyName.into());
        }
        let now = self.shared.now();
        if order.expires_at.is_some_and(|end| end <= now) {
            return Err(AccountError::ExpiryInThePast.into());
        }
        let user_id = order.user_id.unwrap_or(caller.user_id);
        let scopes = self.scopes_of_new(caller, user_id, order.scopes).await?;
        let only = match &order.instances {
            Some(names) => {
                let mut ids = Vec::with_capacity(names.len());
                for name in names {
                    let instance = instances.find(caller, name).await?;
                    if instance.user_id != user_id && !caller.is_admin() {
                        return Err(ServiceError::InstanceNotFound);
                    }
                    ids.push(instance.id);
                }
                Some(ids)
            }
            None => caller.only.as_ref().map(|only| only.to_vec()),
        };
        let networks: Result<Vec<Network>, _> = order.addresses.iter().map(|a| a.parse()).collect();
        let networks = networks.map_err(AccountError::from)?;
        let text = format!("{PREFIX}{}", random_token());
        let key = ApiKey {
            id: fresh_id(),
            user_id,
            name: order.name.trim().to_owned(),
            prefix: Some(text[..SHOWN].to_owned()),
            scopes,
            instances: only,
            addresses: networks.iter().map(ToString::to_string).collect(),
            created_at: now,
            expires_at: order.expires_at,
            last_used_at: None,
        };
        let new = NewKey { key: key.clone(), hash: hash(&text) };
        self.shared.store.create_key(new).await.map_err(super::users::user_error)?;
        Ok((key, text))
    }

    /// A key is good for no more than who makes it, and for no more than whose it is.
    async fn scopes_of_new(
        &self,
        caller: &Caller,
        user_id: UserId,
        wanted: Option<Scopes>,
    ) -> Result<Scopes, ServiceError> {
        let role: Role = if user_id == caller.user_id {
            caller.role
        } else if caller.is_admin() {
            self.user(user_id).await?.role
        } else {
            return Err(ServiceError::Forbidden);
        };
        let most = caller.scopes.and(role.scopes());
        match wanted {
            Some(wanted) if most.covers(wanted) => Ok(wanted),
            Some(_) => Err(AccountError::WiderKey.into()),
            None => Ok(most),
        }
    }

    /// The caller's keys behind `after`, or everybody's for administrators.
    pub async fn keys(
        &self,
        caller: &Caller,
        after: Option<ApiKeyId>,
        limit: usize,
    ) -> Result<Vec<ApiKey>, ServiceError> {
        let mut keys = self.shared.store.keys(caller.user_of_lists(), after, limit).await?;
        keys.retain(|key| knows_no_more(caller, key));
        Ok(keys)
    }

    /// Takes a key away, at once; returns what it was.
    ///
    /// # Errors
    /// [`AccountError::KeyNotFound`] also for those of others.
    pub async fn delete_key(&self, caller: &Caller, id: ApiKeyId) -> Result<ApiKey, ServiceError> {
        let found = self.shared.store.key(id).await?;
        let own = |key: &ApiKey| key.user_id == caller.user_id || caller.is_admin();
        let shown = |key: &ApiKey| own(key) && knows_no_more(caller, key);
        let key = found.filter(shown).ok_or(AccountError::KeyNotFound)?;
        // A narrow key must not shut out those above it.
        if !caller.scopes.covers(key.scopes) {
            return Err(AccountError::WiderKey.into());
        }
        self.shared.store.delete_key(id).await?;
        Ok(key)
    }
}

/// Whether a key is for no other instances than the caller's own is.
fn knows_no_more(caller: &Caller, key: &ApiKey) -> bool {
    let within = |ids: &Vec<_>| ids.iter().all(|id| caller.only.iter().any(|o| o.contains(id)));
    caller.only.is_none() || key.instances.as_ref().is_some_and(within)
}
