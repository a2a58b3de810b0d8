//! Customers who wait for a person, or did.

use crate::Store;
use crate::conversations::{COLUMNS, Conversation, ConversationFilter, FROM, read_conversation};
use crate::dialect::{self, Instant, Query, Value, query};
use crate::error::StorageError;
use crate::queries::Page;
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{EscalationId, InstanceId, UserId};
use sqlx::AssertSqlSafe;
use std::fmt::Write as _;

const TABLE: &str = "whatsapp_escalated_conversations";

/// A customer who was handed over.
#[derive(Debug, Clone, PartialEq)]
pub struct Escalation {
    /// Its id.
    pub id: EscalationId,
    /// The conversation as it is now.
    pub conversation: Conversation,
    /// Why.
    pub reason: String,
    /// The keyword that was said.
    pub keyword: Option<String>,
    /// What was said before.
    pub summary: String,
    /// What the person noted at the end.
    pub note: Option<String>,
    /// Who could not be told, and why.
    pub alert: Option<String>,
    /// Since when.
    pub created_at: Millis,
    /// When a person first answered.
    pub first_answer_at: Option<Millis>,
    /// When it was over.
    pub resolved_at: Option<Millis>,
    /// By what or whom.
    pub resolved_by: Option<String>,
}

/// Which escalations a list has; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct EscalationFilter {
    /// Those of this user's numbers.
    pub user: Option<UserId>,
    /// Those of these numbers.
    pub instances: Option<Vec<InstanceId>>,
    /// Those that are over, or are not.
    pub resolved: Option<bool>,
    /// Those with this reason.
    pub reason: Option<String>,
    /// Not before this time.
    pub from: Option<Millis>,
    /// Not after this time.
    pub to: Option<Millis>,
}

/// The conversation goes by its own names, the escalation's begin with `of_`.
const OWN: &str = "one.id AS of_id, one.reason AS of_reason, one.keyword AS of_keyword, \
     one.summary AS of_summary, one.note AS of_note, one.alert AS of_alert, \
     one.created_at AS of_created_at, one.first_answer_at AS of_first_answer_at, \
     one.resolved_at AS of_resolved_at, one.resolved_by AS of_resolved_by";

impl Store {
    /// An escalation by its id.
    pub async fn escalation(&self, id: EscalationId) -> Result<Option<Escalation>, StorageError> {
        let ask = query(AssertSqlSafe(format!("{} WHERE one.id = $1", select()))).bind(id);
        Ok(self.read_escalations(ask).await?.pop())
    }

    /// Escalations, the latest first.
    pub async fn find_escalations(
        &self,
        filter: &EscalationFilter,
        page: Page,
    ) -> Result<Vec<Escalation>, StorageError> {
        let (conditions, mut values) = filter.conditions();
        let used = values.len();
        values.push(dialect::limit(page.take).into());
        values.push(dialect::limit(page.skip).into());
        let sql = format!(
            "{} {conditions} ORDER BY one.created_at DESC, one.id DESC LIMIT ${} OFFSET ${}",
            select(),
            used + 1,
            used + 2
        );
        self.read_escalations(values.into_iter().fold(query(AssertSqlSafe(sql)), Query::bind)).await
    }

    /// Notes that somebody could not be told of an escalation.
    pub async fn alert_escalation(
        &self,
        id: EscalationId,
        alert: String,
    ) -> Result<(), StorageError> {
        let note = query("UPDATE whatsapp_escalated_conversations SET alert = $2 WHERE id = $1");
        let note = note.bind(id).bind(alert);
        self.write(move |connection| {
            Box::pin(async move {
                note.execute(connection).await?;
                Ok(())
            })
        })
        .await
    }

    async fn read_escalations(&self, ask: Query) -> Result<Vec<Escalation>, StorageError> {
        let rows = ask.fetch_all(self.readers()).await?;
        let read = |row| read_escalation(&Record::new(TABLE, row));
        let mut found = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let keys: Vec<String> = found.iter().map(|one| one.conversation.chat_key.clone()).collect();
        let addresses = self.addresses_of(&keys).await?;
        for one in &mut found {
            let known = addresses.get(&one.conversation.chat_key);
            one.conversation.addresses = known.cloned().unwrap_or_default();
        }
        Ok(found)
    }
}

impl EscalationFilter {
    fn conditions(&self) -> (String, Vec<Value>) {
        let whose = ConversationFilter {
            user: self.user,
            instances: self.instances.clone(),
            ..ConversationFilter::default()
        };
        let (mut sql, mut values) = whose.conditions();
        match self.resolved {
            Some(true) => sql.push_str(" AND one.resolved_at IS NOT NULL"),
            Some(false) => sql.push_str(" AND one.resolved_at IS NULL"),
            None => {}
        }
        let more: [(&str, Option<Value>); 3] = [
            ("one.reason =", self.reason.as_deref().map(Value::from)),
            ("one.created_at >=", self.from.map(|at| Instant(at).into())),
            ("one.created_at <=", self.to.map(|at| Instant(at).into())),
        ];
        for (condition, value) in more {
            if let Some(value) = value {
                values.push(value);
                let _ = write!(sql, " AND {condition} ${}", values.len());
            }
        }
        (sql, values)
    }
}

fn select() -> String {
    format!(
        "SELECT {COLUMNS}, {OWN} FROM {FROM} \
         JOIN whatsapp_escalated_conversations one ON one.conversation_id = conversations.id"
    )
}

fn read_escalation(record: &Record<'_>) -> Result<Escalation, StorageError> {
    Ok(Escalation {
        id: record.parsed("of_id")?,
        conversation: read_conversation(record)?,
        reason: record.get("of_reason")?,
        keyword: record.get("of_keyword")?,
        summary: record.get("of_summary")?,
        note: record.get("of_note")?,
        alert: record.get("of_alert")?,
        created_at: record.millis("of_created_at")?,
        first_answer_at: record.millis_option("of_first_answer_at")?,
        resolved_at: record.millis_option("of_resolved_at")?,
        resolved_by: record.get("of_resolved_by")?,
    })
}
