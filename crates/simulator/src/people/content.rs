//! What a received message holds, in the admin API's words.

use serde::Serialize;
use serde_json::{Value, json};
use wacore::download::Downloadable;
use wacore::proto_helpers::MessageExt;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::ProtocolMessage;
use waproto::whatsapp::message::interactive_message::InteractiveMessage as Interactive;
use waproto::whatsapp::message::protocol_message::Type as ProtocolType;

/// The fields that depend on the kind of message.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Content {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) text: Option<String>,
    pub(crate) caption: Option<String>,
    pub(crate) mimetype: Option<String>,
    pub(crate) file_name: Option<String>,
    pub(crate) seconds: Option<u32>,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) reaction: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) edit: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) delete: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) poll: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) vote: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) location: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) contact: Value,
    /// What is shown of the page that a text links to.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) preview: Value,
    /// What can be pressed or chosen.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) choices: Value,
    /// Seconds that messages of this chat live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expiration: Option<u32>,
}

impl Content {
    /// Reads a decrypted message.
    pub(crate) fn of(message: &wa::Message) -> Self {
        let base = message.get_base_message();
        let mut content = described(base);
        content.expiration = message.get_ephemeral_expiration();
        content
    }
}

fn described(base: &wa::Message) -> Content {
    if let Some(protocol) = protocol_of(base) {
        return of_protocol(protocol);
    }
    if let Some(text) = base.text_content() {
        let preview = preview_of(base);
        return Content {
            kind: "text",
            text: Some(text.to_owned()),
            preview,
            ..Content::default()
        };
    }
    if let Some(reaction) = base.reaction_message.as_option() {
        let id = reaction.key.as_option().and_then(|key| key.id.clone());
        let reaction = json!({ "id": id, "emoji": reaction.text.clone().unwrap_or_default() });
        return Content { kind: "reaction", reaction, ..Content::default() };
    }
    of_media(base)
        .or_else(|| of_structure(base))
        .or_else(|| choices_of(base))
        .unwrap_or(Content { kind: "other", ..Content::default() })
}

/// What stands below a text with a link.
fn preview_of(base: &wa::Message) -> Value {
    let extended = base.extended_text_message.as_option();
    let Some(extended) = extended.filter(|extended| extended.matched_text.is_some()) else {
        return Value::Null;
    };
    json!({
        "link": extended.matched_text,
        "title": extended.title,
        "description": extended.description,
        "picture": extended.jpeg_thumbnail.as_ref().is_some_and(|jpeg| jpeg.starts_with(&[0xff, 0xd8])),
    })
}

/// Menus and buttons: what a phone shows of them.
fn choices_of(base: &wa::Message) -> Option<Content> {
    if let Some(list) = base.list_message.as_option() {
        let rows = list.sections.iter().flat_map(|section| &section.rows);
        let rows: Vec<_> = rows.map(|row| json!({ "id": row.row_id, "text": row.title })).collect();
        let text = list.title.clone();
        return Some(Content { kind: "list", text, choices: json!(rows), ..Content::default() });
    }
    let shown = base.interactive_message.as_option()?;
    let text = shown.body.as_option().and_then(|body| body.text.clone());
    let choices = pressable(shown);
    Some(Content { kind: "buttons", text, choices, ..Content::default() })
}

fn pressable(shown: &wa::message::InteractiveMessage) -> Value {
    match &shown.interactive_message {
        Some(Interactive::NativeFlowMessage(flow)) => flow
            .buttons
            .iter()
            .map(|button| json!({ "kind": button.name, "says": button.button_params_json }))
            .collect(),
        Some(Interactive::CarouselMessage(carousel)) => carousel
            .cards
            .iter()
            .map(|card| {
                let text = card.body.as_option().and_then(|body| body.text.clone());
                json!({ "text": text, "choices": pressable(card) })
            })
            .collect(),
        _ => Value::Null,
    }
}

/// The protocol message of an edit is wrapped by some clients, not by others.
fn protocol_of(base: &wa::Message) -> Option<&ProtocolMessage> {
    let wrapped = base.edited_message.as_option().and_then(|edited| edited.message.as_option());
    let inner = wrapped.map_or(base, MessageExt::get_base_message);
    inner.protocol_message.as_option()
}

fn of_protocol(protocol: &ProtocolMessage) -> Content {
    let id = protocol.key.as_option().and_then(|key| key.id.clone());
    match protocol.r#type {
        Some(ProtocolType::REVOKE) => {
            Content { kind: "delete", delete: json!({ "id": id }), ..Content::default() }
        }
        Some(ProtocolType::MESSAGE_EDIT) => {
            let edited = protocol.edited_message.as_option().map(described).unwrap_or_default();
            let text = edited.text.or(edited.caption);
            let edit = json!({ "id": id, "text": text });
            Content { kind: "edit", text, edit, ..Content::default() }
        }
        Some(ProtocolType::EPHEMERAL_SETTING) => Content {
            kind: "ephemeral",
            expiration: protocol.ephemeral_expiration,
            ..Content::default()
        },
        _ => Content { kind: "protocol", ..Content::default() },
    }
}

fn of_media(base: &wa::Message) -> Option<Content> {
    let mut content = Content::default();
    if let Some(image) = base.image_message.as_option() {
        content.kind = "image";
        content.caption.clone_from(&image.caption);
        content.mimetype.clone_from(&image.mimetype);
    } else if let Some(video) =
        base.video_message.as_option().or_else(|| base.ptv_message.as_option())
    {
        content.kind = "video";
        content.caption.clone_from(&video.caption);
        content.mimetype.clone_from(&video.mimetype);
        content.seconds = video.seconds;
    } else if let Some(audio) = base.audio_message.as_option() {
        content.kind = if audio.ptt == Some(true) { "voice" } else { "audio" };
        content.mimetype.clone_from(&audio.mimetype);
        content.seconds = audio.seconds;
    } else if let Some(document) = document_of(base) {
        content.kind = "document";
        content.caption.clone_from(&document.caption);
        content.mimetype.clone_from(&document.mimetype);
        content.file_name.clone_from(&document.file_name);
    } else if let Some(sticker) = base.sticker_message.as_option() {
        content.kind = "sticker";
        content.mimetype.clone_from(&sticker.mimetype);
    } else {
        return None;
    }
    Some(content)
}

fn document_of(base: &wa::Message) -> Option<&wa::message::DocumentMessage> {
    let wrapper = base.document_with_caption_message.as_option();
    let inner = wrapper.and_then(|wrapper| wrapper.message.as_option()).unwrap_or(base);
    inner.document_message.as_option()
}

/// What can be downloaded of a message, with the key that opens it.
pub(crate) fn downloadable(message: &wa::Message) -> Option<&dyn Downloadable> {
    let base = message.get_base_message();
    if let Some(image) = base.image_message.as_option() {
        return Some(image);
    }
    if let Some(video) = base.video_message.as_option().or_else(|| base.ptv_message.as_option()) {
        return Some(video);
    }
    if let Some(audio) = base.audio_message.as_option() {
        return Some(audio);
    }
    if let Some(document) = document_of(base) {
        return Some(document);
    }
    base.sticker_message.as_option().map(|sticker| sticker as &dyn Downloadable)
}

fn of_structure(base: &wa::Message) -> Option<Content> {
    if let Some(poll) = poll_of(base) {
        let options: Vec<&str> =
            poll.options.iter().filter_map(|option| option.option_name.as_deref()).collect();
        let poll = json!({
            "name": poll.name,
            "options": options,
            "selectable": poll.selectable_options_count.unwrap_or(0),
        });
        return Some(Content { kind: "poll", poll, ..Content::default() });
    }
    if let Some(update) = base.poll_update_message.as_option() {
        let id = update.poll_creation_message_key.as_option().and_then(|key| key.id.clone());
        // The options follow when the vote is opened.
        return Some(Content { kind: "vote", vote: json!({ "id": id }), ..Content::default() });
    }
    if let Some(location) = base.location_message.as_option() {
        let location = json!({
            "latitude": location.degrees_latitude,
            "longitude": location.degrees_longitude,
            "name": location.name,
            "address": location.address,
        });
        return Some(Content { kind: "location", location, ..Content::default() });
    }
    if let Some(card) = base.contact_message.as_option() {
        let contact = json!({ "name": card.display_name, "vcard": card.vcard });
        return Some(Content { kind: "contact", contact, ..Content::default() });
    }
    if let Some(cards) = base.contacts_array_message.as_option() {
        let list: Vec<Value> = cards
            .contacts
            .iter()
            .map(|card| json!({ "name": card.display_name, "vcard": card.vcard }))
            .collect();
        let contact = json!({ "name": cards.display_name, "contacts": list });
        return Some(Content { kind: "contact", contact, ..Content::default() });
    }
    None
}

/// A poll's question and options, whichever version carries them.
pub(super) fn poll_of(base: &wa::Message) -> Option<&wa::message::PollCreationMessage> {
    base.poll_creation_message
        .as_option()
        .or_else(|| base.poll_creation_message_v2.as_option())
        .or_else(|| base.poll_creation_message_v3.as_option())
}
