//! The server itself: its welcome, whether a key is good, and numbers for Prometheus.

use super::access::Everywhere;
use super::{Answer, access, instance};
use crate::app::AppState;
use crate::client::Arrival;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flowcore_domain::account::Scope;
use flowcore_domain::instance::Status;
use flowcore_gateway::InstanceView;
use serde_json::json;
use std::fmt::Write as _;

/// Whose API the welcome names: clients of that version look for it.
const VERSION: &str = "2.3.7";

/// What Evolution API says at `/`: its clients take it as the health check.
pub(crate) fn welcome(state: &AppState) -> Response {
    let mut body = json!({
        "status": 200,
        "message": "Welcome to the Evolution API, it is working!",
        "version": VERSION,
        "clientName": "flowcore",
        "manager": format!("{}/manager", state.url),
        "documentation": "https://doc.evolution-api.com",
    });
    // Nobody knows it before a number has logged in.
    if let Some(version) = state.gateway.instances().client_version() {
        body["whatsappWebVersion"] = json!(version);
    }
    ([(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")], Json(body)).into_response()
}

/// `POST /verify-creds`
pub(super) async fn verify(_: Everywhere) -> Answer {
    let body = json!({
        "status": 200,
        "message": "Credentials are valid",
        "facebookAppId": null,
        "facebookConfigId": null,
        "facebookUserToken": null,
    });
    Ok((StatusCode::OK, Json(body)))
}

/// Who may read the metrics besides who has a key of the server.
#[derive(Clone, Default)]
pub struct MetricsAccess {
    /// Everybody.
    pub open: bool,
    /// Name and password, by HTTP's basic scheme.
    pub basic: Option<(String, String)>,
}

/// Never shows the password.
impl std::fmt::Debug for MetricsAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricsAccess").field("open", &self.open).finish_non_exhaustive()
    }
}

impl MetricsAccess {
    fn admits(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Basic "));
        let expected = self
            .basic
            .as_ref()
            .map(|(name, password)| STANDARD.encode(format!("{name}:{password}")));
        self.open
            || expected.is_some_and(|expected| {
                given.is_some_and(|given| crate::auth::same_token(given, &expected))
            })
    }
}

/// `GET /metrics`: names of instances are in them, so not for everybody unless the operator says so. The
/// server's own numbers are for its admins.
pub(super) async fn metrics(
    State(state): State<AppState>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
) -> Response {
    let opened = state.evolution.metrics.as_ref();
    let caller = if opened.is_some_and(|opened| opened.admits(&headers)) {
        state.gateway.accounts().admin()
    } else if let Ok(caller) =
        access::recognise(&state, (&headers, &arrival.client), Scope::Read).await
    {
        caller
    } else {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"metrics\"")];
        return (StatusCode::UNAUTHORIZED, challenge, "Authentication required").into_response();
    };
    let mut text = match instance::visible(&state, &caller).await {
        Ok(views) => exposition(&state.url, &views),
        // The server's own numbers say that the store is away.
        Err(_) if caller.is_admin() => String::new(),
        Err(refusal) => return refusal.into_response(),
    };
    if caller.is_admin() {
        text.push_str(&crate::metrics::page(&state).await);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn exposition(url: &str, views: &[InstanceView]) -> String {
    let mut text = String::new();
    let head = |name: &str, help: &str| format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
    text.push_str(&head("evolution_environment_info", "What this server is"));
    let _ = writeln!(
        text,
        "evolution_environment_info{{version=\"{VERSION}\",clientName=\"flowcore\",serverUrl=\"{url}\"}} 1"
    );
    text.push_str(&head("evolution_instances_total", "How many instances there are"));
    let _ = writeln!(text, "evolution_instances_total {}", views.len());
    text.push_str(&head("evolution_instance_up", "1 while connected"));
    for view in views {
        let up = u8::from(view.status == Status::Connected);
        let _ = writeln!(text, "evolution_instance_up{{{}}} {up}", labels(view));
    }
    text.push_str(&head("evolution_instance_state", "What an instance is doing"));
    for view in views {
        let (labels, state) = (labels(view), view.status.evolution());
        let _ = writeln!(text, "evolution_instance_state{{{labels},state=\"{state}\"}} 1");
    }
    text
}

/// Names have no sign that would have to be escaped.
fn labels(view: &InstanceView) -> String {
    format!("instance=\"{}\",integration=\"WHATSAPP-BAILEYS\"", view.name)
}
