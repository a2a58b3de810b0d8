//! Events for users' apps: [`webhooks`] keeps the endpoints, [`delivery`] posts to them.

pub(crate) mod delivery;
pub(crate) mod webhooks;
