//! What the store promises, checked on a real database in a temporary directory. One binary; a file a
//! subject.

#[path = "contract/accounts.rs"]
mod accounts;
#[path = "contract/deliveries.rs"]
mod deliveries;
#[path = "contract/durability.rs"]
mod durability;
#[path = "contract/events.rs"]
mod events;
#[path = "contract/harness.rs"]
mod harness;
#[path = "contract/inbox.rs"]
mod inbox;
#[path = "contract/instances.rs"]
mod instances;
#[path = "contract/opening.rs"]
mod opening;
#[path = "contract/outgoing.rs"]
mod outgoing;
#[path = "contract/sessions.rs"]
mod sessions;
#[path = "contract/webhooks.rs"]
mod webhooks;
