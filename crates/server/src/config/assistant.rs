//! The settings of the models: whose assistant speaks where its owner chose nothing.

use super::{ConfigError, FileSettings, given};
use clap::Args;
use flowcore_domain::assistant::ProviderKey;
use flowcore_domain::assistant::embedder::{EmbedderConfig, EmbedderKind, EmbedderOrder};
use flowcore_domain::assistant::provider::{Prices, Provider};
use flowcore_gateway::{DefaultEmbedder, ModelDefaults};

/// What the command line and the environment say.
#[derive(Args, Clone, Default)]
pub struct AssistantFlags {
    /// The provider of assistants that name none, as openai, anthropic or ollama [default: none]
    #[arg(long, env = "FLOWCORE_AI_PROVIDER", global = true)]
    pub ai_provider: Option<String>,
    /// Where it is, when not at its usual address
    #[arg(long, env = "FLOWCORE_AI_BASE_URL", global = true)]
    pub ai_base_url: Option<String>,
    /// Its key
    #[arg(long, env = "FLOWCORE_AI_API_KEY", global = true, hide_env_values = true)]
    pub ai_api_key: Option<String>,
    /// Its model
    #[arg(long, env = "FLOWCORE_AI_MODEL", global = true)]
    pub ai_model: Option<String>,
    /// What a million tokens cost, read/written [default: 3/15; ollama 0/0]
    #[arg(long, env = "FLOWCORE_AI_PRICES", global = true)]
    pub ai_prices: Option<String>,
    /// Who transcribes voice notes, when it is another one than the provider
    #[arg(long, env = "FLOWCORE_AI_TRANSCRIPTION_URL", global = true)]
    pub ai_transcription_url: Option<String>,
    /// The key of that one
    #[arg(long, env = "FLOWCORE_AI_TRANSCRIPTION_API_KEY", global = true, hide_env_values = true)]
    pub ai_transcription_api_key: Option<String>,
    /// The model that transcribes [default: whisper-1]
    #[arg(long, env = "FLOWCORE_AI_TRANSCRIPTION_MODEL", global = true)]
    pub ai_transcription_model: Option<String>,
    /// Who gives passages their vectors, openai (or who speaks as it does), ollama or local [default: openai]
    #[arg(long, env = "FLOWCORE_AI_EMBEDDING_PROVIDER", global = true)]
    pub ai_embedding_provider: Option<String>,
    /// Where that is, when not at its usual address
    #[arg(long, env = "FLOWCORE_AI_EMBEDDING_URL", global = true)]
    pub ai_embedding_url: Option<String>,
    /// Its key
    #[arg(long, env = "FLOWCORE_AI_EMBEDDING_API_KEY", global = true, hide_env_values = true)]
    pub ai_embedding_api_key: Option<String>,
    /// Its model, or the folder of a local one; without it documents are found by words alone
    #[arg(long, env = "FLOWCORE_AI_EMBEDDING_MODEL", global = true)]
    pub ai_embedding_model: Option<String>,
}

/// Never shows the keys.
impl std::fmt::Debug for AssistantFlags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AssistantFlags").finish_non_exhaustive()
    }
}

pub(super) fn merge(
    flags: AssistantFlags,
    file: &mut FileSettings,
) -> Result<ModelDefaults, ConfigError> {
    let embedder = embedder(&flags, file)?;
    let base_url = given(flags.ai_base_url.or(file.ai_base_url.take()));
    let provider = match given(flags.ai_provider.or(file.ai_provider.take())) {
        Some(word) => Some(parse_provider(&word)?),
        // An address alone is that of somebody who speaks as OpenAI does.
        None => base_url.as_ref().map(|_| Provider::OpenAi),
    };
    let prices = given(flags.ai_prices.or(file.ai_prices.take()));
    let prices = prices.map(|text| {
        Prices::parse(&text).ok_or_else(|| {
        wrong("FLOWCORE_AI_PRICES is two numbers such as 3/15: a million tokens read, and written")
    })
    });
    let key =
        |flag: Option<String>, file: Option<String>| given(flag.or(file)).map(ProviderKey::new);
    Ok(ModelDefaults {
        provider,
        base_url: parse_url("FLOWCORE_AI_BASE_URL", base_url)?,
        key: key(flags.ai_api_key, file.ai_api_key.take()),
        model: given(flags.ai_model.or(file.ai_model.take())),
        prices: prices.transpose()?,
        transcription_url: parse_url(
            "FLOWCORE_AI_TRANSCRIPTION_URL",
            given(flags.ai_transcription_url.or(file.ai_transcription_url.take())),
        )?,
        transcription_key: key(
            flags.ai_transcription_api_key,
            file.ai_transcription_api_key.take(),
        ),
        transcription_model: given(
            flags.ai_transcription_model.or(file.ai_transcription_model.take()),
        ),
        embedder,
    })
}

/// Who gives passages their vectors: whoever has a model for it.
fn embedder(
    flags: &AssistantFlags,
    file: &mut FileSettings,
) -> Result<Option<DefaultEmbedder>, ConfigError> {
    let chosen = |flag: &Option<String>, file: Option<String>| given(flag.clone().or(file));
    let provider = chosen(&flags.ai_embedding_provider, file.ai_embedding_provider.take());
    let base_url = chosen(&flags.ai_embedding_url, file.ai_embedding_url.take());
    let api_key = chosen(&flags.ai_embedding_api_key, file.ai_embedding_api_key.take());
    let model = chosen(&flags.ai_embedding_model, file.ai_embedding_model.take());
    if model.is_none() {
        return match provider.or(base_url) {
            Some(_) => Err(wrong("FLOWCORE_AI_EMBEDDING_MODEL names the embedder's model")),
            None => Ok(None),
        };
    }
    if let (Some("local"), Some(folder)) = (provider.as_deref(), &model) {
        let config = EmbedderConfig::local(folder.clone());
        return Ok(Some(DefaultEmbedder { config, key: None }));
    }
    let key = api_key.map(ProviderKey::new);
    let provider = provider.unwrap_or_else(|| EmbedderKind::OpenAi.as_str().to_owned());
    let order = EmbedderOrder { provider, base_url, model, api_key: Some(key.clone()) };
    match EmbedderConfig::ordered(&order) {
        Ok(config) => Ok(Some(DefaultEmbedder { config, key })),
        Err(fault) => Err(wrong(format!("FLOWCORE_AI_EMBEDDING_*: {fault}"))),
    }
}

fn parse_provider(word: &str) -> Result<Provider, ConfigError> {
    match Provider::parse(word.trim()) {
        Some(provider) if provider != Provider::Default => Ok(provider),
        _ => Err(wrong(format!("FLOWCORE_AI_PROVIDER: {}", Provider::rule()))),
    }
}

fn parse_url(name: &str, url: Option<String>) -> Result<Option<String>, ConfigError> {
    match url {
        Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
            Err(wrong(format!("{name} begins with http:// or https://")))
        }
        other => Ok(other),
    }
}

fn wrong(what: impl Into<String>) -> ConfigError {
    ConfigError::Models(what.into())
}
