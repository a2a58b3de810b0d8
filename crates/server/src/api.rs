//! Flowcore's own API: translates requests into calls of the gateway's services and their results into
//! the shapes of `docs/api.md`. No rules live here.

pub(crate) mod assistant;
pub(crate) mod audit;
pub(crate) mod conversations;
pub(crate) mod deliveries;
pub(crate) mod documents;
pub(crate) mod escalations;
pub(crate) mod events;
pub(crate) mod instances;
pub(crate) mod keys;
pub(crate) mod login;
pub(crate) mod media;
pub(crate) mod messages;
pub(crate) mod settings;
pub(crate) mod socket_io;
pub(crate) mod support;
pub(crate) mod trace;
pub(crate) mod users;
pub(crate) mod webhooks;
