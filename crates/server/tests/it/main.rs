//! One binary of tests over the whole of the server, a module a feature.

mod access;
mod accounts;
mod architecture;
mod auth;
mod browser;
mod dashboard;
mod errors;
mod events;
mod evolution;
mod functions;
mod harness;
mod instances;
mod live;
mod logins;
mod messages;
mod openapi;
mod pages;
mod settings;
mod socket_io;
mod stopping;
mod support;
mod surface;
mod traces;
mod walk;
mod webhooks;
