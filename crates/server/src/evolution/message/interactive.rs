//! Menus and buttons, where WhatsApp still shows them.

use super::{Options, SHORT, TEXT, read, send};
use crate::app::AppState;
use crate::evolution::body::Posted;
use crate::evolution::refusal::Refusal;
use crate::evolution::schema::{Field, Kind, optional, required};
use crate::evolution::{Answer, Held};
use axum::extract::State;
use flowcore_domain::message::{Button, List, ListRow, ListSection};
use flowcore_gateway::{MediaSource, NewButtons, NewContent};
use serde::Deserialize;

const ROW: [Field; 3] =
    [required("title", SHORT), required("rowId", SHORT), optional("description", SHORT)];
const SECTION: [Field; 2] =
    [required("title", SHORT), required("rows", Kind::List(&Kind::Object(&ROW), 1, 100))];
pub(in crate::evolution) const LIST: [Field; 5] = [
    required("title", SHORT),
    optional("description", TEXT),
    required("footerText", SHORT),
    required("buttonText", SHORT),
    required("sections", Kind::List(&Kind::Object(&SECTION), 1, 20)),
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Menu {
    title: String,
    description: Option<String>,
    footer_text: String,
    button_text: String,
    sections: Vec<Section>,
}

#[derive(Debug, Deserialize)]
struct Section {
    title: String,
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    title: String,
    #[serde(rename = "rowId")]
    id: String,
    description: Option<String>,
}

/// `POST /message/sendList/{name}`
pub(in crate::evolution) async fn send_list(
    State(state): State<AppState>,
    held: Held,
    body: Posted,
) -> Answer {
    let (options, own): (Options, Menu) = read(body, &LIST)?;
    let row = |row: Row| ListRow { id: row.id, title: row.title, description: row.description };
    let section = |part: Section| ListSection {
        title: part.title,
        rows: part.rows.into_iter().map(row).collect(),
    };
    let list = List {
        title: own.title,
        description: own.description,
        button: own.button_text,
        footer: Some(own.footer_text).filter(|text| !text.is_empty()),
        sections: own.sections.into_iter().map(section).collect(),
    };
    send(&state, &held, (options, NewContent::List(list))).await
}

const KINDS: [&str; 5] = ["reply", "copy", "url", "call", "pix"];
const PIX_KEYS: [&str; 5] = ["phone", "email", "cpf", "cnpj", "random"];
const BUTTON: [Field; 10] = [
    required("type", Kind::OneOf(&KINDS)),
    optional("displayText", SHORT),
    optional("id", SHORT),
    optional("url", Kind::Text(2048)),
    optional("copyCode", SHORT),
    optional("phoneNumber", Kind::Text(64)),
    optional("currency", Kind::Text(3)),
    optional("name", SHORT),
    optional("keyType", Kind::OneOf(&PIX_KEYS)),
    optional("key", SHORT),
];
pub(in crate::evolution) const BUTTONS: [Field; 5] = [
    optional("title", SHORT),
    optional("description", TEXT),
    optional("footer", SHORT),
    optional("thumbnailUrl", Kind::Text(2048)),
    required("buttons", Kind::List(&Kind::Object(&BUTTON), 1, 10)),
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ButtonsBlock {
    title: Option<String>,
    description: Option<String>,
    footer: Option<String>,
    thumbnail_url: Option<String>,
    buttons: Vec<ButtonBlock>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ButtonBlock {
    r#type: String,
    display_text: Option<String>,
    id: Option<String>,
    url: Option<String>,
    copy_code: Option<String>,
    phone_number: Option<String>,
    currency: Option<String>,
    name: Option<String>,
    key_type: Option<String>,
    key: Option<String>,
}

impl ButtonBlock {
    fn button(self) -> Result<Button, Refusal> {
        let kind = self.r#type;
        let given = |value: Option<String>, field: &str| {
            value.filter(|text| !text.is_empty()).ok_or_else(|| {
                Refusal::bad(format!("A button of the type {kind} requires \"{field}\""))
            })
        };
        Ok(match kind.as_str() {
            "reply" => Button::Reply {
                text: given(self.display_text, "displayText")?,
                id: given(self.id, "id")?,
            },
            "copy" => Button::Copy {
                text: given(self.display_text, "displayText")?,
                code: given(self.copy_code, "copyCode")?,
            },
            "url" => Button::Url {
                text: given(self.display_text, "displayText")?,
                url: given(self.url, "url")?,
            },
            "call" => Button::Call {
                text: given(self.display_text, "displayText")?,
                phone: given(self.phone_number, "phoneNumber")?,
            },
            _ => Button::Pix {
                currency: given(self.currency, "currency")?,
                name: given(self.name, "name")?,
                key_type: pix_key(&given(self.key_type, "keyType")?),
                key: given(self.key, "key")?,
            },
        })
    }
}

fn pix_key(word: &str) -> String {
    if word == "random" { "EVP".to_owned() } else { word.to_ascii_uppercase() }
}

/// What WhatsApp shows together.
fn check(buttons: &[ButtonBlock]) -> Result<(), Refusal> {
    let count = |kind: &str| buttons.iter().filter(|one| one.r#type == kind).count();
    let (replies, pix) = (count("reply"), count("pix"));
    if replies > 3 {
        return Err(Refusal::bad("Maximum of 3 reply buttons allowed"));
    }
    if replies > 0 && replies < buttons.len() {
        return Err(Refusal::bad("Reply buttons cannot be mixed with other types"));
    }
    if pix > 0 && buttons.len() > 1 {
        return Err(Refusal::bad("Only one PIX button is allowed, and no others beside it"));
    }
    Ok(())
}

const CARD: [Field; 5] = [
    optional("title", SHORT),
    required("body", TEXT),
    optional("footer", SHORT),
    optional("imageUrl", Kind::Text(2048)),
    required("buttons", Kind::List(&Kind::Object(&BUTTON), 1, 3)),
];
pub(in crate::evolution) const CAROUSEL: [Field; 2] =
    [required("body", TEXT), required("cards", Kind::List(&Kind::Object(&CARD), 1, 10))];

#[derive(Debug, Deserialize)]
struct Carousel {
    body: String,
    cards: Vec<CardBlock>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CardBlock {
    title: Option<String>,
    body: String,
    footer: Option<String>,
    image_url: Option<String>,
    buttons: Vec<ButtonBlock>,
}

impl CardBlock {
    fn card(self) -> Result<NewButtons, Refusal> {
        let buttons = self.buttons.into_iter().map(ButtonBlock::button);
        Ok(NewButtons {
            title: self.title.unwrap_or_default(),
            description: Some(self.body),
            footer: self.footer,
            image: self.image_url.filter(|url| !url.is_empty()).map(MediaSource::Url),
            buttons: buttons.collect::<Result<_, _>>()?,
        })
    }
}

/// `POST /message/sendCarousel/{name}`, of 2.4.
pub(in crate::evolution) async fn send_carousel(
    State(state): State<AppState>,
    held: Held,
    body: Posted,
) -> Answer {
    let (options, own): (Options, Carousel) = read(body, &CAROUSEL)?;
    let cards = own.cards.into_iter().map(CardBlock::card).collect::<Result<_, _>>()?;
    send(&state, &held, (options, NewContent::Carousel { text: own.body, cards })).await
}

/// `POST /message/sendButtons/{name}`
pub(in crate::evolution) async fn send_buttons(
    State(state): State<AppState>,
    held: Held,
    body: Posted,
) -> Answer {
    let (options, own): (Options, ButtonsBlock) = read(body, &BUTTONS)?;
    check(&own.buttons)?;
    let said =
        [&own.title, &own.description].into_iter().flatten().any(|text| !text.trim().is_empty());
    // A Pix key says itself what it is.
    if !said && own.buttons.iter().any(|one| one.r#type != "pix") {
        return Err(Refusal::bad(
            "\"title\" or \"description\" has to say what the buttons are for",
        ));
    }
    let image = own.thumbnail_url.filter(|url| !url.is_empty()).map(MediaSource::Url);
    let content = NewContent::Buttons(NewButtons {
        title: own.title.unwrap_or_default(),
        description: own.description,
        footer: own.footer,
        image,
        buttons: own.buttons.into_iter().map(ButtonBlock::button).collect::<Result<_, _>>()?,
    });
    send(&state, &held, (options, content)).await
}
