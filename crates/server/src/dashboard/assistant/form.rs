//! The form of an assistant: its fields as they are typed, and the change that they mean. The fields have the
//! names of the API.

use crate::dashboard::session::Submitted;
use crate::problem::Problem;
use flowcore_domain::assistant::provider::Prices;
use flowcore_domain::assistant::{AssistantConfig, AssistantPatch, PacingPatch, ProviderKey};
use std::fmt::Display;
use std::str::FromStr;

/// What stands in the form.
#[expect(clippy::struct_excessive_bools, reason = "they are boxes to tick, each of its own")]
pub(super) struct Fields {
    pub(super) prompt: String,
    pub(super) temperature: String,
    pub(super) max_tokens: String,
    pub(super) knowledge_only: bool,
    pub(super) groups: bool,
    pub(super) see_images: bool,
    pub(super) fallback: String,
    pub(super) provider: String,
    pub(super) model: String,
    pub(super) base_url: String,
    pub(super) input_price: String,
    pub(super) output_price: String,
    pub(super) monthly_limit: String,
    pub(super) voice: bool,
    pub(super) voice_language: String,
    pub(super) transcription_model: String,
    pub(super) voice_response: String,
    pub(super) debounce_ms: String,
    pub(super) typing: bool,
    pub(super) replies: String,
    pub(super) opt_out_words: String,
    pub(super) ignored_contacts: String,
}

impl Fields {
    /// What is stored.
    pub(super) fn of(config: &AssistantConfig) -> Self {
        let price = |of: fn(&Prices) -> f64| given(config.prices.as_ref().map(of));
        Self {
            prompt: config.system_prompt.clone(),
            temperature: config.temperature.to_string(),
            max_tokens: config.max_tokens.to_string(),
            knowledge_only: config.knowledge_only,
            groups: config.groups,
            see_images: config.see_images,
            fallback: config.fallback_message.clone(),
            provider: config.provider.as_str().to_owned(),
            model: config.model.clone().unwrap_or_default(),
            base_url: config.base_url.clone().unwrap_or_default(),
            input_price: price(|prices| prices.input),
            output_price: price(|prices| prices.output),
            monthly_limit: given(config.monthly_cost_limit),
            voice: config.process_voice_messages,
            voice_language: config.default_voice_language.clone(),
            transcription_model: config.transcription_model.clone().unwrap_or_default(),
            voice_response: config.voice_message_default_response.clone(),
            debounce_ms: config.pacing.debounce_ms.to_string(),
            typing: config.pacing.typing,
            replies: config.pacing.max_replies_per_contact_hour.to_string(),
            opt_out_words: config.opt_out_words.join("\n"),
            ignored_contacts: config.ignored_contacts.join("\n"),
        }
    }

    /// What was typed.
    pub(super) fn typed(form: &Submitted) -> Self {
        let text = |name| form.typed(name).to_owned();
        Self {
            prompt: text("systemPrompt"),
            temperature: text("temperature"),
            max_tokens: text("maxTokens"),
            knowledge_only: form.has("knowledgeOnly"),
            groups: form.has("groups"),
            see_images: form.has("seeImages"),
            fallback: text("fallbackMessage"),
            provider: text("provider"),
            model: text("model"),
            base_url: text("baseUrl"),
            input_price: text("prices.input"),
            output_price: text("prices.output"),
            monthly_limit: text("monthlyCostLimit"),
            voice: form.has("processVoiceMessages"),
            voice_language: text("defaultVoiceLanguage"),
            transcription_model: text("transcriptionModel"),
            voice_response: text("voiceMessageDefaultResponse"),
            debounce_ms: text("pacing.debounceMs"),
            typing: form.has("pacing.typing"),
            replies: text("pacing.maxRepliesPerContactHour"),
            opt_out_words: text("optOutWords"),
            ignored_contacts: text("ignoredContacts"),
        }
    }
}

fn given<T: Display>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// What the form changes: everything, and the key only when one was typed or is to be forgotten.
pub(super) fn patch(form: &Submitted) -> Result<AssistantPatch, Problem> {
    let text = |name| Some(form.text(name).to_owned());
    let held = |name| Some(form.given(name).map(str::to_owned));
    let key = match form.given("apiKey") {
        Some(key) => Some(Some(ProviderKey::new(key))),
        None => form.has("forgetKey").then_some(None),
    };
    let prices = match (number(form, "prices.input")?, number(form, "prices.output")?) {
        (None, None) => None,
        (input, output) => {
            Some(Prices { input: input.unwrap_or_default(), output: output.unwrap_or_default() })
        }
    };
    Ok(AssistantPatch {
        is_active: None,
        // Browsers end lines as mail does.
        system_prompt: Some(form.text("systemPrompt").replace("\r\n", "\n")),
        temperature: number(form, "temperature")?,
        provider: Some(form.given("provider").map(str::to_owned)),
        model: held("model"),
        base_url: held("baseUrl"),
        api_key: key,
        max_tokens: number(form, "maxTokens")?,
        process_voice_messages: Some(form.has("processVoiceMessages")),
        default_voice_language: form.given("defaultVoiceLanguage").map(str::to_owned),
        transcription_model: held("transcriptionModel"),
        voice_message_default_response: text("voiceMessageDefaultResponse"),
        see_images: Some(form.has("seeImages")),
        fallback_message: text("fallbackMessage"),
        knowledge_only: Some(form.has("knowledgeOnly")),
        groups: Some(form.has("groups")),
        pacing: Some(PacingPatch {
            debounce_ms: number(form, "pacing.debounceMs")?,
            typing: Some(form.has("pacing.typing")),
            max_replies_per_contact_hour: number(form, "pacing.maxRepliesPerContactHour")?,
        }),
        monthly_cost_limit: Some(number(form, "monthlyCostLimit")?),
        prices: Some(prices),
        opt_out_words: Some(lines(form, "optOutWords")),
        ignored_contacts: Some(lines(form, "ignoredContacts")),
    })
}

/// A number, or nothing where nothing was typed.
fn number<T: FromStr>(form: &Submitted, name: &'static str) -> Result<Option<T>, Problem> {
    let typed = form.given(name).map(|text| text.replace(',', "."));
    typed.map(|text| text.parse()).transpose().map_err(|_| {
        let rule = form.viewer.language.fill("{} is a number.", name);
        Problem::field("invalid_form", "The form does not fit", name, rule)
    })
}

/// One entry a line.
fn lines(form: &Submitted, name: &str) -> Vec<String> {
    let lines = form.typed(name).lines().map(str::trim);
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
