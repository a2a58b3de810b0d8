//! How much there is of what an operator watches.

use crate::Store;
use crate::dialect::query;
use crate::error::StorageError;
use crate::row::Record;
use flowcore_domain::instance::Status;

impl Store {
    /// How many instances have each status.
    pub async fn instances_by_status(&self) -> Result<Vec<(Status, u64)>, StorageError> {
        let rows = query(
            "SELECT status, COUNT(*) AS number FROM whatsapp_instances \
             WHERE retired_at IS NULL GROUP BY status ORDER BY status",
        )
        .fetch_all(self.readers())
        .await?;
        let read = |row| {
            let record = Record::new("whatsapp_instances", row);
            let number: i64 = record.get("number")?;
            Ok((record.word("status", Status::parse)?, u64::try_from(number).unwrap_or(0)))
        };
        rows.iter().map(read).collect()
    }

    /// How many deliveries wait; counting ends at 100,000.
    pub async fn deliveries_waiting(&self) -> Result<u64, StorageError> {
        let counted: Option<i64> = query(
            "SELECT COUNT(*) FROM (SELECT webhook_id FROM deliveries WHERE state = 'waiting' \
             LIMIT 100000) AS counted",
        )
        .scalar(self.readers())
        .await?;
        Ok(counted.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }
}
