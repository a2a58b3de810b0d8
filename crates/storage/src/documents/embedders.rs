//! Which embedder an account chose. Its key is sealed.

use crate::Store;
use crate::dialect::{Connection, query};
use crate::error::StorageError;
use crate::row::Record;
use flowcore_domain::assistant::ProviderKey;
use flowcore_domain::assistant::embedder::{EmbedderConfig, EmbedderKind};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::UserId;

const TABLE: &str = "document_embedders";

/// An embedder as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEmbedder {
    /// Which.
    pub config: EmbedderConfig,
    /// Its key.
    pub key: Option<ProviderKey>,
    /// Since when.
    pub updated_at: Millis,
}

impl Store {
    /// What an account chose, when it ever did.
    pub async fn embedder(&self, user: UserId) -> Result<Option<StoredEmbedder>, StorageError> {
        let row = query(SELECT).bind(user).fetch_optional(self.readers()).await?;
        let Some(row) = row else { return Ok(None) };
        let record = Record::new(TABLE, &row);
        let key = record.get::<Option<&[u8]>>("api_key")?;
        let open = |sealed| self.inner.assistants.open(TABLE, &key_row(user), sealed);
        let key = key.map(open).transpose()?;
        let key = key.map(|key| ProviderKey::new(String::from_utf8_lossy(&key)));
        let updated_at = Millis(record.get("updated_at")?);
        Ok(Some(StoredEmbedder { config: read(&record)?, key, updated_at }))
    }

    /// Chooses one. The key of before stays when none is given and it goes to the same place.
    pub async fn set_embedder(
        &self,
        user: UserId,
        config: EmbedderConfig,
        key: Option<Option<ProviderKey>>,
        now: Millis,
    ) -> Result<(), StorageError> {
        let given = key.map(|key| key.filter(|key| !key.reveal().is_empty()));
        let seal =
            |key: &ProviderKey| self.inner.assistants.seal(&key_row(user), key.reveal().as_bytes());
        let sealed = given.as_ref().and_then(Option::as_ref).map(seal).transpose()?;
        self.write(move |connection| {
            Box::pin(async move {
                let row = query(SELECT).bind(user).fetch_optional(&mut *connection).await?;
                let record = row.as_ref().map(|row| Record::new(TABLE, row));
                let key = match (given, &record) {
                    (Some(_), _) => sealed,
                    (None, Some(record)) if goes_to(&read(record)?, &config) => {
                        record.get("api_key")?
                    }
                    (None, _) => None,
                };
                write(connection, user, (&config, key), now).await
            })
        })
        .await
    }
}

const SELECT: &str = "SELECT * FROM document_embedders WHERE user_id = $1";

/// Whether a key of one may be sent to the other.
fn goes_to(one: &EmbedderConfig, other: &EmbedderConfig) -> bool {
    one.provider == other.provider && one.url() == other.url()
}

async fn write(
    connection: &mut Connection,
    user: UserId,
    (config, key): (&EmbedderConfig, Option<Vec<u8>>),
    now: Millis,
) -> Result<(), StorageError> {
    if config.provider == EmbedderKind::Default {
        query("DELETE FROM document_embedders WHERE user_id = $1")
            .bind(user)
            .execute(connection)
            .await?;
        return Ok(());
    }
    query(
        "INSERT INTO document_embedders (user_id, provider, base_url, model, api_key, fingerprint, \
         updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (user_id) DO UPDATE SET \
         provider = excluded.provider, base_url = excluded.base_url, model = excluded.model, \
         api_key = excluded.api_key, fingerprint = excluded.fingerprint, \
         updated_at = excluded.updated_at",
    )
    .bind(user)
    .bind(config.provider.as_str())
    .bind(config.base_url.clone())
    .bind(config.model.clone())
    .bind(key)
    .bind(config.fingerprint())
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

fn read(record: &Record<'_>) -> Result<EmbedderConfig, StorageError> {
    Ok(EmbedderConfig {
        provider: record.word("provider", EmbedderKind::parse)?,
        base_url: record.get("base_url")?,
        model: record.get("model")?,
    })
}

/// What ties the sealed key to its row.
pub(crate) fn key_row(user: UserId) -> String {
    format!("{TABLE}/{}/api_key", user.text())
}
