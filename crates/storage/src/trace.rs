//! What is noted about a message where something was decided that leaves nothing else behind. Message,
//! event, deliveries and attempts tell the rest.

use crate::dialect::{self, query};
use crate::error::StorageError;
use crate::events::{self, StoredEvent};
use crate::row::{Record, json_text};
use crate::{Store, new_id};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{EventId, InstanceId};
use serde_json::Value;

const TABLE: &str = "debug_log";

/// Most notes of one message that are kept in sight.
const SHOWN: usize = 200;

/// How many notes one job forgets, so that other writes come in between.
const SWEEP: usize = 500;

/// Something that was decided about a message. Never its content, and nobody's number.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// What happened, in a word or two.
    pub step: String,
    /// Particulars.
    pub data: Value,
    /// When.
    pub at: Millis,
}

impl Store {
    /// Notes something about the message of that WhatsApp id.
    ///
    /// # Errors
    /// When it could not be stored; nothing depends on it.
    pub async fn note(
        &self,
        instance: InstanceId,
        message: String,
        note: Note,
    ) -> Result<(), StorageError> {
        let data = json_text(&note.data)?;
        self.write(move |connection| {
            Box::pin(async move {
                query(
                    "INSERT INTO debug_log (id, instance_id, trace, step, data, at) \
                     VALUES ($1, $2, $3, $4, $5, $6)",
                )
                .bind(new_id(note.at).to_string())
                .bind(instance)
                .bind(message)
                .bind(note.step)
                .bind(data)
                .bind(note.at.0)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// What was noted about a message, in order.
    pub async fn notes(
        &self,
        instance: InstanceId,
        message: &str,
    ) -> Result<Vec<Note>, StorageError> {
        let rows = query(
            "SELECT id, step, data, at FROM debug_log WHERE instance_id = $1 AND trace = $2 \
             ORDER BY at, id LIMIT $3",
        )
        .bind(instance)
        .bind(message)
        .bind(dialect::limit(SHOWN))
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| read_note(&Record::new(TABLE, row))).collect()
    }

    /// Forgets notes made before `before`; returns how many.
    pub async fn sweep_notes(&self, before: Millis) -> Result<u64, StorageError> {
        let mut swept = 0;
        loop {
            let piece = self.write(move |connection| {
                Box::pin(async move {
                    let old = query(
                        "DELETE FROM debug_log WHERE id IN \
                         (SELECT id FROM debug_log WHERE at < $1 LIMIT $2)",
                    );
                    old.bind(before.0).bind(dialect::limit(SWEEP)).execute(connection).await
                })
            });
            let piece = piece.await?;
            swept += piece;
            if piece < SWEEP as u64 {
                return Ok(swept);
            }
        }
    }

    /// An event, while it is stored.
    pub async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, StorageError> {
        let query = query("SELECT * FROM events WHERE id = $1").bind(id.text());
        let row = query.fetch_optional(self.readers()).await?;
        row.map(|row| events::read_event(&Record::new("events", &row))).transpose()
    }
}

fn read_note(record: &Record<'_>) -> Result<Note, StorageError> {
    Ok(Note {
        step: record.get("step")?,
        data: record.json("data")?,
        at: Millis(record.get("at")?),
    })
}
