//! One binary of tests over the whole of the server, a module a feature.

mod architecture;
mod auth;
mod dashboard;
mod errors;
mod events;
mod evolution;
mod harness;
mod instances;
mod live;
mod messages;
mod settings;
mod socket_io;
mod stopping;
mod surface;
mod traces;
mod webhooks;
