//! Events for users' apps: [`webhooks`] keeps the endpoints, [`delivery`] posts to them,
//! [`trial`] tries one by hand.

mod body;
pub(crate) mod delivery;
pub(crate) mod post;
pub(crate) mod trial;
mod under_way;
pub(crate) mod webhooks;
