//! The endpoints that events are posted to.

use super::post::Poster;
use super::posting::{self, Posting};
use super::trial::{self, Trial};
use crate::accounts::Caller;
use crate::clients;
use crate::error::ServiceError;
use crate::{Instances, Shared, fresh_id};
use flowcore_domain::clock::Millis;
use flowcore_domain::event::EventKind;
use flowcore_domain::id::{DeliveryId, WebhookId};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::webhook::{
    BytesForm, ChatFilter, FileForm, Health, Scope, Secret, Webhook, check_headers,
};
use flowcore_storage::{Again, Delivery, DeliveryFilter, MAX_WEBHOOKS};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most deliveries that one replay makes.
const MAX_REPLAY: usize = 10_000;

/// Which endpoints are meant.
#[derive(Debug, Clone, Copy)]
pub enum WebhooksOf<'a> {
    /// Those of one instance.
    Instance(&'a InstanceName),
    /// Those that hear all of the caller's instances. For admins.
    All,
}

/// An endpoint to be made.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Where to post.
    pub url: String,
    /// Which events; empty means all.
    pub events: Vec<EventKind>,
    /// Which chats.
    pub chats: ChatFilter,
    /// Headers added to every request.
    pub headers: BTreeMap<String, String>,
    /// Key of the signature; `None` makes one.
    pub secret: Option<Secret>,
    /// One path per event.
    pub by_events: bool,
    /// What it gets of files.
    pub media: FileForm,
    /// How bytes are written.
    pub bytes: BytesForm,
    /// Whether anything is posted.
    pub enabled: bool,
}

/// What changes about an endpoint; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct WebhookPatch {
    /// Where to post.
    pub url: Option<String>,
    /// Which events.
    pub events: Option<Vec<EventKind>>,
    /// Which chats.
    pub chats: Option<ChatFilter>,
    /// Headers added to every request.
    pub headers: Option<BTreeMap<String, String>>,
    /// Key of the signature.
    pub secret: Option<Secret>,
    /// One path per event.
    pub by_events: Option<bool>,
    /// What it gets of files.
    pub media: Option<FileForm>,
    /// How bytes are written.
    pub bytes: Option<BytesForm>,
    /// Whether anything is posted.
    pub enabled: Option<bool>,
}

/// Where events go.
#[derive(Debug, Clone)]
pub struct Webhooks {
    shared: Arc<Shared>,
    instances: Instances,
    poster: Poster,
}

impl Webhooks {
    pub(crate) fn new(shared: Arc<Shared>, poster: Poster) -> Self {
        let instances = Instances::new(Arc::clone(&shared));
        Self { shared, instances, poster }
    }

    /// Makes an endpoint.
    ///
    /// # Errors
    /// [`ServiceError::UrlNotAllowed`] and [`ServiceError::InvalidHeader`] say what is wrong.
    pub async fn create(
        &self,
        caller: &Caller,
        of: WebhooksOf<'_>,
        new: NewWebhook,
    ) -> Result<Webhook, ServiceError> {
        let scope = self.scope(caller, of).await?;
        self.add(new, (scope, false)).await
    }

    /// The endpoints of an instance, or those of all.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn list(
        &self,
        caller: &Caller,
        of: WebhooksOf<'_>,
    ) -> Result<Vec<Webhook>, ServiceError> {
        let scope = self.scope(caller, of).await?;
        Ok(self.shared.store.webhooks(scope).await?)
    }

    /// One endpoint.
    ///
    /// # Errors
    /// [`ServiceError::WebhookNotFound`].
    pub async fn get(
        &self,
        caller: &Caller,
        of: WebhooksOf<'_>,
        id: WebhookId,
    ) -> Result<Webhook, ServiceError> {
        let scope = self.scope(caller, of).await?;
        self.of(scope, id).await
    }

    /// Changes what the patch names. A pause ends: what made the endpoint fail is taken for mended.
    ///
    /// # Errors
    /// [`ServiceError::UrlNotAllowed`], [`ServiceError::InvalidHeader`], [`ServiceError::WebhookNotFound`].
    pub async fn update(
        &self,
        caller: &Caller,
        of: WebhooksOf<'_>,
        id: WebhookId,
        patch: WebhookPatch,
    ) -> Result<Webhook, ServiceError> {
        let scope = self.scope(caller, of).await?;
        let mut old = self.of(scope, id).await?;
        if let Some(url) = &patch.url {
            self.check(url)?;
        }
        if let Some(headers) = &patch.headers {
            check_headers(headers)?;
        }
        let now = self.shared.now();
        if let Some(secret) = patch.secret {
            old.change_secret(secret, now);
        }
        let webhook = Webhook {
            url: patch.url.unwrap_or(old.url),
            events: patch.events.unwrap_or(old.events),
            chats: patch.chats.unwrap_or(old.chats),
            headers: patch.headers.unwrap_or(old.headers),
            health: Health::default(),
            by_events: patch.by_events.unwrap_or(old.by_events),
            media: patch.media.unwrap_or(old.media),
            bytes: patch.bytes.unwrap_or(old.bytes),
            enabled: patch.enabled.unwrap_or(old.enabled),
            updated_at: now,
            ..old
        };
        self.replace(webhook).await
    }

    /// The one endpoint of an instance that is set and found without an id.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn evolution(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<Option<Webhook>, ServiceError> {
        let all = self.list(caller, WebhooksOf::Instance(name)).await?;
        Ok(all.into_iter().find(|one| one.evolution))
    }

    /// Makes, replaces or (with `None`) removes the endpoint of all instances that the operator configures.
    ///
    /// # Errors
    /// [`ServiceError::UrlNotAllowed`] says what is wrong with the URL.
    pub async fn set_global(
        &self,
        caller: &Caller,
        new: Option<NewWebhook>,
    ) -> Result<(), ServiceError> {
        let all = self.list(caller, WebhooksOf::All).await?;
        let old = all.into_iter().find(|one| one.evolution);
        match (old, new) {
            (None, None) => Ok(()),
            (Some(old), None) => self.delete(caller, WebhooksOf::All, old.id).await,
            (old, Some(new)) => self.put(caller, (WebhooksOf::All, old), new).await.map(drop),
        }
    }

    /// Makes or replaces that endpoint; its id and its secret stay.
    ///
    /// # Errors
    /// [`ServiceError::UrlNotAllowed`] and [`ServiceError::InvalidHeader`] say what is wrong.
    pub async fn set_evolution(
        &self,
        caller: &Caller,
        name: &InstanceName,
        new: NewWebhook,
    ) -> Result<Webhook, ServiceError> {
        let old = self.evolution(caller, name).await?;
        self.put(caller, (WebhooksOf::Instance(name), old), new).await
    }

    async fn put(
        &self,
        caller: &Caller,
        (of, old): (WebhooksOf<'_>, Option<Webhook>),
        new: NewWebhook,
    ) -> Result<Webhook, ServiceError> {
        if let Some(old) = old {
            let patch = WebhookPatch {
                url: Some(new.url),
                events: Some(new.events),
                chats: Some(new.chats),
                headers: Some(new.headers),
                secret: None,
                by_events: Some(new.by_events),
                enabled: Some(new.enabled),
                media: Some(new.media),
                bytes: Some(new.bytes),
            };
            return self.update(caller, of, old.id, patch).await;
        }
        let scope = self.scope(caller, of).await?;
        self.add(new, (scope, true)).await
    }

    /// One more endpoint, Evolution's or not.
    async fn add(&self, new: NewWebhook, as_what: (Scope, bool)) -> Result<Webhook, ServiceError> {
        self.check(&new.url)?;
        check_headers(&new.headers)?;
        let webhook = made(new, as_what, self.shared.now());
        if self.shared.store.create_webhook(webhook.clone()).await? {
            Ok(webhook)
        } else {
            Err(ServiceError::LimitReached { what: "webhooks", limit: MAX_WEBHOOKS })
        }
    }

    /// Removes an endpoint with what waits for it.
    ///
    /// # Errors
    /// [`ServiceError::WebhookNotFound`].
    pub async fn delete(
        &self,
        caller: &Caller,
        of: WebhooksOf<'_>,
        id: WebhookId,
    ) -> Result<(), ServiceError> {
        let scope = self.scope(caller, of).await?;
        if self.shared.store.delete_webhook(scope, id).await? {
            Ok(())
        } else {
            Err(ServiceError::WebhookNotFound)
        }
    }

    /// Gives an endpoint a new secret. For a day the old one signs too, also when it is changed again.
    ///
    /// # Errors
    /// [`ServiceError::WebhookNotFound`].
    pub async fn rotate(
        &self,
        caller: &Caller,
        of: WebhooksOf<'_>,
        id: WebhookId,
    ) -> Result<Webhook, ServiceError> {
        let scope = self.scope(caller, of).await?;
        let mut webhook = self.of(scope, id).await?;
        let now = self.shared.now();
        webhook.change_secret(Secret::from_bytes(rand::random()), now);
        webhook.health = Health::default();
        self.replace(webhook).await
    }

    async fn replace(&self, webhook: Webhook) -> Result<Webhook, ServiceError> {
        self.shared.store.update_webhook(webhook.clone(), self.shared.now()).await?;
        // What waited for its pause may go now.
        self.shared.outbox.work.notify_one();
        Ok(webhook)
    }

    /// Posts a signed sample, also to an endpoint that is switched off.
    ///
    /// # Errors
    /// [`ServiceError::WebhookNotFound`]. What the receiver does is no error.
    pub async fn test(
        &self,
        caller: &Caller,
        of: WebhooksOf<'_>,
        id: WebhookId,
    ) -> Result<Trial, ServiceError> {
        let webhook = self.of(self.scope(caller, of).await?, id).await?;
        let name = match of {
            WebhooksOf::Instance(name) => name.as_str(),
            WebhooksOf::All => "",
        };
        trial::run(&self.shared, &self.poster, name, &webhook).await
    }

    /// Posts a delivery once more, finished or not, as soon as its chat's turn comes.
    ///
    /// # Errors
    /// [`ServiceError::DeliveryNotFound`], [`ServiceError::WebhookDisabled`].
    pub async fn retry(
        &self,
        caller: &Caller,
        name: &InstanceName,
        id: DeliveryId,
    ) -> Result<(), ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        match self.shared.store.retry_delivery(instance.id, id, self.shared.now()).await? {
            Again::Unknown => Err(ServiceError::DeliveryNotFound),
            Again::SwitchedOff => Err(ServiceError::WebhookDisabled),
            Again::Due => {
                self.shared.outbox.work.notify_one();
                Ok(())
            }
        }
    }

    /// Puts the events of a time on their way again, under their old ids, to one endpoint or to all that
    /// want them; how many deliveries that makes, at most 10,000.
    ///
    /// # Errors
    /// [`ServiceError::WebhookNotFound`], [`ServiceError::WebhookDisabled`].
    pub async fn replay(
        &self,
        caller: &Caller,
        name: &InstanceName,
        (from, to): (Millis, Option<Millis>),
        webhook: Option<WebhookId>,
    ) -> Result<usize, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        let hearing = self.shared.store.webhooks_hearing(instance.id).await?;
        let targets: Vec<_> = match webhook {
            Some(id) => hearing.into_iter().filter(|one| one.id == id).collect(),
            None => hearing,
        };
        if webhook.is_some() && targets.is_empty() {
            return Err(ServiceError::WebhookNotFound);
        }
        if webhook.is_some() && targets.iter().any(|target| !target.enabled) {
            return Err(ServiceError::WebhookDisabled);
        }
        let now = self.shared.now();
        let range = (from, to.unwrap_or(now));
        let made = self.shared.store.replay(instance.id, range, targets, MAX_REPLAY, now).await?;
        self.shared.outbox.work.notify_one();
        Ok(made)
    }

    /// Forgets what was finished before a time, or until now; what waits stays. Returns how many.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`].
    pub async fn purge(
        &self,
        caller: &Caller,
        name: &InstanceName,
        webhook: Option<WebhookId>,
        before: Option<Millis>,
    ) -> Result<u64, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        let before = before.unwrap_or_else(|| self.shared.now());
        Ok(self.shared.store.purge_deliveries(instance.id, webhook, before).await?)
    }

    /// What was posted and what waits, newest first.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn deliveries(
        &self,
        caller: &Caller,
        name: &InstanceName,
        filter: &DeliveryFilter,
        limit: usize,
    ) -> Result<Vec<Delivery>, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        Ok(self.shared.store.deliveries(instance.id, filter, limit).await?)
    }

    /// One of them, with what is posted.
    ///
    /// # Errors
    /// [`ServiceError::DeliveryNotFound`]; [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn delivery(
        &self,
        caller: &Caller,
        name: &InstanceName,
        id: DeliveryId,
    ) -> Result<Posting, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        posting::of((&self.shared, &self.poster), caller, &instance, id).await
    }

    async fn scope(&self, caller: &Caller, of: WebhooksOf<'_>) -> Result<Scope, ServiceError> {
        match of {
            WebhooksOf::Instance(name) => {
                Ok(Scope::Instance(self.instances.find(caller, name).await?.id))
            }
            WebhooksOf::All if caller.is_admin() => Ok(Scope::User(caller.user_id)),
            WebhooksOf::All => Err(ServiceError::Forbidden),
        }
    }

    async fn of(&self, scope: Scope, id: WebhookId) -> Result<Webhook, ServiceError> {
        let found = self.shared.store.webhook(id).await?;
        found.filter(|one| one.scope == scope).ok_or(ServiceError::WebhookNotFound)
    }

    fn check(&self, url: &str) -> Result<(), ServiceError> {
        clients::check_url(url, &self.poster.allow).map(drop).map_err(ServiceError::UrlNotAllowed)
    }
}

fn made(new: NewWebhook, (scope, evolution): (Scope, bool), now: Millis) -> Webhook {
    Webhook {
        id: fresh_id(),
        scope,
        url: new.url,
        enabled: new.enabled,
        events: new.events,
        chats: new.chats,
        headers: new.headers,
        by_events: new.by_events,
        secret: new.secret.unwrap_or_else(|| Secret::from_bytes(rand::random())),
        previous_secrets: vec![],
        health: Health::default(),
        evolution,
        media: new.media,
        bytes: new.bytes,
        created_at: now,
        updated_at: now,
    }
}
