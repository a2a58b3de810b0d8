//! Prompts that a model writes from the description of a business, as many a month as a user may have.

use super::model::Ask;
use super::{Assistant, ModelError, nonce};
use crate::accounts::Caller;
use crate::error::ServiceError;
use flowcore_domain::assistant::{AssistantConfig, prompt};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::quota::Quota;

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 4_000;
const MAX_LANGUAGE: usize = 40;
const MAX_TOKENS: u32 = 1_500;
const TEMPERATURE: f64 = 0.7;

/// A prompt that a model wrote.
#[derive(Debug, Clone)]
pub struct Generated {
    /// The prompt.
    pub prompt: String,
    /// How many this user had this month, this one included.
    pub used: u64,
    /// How many they may have.
    pub limit: Option<u64>,
}

impl Assistant {
    /// Has a prompt written; one that fails is not counted. With an instance its provider is asked, else the
    /// server's.
    ///
    /// # Errors
    /// [`ServiceError::OverQuota`] when the month's are used up.
    pub async fn generate(
        &self,
        caller: &Caller,
        instance: Option<&InstanceName>,
        (description, language): (&str, Option<&str>),
    ) -> Result<Generated, ServiceError> {
        let length = description.trim().chars().count();
        if length == 0 || length > MAX_DESCRIPTION {
            let rule = "description is a text of 1 to 4000 characters about the business";
            return Err(ServiceError::Invalid(rule.to_owned()));
        }
        let plain = |word: &str| word.chars().all(|c| c.is_alphanumeric() || " -()".contains(c));
        if !language.is_none_or(|word| word.chars().count() <= MAX_LANGUAGE && plain(word)) {
            let rule = "language is the name or the code of a language, such as pt or Portuguese";
            return Err(ServiceError::Invalid(rule.to_owned()));
        }
        let found = match instance {
            Some(name) => Some(self.instances.find(caller, name).await?.id),
            None => None,
        };
        let (config, key) = match found {
            Some(id) => self.configured(id, None).await?,
            None => (AssistantConfig::default(), None),
        };
        let target = self.target(&config, key.as_ref())?;
        let (store, now) = (&self.shared.store, self.shared.now());
        let used = store.spend(caller.user_id, (Quota::PromptsPerMonth, 1), now).await?;
        let prompt = prompt::generation(description, language, &nonce());
        let ask = Ask { prompt, picture: None, temperature: TEMPERATURE, max_tokens: MAX_TOKENS };
        let cancel = self.shared.lifecycle.stopping();
        let said = self.models.speak(&target, &ask, &mut |_| {}, cancel).await;
        let said = said.and_then(|said| {
            if said.text.trim().is_empty() { Err(ModelError::Broken) } else { Ok(said) }
        });
        let said = match said {
            Ok(said) => said,
            Err(error) => {
                store.unspend(caller.user_id, Quota::PromptsPerMonth, now).await?;
                return Err(error.into());
            }
        };
        if let Some(id) = found {
            self.charge(id, &target, &said).await;
        }
        let owner = store.user(caller.user_id).await?;
        let limit = owner.and_then(|owner| owner.quotas.limit(Quota::PromptsPerMonth));
        Ok(Generated { prompt: said.text.trim().to_owned(), used, limit })
    }
}
