//! Finding old messages by their words, and forgetting them: how long and how many an instance keeps.

use crate::Store;
use crate::dialect::{self, query};
use crate::error::StorageError;
use crate::messages::{self, StoredMessage, read_message};
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{InstanceId, MessageRowId};
use std::time::Duration;

/// How much history an instance keeps; what is `None` is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Messages older than this many days are forgotten.
    pub days: Option<u32>,
    /// Only this many of the newest messages are kept.
    pub messages: Option<u32>,
}

/// Most words of a search; more narrow it no further in practice.
const MAX_WORDS: usize = 16;

/// Most messages that one job forgets: others want to write too.
const SWEEP: usize = 500;

/// On PostgreSQL the words of a message are an index, here they are a table.
const SEARCH: [&str; 2] = [
    "SELECT messages.* FROM message_search JOIN messages ON messages.number = message_search.rowid \
     WHERE message_search MATCH $1 AND ($2 IS NULL OR message_search.rowid < \
     (SELECT number FROM messages WHERE id = $2)) ORDER BY message_search.rowid DESC LIMIT $3",
    "SELECT * FROM messages WHERE message_words(instance_id, text) @@ $1::text::tsquery \
     AND text IS NOT NULL AND ($2::text IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
];

/// Messages past their time, and messages past their number; what is still to be sent stays.
const OUTDATED: [&str; 2] = [
    "DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE instance_id = $1 \
     AND created_at < $2 AND NOT (status = 1 AND from_me) LIMIT $3)",
    "DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE instance_id = $1 \
     AND NOT (status = 1 AND from_me) ORDER BY created_at DESC, id DESC LIMIT $3 OFFSET $2)",
];

impl Store {
    /// Messages that hold all the words, the last one as far as it is typed, without regard to case and
    /// accents; the last stored first. `before` goes on after the last one shown.
    pub async fn search_messages(
        &self,
        instance: InstanceId,
        words: &str,
        before: Option<MessageRowId>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StorageError> {
        let words = words_of(words);
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let token = instance.0.simple().to_string();
        let [sqlite, postgres] = SEARCH;
        let (sql, wanted) = match self.readers() {
            dialect::Readers::Sqlite(..) => (
                sqlite,
                format!("instance : {token} AND text : (\"{}\"*)", words.join("\" AND \"")),
            ),
            dialect::Readers::Postgres(_) => {
                let folded = query("SELECT folded($1)").bind(words.join(" "));
                let folded = folded.scalar::<String>(self.readers()).await?.unwrap_or_default();
                let folded: Vec<&str> = folded.split_whitespace().collect();
                (postgres, format!("'i{token}' & '{}':*", folded.join("' & '")))
            }
        };
        let rows = query(sql)
            .bind(wanted)
            .bind(before.map(|row| row.text()))
            .bind(dialect::limit(limit))
            .fetch_all(self.readers())
            .await?;
        rows.iter().map(|row| read_message(&Record::new(messages::TABLE, row))).collect()
    }

    /// How much history an instance keeps.
    ///
    /// # Errors
    /// `NotFound` when it was deleted.
    pub async fn retention(&self, instance: InstanceId) -> Result<Retention, StorageError> {
        let row = query("SELECT keep_days, keep_messages FROM whatsapp_instances WHERE id = $1")
            .bind(instance)
            .fetch_optional(self.readers())
            .await?
            .ok_or(StorageError::NotFound("the instance"))?;
        read_retention(&Record::new("whatsapp_instances", &row))
    }

    /// Changes how much history an instance keeps. [`Store::sweep_history`] does the forgetting.
    ///
    /// # Errors
    /// `NotFound` when it was deleted.
    pub async fn set_retention(
        &self,
        instance: InstanceId,
        retention: Retention,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let changed = query(
                    "UPDATE whatsapp_instances SET keep_days = $2, keep_messages = $3 WHERE id = $1",
                )
                .bind(instance)
                .bind(retention.days.map(i64::from))
                .bind(retention.messages.map(i64::from))
                .execute(connection)
                .await?;
                if changed > 0 { Ok(()) } else { Err(StorageError::NotFound("the instance")) }
            })
        })
        .await
    }

    /// Forgets what the instances no longer keep; returns how many messages. In small jobs, between which
    /// others write.
    pub async fn sweep_history(&self, now: Millis) -> Result<u64, StorageError> {
        let rows = query(
            "SELECT id, keep_days, keep_messages FROM whatsapp_instances \
             WHERE keep_days IS NOT NULL OR keep_messages IS NOT NULL",
        )
        .fetch_all(self.readers())
        .await?;
        let mut swept = 0;
        for row in &rows {
            let record = Record::new("whatsapp_instances", row);
            let instance = record.parsed("id")?;
            let kept = read_retention(&record)?;
            let [too_old, too_many] = OUTDATED;
            if let Some(days) = kept.days {
                let age = Duration::from_secs(u64::from(days) * 24 * 3600);
                let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
                swept += self.forget(instance, too_old, now.0.saturating_sub(age)).await?;
            }
            if let Some(messages) = kept.messages {
                swept += self.forget(instance, too_many, i64::from(messages)).await?;
            }
        }
        Ok(swept)
    }

    async fn forget(
        &self,
        instance: InstanceId,
        outdated: &'static str,
        bound: i64,
    ) -> Result<u64, StorageError> {
        let mut forgotten = 0;
        loop {
            let piece = self.write(move |connection| {
                Box::pin(async move {
                    dialect::lock_instance(connection, instance).await?;
                    let deletion = query(outdated).bind(instance).bind(bound);
                    deletion.bind(dialect::limit(SWEEP)).execute(connection).await
                })
            });
            let piece = piece.await?;
            forgotten += piece;
            if piece < SWEEP as u64 {
                return Ok(forgotten);
            }
        }
    }
}

fn read_retention(record: &Record<'_>) -> Result<Retention, StorageError> {
    let read = |column| {
        let number: Option<i64> = record.get(column)?;
        number.map(|number| u32::try_from(number).map_err(|_| record.corrupt())).transpose()
    };
    Ok(Retention { days: read("keep_days")?, messages: read("keep_messages")? })
}

/// Letters and digits; everything else only separates. An accent that is a character of its own belongs to
/// the letter before it.
fn words_of(text: &str) -> Vec<String> {
    let part = |symbol: char| symbol.is_alphanumeric() || ('\u{300}'..='\u{36F}').contains(&symbol);
    let words = text.split(|symbol| !part(symbol)).filter(|word| !word.is_empty());
    words.take(MAX_WORDS).map(str::to_owned).collect()
}
