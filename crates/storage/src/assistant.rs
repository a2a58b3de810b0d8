//! The configuration of assistants, with the wordings that their prompts had. The provider's key is sealed.

mod cases;
mod spending;

pub use cases::AiCase;
pub use spending::Spending;

use crate::Store;
use crate::dialect::{self, Connection, Instant, query};
use crate::error::StorageError;
use crate::new_id;
use crate::row::{Record, json_text};
use flowcore_domain::assistant::provider::{Prices, Provider};
use flowcore_domain::assistant::{
    AssistantConfig, AssistantPatch, ConfigFault, Pacing, ProviderKey,
};
use flowcore_domain::clock::Millis;
use flowcore_domain::id::{InstanceId, PromptVersionId, UserId};
use serde::{Deserialize, Serialize};

const TABLE: &str = "whatsapp_ai_config";
const VERSIONS: &str = "ai_prompt_versions";

/// Wordings that are kept of one prompt.
const MAX_VERSIONS: i64 = 100;

/// An assistant as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAssistant {
    /// Its configuration.
    pub config: AssistantConfig,
    /// The key of its provider.
    pub key: Option<ProviderKey>,
    /// When it changed last.
    pub updated_at: Millis,
}

/// A wording that a prompt had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptVersion {
    /// Its id.
    pub id: PromptVersionId,
    /// The first is 1.
    pub number: i64,
    /// The wording.
    pub system_prompt: String,
    /// By whom.
    pub created_by: UserId,
    /// Since when.
    pub created_at: Millis,
}

/// What has no column of its own.
#[derive(Serialize, Deserialize)]
struct Settings {
    max_tokens: u32,
    transcription_model: Option<String>,
    see_images: bool,
    fallback_message: String,
    knowledge_only: bool,
    groups: bool,
    pacing: Pacing,
    monthly_cost_limit: Option<f64>,
    prices: Option<Prices>,
    opt_out_words: Vec<String>,
    ignored_contacts: Vec<String>,
}

impl Store {
    /// The assistant of an instance, when it was ever configured.
    pub async fn assistant(
        &self,
        instance: InstanceId,
    ) -> Result<Option<StoredAssistant>, StorageError> {
        let row = query(SELECT).bind(instance).fetch_optional(self.readers()).await?;
        let Some(row) = row else { return Ok(None) };
        let record = Record::new(TABLE, &row);
        let key = record.get::<Option<&[u8]>>("api_key")?;
        let open = |sealed| self.inner.assistants.open(TABLE, &key_row(instance), sealed);
        let key = key.map(open).transpose()?;
        let key = key.map(|key| ProviderKey::new(String::from_utf8_lossy(&key)));
        let updated_at = record.millis("updated_at")?;
        Ok(Some(StoredAssistant { config: read(&record)?, key, updated_at }))
    }

    /// Changes what a patch names, and keeps the wording of a prompt that is new. A key belongs to the
    /// provider and the address that it was given for: when these change without a new key, it goes.
    ///
    /// # Errors
    /// `NotFound` when the instance was deleted. The inner error says what does not fit; nothing is changed
    /// then.
    pub async fn update_assistant(
        &self,
        instance: InstanceId,
        patch: AssistantPatch,
        by: UserId,
        now: Millis,
    ) -> Result<Result<(), ConfigFault>, StorageError> {
        let given = patch.api_key.clone().map(|key| key.filter(|key| !key.reveal().is_empty()));
        let seal = |key: &ProviderKey| {
            self.inner.assistants.seal(&key_row(instance), key.reveal().as_bytes())
        };
        let sealed = given.flatten().as_ref().map(seal).transpose()?;
        self.write(move |connection| {
            Box::pin(async move {
                dialect::lock_instance(connection, instance).await?;
                let row = query(SELECT).bind(instance).fetch_optional(&mut *connection).await?;
                let record = row.as_ref().map(|row| Record::new(TABLE, row));
                let before = record.as_ref().map(read).transpose()?;
                let old = before.clone().unwrap_or_default();
                let config = match old.clone().patched(&patch) {
                    Ok(config) => config,
                    Err(fault) => return Ok(Err(fault)),
                };
                let moved = config.provider != old.provider || config.base_url != old.base_url;
                let key = match (&patch.api_key, &record) {
                    (Some(_), _) => sealed,
                    (None, Some(record)) if !moved => record.get("api_key")?,
                    (None, _) => None,
                };
                write(connection, instance, (&config, key), now).await?;
                if before.is_none_or(|before| before.system_prompt != config.system_prompt) {
                    add_version(connection, instance, (config.system_prompt, by), now).await?;
                }
                Ok(Ok(()))
            })
        })
        .await
    }

    /// The wordings that a prompt had, the newest first.
    pub async fn prompt_versions(
        &self,
        instance: InstanceId,
    ) -> Result<Vec<PromptVersion>, StorageError> {
        let rows = query(
            "SELECT * FROM ai_prompt_versions WHERE whatsapp_instance_id = $1 ORDER BY number DESC",
        )
        .bind(instance)
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| read_version(&Record::new(VERSIONS, row))).collect()
    }
}

const SELECT: &str = "SELECT id, system_prompt, CAST(temperature AS TEXT) AS temperature, is_active, \
                      process_voice_messages, voice_message_default_response, \
                      default_voice_language, provider, model, base_url, api_key, settings, \
                      updated_at FROM whatsapp_ai_config WHERE whatsapp_instance_id = $1";

fn read(record: &Record<'_>) -> Result<AssistantConfig, StorageError> {
    let settings: Settings = record.json("settings")?;
    Ok(AssistantConfig {
        is_active: record.get("is_active")?,
        system_prompt: record.get("system_prompt")?,
        temperature: record.parsed("temperature")?,
        provider: record.word("provider", Provider::parse)?,
        model: Some(record.get::<String>("model")?).filter(|model| !model.is_empty()),
        base_url: record.get("base_url")?,
        max_tokens: settings.max_tokens,
        process_voice_messages: record.get("process_voice_messages")?,
        default_voice_language: record.get("default_voice_language")?,
        transcription_model: settings.transcription_model,
        voice_message_default_response: record.get("voice_message_default_response")?,
        see_images: settings.see_images,
        fallback_message: settings.fallback_message,
        knowledge_only: settings.knowledge_only,
        groups: settings.groups,
        pacing: settings.pacing,
        monthly_cost_limit: settings.monthly_cost_limit,
        prices: settings.prices,
        opt_out_words: settings.opt_out_words,
        ignored_contacts: settings.ignored_contacts,
    })
}

async fn write(
    connection: &mut Connection,
    instance: InstanceId,
    (config, key): (&AssistantConfig, Option<Vec<u8>>),
    now: Millis,
) -> Result<(), StorageError> {
    let settings = Settings {
        max_tokens: config.max_tokens,
        transcription_model: config.transcription_model.clone(),
        see_images: config.see_images,
        fallback_message: config.fallback_message.clone(),
        knowledge_only: config.knowledge_only,
        groups: config.groups,
        pacing: config.pacing,
        monthly_cost_limit: config.monthly_cost_limit,
        prices: config.prices,
        opt_out_words: config.opt_out_words.clone(),
        ignored_contacts: config.ignored_contacts.clone(),
    };
    let written = query(
        "INSERT INTO whatsapp_ai_config (id, whatsapp_instance_id, user_id, system_prompt, \
         temperature, is_active, process_voice_messages, voice_message_default_response, \
         default_voice_language, provider, model, base_url, api_key, settings, created_at, \
         updated_at) SELECT id, id, user_id, $2, CAST($3 AS NUMERIC), $4, $5, $6, $7, $8, $9, $10, \
         $11, $12, $13, $13 FROM whatsapp_instances WHERE id = $1 \
         ON CONFLICT (whatsapp_instance_id) DO UPDATE SET \
         system_prompt = excluded.system_prompt, temperature = excluded.temperature, \
         is_active = excluded.is_active, \
         process_voice_messages = excluded.process_voice_messages, \
         voice_message_default_response = excluded.voice_message_default_response, \
         default_voice_language = excluded.default_voice_language, \
         provider = excluded.provider, model = excluded.model, base_url = excluded.base_url, \
         api_key = excluded.api_key, settings = excluded.settings, \
         updated_at = excluded.updated_at",
    )
    .bind(instance)
    .bind(&config.system_prompt)
    .bind(config.temperature.to_string())
    .bind(config.is_active)
    .bind(config.process_voice_messages)
    .bind(&config.voice_message_default_response)
    .bind(&config.default_voice_language)
    .bind(config.provider.as_str())
    .bind(config.model.as_deref().unwrap_or_default())
    .bind(config.base_url.clone())
    .bind(key)
    .bind(json_text(&settings)?)
    .bind(Instant(now))
    .execute(connection)
    .await?;
    if written == 0 { Err(StorageError::NotFound("the instance")) } else { Ok(()) }
}

/// One more wording; the oldest make room.
async fn add_version(
    connection: &mut Connection,
    instance: InstanceId,
    (prompt, by): (String, UserId),
    now: Millis,
) -> Result<(), StorageError> {
    let last: Option<i64> = query(
        "SELECT COALESCE(MAX(number), 0) FROM ai_prompt_versions WHERE whatsapp_instance_id = $1",
    )
    .bind(instance)
    .scalar(&mut *connection)
    .await?;
    let number = last.unwrap_or(0) + 1;
    query(
        "INSERT INTO ai_prompt_versions (id, whatsapp_instance_id, number, system_prompt, \
         created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(new_id(now).to_string())
    .bind(instance)
    .bind(number)
    .bind(prompt)
    .bind(by.text())
    .bind(now.0)
    .execute(&mut *connection)
    .await?;
    query("DELETE FROM ai_prompt_versions WHERE whatsapp_instance_id = $1 AND number <= $2")
        .bind(instance)
        .bind(number - MAX_VERSIONS)
        .execute(connection)
        .await?;
    Ok(())
}

fn read_version(record: &Record<'_>) -> Result<PromptVersion, StorageError> {
    Ok(PromptVersion {
        id: record.parsed("id")?,
        number: record.get("number")?,
        system_prompt: record.get("system_prompt")?,
        created_by: record.parsed("created_by")?,
        created_at: record.millis("created_at")?,
    })
}

/// What ties the sealed key to its row.
pub(crate) fn key_row(instance: InstanceId) -> String {
    format!("{TABLE}/{instance}/api_key")
}
