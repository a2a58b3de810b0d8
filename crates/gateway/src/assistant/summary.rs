//! What no longer fits into the prompt is summed up, a stretch at a time, after the customer has the answer.

use super::matter::Matter;
use super::model::Ask;
use super::{Assistant, nonce};
use flowcore_domain::assistant::prompt::{self, Turn};
use flowcore_storage::Summary;

/// A summary is made when so many turns have fallen out.
const STRETCH: usize = 8;
const MAX_TOKENS: u32 = 400;
const TEMPERATURE: f64 = 0.2;

/// Sums up what fell out of the conversation's budget. When the model fails it is tried after the next
/// answer.
pub(super) async fn keep_up(assistant: &Assistant, matter: &Matter) {
    let turns: Vec<Turn> = matter.dated(None).into_iter().map(|dated| dated.turn).collect();
    let out = whole(matter, prompt::overflow(&turns));
    if out < STRETCH {
        return;
    }
    let (config, key) = (&matter.assistant.config, matter.assistant.key.as_ref());
    let Ok(target) = assistant.target(config, key) else { return };
    let earlier = matter.summary.as_ref().map(|summary| summary.text.as_str());
    let prompt = prompt::summary(earlier, &turns[..out], &nonce());
    let ask = Ask { prompt, picture: None, temperature: TEMPERATURE, max_tokens: MAX_TOKENS };
    let cancel = assistant.shared.lifecycle.stopping();
    let said = match assistant.models.speak(&target, &ask, &mut |_| {}, cancel).await {
        Ok(said) => said,
        Err(error) => {
            tracing::warn!(%error, conversation = %matter.conversation.id, "not summed up");
            return;
        }
    };
    assistant.charge(matter.instance.id, &target, &said).await;
    let text = said.text.trim().chars().take(4_000).collect();
    let Some(up_to) = matter.said[..out].iter().map(|one| one.id).max() else { return };
    let summary = Summary { text, up_to };
    let (store, id) = (&assistant.shared.store, matter.conversation.id);
    if let Err(error) = store.set_conversation_summary(id, summary).await {
        tracing::warn!(%error, conversation = %id, "a summary is not kept");
    }
}

/// The most of the first `out` that are older than all others: a summary goes up to an id.
fn whole(matter: &Matter, out: usize) -> usize {
    let mut out = out;
    while let (Some(last), Some(next)) = (
        matter.said[..out].iter().map(|one| one.id).max(),
        matter.said[out..].iter().map(|one| one.id).min(),
    ) && last > next
    {
        out -= 1;
    }
    out
}
