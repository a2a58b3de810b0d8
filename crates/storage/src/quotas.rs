//! Counting what users have and do, in the transaction of what it allows: two at the same moment never take
//! the same last place.

use crate::Store;
use crate::dialect::{self, Connection, Query, query};
use crate::error::StorageError;
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{InstanceId, UserId};
use flowcore_domain::quota::{OverQuota, Quota, Quotas};

impl Store {
    /// Counts something that a user does within a window of time; returns how much of it that makes.
    ///
    /// # Errors
    /// `OverQuota` when it would be too much: nothing is counted then. `NotFound` without such a user.
    pub async fn spend(
        &self,
        user: UserId,
        (quota, amount): (Quota, u64),
        now: Millis,
    ) -> Result<u64, StorageError> {
        self.write(move |connection| {
            Box::pin(async move { spend(connection, user, (quota, amount), now).await })
        })
        .await
    }

    /// How much of everything a user has or has done in the current window.
    pub async fn usage(
        &self,
        user: UserId,
        now: Millis,
    ) -> Result<Vec<(Quota, u64)>, StorageError> {
        let mut usage = Vec::with_capacity(Quota::ALL.len());
        for quota in Quota::ALL {
            let asked = match standing(quota) {
                Some(sql) => query(sql).bind(user),
                None => query(
                    "SELECT value FROM usage_counters WHERE user_id = $1 AND period = $2 \
                     AND name = $3",
                )
                .bind(user)
                .bind(quota.period(now))
                .bind(quota.as_str()),
            };
            let stored: Option<i64> = asked.scalar(self.readers()).await?;
            usage.push((quota, number(stored)));
        }
        Ok(usage)
    }
}

/// How to count what is standing.
fn standing(quota: Quota) -> Option<&'static str> {
    match quota {
        Quota::Instances => Some(
            "SELECT COUNT(*) FROM whatsapp_instances WHERE user_id = $1 AND retired_at IS NULL",
        ),
        Quota::Documents => Some("SELECT COUNT(*) FROM documents WHERE user_id = $1"),
        Quota::DocumentBytes => {
            Some("SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM documents WHERE user_id = $1")
        }
        Quota::Webhooks => Some(
            "SELECT COUNT(*) FROM webhook_endpoints WHERE user_id = $1 OR instance_id IN \
             (SELECT id FROM whatsapp_instances WHERE user_id = $1 AND retired_at IS NULL)",
        ),
        _ => None,
    }
}

fn number(stored: Option<i64>) -> u64 {
    stored.and_then(|stored| u64::try_from(stored).ok()).unwrap_or(0)
}

/// Makes sure that there is room for `more` of something standing. Others who ask for the same user wait
/// until this transaction ends.
pub(crate) async fn room(
    connection: &mut Connection,
    user: UserId,
    (quota, more): (Quota, u64),
) -> Result<(), StorageError> {
    dialect::lock_user(connection, user).await?;
    let Some(limit) = quotas_of(connection, user).await?.limit(quota) else { return Ok(()) };
    let sql = standing(quota).expect("what is counted in a window is spent");
    let there = number(query(sql).bind(user).scalar(connection).await?);
    if there.saturating_add(more) > limit {
        return Err(OverQuota { quota, limit, used: there, renews: None }.into());
    }
    Ok(())
}

/// Counts something that a user does within a window of time. Holds the counter's row until the transaction
/// ends.
pub(crate) async fn spend(
    connection: &mut Connection,
    user: UserId,
    spent: (Quota, u64),
    now: Millis,
) -> Result<u64, StorageError> {
    let count = query(concat!(
        "INSERT INTO usage_counters (user_id, period, name, value) VALUES ($1, $2, $3, $4) ",
        "ON CONFLICT (user_id, period, name) DO UPDATE ",
        "SET value = usage_counters.value + excluded.value RETURNING value, ",
        "(SELECT quotas FROM profiles WHERE id = usage_counters.user_id) AS quotas"
    ));
    counted(connection, count.bind(user), spent, now).await
}

/// The same for the owner of an instance.
pub(crate) async fn spend_by_owner(
    connection: &mut Connection,
    instance: InstanceId,
    spent: (Quota, u64),
    now: Millis,
) -> Result<u64, StorageError> {
    let count = query(concat!(
        "INSERT INTO usage_counters (user_id, period, name, value) ",
        "SELECT user_id, $2, $3, $4 FROM whatsapp_instances WHERE id = $1 ",
        "ON CONFLICT (user_id, period, name) DO UPDATE ",
        "SET value = usage_counters.value + excluded.value RETURNING value, ",
        "(SELECT quotas FROM profiles WHERE id = usage_counters.user_id) AS quotas"
    ));
    counted(connection, count.bind(instance), spent, now).await
}

async fn counted(
    connection: &mut Connection,
    count: Query,
    (quota, amount): (Quota, u64),
    now: Millis,
) -> Result<u64, StorageError> {
    let amount = i64::try_from(amount).unwrap_or(i64::MAX);
    let row = count
        .bind(quota.period(now))
        .bind(quota.as_str())
        .bind(amount)
        .fetch_optional(connection)
        .await?
        .ok_or(StorageError::NotFound("the user"))?;
    let record = Record::new("usage_counters", &row);
    let quotas: Quotas = record.json("quotas")?;
    let spent = number(Some(record.get("value")?));
    match quotas.limit(quota) {
        Some(limit) if spent > limit => {
            let used = spent.saturating_sub(amount.unsigned_abs());
            Err(OverQuota { quota, limit, used, renews: quota.renews(now) }.into())
        }
        _ => Ok(spent),
    }
}

async fn quotas_of(connection: &mut Connection, user: UserId) -> Result<Quotas, StorageError> {
    let row = query("SELECT quotas FROM profiles WHERE id = $1")
        .bind(user)
        .fetch_optional(connection)
        .await?
        .ok_or(StorageError::NotFound("the user"))?;
    Record::new("profiles", &row).json("quotas")
}

/// Whose instance it is.
pub(crate) async fn owner(
    connection: &mut Connection,
    instance: InstanceId,
) -> Result<UserId, StorageError> {
    let row = query("SELECT id, user_id FROM whatsapp_instances WHERE id = $1")
        .bind(instance)
        .fetch_optional(connection)
        .await?
        .ok_or(StorageError::NotFound("the instance"))?;
    Record::new("whatsapp_instances", &row).parsed("user_id")
}
