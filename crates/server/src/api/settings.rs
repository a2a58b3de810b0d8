//! What an instance's owner can set.

use crate::app::AppState;
use crate::auth::Authenticated;
use crate::extract::{Body, OfInstance};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use flowcore_gateway::Retention;
use serde::{Deserialize, Serialize};

/// A century of days, and more messages than a number sees in one.
const MOST_DAYS: u32 = 36_500;
const MOST_MESSAGES: u32 = 1_000_000_000;

#[derive(Debug, Serialize)]
pub(crate) struct Settings {
    history: History,
}

/// How much is kept; null keeps everything.
#[derive(Debug, Serialize)]
struct History {
    days: Option<u32>,
    messages: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsPatch {
    history: Option<HistoryPatch>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HistoryPatch {
    days: Limit,
    messages: Limit,
}

/// A limit as a patch gives it: null lifts it, and what is left out stays.
#[derive(Debug, Clone, Copy, Default)]
enum Limit {
    #[default]
    Unchanged,
    Lifted,
    At(u32),
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: serde::Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(value)?.map_or(Self::Lifted, Self::At))
    }
}

/// `GET /api/instances/{name}/settings`
pub(crate) async fn get(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
) -> Result<Json<Settings>, Problem> {
    Ok(shown(state.gateway.instances().history(&caller, &name).await?))
}

/// `PATCH /api/instances/{name}/settings`: what is not named stays as it is.
pub(crate) async fn update(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    OfInstance(name): OfInstance,
    Body { value, .. }: Body<SettingsPatch>,
) -> Result<Json<Settings>, Problem> {
    let instances = state.gateway.instances();
    let mut kept = instances.history(&caller, &name).await?;
    if let Some(patch) = value.history {
        kept.days = limited("history.days", patch.days, kept.days, MOST_DAYS)?;
        kept.messages = limited("history.messages", patch.messages, kept.messages, MOST_MESSAGES)?;
        instances.set_history(&caller, &name, kept).await?;
    }
    Ok(shown(kept))
}

fn limited(field: &str, new: Limit, old: Option<u32>, most: u32) -> Result<Option<u32>, Problem> {
    match new {
        Limit::Unchanged => Ok(old),
        Limit::Lifted => Ok(None),
        Limit::At(number) if (1..=most).contains(&number) => Ok(Some(number)),
        Limit::At(_) => {
            let rule = format!("{field} is a number from 1 to {most}, or null to keep everything");
            Err(Problem::field("invalid_settings", "The settings do not fit", field, rule))
        }
    }
}

fn shown(kept: Retention) -> Json<Settings> {
    Json(Settings { history: History { days: kept.days, messages: kept.messages } })
}
