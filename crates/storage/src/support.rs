//! How an instance hands customers over to people: its settings, its keywords, and what was sent to whom.

mod escalations;

pub use escalations::{Escalation, EscalationFilter};

use crate::Store;
use crate::dialect::{self, Instant, Json, Query, query};
use crate::error::StorageError;
use crate::row::{Record, json_text};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{ConversationId, InstanceId};
use flowcore_domain::support::{MAX_KEYWORDS, SupportConfig};
use uuid::Uuid;

const CONFIG: &str = "whatsapp_support_config";
const KEYWORDS: &str = "whatsapp_support_keywords";

/// A keyword as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKeyword {
    /// Its id.
    pub id: Uuid,
    /// The word or phrase.
    pub keyword: String,
    /// When it was added.
    pub created_at: Millis,
}

/// What became of a keyword that was to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeywordAdded {
    /// It is stored; or it was there already, under this id.
    Stored(Uuid),
    /// The instance has [`MAX_KEYWORDS`].
    Full,
}

/// The row that says whom a message to a support phone is about.
pub(crate) fn telling(
    (instance, wa_id): (InstanceId, &str),
    (phone, about): (&str, ConversationId),
    now: Millis,
) -> Query {
    query(
        "INSERT INTO whatsapp_support_messages \
         (instance_id, wa_id, conversation_id, phone, created_at) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (instance_id, wa_id) DO NOTHING",
    )
    .bind(instance)
    .bind(wa_id)
    .bind(about)
    .bind(phone)
    .bind(now.0)
}

impl Store {
    /// How an instance hands over; `None` when nobody said.
    pub async fn support_config(
        &self,
        instance: InstanceId,
    ) -> Result<Option<SupportConfig>, StorageError> {
        let row = query("SELECT * FROM whatsapp_support_config WHERE whatsapp_instance_id = $1")
            .bind(instance)
            .fetch_optional(self.readers())
            .await?;
        row.map(|row| read_config(&Record::new(CONFIG, &row))).transpose()
    }

    /// Stores how an instance hands over.
    ///
    /// # Errors
    /// `NotFound` when the instance was deleted.
    pub async fn put_support_config(
        &self,
        instance: InstanceId,
        config: SupportConfig,
        now: Millis,
    ) -> Result<(), StorageError> {
        let hours = config.business_hours.as_ref().map(json_text).transpose()?;
        let put = query(
            "INSERT INTO whatsapp_support_config (id, whatsapp_instance_id, is_active, \
             support_phones, customer_template, support_template, business_hours, \
             auto_return_minutes, created_at, updated_at) \
             SELECT $1, id, $3, $4, $5, $6, $7, $8, $9, $9 FROM whatsapp_instances WHERE id = $2 \
             ON CONFLICT (whatsapp_instance_id) DO UPDATE SET is_active = excluded.is_active, \
             support_phones = excluded.support_phones, \
             customer_template = excluded.customer_template, \
             support_template = excluded.support_template, \
             business_hours = excluded.business_hours, \
             auto_return_minutes = excluded.auto_return_minutes, updated_at = excluded.updated_at",
        )
        .bind(dialect::Id(crate::new_id(now)))
        .bind(instance)
        .bind(config.is_active)
        .bind(Json(json_text(&config.phones)?))
        .bind(config.customer_template)
        .bind(config.support_template)
        .bind(hours.map(Json))
        .bind(config.auto_return_minutes)
        .bind(Instant(now));
        self.write(move |connection| {
            Box::pin(async move {
                match put.execute(connection).await? {
                    0 => Err(StorageError::NotFound("the instance")),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    /// The keywords of an instance, the oldest first.
    pub async fn support_keywords(
        &self,
        instance: InstanceId,
    ) -> Result<Vec<StoredKeyword>, StorageError> {
        let rows = query(
            "SELECT id, keyword, created_at FROM whatsapp_support_keywords \
             WHERE whatsapp_instance_id = $1 ORDER BY created_at, id LIMIT $2",
        )
        .bind(instance)
        .bind(dialect::limit(MAX_KEYWORDS))
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| read_keyword(&Record::new(KEYWORDS, row))).collect()
    }

    /// Adds a keyword.
    ///
    /// # Errors
    /// `NotFound` when the instance was deleted.
    pub async fn add_support_keyword(
        &self,
        instance: InstanceId,
        keyword: String,
        now: Millis,
    ) -> Result<KeywordAdded, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                dialect::lock_instance(connection, instance).await?;
                let known = query(
                    "SELECT id FROM whatsapp_support_keywords \
                     WHERE whatsapp_instance_id = $1 AND keyword = $2",
                );
                let known = known.bind(instance).bind(&keyword);
                if let Some(row) = known.fetch_optional(&mut *connection).await? {
                    return Ok(KeywordAdded::Stored(Record::new(KEYWORDS, &row).parsed("id")?));
                }
                let count = query(
                    "SELECT COUNT(*) FROM whatsapp_support_keywords WHERE whatsapp_instance_id = $1",
                );
                let count: Option<i64> = count.bind(instance).scalar(&mut *connection).await?;
                if count.is_some_and(|count| count >= dialect::limit(MAX_KEYWORDS)) {
                    return Ok(KeywordAdded::Full);
                }
                let id = crate::new_id(now);
                let added = query(
                    "INSERT INTO whatsapp_support_keywords \
                     (id, whatsapp_instance_id, keyword, created_at) \
                     SELECT $1, id, $3, $4 FROM whatsapp_instances WHERE id = $2",
                );
                let added = added.bind(dialect::Id(id)).bind(instance).bind(keyword);
                match added.bind(Instant(now)).execute(connection).await? {
                    0 => Err(StorageError::NotFound("the instance")),
                    _ => Ok(KeywordAdded::Stored(id)),
                }
            })
        })
        .await
    }

    /// Deletes a keyword; false when it is not there.
    pub async fn delete_support_keyword(
        &self,
        instance: InstanceId,
        id: Uuid,
    ) -> Result<bool, StorageError> {
        let deletion = query(
            "DELETE FROM whatsapp_support_keywords WHERE whatsapp_instance_id = $1 AND id = $2",
        );
        let deletion = deletion.bind(instance).bind(dialect::Id(id));
        self.write(move |connection| {
            Box::pin(async move { Ok(deletion.execute(connection).await? > 0) })
        })
        .await
    }

    /// What a message to a support phone was about.
    pub async fn subject_of_message(
        &self,
        instance: InstanceId,
        wa_id: &str,
    ) -> Result<Option<ConversationId>, StorageError> {
        let ask = query(
            "SELECT conversation_id AS id FROM whatsapp_support_messages \
             WHERE instance_id = $1 AND wa_id = $2",
        );
        let row = ask.bind(instance).bind(wa_id).fetch_optional(self.readers()).await?;
        row.map(|row| Record::new("whatsapp_support_messages", &row).parsed("id")).transpose()
    }

    /// What a support phone was last told of and whose customer still waits.
    pub async fn last_subject_of_phone(
        &self,
        instance: InstanceId,
        phone: &str,
    ) -> Result<Option<ConversationId>, StorageError> {
        let ask = query(
            "SELECT told.conversation_id AS id FROM whatsapp_support_messages told \
             JOIN whatsapp_conversations conversations ON conversations.id = told.conversation_id \
             WHERE told.instance_id = $1 AND told.phone = $2 \
             AND conversations.status = 'escalated' ORDER BY told.created_at DESC LIMIT 1",
        );
        let row = ask.bind(instance).bind(phone).fetch_optional(self.readers()).await?;
        row.map(|row| Record::new("whatsapp_support_messages", &row).parsed("id")).transpose()
    }

    /// Conversations that people have and in which nobody wrote for as long as their owner allows.
    pub async fn conversations_to_return(
        &self,
        now: Millis,
        limit: usize,
    ) -> Result<Vec<ConversationId>, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let idle = connection.pick(
                    "max(conversations.last_message_at, conversations.updated_at) \
                     + config.auto_return_minutes * 60000 <= $1",
                    "GREATEST(conversations.last_message_at, conversations.updated_at) \
                     + config.auto_return_minutes * interval '1 minute' <= $1",
                );
                let sql = format!(
                    "SELECT conversations.id AS id FROM whatsapp_support_config config \
                     JOIN whatsapp_conversations conversations \
                     ON conversations.instance_id = config.whatsapp_instance_id \
                     WHERE config.auto_return_minutes IS NOT NULL AND config.is_active \
                     AND conversations.owner = 'human' AND conversations.status <> 'expired' \
                     AND {idle} LIMIT $2"
                );
                let ask = query(sqlx::AssertSqlSafe(sql)).bind(Instant(now));
                let rows = ask.bind(dialect::limit(limit)).fetch_all(connection).await?;
                rows.iter().map(|row| Record::new(CONFIG, row).parsed("id")).collect()
            })
        })
        .await
    }
}

fn read_config(record: &Record<'_>) -> Result<SupportConfig, StorageError> {
    Ok(SupportConfig {
        is_active: record.get("is_active")?,
        phones: record.json("support_phones")?,
        customer_template: record.get("customer_template")?,
        support_template: record.get("support_template")?,
        business_hours: record.json_option("business_hours")?,
        auto_return_minutes: record.get("auto_return_minutes")?,
    })
}

fn read_keyword(record: &Record<'_>) -> Result<StoredKeyword, StorageError> {
    Ok(StoredKeyword {
        id: record.parsed("id")?,
        keyword: record.get("keyword")?,
        created_at: record.millis("created_at")?,
    })
}
