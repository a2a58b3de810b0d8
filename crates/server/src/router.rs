//! Every route on one page, each with who may use it.

use crate::app::AppState;
use crate::extract::JSON_LIMIT;
use crate::problem::{self, Problem};
use crate::surface::{Access, Route, Surface};
use crate::{api, client, cors, dashboard, evolution, functions, health, openapi, request};
use axum::Router;
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Uri, Version, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use flowcore_domain::account::Scope;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

/// A recording, and what a form adds to it.
pub(crate) const VOICE_LIMIT: usize = flowcore_gateway::MAX_AUDIO + (1 << 20);

/// Users, keys and sign-ins are a few short fields too.
const ACCOUNT_LIMIT: usize = 64 << 10;

const OPEN: Access = Access::Open;
const READ: Access = Access::Key(Scope::Read);
const SEND: Access = Access::Key(Scope::Send);
const MANAGE: Access = Access::Key(Scope::Manage);
const SETTINGS: Access = Access::Key(Scope::Settings);
const DELETE: Access = Access::Key(Scope::Delete);
const ADMIN: Access = Access::Key(Scope::Admin);

/// The whole surface of the server, and the list of it. Layers from the inside out: panics, problems, log
/// line, headers.
pub(crate) fn routes(state: AppState) -> (Router, Arc<[Route]>) {
    let socket_io = api::socket_io::layer(&state);
    let (behind, _) = Surface::new(state.clone()).with(evolution::routes).finish();
    let behind = behind.with_state(state.clone());
    let (router, list) = all(Surface::new(state.clone()), behind).finish();
    let router = router
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .with_state(state.clone())
        .layer(from_fn(evolution::cross_origin))
        .layer(socket_io)
        .layer(CatchPanicLayer::custom(request::panicked))
        .layer(from_fn(problem::finish))
        .layer(from_fn(request::trace))
        .layer(from_fn_with_state(state.clone(), cors::allow))
        .layer(from_fn_with_state(state.clone(), client::note))
        .layer(from_fn_with_state(state, request::secure))
        .layer(CompressionLayer::new().compress_when(is_of_a_page));
    (router, list)
}

/// Pages and what they load are sent compressed. Nobody else's site can make a browser ask for one with its
/// session (the cookie is strict), so that their length tells nothing.
fn is_of_a_page(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| {
        ["text/html", "text/css", "text/javascript"].iter().any(|one| kind.starts_with(one))
    })
}

/// The list alone: it depends on nothing but this file.
pub(crate) fn list() -> Arc<[Route]> {
    all(Surface::listing(), Router::new()).finish().1
}

/// `behind` is what the functions of the first frontend are carried out by.
fn all(surface: Surface, behind: Router) -> Surface {
    surface
        .get("/healthz", OPEN, health::healthz)
        .get("/readyz", OPEN, health::readyz)
        .get("/openapi.json", OPEN, openapi::file)
        .get("/docs", OPEN, openapi::page)
        .with(api_routes)
        .with(webhook_routes)
        .with(support_routes)
        .with(document_routes)
        .with(assistant_routes)
        .with(account_routes)
        .with(dashboard::routes)
        .with(evolution::routes)
        .body_limit(JSON_LIMIT)
        .with(|surface| functions::routes(surface, behind))
        .note("GET", "/socket.io/", Access::Own)
        .note("*", "(elsewhere)", OPEN)
}

/// Nothing is at this address, said as the dialect of the path says it.
async fn unknown(method: Method, uri: Uri) -> Response {
    if evolution::speaks(uri.path()) {
        return evolution::unknown(&method, uri.path());
    }
    Problem::not_found().into_response()
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    if evolution::speaks(uri.path()) {
        return evolution::unknown(&method, uri.path());
    }
    Problem::method_not_allowed().into_response()
}

fn api_routes(surface: Surface) -> Surface {
    surface
        .body_limit(JSON_LIMIT)
        .post("/api/whatsapp/connect", MANAGE, api::instances::connect)
        .get("/api/whatsapp/instances", READ, api::instances::list)
        .get("/api/whatsapp/status/{name}", READ, api::instances::status)
        .post("/api/whatsapp/restart", MANAGE, api::instances::restart)
        .post("/api/whatsapp/logout", MANAGE, api::instances::log_out)
        .delete("/api/whatsapp/delete/{name}", DELETE, api::instances::delete)
        .post("/api/whatsapp/send", SEND, api::messages::send)
        .get("/api/instances/{name}/settings", READ, api::settings::get)
        .patch("/api/instances/{name}/settings", SETTINGS, api::settings::update)
        .get("/api/instances/{name}/deliveries", READ, api::deliveries::list)
        .delete("/api/instances/{name}/deliveries", SETTINGS, api::deliveries::purge)
        .get("/api/instances/{name}/messages/{id}/media", READ, api::media::get)
        .get("/api/instances/{name}/messages/{id}/trace", READ, api::trace::get)
        .post("/api/instances/{name}/deliveries/{id}/retry", SETTINGS, api::deliveries::retry)
        .post("/api/instances/{name}/replay", SETTINGS, api::deliveries::replay)
        .get("/api/events", READ, api::events::stream)
        .get("/api/ws", READ, api::events::socket)
}

fn webhook_routes(surface: Surface) -> Surface {
    surface
        .get("/api/instances/{name}/webhooks", READ, api::webhooks::list)
        .post("/api/instances/{name}/webhooks", SETTINGS, api::webhooks::create)
        .get("/api/instances/{name}/webhooks/{id}", READ, api::webhooks::get)
        .put("/api/instances/{name}/webhooks/{id}", SETTINGS, api::webhooks::update)
        .delete("/api/instances/{name}/webhooks/{id}", SETTINGS, api::webhooks::delete)
        .post("/api/instances/{name}/webhooks/{id}/test", SETTINGS, api::webhooks::test)
        .post("/api/instances/{name}/webhooks/{id}/rotate", SETTINGS, api::webhooks::rotate)
        .get("/api/webhooks", ADMIN, api::webhooks::list)
        .post("/api/webhooks", ADMIN, api::webhooks::create)
        .get("/api/webhooks/{id}", ADMIN, api::webhooks::get)
        .put("/api/webhooks/{id}", ADMIN, api::webhooks::update)
        .delete("/api/webhooks/{id}", ADMIN, api::webhooks::delete)
        .post("/api/webhooks/{id}/test", ADMIN, api::webhooks::test)
        .post("/api/webhooks/{id}/rotate", ADMIN, api::webhooks::rotate)
}

fn support_routes(surface: Surface) -> Surface {
    use api::{conversations, escalations, support};
    surface
        .get("/api/instances/{name}/support", READ, support::get)
        .put("/api/instances/{name}/support", SETTINGS, support::put)
        .get("/api/instances/{name}/support/keywords", READ, support::keywords)
        .post("/api/instances/{name}/support/keywords", SETTINGS, support::add_keyword)
        .post("/api/instances/{name}/support/keywords/test", READ, support::test_keywords)
        .delete("/api/instances/{name}/support/keywords/{id}", SETTINGS, support::delete_keyword)
        .get("/api/escalations", READ, escalations::list)
        .get("/api/escalations/export", READ, escalations::export)
        .get("/api/escalations/{id}", READ, escalations::get)
        .post("/api/escalations/{id}/resolve", SEND, escalations::resolve)
        .post("/api/escalations/{id}/reopen", SEND, escalations::reopen)
        .get("/api/conversations", READ, conversations::list)
        .get("/api/conversations/{id}", READ, conversations::get)
        .get("/api/conversations/{id}/messages", READ, conversations::messages)
        .post("/api/conversations/{id}/messages", SEND, conversations::say)
        .post("/api/conversations/{id}/takeover", SEND, conversations::take_over)
        .post("/api/conversations/{id}/release", SEND, conversations::release)
        .post("/api/conversations/{id}/escalate", SEND, conversations::escalate)
}

fn document_routes(surface: Surface) -> Surface {
    use api::documents::{self, UPLOAD_LIMIT};
    surface
        .body_limit(UPLOAD_LIMIT)
        .post("/api/documents", SETTINGS, documents::create)
        .body_limit(JSON_LIMIT)
        .get("/api/documents", READ, documents::list)
        .get("/api/documents/embedder", READ, documents::embedder::get)
        .put("/api/documents/embedder", SETTINGS, documents::embedder::set)
        .get("/api/documents/{id}", READ, documents::get)
        .delete("/api/documents/{id}", SETTINGS, documents::delete)
        .get("/api/documents/{id}/passages", READ, documents::passages)
        .post("/api/documents/search", READ, documents::search)
        .post("/api/instances/{name}/documents/{id}", SETTINGS, documents::map)
        .delete("/api/instances/{name}/documents/{id}", SETTINGS, documents::unmap)
}

fn assistant_routes(surface: Surface) -> Surface {
    use api::assistant::{self, cases, playground};
    surface
        .body_limit(JSON_LIMIT)
        .get("/api/instances/{name}/ai", READ, assistant::get)
        .put("/api/instances/{name}/ai", SETTINGS, assistant::update)
        .post("/api/instances/{name}/ai/toggle", SETTINGS, assistant::toggle)
        .post("/api/instances/{name}/ai/check", SETTINGS, assistant::check)
        .get("/api/instances/{name}/ai/versions", READ, assistant::versions)
        .get("/api/instances/{name}/ai/versions/{id}", READ, assistant::version)
        .post("/api/instances/{name}/ai/versions/{id}/restore", SETTINGS, assistant::restore)
        .get("/api/instances/{name}/ai/cases", READ, cases::list)
        .post("/api/instances/{name}/ai/cases", SETTINGS, cases::create)
        .post("/api/instances/{name}/ai/cases/run", SETTINGS, cases::run)
        .delete("/api/instances/{name}/ai/cases/{id}", SETTINGS, cases::delete)
        .post("/api/ai/prompts/generate", SETTINGS, assistant::generate)
        .body_limit(VOICE_LIMIT)
        .post("/api/instances/{name}/ai/test", SETTINGS, playground::test)
        .post("/api/instances/{name}/ai/transcribe", SETTINGS, playground::transcribe)
}

fn account_routes(surface: Surface) -> Surface {
    use api::{audit, keys, login, users};
    surface
        .body_limit(ACCOUNT_LIMIT)
        .post("/api/auth/login", OPEN, login::log_in)
        .post("/api/auth/refresh", OPEN, login::refresh)
        .post("/api/auth/logout", READ, login::log_out)
        .get("/api/auth/sessions", READ, login::sessions)
        .delete("/api/auth/sessions/{id}", READ, login::end_session)
        .post("/api/auth/totp", READ, login::offer_totp)
        .put("/api/auth/totp", READ, login::confirm_totp)
        .delete("/api/auth/totp", READ, login::remove_totp)
        .get("/api/me", READ, users::me)
        .post("/api/me/password", READ, users::change_password)
        .get("/api/users", ADMIN, users::list)
        .post("/api/users", ADMIN, users::create)
        .get("/api/users/{id}", ADMIN, users::get)
        .patch("/api/users/{id}", ADMIN, users::update)
        .delete("/api/users/{id}", ADMIN, users::delete)
        .get("/api/audit", ADMIN, audit::list)
        .get("/api/keys", MANAGE, keys::list)
        .post("/api/keys", MANAGE, keys::create)
        .delete("/api/keys/{id}", MANAGE, keys::delete)
        .post("/api/instances/{name}/token", MANAGE, keys::instance_token)
}
