//! The dispatcher that the frontend of the first users calls: one route, six operations, each the route of
//! Evolution's dialect that it was there, in the caller's own name.
//!
//! An operation goes through the router as a request of its own: the same checks, quotas, bodies and notes in
//! the audit log, and no word of that dialect here. Only Bearer counts on these routes; the frontend's
//! anonymous key in `apikey` does not.

use crate::auth::{Authenticated, Forwarded};
use crate::client::Arrival;
use crate::extract::Body;
use crate::problem::Problem;
use crate::request::RequestId;
use crate::surface::{Access, Surface};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json, Router, body};
use flowcore_domain::account::Scope;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// What an operation may answer at most.
const MAX_ANSWER: usize = 1 << 20;

/// The routes of this dialect, in front of those that do the work.
pub(crate) fn routes(surface: Surface, behind: Router) -> Surface {
    surface
        .post(
            "/functions/v1/evolution-api",
            Access::Bearer(Scope::Read),
            async move |authenticated, arrival, id, body| {
                dispatch(behind.clone(), authenticated, (arrival, id), body).await
            },
        )
        .post("/functions/v1/whatsapp-webhook", Access::Open, webhook)
}

/// What came in here is told to the assistant and to webhooks inside the server now.
async fn webhook() -> Response {
    let why = "This function's work is done inside the server now: nothing has to be posted here.";
    answered(StatusCode::GONE, json!({ "success": false, "error": why }))
}

/// `POST /functions/v1/evolution-api`
async fn dispatch(
    behind: Router,
    Authenticated(caller): Authenticated,
    (Extension(arrival), Extension(id)): (Extension<Arrival>, Extension<RequestId>),
    Body { value, .. }: Body<Map<String, Value>>,
) -> Response {
    let mut request = match operation(value) {
        Ok(request) => request,
        Err(why) => {
            return answered(StatusCode::BAD_REQUEST, json!({ "success": false, "error": why }));
        }
    };
    let extensions = request.extensions_mut();
    extensions.insert(Forwarded(caller));
    extensions.insert(arrival);
    extensions.insert(id);
    let Ok(response) = TowerToHyperService::new(behind).call(request).await;
    let status = response.status();
    let Ok(bytes) = body::to_bytes(response.into_body(), MAX_ANSWER).await else {
        return Problem::internal().into_response();
    };
    let data: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    if status.is_success() {
        answered(status, json!({ "success": true, "data": data }))
    } else {
        answered(status, json!({ "success": false, "error": sentence(&data) }))
    }
}

fn answered(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}

/// The request that an operation stands for.
fn operation(mut fields: Map<String, Value>) -> Result<Request, String> {
    let take = |fields: &mut Map<String, Value>, name: &str| match fields.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        _ => Err(format!("{name} is missing.")),
    };
    let operation = take(&mut fields, "operation")?;
    let name = take(&mut fields, "instanceName")?;
    let in_path = encoded(&name);
    let (method, path, body) = match operation.as_str() {
        "CREATE_INSTANCE" => {
            fields.insert("instanceName".to_owned(), name.into());
            fields.entry("qrcode").or_insert(true.into());
            fields.entry("integration").or_insert("WHATSAPP-BAILEYS".into());
            ("POST", "/instance/create".to_owned(), Some(Value::Object(fields)))
        }
        "CONNECT_INSTANCE" => ("GET", format!("/instance/connect/{in_path}"), None),
        "CHECK_STATUS" => ("GET", format!("/instance/connectionState/{in_path}"), None),
        "LOGOUT_INSTANCE" => ("DELETE", format!("/instance/logout/{in_path}"), None),
        "DELETE_INSTANCE" => ("DELETE", format!("/instance/delete/{in_path}"), None),
        "CALL_SETTINGS" => {
            ("POST", format!("/settings/set/{in_path}"), Some(Value::Object(fields)))
        }
        _ => return Err(format!("There is no operation {operation:?}.")),
    };
    let body = body.map_or_else(body::Body::empty, |body| body.to_string().into());
    let request = Request::builder().method(method).uri(path);
    let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
    request.map_err(|error| error.to_string())
}

/// A name as one segment of a path.
fn encoded(name: &str) -> String {
    name.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// The first sentence of a refusal.
fn sentence(body: &Value) -> String {
    let mut message = &body["response"]["message"];
    if message.is_null() {
        message = &body["detail"];
    }
    while let Some(first) = message.as_array().and_then(|all| all.first()) {
        message = first;
    }
    message.as_str().unwrap_or("The operation failed.").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: Value) -> Result<String, String> {
        let Value::Object(fields) = body else { panic!("an object") };
        operation(fields).map(|request| format!("{} {}", request.method(), request.uri()))
    }

    #[test]
    fn an_operation_stays_within_its_route() {
        let status = |name| asked(json!({ "operation": "CHECK_STATUS", "instanceName": name }));
        assert_eq!(status("a.b").as_deref(), Ok("GET /instance/connectionState/a%2Eb"));
        let odd = status("../../delete/x?a=b#c").expect("a request");
        assert!(odd.starts_with("GET /instance/connectionState/%2E%2E%2F"), "{odd}");
        assert!(!odd.contains('?') && !odd.contains('#'));
        assert!(asked(json!({ "operation": "DROP", "instanceName": "a" })).is_err());
        assert!(asked(json!({ "operation": "CHECK_STATUS" })).is_err());
        assert!(asked(json!({ "instanceName": "a" })).is_err());
    }
}
