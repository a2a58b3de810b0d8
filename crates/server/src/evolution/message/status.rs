//! `/message/sendStatus`: what the owner shows to many for a day.

use super::media::{FILE, source};
use super::{SHORT, TEXT, created};
use crate::app::AppState;
use crate::evolution::body::Upload;
use crate::evolution::refusal::Refusal;
use crate::evolution::schema::{Field, Kind, optional, required};
use crate::evolution::{Answer, Held, number};
use axum::extract::State;
use flowcore_domain::message::MediaKind;
use flowcore_gateway::{Audience, NewMedia, NewStatus, StatusContent};
use serde::Deserialize;

const KINDS: [&str; 4] = ["text", "image", "audio", "video"];
const PERSON: Kind = Kind::Text(100);

pub(in crate::evolution) const STATUS: [Field; 7] = [
    required("type", Kind::OneOf(&KINDS)),
    optional("content", FILE),
    optional("caption", TEXT),
    optional("backgroundColor", SHORT),
    optional("font", Kind::Whole(1, 5)),
    optional("statusJidList", Kind::List(&PERSON, 0, 5000)),
    optional("allContacts", Kind::Flag),
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    r#type: String,
    content: Option<String>,
    caption: Option<String>,
    background_color: Option<String>,
    font: Option<u8>,
    #[serde(rename = "statusJidList")]
    people: Option<Vec<String>>,
    all_contacts: Option<bool>,
}

impl Status {
    fn audience(&self) -> Result<Audience, Refusal> {
        if self.all_contacts == Some(true) {
            return Ok(Audience::Contacts);
        }
        match self.people.as_deref() {
            Some(people) if !people.is_empty() => {
                Ok(Audience::People(people.iter().map(|one| number::wanted(one)).collect()))
            }
            _ => Err(Refusal::bad("StatusJidList is required, or allContacts: true")),
        }
    }

    fn text(self) -> Result<StatusContent, Refusal> {
        let text = self.content.filter(|text| !text.is_empty());
        let color = self.background_color.filter(|color| !color.is_empty());
        let color = color.ok_or_else(|| Refusal::bad("Background color is required"))?;
        Ok(StatusContent::Text {
            text: text.ok_or_else(|| Refusal::bad("Content is required"))?,
            background: argb(&color).ok_or_else(|| {
                Refusal::bad("A background color is written as #RRGGBB or #AARRGGBB")
            })?,
            font: self.font.ok_or_else(|| Refusal::bad("Font is required"))?,
        })
    }
}

/// A colour as pages write it; without its opacity, one that nothing shines through.
fn argb(text: &str) -> Option<u32> {
    let digits = text.trim().trim_start_matches('#');
    let color = u32::from_str_radix(digits, 16).ok()?;
    match digits.len() {
        6 => Some(0xff00_0000 | color),
        8 => Some(color),
        _ => None,
    }
}

/// `POST /message/sendStatus/{name}`
pub(in crate::evolution) async fn send_status(
    State(state): State<AppState>,
    held: Held,
    upload: Upload,
) -> Answer {
    let Upload { body, file, mimetype, room: _room, .. } = upload;
    let own: Status = body.read(&STATUS)?;
    let audience = own.audience()?;
    let kind = match own.r#type.as_str() {
        "image" => Some(MediaKind::Image),
        "video" => Some(MediaKind::Video),
        "audio" => Some(MediaKind::VoiceNote),
        _ => None,
    };
    let content = match kind {
        None => own.text()?,
        Some(kind) => {
            let source = source(own.content, file, "Owned media must be a url or base64")?;
            StatusContent::Media(NewMedia {
                mimetype,
                caption: own.caption.filter(|text| !text.is_empty()),
                ..NewMedia::plain(kind, source)
            })
        }
    };
    let status = NewStatus { content, audience };
    let messages = state.gateway.messages();
    created(&messages.post_status(&held.caller, &held.name, &status).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_as_pages_write_them() {
        assert_eq!(argb("#008000"), Some(0xff00_8000));
        assert_eq!(argb("80008000"), Some(0x8000_8000));
        assert_eq!(argb("green"), None);
        assert_eq!(argb("#08f"), None);
    }
}
