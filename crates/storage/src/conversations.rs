//! Conversations with customers: who answers, what was said, and every change of either.
//!
//! A conversation belongs to a chat and is open until nobody wrote for long; a chat has one that is open.
//! What was said is in it once per message. Owner and status change by [`Store::move_conversation`] only,
//! which compares the version, writes the audit row, and stores what the change causes with it.

mod said;
mod steps;
mod summary;

pub(crate) use said::note;
pub use said::{AUTOMATIC, Said};
pub use steps::{Caused, Causing, Moved, Moving, NewEscalation, Transition};
pub(crate) use steps::{held, supersede};
pub use summary::Summary;

use crate::Store;
use crate::contacts::{self, Sighting};
use crate::dialect::{self, Connection, Instant, Json, Query, Value, query};
use crate::error::StorageError;
use crate::queries::Page;
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::conversation::{ConversationStatus, Owner, Standing};
use flowcore_domain::id::{ConversationId, InstanceId, UserId};
use flowcore_domain::jid::{Jid, Server};
use serde::Deserialize;
use sqlx::AssertSqlSafe;
use std::fmt::Write as _;

pub(crate) const TABLE: &str = "whatsapp_conversations";

/// A conversation with a customer.
#[derive(Clone, PartialEq)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// On which number.
    pub instance_id: InstanceId,
    /// What tells its chat from others.
    pub chat_key: String,
    /// Where it is answered.
    pub chat: Jid,
    /// All addresses of the customer.
    pub addresses: Vec<Jid>,
    /// The customer's own name for themselves.
    pub name: Option<String>,
    /// Who answers, and how it stands.
    pub standing: Standing,
    /// When somebody last wrote.
    pub last_message_at: Millis,
    /// When it began.
    pub created_at: Millis,
    /// When its standing changed last.
    pub updated_at: Millis,
}

impl Conversation {
    /// The customer's number in digits, when it is known.
    #[must_use]
    pub fn phone(&self) -> Option<&str> {
        self.chat.phone().or_else(|| self.addresses.iter().find_map(Jid::phone))
    }

    /// The customer's private id, when it is known.
    #[must_use]
    pub fn lid(&self) -> Option<&Jid> {
        let mut all = std::iter::once(&self.chat).chain(&self.addresses);
        all.find(|one| one.server() == Server::Lid)
    }
}

/// Never shows whom it is with.
impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation")
            .field("id", &self.id)
            .field("standing", &self.standing)
            .finish_non_exhaustive()
    }
}

/// What happens to the messages of an instance besides being told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attention {
    /// An assistant answers.
    pub assistant: bool,
    /// In groups too.
    pub groups: bool,
    /// Customers can ask for a person.
    pub support: bool,
}

/// What of an assistant's settings decides whom it hears.
#[derive(Deserialize)]
struct AnswersGroups {
    groups: bool,
}

/// Which conversations a list has; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct ConversationFilter {
    /// Those of this user's numbers.
    pub user: Option<UserId>,
    /// Those of these numbers.
    pub instances: Option<Vec<InstanceId>>,
    /// Those that stand so.
    pub status: Option<ConversationStatus>,
    /// Those that this one answers.
    pub owner: Option<Owner>,
}

/// What [`read_conversation`] needs.
pub(crate) const COLUMNS: &str = "conversations.id AS id, \
     conversations.instance_id AS instance_id, conversations.chat_key AS chat_key, \
     conversations.chat AS chat, conversations.status AS status, conversations.owner AS owner, \
     conversations.version AS version, conversations.last_message_at AS last_message_at, \
     conversations.created_at AS created_at, conversations.updated_at AS updated_at, \
     contacts.push_name AS push_name";
pub(crate) const FROM: &str = "whatsapp_conversations conversations \
     LEFT JOIN contacts ON contacts.id = conversations.chat_key";

impl Store {
    /// Which of the two is switched on for an instance.
    pub async fn attention(&self, instance: InstanceId) -> Result<Attention, StorageError> {
        let row = query(
            "SELECT EXISTS (SELECT 1 FROM whatsapp_ai_config \
             WHERE whatsapp_instance_id = $1 AND is_active) AS assistant, \
             (SELECT settings FROM whatsapp_ai_config \
             WHERE whatsapp_instance_id = $1 AND is_active) AS settings, \
             EXISTS (SELECT 1 FROM whatsapp_support_config \
             WHERE whatsapp_instance_id = $1 AND is_active) AS support",
        )
        .bind(instance)
        .fetch_one(self.readers())
        .await?;
        let record = Record::new("whatsapp_ai_config", &row);
        let settings = record.json_option::<AnswersGroups>("settings")?;
        Ok(Attention {
            assistant: record.get("assistant")?,
            groups: settings.is_some_and(|settings| settings.groups),
            support: record.get("support")?,
        })
    }

    /// The open conversation of a chat, given by an address and the other one where it is known; begins one
    /// where there is none.
    ///
    /// # Errors
    /// `NotFound` when the instance was deleted.
    pub async fn open_conversation(
        &self,
        instance: InstanceId,
        (chat, alt): (&Jid, Option<&Jid>),
        now: Millis,
    ) -> Result<Conversation, StorageError> {
        let (chat, alt) = (chat.clone(), alt.cloned());
        let opened = self.write(move |connection| {
            Box::pin(async move {
                dialect::lock_instance(connection, instance).await?;
                let key = if contacts::is_person(&chat) {
                    let seen = Sighting { address: &chat, alt: alt.as_ref(), push_name: None };
                    contacts::resolve(connection, instance, seen, now).await?.0
                } else {
                    chat.to_string()
                };
                if let Some(known) = open_of(connection, instance, &key).await? {
                    return Ok(known);
                }
                let begin = beginning(instance, (&chat, alt.as_ref()), &key, now);
                begin.execute(&mut *connection).await?;
                let made = open_of(connection, instance, &key).await?;
                made.ok_or(StorageError::NotFound("the instance"))
            })
        });
        self.with_addresses(opened.await?).await
    }

    /// A conversation by its id.
    pub async fn conversation(
        &self,
        id: ConversationId,
    ) -> Result<Option<Conversation>, StorageError> {
        let ask = selecting("WHERE conversations.id = $1").bind(id);
        let Some(row) = ask.fetch_optional(self.readers()).await? else { return Ok(None) };
        let found = read_conversation(&Record::new(TABLE, &row))?;
        self.with_addresses(found).await.map(Some)
    }

    /// The open conversation of a chat, by any address of the other side.
    pub async fn conversation_of_chat(
        &self,
        instance: InstanceId,
        chat: &Jid,
    ) -> Result<Option<Conversation>, StorageError> {
        let Some(key) = self.chat_key(instance, chat).await? else { return Ok(None) };
        let ask = open_asked(instance, &key);
        let Some(row) = ask.fetch_optional(self.readers()).await? else { return Ok(None) };
        let found = read_conversation(&Record::new(TABLE, &row))?;
        self.with_addresses(found).await.map(Some)
    }

    /// Conversations, the last active first.
    pub async fn find_conversations(
        &self,
        filter: &ConversationFilter,
        page: Page,
    ) -> Result<Vec<Conversation>, StorageError> {
        let (mut sql, values) = filter.conditions();
        let used = values.len();
        let _ = write!(
            sql,
            " ORDER BY conversations.last_message_at DESC, conversations.id DESC \
             LIMIT ${} OFFSET ${}",
            used + 1,
            used + 2
        );
        let ask = query(AssertSqlSafe(format!("SELECT {COLUMNS} FROM {FROM} {sql}")));
        let ask = values.into_iter().fold(ask, Query::bind);
        let ask = ask.bind(dialect::limit(page.take)).bind(dialect::limit(page.skip));
        let rows = ask.fetch_all(self.readers()).await?;
        let read = |row| read_conversation(&Record::new(TABLE, row));
        let mut found = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let keys: Vec<String> = found.iter().map(|one| one.chat_key.clone()).collect();
        let mut addresses = self.addresses_of(&keys).await?;
        for one in &mut found {
            one.addresses = addresses.remove(&one.chat_key).unwrap_or_default();
        }
        Ok(found)
    }

    /// Those that the assistant has had since `before` and in which nobody wrote since then, the oldest first.
    pub async fn idle_conversations(
        &self,
        before: Millis,
        limit: usize,
    ) -> Result<Vec<ConversationId>, StorageError> {
        let rows = query(
            "SELECT id FROM whatsapp_conversations WHERE status <> 'expired' \
             AND status = 'active' AND owner = 'ai' AND last_message_at < $1 AND updated_at < $1 \
             ORDER BY last_message_at LIMIT $2",
        )
        .bind(Instant(before))
        .bind(dialect::limit(limit))
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| Record::new(TABLE, row).parsed("id")).collect()
    }

    async fn with_addresses(&self, mut one: Conversation) -> Result<Conversation, StorageError> {
        let mut addresses = self.addresses_of(std::slice::from_ref(&one.chat_key)).await?;
        one.addresses = addresses.remove(&one.chat_key).unwrap_or_default();
        Ok(one)
    }
}

impl ConversationFilter {
    /// Its conditions over `conversations`, with their parameters.
    pub(crate) fn conditions(&self) -> (String, Vec<Value>) {
        let (mut sql, mut values) = ("WHERE TRUE".to_owned(), Vec::new());
        if let Some(user) = self.user {
            values.push(user.into());
            let _ = write!(
                sql,
                " AND conversations.instance_id IN \
                 (SELECT id FROM whatsapp_instances WHERE user_id = ${})",
                values.len()
            );
        }
        if let Some(instances) = &self.instances {
            let names = dialect::parameters(values.len(), instances.len());
            let among = if instances.is_empty() {
                "FALSE".to_owned()
            } else {
                format!("conversations.instance_id IN ({names})")
            };
            let _ = write!(sql, " AND {among}");
            values.extend(instances.iter().map(|one| Value::from(*one)));
        }
        let words = [
            ("status", self.status.map(ConversationStatus::as_str)),
            ("owner", self.owner.map(Owner::as_str)),
        ];
        for (column, word) in words {
            if let Some(word) = word {
                values.push(word.into());
                let _ = write!(sql, " AND conversations.{column} = ${}", values.len());
            }
        }
        (sql, values)
    }
}

/// `condition` goes on from the list of tables.
pub(crate) fn selecting(condition: &str) -> Query {
    query(AssertSqlSafe(format!("SELECT {COLUMNS} FROM {FROM} {condition}")))
}

fn open_asked(instance: InstanceId, key: &str) -> Query {
    let open = "WHERE conversations.instance_id = $1 AND conversations.chat_key = $2 \
                AND conversations.status <> 'expired'";
    selecting(open).bind(instance).bind(key)
}

async fn open_of(
    connection: &mut Connection,
    instance: InstanceId,
    key: &str,
) -> Result<Option<Conversation>, StorageError> {
    let row = open_asked(instance, key).fetch_optional(connection).await?;
    row.map(|row| read_conversation(&Record::new(TABLE, &row))).transpose()
}

fn beginning(
    instance: InstanceId,
    (chat, alt): (&Jid, Option<&Jid>),
    key: &str,
    now: Millis,
) -> Query {
    let phone = chat.phone().or_else(|| alt.and_then(Jid::phone));
    let phone = phone.map_or_else(|| chat.to_string(), str::to_owned);
    query(
        "INSERT INTO whatsapp_conversations (id, instance_id, user_phone, status, owner, version, \
         conversation_data, last_message_at, created_at, updated_at, chat_key, chat) \
         SELECT $1, id, $3, $4, $5, 0, $6, $7, $7, $7, $8, $9 FROM whatsapp_instances WHERE id = $2",
    )
    .bind(ConversationId(crate::new_id(now)))
    .bind(instance)
    .bind(phone)
    .bind(Standing::FIRST.status.as_str())
    .bind(Standing::FIRST.owner.as_str())
    .bind(Json("{}".to_owned()))
    .bind(Instant(now))
    .bind(key)
    .bind(chat.to_string())
}

/// Without the addresses.
pub(crate) fn read_conversation(record: &Record<'_>) -> Result<Conversation, StorageError> {
    Ok(Conversation {
        id: record.parsed("id")?,
        instance_id: record.parsed("instance_id")?,
        chat_key: record.get("chat_key")?,
        chat: record.parsed("chat")?,
        addresses: Vec::new(),
        name: record.get("push_name")?,
        standing: Standing {
            owner: record.parsed("owner")?,
            status: record.parsed("status")?,
            version: record.get("version")?,
        },
        last_message_at: record.millis("last_message_at")?,
        created_at: record.millis("created_at")?,
        updated_at: record.millis("updated_at")?,
    })
}
