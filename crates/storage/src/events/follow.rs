//! Reading the outbox from where somebody was: a user's events in the order in which they were
//! committed.

use super::{COLUMNS, StoredEvent, read_event};
use crate::Store;
use crate::dialect::{self, Query, query};
use crate::error::StorageError;
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::event::EventKind;
use flowcore_domain::id::{EventId, InstanceId, UserId};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::jid::Jid;
use sqlx::AssertSqlSafe;
use std::time::Duration;

/// How much later than its id an event may be committed. Who comes back with an id that is not stored any
/// more gets so much again rather than too little.
const SLACK: Duration = Duration::from_secs(10);

/// Whose events are followed.
#[derive(Debug, Clone)]
pub struct Followed {
    /// The user; events of others are never read. `None` for everybody's.
    pub user_id: Option<UserId>,
    /// One instance, or all of the user's.
    pub instance: Option<InstanceId>,
    /// Only these kinds; empty means all.
    pub kinds: Vec<EventKind>,
}

/// An event with what its envelope says about its instance.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowedEvent {
    /// Its place among the events of all; to go on from there.
    pub position: i64,
    /// The event.
    pub stored: StoredEvent,
    /// The name of the instance.
    pub instance_name: InstanceName,
    /// The instance's own address, once linked.
    pub sender: Option<Jid>,
}

/// Where a follower goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// After this position.
    pub position: i64,
    /// Whether events between may be gone already.
    pub missed: bool,
}

impl Store {
    /// The place after everything there is.
    pub async fn last_place(&self) -> Result<Place, StorageError> {
        let rows = self.settled(query("SELECT COALESCE(MAX(position), 0) AS position FROM events"));
        let rows = rows.await?;
        let position = rows.first().map_or(Ok(0), |row| Record::new("events", row).get("position"));
        Ok(Place { position: position?, missed: false })
    }

    /// The place after an event that was seen. When it is not stored any more, the place before
    /// everything that may have been committed after it.
    pub async fn place_after(&self, seen: EventId) -> Result<Place, StorageError> {
        let known: Option<i64> = query("SELECT position FROM events WHERE id = $1")
            .bind(seen.text())
            .scalar(self.readers())
            .await?;
        if let Some(position) = known {
            return Ok(Place { position, missed: false });
        }
        let oldest: Option<i64> =
            query("SELECT at FROM events ORDER BY position LIMIT 1").scalar(self.readers()).await?;
        let made = made_at(seen);
        let slack = i64::try_from(SLACK.as_millis()).unwrap_or(i64::MAX);
        let next: Option<i64> =
            query("SELECT position FROM events WHERE at >= $1 ORDER BY position LIMIT 1")
                .bind(made.0.saturating_sub(slack))
                .scalar(self.readers())
                .await?;
        let missed = oldest.is_none_or(|oldest| oldest > made.0);
        match next {
            Some(next) => Ok(Place { position: next - 1, missed }),
            None => Ok(Place { missed, ..self.last_place().await? }),
        }
    }

    /// The events after a place, oldest first.
    pub async fn follow(
        &self,
        whose: &Followed,
        position: i64,
        limit: usize,
    ) -> Result<Vec<FollowedEvent>, StorageError> {
        let bound = 3 + usize::from(whose.instance.is_some());
        let instance = if whose.instance.is_some() { "AND events.instance_id = $4" } else { "" };
        let kinds = match whose.kinds.len() {
            0 => String::new(),
            count => format!("AND events.kind IN ({})", dialect::parameters(bound, count)),
        };
        let sql = format!(
            "SELECT {COLUMNS}, events.position AS position, \
             whatsapp_instances.instance_name AS instance_name, whatsapp_instances.jid AS jid \
             FROM events JOIN whatsapp_instances ON whatsapp_instances.id = events.instance_id \
             WHERE ($1 IS NULL OR whatsapp_instances.user_id = $1) AND events.position > $2 {instance} {kinds} \
             ORDER BY events.position LIMIT $3"
        );
        let ask = query(AssertSqlSafe(sql));
        let ask = ask.bind(whose.user_id).bind(position).bind(dialect::limit(limit));
        let ask = whose.instance.into_iter().fold(ask, Query::bind);
        let ask = whose.kinds.iter().map(|kind| kind.as_str()).fold(ask, Query::bind);
        // Within one instance positions are in the order of commits in any case.
        let rows = match whose.instance {
            Some(_) => ask.fetch_all(self.readers()).await?,
            None => self.settled(ask).await?,
        };
        rows.iter().map(|row| read_followed(&Record::new("events", row))).collect()
    }
}

/// Ids are made with the time inside.
fn made_at(id: EventId) -> Millis {
    let (seconds, nanos) = id.0.get_timestamp().map_or((0, 0), |stamp| stamp.to_unix());
    Millis(i64::try_from(seconds).unwrap_or(0) * 1000 + i64::from(nanos / 1_000_000))
}

fn read_followed(record: &Record<'_>) -> Result<FollowedEvent, StorageError> {
    Ok(FollowedEvent {
        position: record.get("position")?,
        stored: read_event(record)?,
        instance_name: record.parsed("instance_name")?,
        sender: record.parsed_option("jid")?,
    })
}
