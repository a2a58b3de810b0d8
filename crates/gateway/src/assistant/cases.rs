//! Conversations that are kept to be tried again: after a change one call tells what became worse.

use super::composing::Question;
use super::matter::{self, spoke};
use super::playground::end_of;
use super::{Assistant, RehearsalEnd};
use crate::accounts::Caller;
use crate::error::ServiceError;
use crate::fresh_id;
use flowcore_domain::assistant::AssistantPatch;
use flowcore_domain::assistant::prompt::{Speaker, Turn};
use flowcore_domain::conversation::Role;
use flowcore_domain::id::{AiCaseId, ConversationId, InstanceId};
use flowcore_domain::instance::InstanceName;
use flowcore_storage::{AiCase, Said};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Instant;

/// Most cases of one instance.
pub const MAX_CASES: usize = 50;
/// So many are run at a time: providers limit how much they are asked.
const AT_ONCE: usize = 4;
const MAX_TURNS: usize = 50;
/// How much of a conversation is looked at to make a case of it.
const LOOK_BACK: usize = 200;
const MAX_TEXT: usize = 4_096;
const MAX_WORDS: usize = 20;

/// A case to keep.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCase {
    /// What it is called.
    #[serde(default)]
    pub name: String,
    /// What was said before.
    #[serde(default)]
    pub history: Vec<CaseTurn>,
    /// The customer's last message.
    #[serde(default)]
    pub message: String,
    /// A conversation that was held, in place of history and message: it is tried again up to what its customer
    /// wrote last.
    #[serde(default, skip_serializing)]
    pub conversation_id: Option<ConversationId>,
    /// What the answer must have.
    #[serde(default)]
    pub expect: Expectation,
}

/// Something that was said.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseTurn {
    /// `user`, `assistant` or `human`.
    pub role: String,
    /// What.
    pub text: String,
}

/// What an answer must have.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Expectation {
    /// All of these, in any case of letters.
    pub contains: Vec<String>,
    /// None of these.
    pub not_contains: Vec<String>,
    /// Whether it says that it does not know.
    pub unknown: Option<bool>,
}

/// What came out of a case.
#[derive(Debug, Clone)]
pub struct CaseOutcome {
    /// Of which case.
    pub id: AiCaseId,
    /// What it is called.
    pub name: String,
    /// What is not as expected; nothing when it passed.
    pub failures: Vec<String>,
    /// The answer.
    pub end: Option<RehearsalEnd>,
}

impl CaseTurn {
    fn turn(&self) -> Option<Turn> {
        let speaker = match self.role.as_str() {
            "user" => Speaker::Customer,
            "assistant" => Speaker::Assistant,
            "human" => Speaker::Person,
            _ => return None,
        };
        Some(Turn { speaker, text: self.text.clone() })
    }
}

impl Assistant {
    /// Keeps a case.
    ///
    /// # Errors
    /// [`ServiceError::LimitReached`] when there are [`MAX_CASES`].
    pub async fn add_case(
        &self,
        caller: &Caller,
        name: &InstanceName,
        case: NewCase,
    ) -> Result<AiCase, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        let mut case = case;
        if let Some(id) = case.conversation_id {
            if !case.message.is_empty() || !case.history.is_empty() {
                let rule = "a case has a conversationId, or a message with its history";
                return Err(ServiceError::Invalid(rule.to_owned()));
            }
            (case.history, case.message) = self.held(instance.id, id).await?;
        }
        check(&case)?;
        let case = AiCase {
            id: fresh_id(),
            content: json!(case),
            outcome: None,
            created_at: self.shared.now(),
        };
        let store = &self.shared.store;
        if !store.add_ai_case(instance.id, case.clone(), MAX_CASES).await? {
            return Err(ServiceError::LimitReached { what: "cases", limit: MAX_CASES });
        }
        Ok(case)
    }

    /// What was said in a conversation before its customer wrote last, and what they wrote.
    async fn held(
        &self,
        instance: InstanceId,
        id: ConversationId,
    ) -> Result<(Vec<CaseTurn>, String), ServiceError> {
        let conversation = self.shared.store.conversation(id).await?;
        if conversation.is_none_or(|one| one.instance_id != instance) {
            return Err(ServiceError::ConversationNotFound);
        }
        let mut said = self.shared.store.said(id, None, LOOK_BACK).await?;
        said.reverse();
        let mut said = matter::in_order(said);
        let last = said.iter().rposition(|one| one.role == Role::User);
        said.truncate(last.map_or(0, |at| at + 1));
        let asked = said.iter().rposition(|one| one.role != Role::User).map_or(0, |at| at + 1);
        let text =
            |one: &Said| -> String { spoke(one, false).text.chars().take(MAX_TEXT).collect() };
        let message: String = said[asked..].iter().map(text).collect::<Vec<_>>().join("\n");
        let from = asked.saturating_sub(MAX_TURNS);
        let turn = |one: &Said| CaseTurn { role: one.role.as_str().to_owned(), text: text(one) };
        let history = said[from..asked].iter().map(turn).collect();
        Ok((history, message.chars().take(MAX_TEXT).collect()))
    }

    /// The cases of an instance, the oldest first.
    ///
    /// # Errors
    /// [`ServiceError::InstanceNotFound`] also for those of others.
    pub async fn cases(
        &self,
        caller: &Caller,
        name: &InstanceName,
    ) -> Result<Vec<AiCase>, ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        Ok(self.shared.store.ai_cases(instance.id).await?)
    }

    /// Forgets a case.
    ///
    /// # Errors
    /// [`ServiceError::CaseNotFound`] when it is not there.
    pub async fn delete_case(
        &self,
        caller: &Caller,
        name: &InstanceName,
        id: AiCaseId,
    ) -> Result<(), ServiceError> {
        let instance = self.instances.find(caller, name).await?;
        let deleted = self.shared.store.delete_ai_case(instance.id, id).await?;
        if deleted { Ok(()) } else { Err(ServiceError::CaseNotFound) }
    }

    /// Runs all cases with what is saved or with a draft, and keeps what came out.
    ///
    /// # Errors
    /// What is known before a model is asked. That a model fails is an outcome.
    pub async fn run_cases(
        &self,
        caller: &Caller,
        name: &InstanceName,
        draft: Option<&AssistantPatch>,
    ) -> Result<Vec<CaseOutcome>, ServiceError> {
        let instance = self.instances.find(caller, name).await?.id;
        let (config, key) = self.configured(instance, draft).await?;
        self.target(&config, key.as_ref())?;
        let cases = self.shared.store.ai_cases(instance).await?;
        let run = async |case: AiCase| -> Result<CaseOutcome, ServiceError> {
            let content: NewCase = serde_json::from_value(case.content)
                .map_err(|error| ServiceError::Internal(error.to_string()))?;
            let mut turns: Vec<Turn> = content.history.iter().filter_map(CaseTurn::turn).collect();
            turns.push(Turn { speaker: Speaker::Customer, text: content.message.clone() });
            let began = Instant::now();
            let cancel = self.shared.lifecycle.stopping();
            let prepared = self.prepare(Question {
                instance,
                config: &config,
                key: key.as_ref(),
                summary: None,
                turns: &turns,
                picture: None,
            });
            let answered = match prepared.await {
                Ok(prepared) => {
                    let composed = self.compose(&prepared, &mut |_| {}, cancel).await;
                    composed
                        .map(|composed| end_of(composed, prepared.target.model, began.elapsed()))
                }
                Err(error) => Err(error),
            };
            let (failures, end) = match answered {
                Ok(end) => (content.expect.failures(&end), Some(end)),
                Err(error) => (vec![error.to_string()], None),
            };
            Ok(CaseOutcome { id: case.id, name: content.name, failures, end })
        };
        let outcomes: Vec<_> = stream::iter(cases).map(run).buffered(AT_ONCE).collect().await;
        let outcomes = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
        if draft.is_none() {
            for outcome in &outcomes {
                self.shared.store.note_ai_outcome(outcome.id, outcome.stored()).await?;
            }
        }
        Ok(outcomes)
    }
}

impl CaseOutcome {
    fn stored(&self) -> Value {
        let text = self.end.as_ref().map(|end| end.bubbles.join("\n\n"));
        json!({ "passed": self.failures.is_empty(), "failures": self.failures, "text": text })
    }
}

impl Expectation {
    fn failures(&self, end: &RehearsalEnd) -> Vec<String> {
        let text = end.bubbles.join("\n").to_lowercase();
        let has = |word: &String| text.contains(&word.to_lowercase());
        let mut failures = vec![];
        let missing = self.contains.iter().filter(|word| !has(word));
        failures.extend(missing.map(|word| format!("the answer does not have \"{word}\"")));
        let unwanted = self.not_contains.iter().filter(|word| has(word));
        failures.extend(unwanted.map(|word| format!("the answer has \"{word}\"")));
        if self.unknown.is_some_and(|unknown| unknown != end.unknown) {
            let did = if end.unknown { "says" } else { "does not say" };
            failures.push(format!("the answer {did} that it does not know"));
        }
        if end.withheld {
            failures.push("the answer told what is private and was held back".to_owned());
        }
        failures
    }
}

fn check(case: &NewCase) -> Result<(), ServiceError> {
    let refused = |why: &str| Err(ServiceError::Invalid(why.to_owned()));
    let fits = |text: &str| text.chars().count() <= MAX_TEXT;
    if case.message.trim().is_empty() {
        return Err(ServiceError::EmptyText);
    }
    if !fits(&case.message) || !case.history.iter().all(|turn| fits(&turn.text)) {
        return Err(ServiceError::TextTooLong { limit: MAX_TEXT });
    }
    if case.name.chars().count() > 100 {
        return refused("name has at most 100 characters");
    }
    if case.history.len() > MAX_TURNS || !case.history.iter().all(|turn| turn.turn().is_some()) {
        return refused("history has at most 50 entries, with role user, assistant or human");
    }
    let words = [&case.expect.contains, &case.expect.not_contains];
    let short = |word: &String| !word.is_empty() && word.chars().count() <= 500;
    if !words.iter().all(|list| list.len() <= MAX_WORDS && list.iter().all(short)) {
        return refused("expect names at most 20 texts of 1 to 500 characters each");
    }
    Ok(())
}
