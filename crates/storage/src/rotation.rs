//! Changing the master key while everything runs.
//!
//! 1. A new key is put before the old one, in the key file or in the setting. From the moment the process
//!    knows it, it seals with the new one and opens with either.
//! 2. Everything that an earlier key sealed is sealed again, a row at a time and only where it has not
//!    changed meanwhile, until a look over all tables finds nothing more.
//! 3. Only then is the earlier key forgotten, by the process and in the file.
//!
//! A process that is killed in between finds both keys in the file and goes on.

use crate::Store;
use crate::dialect::{Query, Row, query};
use crate::error::{OpenError, StorageError};
use crate::instances::options;
use crate::open::{self, KEY_CHECK};
use crate::row::Record;
use crate::vault::Sealer;
use crate::{accounts, assistant, documents, sessions, webhooks};
use flowcore_domain::id::{InstanceId, UserId};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// How often a running server looks whether its key file has changed.
const LOOK: Duration = Duration::from_secs(1);

/// Puts a new key before those of the key file of a data directory. A server that runs there notices and
/// seals everything again; [`key_is_rotated`] tells when it has.
///
/// # Errors
/// [`OpenError::KeyMissing`] where there is no key file: the key is a setting then.
pub fn rotate_key_file(data_dir: &Path) -> Result<(), OpenError> {
    let path = data_dir.join(open::KEY_FILE);
    let keys = open::read_key_file(&path)?;
    open::write_key_file(&path, &keys.succeeded())
        .map_err(|source| OpenError::KeyFile { path, source })
}

/// Whether nothing is sealed by an earlier key of the key file any more.
pub fn key_is_rotated(data_dir: &Path) -> Result<bool, OpenError> {
    Ok(!open::read_key_file(&data_dir.join(open::KEY_FILE))?.has_earlier())
}

impl Store {
    /// Seals again what earlier master keys sealed, and forgets these; returns how many values. Without
    /// earlier keys there is nothing to do.
    ///
    /// # Errors
    /// `Corrupt` names a value that no key opens; the earlier keys are kept then.
    pub async fn finish_key_rotation(&self) -> Result<u64, StorageError> {
        let master = self.inner.vault.master();
        if !master.has_earlier() {
            return Ok(0);
        }
        let (mut sealed, mut clean) = (0, 0);
        // What was sealed under the old key before the change may still wait to be written: a second look,
        // with a write in between, finds it.
        while clean < 2 {
            let again = self.reseal(master.id()).await?;
            sealed += again;
            clean = if again == 0 { clean + 1 } else { 0 };
            self.probe().await?;
        }
        self.inner.vault.replace(master.alone());
        if let Some(path) = &self.inner.key_file {
            open::write_key_file(path, &master.alone())
                .map_err(|error| StorageError::Unavailable(error.to_string()))?;
        }
        tracing::info!(sealed, "everything is sealed with the new master key");
        Ok(sealed)
    }

    async fn reseal(&self, id: [u8; 8]) -> Result<u64, StorageError> {
        let meta = self.inner.vault.sealer("meta");
        let mut done = 0;
        let checks = old("SELECT key AS id, value FROM meta WHERE key = 'key_check'", "value", id);
        for row in checks.fetch_all(self.readers()).await? {
            let update = "UPDATE meta SET value = $2 WHERE key = 'key_check' AND value = $1";
            done += self.replace(&meta, (KEY_CHECK, &row, "value"), query(update)).await?;
        }
        let logins = "SELECT token_hash, csrf FROM login_sessions WHERE TRUE";
        for row in old(logins, "csrf", id).fetch_all(self.readers()).await? {
            let hash: Vec<u8> = Record::new("login_sessions", &row).get("token_hash")?;
            let name = accounts::row_of(&hash);
            let update = "UPDATE login_sessions SET csrf = $2 WHERE csrf = $1 AND token_hash = $3";
            let update = (query(update), Some(hash));
            done += self
                .replace_with(&self.inner.logins, (&name, &row, "csrf"), |old, new| {
                    update.0.bind(old).bind(new).bind(update.1)
                })
                .await?;
        }
        let seconds = "SELECT id, totp FROM profiles WHERE totp IS NOT NULL";
        for row in old(seconds, "totp", id).fetch_all(self.readers()).await? {
            let user: UserId = Record::new("profiles", &row).parsed("id")?;
            let update = query("UPDATE profiles SET totp = $2 WHERE totp = $1 AND id = $3");
            let name = accounts::totp_row(user);
            done += self
                .replace_with(&self.inner.profiles, (&name, &row, "totp"), |old, new| {
                    update.bind(old).bind(new).bind(user)
                })
                .await?;
        }
        done += self.reseal_webhooks(id).await?;
        done += self.reseal_options(id).await?;
        done += self.reseal_assistants(id).await?;
        for instance in self.instances(&crate::InstanceFilter::default()).await? {
            done += self.reseal_session(instance.id, id).await?;
        }
        Ok(done)
    }

    async fn reseal_webhooks(&self, id: [u8; 8]) -> Result<u64, StorageError> {
        let mut done = 0;
        for (select, column, update) in [
            (
                "SELECT id, headers FROM webhook_endpoints WHERE TRUE",
                "headers",
                "UPDATE webhook_endpoints SET headers = $2 WHERE headers = $1 AND id = $3",
            ),
            (
                "SELECT id, secret FROM webhook_endpoints WHERE TRUE",
                "secret",
                "UPDATE webhook_endpoints SET secret = $2 WHERE secret = $1 AND id = $3",
            ),
            (
                "SELECT id, previous_secret FROM webhook_endpoints WHERE previous_secret IS NOT NULL",
                "previous_secret",
                "UPDATE webhook_endpoints SET previous_secret = $2 \
                 WHERE previous_secret = $1 AND id = $3",
            ),
        ] {
            for row in old(select, column, id).fetch_all(self.readers()).await? {
                let webhook: String = Record::new("webhook_endpoints", &row).get("id")?;
                let name = webhooks::row_of(&webhook, column);
                let place = (name.as_str(), &row, column);
                done += self
                    .replace_with(&self.inner.webhooks, place, |old, new| {
                        query(update).bind(old).bind(new).bind(webhook)
                    })
                    .await?;
            }
        }
        Ok(done)
    }

    async fn reseal_options(&self, id: [u8; 8]) -> Result<u64, StorageError> {
        let mut done = 0;
        for (select, column, update) in [
            (
                "SELECT id, token FROM whatsapp_instances WHERE token IS NOT NULL",
                "token",
                "UPDATE whatsapp_instances SET token = $2 WHERE token = $1 AND id = $3",
            ),
            (
                "SELECT id, proxy FROM whatsapp_instances WHERE proxy IS NOT NULL",
                "proxy",
                "UPDATE whatsapp_instances SET proxy = $2 WHERE proxy = $1 AND id = $3",
            ),
        ] {
            for row in old(select, column, id).fetch_all(self.readers()).await? {
                let instance: InstanceId = Record::new("whatsapp_instances", &row).parsed("id")?;
                let name = options::row_of(instance, column);
                done += self
                    .replace_with(&self.inner.options, (&name, &row, column), |old, new| {
                        query(update).bind(old).bind(new).bind(instance)
                    })
                    .await?;
            }
        }
        Ok(done)
    }

    async fn reseal_assistants(&self, id: [u8; 8]) -> Result<u64, StorageError> {
        let mut done = 0;
        let select = "SELECT whatsapp_instance_id AS id, api_key FROM whatsapp_ai_config \
                      WHERE api_key IS NOT NULL";
        for row in old(select, "api_key", id).fetch_all(self.readers()).await? {
            let instance: InstanceId = Record::new("whatsapp_ai_config", &row).parsed("id")?;
            let name = assistant::key_row(instance);
            let update = "UPDATE whatsapp_ai_config SET api_key = $2 \
                          WHERE api_key = $1 AND whatsapp_instance_id = $3";
            done += self
                .replace_with(&self.inner.assistants, (&name, &row, "api_key"), |old, new| {
                    query(update).bind(old).bind(new).bind(instance)
                })
                .await?;
        }
        let select =
            "SELECT user_id AS id, api_key FROM document_embedders WHERE api_key IS NOT NULL";
        for row in old(select, "api_key", id).fetch_all(self.readers()).await? {
            let user: UserId = Record::new("document_embedders", &row).parsed("id")?;
            let name = documents::embedders::key_row(user);
            let update = "UPDATE document_embedders SET api_key = $2 \
                          WHERE api_key = $1 AND user_id = $3";
            done += self
                .replace_with(&self.inner.assistants, (&name, &row, "api_key"), |old, new| {
                    query(update).bind(old).bind(new).bind(user)
                })
                .await?;
        }
        Ok(done)
    }

    async fn reseal_session(&self, instance: InstanceId, id: [u8; 8]) -> Result<u64, StorageError> {
        let sealer = self.inner.vault.sealer(&sessions::scope_of(instance));
        let mut done = 0;
        let entries = query(
            "SELECT namespace, key, value FROM session_entries \
             WHERE instance_id = $1 AND substr(value, 2, 8) <> $2",
        );
        let entries = entries.bind(instance).bind(id.as_slice());
        for row in entries.fetch_all(self.readers()).await? {
            let record = Record::new("session_entries", &row);
            let (namespace, key): (String, String) = (record.get("namespace")?, record.get("key")?);
            let name = sessions::row_of(instance, &namespace, &key);
            let update = query(
                "UPDATE session_entries SET value = $2 WHERE value = $1 AND instance_id = $3 \
                 AND namespace = $4 AND key = $5",
            );
            done += self
                .replace_with(&sealer, (&name, &row, "value"), |old, new| {
                    update.bind(old).bind(new).bind(instance).bind(namespace).bind(key)
                })
                .await?;
        }
        Ok(done)
    }

    async fn replace(
        &self,
        sealer: &Sealer,
        place: (&str, &Row, &str),
        update: Query,
    ) -> Result<u64, StorageError> {
        self.replace_with(sealer, place, |old, new| update.bind(old).bind(new)).await
    }

    /// Seals one value again: a row's name, the row, the column. One that changed meanwhile was sealed by
    /// who changed it.
    async fn replace_with(
        &self,
        sealer: &Sealer,
        (name, row, column): (&str, &Row, &str),
        update: impl FnOnce(Vec<u8>, Vec<u8>) -> Query,
    ) -> Result<u64, StorageError> {
        let old: Vec<u8> = Record::new("the sealed row", row).get(column)?;
        let new = sealer.seal(name, &sealer.open("the sealed row", name, &old)?)?;
        let update = update(old, new);
        self.write(move |connection| {
            Box::pin(async move {
                update.execute(connection).await?;
                Ok(1)
            })
        })
        .await
    }

    /// Follows the key file, and finishes rotations, until the store is closed.
    pub(crate) fn watch_key(&self) {
        let weak = Arc::downgrade(&self.inner);
        let closing = self.inner.database.closing().clone();
        let file = self.inner.key_file.clone();
        self.inner.database.tasks().spawn(async move {
            let mut ticks = tokio::time::interval(LOOK);
            let mut seen = None;
            loop {
                tokio::select! {
                    () = closing.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                let now = file.as_ref().map(|file| file.metadata().and_then(|it| it.modified()));
                let now = now.and_then(Result::ok).unwrap_or(UNIX_EPOCH);
                if seen == Some(now) {
                    continue;
                }
                // Held only while there is something to do: who drops the store closes it.
                let Some(inner) = weak.upgrade() else { return };
                match (Self { inner }).follow_key(file.as_ref()).await {
                    Ok(()) => seen = Some(now),
                    Err(error) => tracing::error!(%error, "the master key is not changed"),
                }
            }
        });
    }

    /// Takes over a key file that changed, and finishes what it begins.
    async fn follow_key(&self, file: Option<&PathBuf>) -> Result<(), OpenError> {
        if let Some(file) = file {
            let keys = open::read_key_file(file)?;
            if !keys.covers(&self.inner.vault.master()) {
                return Err(OpenError::WrongKey);
            }
            self.inner.vault.replace(keys);
        }
        self.finish_key_rotation().await?;
        Ok(())
    }
}

/// The rows of a statement whose sealed column names another key.
fn old(select: &'static str, column: &str, id: [u8; 8]) -> Query {
    let sql = format!("{select} AND substr({column}, 2, 8) <> $1");
    query(sqlx::AssertSqlSafe(sql)).bind(id.as_slice())
}
