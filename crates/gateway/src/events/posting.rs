//! One delivery as its owner looks at it: what is posted, and every attempt.

use super::body;
use super::post::Poster;
use crate::Shared;
use crate::accounts::Caller;
use crate::error::ServiceError;
use flowcore_domain::id::DeliveryId;
use flowcore_domain::instance::Instance;
use flowcore_domain::webhook::{Scope, Webhook};
use flowcore_storage::Delivery;

/// A delivery with what is posted.
#[derive(Clone)]
pub struct Posting {
    /// How far it got, with its attempts. What receivers answered is for admins only: it may hold what the
    /// receiver's owner would not show.
    pub delivery: Delivery,
    /// Where it goes; `None` for an endpoint that is not the caller's to see.
    pub url: Option<String>,
    /// The body, but for the file that it may have; `None` without the URL, and when the event is gone.
    pub body: Option<String>,
}

/// Never shows what is posted.
impl std::fmt::Debug for Posting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Posting").field("id", &self.delivery.id).finish_non_exhaustive()
    }
}

/// A delivery of an instance that the caller may see.
///
/// # Errors
/// [`ServiceError::DeliveryNotFound`].
pub(crate) async fn of(
    (shared, poster): (&Shared, &Poster),
    caller: &Caller,
    instance: &Instance,
    id: DeliveryId,
) -> Result<Posting, ServiceError> {
    let store = &shared.store;
    let mut delivery =
        store.delivery(instance.id, id).await?.ok_or(ServiceError::DeliveryNotFound)?;
    if !caller.is_admin() {
        delivery.attempts.iter_mut().for_each(|attempt| attempt.answer = None);
    }
    let webhook = store.webhook(delivery.webhook_id).await?;
    let Some(webhook) = webhook.filter(|one| is_shown(one, caller, instance)) else {
        return Ok(Posting { delivery, url: None, body: None });
    };
    let sender = instance.identity.as_ref().map(|who| &who.jid);
    let event = store.event(delivery.event_id).await?;
    let body = event.map(|event| body::shown(poster, (&instance.name, sender), &event, &webhook));
    let body = body.transpose().map_err(|error| ServiceError::Internal(error.to_string()))?;
    Ok(Posting { url: Some(webhook.destination(delivery.kind)), body, delivery })
}

fn is_shown(webhook: &Webhook, caller: &Caller, instance: &Instance) -> bool {
    match webhook.scope {
        Scope::Instance(id) => id == instance.id,
        Scope::User(id) => id == caller.user_id || caller.is_admin(),
    }
}
