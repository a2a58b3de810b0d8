//! What a list shows of instances at a glance: read for all of them at once.

use crate::Store;
use crate::conversations::{ConversationFilter, FROM};
use crate::dialect::{self, Query, Value, query};
use crate::error::StorageError;
use crate::row::Record;
use flowcore_domain::id::{InstanceId, UserId};
use sqlx::AssertSqlSafe;

/// What an instance does by itself, and who waits there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// Which instance.
    pub instance: InstanceId,
    /// Its assistant answers.
    pub assistant: bool,
    /// Calls to it are turned away.
    pub rejects_calls: bool,
    /// Customers who wait for a person.
    pub waiting: u64,
}

impl Store {
    /// These instances at a glance; those that are gone are left out.
    pub async fn glance(&self, instances: &[InstanceId]) -> Result<Vec<Glance>, StorageError> {
        if instances.is_empty() {
            return Ok(vec![]);
        }
        let among = dialect::parameters(0, instances.len());
        let sql = format!(
            "SELECT own.id AS id, own.reject_calls AS reject_calls, \
             EXISTS (SELECT 1 FROM whatsapp_ai_config ai \
             WHERE ai.whatsapp_instance_id = own.id AND ai.is_active) AS assistant, \
             (SELECT COUNT(*) FROM whatsapp_escalated_conversations one \
             JOIN whatsapp_conversations conversations ON conversations.id = one.conversation_id \
             WHERE one.resolved_at IS NULL AND conversations.instance_id = own.id) AS waiting \
             FROM whatsapp_instances own WHERE own.id IN ({among})"
        );
        let asked = instances.iter().fold(query(AssertSqlSafe(sql)), |ask, id| ask.bind(*id));
        let rows = asked.fetch_all(self.readers()).await?;
        let read = |row| {
            let record = Record::new("whatsapp_instances", row);
            Ok(Glance {
                instance: record.parsed("id")?,
                assistant: record.get("assistant")?,
                rejects_calls: record.get("reject_calls")?,
                waiting: record.get::<i64>("waiting")?.unsigned_abs(),
            })
        };
        rows.iter().map(read).collect()
    }

    /// How many customers wait for a person at the instances of a user, or at these.
    pub async fn customers_waiting(
        &self,
        user: Option<UserId>,
        instances: Option<Vec<InstanceId>>,
    ) -> Result<u64, StorageError> {
        let whose = ConversationFilter { user, instances, ..ConversationFilter::default() };
        let (conditions, values): (String, Vec<Value>) = whose.conditions();
        let sql = format!(
            "SELECT COUNT(*) FROM {FROM} \
             JOIN whatsapp_escalated_conversations one ON one.conversation_id = conversations.id \
             {conditions} AND one.resolved_at IS NULL"
        );
        let asked = values.into_iter().fold(query(AssertSqlSafe(sql)), Query::bind);
        let row = asked.fetch_one(self.readers()).await?;
        let count: i64 = Record::new("whatsapp_escalated_conversations", &row).first()?;
        Ok(count.unsigned_abs())
    }
}
