//! How one instance is doing, for who looks after it: a day of its messages, how quickly WhatsApp takes them, what waits,
//! and what happened to it.

use crate::error::ServiceError;
use crate::instances::InstanceView;
use crate::messages::AckDelay;
use crate::{Gateway, Shared};
use flowcore_domain::clock::Millis;
use flowcore_domain::event::EventKind;
use flowcore_domain::id::InstanceId;
use flowcore_domain::instance::Status;
use flowcore_storage::{MessageFilter, Page, Queue, StorageError, StoredEvent};

const HOUR: i64 = 3_600_000;
/// A day, of which the last hour is not over yet.
const HOURS: usize = 24;
/// So many events are told.
const RECENT: usize = 10;
/// So many are looked through for reconnects.
const LOOKED_THROUGH: usize = 1_000;

/// What is known of an instance at this moment.
#[derive(Debug, Clone)]
pub struct Pulse {
    /// The messages of the last 24 hours of UTC, the current one last.
    pub hours: Vec<Hour>,
    /// When somebody wrote last.
    pub last_in: Option<Millis>,
    /// When the owner, a program or the assistant wrote last.
    pub last_out: Option<Millis>,
    /// How long WhatsApp took for its acknowledgements; unknown before this process sent something.
    pub acks: Option<AckDelay>,
    /// How often it came back to WhatsApp in these hours.
    pub reconnects: usize,
    /// What is on its way.
    pub queue: Queue,
    /// What happened to it, the last first.
    pub recent: Vec<StoredEvent>,
}

/// The messages of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hour {
    /// When it began.
    pub begins: Millis,
    /// Of others.
    pub came: u64,
    /// Of the owner.
    pub went: u64,
}

impl Gateway {
    /// How an instance that a caller was shown is doing.
    ///
    /// # Errors
    /// The store's.
    pub async fn pulse(&self, shown: &InstanceView) -> Result<Pulse, ServiceError> {
        let (shared, id) = (&*self.shared, shown.id);
        let this_hour = shared.now().0.div_euclid(HOUR) * HOUR;
        let begins = |back: usize| Millis(this_hour - i64::try_from(back).unwrap_or(0) * HOUR);
        let since = begins(HOURS - 1);
        let traffic = shared.store.traffic(id, since).await?;
        let count = |hour, from_me| {
            let found = traffic.iter().find(|one| one.hour == hour && one.from_me == from_me);
            found.map_or(0, |one| one.count)
        };
        let hours = (0..HOURS).rev().map(begins);
        let hours = hours.map(|hour| Hour {
            begins: hour,
            came: count(hour, false),
            went: count(hour, true),
        });
        let latest =
            |from_me| traffic.iter().filter(|one| one.from_me == from_me).map(|one| one.last).max();
        Ok(Pulse {
            hours: hours.collect(),
            last_in: known_or_older(shared, id, false, latest(false)).await?,
            last_out: known_or_older(shared, id, true, latest(true)).await?,
            acks: shared.acks.of(id),
            reconnects: reconnects(shared, shown, since).await?,
            queue: shared.store.queue(id).await?,
            recent: shared.store.events_of_note(id, None, RECENT).await?,
        })
    }
}

/// When the last message of a direction was written: on this day, or before.
async fn known_or_older(
    shared: &Shared,
    id: InstanceId,
    from_me: bool,
    known: Option<Millis>,
) -> Result<Option<Millis>, StorageError> {
    if known.is_some() {
        return Ok(known);
    }
    let filter = MessageFilter { from_me: Some(from_me), ..MessageFilter::default() };
    let (_, found) = shared.store.find_messages(id, &filter, Page { skip: 0, take: 1 }).await?;
    Ok(found.first().map(|message| message.at))
}

/// How often the connection opened. The first time of a fresh instance is its link.
async fn reconnects(
    shared: &Shared,
    shown: &InstanceView,
    since: Millis,
) -> Result<usize, StorageError> {
    let events = shared.store.events_of_note(shown.id, Some(since), LOOKED_THROUGH).await?;
    let opened = |one: &&StoredEvent| {
        one.event.kind == EventKind::ConnectionUpdate
            && one.event.data["state"] == Status::Connected.evolution()
    };
    let opened = events.iter().filter(opened).count();
    Ok(opened.saturating_sub(usize::from(shown.created_at >= since)))
}
