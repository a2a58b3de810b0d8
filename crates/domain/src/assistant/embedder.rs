//! Who gives passages and questions their vectors: an account's choice, or the operator's.

use super::{ConfigFault, ProviderKey, check_key, check_name, check_url, fault, named, trimmed};
use serde::{Deserialize, Serialize, Serializer};

/// Whose embedder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EmbedderKind {
    /// Whatever the operator of the server chose, which may be none.
    #[default]
    Default,
    /// None: documents are found by words.
    None,
    /// `OpenAI`, and everybody who speaks as it does.
    OpenAi,
    /// Ollama.
    Ollama,
    /// A model of static vectors in a folder of the operator's: nobody else can name one.
    Local,
}

impl EmbedderKind {
    const ALL: [Self; 5] = [Self::Default, Self::None, Self::OpenAi, Self::Ollama, Self::Local];

    /// The word of the API and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::None => "none",
            Self::OpenAi => "openai",
            Self::Ollama => "ollama",
            Self::Local => "local",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(word))
    }

    /// Where it usually is.
    #[must_use]
    pub fn usual_url(self) -> &'static str {
        match self {
            Self::Ollama => "http://127.0.0.1:11434/",
            _ => "https://api.openai.com/v1/",
        }
    }
}

impl Serialize for EmbedderKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Which embedder. Its key is kept apart from it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbedderConfig {
    /// Whose.
    pub provider: EmbedderKind,
    /// Where, when not at the usual address.
    pub base_url: Option<String>,
    /// Which of its models.
    pub model: Option<String>,
}

/// What an owner asks for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of the configuration")]
pub struct EmbedderOrder {
    pub provider: String,
    #[serde(default)]
    pub base_url: Option<String>,
    #[serde(default)]
    pub model: Option<String>,
    /// Write only; the key of before stays where it is left out.
    #[serde(default, deserialize_with = "named")]
    pub api_key: Option<Option<ProviderKey>>,
}

impl EmbedderConfig {
    /// What is ordered, checked.
    ///
    /// # Errors
    /// [`ConfigFault`] names the first field that does not fit.
    pub fn ordered(order: &EmbedderOrder) -> Result<Self, ConfigFault> {
        let provider = EmbedderKind::parse(order.provider.trim())
            .filter(|kind| *kind != EmbedderKind::Local)
            .ok_or_else(|| fault("provider", "provider is one of default, none, openai, ollama"))?;
        let (base_url, model) = (trimmed(order.base_url.clone()), trimmed(order.model.clone()));
        check_key(order.api_key.as_ref())?;
        let has_key = matches!(&order.api_key, Some(Some(key)) if !key.reveal().is_empty());
        if matches!(provider, EmbedderKind::Default | EmbedderKind::None) {
            let rule = "baseUrl, model and apiKey go with a provider of one's own";
            if base_url.is_some() || model.is_some() || has_key {
                return Err(fault("provider", rule));
            }
        } else if model.is_none() {
            return Err(fault("model", "an embedder needs the name of its model"));
        }
        check_name("model", model.as_ref())?;
        check_url(base_url.as_deref())?;
        Ok(Self { provider, base_url, model })
    }

    /// The model in a folder of the operator's.
    #[must_use]
    pub fn local(folder: String) -> Self {
        Self { provider: EmbedderKind::Local, base_url: None, model: Some(folder) }
    }

    /// Where it answers, with a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        let url = self.base_url.as_deref().unwrap_or(self.provider.usual_url());
        format!("{}/", url.trim_end_matches('/'))
    }

    /// What tells vectors apart that must not be compared: empty where there are none.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        match self.provider {
            EmbedderKind::Default | EmbedderKind::None => String::new(),
            EmbedderKind::Local => {
                format!("local {}", self.model.as_deref().unwrap_or_default())
            }
            kind => {
                let model = self.model.as_deref().unwrap_or_default();
                format!("{} {} {model}", kind.as_str(), self.url())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn ordered(order: Value) -> Result<EmbedderConfig, ConfigFault> {
        EmbedderConfig::ordered(&serde_json::from_value(order).expect("an order"))
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (order, field) in [
            (json!({ "provider": "nobody" }), "provider"),
            (json!({ "provider": "local", "model": "/etc" }), "provider"),
            (json!({ "provider": "none", "model": "m" }), "provider"),
            (json!({ "provider": "default", "apiKey": "k" }), "provider"),
            (json!({ "provider": "openai" }), "model"),
            (json!({ "provider": "ollama", "model": "../m" }), "model"),
            (json!({ "provider": "openai", "model": "m", "baseUrl": "file:///etc" }), "baseUrl"),
            (json!({ "provider": "openai", "model": "m", "apiKey": "a b" }), "apiKey"),
        ] {
            assert_eq!(ordered(order.clone()).expect_err("refused").field, field, "{order}");
        }
    }

    #[test]
    fn another_model_or_place_is_another_fingerprint() {
        let print = |model: &str, url: Value| {
            let order = json!({ "provider": "openai", "model": model, "baseUrl": url });
            ordered(order).expect("it fits").fingerprint()
        };
        let one = print("m", Value::Null);
        assert_eq!(one, print("m", json!("https://api.openai.com/v1")));
        assert_ne!(one, print("n", Value::Null));
        assert_ne!(one, print("m", json!("https://elsewhere/v1")));
        assert_eq!(ordered(json!({ "provider": "none" })).expect("it fits").fingerprint(), "");
    }
}
