//! Menus and buttons, in the forms that phones still show.

use super::media;
use buffa::MessageField;
use flowcore_domain::engine::EngineError;
use flowcore_domain::message::{Button, Buttons, List};
use serde_json::{Value, json};
use waproto::whatsapp as wa;
use waproto::whatsapp::message as kinds;
use waproto::whatsapp::message::interactive_message::native_flow_message::NativeFlowButton;
use waproto::whatsapp::message::interactive_message::{
    Body, CarouselMessage, Footer, Header, InteractiveMessage as Flow, NativeFlowMessage, header,
};
use waproto::whatsapp::message::list_message::{ListType, Row, Section};

/// A menu that opens.
pub(super) fn list(list: &List) -> wa::Message {
    let sections = list.sections.iter().map(|section| Section {
        title: Some(section.title.clone()),
        rows: section
            .rows
            .iter()
            .map(|row| Row {
                title: Some(row.title.clone()),
                description: row.description.clone(),
                row_id: Some(row.id.clone()),
            })
            .collect(),
    });
    let message = kinds::ListMessage {
        title: Some(list.title.clone()),
        description: list.description.clone(),
        button_text: Some(list.button.clone()),
        footer_text: list.footer.clone(),
        list_type: Some(ListType::SINGLE_SELECT),
        sections: sections.collect(),
        ..Default::default()
    };
    wa::Message { list_message: MessageField::some(message), ..Default::default() }
}

/// A text with buttons.
pub(super) fn message(given: &Buttons) -> Result<wa::Message, EngineError> {
    Ok(wrapped(interactive(given)?))
}

/// Cards with buttons, side by side below a text.
pub(super) fn carousel(text: &str, cards: &[Buttons]) -> Result<wa::Message, EngineError> {
    if cards.is_empty() {
        return Err(EngineError::Invalid("a carousel has at least one card".into()));
    }
    let shown = CarouselMessage {
        cards: cards.iter().map(interactive).collect::<Result<_, _>>()?,
        message_version: Some(1),
        ..Default::default()
    };
    Ok(wrapped(kinds::InteractiveMessage {
        body: MessageField::some(Body { text: Some(text.to_owned()) }),
        interactive_message: Some(Flow::CarouselMessage(Box::new(shown))),
        ..Default::default()
    }))
}

fn wrapped(message: kinds::InteractiveMessage) -> wa::Message {
    wa::Message { interactive_message: MessageField::some(message), ..Default::default() }
}

fn interactive(given: &Buttons) -> Result<kinds::InteractiveMessage, EngineError> {
    if given.buttons.is_empty() {
        return Err(EngineError::Invalid("a message with buttons has at least one".into()));
    }
    let text = match (given.title.is_empty(), &given.description) {
        (true, description) => description.clone().unwrap_or_default(),
        (false, Some(description)) => format!("*{}*\n\n{description}", given.title),
        (false, None) => format!("*{}*", given.title),
    };
    let header = given.image.as_ref().map(|image| Header {
        has_media_attachment: Some(true),
        media: Some(header::Media::ImageMessage(Box::new(media::image(image)))),
        ..Default::default()
    });
    let flow = NativeFlowMessage {
        buttons: given.buttons.iter().map(button).collect(),
        message_params_json: Some("{}".into()),
        message_version: Some(1),
    };
    Ok(kinds::InteractiveMessage {
        header: header.into(),
        body: MessageField::some(Body { text: Some(text) }),
        footer: given
            .footer
            .as_ref()
            .map(|text| Footer { text: Some(text.clone()), ..Default::default() })
            .into(),
        interactive_message: Some(Flow::NativeFlowMessage(Box::new(flow))),
        ..Default::default()
    })
}

fn button(button: &Button) -> NativeFlowButton {
    let (name, params) = match button {
        Button::Reply { text, id } => ("quick_reply", json!({ "display_text": text, "id": id })),
        Button::Copy { text, code } => {
            ("cta_copy", json!({ "display_text": text, "copy_code": code }))
        }
        Button::Url { text, url } => {
            ("cta_url", json!({ "display_text": text, "url": url, "merchant_url": url }))
        }
        Button::Call { text, phone } => {
            ("cta_call", json!({ "display_text": text, "phone_number": phone }))
        }
        Button::Pix { currency, name, key_type, key } => {
            ("payment_info", pix(currency, name, key_type, key))
        }
    };
    NativeFlowButton { name: Some(name.into()), button_params_json: Some(params.to_string()) }
}

/// A payment of nothing that only carries the key to pay to.
fn pix(currency: &str, name: &str, key_type: &str, key: &str) -> Value {
    json!({
        "currency": currency,
        "total_amount": { "value": 0, "offset": 100 },
        "reference_id": key,
        "type": "physical-goods",
        "order": {
            "status": "pending",
            "subtotal": { "value": 0, "offset": 100 },
            "order_type": "ORDER",
            "items": [{
                "name": "", "amount": { "value": 0, "offset": 100 }, "quantity": 0,
                "sale_amount": { "value": 0, "offset": 100 },
            }],
        },
        "payment_settings": [{
            "type": "pix_static_code",
            "pix_static_code": { "merchant_name": name, "key": key, "key_type": key_type },
        }],
        "share_payment_status": false,
    })
}
