//! Newsletters of the network's people, and of the owners of numbers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AdminError, parse_phone};
use crate::hub::Hub;
use crate::mex;

#[derive(Deserialize)]
pub(super) struct NewNewsletter {
    /// Whose it is.
    owner: String,
    name: String,
    #[serde(default)]
    description: String,
    /// Who follows it, as if each had done so on the phone.
    #[serde(default)]
    followers: Vec<String>,
}

/// Makes one that others follow from the start.
pub(super) async fn make(
    State(hub): State<Arc<Hub>>,
    Json(new): Json<NewNewsletter>,
) -> Result<(StatusCode, Json<Value>), AdminError> {
    let phones = std::iter::once(&new.owner).chain(&new.followers);
    let phones: Vec<String> = phones.map(|phone| parse_phone(phone)).collect::<Result<_, _>>()?;
    let mut world = hub.world();
    if new.name.is_empty() {
        return Err(AdminError::new(StatusCode::UNPROCESSABLE_ENTITY, "a newsletter has a name"));
    }
    if !phones.iter().all(|phone| world.accounts.contains_key(phone)) {
        return Err(AdminError::no_account());
    }
    let id = world.new_newsletter(&phones[0], &new.name, &new.description);
    for follower in &phones[1..] {
        mex::follow(&mut world, follower, &id);
    }
    let made = world.newsletters.get(&id).ok_or_else(AdminError::no_account)?;
    let answer = json!({ "jid": made.jid().to_string(), "inviteCode": made.invite });
    Ok((StatusCode::CREATED, Json(answer)))
}
