//! Questions about what is stored of one instance: messages by many criteria, conversations with their last
//! message, people. Every answer is a page; who asks says how long it may be.

use crate::Store;
use crate::contacts::is_person;
use crate::dialect::{self, Query, Value, query};
use crate::error::StorageError;
use crate::messages::{self, StoredMessage, read_message};
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::id::InstanceId;
use flowcore_domain::jid::Jid;
use sqlx::AssertSqlSafe;
use std::collections::HashMap;

/// Which messages are meant; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    /// Those of this conversation, by any address of the other side.
    pub chat: Option<Jid>,
    /// The one with this id here.
    pub row: Option<String>,
    /// Those with this id of WhatsApp.
    pub wa_id: Option<String>,
    /// The owner's own, or those of others.
    pub from_me: Option<bool>,
    /// Those that this person wrote.
    pub sender: Option<Jid>,
    /// Those of this kind.
    pub kind: Option<String>,
    /// Those written on such a device (`ios`, `web`, …).
    pub source: Option<String>,
    /// Not before this time.
    pub from: Option<Millis>,
    /// Not after this time.
    pub to: Option<Millis>,
}

/// Which part of a list.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// How many come before it.
    pub skip: usize,
    /// How many it has at most.
    pub take: usize,
}

/// Which conversations are meant.
#[derive(Debug, Clone, Default)]
pub struct ChatFilter {
    /// The one with this address.
    pub chat: Option<Jid>,
    /// Last active not before this time.
    pub from: Option<Millis>,
    /// Last active not after this time.
    pub to: Option<Millis>,
}

/// A conversation with its last message.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatOverview {
    /// What tells it from others: the contact's id for a person, the address of a group.
    pub key: String,
    /// The address under which it was first seen.
    pub address: Jid,
    /// All addresses of the other person; empty for groups.
    pub addresses: Vec<Jid>,
    /// The other person's own name.
    pub push_name: Option<String>,
    /// How many messages came in since it was last read.
    pub unread: i64,
    /// When it began.
    pub created_at: Millis,
    /// When its last message was written.
    pub last_message_at: Millis,
    /// That message, unless it was forgotten.
    pub last_message: Option<StoredMessage>,
}

/// Which people are meant.
#[derive(Debug, Clone, Default)]
pub struct ContactFilter {
    /// Who has this address.
    pub address: Option<Jid>,
    /// Who has this id here.
    pub id: Option<String>,
    /// Who calls themselves so.
    pub push_name: Option<String>,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Their id here.
    pub id: String,
    /// Their addresses.
    pub addresses: Vec<Jid>,
    /// Their own name.
    pub push_name: Option<String>,
    /// Whether there is a conversation with them; else they were seen in a group.
    pub has_chat: bool,
    /// When they were first seen.
    pub created_at: Millis,
    /// When their name changed last.
    pub updated_at: Millis,
}

/// What `domain::message::source_of` says, in SQL.
const SOURCE: &str = "CASE WHEN length(wa_id) = 20 AND substr(wa_id, 1, 2) = '3A' THEN 'ios' \
     WHEN length(wa_id) = 22 AND substr(wa_id, 1, 2) = '3E' THEN 'web' \
     WHEN length(wa_id) IN (21, 32) THEN 'android' \
     WHEN substr(wa_id, 1, 2) = '3F' OR length(wa_id) = 18 THEN 'desktop' ELSE 'unknown' END";

/// Conditions that hold together, with their parameters.
#[derive(Clone)]
struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    fn of(instance: InstanceId) -> Self {
        Self { sql: String::new(), values: vec![instance.into()] }
    }

    /// Adds `condition`, in which `{}` is the parameter, when there is a value for it.
    fn and<T: Into<Value>>(&mut self, condition: &str, value: Option<T>) {
        if let Some(value) = value {
            self.values.push(value.into());
            let parameter = format!("${}", self.values.len());
            self.sql.push_str(" AND ");
            self.sql.push_str(&condition.replace("{}", &parameter));
        }
    }

    fn bound(self, sql: String) -> Query {
        self.values.into_iter().fold(query(AssertSqlSafe(sql)), Query::bind)
    }

    /// The same with a page of the answer.
    fn paged(mut self, select: &str, order: &str, page: Page) -> Query {
        let next = self.values.len() + 1;
        let sql = format!("{select}{} {order} LIMIT ${next} OFFSET ${}", self.sql, next + 1);
        self.values.push(dialect::limit(page.take).into());
        self.values.push(dialect::limit(page.skip).into());
        self.bound(sql)
    }
}

impl Store {
    /// Messages of an instance, newest first, and how many there are in all.
    pub async fn find_messages(
        &self,
        instance: InstanceId,
        filter: &MessageFilter,
        page: Page,
    ) -> Result<(i64, Vec<StoredMessage>), StorageError> {
        let Some(conditions) = self.message_conditions(instance, filter).await? else {
            return Ok((0, Vec::new()));
        };
        let count = "SELECT COUNT(*) FROM messages WHERE instance_id = $1";
        let count = format!("{count}{}", conditions.sql);
        let total: Option<i64> = conditions.clone().bound(count).scalar(self.readers()).await?;
        let rows = conditions
            .paged(
                "SELECT * FROM messages WHERE instance_id = $1",
                "ORDER BY at DESC, id DESC",
                page,
            )
            .fetch_all(self.readers())
            .await?;
        let read = rows.iter().map(|row| read_message(&Record::new(messages::TABLE, row)));
        Ok((total.unwrap_or_default(), read.collect::<Result<_, _>>()?))
    }

    /// `None` when no message can pass: the conversation is not known.
    async fn message_conditions(
        &self,
        instance: InstanceId,
        filter: &MessageFilter,
    ) -> Result<Option<Conditions>, StorageError> {
        let mut conditions = Conditions::of(instance);
        if let Some(chat) = &filter.chat {
            let Some(key) = self.chat_key(instance, chat).await? else { return Ok(None) };
            conditions.and("chat_key = {}", Some(key));
        }
        conditions.and("id = {}", filter.row.as_deref());
        conditions.and("wa_id = {}", filter.wa_id.as_deref());
        conditions.and("from_me = {}", filter.from_me);
        let sender = filter.sender.as_ref().map(Jid::to_string);
        conditions.and("(sender = {} OR sender_alt = {})", sender);
        conditions.and("kind = {}", filter.kind.as_deref());
        if filter.kind.is_none() {
            conditions.and("kind <> {}", Some(messages::CHANGE));
        }
        conditions.and(&format!("{SOURCE} = {{}}"), filter.source.as_deref());
        conditions.and("at >= {}", filter.from.map(|at| at.0));
        conditions.and("at <= {}", filter.to.map(|at| at.0));
        Ok(Some(conditions))
    }

    /// Conversations of an instance with their last messages, the last active first.
    pub async fn find_chats(
        &self,
        instance: InstanceId,
        filter: &ChatFilter,
        page: Page,
    ) -> Result<Vec<ChatOverview>, StorageError> {
        let mut conditions = Conditions::of(instance);
        if let Some(chat) = &filter.chat {
            let Some(key) = self.chat_key(instance, chat).await? else { return Ok(Vec::new()) };
            conditions.and("chats.chat_key = {}", Some(key));
        }
        conditions.and("chats.last_message_at >= {}", filter.from.map(|at| at.0));
        conditions.and("chats.last_message_at <= {}", filter.to.map(|at| at.0));
        let select = "SELECT chats.chat_key AS id, chats.address AS address, \
             chats.unread AS unread, chats.last_message_at AS last_message_at, \
             COALESCE(chats.created_at, chats.last_message_at) AS created_at, \
             contacts.push_name AS push_name \
             FROM chats LEFT JOIN contacts ON contacts.id = chats.chat_key \
             WHERE chats.instance_id = $1";
        let order = "ORDER BY chats.last_message_at DESC, chats.chat_key DESC";
        let rows = conditions.paged(select, order, page).fetch_all(self.readers()).await?;
        let mut chats = rows
            .iter()
            .map(|row| read_overview(&Record::new("chats", row)))
            .collect::<Result<Vec<_>, _>>()?;
        let keys: Vec<String> = chats.iter().map(|chat| chat.key.clone()).collect();
        let mut addresses = self.addresses_of(&keys).await?;
        let mut last = self.last_messages(instance, &keys).await?;
        for chat in &mut chats {
            chat.addresses = addresses.remove(&chat.key).unwrap_or_default();
            chat.last_message = last.remove(&chat.key);
        }
        Ok(chats)
    }

    async fn last_messages(
        &self,
        instance: InstanceId,
        keys: &[String],
    ) -> Result<HashMap<String, StoredMessage>, StorageError> {
        let mut found = HashMap::new();
        for batch in dialect::batches(keys) {
            let sql = format!(
                "SELECT messages.* FROM chats JOIN messages ON messages.id = \
                 (SELECT last.id FROM messages last WHERE last.instance_id = $1 \
                 AND last.kind <> 'protocolMessage' \
                 AND last.chat_key = chats.chat_key ORDER BY last.at DESC, last.id DESC LIMIT 1) \
                 WHERE chats.instance_id = $1 AND chats.chat_key IN ({})",
                dialect::parameters(1, batch.len())
            );
            let ask = batch.iter().fold(query(AssertSqlSafe(sql)).bind(instance), Query::bind);
            for row in ask.fetch_all(self.readers()).await? {
                let record = Record::new(messages::TABLE, &row);
                found.insert(record.get("chat_key")?, read_message(&record)?);
            }
        }
        Ok(found)
    }

    /// The addresses of people, by their ids.
    pub(crate) async fn addresses_of(
        &self,
        people: &[String],
    ) -> Result<HashMap<String, Vec<Jid>>, StorageError> {
        let mut found: HashMap<String, Vec<Jid>> = HashMap::new();
        for batch in dialect::batches(people) {
            let sql = format!(
                "SELECT contact_id AS id, address FROM contact_addresses \
                 WHERE contact_id IN ({}) ORDER BY address",
                dialect::parameters(0, batch.len())
            );
            let ask = batch.iter().fold(query(AssertSqlSafe(sql)), Query::bind);
            for row in ask.fetch_all(self.readers()).await? {
                let record = Record::new("contact_addresses", &row);
                found.entry(record.get("id")?).or_default().push(record.parsed("address")?);
            }
        }
        Ok(found)
    }

    /// People that an instance knows, the longest known first.
    pub async fn find_contacts(
        &self,
        instance: InstanceId,
        filter: &ContactFilter,
        page: Page,
    ) -> Result<Vec<Contact>, StorageError> {
        if filter.address.as_ref().is_some_and(|address| !is_person(address)) {
            return Ok(Vec::new());
        }
        let mut conditions = Conditions::of(instance);
        let address = filter.address.as_ref().map(Jid::to_string);
        conditions.and(
            "contacts.id = (SELECT contact_id FROM contact_addresses \
             WHERE instance_id = $1 AND address = {})",
            address,
        );
        conditions.and("contacts.id = {}", filter.id.as_deref());
        conditions.and("contacts.push_name = {}", filter.push_name.as_deref());
        let select = "SELECT id, push_name, created_at, updated_at, \
             EXISTS (SELECT 1 FROM chats WHERE chats.instance_id = $1 \
             AND chats.chat_key = contacts.id) AS has_chat \
             FROM contacts WHERE contacts.instance_id = $1";
        let rows = conditions.paged(select, "ORDER BY id", page).fetch_all(self.readers()).await?;
        let mut people = rows
            .iter()
            .map(|row| read_contact(&Record::new("contacts", row)))
            .collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<String> = people.iter().map(|one| one.id.clone()).collect();
        let mut addresses = self.addresses_of(&ids).await?;
        for one in &mut people {
            one.addresses = addresses.remove(&one.id).unwrap_or_default();
        }
        Ok(people)
    }
}

fn read_overview(record: &Record<'_>) -> Result<ChatOverview, StorageError> {
    Ok(ChatOverview {
        key: record.get("id")?,
        address: record.parsed("address")?,
        addresses: Vec::new(),
        push_name: record.get("push_name")?,
        unread: record.get("unread")?,
        created_at: Millis(record.get("created_at")?),
        last_message_at: Millis(record.get("last_message_at")?),
        last_message: None,
    })
}

fn read_contact(record: &Record<'_>) -> Result<Contact, StorageError> {
    Ok(Contact {
        id: record.get("id")?,
        addresses: Vec::new(),
        push_name: record.get("push_name")?,
        has_chat: record.get("has_chat")?,
        created_at: Millis(record.get("created_at")?),
        updated_at: Millis(record.get("updated_at")?),
    })
}
