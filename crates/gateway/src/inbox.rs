//! The way in: what a session saw is committed here before WhatsApp is told that it arrived.
//!
//! One job of the store writes the message, its chat and contact, the event and the deliveries. Only
//! when that is durable the engine acknowledges. A message that comes again finds itself stored and
//! causes nothing.

use crate::error::ServiceError;
use crate::instances::actor::Command;
use crate::instances::manners;
use crate::outbox::render;
use crate::{Shared, fresh_id, polls, turns};
use async_trait::async_trait;
use bytes::Bytes;
use flowcore_domain::engine::{CommitError, Report, SessionSink};
use flowcore_domain::event::{EventKind, NewEvent};
use flowcore_domain::id::{EventId, InstanceId, MessageRowId, UserId};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::message::{Inbound, InboundMessage, MessageChange, Past};
use flowcore_storage::{Attention, InboundRow, StoredMessage};
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

/// Where the session of one instance hands in what it saw.
pub(crate) struct Inbox {
    pub(crate) shared: Arc<Shared>,
    pub(crate) instance_id: InstanceId,
    pub(crate) user_id: UserId,
    pub(crate) name: InstanceName,
    /// The instance's actor. Weak, so that a session does not keep the actor of a deleted instance.
    pub(crate) actor: mpsc::WeakSender<Command>,
}

impl Inbox {
    fn row(&self, message: InboundMessage, attention: Attention) -> InboundRow {
        let now = self.shared.now();
        // One id from here to the last attempt of a webhook: whoever has the message finds its event.
        let row_id: MessageRowId = fresh_id();
        let event =
            NewEvent { id: EventId(row_id.0), ..render::upsert(self.instance_id, &message, now) };
        let introduction = render::introduction(self.instance_id, &message, now);
        let renamed = render::renamed(self.instance_id, &message, now);
        let job = turns::job_of(attention, self.instance_id, (row_id, &message), now);
        let (consequences, jobs) = (Vec::new(), job.into_iter().collect());
        InboundRow { row_id, message, event, introduction, renamed, consequences, jobs }
    }

    /// What a vote makes of its poll, told with it: also the votes of `earlier` rows, which are not stored yet.
    async fn counted(
        &self,
        mut row: InboundRow,
        earlier: &[InboundRow],
    ) -> Result<InboundRow, ServiceError> {
        let vote_of = |message: &InboundMessage| {
            polls::vote_in(&message.content, &message.sender, message.sender_alt.as_ref())
        };
        let Some(vote) = vote_of(&row.message) else { return Ok(row) };
        let stored = self.shared.store.message(self.instance_id, &vote.poll).await?;
        let Some(poll) = stored else { return Ok(row) };
        let mut votes = polls::votes(&self.shared, self.instance_id, &poll).await?;
        let earlier = earlier.iter().filter_map(|row| vote_of(&row.message));
        votes.extend(earlier.filter(|one| one.poll == vote.poll));
        votes.push(vote);
        if let Some(answers) = polls::tally(&poll.content, &votes) {
            let updates = render::poll_updates(&answers);
            row.event.data["pollUpdates"] = updates.clone();
            row.consequences.push(render::voted(&poll, updates, self.shared.now()));
        }
        Ok(row)
    }

    async fn store(&self, rows: Vec<InboundRow>) -> Result<(), CommitError> {
        if rows.is_empty() {
            return Ok(());
        }
        let now = self.shared.now();
        let works = rows.iter().any(|row| !row.jobs.is_empty());
        let ids: Vec<_> = rows.iter().map(|row| (row.event.id, row.message.id.clone())).collect();
        let began = Instant::now();
        let stored = self.shared.store.commit_inbound(self.instance_id, rows, now).await;
        let stored = stored.map_err(|error| CommitError(error.to_string()))?;
        metrics::histogram!("flowcore_inbox_commit_seconds").record(began.elapsed());
        let told = stored.iter().filter(|one| one.event.kind == EventKind::MessagesUpsert).count();
        metrics::counter!("flowcore_messages_received_total").increment(told as u64);
        metrics::counter!("flowcore_messages_repeated_total").increment((ids.len() - told) as u64);
        if told < ids.len() {
            let known = ids.iter().filter(|(id, _)| stored.iter().all(|one| one.event.id != *id));
            for (_, message) in known {
                self.shared.note(self.instance_id, message, "came_again", Value::Null).await;
            }
        }
        self.shared.outbox.published(self.user_id, &self.name, &stored);
        if works {
            self.shared.bell.ring();
        }
        Ok(())
    }

    /// What became of an earlier message; the event's id says whether that is known.
    async fn change(&self, event: NewEvent, change: MessageChange) -> Result<(), CommitError> {
        let stored = self.shared.store.commit_change(event, change).await;
        let stored = stored.map_err(|error| CommitError(error.to_string()))?;
        self.shared.outbox.published(self.user_id, &self.name, &stored);
        Ok(())
    }
}

#[async_trait]
impl SessionSink for Inbox {
    async fn commit(&self, mut inbound: Vec<Inbound>) -> Result<(), CommitError> {
        let settings = self.shared.switches.of(&self.shared.store, self.instance_id).await;
        let settings = settings.map_err(|error| CommitError(error.to_string()))?;
        inbound.retain(|item| !manners::ignores(&settings, item.chat()));
        let unread = manners::to_be_read(&settings, &inbound);
        let attention = self.shared.attentions.of(&self.shared.store, self.instance_id).await;
        let attention = attention.map_err(|error| CommitError(error.to_string()))?;
        let mut rows = Vec::with_capacity(inbound.len());
        for item in inbound {
            match item {
                Inbound::Message(message) => {
                    let row = self.counted(self.row(message, attention), &rows).await;
                    rows.push(row.map_err(|error| CommitError(error.to_string()))?);
                }
                Inbound::Change(change) => {
                    // What was written before it is told before it.
                    self.store(std::mem::take(&mut rows)).await?;
                    let event = render::changed(self.instance_id, &change, self.shared.now());
                    self.change(event, change).await?;
                }
            }
        }
        self.store(rows).await?;
        manners::mark_read(&self.shared, self.instance_id, unread);
        Ok(())
    }

    async fn recall(&self, past: Past) -> Result<(), CommitError> {
        let (instance, now) = (self.instance_id, self.shared.now());
        let Past { chat, name, messages } = past;
        let rows = messages.into_iter().map(|message| (fresh_id(), message)).collect();
        let tell = Box::new(move |new: &[StoredMessage]| {
            vec![
                render::chats_set(instance, (&chat, name.as_deref()), now),
                render::messages_set(instance, &chat, new, now),
            ]
        });
        let stored = self.shared.store.commit_past(instance, (rows, now), tell).await;
        let stored = stored.map_err(|error| CommitError(error.to_string()))?;
        self.shared.outbox.published(self.user_id, &self.name, &stored);
        Ok(())
    }

    async fn holds(&self, id: &str) -> Result<bool, CommitError> {
        let found = self.shared.store.message(self.instance_id, id).await;
        found.map(|message| message.is_some()).map_err(|error| CommitError(error.to_string()))
    }

    async fn stored(&self, id: &str) -> Result<Option<Bytes>, CommitError> {
        let found = self.shared.store.message(self.instance_id, id).await;
        let found = found.map_err(|error| CommitError(error.to_string()))?;
        Ok(found.map(|message| message.proto))
    }

    async fn report(&self, report: Report) {
        if let Some(actor) = self.actor.upgrade() {
            // Fails only when the actor is gone: then nobody needs the report.
            let _ = actor.send(Command::Report(report)).await;
        }
    }
}
