//! From a question to an answer: the prompt, the model, the filter, the cost. Who answers customers and who
//! only tries come through here.

use super::model::{Ask, ModelError, Picture, Said};
use super::target::Target;
use super::{Assistant, nonce};
use flowcore_domain::assistant::filter::{self, Answer, Private};
use flowcore_domain::assistant::prompt::{self, Material, Prompt, Shown, Turn};
use flowcore_domain::assistant::{AssistantConfig, ProviderKey, format};
use flowcore_domain::id::InstanceId;
use tokio_util::sync::CancellationToken;

/// What is asked, and of whom.
pub(super) struct Question<'a> {
    pub(super) instance: InstanceId,
    pub(super) config: &'a AssistantConfig,
    pub(super) key: Option<&'a ProviderKey>,
    pub(super) summary: Option<&'a str>,
    pub(super) turns: &'a [Turn],
    pub(super) picture: Option<Picture>,
}

/// A question that is ready to be asked.
pub(super) struct Prepared {
    pub(super) target: Target,
    pub(super) ask: Ask,
    instance: InstanceId,
    nonce: String,
    system: String,
    keys: Vec<String>,
    pub(super) passages: Vec<Shown>,
}

/// An answer that may leave.
pub(super) struct Composed {
    pub(super) answer: Answer,
    /// As it is sent.
    pub(super) bubbles: Vec<String>,
    pub(super) said: Said,
    /// In millionths.
    pub(super) micros: i64,
}

impl Assistant {
    /// Finds the model and what the documents say, and puts the prompt together.
    pub(super) async fn prepare(&self, question: Question<'_>) -> Result<Prepared, ModelError> {
        let Question { instance, config, key, summary, turns, picture } = question;
        let target = self.target(config, key)?;
        let passages = self.passages(instance, turns).await?;
        let nonce = nonce();
        let prompt = prompt::build(&Material {
            system: &config.system_prompt,
            knowledge_only: config.knowledge_only,
            passages: &passages,
            summary,
            turns,
            nonce: &nonce,
        });
        let (temperature, max_tokens) = (config.temperature, config.max_tokens);
        Ok(Prepared {
            target,
            ask: Ask { prompt, picture, temperature, max_tokens },
            instance,
            nonce,
            system: config.system_prompt.clone(),
            keys: self.keys(key).into_iter().map(str::to_owned).collect(),
            passages,
        })
    }

    /// Asks the model and makes what it says fit to be sent. What it cost is counted also when nobody gets
    /// the answer.
    pub(super) async fn compose(
        &self,
        prepared: &Prepared,
        told: &mut (dyn FnMut(&str) + Send),
        cancel: &CancellationToken,
    ) -> Result<Composed, ModelError> {
        let said = self.models.speak(&prepared.target, &prepared.ask, told, cancel).await?;
        let micros = self.charge(prepared.instance, &prepared.target, &said).await;
        let keys: Vec<&str> = prepared.keys.iter().map(String::as_str).collect();
        let private = Private {
            system: &prepared.system,
            nonce: &prepared.nonce,
            keys: &keys,
            passages: &prepared.passages,
        };
        let answer = filter::pass(&said.text, &private);
        if answer.withheld {
            tracing::warn!(instance = %prepared.instance, "an answer told what is private and was held back");
        }
        let bubbles = format::bubbles(&format::whatsapp(&answer.text));
        Ok(Composed { answer, bubbles, said, micros })
    }

    /// Adds what was said to the month's costs.
    pub(super) async fn charge(&self, instance: InstanceId, target: &Target, said: &Said) -> i64 {
        let micros = whole(target.prices.micros(said.tokens));
        let now = self.shared.now();
        let noted = self.shared.store.note_ai_cost(instance, (micros, said.tokens), now).await;
        if let Err(error) = noted {
            tracing::error!(%error, %instance, "the cost of an answer was not counted");
        }
        micros
    }
}

/// Rounded up: many small answers are not for free.
fn whole(micros: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a cost is far from the limits of i64")]
    let whole = micros.ceil().clamp(0.0, 1e15) as i64;
    whole
}

/// Money as the API shows it.
pub(super) fn money(micros: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a sum of money has fewer than 15 digits")]
    let money = micros as f64 / 1e6;
    money
}

/// The prompt as its owner sees it: without the nonce, which differs each time.
pub(super) fn shown_prompt(prepared: &Prepared) -> Prompt {
    let mut prompt = prepared.ask.prompt.clone();
    prompt.system = prompt.system.replace(&prepared.nonce, "…");
    prompt
}
