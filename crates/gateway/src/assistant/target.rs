//! Which model is meant, where it is, and with which key: the owner's choice, or the operator's.
//!
//! The operator's key goes to the operator's address only, whatever an owner configures.

use super::Assistant;
use super::model::ModelError;
use crate::clients;
use crate::documents::DefaultEmbedder;
use flowcore_domain::assistant::provider::{Prices, Provider, Wire};
use flowcore_domain::assistant::{AssistantConfig, ProviderKey};

/// The provider that instances have which name none.
#[derive(Debug, Clone, Default)]
pub struct ModelDefaults {
    /// Whose models; `None` is nobody's.
    pub provider: Option<Provider>,
    /// Where, when not at the usual address.
    pub base_url: Option<String>,
    /// With which key.
    pub key: Option<ProviderKey>,
    /// Which one.
    pub model: Option<String>,
    /// What it costs.
    pub prices: Option<Prices>,
    /// Who transcribes, when it is not the same provider.
    pub transcription_url: Option<String>,
    /// With which key.
    pub transcription_key: Option<ProviderKey>,
    /// By which model.
    pub transcription_model: Option<String>,
    /// Who gives passages their vectors.
    pub embedder: Option<DefaultEmbedder>,
}

/// A model that can be asked.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) wire: Wire,
    /// With a slash at the end.
    pub(crate) base_url: String,
    pub(crate) key: Option<ProviderKey>,
    pub(crate) model: String,
    pub(crate) prices: Prices,
    /// The operator chose the address: it may be private.
    pub(crate) trusted: bool,
    /// It is one of `OpenAI`'s that think before they speak.
    pub(crate) reasons: bool,
    /// It tells how much was read and written only when asked to; who is strict refuses the question.
    pub(crate) asks_usage: bool,
}

/// A transcriber that can be asked.
#[derive(Debug, Clone)]
pub(crate) struct TranscriberTarget {
    pub(crate) base_url: String,
    pub(crate) key: Option<ProviderKey>,
    pub(crate) model: String,
    pub(crate) trusted: bool,
}

impl Assistant {
    /// The model that a configuration means.
    pub(super) fn target(
        &self,
        config: &AssistantConfig,
        key: Option<&ProviderKey>,
    ) -> Result<Target, ModelError> {
        let (provider, base_url, key, model, prices, trusted) = match config.provider {
            Provider::Default => {
                let provider = self.defaults.provider.ok_or(ModelError::NoProvider)?;
                let model = config.model.clone().or_else(|| self.defaults.model.clone());
                let prices = config.prices.or(self.defaults.prices);
                let (url, key) = (self.defaults.base_url.clone(), self.defaults.key.clone());
                (provider, url, key, model, prices, true)
            }
            provider => {
                let (url, model) = (config.base_url.clone(), config.model.clone());
                (provider, url, key.cloned(), model, config.prices, false)
            }
        };
        let base_url = self.checked_url(base_url.as_deref(), provider, trusted)?;
        let model = model.ok_or(ModelError::NoModel)?;
        let thinkers = ["o1", "o3", "o4", "gpt-5"];
        Ok(Target {
            wire: provider.wire(),
            base_url,
            key,
            reasons: provider == Provider::OpenAi
                && thinkers.iter().any(|name| model.starts_with(name)),
            asks_usage: provider != Provider::Mistral,
            model,
            prices: prices.unwrap_or_else(|| provider.usual_prices()),
            trusted,
        })
    }

    /// Who transcribes for a configuration: its provider where that can, else the operator's.
    pub(super) fn transcriber(
        &self,
        config: &AssistantConfig,
        key: Option<&ProviderKey>,
    ) -> Result<TranscriberTarget, ModelError> {
        let own = config.provider != Provider::Default;
        let usual = config.provider.usual_transcriber();
        if own && (usual.is_some() || config.transcription_model.is_some()) {
            let model = config.transcription_model.clone().or(usual.map(str::to_owned));
            return Ok(TranscriberTarget {
                base_url: self.checked_url(config.base_url.as_deref(), config.provider, false)?,
                key: key.cloned(),
                model: model.ok_or(ModelError::NoTranscriber)?,
                trusted: false,
            });
        }
        let defaults = &*self.defaults;
        let chosen = config.transcription_model.clone().filter(|_| !own);
        let model = chosen.or_else(|| defaults.transcription_model.clone());
        if let Some(url) = &defaults.transcription_url {
            return Ok(TranscriberTarget {
                base_url: slashed(url),
                key: defaults.transcription_key.clone(),
                model: model.unwrap_or_else(|| "whisper-1".to_owned()),
                trusted: true,
            });
        }
        let provider = defaults.provider.ok_or(ModelError::NoTranscriber)?;
        let usual = provider.usual_transcriber().map(str::to_owned);
        Ok(TranscriberTarget {
            base_url: self.checked_url(defaults.base_url.as_deref(), provider, true)?,
            key: defaults.key.clone(),
            model: model.or(usual).ok_or(ModelError::NoTranscriber)?,
            trusted: true,
        })
    }

    /// Every key that an answer of this configuration must not tell.
    pub(super) fn keys<'a>(&'a self, own: Option<&'a ProviderKey>) -> Vec<&'a str> {
        let defaults = &*self.defaults;
        let embedder = defaults.embedder.as_ref().and_then(|embedder| embedder.key.as_ref());
        let keys = [own, defaults.key.as_ref(), defaults.transcription_key.as_ref(), embedder];
        keys.into_iter().flatten().map(ProviderKey::reveal).collect()
    }

    fn checked_url(
        &self,
        url: Option<&str>,
        provider: Provider,
        trusted: bool,
    ) -> Result<String, ModelError> {
        let url = slashed(url.unwrap_or(provider.usual_url()));
        if !trusted {
            clients::check_url(&url, &self.allow).map_err(ModelError::UrlNotAllowed)?;
        }
        Ok(url)
    }
}

fn slashed(url: &str) -> String {
    format!("{}/", url.trim_end_matches('/'))
}
