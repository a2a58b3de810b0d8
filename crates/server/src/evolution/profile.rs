//! Profiles and privacy: what others show, and what the owner shows.

use super::body::Posted;
use super::chat::known_name;
use super::message::{FILE, NUMBER, SHORT, TEXT, refused, source};
use super::refusal::Refusal;
use super::schema::{Field, Kind, optional, required};
use super::{Answer, Held, number};
use crate::app::AppState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flowcore_domain::engine::{PrivacyKind, PrivacyValue};
use flowcore_gateway::OwnProfile;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Debug, Deserialize)]
struct Whose {
    number: Option<String>,
}

/// `POST /chat/fetchProfilePictureUrl/{name}`
pub(super) async fn picture_url(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: Whose = body.read(&[NUMBER])?;
    let number = asked.number.unwrap_or_default();
    let people = state.gateway.people();
    let found = people.picture(&held.caller, &held.name, &number::wanted(&number)).await;
    let (jid, url) = found.map_err(|error| refused(error, &number))?;
    Ok((StatusCode::OK, Json(json!({ "wuid": jid, "profilePictureUrl": url }))))
}

pub(super) const ANYBODY: [Field; 1] = [optional("number", Kind::Text(100)).says("Invalid format")];

/// `POST /chat/fetchProfile/{name}`: without a number, the owner's.
pub(super) async fn profile(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: Whose = body.read(&ANYBODY)?;
    let number = asked.number.filter(|text| !text.is_empty());
    let wanted = number.as_deref().map(number::wanted);
    let people = state.gateway.people();
    let found = people.profile(&held.caller, &held.name, wanted.as_deref()).await;
    let person = found.map_err(|error| refused(error, number.as_deref().unwrap_or_default()))?;
    let known = match number {
        Some(_) => known_name(&state, &held, &person.jid).await?,
        None => held.view.profile_name.clone(),
    };
    let business = person.business.as_ref();
    let website = business.and_then(|business| business.websites.first());
    Ok((
        StatusCode::OK,
        Json(json!({
            "wuid": person.jid,
            "name": known.or(person.profile.verified_name.clone()),
            "numberExists": person.exists,
            "picture": person.picture,
            "status": person.profile.about,
            "isBusiness": business.is_some(),
            "email": business.and_then(|business| business.email.as_ref()),
            "description": business.and_then(|business| business.description.as_ref()),
            "website": website,
        })),
    ))
}

/// `POST /chat/fetchBusinessProfile/{name}`
pub(super) async fn business(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: Whose = body.read(&[NUMBER])?;
    let number = asked.number.unwrap_or_default();
    let people = state.gateway.people();
    let found = people.business(&held.caller, &held.name, &number::wanted(&number)).await;
    let (jid, business) = found.map_err(|error| refused(error, &number))?;
    let answer = match business {
        Some(business) => json!({
            "isBusiness": true,
            "wid": jid,
            "description": business.description,
            "email": business.email,
            "website": business.websites,
            "address": business.address,
            "category": business.categories.first(),
        }),
        None => json!({
            "isBusiness": false,
            "message": "Not is business profile",
            "jid": jid,
            "exists": true,
            "number": number,
        }),
    };
    Ok((StatusCode::OK, Json(answer)))
}

fn updated() -> (StatusCode, Json<Value>) {
    (StatusCode::OK, Json(json!({ "update": "success" })))
}

#[derive(Debug, Deserialize)]
struct Name {
    name: String,
}

pub(super) const NAME: [Field; 1] = [required("name", SHORT)];

/// `POST /chat/updateProfileName/{name}`
pub(super) async fn set_name(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: Name = body.read(&NAME)?;
    let own = OwnProfile::Name(asked.name);
    state.gateway.people().set_own(&held.caller, &held.name, &own).await?;
    Ok(updated())
}

#[derive(Debug, Deserialize)]
struct About {
    status: String,
}

pub(super) const ABOUT: [Field; 1] = [required("status", TEXT)];

/// `POST /chat/updateProfileStatus/{name}`
pub(super) async fn set_about(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: About = body.read(&ABOUT)?;
    let own = OwnProfile::About(asked.status);
    state.gateway.people().set_own(&held.caller, &held.name, &own).await?;
    Ok(updated())
}

#[derive(Debug, Deserialize)]
struct Picture {
    picture: String,
}

pub(super) const PICTURE: [Field; 1] = [required("picture", FILE)];

/// `POST /chat/updateProfilePicture/{name}`
pub(super) async fn set_picture(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: Picture = body.read(&PICTURE)?;
    let sentence = "\"profilePicture\" must be a url or a base64";
    let picture = source(Some(asked.picture), None, sentence)?;
    let people = state.gateway.people();
    people.set_own_picture(&held.caller, &held.name, Some(&picture)).await?;
    Ok(updated())
}

/// `DELETE /chat/removeProfilePicture/{name}`
pub(super) async fn remove_picture(State(state): State<AppState>, held: Held) -> Answer {
    state.gateway.people().set_own_picture(&held.caller, &held.name, None).await?;
    Ok(updated())
}

/// `GET /chat/fetchPrivacySettings/{name}`
pub(super) async fn privacy(State(state): State<AppState>, held: Held) -> Answer {
    let now = state.gateway.people().privacy(&held.caller, &held.name).await?;
    Ok((StatusCode::OK, Json(shown_privacy(&now))))
}

fn shown_privacy(settings: &[(PrivacyKind, PrivacyValue)]) -> Value {
    let pair = |(kind, value): &(PrivacyKind, PrivacyValue)| {
        (kind.as_str().to_owned(), json!(value.as_str()))
    };
    Value::Object(settings.iter().map(pair).collect::<Map<_, _>>())
}

const WHO: [&str; 4] = ["all", "contacts", "contact_blacklist", "none"];
pub(super) const PRIVACY: [Field; 6] = [
    required("readreceipts", Kind::OneOf(&["all", "none"])),
    required("profile", Kind::OneOf(&WHO)),
    required("status", Kind::OneOf(&WHO)),
    required("online", Kind::OneOf(&["all", "match_last_seen"])),
    required("last", Kind::OneOf(&WHO)),
    required("groupadd", Kind::OneOf(&WHO)),
];

/// `POST /chat/updatePrivacySettings/{name}`
pub(super) async fn set_privacy(State(state): State<AppState>, held: Held, body: Posted) -> Answer {
    let asked: Map<String, Value> = body.read(&PRIVACY)?;
    let wanted: Vec<_> = PrivacyKind::ALL
        .into_iter()
        .filter_map(|kind| {
            let word = asked.get(kind.as_str())?.as_str()?;
            Some((kind, PrivacyValue::parse(word)?))
        })
        .collect();
    if wanted.len() != PrivacyKind::ALL.len() {
        return Err(Refusal::bad("Error updating privacy settings"));
    }
    let people = state.gateway.people();
    let now = people.set_privacy(&held.caller, &held.name, &wanted).await?;
    let answer = json!({ "update": "success", "data": shown_privacy(&now) });
    Ok((StatusCode::CREATED, Json(answer)))
}
