//! Events on their way to webhooks.
//!
//! Deliveries of one endpoint, instance and ordering key are a chain; only its head, the oldest unfinished
//! one, is ever tried, so a receiver gets the events of a chat in order. A claim takes due heads for the
//! time of a lease by moving their due time past it: a worker that dies gives its work back by doing
//! nothing. Finishing a head makes the next of its chain the head.
//!
//! Of each endpoint only so many heads are due at once; the others are parked (`health`). So claiming
//! looks at few rows, however many wait.

mod again;
pub(crate) mod health;
mod list;
mod load;
pub(crate) mod pieces;
pub(crate) mod queue;

pub use again::Again;
pub use health::RenderTurn;
pub use list::{Delivery, DeliveryAttempt, DeliveryFilter, DeliveryState};

use crate::Store;
use crate::database::Extent;
use crate::dialect::{self, Batch, Connection, Query, Row, query};
use crate::error::StorageError;
use crate::events::StoredEvent;
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{DeliveryId, InstanceId, UserId, WebhookId};
use flowcore_domain::instance::InstanceName;
use flowcore_domain::jid::Jid;
use flowcore_domain::webhook::{NextStep, Webhook};
use queue::Made;
use sqlx::AssertSqlSafe;
use std::time::Duration;

const TABLE: &str = "deliveries";

/// A delivery that waits, how its endpoint does, and whether something of that is parked.
const WAITING: &str = "SELECT deliveries.id AS id, deliveries.instance_id AS instance_id, \
     deliveries.webhook_id AS webhook_id, deliveries.ordering_key AS ordering_key, \
     deliveries.attempts AS attempts, endpoint.enabled AS enabled, endpoint.failures AS failures, \
     endpoint.failing_since AS failing_since, endpoint.paused_until AS paused_until, \
     endpoint.off_because AS off_because, EXISTS (SELECT 1 FROM deliveries parked \
     WHERE parked.webhook_id = endpoint.id AND parked.head AND parked.next_at = $2) AS parked \
     FROM deliveries \
     JOIN whatsapp_instances ON whatsapp_instances.id = deliveries.instance_id \
     JOIN webhook_endpoints endpoint ON endpoint.id = deliveries.webhook_id \
     WHERE deliveries.id = $1 AND deliveries.state = 'waiting'";

/// On PostgreSQL, nobody else changes its instance's chains or judges its endpoint until the commit.
const HELD: &str = " FOR NO KEY UPDATE OF whatsapp_instances, deliveries, endpoint";

/// Most deliveries of one claim.
const MAX_CLAIM: usize = 256;

/// What a claim may take.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// At most so many.
    pub limit: usize,
    /// At most so many of one endpoint.
    pub each: usize,
    /// One of each of these endpoints: they answer slowly.
    pub slow: &'a [WebhookId],
    /// None of these.
    pub passed_over: PassedOver<'a>,
}

/// Who has enough under way.
#[derive(Debug, Clone, Copy, Default)]
pub struct PassedOver<'a> {
    /// These endpoints.
    pub busy: &'a [WebhookId],
    /// The instances of these users.
    pub crowded: &'a [UserId],
}

impl PassedOver<'_> {
    /// The condition that leaves them out; its values come after the first `used` parameters.
    fn condition(&self, used: usize) -> String {
        let busy = match self.busy.len() {
            0 => String::new(),
            count => format!(" AND webhook_id NOT IN ({})", dialect::parameters(used, count)),
        };
        let crowded = match self.crowded.len() {
            0 => String::new(),
            count => format!(
                " AND instance_id NOT IN \
                 (SELECT id FROM whatsapp_instances WHERE user_id IN ({}))",
                dialect::parameters(used + self.busy.len(), count)
            ),
        };
        busy + &crowded
    }

    fn bind(&self, to: Query) -> Query {
        let to = self.busy.iter().fold(to, |to, id| to.bind(id.text()));
        self.crowded.iter().fold(to, |to, user| to.bind(*user))
    }
}

/// A delivery to be made now, with everything that it needs.
#[derive(Debug, Clone)]
pub struct ClaimedDelivery {
    /// Its id.
    pub delivery_id: DeliveryId,
    /// Where it goes.
    pub webhook: Webhook,
    /// Whose instance it is.
    pub user_id: UserId,
    /// The name of the instance.
    pub instance_name: InstanceName,
    /// The instance's own address, once linked.
    pub sender: Option<Jid>,
    /// What is delivered.
    pub event: StoredEvent,
    /// How often it was tried before, since it was put on its way or asked for again.
    pub attempts: u32,
    /// When that was.
    pub since: Millis,
}

/// How an attempt ended and what follows.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// What follows.
    pub step: NextStep,
    /// The receiver's answer.
    pub status: Option<u16>,
    /// How long it took.
    pub duration_ms: u64,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// The beginning of the answer.
    pub answer: Option<String>,
    /// The time that the receiver asked for.
    pub asked: Option<Duration>,
    /// A random number in `0.0..=1.0` for the length of a pause.
    pub dice: f64,
    /// Makes the event when the endpoint is paused, resumed or switched off by this.
    pub render: RenderTurn,
    /// When.
    pub at: Millis,
}

impl Store {
    /// Takes due deliveries, at most one of each chain, for the time of `lease`; who does not settle
    /// until then gives them back. However many are due to one endpoint, others get their share.
    pub async fn claim_deliveries(
        &self,
        claim: Claim<'_>,
        now: Millis,
        lease: Duration,
    ) -> Result<Vec<ClaimedDelivery>, StorageError> {
        let limit = claim.limit.min(MAX_CLAIM);
        let each = claim.each;
        let (slow, busy) = (claim.slow.to_vec(), claim.passed_over.busy.to_vec());
        let crowded = claim.passed_over.crowded.to_vec();
        let ids: Vec<String> = self
            .write_in(Extent::Statement, move |connection| {
                Box::pin(async move {
                    let passed_over = PassedOver { busy: &busy, crowded: &crowded };
                    let passing_locked = connection.pick("", "FOR UPDATE SKIP LOCKED");
                    let sql = claiming(limit, &slow, passed_over, passing_locked);
                    let claim = query(AssertSqlSafe(sql)).bind(now.0).bind(now.plus(lease).0);
                    let claim = claim.bind(dialect::limit(each));
                    let claim = slow.iter().fold(claim, |claim, id| claim.bind(id.text()));
                    let claimed = passed_over.bind(claim).fetch_all(connection).await?;
                    claimed.iter().map(|row| Record::new(TABLE, row).get("id")).collect()
                })
            })
            .await?;
        self.load_claimed(&ids, now).await
    }

    /// Notes how an attempt ended, and what it says about the endpoint; returns the events that tell of
    /// that. What is finished or deleted meanwhile stays as it is.
    pub async fn settle_delivery(
        &self,
        id: DeliveryId,
        settlement: Settlement,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        let at = settlement.at;
        let noted = self.write(move |connection| {
            Box::pin(async move {
                let id = id.text();
                let Some(row) = waiting(connection, &id).await? else { return Ok(None) };
                let record = Record::new(TABLE, &row);
                let (made, at) = (Made::of(&settlement), settlement.at);
                let (webhook, chain) = (record.get("webhook_id")?, record.get("ordering_key")?);
                let instance: InstanceId = record.parsed("instance_id")?;
                let mut batch = Batch::new();
                batch.add(queue::noting(&id, record.get("attempts")?, made));
                let outcome = match settlement.step {
                    NextStep::RetryAt(at) => {
                        batch.add(queue::retrying(&id, at));
                        None
                    }
                    NextStep::Delivered => Some("delivered"),
                    NextStep::Dead => Some("dead"),
                };
                if let Some(outcome) = outcome {
                    batch.add(queue::finishing(&id, outcome, at));
                    batch.add(queue::promoting((instance, webhook, chain), &id, at));
                }
                batch.execute(connection).await?;
                health::note(connection, (instance, &record), &settlement).await.map(Some)
            })
        });
        let Some(noted) = noted.await? else { return Ok(vec![]) };
        if let Some(off) = noted.switched_off {
            self.abandon_later(off, at);
        }
        Ok(noted.told)
    }

    /// When the next delivery can be claimed; not before `now`. `None` when none waits.
    pub async fn next_delivery_due(
        &self,
        now: Millis,
        passed_over: PassedOver<'_>,
    ) -> Result<Option<Millis>, StorageError> {
        let sql = format!(
            "SELECT next_at FROM deliveries WHERE head{} ORDER BY next_at LIMIT 1",
            passed_over.condition(0)
        );
        let ask = passed_over.bind(query(AssertSqlSafe(sql)));
        let due: Option<i64> = ask.scalar(self.readers()).await?;
        let due = due.map(Millis).filter(|due| *due != health::PARKED);
        Ok(due.map(|due| due.max(now)))
    }

    /// Gives back everything that is claimed. For the start of a process that is alone on its database:
    /// who claimed before is gone.
    pub async fn release_leases(&self, now: Millis) -> Result<u64, StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let release = query(
                    "UPDATE deliveries SET leased = FALSE, next_at = $1 WHERE head AND leased",
                );
                release.bind(now.0).execute(connection).await
            })
        })
        .await
    }
}

/// The delivery of an id while it waits.
async fn waiting(connection: &mut Connection, id: &str) -> Result<Option<Row>, StorageError> {
    let ask = query(AssertSqlSafe(format!("{WAITING}{}", connection.pick("", HELD))));
    ask.bind(id).bind(health::PARKED.0).fetch_optional(connection).await
}

/// So many times as many due heads as a claim takes are looked at, to find some of each endpoint.
const LOOK_AT: usize = 4;

/// Takes due heads; where several workers claim at once, each passes over what another is taking. The limit
/// is part of the text, as SQLite compiles a statement anew each time that one is bound; so it is one of few.
fn claiming(
    limit: usize,
    slow: &[WebhookId],
    passed_over: PassedOver<'_>,
    passing_locked: &str,
) -> String {
    let each = match slow.len() {
        0 => "$3".to_owned(),
        count => {
            let slow = dialect::parameters(3, count);
            format!("CASE WHEN webhook_id IN ({slow}) THEN 1 ELSE $3 END")
        }
    };
    let limit = if limit.is_power_of_two() { limit } else { limit.next_power_of_two() / 2 };
    let near = limit * LOOK_AT;
    format!(
        "WITH near AS MATERIALIZED (SELECT id, webhook_id, next_at FROM deliveries \
         WHERE head AND next_at <= $1{} ORDER BY next_at LIMIT {near} {passing_locked}), \
         placed AS (SELECT id, webhook_id, next_at, ROW_NUMBER() OVER (PARTITION BY webhook_id \
         ORDER BY next_at) AS place FROM near), \
         due AS MATERIALIZED (SELECT id FROM placed WHERE place <= {each} \
         ORDER BY next_at LIMIT {limit}) \
         UPDATE deliveries SET leased = TRUE, next_at = $2 \
         WHERE id IN (SELECT id FROM due) RETURNING id",
        passed_over.condition(3 + slow.len())
    )
}
