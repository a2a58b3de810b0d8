//! How an instance hands over, as its owner sets it: phones, texts, hours, keywords.

use super::Support;
use crate::accounts::Caller;
use crate::error::ServiceError;
use crate::instances::online_now;
use crate::numbers;
use flowcore_domain::instance::{Instance, InstanceName};
use flowcore_domain::jid::Number;
use flowcore_domain::support::hours::BusinessHours;
use flowcore_domain::support::keyword::{self, Keywords};
use flowcore_domain::support::template::{PLACES, unknown_place};
use flowcore_domain::support::{
    MAX_AUTO_RETURN, MAX_KEYWORD, MAX_KEYWORDS, MAX_NAME, MAX_PHONES, MAX_TEMPLATE, SupportConfig,
    SupportPhone,
};
use flowcore_storage::{KeywordAdded, StorageError, StoredKeyword};
use uuid::Uuid;

/// What is changed; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct SupportPatch {
    /// Whether customers can be handed over.
    pub is_active: Option<bool>,
    /// Who is told.
    pub phones: Option<Vec<SupportPhone>>,
    /// What the customer is told.
    pub customer_template: Option<String>,
    /// What the phones are told.
    pub support_template: Option<String>,
    /// When somebody is there.
    pub business_hours: Held<BusinessHours>,
    /// After how long nobody wrote the assistant goes on.
    pub auto_return_minutes: Held<i64>,
}

/// Something that can be taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Held<T> {
    /// It stays.
    #[default]
    Kept,
    /// It is this from now on, or nothing.
    Set(Option<T>),
}

impl<T> Held<T> {
    fn over(self, now: Option<T>) -> Option<T> {
        match self {
            Self::Kept => now,
            Self::Set(value) => value,
        }
    }
}

impl Support {
    /// How an instance hands over.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn config(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<SupportConfig, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        Ok(self.shared.store.support_config(instance.id).await?.unwrap_or_default())
    }

    /// Changes it. The numbers of new support phones are looked up when the instance is connected.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others; [`ServiceError::Invalid`];
    /// [`ServiceError::NumberNotOnWhatsApp`].
    pub async fn set_config(
        &self,
        caller: &Caller,
        name: &InstanceName,
        patch: SupportPatch,
    ) -> Result<SupportConfig, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        let now = self.shared.store.support_config(instance.id).await?.unwrap_or_default();
        let phones = match patch.phones {
            Some(phones) => self.checked_phones(&instance, phones, &now.phones).await?,
            None => now.phones,
        };
        let config = SupportConfig {
            is_active: patch.is_active.unwrap_or(now.is_active),
            phones,
            customer_template: patch.customer_template.unwrap_or(now.customer_template),
            support_template: patch.support_template.unwrap_or(now.support_template),
            business_hours: patch.business_hours.over(now.business_hours),
            auto_return_minutes: patch.auto_return_minutes.over(now.auto_return_minutes),
        };
        check(&config)?;
        let put =
            self.shared.store.put_support_config(instance.id, config.clone(), self.shared.now());
        put.await.map_err(|error| gone(error, ServiceError::InstanceNotFound))?;
        self.shared.attentions.forget(instance.id);
        Ok(config)
    }

    /// Its keywords, the oldest first.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn keywords(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<Vec<StoredKeyword>, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        Ok(self.shared.store.support_keywords(instance.id).await?)
    }

    /// Adds a keyword; one that is there keeps its id.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others; [`ServiceError::Invalid`];
    /// [`ServiceError::LimitReached`].
    pub async fn add_keyword(
        &self,
        caller: &Caller,
        name: &InstanceName,
        keyword: &str,
    ) -> Result<Uuid, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        let keyword = keyword.trim();
        if keyword.chars().count() > MAX_KEYWORD || !keyword::is_usable(keyword) {
            let why =
                format!("a keyword is a word or a phrase of at most {MAX_KEYWORD} characters");
            return Err(ServiceError::Invalid(why));
        }
        let (store, now) = (&self.shared.store, self.shared.now());
        let added = store.add_support_keyword(instance.id, keyword.to_owned(), now).await;
        match added.map_err(|error| gone(error, ServiceError::InstanceNotFound))? {
            KeywordAdded::Stored(id) => Ok(id),
            KeywordAdded::Full => {
                Err(ServiceError::LimitReached { what: "keywords", limit: MAX_KEYWORDS })
            }
        }
    }

    /// Deletes a keyword.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others; [`ServiceError::KeywordNotFound`].
    pub async fn delete_keyword(
        &self,
        caller: &Caller,
        name: &InstanceName,
        id: Uuid,
    ) -> Result<(), ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        let deleted = self.shared.store.delete_support_keyword(instance.id, id).await?;
        deleted.then_some(()).ok_or(ServiceError::KeywordNotFound)
    }

    /// The keyword that would be found in a message.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn test_keywords(
        &self,
        caller: &Caller,
        name: &InstanceName,
        message: &str,
    ) -> Result<Option<String>, ServiceError> {
        let all = self.keywords(caller, name).await?;
        let keywords = Keywords::new(all.iter().map(|one| one.keyword.as_str()));
        Ok(keywords.find(message).map(str::to_owned))
    }

    /// Phones in digits, each once; new ones are looked up.
    async fn checked_phones(
        &self,
        instance: &Instance,
        phones: Vec<SupportPhone>,
        known: &[SupportPhone],
    ) -> Result<Vec<SupportPhone>, ServiceError> {
        if phones.len() > MAX_PHONES {
            return Err(ServiceError::LimitReached { what: "phones", limit: MAX_PHONES });
        }
        let own = instance.identity.as_ref().and_then(|who| who.jid.phone());
        let mut checked: Vec<SupportPhone> = Vec::with_capacity(phones.len());
        for phone in phones {
            let number = Number::phone(&phone.number)?;
            if phone.name.chars().count() > MAX_NAME {
                return Err(invalid(format!("a name has at most {MAX_NAME} characters")));
            }
            if own.is_some_and(|own| Number::spellings(&number).iter().any(|one| one == own)) {
                return Err(invalid("the number itself can't be one of its support phones"));
            }
            if known.iter().all(|one| one.number != number) {
                self.look_up(instance, &number).await?;
            }
            if checked.iter().all(|one| one.number != number) {
                checked.push(SupportPhone { number, name: phone.name });
            }
        }
        Ok(checked)
    }

    /// Whether somebody is behind a number; nobody can tell while the instance is not connected.
    async fn look_up(&self, instance: &Instance, number: &str) -> Result<(), ServiceError> {
        let Ok(online) = online_now(&self.shared, instance.clone()) else { return Ok(()) };
        match numbers::look_up(&self.shared, &*online.session, number).await {
            Ok(None) => Err(ServiceError::NumberNotOnWhatsApp { number: number.to_owned() }),
            Ok(Some(_)) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "a support phone could not be looked up");
                Ok(())
            }
        }
    }
}

fn check(config: &SupportConfig) -> Result<(), ServiceError> {
    for template in [&config.customer_template, &config.support_template] {
        if template.trim().is_empty() || template.chars().count() > MAX_TEMPLATE {
            return Err(invalid(format!("a template has from 1 to {MAX_TEMPLATE} characters")));
        }
        if unknown_place(template).is_some() {
            return Err(invalid(format!("a template can be filled in with {PLACES}")));
        }
    }
    if let Some(hours) = &config.business_hours {
        hours.check().map_err(ServiceError::Invalid)?;
        if hours.message.chars().count() > MAX_TEMPLATE {
            return Err(invalid(format!("message has at most {MAX_TEMPLATE} characters")));
        }
        if unknown_place(&hours.message).is_some() {
            return Err(invalid(format!("message can be filled in with {PLACES}")));
        }
    }
    match config.auto_return_minutes {
        Some(minutes) if !(1..=MAX_AUTO_RETURN).contains(&minutes) => {
            Err(invalid(format!("autoReturnMinutes is from 1 to {MAX_AUTO_RETURN}, or null")))
        }
        _ => Ok(()),
    }
}

fn invalid(why: impl Into<String>) -> ServiceError {
    ServiceError::Invalid(why.into())
}

fn gone(error: StorageError, what: ServiceError) -> ServiceError {
    match error {
        StorageError::NotFound(_) => what,
        other => other.into(),
    }
}
