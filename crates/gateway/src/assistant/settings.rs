//! Configuring an assistant: what it is, which wordings its prompt had, and whether its model answers.

use super::Assistant;
use super::composing::money;
use super::model::{Ask, ModelError};
use crate::accounts::Caller;
use crate::clients;
use crate::error::ServiceError;
use flowcore_domain::assistant::prompt::{Prompt, Speaker, Turn};
use flowcore_domain::assistant::{AssistantConfig, AssistantPatch, ProviderKey};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{InstanceId, PromptVersionId};
use flowcore_domain::instance::InstanceName;
use flowcore_storage::PromptVersion;

/// An assistant as its owner sees it.
#[derive(Debug, Clone)]
pub struct AssistantView {
    /// Its configuration.
    pub config: AssistantConfig,
    /// Whether it has a key of its own.
    pub has_key: bool,
    /// Why it could not answer as it is; whether the provider works is only known by asking.
    pub problem: Option<ModelError>,
    /// What it cost this month.
    pub spent: f64,
    /// When it changed last.
    pub updated_at: Option<Millis>,
}

/// What came of asking a model for a word.
#[derive(Debug, Clone)]
pub struct ModelCheck {
    /// Which model.
    pub model: Option<String>,
    /// How long it took.
    pub took_ms: u64,
    /// What went wrong.
    pub error: Option<ModelError>,
}

impl Assistant {
    /// The assistant of an instance.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn get(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<AssistantView, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        self.view(instance.id).await
    }

    /// Changes what a patch names.
    ///
    /// # Errors
    /// [`ServiceError::InvalidAssistant`] names the field that does not fit.
    pub async fn update(
        &self,
        caller: &Caller,
        name: &InstanceName,
        patch: AssistantPatch,
    ) -> Result<AssistantView, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        if let Some(Some(url)) = &patch.base_url {
            clients::check_url(url.trim(), &self.allow).map_err(ServiceError::UrlNotAllowed)?;
        }
        let now = self.shared.now();
        let store = &self.shared.store;
        store.update_assistant(instance.id, patch, caller.user_id, now).await??;
        self.shared.attentions.forget(instance.id);
        self.view(instance.id).await
    }

    /// The wordings that the prompt had, the newest first.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn versions(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<Vec<PromptVersion>, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        Ok(self.shared.store.prompt_versions(instance.id).await?)
    }

    /// One of them, and the wording of now.
    ///
    /// # Errors
    /// [`ServiceError::VersionNotFound`] when the prompt never had it.
    pub async fn version(
        &self,
        caller: &Caller,
        name: &InstanceName,
        id: PromptVersionId,
    ) -> Result<(PromptVersion, String), ServiceError> {
        let all = self.versions(caller, name).await?;
        let current = all.first().map(|version| version.system_prompt.clone()).unwrap_or_default();
        let version = all.into_iter().find(|version| version.id == id);
        Ok((version.ok_or(ServiceError::VersionNotFound)?, current))
    }

    /// Makes an earlier wording the newest.
    ///
    /// # Errors
    /// [`ServiceError::VersionNotFound`] when the prompt never had it.
    pub async fn restore(
        &self,
        caller: &Caller,
        name: &InstanceName,
        id: PromptVersionId,
    ) -> Result<AssistantView, ServiceError> {
        let (version, _) = self.version(caller, name, id).await?;
        let prompt = Some(version.system_prompt);
        self.update(caller, name, AssistantPatch { system_prompt: prompt, ..<_>::default() }).await
    }

    /// Asks the model for a word, as the assistant is or as a draft would have it.
    ///
    /// # Errors
    /// [`ServiceError::InvalidAssistant`] for a draft that does not fit. That the model fails is an answer.
    pub async fn check(
        &self,
        caller: &Caller,
        name: &InstanceName,
        draft: Option<&AssistantPatch>,
    ) -> Result<ModelCheck, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        let (config, key) = self.configured(instance.id, draft).await?;
        let target = match self.target(&config, key.as_ref()) {
            Ok(target) => target,
            Err(error) => return Ok(ModelCheck { model: None, took_ms: 0, error: Some(error) }),
        };
        let text = "Answer with the word OK.".to_owned();
        let turns = vec![Turn { speaker: Speaker::Customer, text }];
        let prompt = Prompt { system: "This is a test of the connection.".to_owned(), turns };
        let ask = Ask { prompt, picture: None, temperature: 0.0, max_tokens: 16 };
        let began = std::time::Instant::now();
        let cancel = self.shared.lifecycle.stopping();
        let said = self.models.speak(&target, &ask, &mut |_| {}, cancel).await;
        if let Ok(said) = &said {
            self.charge(instance.id, &target, said).await;
        }
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(ModelCheck { model: Some(target.model), took_ms, error: said.err() })
    }

    /// The configuration of now, changed as a draft says. A draft never borrows the stored key for another
    /// provider or address.
    pub(super) async fn configured(
        &self,
        instance: InstanceId,
        draft: Option<&AssistantPatch>,
    ) -> Result<(AssistantConfig, Option<ProviderKey>), ServiceError> {
        let stored = self.shared.store.assistant(instance).await?;
        let (config, key) = stored.map(|it| (it.config, it.key)).unwrap_or_default();
        let Some(draft) = draft else { return Ok((config, key)) };
        let drafted = config.clone().patched(draft)?;
        let moved = drafted.provider != config.provider || drafted.base_url != config.base_url;
        let key = match &draft.api_key {
            Some(given) => given.clone(),
            None => key.filter(|_| !moved),
        };
        Ok((drafted, key))
    }

    async fn view(&self, instance: InstanceId) -> Result<AssistantView, ServiceError> {
        let store = &self.shared.store;
        let stored = store.assistant(instance).await?;
        let spent = money(store.ai_spending(instance, self.shared.now()).await?.micros);
        let updated_at = stored.as_ref().map(|stored| stored.updated_at);
        let (config, key) = stored.map(|it| (it.config, it.key)).unwrap_or_default();
        let problem = self.target(&config, key.as_ref()).err();
        Ok(AssistantView { config, has_key: key.is_some(), problem, spent, updated_at })
    }
}
