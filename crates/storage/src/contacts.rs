//! People and conversations as one number sees them.
//!
//! A person has several addresses (phone, LID). They are one contact as soon as any stanza shows two of
//! them together; what was kept apart until then is merged, conversations and messages included. A chat
//! is found by its key: the contact's id for a person, the address itself for a group, list or channel.

use crate::conversations;
use crate::dialect::{self, Connection, Query, Row, query};
use crate::error::StorageError;
use crate::messages::StoredMessage;
use crate::row::Record;
use crate::{Store, new_id};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::InstanceId;
use flowcore_domain::jid::{Jid, Server};
use sqlx::AssertSqlSafe;
use std::collections::HashMap;

/// A conversation in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    /// What tells it from others; part of the cursor.
    pub key: String,
    /// The address under which it was first seen.
    pub address: Jid,
    /// All addresses of the other person; empty for groups.
    pub addresses: Vec<Jid>,
    /// The other person's own name for themselves.
    pub push_name: Option<String>,
    /// How many messages came in since it was last read.
    pub unread: i64,
    /// When its last message was written.
    pub last_message_at: Millis,
}

/// Where a list of conversations goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatCursor {
    /// [`Chat::last_message_at`] of the last one shown.
    pub at: Millis,
    /// [`Chat::key`] of the last one shown.
    pub key: String,
}

impl Store {
    /// What the people behind these addresses call themselves, as far as it is known.
    pub async fn names(
        &self,
        instance: InstanceId,
        addresses: &[Jid],
    ) -> Result<HashMap<Jid, String>, StorageError> {
        let addresses: Vec<String> = addresses.iter().map(Jid::to_string).collect();
        let mut found = HashMap::new();
        for batch in dialect::batches(&addresses) {
            let sql = format!(
                "SELECT contact_addresses.address, contacts.push_name FROM contact_addresses \
                 JOIN contacts ON contacts.id = contact_addresses.contact_id \
                 WHERE contact_addresses.instance_id = $1 AND contacts.push_name IS NOT NULL \
                 AND contact_addresses.address IN ({})",
                dialect::parameters(1, batch.len())
            );
            let ask = query(AssertSqlSafe(sql)).bind(instance);
            let ask = batch.iter().fold(ask, Query::bind);
            for row in ask.fetch_all(self.readers()).await? {
                let record = Record::new("contacts", &row);
                found.insert(record.parsed("address")?, record.get("push_name")?);
            }
        }
        Ok(found)
    }

    /// Conversations of an instance, the last active first.
    pub async fn chats(
        &self,
        instance: InstanceId,
        before: Option<&ChatCursor>,
        limit: usize,
    ) -> Result<Vec<Chat>, StorageError> {
        let rows = query(
            "SELECT chats.chat_key AS id, chats.address AS address, chats.unread AS unread, \
             chats.last_message_at AS last_message_at, contacts.push_name AS push_name \
             FROM chats LEFT JOIN contacts ON contacts.id = chats.chat_key \
             WHERE chats.instance_id = $1 AND (chats.last_message_at, chats.chat_key) < ($2, $3) \
             ORDER BY chats.last_message_at DESC, chats.chat_key DESC LIMIT $4",
        )
        .bind(instance)
        .bind(before.map_or(i64::MAX, |cursor| cursor.at.0))
        .bind(before.map_or("", |cursor| &cursor.key))
        .bind(dialect::limit(limit))
        .fetch_all(self.readers())
        .await?;
        let mut chats = rows
            .iter()
            .map(|row| read_chat(&Record::new("chats", row)))
            .collect::<Result<Vec<_>, _>>()?;
        let keys: Vec<String> = chats.iter().map(|chat| chat.key.clone()).collect();
        let mut addresses = self.addresses_of(&keys).await?;
        for chat in &mut chats {
            chat.addresses = addresses.remove(&chat.key).unwrap_or_default();
        }
        Ok(chats)
    }

    /// Notes that the owner read a conversation, or marked it as unread. False when nothing is known of it.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn mark_chat(
        &self,
        instance: InstanceId,
        chat: &Jid,
        read: bool,
    ) -> Result<bool, StorageError> {
        let Some(key) = self.chat_key(instance, chat).await? else { return Ok(false) };
        self.write(move |connection| {
            Box::pin(async move {
                dialect::lock_instance(connection, instance).await?;
                let marked = query(
                    "UPDATE chats SET unread = CASE WHEN $3 THEN 0 WHEN unread > 0 THEN unread \
                     ELSE 1 END WHERE instance_id = $1 AND chat_key = $2",
                );
                let marked = marked.bind(instance).bind(key).bind(read).execute(connection).await?;
                Ok(marked > 0)
            })
        })
        .await
    }

    /// The key of a conversation, by any address of the other side; `None` when it is not known.
    pub(crate) async fn chat_key(
        &self,
        instance: InstanceId,
        chat: &Jid,
    ) -> Result<Option<String>, StorageError> {
        if !is_person(chat) {
            return Ok(Some(chat.to_string()));
        }
        let query = query(
            "SELECT contact_id FROM contact_addresses WHERE instance_id = $1 AND address = $2",
        );
        let query = query.bind(instance).bind(chat.to_string());
        query.scalar(self.readers()).await
    }
}

fn read_chat(record: &Record<'_>) -> Result<Chat, StorageError> {
    Ok(Chat {
        key: record.get("id")?,
        address: record.parsed("address")?,
        addresses: Vec::new(),
        push_name: record.get("push_name")?,
        unread: record.get("unread")?,
        last_message_at: Millis(record.get("last_message_at")?),
    })
}

/// Whether a conversation under this address is one with a person.
pub(crate) fn is_person(chat: &Jid) -> bool {
    matches!(chat.server(), Server::Person | Server::Lid)
}

/// What a stanza tells about a person.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sighting<'a> {
    pub(crate) address: &'a Jid,
    pub(crate) alt: Option<&'a Jid>,
    pub(crate) push_name: Option<&'a str>,
}

/// What is known about the addresses of a sighting.
const KNOWN: &str = "SELECT contacts.id AS id, contacts.push_name AS push_name, \
     contact_addresses.address AS address \
     FROM contact_addresses JOIN contacts ON contacts.id = contact_addresses.contact_id \
     WHERE contact_addresses.instance_id = $1 AND contact_addresses.address IN ($2, $3)";

/// The same, before it a row of nulls when the message is stored already.
const KNOWN_OR_STORED: &str = "SELECT NULL AS id, NULL AS push_name, NULL AS address \
     WHERE EXISTS (SELECT 1 FROM messages \
     WHERE instance_id = $1 AND wa_id = $4 AND chat = $5 AND sender = $6) UNION ALL \
     SELECT contacts.id AS id, contacts.push_name AS push_name, \
     contact_addresses.address AS address \
     FROM contact_addresses JOIN contacts ON contacts.id = contact_addresses.contact_id \
     WHERE contact_addresses.instance_id = $1 AND contact_addresses.address IN ($2, $3)";

/// How well somebody was known before a stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acquaintance {
    /// Not at all.
    New,
    /// By another name, or by none.
    Renamed,
    /// As they are.
    Known,
}

/// Finds or makes the contact, learning addresses and name. One statement when there is nothing new.
pub(crate) async fn resolve(
    connection: &mut Connection,
    instance: InstanceId,
    seen: Sighting<'_>,
    now: Millis,
) -> Result<(String, Acquaintance), StorageError> {
    let known = looking_up(query(KNOWN), instance, seen).fetch_all(&mut *connection).await?;
    learn(connection, instance, (seen, now), &known).await
}

/// The key of the conversation of a message, and how well the person was known whom it is with; `None` when the message is stored already. Finds or makes the contact for one with a person.
pub(crate) async fn chat_key_of_new(
    connection: &mut Connection,
    message: &StoredMessage,
    chat: Sighting<'_>,
    now: Millis,
) -> Result<Option<(String, Acquaintance)>, StorageError> {
    let instance = message.instance_id;
    let rows = looking_up(query(KNOWN_OR_STORED), instance, chat)
        .bind(&message.wa_id)
        .bind(message.chat.to_string())
        .bind(message.sender.to_string())
        .fetch_all(&mut *connection)
        .await?;
    if let Some(first) = rows.first()
        && Record::new("contacts", first).get::<Option<&str>>("id")?.is_none()
    {
        return Ok(None);
    }
    if !is_person(chat.address) {
        return Ok(Some((chat.address.to_string(), Acquaintance::Known)));
    }
    Ok(Some(learn(connection, instance, (chat, now), &rows).await?))
}

fn looking_up(query: Query, instance: InstanceId, seen: Sighting<'_>) -> Query {
    let alt = seen.alt.unwrap_or(seen.address);
    query.bind(instance).bind(seen.address.to_string()).bind(alt.to_string())
}

/// Brings what is known up to what was seen.
async fn learn(
    connection: &mut Connection,
    instance: InstanceId,
    (seen, now): (Sighting<'_>, Millis),
    rows: &[Row],
) -> Result<(String, Acquaintance), StorageError> {
    let mut missing = vec![seen.address.to_string()];
    missing.extend(seen.alt.filter(|alt| *alt != seen.address).map(ToString::to_string));
    let mut people: Vec<(String, Option<String>)> = Vec::new();
    for row in rows {
        let record = Record::new("contacts", row);
        let (id, address): (String, String) = (record.get("id")?, record.get("address")?);
        missing.retain(|candidate| *candidate != address);
        if !people.iter().any(|(known, _)| *known == id) {
            people.push((id, record.get("push_name")?));
        }
    }
    // The oldest stays: ids sort by time.
    people.sort();
    let mut people = people.into_iter();
    let (id, known) = match people.next() {
        Some((id, name)) => match seen.push_name.filter(|new| name.as_deref() != Some(*new)) {
            Some(new) => {
                rename(connection, &id, new, now).await?;
                (id, Acquaintance::Renamed)
            }
            None => (id, Acquaintance::Known),
        },
        None => (create(connection, instance, seen.push_name, now).await?, Acquaintance::New),
    };
    for (gone, _) in people {
        merge(connection, instance, &id, &gone).await?;
        merge_conversations(connection, (instance, now), &id, &gone).await?;
    }
    for address in missing {
        query(
            "INSERT INTO contact_addresses (instance_id, address, contact_id) VALUES ($1, $2, $3)",
        )
        .bind(instance)
        .bind(address)
        .bind(&id)
        .execute(&mut *connection)
        .await?;
    }
    Ok((id, known))
}

async fn create(
    connection: &mut Connection,
    instance: InstanceId,
    push_name: Option<&str>,
    now: Millis,
) -> Result<String, StorageError> {
    let id = new_id(now).to_string();
    query(
        "INSERT INTO contacts (id, instance_id, push_name, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $4)",
    )
    .bind(&id)
    .bind(instance)
    .bind(push_name)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(id)
}

async fn rename(
    connection: &mut Connection,
    id: &str,
    push_name: &str,
    now: Millis,
) -> Result<(), StorageError> {
    query("UPDATE contacts SET push_name = $2, updated_at = $3 WHERE id = $1")
        .bind(id)
        .bind(push_name)
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Makes one person of two: everything of `gone` becomes `keep`'s.
async fn merge(
    connection: &mut Connection,
    instance: InstanceId,
    keep: &str,
    gone: &str,
) -> Result<(), StorageError> {
    for statement in [
        "UPDATE contact_addresses SET contact_id = $3 WHERE instance_id = $1 AND contact_id = $2",
        "UPDATE messages SET chat_key = $3 WHERE instance_id = $1 AND chat_key = $2",
        "INSERT INTO chats (instance_id, chat_key, address, unread, last_message_at, created_at) \
         SELECT instance_id, $3, address, unread, last_message_at, created_at FROM chats \
         WHERE instance_id = $1 AND chat_key = $2 \
         ON CONFLICT (instance_id, chat_key) DO UPDATE SET \
         unread = chats.unread + excluded.unread, \
         last_message_at = CASE WHEN excluded.last_message_at > chats.last_message_at \
         THEN excluded.last_message_at ELSE chats.last_message_at END",
    ] {
        query(statement).bind(instance).bind(gone).bind(keep).execute(&mut *connection).await?;
    }
    for statement in [
        "DELETE FROM chats WHERE instance_id = $1 AND chat_key = $2",
        "DELETE FROM contacts WHERE instance_id = $1 AND id = $2",
    ] {
        query(statement).bind(instance).bind(gone).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Of two people that turn out to be one, the open conversations become one: the one that a person has
/// stays, else the kept contact's.
async fn merge_conversations(
    connection: &mut Connection,
    (instance, now): (InstanceId, Millis),
    keep: &str,
    gone: &str,
) -> Result<(), StorageError> {
    let rows = query(
        "SELECT id, version, owner, status FROM whatsapp_conversations \
         WHERE instance_id = $1 AND chat_key IN ($2, $3) AND status <> 'expired' \
         ORDER BY CASE WHEN status = 'escalated' THEN 0 WHEN owner = 'human' THEN 1 ELSE 2 END, \
         CASE WHEN chat_key = $2 THEN 0 ELSE 1 END",
    );
    let rows = rows.bind(instance).bind(keep).bind(gone).fetch_all(&mut *connection).await?;
    for row in rows.iter().skip(1) {
        conversations::supersede(connection, row, now).await?;
    }
    query(
        "UPDATE whatsapp_conversations SET chat_key = $3 WHERE instance_id = $1 AND chat_key = $2",
    )
    .bind(instance)
    .bind(gone)
    .bind(keep)
    .execute(connection)
    .await?;
    Ok(())
}

/// A message that a conversation has got.
pub(crate) struct Arrival<'a> {
    pub(crate) instance: InstanceId,
    pub(crate) chat_key: &'a str,
    pub(crate) address: &'a Jid,
    pub(crate) unread: bool,
    pub(crate) at: Millis,
}

/// Moves a conversation up, making it with its first message.
pub(crate) fn touching(arrival: &Arrival<'_>) -> Query {
    query(
        "INSERT INTO chats (instance_id, chat_key, address, unread, last_message_at, created_at) \
         VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (instance_id, chat_key) DO UPDATE SET \
         unread = chats.unread + excluded.unread, \
         last_message_at = CASE WHEN excluded.last_message_at > chats.last_message_at \
         THEN excluded.last_message_at ELSE chats.last_message_at END",
    )
    .bind(arrival.instance)
    .bind(arrival.chat_key)
    .bind(arrival.address.to_string())
    .bind(i64::from(arrival.unread))
    .bind(arrival.at.0)
}
