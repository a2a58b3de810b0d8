//! What the documents say to a conversation.

use super::Assistant;
use super::model::ModelError;
use crate::documents::FoundPassage;
use flowcore_domain::assistant::prompt::{Shown, Speaker, Turn};
use flowcore_domain::id::InstanceId;
use flowcore_domain::webhook::Scope;
use flowcore_knowledge::query;

/// How many passages a prompt holds.
const PASSAGES: usize = 6;

impl Assistant {
    /// The passages of an instance's documents that fit the last turn best, as what was said before gives
    /// it a meaning.
    pub(super) async fn passages(
        &self,
        instance: InstanceId,
        turns: &[Turn],
    ) -> Result<Vec<Shown>, ModelError> {
        let Some((asked, before)) = turns.split_last() else { return Ok(vec![]) };
        let history: Vec<query::Line> = before.iter().map(line).collect();
        let found = self
            .documents
            .retrieve(Scope::Instance(instance), &history, &asked.text, PASSAGES)
            .await
            .map_err(|error| {
                tracing::error!(%error, %instance, "the documents can't be searched");
                ModelError::NoDocuments
            })?;
        Ok(found.into_iter().map(shown).collect())
    }
}

fn line(turn: &Turn) -> query::Line {
    let speaker = match turn.speaker {
        Speaker::Customer => query::Speaker::User,
        Speaker::Assistant | Speaker::Person => query::Speaker::Assistant,
    };
    query::Line { speaker, text: turn.text.clone() }
}

fn shown(found: FoundPassage) -> Shown {
    let FoundPassage { document_name, text, score, headings, .. } = found;
    Shown { document: document_name, headings, text, score }
}
