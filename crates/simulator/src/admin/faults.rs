//! Faults on request. Some happen now to the sockets that are there, others wait for what comes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use serde::Deserialize;
use serde_json::{Value, json};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::AdminError;
use crate::clock::unix_seconds;
use crate::hub::Hub;
use crate::pairing;
use crate::socket::mailbox::{Mailbox, Outgoing};
use crate::stanza::{SERVER, conflict, not_well_formed, stream_error};
use crate::world::World;
use crate::world::faults::{Fault, FaultKind, Lasts};

const TEMPORARY_BAN: u16 = 402;
const SERVICE_UNAVAILABLE: u16 = 503;
/// How long a socket is stalled when nobody says.
const STALL_SECONDS: f64 = 30.0;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FaultRequest {
    target: String,
    fault: FaultName,
    count: Option<u32>,
    seconds: Option<f64>,
    code: Option<u16>,
    /// What is dirty: `account_sync`, `groups`, `syncd_app_state` or `newsletter_metadata`.
    domain: Option<String>,
    /// Of a temporary ban, in seconds.
    expire: Option<u64>,
    /// Of a stream error: what it holds, instead of a code.
    cause: Option<Cause>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Cause {
    XmlNotWellFormed,
    /// The server says that it was never acked a status.
    Ack,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FaultName {
    Drop,
    Stall,
    HalfOpen,
    DelayAcks,
    Duplicate,
    RefuseLogin,
    RefuseResume,
    StreamError,
    Conflict,
    TempBan,
    Nack,
    CompanionRegRefresh,
    #[serde(rename = "media-410")]
    MediaGone,
    WithholdKey,
    WithholdDevice,
    ExpiredCertificate,
    ServerKey,
    Recycle,
    Dirty,
    RefuseCode,
    RefreshCode,
    Passkey,
    MediaFail,
    MediaCut,
    MediaAuth,
    Reorder,
}

/// Sets a fault; says how many sockets it struck at once.
pub(super) async fn set(
    State(hub): State<Arc<Hub>>,
    Json(request): Json<FaultRequest>,
) -> Result<Json<Value>, AdminError> {
    if request.fault == FaultName::ServerKey {
        hub.change_key();
    }
    let mut world = hub.world();
    let known = request.target == "*"
        || matches!(
            request.fault,
            FaultName::CompanionRegRefresh | FaultName::RefreshCode | FaultName::Passkey
        )
        || world.accounts.contains_key(&request.target);
    if !known {
        return Err(AdminError::new(
            StatusCode::NOT_FOUND,
            "`target` is the number of an account, or *",
        ));
    }
    let struck = strike(&mut world, &request);
    Ok(Json(json!({ "struck": struck })))
}

fn strike(world: &mut World, request: &FaultRequest) -> usize {
    let seconds = request.seconds.unwrap_or(STALL_SECONDS);
    let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO);
    match request.fault {
        FaultName::Drop => {
            let struck = each_socket(world, &request.target, Mailbox::cut);
            if request.count.is_some() || request.seconds.is_some() {
                keep(world, request, FaultKind::Drop);
            }
            struck
        }
        FaultName::Stall => each_socket(world, &request.target, |m| m.stall(time, false)),
        FaultName::HalfOpen => each_socket(world, &request.target, |m| m.stall(time, true)),
        FaultName::StreamError => {
            let error = match request.cause {
                Some(Cause::XmlNotWellFormed) => not_well_formed(),
                Some(Cause::Ack) => {
                    let owed =
                        NodeBuilder::new("ack").attr("class", "status").attr("type", "media");
                    stream_error(None, Some(owed.build()))
                }
                None => stream_error(Some(request.code.unwrap_or(SERVICE_UNAVAILABLE)), None),
            };
            each_socket(world, &request.target, |m| m.post_last(error.clone()))
        }
        FaultName::Conflict => each_socket(world, &request.target, |m| {
            m.post_last(stream_error(None, Some(conflict("replaced"))));
        }),
        FaultName::CompanionRegRefresh => pairing::refresh(world, &request.target),
        FaultName::DelayAcks => keep(world, request, FaultKind::DelayAcks),
        FaultName::Duplicate => keep(world, request, FaultKind::Duplicate),
        FaultName::RefuseLogin | FaultName::TempBan => keep(world, request, FaultKind::RefuseLogin),
        FaultName::RefuseResume => keep(world, request, FaultKind::RefuseResume),
        FaultName::Nack => keep(world, request, FaultKind::Nack),
        FaultName::MediaGone => keep(world, request, FaultKind::MediaGone),
        FaultName::Recycle => each_socket(world, &request.target, |mailbox| {
            mailbox.post_last(NodeBuilder::new("xmlstreamend").build());
        }),
        FaultName::Dirty => {
            let domain = request.domain.as_deref().unwrap_or("syncd_app_state");
            let stanza = dirty(domain);
            each_socket(world, &request.target, |mailbox| {
                mailbox.post(Outgoing::Stanza(stanza.clone()));
            })
        }
        FaultName::ExpiredCertificate => keep(world, request, FaultKind::ExpiredCertificate),
        // The caller has done it.
        FaultName::ServerKey => 0,
        FaultName::WithholdDevice => keep(world, request, FaultKind::WithholdDevice),
        FaultName::WithholdKey => keep(world, request, FaultKind::WithholdKey),
        FaultName::RefuseCode => keep(world, request, FaultKind::RefuseCode),
        FaultName::RefreshCode => pairing::code::refresh(world, &request.target),
        FaultName::Passkey => pairing::challenge(world, &request.target),
        FaultName::MediaFail => keep(world, request, FaultKind::MediaFail),
        FaultName::MediaCut => keep(world, request, FaultKind::MediaCut),
        FaultName::MediaAuth => world.media.expire_auth(&request.target),
        FaultName::Reorder => keep(world, request, FaultKind::Reorder),
    }
}

/// Tells a client that what it knows of a domain is no longer true.
fn dirty(domain: &str) -> Node {
    let dirty =
        NodeBuilder::new("dirty").attr("type", domain).attr("timestamp", unix_seconds()).build();
    NodeBuilder::new("ib").attr("from", SERVER).children([dirty]).build()
}

/// Sets a fault for what comes.
fn keep(world: &mut World, request: &FaultRequest, kind: FaultKind) -> usize {
    let is_ban = request.fault == FaultName::TempBan
        || (kind == FaultKind::RefuseLogin && request.code == Some(TEMPORARY_BAN));
    let reason = request.code.filter(|code| *code != TEMPORARY_BAN).unwrap_or(101);
    world.faults.add(Fault {
        target: request.target.clone(),
        kind,
        code: if is_ban { Some(TEMPORARY_BAN) } else { request.code },
        ban: is_ban.then(|| (reason, request.expire.unwrap_or(3600))),
        lasts: Lasts::of(request.count, request.seconds),
        holds: request.seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    });
    0
}

/// Does something to the sockets of a number, or to all, those that are linking included.
fn each_socket(world: &World, target: &str, act: impl Fn(&Mailbox)) -> usize {
    let linked = world
        .accounts
        .values()
        .filter(|account| target == "*" || account.phone == target)
        .flat_map(|account| account.devices.values())
        .filter_map(|device| device.link.as_ref())
        .map(|link| &link.mailbox);
    let linking =
        world.registrations.values().filter(|_| target == "*").map(|linking| &linking.mailbox);
    linked.chain(linking).map(act).count()
}
