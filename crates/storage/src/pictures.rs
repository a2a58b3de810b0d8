//! Where the pictures of people and groups are, as far as WhatsApp told: for lists, which do not ask for each.

use crate::Store;
use crate::dialect::{self, Query, query};
use crate::error::StorageError;
use crate::row::Record;
use flowcore_domain::clock::Millis;
use flowcore_domain::id::InstanceId;
use flowcore_domain::jid::Jid;
use sqlx::AssertSqlSafe;
use std::collections::HashMap;

impl Store {
    /// Notes where somebody's picture is; `None` that there is none to be seen.
    ///
    /// # Errors
    /// `NotFound` when the instance was deleted.
    pub async fn note_picture(
        &self,
        instance: InstanceId,
        whose: &Jid,
        (url, now): (Option<String>, Millis),
    ) -> Result<(), StorageError> {
        let whose = whose.to_string();
        let noting = match url {
            Some(url) => query(
                "INSERT INTO pictures (instance_id, address, url, noted_at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (instance_id, address) DO UPDATE \
                 SET url = excluded.url, noted_at = excluded.noted_at",
            )
            .bind(instance)
            .bind(whose)
            .bind(url)
            .bind(now.0),
            None => query("DELETE FROM pictures WHERE instance_id = $1 AND address = $2")
                .bind(instance)
                .bind(whose),
        };
        self.write(move |connection| {
            Box::pin(async move {
                noting.execute(connection).await?;
                Ok(())
            })
        })
        .await
    }

    /// The pictures that are known of these addresses.
    pub async fn pictures(
        &self,
        instance: InstanceId,
        addresses: &[Jid],
    ) -> Result<HashMap<Jid, String>, StorageError> {
        let addresses: Vec<String> = addresses.iter().map(Jid::to_string).collect();
        let mut found = HashMap::new();
        for batch in dialect::batches(&addresses) {
            for row in of(instance, batch).fetch_all(self.readers()).await? {
                let record = Record::new("pictures", &row);
                found.insert(record.parsed("address")?, record.get("url")?);
            }
        }
        Ok(found)
    }
}

/// What is noted of some addresses.
pub(crate) fn of(instance: InstanceId, addresses: &[String]) -> Query {
    let sql = format!(
        "SELECT address, url FROM pictures WHERE instance_id = $1 AND address IN ({})",
        dialect::parameters(1, addresses.len())
    );
    addresses.iter().fold(query(AssertSqlSafe(sql)).bind(instance), Query::bind)
}
