//! What Evolution has and this server has not yet: never a false success, and a sentence instead of a 404.

use super::Answer;
use super::access::Access;
use super::refusal::Refusal;
use crate::app::AppState;
use crate::surface::{self, Surface};
use axum::extract::{OriginalUri, State};
use flowcore_domain::account::Scope;

/// The groups, by the first part of their paths.
const GROUPS: [&str; 18] = [
    "typebot",
    "dify",
    "flowise",
    "n8n",
    "evolutionBot",
    "evoai",
    "openai",
    "chatwoot",
    "rabbitmq",
    "sqs",
    "nats",
    "kafka",
    "pusher",
    "s3",
    "template",
    "business",
    "baileys",
    "call",
];

/// The same as routes, and single ones of groups that are served otherwise.
const ROUTES: [&str; 19] = [
    "/typebot/{*rest}",
    "/dify/{*rest}",
    "/flowise/{*rest}",
    "/n8n/{*rest}",
    "/evolutionBot/{*rest}",
    "/evoai/{*rest}",
    "/openai/{*rest}",
    "/chatwoot/{*rest}",
    "/rabbitmq/{*rest}",
    "/sqs/{*rest}",
    "/nats/{*rest}",
    "/kafka/{*rest}",
    "/pusher/{*rest}",
    "/s3/{*rest}",
    "/template/{*rest}",
    "/business/{*rest}",
    "/baileys/{*rest}",
    "/call/{*rest}",
    "/message/sendTemplate/{name}",
];

/// Where other channels would post to; who does has no key.
const CHANNELS: [&str; 2] = ["/webhook/meta", "/webhook/evolution"];

pub(super) fn is_group(first: &str) -> bool {
    GROUPS.contains(&first)
}

pub(super) fn routes(surface: Surface) -> Surface {
    let access = surface::Access::Evolution(Scope::Read);
    let guarded = ROUTES.iter().fold(surface, |surface, path| surface.any(path, access, refuse));
    CHANNELS.iter().fold(guarded, |surface, path| {
        surface.any(path, surface::Access::Open, async || refusal("channel"))
    })
}

/// The sentence about a group.
pub(super) fn refusal(group: &str) -> Refusal {
    Refusal::bad(format!(
        "\"{group}\" is not served by this server. Nothing was done; see docs/api.md for what is."
    ))
}

/// For who has a key and an instance; everybody else is told what they are told everywhere.
pub(super) async fn refuse(
    State(state): State<AppState>,
    access: Access,
    OriginalUri(uri): OriginalUri,
) -> Answer {
    let path = uri.path();
    let group = path.split('/').nth(1).unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    access.instance(&state, name).await?;
    Err(refusal(if group == "message" {
        path.split('/').nth(2).unwrap_or_default()
    } else {
        group
    }))
}
