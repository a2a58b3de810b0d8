//! Events for users' apps: [`webhooks`] keeps the endpoints, [`delivery`] posts to them,
//! [`trial`] tries one by hand, [`posting`] shows what went out.

mod body;
pub(crate) mod delivery;
pub(crate) mod post;
pub(crate) mod posting;
pub(crate) mod trial;
mod under_way;
pub(crate) mod webhooks;
