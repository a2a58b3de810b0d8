//! The content of a message in the shape that events carry: Evolution's names, which are the field
//! names of WhatsApp's protobuf in camel case.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use wacore::proto_helpers::MessageExt;
use waproto::whatsapp as wa;

/// What lists, events and search need of a message.
pub(in crate::web) struct Content {
    /// `{"conversation": …}`, `{"imageMessage": …}`, …
    pub(in crate::web) json: Value,
    /// The name of the field that is set.
    pub(in crate::web) kind: String,
    /// Text or caption.
    pub(in crate::web) text: Option<String>,
    /// Quote and mentions. Those of a file stand in its own field too.
    pub(in crate::web) context: Option<Value>,
}

/// Fields that accompany a message and are not its kind.
const COMPANIONS: [&str; 2] = ["messageContextInfo", "senderKeyDistributionMessage"];

/// The content of a message; `None` when there is nothing in it for people.
pub(in crate::web) fn of(message: &wa::Message) -> Option<Content> {
    shown(message).filter(|content| content.kind != "protocolMessage")
}

/// The content of a message of ours, which always has one.
pub(in crate::web) fn of_own(message: &wa::Message) -> Content {
    shown(message).unwrap_or_else(|| unreadable(None))
}

fn shown(message: &wa::Message) -> Option<Content> {
    let base = message.get_base_message();
    let text = base.text_content().or_else(|| base.get_caption()).map(str::to_owned);
    let Ok(Value::Object(fields)) = serde_json::to_value(base) else {
        return Some(unreadable(text));
    };
    let Value::Object(mut fields) = camel(Value::Object(fields)) else {
        return Some(unreadable(text));
    };
    fields.remove("senderKeyDistributionMessage");
    let beside = flatten_text(&mut fields);
    let kind = fields.keys().find(|key| !COMPANIONS.contains(&key.as_str()))?.clone();
    let within = || fields.get(&kind)?.get("contextInfo").cloned();
    let mut context = beside.or_else(within);
    if let Some(Value::Object(quoted)) =
        context.as_mut().and_then(|one| one.get_mut("quotedMessage"))
    {
        flatten_quoted(quoted);
    }
    Some(Content { json: Value::Object(fields), kind, text, context })
}

/// A message whose JSON could not be made; its protobuf is kept, so nothing is lost.
fn unreadable(text: Option<String>) -> Content {
    Content { json: json!({}), kind: "unknown".into(), text, context: None }
}

/// Extended text is reported as plain text with the quote beside it, as Evolution does.
fn flatten_text(fields: &mut Map<String, Value>) -> Option<Value> {
    let Some(Value::Object(mut extended)) = fields.remove("extendedTextMessage") else {
        return None;
    };
    let context = extended.remove("contextInfo");
    let text = extended.remove("text").unwrap_or_else(|| json!(""));
    // First, so that it is the kind also where other fields accompany it.
    let rest = std::mem::take(fields);
    fields.insert("conversation".into(), text);
    fields.extend(rest);
    context
}

/// What a message quotes is shown as a message of its own is.
fn flatten_quoted(fields: &mut Map<String, Value>) {
    flatten_text(fields);
    if let Some(mut wrapper) = fields.remove("documentWithCaptionMessage") {
        fields.insert("documentMessage".into(), wrapper["message"]["documentMessage"].take());
    }
}

/// Rust's field names to WhatsApp's, without what is not shown, bytes as base64.
fn camel(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(key, value)| is_shown(key, value))
                .map(|(key, value)| one_of(value).unwrap_or_else(|value| (camel_key(&key), value)))
                .map(|(key, value)| (key, camel(value)))
                .collect(),
        ),
        Value::Array(items) => bytes_of(&items).map_or_else(
            || Value::Array(items.into_iter().map(camel).collect()),
            |bytes| Value::String(STANDARD.encode(bytes)),
        ),
        other => other,
    }
}

/// Lists that Evolution shows also when nothing is in them.
const SHOWN_EMPTY: [&str; 2] = ["mentioned_jid", "group_mentions"];

/// What is not set is not shown, nor is a list of nothing.
fn is_shown(key: &str, value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty() || SHOWN_EMPTY.contains(&key),
        _ => true,
    }
}

/// Where one field of several can be set, Rust has an enum under a name of its own: the field that is set
/// stands in its place, as in WhatsApp's messages.
fn one_of(value: Value) -> Result<(String, Value), Value> {
    let is_variant = |fields: &Map<String, Value>| {
        fields.len() == 1 && fields.keys().all(|key| key.starts_with(|c: char| c.is_uppercase()))
    };
    match value {
        Value::Object(mut fields) if is_variant(&fields) => {
            let name = fields.keys().next().cloned().unwrap_or_default();
            let set = fields.remove(&name).unwrap_or_default();
            let mut letters = name.chars();
            let first = letters.next().map(|letter| letter.to_ascii_lowercase());
            Ok((first.into_iter().chain(letters).collect(), set))
        }
        other => Err(other),
    }
}

fn camel_key(key: &str) -> String {
    let mut camel = String::with_capacity(key.len());
    let mut upper = false;
    for c in key.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                camel.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => camel.push(c),
        }
    }
    camel
}

/// Bytes are serialised as lists of small numbers. WhatsApp's messages have no other list of numbers
/// that short values could be mistaken for, but an empty or short list says nothing: left as it is.
fn bytes_of(items: &[Value]) -> Option<Vec<u8>> {
    const SHORTEST: usize = 4;
    if items.len() < SHORTEST {
        return None;
    }
    items.iter().map(|item| item.as_u64().and_then(|n| u8::try_from(n).ok())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use buffa::MessageField;

    #[test]
    fn plain_text() {
        let message = wa::Message { conversation: Some("Oi".into()), ..Default::default() };
        let content = of(&message).expect("content");
        assert_eq!(content.json, json!({"conversation": "Oi"}));
        assert_eq!((content.kind.as_str(), content.text.as_deref()), ("conversation", Some("Oi")));
    }

    #[test]
    fn extended_text_becomes_plain_text_with_its_quote_beside_it() {
        let message = wa::Message {
            extended_text_message: MessageField::some(wa::message::ExtendedTextMessage {
                text: Some("see above".into()),
                context_info: MessageField::some(wa::ContextInfo {
                    stanza_id: Some("3EB0".into()),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let content = of(&message).expect("content");
        assert_eq!(content.kind, "conversation");
        assert_eq!(content.json["conversation"], "see above");
        assert_eq!(content.context.expect("context")["stanzaId"], "3EB0");
    }

    #[test]
    fn the_quote_of_a_file_stands_beside_it_and_what_it_quotes_is_as_it_was_shown() {
        let quoted = wa::Message {
            extended_text_message: MessageField::some(wa::message::ExtendedTextMessage {
                text: Some("How much?".into()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let reply = wa::ContextInfo {
            stanza_id: Some("3EB0".into()),
            quoted_message: MessageField::some(quoted),
            ..Default::default()
        };
        let message = wa::Message {
            audio_message: MessageField::some(wa::message::AudioMessage {
                seconds: Some(3),
                context_info: MessageField::some(reply),
                ..Default::default()
            }),
            ..Default::default()
        };
        let content = of(&message).expect("content");
        let beside = content.context.expect("context");
        assert_eq!(beside["stanzaId"], "3EB0");
        assert_eq!(beside["quotedMessage"], json!({ "conversation": "How much?" }));
        assert_eq!(content.json["audioMessage"]["contextInfo"]["stanzaId"], "3EB0");
        let mut captioned = json!({ "documentWithCaptionMessage": {
            "message": { "documentMessage": { "caption": "the bill" } },
        }});
        flatten_quoted(captioned.as_object_mut().expect("an object"));
        assert_eq!(captioned, json!({ "documentMessage": { "caption": "the bill" } }));
    }

    #[test]
    fn media_keeps_its_fields_with_bytes_as_base64() {
        let message = wa::Message {
            image_message: MessageField::some(wa::message::ImageMessage {
                caption: Some("the menu".into()),
                media_key: Some(vec![1; 32]),
                ..Default::default()
            }),
            ..Default::default()
        };
        let content = of(&message).expect("content");
        assert_eq!(content.kind, "imageMessage");
        assert_eq!(content.text.as_deref(), Some("the menu"));
        assert_eq!(content.json["imageMessage"]["mediaKey"], STANDARD.encode([1; 32]));
    }

    #[test]
    fn the_one_field_that_is_set_stands_where_whatsapp_has_it_and_a_list_of_nothing_nowhere() {
        let rust = json!({ "header": { "media": { "ImageMessage": { "media_key": null } } },
            "interactive_message": { "NativeFlowMessage": { "message_version": 1 } },
            "message_context_info": { "thread_id": [] } });
        let shown = json!({ "header": { "imageMessage": {} },
            "nativeFlowMessage": { "messageVersion": 1 }, "messageContextInfo": {} });
        assert_eq!(camel(rust), shown);
    }

    #[test]
    fn what_is_between_devices_is_no_message() {
        let message = wa::Message {
            protocol_message: MessageField::some(wa::message::ProtocolMessage::default()),
            ..Default::default()
        };
        assert!(of(&message).is_none());
    }
}
