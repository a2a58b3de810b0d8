//! Drafts made into WhatsApp's protobuf. No I/O; the only randomness is the secret of a poll.

mod buttons;
mod media;

use super::translate::{content, wire_address};
use buffa::MessageField;
use flowcore_domain::engine::EngineError;
use flowcore_domain::jid::Jid;
use flowcore_domain::message::{
    Composed, ContactCard, Content, Draft, GroupInvite, LinkPreview, MessageKey,
};
use serde_json::json;
use wacore::proto_helpers::{
    MessageExt as _, build_quote_context_with_info, build_reaction_message,
};
use waproto::whatsapp as wa;
use waproto::whatsapp::message as kinds;
use waproto::whatsapp::message::extended_text_message::FontType;
use waproto::whatsapp::message::protocol_message::Type;

/// How long an invitation that we send is good for.
const INVITE_FOR: i64 = 3 * 24 * 3600;
/// Length of the secret that votes of a poll are encrypted with.
const POLL_SECRET: usize = 32;

/// The message that a draft asks for. `own` is how the owner is known in the conversation.
pub(super) fn of(draft: &Draft, own: Option<&Jid>) -> Result<Composed, EngineError> {
    if let (Content::Text { text, preview: None }, None, true) =
        (&draft.content, &draft.quoted, draft.mentions.is_empty())
    {
        return Ok(plain(text));
    }
    let context = context(draft)?;
    let message = message(draft, own, context)?;
    Ok(composed(&message))
}

/// By far the most messages: no detour.
fn plain(text: &str) -> Composed {
    let message = wa::Message { conversation: Some(text.to_owned()), ..Default::default() };
    Composed {
        proto: waproto::codec::message_to_vec(&message).into(),
        content: json!({ "conversation": text }),
        kind: "conversation".into(),
        text: Some(text.to_owned()),
        context: None,
    }
}

fn composed(message: &wa::Message) -> Composed {
    let shown = content::of_own(message);
    Composed {
        proto: waproto::codec::message_to_vec(message).into(),
        content: shown.json,
        kind: shown.kind,
        text: shown.text,
        context: shown.context,
    }
}

/// A stored protobuf.
pub(super) fn stored(proto: &[u8]) -> Result<wa::Message, EngineError> {
    waproto::codec::message_decode(proto)
        .map_err(|error| EngineError::Failed(format!("a stored message can't be read: {error}")))
}

fn context(draft: &Draft) -> Result<Option<wa::ContextInfo>, EngineError> {
    let mut context = None;
    if let Some(quoted) = &draft.quoted {
        let key = &quoted.key;
        let writer = wire_address(key.participant.as_ref().unwrap_or(&key.chat));
        let (from, to) = (wire_address(&key.chat), wire_address(&draft.to));
        let message = stored(&quoted.proto)?;
        context = Some(build_quote_context_with_info(&*key.id, &writer, &from, &to, &message));
    }
    if !draft.mentions.is_empty() {
        let context = context.get_or_insert_with(wa::ContextInfo::default);
        context.mentioned_jid = draft.mentions.iter().map(ToString::to_string).collect();
    }
    Ok(context)
}

fn message(
    draft: &Draft,
    own: Option<&Jid>,
    context: Option<wa::ContextInfo>,
) -> Result<wa::Message, EngineError> {
    let mut message = match &draft.content {
        Content::Text { text, preview } => extended(text, preview.as_ref()),
        Content::Media(media) => media::message(media),
        Content::Location { .. } => location(&draft.content),
        Content::Contacts(cards) => contacts(cards)?,
        Content::Reaction { key, emoji } => {
            build_reaction_message(wire_key(key, own), emoji, wacore::time::now_millis())
        }
        Content::Poll { name, options, selectable } => poll(name, options, *selectable),
        Content::List(list) => buttons::list(list),
        Content::Buttons(given) => buttons::message(given)?,
        Content::Carousel { text, cards } => buttons::carousel(text, cards)?,
        Content::StatusText { text, background, font } => status(text, *background, *font),
        Content::Edit { key, text } => edit(wire_key(key, own), text),
        Content::Revoke { key } => revoke(wire_key(key, own)),
        Content::Forward(proto) => forward(proto)?,
        Content::GroupInvite(invite) => group_invite(invite),
    };
    if let Some(context) = context {
        // Reactions, edits and the like have no place for it and are never asked for with one.
        message.set_context_info(context);
    }
    Ok(message)
}

fn extended(text: &str, preview: Option<&LinkPreview>) -> wa::Message {
    let mut extended =
        kinds::ExtendedTextMessage { text: Some(text.to_owned()), ..Default::default() };
    if let Some(preview) = preview {
        extended.matched_text = Some(preview.matched.clone());
        extended.title = Some(preview.title.clone());
        extended.description.clone_from(&preview.description);
        extended.jpeg_thumbnail = preview.thumbnail.as_ref().map(|jpeg| jpeg.to_vec());
    }
    wa::Message { extended_text_message: MessageField::some(extended), ..Default::default() }
}

fn status(text: &str, background: u32, font: u8) -> wa::Message {
    let font = match font {
        1 => FontType::SYSTEM_TEXT,
        2 => FontType::FB_SCRIPT,
        3 => FontType::SYSTEM_BOLD,
        4 => FontType::MORNINGBREEZE_REGULAR,
        5 => FontType::CALISTOGA_REGULAR,
        _ => FontType::SYSTEM,
    };
    let extended = kinds::ExtendedTextMessage {
        text: Some(text.to_owned()),
        background_argb: Some(background),
        font: Some(font),
        ..Default::default()
    };
    wa::Message { extended_text_message: MessageField::some(extended), ..Default::default() }
}

fn location(content: &Content) -> wa::Message {
    let Content::Location { latitude, longitude, name, address } = content else {
        return wa::Message::default();
    };
    let location = kinds::LocationMessage {
        degrees_latitude: Some(*latitude),
        degrees_longitude: Some(*longitude),
        name: name.clone(),
        address: address.clone(),
        ..Default::default()
    };
    wa::Message { location_message: MessageField::some(location), ..Default::default() }
}

fn card(card: &ContactCard) -> kinds::ContactMessage {
    kinds::ContactMessage {
        display_name: Some(card.full_name.clone()),
        vcard: Some(card.vcard()),
        ..Default::default()
    }
}

fn contacts(cards: &[ContactCard]) -> Result<wa::Message, EngineError> {
    match cards {
        [] => Err(EngineError::Invalid("a message of contacts has at least one".into())),
        [one] => {
            Ok(wa::Message { contact_message: MessageField::some(card(one)), ..Default::default() })
        }
        several => {
            let array = kinds::ContactsArrayMessage {
                display_name: Some(format!("{} contacts", several.len())),
                contacts: several.iter().map(card).collect(),
                ..Default::default()
            };
            Ok(wa::Message {
                contacts_array_message: MessageField::some(array),
                ..Default::default()
            })
        }
    }
}

/// Newer phones read single choices from the third version of polls.
fn poll(name: &str, options: &[String], selectable: u32) -> wa::Message {
    let option = |text: &String| kinds::poll_creation_message::Option {
        option_name: Some(text.clone()),
        ..Default::default()
    };
    let poll = kinds::PollCreationMessage {
        name: Some(name.to_owned()),
        options: options.iter().map(option).collect(),
        selectable_options_count: Some(selectable),
        ..Default::default()
    };
    let secret: [u8; POLL_SECRET] = rand::random();
    let context =
        wa::MessageContextInfo { message_secret: Some(secret.to_vec()), ..Default::default() };
    let mut message =
        wa::Message { message_context_info: MessageField::some(context), ..Default::default() };
    let place = if selectable == 1 {
        &mut message.poll_creation_message_v3
    } else {
        &mut message.poll_creation_message
    };
    *place = MessageField::some(poll);
    message
}

/// The key of a message as its readers know it. In groups our own address is part of it.
fn wire_key(key: &MessageKey, own: Option<&Jid>) -> wa::MessageKey {
    let in_group = key.chat.is_group();
    let own = own.filter(|_| in_group && key.from_me);
    wa::MessageKey {
        remote_jid: Some(key.chat.to_string()),
        from_me: Some(key.from_me),
        id: Some(key.id.clone()),
        participant: own.or(key.participant.as_ref().filter(|_| !key.from_me)).map(Jid::to_string),
    }
}

fn edit(key: wa::MessageKey, text: &str) -> wa::Message {
    let now = wa::Message { conversation: Some(text.to_owned()), ..Default::default() };
    let protocol = kinds::ProtocolMessage {
        key: MessageField::some(key),
        r#type: Some(Type::MESSAGE_EDIT),
        edited_message: MessageField::some(now),
        timestamp_ms: Some(wacore::time::now_millis()),
        ..Default::default()
    };
    wa::Message { protocol_message: MessageField::some(protocol), ..Default::default() }
}

fn revoke(key: wa::MessageKey) -> wa::Message {
    let key =
        if key.from_me == Some(true) { wa::MessageKey { participant: None, ..key } } else { key };
    let protocol = kinds::ProtocolMessage {
        key: MessageField::some(key),
        r#type: Some(Type::REVOKE),
        ..Default::default()
    };
    wa::Message { protocol_message: MessageField::some(protocol), ..Default::default() }
}

/// A copy without the quote of the original; its file stays where it is.
fn forward(proto: &[u8]) -> Result<wa::Message, EngineError> {
    let original = stored(proto)?;
    Ok(*original.get_base_message().prepare_for_forward())
}

fn group_invite(invite: &GroupInvite) -> wa::Message {
    let invite = kinds::GroupInviteMessage {
        group_jid: Some(invite.group.to_string()),
        invite_code: Some(invite.code.clone()),
        invite_expiration: Some(wacore::time::now_millis() / 1000 + INVITE_FOR),
        group_name: Some(invite.subject.clone()),
        caption: invite.caption.clone(),
        ..Default::default()
    };
    wa::Message { group_invite_message: MessageField::some(invite), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowcore_domain::message::Quoted;

    fn jid(text: &str) -> Jid {
        text.parse().expect("an address")
    }

    fn made(draft: &Draft) -> (Composed, wa::Message) {
        let composed = of(draft, None).expect("composed");
        let message = stored(&composed.proto).expect("a message");
        (composed, message)
    }

    #[test]
    fn a_plain_text_is_a_conversation() {
        let text = Content::Text { text: "Oi".into(), preview: None };
        let (composed, message) = made(&Draft::plain(jid("5511@s.whatsapp.net"), text));
        assert_eq!(message.conversation.as_deref(), Some("Oi"));
        assert_eq!(composed.content, json!({ "conversation": "Oi" }));
    }

    #[test]
    fn a_quote_and_mentions_travel_beside_the_text() {
        let to = jid("1203@g.us");
        let text = Content::Text { text: "@5511 yes".into(), preview: None };
        let mut draft = Draft::plain(to.clone(), text);
        draft.mentions = vec![jid("5511@s.whatsapp.net")];
        let key = MessageKey {
            chat: to,
            from_me: false,
            id: "3A".into(),
            participant: Some(jid("77@lid")),
        };
        draft.quoted = Some(Quoted { key, proto: plain("two?").proto });
        let (composed, message) = made(&draft);
        let extended = message.extended_text_message.as_option().expect("extended");
        let context = extended.context_info.as_option().expect("context");
        assert_eq!(context.stanza_id.as_deref(), Some("3A"));
        assert_eq!(context.participant.as_deref(), Some("77@lid"));
        assert_eq!(context.mentioned_jid, ["5511@s.whatsapp.net"]);
        assert_eq!(composed.kind, "conversation");
        assert_eq!(composed.context.expect("context")["stanzaId"], "3A");
    }

    #[test]
    fn a_poll_has_a_secret_of_its_own() {
        let poll = || Content::Poll {
            name: "When?".into(),
            options: vec!["now".into(), "later".into()],
            selectable: 1,
        };
        let secret = || {
            let (composed, message) = made(&Draft::plain(jid("5511@s.whatsapp.net"), poll()));
            assert_eq!(composed.kind, "pollCreationMessageV3");
            let context = message.message_context_info.into_option().expect("context");
            context.message_secret.expect("a secret")
        };
        assert_ne!(secret(), secret());
    }

    #[test]
    fn a_message_is_taken_back_by_its_key() {
        let key = MessageKey {
            chat: jid("5511@s.whatsapp.net"),
            from_me: true,
            id: "3EB0".into(),
            participant: None,
        };
        let (composed, message) =
            made(&Draft::plain(jid("5511@s.whatsapp.net"), Content::Revoke { key }));
        let protocol = message.protocol_message.as_option().expect("protocol");
        assert_eq!(protocol.r#type, Some(Type::REVOKE));
        assert_eq!(composed.kind, "protocolMessage");
        assert_eq!(composed.content["protocolMessage"]["key"]["id"], "3EB0");
    }
}
