//! What one answer is about: the conversation in the order in which it makes sense, and what of it waits for
//! an answer.

use super::answering::Reply;
use flowcore_domain::assistant::manners::Dated;
use flowcore_domain::assistant::prompt::{Speaker, Turn as Spoke};
use flowcore_domain::conversation::Role;
use flowcore_domain::id::SaidId;
use flowcore_domain::instance::Instance;
use flowcore_storage::{Conversation, Said, StoredAssistant, Summary};
use serde_json::{Value, json};

/// Everything that one answer is about.
pub(super) struct Matter {
    pub(super) instance: Instance,
    pub(super) conversation: Conversation,
    pub(super) assistant: StoredAssistant,
    /// The gist of what was said before.
    pub(super) summary: Option<Summary>,
    /// What was said since, oldest first.
    pub(super) said: Vec<Said>,
    /// Which of it is to be answered.
    pub(super) at: usize,
    pub(super) job: String,
    pub(super) attempt: i64,
}

impl Matter {
    /// The conversation as the rules see it. The model is shown the picture of `seen`.
    pub(super) fn dated(&self, seen: Option<SaidId>) -> Vec<Dated> {
        let dated = |one: &Said| Dated { turn: spoke(one, seen == Some(one.id)), at: one.at };
        self.said.iter().map(dated).collect()
    }

    /// What this job has begun to send.
    pub(super) fn begun(&self) -> Option<Reply> {
        let bubbles = serde_json::from_value(self.first()?.metadata["bubbles"].clone());
        Some(Reply::Bubbles(bubbles.ok()?, json!({})))
    }

    /// The first message of this job's answer, when it is on its way.
    fn first(&self) -> Option<&Said> {
        self.said.iter().find(|one| {
            one.metadata["job"] == self.job.as_str() && one.metadata["bubbles"].is_array()
        })
    }

    /// The last that is known of the conversation by who answers: the answer stands behind it.
    pub(super) fn heard(&self) -> Value {
        match self.first() {
            Some(first) => first.metadata["heard"].clone(),
            None => json!(self.said.last().map(|one| one.id)),
        }
    }

    /// What waits for an answer, oldest first.
    pub(super) fn waiting(&self) -> &[Said] {
        let answered = self.said.iter().rposition(|one| one.role != Role::User);
        &self.said[answered.map_or(0, |at| at + 1)..]
    }

    /// How many answers there were since then; one of several bubbles is one.
    pub(super) fn replies_since(&self, since: i64) -> u32 {
        let answers = self.said.iter().filter(|one| {
            one.role == Role::Assistant && one.at.0 > since && one.metadata["part"].is_null()
        });
        u32::try_from(answers.count()).unwrap_or(u32::MAX)
    }

    /// What waits for an answer are voice notes that were not understood, and nothing else.
    pub(super) fn is_deaf(&self) -> bool {
        let deaf =
            |one: &Said| one.metadata["kind"] == "audioMessage" && one.content.trim().is_empty();
        let waiting = self.waiting();
        !waiting.is_empty() && waiting.iter().all(deaf)
    }
}

/// An answer stands behind what it was given to: what was written while it was composed waits for the next. What
/// the owner's systems told by the way answers nobody: it stands before what waits for an answer.
pub(super) fn in_order(said: Vec<Said>) -> Vec<Said> {
    let mut ordered: Vec<Said> = Vec::with_capacity(said.len());
    for one in said {
        let heard = &one.metadata["heard"];
        let known = |other: &Said| json!(other.id) == *heard || other.metadata["heard"] == *heard;
        let place = ordered.iter().rposition(|other| !heard.is_null() && known(other));
        ordered.insert(place.map_or(ordered.len(), |at| at + 1), one);
    }
    let waits = |one: &&Said| one.role == Role::User || one.is_automatic();
    let from = ordered.len() - ordered.iter().rev().take_while(waits).count();
    ordered[from..].sort_by_key(|one| one.role == Role::User);
    ordered
}

/// As the model is told of it. What is no text is named.
pub(super) fn spoke(said: &Said, seen: bool) -> Spoke {
    let speaker = match said.role {
        Role::User => Speaker::Customer,
        Role::Assistant => Speaker::Assistant,
        Role::Human => Speaker::Person,
    };
    let kind = match said.metadata["kind"].as_str().unwrap_or_default() {
        "imageMessage" if seen => "(a picture)",
        "imageMessage" => "(a picture, which you can't see)",
        "videoMessage" | "ptvMessage" => "(a video, which you can't see)",
        "documentMessage" | "documentWithCaptionMessage" => "(a file, which you can't open)",
        "stickerMessage" => "(a sticker)",
        "locationMessage" | "liveLocationMessage" => "(a location, which you can't see)",
        "contactMessage" | "contactsArrayMessage" => "(a contact card)",
        "audioMessage" if said.content.trim().is_empty() => "(a voice message, not understood)",
        _ => "",
    };
    let text = match (kind, said.content.trim()) {
        ("", text) => text.to_owned(),
        (kind, "") => kind.to_owned(),
        (kind, text) => format!("{kind} {text}"),
    };
    Spoke { speaker, text }
}
