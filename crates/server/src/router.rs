//! Every route on one page.

use crate::app::AppState;
use crate::extract::JSON_LIMIT;
use crate::problem::{self, Problem};
use crate::{api, dashboard, health, request};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{delete, get, post, put};
use tower_http::catch_panic::CatchPanicLayer;

/// Forms of the dashboard are a few short fields.
const FORM_LIMIT: usize = 64 << 10;

/// The whole surface of the server. Layers from the inside out: panics, problems, log line, headers.
pub(crate) fn routes(state: AppState) -> Router {
    let socket_io = api::socket_io::layer(&state);
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .merge(api_routes())
        .merge(dashboard_routes())
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .with_state(state)
        .layer(socket_io)
        .layer(CatchPanicLayer::custom(request::panicked))
        .layer(from_fn(problem::finish))
        .layer(from_fn(request::trace))
        .layer(from_fn(request::secure))
}

fn api_routes() -> Router<AppState> {
    Router::new()
        .route("/api/whatsapp/connect", post(api::instances::connect))
        .route("/api/whatsapp/instances", get(api::instances::list))
        .route("/api/whatsapp/status/{name}", get(api::instances::status))
        .route("/api/whatsapp/restart", post(api::instances::restart))
        .route("/api/whatsapp/logout", post(api::instances::log_out))
        .route("/api/whatsapp/delete/{name}", delete(api::instances::delete))
        .route("/api/whatsapp/send", post(api::messages::send))
        .route(
            "/api/instances/{name}/webhooks",
            get(api::webhooks::list).post(api::webhooks::create),
        )
        .route(
            "/api/instances/{name}/webhooks/{id}",
            put(api::webhooks::update).get(api::webhooks::get).delete(api::webhooks::delete),
        )
        .route(
            "/api/instances/{name}/settings",
            get(api::settings::get).patch(api::settings::update),
        )
        .route("/api/instances/{name}/webhooks/{id}/test", post(api::webhooks::test))
        .route("/api/instances/{name}/webhooks/{id}/rotate", post(api::webhooks::rotate))
        .route("/api/webhooks", get(api::webhooks::list).post(api::webhooks::create))
        .route(
            "/api/webhooks/{id}",
            put(api::webhooks::update).get(api::webhooks::get).delete(api::webhooks::delete),
        )
        .route("/api/webhooks/{id}/test", post(api::webhooks::test))
        .route("/api/webhooks/{id}/rotate", post(api::webhooks::rotate))
        .route("/api/instances/{name}/deliveries", get(api::deliveries::list))
        .route("/api/instances/{name}/deliveries/{id}/retry", post(api::deliveries::retry))
        .route("/api/events", get(api::events::stream))
        .route("/api/ws", get(api::events::socket))
        .route("/api/instances/{name}/replay", post(api::deliveries::replay))
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
}

fn dashboard_routes() -> Router<AppState> {
    Router::new()
        .route("/", get(dashboard::pages::home))
        .route("/login", get(dashboard::session::form).post(dashboard::session::sign_in))
        .route("/logout", post(dashboard::session::sign_out))
        .route("/instances/new", get(dashboard::pages::new_instance))
        .route("/instances", post(dashboard::actions::create))
        .route("/i/{name}/link", get(dashboard::pages::link).post(dashboard::actions::connect))
        .route("/i/{name}/restart", post(dashboard::actions::restart))
        .route(
            "/i/{name}/logout",
            get(dashboard::pages::confirm_logout).post(dashboard::actions::log_out),
        )
        .route(
            "/i/{name}/delete",
            get(dashboard::pages::confirm_delete).post(dashboard::actions::delete),
        )
        .route("/dashboard/live", get(dashboard::live::stream))
        .route("/assets/{*path}", get(dashboard::assets::file))
        .layer(DefaultBodyLimit::max(FORM_LIMIT))
}
