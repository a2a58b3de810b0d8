//! What the owner of an instance chooses: its switches, a key of its own, the way out, and what Socket.IO
//! tells of it.

use super::{InstanceView, Instances, manners};
use crate::accounts::{AccountError, Caller, credential_hash};
use crate::error::ServiceError;
use flowcore_domain::account::Role;
use flowcore_domain::engine::EngineError;
use flowcore_domain::event::EventKind;
use flowcore_domain::instance::InstanceName;
use flowcore_domain::instance::settings::{LiveSelection, Settings};
use flowcore_domain::proxy::Proxy;
use flowcore_storage::{InstanceCounts, InstanceOptions, InstanceToken};
use uuid::Uuid;

/// Fewest characters of a token that its owner chooses.
pub const MIN_TOKEN: usize = 8;
/// Most characters of it.
pub const MAX_TOKEN: usize = 255;

/// What a new instance begins with.
#[derive(Clone, Default)]
pub struct NewOptions {
    /// Its switches.
    pub settings: Settings,
    /// A key for this instance alone; `None` makes one.
    pub token: Option<String>,
    /// The way out.
    pub proxy: Option<Proxy>,
}

/// Never shows the token.
impl std::fmt::Debug for NewOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewOptions").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What is chosen and stored of an instance besides its state.
#[derive(Clone)]
pub struct InstanceDetails {
    /// Its switches.
    pub settings: Settings,
    /// The way out.
    pub proxy: Option<Proxy>,
    /// What Socket.IO tells.
    pub live: Option<LiveSelection>,
    /// How much is stored.
    pub counts: InstanceCounts,
    /// Where the owner's picture is.
    pub picture: Option<String>,
    token: Option<String>,
}

/// Never shows the key.
impl std::fmt::Debug for InstanceDetails {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InstanceDetails").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl InstanceDetails {
    /// Its own key; a secret.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}

impl Instances {
    /// Makes an instance; it is not started. Returns it with its own key, which is shown once.
    ///
    /// # Errors
    /// [`ServiceError::NameTaken`] also when it is the caller's own, [`ServiceError::TokenTaken`].
    pub async fn create(
        &self,
        caller: &Caller,
        name: &InstanceName,
        options: NewOptions,
    ) -> Result<(InstanceView, String), ServiceError> {
        let text = options.token.unwrap_or_else(fresh_token);
        let token = InstanceToken { hash: credential_hash(&text), text: text.clone() };
        let options = InstanceOptions {
            settings: options.settings,
            token: Some(token),
            proxy: options.proxy,
        };
        let instance = self.make(caller, name, options).await?;
        Ok((self.current(&instance), text))
    }

    /// Gives an instance a new key in place of the one before, which is good for nothing any more.
    ///
    /// # Errors
    /// [`AccountError::WiderKey`] when it would be good for more than the caller.
    pub async fn renew_token(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<String, ServiceError> {
        let instance = self.find(caller, name).await?;
        if !caller.scopes.covers(Role::Member.scopes()) {
            return Err(AccountError::WiderKey.into());
        }
        let text = fresh_token();
        let token = InstanceToken { hash: credential_hash(&text), text: text.clone() };
        self.shared.store.set_instance_token(instance.id, token).await?;
        Ok(text)
    }

    /// The switches of an instance.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`].
    pub async fn settings(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<Settings, ServiceError> {
        Ok(self.find(caller, name).await?.settings)
    }

    /// Changes the switches of an instance.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`].
    pub async fn set_settings(
        &self,
        caller: &Caller,
        name: &InstanceName,
        settings: Settings,
    ) -> Result<(), ServiceError> {
        let instance = self.find(caller, name).await?;
        let now = self.shared.now();
        self.shared.store.update_settings(instance.id, settings, now).await?;
        self.shared.switches.forget(instance.id);
        manners::shown(&self.shared, instance.id);
        Ok(())
    }

    /// The way out of an instance, when it has one of its own.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`].
    pub async fn proxy(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<Option<Proxy>, ServiceError> {
        let instance = self.find(caller, name).await?;
        Ok(self.shared.store.proxy(instance.id).await?)
    }

    /// Whether a proxy leads to WhatsApp; it is dialed to find out.
    ///
    /// # Errors
    /// [`ServiceError::ProxyFailed`] says at which step it ended.
    pub async fn try_proxy(&self, proxy: &Proxy) -> Result<(), ServiceError> {
        let tried = self.shared.registry.engine().try_proxy(proxy).await;
        tried.map_err(|error| match error {
            EngineError::Failed(why) => ServiceError::ProxyFailed(why),
            other => other.into(),
        })
    }

    /// The version of WhatsApp Web as which a number last logged in, if one did.
    #[must_use]
    pub fn client_version(&self) -> Option<String> {
        self.shared.registry.engine().client_version()
    }

    /// Changes the way out of an instance; the next connection takes it.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`].
    pub async fn set_proxy(
        &self,
        caller: &Caller,
        name: &InstanceName,
        proxy: Option<Proxy>,
    ) -> Result<(), ServiceError> {
        let instance = self.find(caller, name).await?;
        let now = self.shared.now();
        Ok(self.shared.store.set_proxy(instance.id, proxy, now).await?)
    }

    /// What Socket.IO tells of an instance, when somebody chose.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`].
    pub async fn live_selection(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<Option<LiveSelection>, ServiceError> {
        let instance = self.find(caller, name).await?;
        Ok(self.shared.store.live_selection(instance.id).await?)
    }

    /// Chooses what Socket.IO tells of an instance, to those that join from now on.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`].
    pub async fn set_live_selection(
        &self,
        caller: &Caller,
        name: &InstanceName,
        (enabled, events): (bool, Vec<EventKind>),
    ) -> Result<LiveSelection, ServiceError> {
        let instance = self.find(caller, name).await?;
        let now = self.shared.now();
        let before = self.shared.store.live_selection(instance.id).await?;
        let created_at = before.map_or(now, |before| before.created_at);
        let selection = LiveSelection { enabled, events, created_at, updated_at: now };
        self.shared.store.set_live_selection(instance.id, selection.clone()).await?;
        Ok(selection)
    }

    /// Everything that is chosen and stored of an instance besides its state.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`].
    pub async fn details(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<InstanceDetails, ServiceError> {
        let instance = self.find(caller, name).await?;
        let store = &self.shared.store;
        let own: Vec<_> = instance.identity.iter().map(|who| who.jid.clone()).collect();
        let picture = store.pictures(instance.id, &own).await?.into_values().next();
        Ok(InstanceDetails {
            picture,
            token: store.instance_token(instance.id).await?,
            proxy: store.proxy(instance.id).await?,
            live: store.live_selection(instance.id).await?,
            counts: store.counts(instance.id).await?,
            settings: instance.settings,
        })
    }
}

/// In the form that Evolution gives to its own.
fn fresh_token() -> String {
    Uuid::from_bytes(rand::random()).to_string().to_uppercase()
}
