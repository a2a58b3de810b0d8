//! The outbox: events appended in the transaction of their cause, each with a delivery for every webhook
//! that wants it.

mod follow;

pub use follow::{Followed, FollowedEvent, Place};

use crate::Store;
use crate::deliveries::queue::{self, Target};
use crate::dialect::{self, Batch, Connection, Query, Readers, Row, query};
use crate::error::StorageError;
use crate::row::{Record, json_text};
use flowcore_domain::clock::Millis;
use flowcore_domain::event::{EventKind, NewEvent};
use flowcore_domain::id::{EventId, InstanceId};

pub(crate) const TABLE: &str = "events";

/// The columns that [`read_event`] needs, for statements that join.
pub(crate) const COLUMNS: &str = "events.id AS id, events.instance_id AS instance_id, \
     events.seq AS seq, events.kind AS kind, events.ordering_key AS ordering_key, \
     events.at AS at, events.data AS data, events.deliveries AS deliveries";

/// An event as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Its place among the events of its instance; 1 is the first.
    pub seq: i64,
    /// The event.
    pub event: NewEvent,
    /// To how many webhooks it goes.
    pub deliveries: usize,
}

/// Most events that one job forgets: others want to write too.
const SWEEP: usize = 500;

const OUTDATED: &str = "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at < $1 \
     AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.event_id = events.id \
     AND deliveries.state = 'waiting') LIMIT $2)";

impl Store {
    /// Appends events that have no other cause in the database.
    ///
    /// # Errors
    /// `NotFound` when an instance was deleted; then none is stored.
    pub async fn append_events(
        &self,
        events: Vec<NewEvent>,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let mut stored = Vec::with_capacity(events.len());
                for event in events {
                    let (instance, at) = (event.instance_id, event.at);
                    stored.extend(append(connection, instance, at, vec![event]).await?);
                }
                Ok(stored)
            })
        })
        .await
    }

    /// Appends an event unless one of its id is there; returns it when it was not.
    ///
    /// # Errors
    /// `NotFound` when the instance was deleted.
    pub async fn append_event_once(
        &self,
        event: NewEvent,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let (instance, at) = (event.instance_id, event.at);
                dialect::lock_instance(connection, instance).await?;
                let known = query("SELECT id FROM events WHERE id = $1").bind(event.id.text());
                if known.fetch_optional(&mut *connection).await?.is_some() {
                    return Ok(vec![]);
                }
                append(connection, instance, at, vec![event]).await
            })
        })
        .await
    }

    /// The events after a known one, in the order in which they were committed, of one instance or all.
    /// Without `after`, from the oldest.
    ///
    /// # Errors
    /// `NotFound` when `after` is not stored (any more).
    pub async fn events_after(
        &self,
        instance: Option<InstanceId>,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        let position: i64 = match after {
            None => 0,
            Some(after) => query("SELECT position FROM events WHERE id = $1")
                .bind(after.text())
                .scalar(self.readers())
                .await?
                .ok_or(StorageError::NotFound("the event"))?,
        };
        let ask = match instance {
            Some(instance) => query(
                "SELECT * FROM events WHERE position > $1 AND instance_id = $3 \
                 ORDER BY position LIMIT $2",
            )
            .bind(position)
            .bind(dialect::limit(limit))
            .bind(instance),
            None => query("SELECT * FROM events WHERE position > $1 ORDER BY position LIMIT $2")
                .bind(position)
                .bind(dialect::limit(limit)),
        };
        let rows = match instance {
            Some(_) => ask.fetch_all(self.readers()).await?,
            None => self.settled(ask).await?,
        };
        rows.iter().map(|row| read_event(&Record::new(TABLE, row))).collect()
    }

    /// The last event of all, to follow from there.
    pub async fn last_event(&self) -> Result<Option<EventId>, StorageError> {
        let rows =
            self.settled(query("SELECT id FROM events ORDER BY position DESC LIMIT 1")).await?;
        rows.first().map(|row| Record::new(TABLE, row).parsed("id")).transpose()
    }

    /// Reads over all instances. Positions are given before the commit: where several connections write,
    /// a smaller one may show up after a larger one, unless nothing is on its way.
    async fn settled(&self, ask: Query) -> Result<Vec<Row>, StorageError> {
        if let Readers::Sqlite(..) = self.readers() {
            return ask.fetch_all(self.readers()).await;
        }
        self.write(move |connection| {
            Box::pin(async move {
                query(dialect::EVENTS_SETTLED).execute(&mut *connection).await?;
                ask.fetch_all(connection).await
            })
        })
        .await
    }

    /// Forgets events that happened before `before` and are no longer on their way; returns how many. In
    /// small jobs, between which others write.
    pub async fn sweep_events(&self, before: Millis) -> Result<u64, StorageError> {
        let mut swept = 0;
        loop {
            let piece = self.write(move |connection| {
                Box::pin(async move {
                    let old = query(OUTDATED).bind(before.0).bind(dialect::limit(SWEEP));
                    old.execute(connection).await
                })
            });
            let piece = piece.await?;
            swept += piece;
            if piece < SWEEP as u64 {
                return Ok(swept);
            }
        }
    }
}

/// Appends events of one instance, in order.
pub(crate) async fn append(
    connection: &mut Connection,
    instance: InstanceId,
    now: Millis,
    events: Vec<NewEvent>,
) -> Result<Vec<StoredEvent>, StorageError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let mut appending = Appending::begin(connection, instance, events.len(), now).await?;
    let mut stored = Vec::with_capacity(events.len());
    for event in events {
        let mut batch = Batch::new();
        stored.push(appending.append(event, &mut batch)?);
        batch.execute(connection).await?;
    }
    Ok(stored)
}

/// Numbers that were taken for events of one instance, and where these events go.
pub(crate) struct Appending {
    instance: InstanceId,
    now: Millis,
    next: i64,
    end: i64,
    targets: Vec<Target>,
}

impl Appending {
    /// Takes `count` numbers. Jobs about the same instance wait from here on.
    pub(crate) async fn begin(
        connection: &mut Connection,
        instance: InstanceId,
        count: usize,
        now: Millis,
    ) -> Result<Self, StorageError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let [sqlite, postgres] = dialect::TAKE_EVENT_NUMBERS;
        let row = query(connection.pick(sqlite, postgres))
            .bind(instance)
            .bind(count)
            .fetch_optional(connection)
            .await?
            .ok_or(StorageError::NotFound("the instance"))?;
        let record = Record::new("whatsapp_instances", &row);
        let last: i64 = record.get("event_seq")?;
        let targets = record.get::<Option<&str>>("targets")?.unwrap_or_default();
        let targets = targets.split('|').filter(|target| !target.is_empty());
        let targets = targets.map(|target| Target::read(target).ok_or_else(|| record.corrupt()));
        let targets = targets.collect::<Result<_, _>>()?;
        Ok(Self { instance, now, next: last - count + 1, end: last + 1, targets })
    }

    /// Adds an event and its deliveries to a batch, under the next number.
    pub(crate) fn append(
        &mut self,
        event: NewEvent,
        batch: &mut Batch,
    ) -> Result<StoredEvent, StorageError> {
        debug_assert_eq!(event.instance_id, self.instance, "events go with what they are about");
        let wanted: Vec<_> = self.targets.iter().filter(|one| one.wants(&event)).collect();
        let stored = StoredEvent { seq: self.next, event, deliveries: wanted.len() };
        self.next += 1;
        batch.add(insertion(&stored)?);
        for target in wanted {
            batch.add(queue::enqueuing(target.id(), &stored, self.now));
        }
        Ok(stored)
    }

    /// Gives back, with a batch, the numbers that are not needed. Nothing is appended after it.
    pub(crate) fn give_back(&mut self, batch: &mut Batch) {
        if self.next < self.end {
            let rest = query("UPDATE whatsapp_instances SET event_seq = $2 WHERE id = $1");
            batch.add(rest.bind(self.instance).bind(self.next - 1));
            self.end = self.next;
        }
    }

    /// Gives back what no batch gave back.
    pub(crate) async fn finish(mut self, connection: &mut Connection) -> Result<(), StorageError> {
        let mut batch = Batch::new();
        self.give_back(&mut batch);
        batch.execute(connection).await
    }
}

fn insertion(stored: &StoredEvent) -> Result<Query, StorageError> {
    let event = &stored.event;
    Ok(query(
        "INSERT INTO events (id, instance_id, seq, kind, ordering_key, at, data, deliveries) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(event.id.text())
    .bind(event.instance_id)
    .bind(stored.seq)
    .bind(event.kind.as_str())
    .bind(&event.ordering_key)
    .bind(event.at.0)
    .bind(json_text(&event.data)?)
    .bind(i64::try_from(stored.deliveries).unwrap_or(i64::MAX)))
}

/// The exact name; `EventKind::parse` also takes other spellings and is dearer.
pub(crate) fn read_kind(word: &str) -> Option<EventKind> {
    EventKind::ALL.into_iter().find(|kind| kind.as_str() == word)
}

pub(crate) fn read_event(record: &Record<'_>) -> Result<StoredEvent, StorageError> {
    let deliveries: i64 = record.get("deliveries")?;
    Ok(StoredEvent {
        seq: record.get("seq")?,
        event: NewEvent {
            id: record.parsed("id")?,
            instance_id: record.parsed("instance_id")?,
            kind: record.word("kind", read_kind)?,
            ordering_key: record.get("ordering_key")?,
            at: Millis(record.get("at")?),
            data: record.json("data")?,
        },
        deliveries: usize::try_from(deliveries).unwrap_or_default(),
    })
}
