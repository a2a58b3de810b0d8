//! Errors as the API tells them: RFC 9457 with a stable `code`, and a sentence that says what to do.
//!
//! [`Problem`] is what handlers return. `problem::service` is the one table from the services' errors to
//! problems; each row has a snapshot. [`finish`] puts in what only the outside knows (path, request id)
//! and gives browsers a page instead of JSON.

mod account;
mod assistant;
mod service;
mod support;

pub(crate) use service::idempotency_conflict;

use crate::request::RequestId;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Where errors have the shape that the frontend of the first users reads.
const FUNCTIONS: &str = "/functions/v1/";

/// One field of the request that has to change.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct FieldError {
    pub(crate) field: String,
    pub(crate) message: String,
}

/// An answer that is not what the caller wanted.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: Cow<'static, str>,
    pub(crate) title: &'static str,
    pub(crate) detail: String,
    pub(crate) errors: Vec<FieldError>,
    pub(crate) retry_after: Option<u32>,
    /// Members of its own, after those that every problem has.
    pub(crate) more: Option<Box<Map<String, Value>>>,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            title,
            detail: detail.into(),
            errors: vec![],
            retry_after: None,
            more: None,
        }
    }

    /// 422 with the one field that is wrong.
    pub(crate) fn field(
        code: &'static str,
        title: &'static str,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let message = message.into();
        let mut problem =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, title, sentence(&message));
        problem.errors.push(FieldError { field: field.into(), message });
        problem
    }

    pub(crate) fn unauthorized(detail: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Who are you?", detail)
    }

    pub(crate) fn not_found() -> Self {
        let detail =
            "There is nothing at this address. Check the path against the API's reference.";
        Self::new(StatusCode::NOT_FOUND, "not_found", "No such page or route", detail)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let detail =
            "This address exists, but not for this method; the Allow header names those it has.";
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::new(status, "method_not_allowed", "Wrong method", detail)
    }

    /// 500. The cause goes to the log, with the request id; the caller gets only the id.
    pub(crate) fn internal() -> Self {
        let detail = "Something failed on this server. Try again; if it stays, give the operator the \
                      request id, which is in the logs.";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(status, "internal", "Internal error", detail)
    }

    /// 429 with the seconds to wait.
    pub(crate) fn rate_limited(wait: u32) -> Self {
        let mut problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            "Too many requests",
            format!("Wait {wait} seconds and try again; the RateLimit headers tell what is left."),
        );
        problem.retry_after = Some(wait);
        problem
    }

    /// 503 while the server goes down: another try finds the next one.
    pub(crate) fn stopping() -> Self {
        let mut problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            "The server is stopping",
            "The server stops or restarts. Try again in a few seconds.",
        );
        problem.retry_after = Some(5);
        problem
    }

    fn body(&self, path: Option<&str>, id: Option<&str>) -> Vec<u8> {
        let mut body = json!({
            "type": format!("urn:flowcore:problem:{}", self.code),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "errors": self.errors,
        });
        for (name, value) in self.more.iter().flat_map(|more| more.iter()) {
            body[name] = value.clone();
        }
        if let Some(path) = path {
            body["instance"] = path.into();
        }
        if let Some(id) = id {
            body["requestId"] = id.into();
        }
        body.to_string().into_bytes()
    }

    fn json(&self, path: Option<&str>, id: Option<&str>) -> Response {
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (self.status, kind, self.body(path, id)).into_response()
    }

    fn headers(&self, headers: &mut HeaderMap) {
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"flowcore\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
    }
}

/// With a capital and a full stop: rules are written as clauses, details are sentences.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let mut text: String = letters.next().map(|c| c.to_ascii_uppercase()).into_iter().collect();
    text.push_str(letters.as_str());
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.json(None, None);
        self.headers(response.headers_mut());
        response.extensions_mut().insert(self);
        response
    }
}

/// The outermost word on every problem: path and request id for programs, a page for people.
pub(crate) async fn finish(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let program = path.starts_with("/api/") || path.starts_with(FUNCTIONS);
    let page = !program && wants_page(request.headers());
    let language = crate::dashboard::Language::of(request.headers());
    // The dashboard's scripts show what the API refuses; its other callers read English.
    let shown = request.headers().contains_key("x-csrf-token");
    let id = request.extensions().get::<RequestId>().cloned();
    let mut response = next.run(request).await;
    let Some(mut problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    if shown {
        problem.detail = language.tell(&problem.detail);
    }
    let id = id.as_ref().map(|id| id.0.as_ref());
    let rendered = if path.starts_with(FUNCTIONS) {
        let body = json!({ "success": false, "error": problem.detail });
        (problem.status, axum::Json(body)).into_response()
    } else if page {
        crate::dashboard::problem_page(&problem, id, language)
    } else {
        problem.json(Some(&path), id)
    };
    // What inner layers said (Allow, cookies) stays; only the body and its kind are new.
    let (mut parts, _) = response.into_parts();
    let (fresh, body) = rendered.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(fresh.headers);
    Response::from_parts(parts, body)
}

/// Browsers name `text/html`; `*/*` alone is a program.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|accept| accept.contains("text/html"))
}
