//! The labels of an instance, as its owner's devices last told of them.

use crate::Store;
use crate::dialect::{self, query};
use crate::error::StorageError;
use crate::row::Record;
use flowcore_domain::id::InstanceId;

/// Most labels of one instance; WhatsApp has twenty.
const MAX_LABELS: usize = 1000;

/// A label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// WhatsApp's id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// The number of its colour.
    pub color: i64,
    /// The number of a label that WhatsApp made itself.
    pub predefined: Option<String>,
}

impl Store {
    /// Notes a label as it is now.
    ///
    /// # Errors
    /// `NotFound` when the instance was deleted.
    pub async fn note_label(&self, instance: InstanceId, label: Label) -> Result<(), StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                query(
                    "INSERT INTO labels (instance_id, label_id, name, color, predefined) \
                     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (instance_id, label_id) DO UPDATE \
                     SET name = excluded.name, color = excluded.color, \
                     predefined = excluded.predefined",
                )
                .bind(instance)
                .bind(label.id)
                .bind(label.name)
                .bind(label.color)
                .bind(label.predefined)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Forgets a label.
    pub async fn forget_label(&self, instance: InstanceId, id: &str) -> Result<(), StorageError> {
        let deletion = query("DELETE FROM labels WHERE instance_id = $1 AND label_id = $2");
        let deletion = deletion.bind(instance).bind(id);
        self.write(move |connection| {
            Box::pin(async move {
                deletion.execute(connection).await?;
                Ok(())
            })
        })
        .await
    }

    /// The labels of an instance, in the order of their ids.
    pub async fn labels(&self, instance: InstanceId) -> Result<Vec<Label>, StorageError> {
        let rows = query("SELECT * FROM labels WHERE instance_id = $1 ORDER BY label_id LIMIT $2")
            .bind(instance)
            .bind(dialect::limit(MAX_LABELS))
            .fetch_all(self.readers())
            .await?;
        rows.iter().map(|row| read_label(&Record::new("labels", row))).collect()
    }
}

fn read_label(record: &Record<'_>) -> Result<Label, StorageError> {
    Ok(Label {
        id: record.get("label_id")?,
        name: record.get("name")?,
        color: record.get("color")?,
        predefined: record.get("predefined")?,
    })
}
