//! What assistants cost, and what they may still do.

use crate::Store;
use crate::dialect::query;
use crate::error::StorageError;
use crate::quotas;
use crate::row::Record;
use flowcore_domain::assistant::provider::Tokens;
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{InstanceId, UserId};
use flowcore_domain::quota::Quota;

/// What the assistant of an instance cost in a calendar month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spending {
    /// Money, in millionths.
    pub micros: i64,
    /// Tokens that were read.
    pub input: i64,
    /// Tokens that were written.
    pub output: i64,
}

impl Store {
    /// Adds to what a month cost.
    ///
    /// # Errors
    /// `NotFound` when the instance was deleted.
    pub async fn note_ai_cost(
        &self,
        instance: InstanceId,
        (micros, tokens): (i64, Tokens),
        now: Millis,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                query(
                    "INSERT INTO ai_spending (instance_id, period, micros, input_tokens, \
                     output_tokens) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (instance_id, period) DO UPDATE SET \
                     micros = ai_spending.micros + excluded.micros, \
                     input_tokens = ai_spending.input_tokens + excluded.input_tokens, \
                     output_tokens = ai_spending.output_tokens + excluded.output_tokens",
                )
                .bind(instance)
                .bind(Quota::AiRepliesPerMonth.period(now))
                .bind(micros)
                .bind(i64::from(tokens.input))
                .bind(i64::from(tokens.output))
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// What this month has cost so far.
    pub async fn ai_spending(
        &self,
        instance: InstanceId,
        now: Millis,
    ) -> Result<Spending, StorageError> {
        let row = query("SELECT * FROM ai_spending WHERE instance_id = $1 AND period = $2")
            .bind(instance)
            .bind(Quota::AiRepliesPerMonth.period(now))
            .fetch_optional(self.readers())
            .await?;
        let Some(row) = row else { return Ok(Spending::default()) };
        let record = Record::new("ai_spending", &row);
        Ok(Spending {
            micros: record.get("micros")?,
            input: record.get("input_tokens")?,
            output: record.get("output_tokens")?,
        })
    }

    /// Counts an answer of an instance's assistant against what its owner may have.
    ///
    /// # Errors
    /// `OverQuota` when there were enough this month; nothing is counted then.
    pub async fn spend_ai_reply(
        &self,
        instance: InstanceId,
        now: Millis,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                let spent = (Quota::AiRepliesPerMonth, 1);
                quotas::spend_by_owner(connection, instance, spent, now).await?;
                Ok(())
            })
        })
        .await
    }

    /// Takes back what was counted for something that came to nothing.
    pub async fn unspend(
        &self,
        user: UserId,
        quota: Quota,
        now: Millis,
    ) -> Result<(), StorageError> {
        self.write(move |connection| {
            Box::pin(async move {
                query(
                    "UPDATE usage_counters SET value = value - 1 \
                     WHERE user_id = $1 AND period = $2 AND name = $3 AND value > 0",
                )
                .bind(user)
                .bind(quota.period(now))
                .bind(quota.as_str())
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }
}
