//! What an assistant is told to be: the configuration of one instance, its bounds and its defaults.
//!
//! The names on the wire are those of the API. A patch changes what it names; what comes out is checked as
//! a whole, so that a stored configuration is always one that can be used.

pub mod diff;
pub mod embedder;
pub mod filter;
pub mod format;
pub mod manners;
pub mod plan;
pub mod prompt;
pub mod provider;

use provider::{Prices, Provider};
use serde::{Deserialize, Deserializer, Serialize};

/// Longest system prompt, in characters.
pub const MAX_PROMPT: usize = 32_000;
/// Longest text that is sent in the assistant's place, in characters.
pub const MAX_PHRASE: usize = 2_000;
/// Most entries of a list, and the longest of them.
const MAX_ENTRIES: usize = 500;
const MAX_ENTRY: usize = 64;
const MAX_NAME: usize = 200;
const MAX_URL: usize = 2_000;
const MAX_KEY: usize = 500;
const MAX_TOKENS: u32 = 32_000;
const MAX_DEBOUNCE: u32 = 60_000;
const MAX_REPLIES: u32 = 1_000;
const MAX_COST: f64 = 1_000_000.0;

/// The configuration of an instance's assistant. The key of the provider is kept apart from it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "they are switches, each of its own")]
pub struct AssistantConfig {
    /// Whether it answers.
    pub is_active: bool,
    /// What its owner wants it to be and do.
    pub system_prompt: String,
    /// How freely it speaks, 0 to 2.
    pub temperature: f64,
    /// Whose model.
    pub provider: Provider,
    /// Which model; `None` is the provider's or the server's usual one.
    pub model: Option<String>,
    /// Where the provider is, when it is not at its usual address.
    pub base_url: Option<String>,
    /// Longest answer, in tokens.
    pub max_tokens: u32,
    /// Voice notes are transcribed and answered.
    pub process_voice_messages: bool,
    /// What voice notes are spoken in, as `pt`; `auto` lets the transcriber find out.
    pub default_voice_language: String,
    /// The model that transcribes; `None` is the usual one.
    pub transcription_model: Option<String>,
    /// What is answered to a voice note that is not understood. Empty: nothing.
    pub voice_message_default_response: String,
    /// The model can see pictures.
    pub see_images: bool,
    /// What is answered when the provider fails. Empty: nothing.
    pub fallback_message: String,
    /// It answers from the documents only, and says when they do not tell.
    pub knowledge_only: bool,
    /// It answers in groups too.
    pub groups: bool,
    /// Its pace.
    pub pacing: Pacing,
    /// Most that it may cost in a calendar month.
    pub monthly_cost_limit: Option<f64>,
    /// What the model costs; `None` is what the server's operator says.
    pub prices: Option<Prices>,
    /// Who writes one of these alone is not answered any more.
    pub opt_out_words: Vec<String>,
    /// Numbers that are never answered.
    pub ignored_contacts: Vec<String>,
}

/// The pace of an assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pacing {
    /// How long it waits for more before it answers: messages that come quickly are answered together.
    pub debounce_ms: u32,
    /// It is shown as typing.
    pub typing: bool,
    /// Most answers that one contact gets in an hour.
    pub max_replies_per_contact_hour: u32,
}

impl Default for Pacing {
    fn default() -> Self {
        Self { debounce_ms: 2_000, typing: true, max_replies_per_contact_hour: 60 }
    }
}

impl Default for AssistantConfig {
    fn default() -> Self {
        Self {
            is_active: false,
            system_prompt:
                "You are the friendly assistant of this business. Answer questions of its \
                            customers briefly and honestly."
                    .to_owned(),
            temperature: 0.3,
            provider: Provider::Default,
            model: None,
            base_url: None,
            max_tokens: 800,
            process_voice_messages: true,
            default_voice_language: "auto".to_owned(),
            transcription_model: None,
            voice_message_default_response:
                "Sorry, I could not listen to your voice message. Could \
                                             you write it, please?"
                    .to_owned(),
            see_images: false,
            fallback_message: String::new(),
            knowledge_only: false,
            groups: false,
            pacing: Pacing::default(),
            monthly_cost_limit: None,
            prices: None,
            opt_out_words: vec![],
            ignored_contacts: vec![],
        }
    }
}

/// A change of some fields. What may be absent has `Some(None)` for "take it away".
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are those of the configuration")]
pub struct AssistantPatch {
    pub is_active: Option<bool>,
    pub system_prompt: Option<String>,
    pub temperature: Option<f64>,
    #[serde(deserialize_with = "named")]
    pub provider: Option<Option<String>>,
    #[serde(deserialize_with = "named")]
    pub model: Option<Option<String>>,
    #[serde(deserialize_with = "named")]
    pub base_url: Option<Option<String>>,
    /// The provider's key: write only.
    #[serde(deserialize_with = "named")]
    pub api_key: Option<Option<ProviderKey>>,
    pub max_tokens: Option<u32>,
    pub process_voice_messages: Option<bool>,
    pub default_voice_language: Option<String>,
    #[serde(deserialize_with = "named")]
    pub transcription_model: Option<Option<String>>,
    pub voice_message_default_response: Option<String>,
    pub see_images: Option<bool>,
    pub fallback_message: Option<String>,
    pub knowledge_only: Option<bool>,
    pub groups: Option<bool>,
    pub pacing: Option<PacingPatch>,
    #[serde(deserialize_with = "named")]
    pub monthly_cost_limit: Option<Option<f64>>,
    #[serde(deserialize_with = "named")]
    pub prices: Option<Option<Prices>>,
    pub opt_out_words: Option<Vec<String>>,
    pub ignored_contacts: Option<Vec<String>>,
}

/// A change of the pace.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are those of the pace")]
pub struct PacingPatch {
    pub debounce_ms: Option<u32>,
    pub typing: Option<bool>,
    pub max_replies_per_contact_hour: Option<u32>,
}

/// `null` is a value of its own here, unlike a field that is left out.
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
fn named<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    value: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// A provider's key. Never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ProviderKey(String);

impl ProviderKey {
    /// Takes a key as it is.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The key itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Never shows the key.
impl std::fmt::Debug for ProviderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProviderKey(…)")
    }
}

/// Why a configuration can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct ConfigFault {
    /// The field, as the API names it.
    pub field: &'static str,
    /// What it has to be.
    pub rule: String,
}

impl AssistantConfig {
    /// With what a patch names changed, and checked.
    ///
    /// # Errors
    /// [`ConfigFault`] names the first field that does not fit.
    pub fn patched(mut self, patch: &AssistantPatch) -> Result<Self, ConfigFault> {
        let unnamed = |word: &Option<String>| {
            let word = word.as_deref().unwrap_or(Provider::Default.as_str());
            Provider::parse(word).ok_or_else(|| fault("provider", Provider::rule()))
        };
        if let Some(word) = &patch.provider {
            self.provider = unnamed(word)?;
        }
        set(&mut self.is_active, patch.is_active);
        set(&mut self.system_prompt, patch.system_prompt.clone());
        set(&mut self.temperature, patch.temperature);
        set(&mut self.model, patch.model.clone().map(trimmed));
        set(&mut self.base_url, patch.base_url.clone().map(trimmed));
        set(&mut self.max_tokens, patch.max_tokens);
        set(&mut self.process_voice_messages, patch.process_voice_messages);
        let language = patch.default_voice_language.as_ref();
        set(&mut self.default_voice_language, language.map(|word| word.trim().to_lowercase()));
        set(&mut self.transcription_model, patch.transcription_model.clone().map(trimmed));
        let response = patch.voice_message_default_response.clone();
        set(&mut self.voice_message_default_response, response);
        set(&mut self.see_images, patch.see_images);
        set(&mut self.fallback_message, patch.fallback_message.clone());
        set(&mut self.knowledge_only, patch.knowledge_only);
        set(&mut self.groups, patch.groups);
        set(&mut self.monthly_cost_limit, patch.monthly_cost_limit);
        set(&mut self.prices, patch.prices);
        set(&mut self.opt_out_words, patch.opt_out_words.clone());
        set(&mut self.ignored_contacts, patch.ignored_contacts.clone());
        if let Some(pacing) = &patch.pacing {
            set(&mut self.pacing.debounce_ms, pacing.debounce_ms);
            set(&mut self.pacing.typing, pacing.typing);
            let replies = pacing.max_replies_per_contact_hour;
            set(&mut self.pacing.max_replies_per_contact_hour, replies);
        }
        check_key(patch.api_key.as_ref())?;
        self.checked()
    }

    fn checked(mut self) -> Result<Self, ConfigFault> {
        bounded("systemPrompt", &self.system_prompt, MAX_PROMPT)?;
        bounded("voiceMessageDefaultResponse", &self.voice_message_default_response, MAX_PHRASE)?;
        bounded("fallbackMessage", &self.fallback_message, MAX_PHRASE)?;
        if !(0.0..=2.0).contains(&self.temperature) {
            return Err(fault("temperature", "temperature is a number from 0 to 2"));
        }
        ranged("maxTokens", self.max_tokens, 16, MAX_TOKENS)?;
        ranged("pacing.debounceMs", self.pacing.debounce_ms, 0, MAX_DEBOUNCE)?;
        let replies = self.pacing.max_replies_per_contact_hour;
        ranged("pacing.maxRepliesPerContactHour", replies, 1, MAX_REPLIES)?;
        check_name("model", self.model.as_ref())?;
        check_name("transcriptionModel", self.transcription_model.as_ref())?;
        self.check_address()?;
        if let Some(limit) = self.monthly_cost_limit
            && !(0.0..=MAX_COST).contains(&limit)
        {
            return Err(fault(
                "monthlyCostLimit",
                "monthlyCostLimit is a number from 0 to 1000000",
            ));
        }
        if self.prices.is_some_and(|prices| !prices.fit()) {
            return Err(fault(
                "prices",
                "prices are numbers from 0 to 10000, for a million tokens",
            ));
        }
        let language = &self.default_voice_language;
        let letters = language.len() == 2 || language.len() == 3;
        if language != "auto" && !(letters && language.bytes().all(|b| b.is_ascii_lowercase())) {
            let rule = "defaultVoiceLanguage is a code of two or three letters such as pt, or auto";
            return Err(fault("defaultVoiceLanguage", rule));
        }
        self.opt_out_words = entries("optOutWords", &self.opt_out_words)?;
        self.ignored_contacts = entries("ignoredContacts", &self.ignored_contacts)?;
        for contact in &mut self.ignored_contacts {
            *contact = contact.chars().filter(char::is_ascii_digit).collect();
            if contact.is_empty() {
                let rule = "ignoredContacts are numbers, with country code";
                return Err(fault("ignoredContacts", rule));
            }
        }
        Ok(self)
    }

    fn check_address(&self) -> Result<(), ConfigFault> {
        let Some(url) = &self.base_url else { return Ok(()) };
        if self.provider == Provider::Default {
            let rule = "the server's own provider has its own address: name a provider as well";
            return Err(fault("baseUrl", rule));
        }
        check_url(Some(url))
    }
}

fn check_url(url: Option<&str>) -> Result<(), ConfigFault> {
    let fits = |url: &str| {
        let plain = url.starts_with("https://") || url.starts_with("http://");
        plain && url.len() <= MAX_URL && !url.contains(['?', '#'])
    };
    if url.is_none_or(fits) {
        return Ok(());
    }
    let rule = "baseUrl begins with https:// or http:// and ends before the method, for \
                example https://api.openai.com/v1";
    Err(fault("baseUrl", rule))
}

fn check_name(field: &'static str, name: Option<&String>) -> Result<(), ConfigFault> {
    let fits = |name: &String| {
        name.len() <= MAX_NAME
            && !name.contains("..")
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/@+".contains(&b))
    };
    if name.is_none_or(fits) {
        return Ok(());
    }
    let rule = format!("{field} is the name of a model: letters, digits and -_.:/@+");
    Err(fault(field, rule))
}

fn set<T>(field: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *field = new;
    }
}

fn trimmed(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn check_key(key: Option<&Option<ProviderKey>>) -> Result<(), ConfigFault> {
    let fits = |key: &ProviderKey| {
        key.0.len() <= MAX_KEY && key.0.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match key {
        Some(Some(key)) if !fits(key) => {
            Err(fault("apiKey", "apiKey has at most 500 visible characters"))
        }
        _ => Ok(()),
    }
}

fn fault(field: &'static str, rule: impl Into<String>) -> ConfigFault {
    ConfigFault { field, rule: rule.into() }
}

fn bounded(field: &'static str, text: &str, most: usize) -> Result<(), ConfigFault> {
    if text.chars().count() > most {
        return Err(fault(field, format!("{field} has at most {most} characters")));
    }
    Ok(())
}

fn ranged(field: &'static str, number: u32, least: u32, most: u32) -> Result<(), ConfigFault> {
    if !(least..=most).contains(&number) {
        return Err(fault(field, format!("{field} is a number from {least} to {most}")));
    }
    Ok(())
}

fn entries(field: &'static str, list: &[String]) -> Result<Vec<String>, ConfigFault> {
    let list: Vec<String> = list.iter().map(|entry| entry.trim().to_owned()).collect();
    let fits = |entry: &String| !entry.is_empty() && entry.chars().count() <= MAX_ENTRY;
    if list.len() > MAX_ENTRIES || !list.iter().all(fits) {
        let rule =
            format!("{field} has at most {MAX_ENTRIES} entries of 1 to {MAX_ENTRY} characters");
        return Err(fault(field, rule));
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn patched(patch: Value) -> Result<AssistantConfig, ConfigFault> {
        let patch: AssistantPatch = serde_json::from_value(patch).expect("a patch");
        AssistantConfig::default().patched(&patch)
    }

    #[test]
    fn a_patch_changes_what_it_names_and_null_takes_away() {
        let config =
            patched(json!({ "model": "m", "monthlyCostLimit": 5, "pacing": { "typing": false } }));
        let config = config.expect("it fits");
        assert_eq!((config.model.as_deref(), config.monthly_cost_limit), (Some("m"), Some(5.0)));
        assert_eq!((config.pacing.typing, config.pacing.debounce_ms), (false, 2_000));
        let patch = serde_json::from_value(json!({ "model": null })).expect("a patch");
        assert_eq!(config.patched(&patch).expect("it fits").model, None);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (patch, field) in [
            (json!({ "temperature": 2.1 }), "temperature"),
            (json!({ "provider": "nobody" }), "provider"),
            (json!({ "systemPrompt": "x".repeat(32_001) }), "systemPrompt"),
            (json!({ "maxTokens": 0 }), "maxTokens"),
            (json!({ "baseUrl": "https://a/v1" }), "baseUrl"),
            (json!({ "provider": "openai", "baseUrl": "file:///etc" }), "baseUrl"),
            (json!({ "model": "../x" }), "model"),
            (json!({ "apiKey": "a b" }), "apiKey"),
            (json!({ "defaultVoiceLanguage": "Portuguese" }), "defaultVoiceLanguage"),
            (json!({ "optOutWords": [""] }), "optOutWords"),
            (json!({ "ignoredContacts": ["me"] }), "ignoredContacts"),
            (json!({ "monthlyCostLimit": -1 }), "monthlyCostLimit"),
            (json!({ "pacing": { "debounceMs": 60_001 } }), "pacing.debounceMs"),
        ] {
            assert_eq!(patched(patch.clone()).expect_err("refused").field, field, "{patch}");
        }
        assert!(serde_json::from_value::<AssistantPatch>(json!({ "temprature": 1 })).is_err());
    }

    #[test]
    fn a_key_is_in_no_debug_text() {
        let patch: AssistantPatch =
            serde_json::from_value(json!({ "apiKey": "sk-very-secret" })).expect("a patch");
        assert!(!format!("{patch:?}").contains("secret"));
    }
}
