//! The particulars of what happens around a number, and of edits and deletions.

use super::{address_pair, chain, derived, event, mode};
use flowcore_domain::clock::Millis;
use flowcore_domain::event::{EventKind, NewEvent};
use flowcore_domain::happening::{Call, GroupChange, Happening, Person, PresenceState};
use flowcore_domain::id::{EventId, InstanceId};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::jid::Jid;
use flowcore_domain::message::{MessageChange, Outcome};
use serde_json::{Map, Value, json};

/// A message was edited or taken back. The same change has the same event, however often it comes.
pub(crate) fn changed(id: InstanceId, change: &MessageChange, at: Millis) -> NewEvent {
    let mut key = address_pair("remoteJid", &change.chat, change.chat_alt.as_ref());
    key.insert("fromMe".into(), json!(change.from_me));
    key.insert("id".into(), json!(change.target));
    if change.chat.is_group() {
        key.extend(address_pair("participant", &change.writer, change.writer_alt.as_ref()));
    }
    key.insert("addressingMode".into(), json!(mode(change.addressing)));
    let (kind, data) = match &change.outcome {
        Outcome::Edited(content) => {
            let data = json!({
                "key": key,
                "type": "MESSAGE_EDIT",
                "editedMessage": content,
                "timestampMs": change.timestamp.saturating_mul(1000),
            });
            (EventKind::MessagesEdited, data)
        }
        Outcome::Revoked => {
            key.insert("status".into(), json!("DELETED"));
            (EventKind::MessagesDelete, Value::Object(key))
        }
    };
    let chain = chain(&change.chat, change.chat_alt.as_ref());
    let told = event(id, kind, &chain, at, data);
    NewEvent { id: id_of(id, change), ..told }
}

fn id_of(instance: InstanceId, change: &MessageChange) -> EventId {
    let named = format!("{} {} {} {}", instance.text(), change.chat, change.writer, change.id);
    derived(&named, Millis(change.timestamp.saturating_mul(1000)))
}

/// Something happened around the number.
pub(crate) fn happened(
    (id, name): (InstanceId, &InstanceName),
    happening: &Happening,
    at: Millis,
) -> NewEvent {
    let (kind, chat, data) = match happening {
        Happening::Presence { chat, who, state, last_seen } => {
            let data = present((chat, who), *state, *last_seen);
            (EventKind::PresenceUpdate, phone_first(chat), data)
        }
        Happening::ContactNamed { who, name } => {
            let mut data = pair("remoteJid", who);
            data.insert("pushName".into(), json!(name.as_deref().unwrap_or_default()));
            data.insert("profilePicUrl".into(), Value::Null);
            data.insert("instanceId".into(), json!(id.text()));
            (EventKind::ContactsUpdate, phone_first(who), json!([data]))
        }
        Happening::PictureChanged { who } if who.jid.is_group() => {
            let data = json!([{ "id": who.jid, "pictureUrl": null }]);
            (EventKind::GroupsUpdate, &who.jid, data)
        }
        Happening::PictureChanged { who } => {
            let mut data = pair("remoteJid", who);
            data.insert("profilePicUrl".into(), Value::Null);
            data.insert("instanceId".into(), json!(id.text()));
            (EventKind::ContactsUpdate, phone_first(who), json!([data]))
        }
        Happening::ChatChanged { chat, .. } => {
            let data = json!([{ "remoteJid": chat, "instanceId": id.text() }]);
            (EventKind::ChatsUpdate, chat, data)
        }
        Happening::ChatDeleted { chat } => (EventKind::ChatsDelete, chat, json!([chat])),
        Happening::Call(call) => (EventKind::Call, phone_first(&call.from), called(call)),
        Happening::LabelAssociated { id, chat, added } => {
            let action = if *added { "add" } else { "remove" };
            let data =
                json!({ "instance": name.as_str(), "type": action, "chatId": chat, "labelId": id });
            (EventKind::LabelsAssociation, chat, data)
        }
        Happening::LabelEdited { id: label, name: called, color, deleted, predefined } => {
            let mut data = json!({
                "id": label,
                "name": called.as_deref().unwrap_or_default(),
                "color": color.unwrap_or(0),
                "deleted": deleted,
                "instance": name.as_str(),
            });
            if let Some(predefined) = predefined {
                data["predefinedId"] = json!(predefined.to_string());
            }
            return event(id, EventKind::LabelsEdit, "", at, data);
        }
        Happening::GroupMade { group, subject, by, people } => {
            let people: Vec<Value> = people.iter().map(member).collect();
            let data = json!([{
                "id": group,
                "subject": subject,
                "owner": author(by.as_ref()),
                "size": people.len(),
                "participants": people,
            }]);
            (EventKind::GroupsUpsert, group, data)
        }
        Happening::GroupChanged { group, by, change } => {
            (EventKind::GroupsUpdate, group, regrouped(group, by.as_ref(), change))
        }
        Happening::Participants { group, by, action, people } => {
            let data = json!({
                "id": group,
                "author": author(by.as_ref()),
                "participants": people.iter().map(|one| one.jid.to_string()).collect::<Vec<_>>(),
                "action": action.as_str(),
                "participantsData": people.iter().map(detail).collect::<Vec<_>>(),
            });
            (EventKind::GroupParticipantsUpdate, group, data)
        }
    };
    event(id, kind, &chat.to_string(), at, data)
}

fn present((chat, who): (&Person, &Person), state: PresenceState, seen: Option<Millis>) -> Value {
    let mut presence = json!({ "lastKnownPresence": state.as_str() });
    if let Some(seen) = seen {
        presence["lastSeen"] = json!(seen.seconds());
    }
    let mut data = pair("id", chat);
    let mut presences = Map::new();
    presences.insert(phone_first(who).to_string(), presence);
    data.insert("presences".into(), Value::Object(presences));
    Value::Object(data)
}

fn author(by: Option<&Person>) -> Option<&Jid> {
    by.map(phone_first)
}

fn regrouped(group: &Jid, by: Option<&Person>, change: &GroupChange) -> Value {
    let (field, value) = match change {
        GroupChange::Subject(subject) => ("subject", json!(subject)),
        GroupChange::Description(text) => ("desc", json!(text)),
        GroupChange::Restrict(on) => ("restrict", json!(on)),
        GroupChange::Announce(on) => ("announce", json!(on)),
        GroupChange::Ephemeral(seconds) => ("ephemeralDuration", json!(seconds)),
        GroupChange::Closed(on) => ("memberAddMode", json!(!on)),
    };
    let mut data = json!({ "id": group, "author": author(by) });
    data[field] = value;
    json!([data])
}

fn called(call: &Call) -> Value {
    let mut data = pair("from", &call.from);
    data.insert("chatId".into(), json!(phone_first(&call.from)));
    if let Some(group) = &call.group {
        data.insert("isGroup".into(), json!(true));
        data.insert("groupJid".into(), json!(group));
    }
    data.insert("id".into(), json!(call.id));
    data.insert("date".into(), json!(call.at.rfc3339()));
    data.insert("isVideo".into(), json!(call.video));
    data.insert("status".into(), json!(call.step.as_str()));
    data.insert("offline".into(), json!(call.offline));
    Value::Object(data)
}

fn pair(field: &str, person: &Person) -> Map<String, Value> {
    address_pair(field, &person.jid, person.alt.as_ref())
}

fn member(person: &Person) -> Value {
    Value::Object(pair("id", person))
}

fn detail(person: &Person) -> Value {
    let phone = [Some(&person.jid), person.alt.as_ref()].into_iter().flatten();
    let phone = phone.into_iter().find(|jid| jid.phone().is_some());
    json!({ "jid": person.jid, "phoneNumber": phone, "name": null, "imgUrl": null })
}

/// The phone number where it is known.
fn phone_first(person: &Person) -> &Jid {
    let alt = person.alt.as_ref().filter(|alt| alt.phone().is_some());
    if person.jid.phone().is_some() { &person.jid } else { alt.unwrap_or(&person.jid) }
}

#[cfg(test)]
mod tests;
