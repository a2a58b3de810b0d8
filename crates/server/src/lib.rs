//! Flowcore's face: HTTP API, dashboard, configuration.
//!
//! A library, so that `flowcore`, the sandbox and the tests run the very same server: [`app::serve`]
//! starts one from a [`config::ServerConfig`] and hands back what stops it. There is no global state:
//! many servers live in one process.

pub use flowcore_domain::assistant::embedder::EmbedderConfig;
pub use flowcore_domain::assistant::provider::Provider;
pub use flowcore_gateway::{
    AdminKey, AllowPrivate, DatabaseOptions, DefaultEmbedder, ForeignTokens, Mark, ModelDefaults,
    Rate, Room, SystemClock, crash_points, read_document_as_child,
};

pub use openapi::text as openapi;
pub use surface::{Access, Route};
pub use tls::TlsError;

pub mod app;
pub mod codes;
pub mod config;
pub mod evolution;
pub mod logging;
pub mod signals;

mod api;
mod auth;
mod client;
mod cors;
mod dashboard;
mod extract;
mod functions;
mod health;
pub mod healthcheck;
mod ledger;
mod limits;
mod listener;
mod metrics;
mod openapi;
mod problem;
mod qr;
mod replay;
mod request;
mod router;
mod surface;
mod tls;
