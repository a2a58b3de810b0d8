//! The server's settings: file `flowcore.toml`, environment, flags, in rising order.
//!
//! [`Flags`] is what the command line and the environment say (clap reads both), [`FileSettings`] is
//! what the file says, [`ServerConfig`] is what the server runs on: checked, nothing left to parse.
//! A weak admin key or an unknown name in the file stops the start with a sentence that says why.

mod access;
mod assistant;
mod evolution;
mod example;

pub use access::{AccessConfig, AccessFlags, TlsFiles};
pub use assistant::AssistantFlags;
pub use example::example_file;

use crate::evolution::EvolutionSettings;
use clap::{Args, ValueEnum};
use evolution::Environment;
use flowcore_domain::clock::Clock;
use flowcore_gateway::{
    AdminKey, AllowPrivate, AllowPrivateError, DatabaseOptions, MasterKey, ModelDefaults, Room,
    SystemClock, WeakKey,
};
use serde::Deserialize;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Long enough for a receiver's holidays.
const EVENT_DAYS: u32 = 30;
const MOST_EVENT_DAYS: u32 = 3650;

/// Where the file is looked for when no flag names one.
pub const DEFAULT_FILE: &str = "flowcore.toml";

/// What the command line and the environment say.
#[derive(Args, Clone, Default)]
pub struct Flags {
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, env = "FLOWCORE_HOST", global = true)]
    pub host: Option<String>,
    /// Port to listen on; 0 takes a free one [default: 3000]
    #[arg(long, env = "FLOWCORE_PORT", global = true)]
    pub port: Option<u16>,
    /// Folder of the database and the keys [default: ./data]
    #[arg(long, env = "FLOWCORE_DATA_DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// The database, the URL of a PostgreSQL server or sqlite [default: sqlite in the data folder]
    #[arg(long, env = "FLOWCORE_DATABASE_URL", global = true, hide_env_values = true)]
    pub database_url: Option<String>,
    /// The name under which hosters give the same; ours wins
    #[arg(long, env = "DATABASE_URL", global = true, hide = true, hide_env_values = true)]
    pub fallback_database_url: Option<String>,
    /// The schema to use on PostgreSQL [default: flowcore]
    #[arg(long, env = "FLOWCORE_DATABASE_SCHEMA", global = true)]
    pub database_schema: Option<String>,
    /// The admin key, at least 32 characters [default: made at the first start and printed once]
    #[arg(long, env = "FLOWCORE_ADMIN_KEY", global = true, hide_env_values = true)]
    pub admin_key: Option<String>,
    /// Base64 of the 32 bytes that seal secrets at rest [default: a key file in the data folder]
    #[arg(long, env = "FLOWCORE_MASTER_KEY", global = true, hide_env_values = true)]
    pub master_key: Option<String>,
    /// The address under which others reach this server [default: where it listens]
    #[arg(long, env = "FLOWCORE_PUBLIC_URL", global = true)]
    pub public_url: Option<String>,
    /// The chat socket to dial instead of WhatsApp's own
    #[arg(long, env = "FLOWCORE_WHATSAPP_URL", global = true)]
    pub whatsapp_url: Option<String>,
    /// How many days events can be followed and replayed, 1 to 3650 [default: 30]
    #[arg(long, env = "FLOWCORE_KEEP_EVENTS_DAYS", global = true)]
    pub keep_events_days: Option<u32>,
    /// Private hosts, host:port or CIDRs that webhooks may reach, comma separated
    #[arg(long, env = "FLOWCORE_ALLOW_PRIVATE", global = true)]
    pub allow_private: Option<String>,
    /// Most instances of all users together; past it, 503 [default: no limit]
    #[arg(long, env = "FLOWCORE_MAX_INSTANCES", global = true)]
    pub max_instances: Option<u64>,
    /// Resident memory in MiB past which no instance is made or started; 503 [default: no limit]
    #[arg(long, env = "FLOWCORE_MEMORY_LIMIT", global = true)]
    pub memory_limit: Option<u64>,
    /// MiB that all numbers together may keep of groups' members [default: 64]
    #[arg(long, env = "FLOWCORE_CACHE_MEMORY", global = true)]
    pub cache_memory: Option<NonZeroU32>,
    /// Who gets in, and how.
    #[command(flatten)]
    pub access: AccessFlags,
    /// Whose models.
    #[command(flatten)]
    pub assistant: AssistantFlags,
    /// What is logged, by level and module [default: info]
    #[arg(long, env = "FLOWCORE_LOG", global = true)]
    pub log: Option<String>,
    /// How logs are written to stderr [default: text]
    #[arg(long, env = "FLOWCORE_LOG_FORMAT", global = true, value_enum)]
    pub log_format: Option<LogFormat>,
}

/// Keys are never printed, not even those that turn out to be weak.
impl std::fmt::Debug for Flags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flags").field("host", &self.host).finish_non_exhaustive()
    }
}

/// The form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For log collectors, one object a line.
    Json,
}

/// What the file says. An unknown name is an error: a typo must not silently mean the default.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FileSettings {
    host: Option<String>,
    port: Option<u16>,
    data_dir: Option<PathBuf>,
    database_url: Option<String>,
    database_schema: Option<String>,
    admin_key: Option<String>,
    master_key: Option<String>,
    public_url: Option<String>,
    whatsapp_url: Option<String>,
    keep_events_days: Option<u32>,
    allow_private: Option<Vec<String>>,
    max_instances: Option<u64>,
    memory_limit: Option<u64>,
    cache_memory: Option<NonZeroU32>,
    log: Option<String>,
    log_format: Option<LogFormat>,
    trusted_proxies: Option<Vec<String>>,
    insecure_cookies: Option<bool>,
    rate_limit: Option<String>,
    cors_origins: Option<Vec<String>>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    supabase_url: Option<String>,
    supabase_jwt_secret: Option<String>,
    supabase_audience: Option<String>,
    supabase_quotas: Option<String>,
    ai_provider: Option<String>,
    ai_base_url: Option<String>,
    ai_api_key: Option<String>,
    ai_model: Option<String>,
    ai_prices: Option<String>,
    ai_transcription_url: Option<String>,
    ai_transcription_api_key: Option<String>,
    ai_transcription_model: Option<String>,
    ai_embedding_provider: Option<String>,
    ai_embedding_url: Option<String>,
    ai_embedding_api_key: Option<String>,
    ai_embedding_model: Option<String>,
}

/// What the server runs on.
#[derive(Debug)]
pub struct ServerConfig {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Folder of the database and the keys.
    pub data_dir: PathBuf,
    /// Which database.
    pub database: DatabaseOptions,
    /// The admin key, when it is given and not made at the first start.
    pub admin_key: Option<AdminKey>,
    /// The key that seals secrets, when it is not in the data folder.
    pub master_key: Option<MasterKey>,
    /// The address under which others reach this server; where it listens when not given.
    pub public_url: Option<String>,
    /// The chat socket to dial instead of WhatsApp's own.
    pub whatsapp_url: Option<String>,
    /// How long events can be followed and replayed.
    pub keep_events: Duration,
    /// Private addresses that users' URLs may have.
    pub allow_private: AllowPrivate,
    /// Bytes that all numbers together may keep of groups' members; 64 MiB when not given.
    pub cache_memory: Option<u64>,
    /// How much this server takes.
    pub room: Room,
    /// What is chosen for clients of Evolution.
    pub evolution: EvolutionSettings,
    /// Who gets in, and how.
    pub access: AccessConfig,
    /// The program that reads documents when it is called with `extract`; this one when not given.
    pub reader: Option<PathBuf>,
    /// The models of those who choose none themselves.
    pub models: ModelDefaults,
    /// What everything goes by; the machine's clock but in tests.
    pub clock: Arc<dyn Clock>,
}

/// What is logged and how.
#[derive(Debug, Clone, Default)]
pub struct LogSettings {
    /// Level and module filter.
    pub filter: Option<String>,
    /// Form of the lines.
    pub format: LogFormat,
}

/// Why the settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file named by the flag, or one that exists, can't be read.
    #[error("{} can't be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file is not what `flowcore config` shows.
    #[error("{}: {cause}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and what.
        cause: Box<toml::de::Error>,
    },
    /// The admin key is one that could be guessed.
    #[error("refused: {0}")]
    WeakAdminKey(WeakKey),
    /// The master key is not 32 bytes in base64.
    #[error("FLOWCORE_MASTER_KEY: {0}")]
    MasterKey(String),
    /// The database's URL or schema is none.
    #[error("FLOWCORE_DATABASE_URL: {0}")]
    Database(String),
    /// An entry of the allow list is no host or network.
    #[error("FLOWCORE_ALLOW_PRIVATE: {0}")]
    AllowPrivate(AllowPrivateError),
    /// The public address is not one that links can be made from.
    #[error(
        "FLOWCORE_PUBLIC_URL begins with http:// or https:// and has no path behind the host, \
         for example https://flowcore.example.com"
    )]
    PublicUrl,
    /// Events are kept for too short or too long.
    #[error("FLOWCORE_KEEP_EVENTS_DAYS is a number from 1 to {MOST_EVENT_DAYS}")]
    KeepEvents,
    /// A secret that others sign tokens with is one that could be guessed.
    #[error("refused: FLOWCORE_SUPABASE_JWT_SECRET: {0}")]
    WeakSecret(WeakKey),
    /// Something about who gets in.
    #[error("{0}")]
    Access(String),
    /// Something about the models.
    #[error("{0}")]
    Models(String),
    /// The socket address of WhatsApp is not a WebSocket's.
    #[error("FLOWCORE_WHATSAPP_URL begins with ws:// or wss://")]
    WhatsAppUrl,
}

/// Puts file, environment and flags together. `file` is the one that a flag names; without it,
/// `flowcore.toml` in the working directory is read when it exists.
///
/// # Errors
/// [`ConfigError`] says which setting is wrong and what to do.
pub fn load(flags: Flags, file: Option<&Path>) -> Result<(ServerConfig, LogSettings), ConfigError> {
    let environment = Environment::of(std::env::vars());
    let (mut config, log) = merge(environment.fill(flags), read_file(file)?)?;
    config.evolution = environment.settings();
    Ok((config, log))
}

/// The same from flags and environment alone, for the sandbox: the file in the working directory is
/// that of a real server.
///
/// # Errors
/// [`ConfigError`] says which setting is wrong and what to do.
pub fn load_without_file(flags: Flags) -> Result<(ServerConfig, LogSettings), ConfigError> {
    merge(flags, FileSettings::default())
}

fn merge(flags: Flags, mut file: FileSettings) -> Result<(ServerConfig, LogSettings), ConfigError> {
    let access = access::merge(flags.access, &mut file)?;
    let models = assistant::merge(flags.assistant, &mut file)?;
    let allow_private = flags.allow_private.or(file.allow_private.map(|list| list.join(",")));
    let log = LogSettings {
        filter: flags.log.or(file.log),
        format: flags.log_format.or(file.log_format).unwrap_or_default(),
    };
    let config = ServerConfig {
        host: flags.host.or(file.host).unwrap_or_else(|| "127.0.0.1".to_owned()),
        port: flags.port.or(file.port).unwrap_or(3000),
        data_dir: flags.data_dir.or(file.data_dir).unwrap_or_else(|| PathBuf::from("data")),
        database: parse_database(
            given(flags.database_url)
                .or(given(flags.fallback_database_url))
                .or(given(file.database_url))
                .as_deref(),
            given(flags.database_schema.or(file.database_schema)).as_deref(),
        )?,
        admin_key: parse_admin_key(given(flags.admin_key.or(file.admin_key)))?,
        master_key: parse_master_key(given(flags.master_key.or(file.master_key)))?,
        public_url: parse_public_url(given(flags.public_url.or(file.public_url)))?,
        whatsapp_url: parse_whatsapp_url(given(flags.whatsapp_url.or(file.whatsapp_url)))?,
        keep_events: parse_keep_events(flags.keep_events_days.or(file.keep_events_days))?,
        allow_private: match given(allow_private) {
            Some(list) => AllowPrivate::parse(&list).map_err(ConfigError::AllowPrivate)?,
            None => AllowPrivate::none(),
        },
        cache_memory: flags
            .cache_memory
            .or(file.cache_memory)
            .map(|mib| u64::from(mib.get()) << 20),
        room: Room {
            instances: flags.max_instances.or(file.max_instances),
            memory: flags.memory_limit.or(file.memory_limit).map(|mib| mib << 20),
        },
        evolution: EvolutionSettings::default(),
        access,
        reader: None,
        models,
        clock: Arc::new(SystemClock),
    };
    Ok((config, log))
}

/// An empty variable is an absent one: compose files and CI set them so.
fn given(setting: Option<String>) -> Option<String> {
    setting.filter(|text| !text.trim().is_empty())
}

fn read_file(named: Option<&Path>) -> Result<FileSettings, ConfigError> {
    let path = named.unwrap_or_else(|| Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(FileSettings::default());
        }
        Err(cause) => return Err(ConfigError::Unreadable { path: path.to_owned(), cause }),
    };
    toml::from_str(&text)
        .map_err(|cause| ConfigError::Malformed { path: path.to_owned(), cause: cause.into() })
}

fn parse_keep_events(days: Option<u32>) -> Result<Duration, ConfigError> {
    match days.unwrap_or(EVENT_DAYS) {
        days @ 1..=MOST_EVENT_DAYS => Ok(Duration::from_secs(u64::from(days) * 24 * 3600)),
        _ => Err(ConfigError::KeepEvents),
    }
}

fn parse_admin_key(text: Option<String>) -> Result<Option<AdminKey>, ConfigError> {
    text.map(|text| AdminKey::parse(&text)).transpose().map_err(ConfigError::WeakAdminKey)
}

fn parse_database(url: Option<&str>, schema: Option<&str>) -> Result<DatabaseOptions, ConfigError> {
    DatabaseOptions::parse(url, schema).map_err(|error| ConfigError::Database(error.to_string()))
}

fn parse_master_key(text: Option<String>) -> Result<Option<MasterKey>, ConfigError> {
    text.map(|text| MasterKey::parse(&text))
        .transpose()
        .map_err(|error| ConfigError::MasterKey(error.to_string()))
}

fn parse_public_url(text: Option<String>) -> Result<Option<String>, ConfigError> {
    let Some(text) = text else { return Ok(None) };
    let url = text.trim().trim_end_matches('/');
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']) => {
            Ok(Some(url.to_owned()))
        }
        _ => Err(ConfigError::PublicUrl),
    }
}

fn parse_whatsapp_url(text: Option<String>) -> Result<Option<String>, ConfigError> {
    match text {
        Some(url) if !url.starts_with("wss://") && !url.starts_with("ws://") => {
            Err(ConfigError::WhatsAppUrl)
        }
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_defaults() {
        let file = file("host = \"0.0.0.0\"\nport = 4000\nlog_format = \"json\"\n");
        let flags = Flags { port: Some(5000), ..Flags::default() };
        let (config, log) = load(flags, Some(file.path())).expect("settings");
        assert_eq!((config.host.as_str(), config.port), ("0.0.0.0", 5000));
        assert_eq!(config.data_dir, PathBuf::from("data"));
        assert_eq!(log.format, LogFormat::Json);
    }

    #[test]
    fn a_typo_in_the_file_is_an_error() {
        let file = file("prot = 4000\n");
        let error = load(Flags::default(), Some(file.path())).expect_err("an unknown name");
        assert!(error.to_string().contains("prot"), "{error}");
    }

    #[test]
    fn a_weak_admin_key_stops_the_start_with_the_reason() {
        for weak in ["flowcore123", "short", &"a".repeat(40)] {
            let flags = Flags { admin_key: Some(weak.to_owned()), ..Flags::default() };
            let error = load(flags, Some(file("").path())).expect_err("a weak key");
            assert!(error.to_string().starts_with("refused: the admin key "), "{error}");
            assert!(!error.to_string().contains(weak), "the key itself is not shown");
        }
    }

    #[test]
    fn an_empty_variable_is_an_absent_one() {
        let flags = Flags { admin_key: Some(String::new()), ..Flags::default() };
        let (config, _) = load(flags, Some(file("").path())).expect("settings");
        assert!(config.admin_key.is_none());
    }

    #[test]
    fn addresses_that_cannot_work_are_refused() {
        for url in ["flowcore.example.com", "https://", "https://a/b", "ftp://a"] {
            let flags = Flags { public_url: Some(url.to_owned()), ..Flags::default() };
            assert!(load(flags, Some(file("").path())).is_err(), "{url}");
        }
        let flags = Flags { whatsapp_url: Some("https://a".to_owned()), ..Flags::default() };
        assert!(load(flags, Some(file("").path())).is_err());
        let flags = Flags { public_url: Some("https://a.b/".to_owned()), ..Flags::default() };
        let (config, _) = load(flags, Some(file("").path())).expect("settings");
        assert_eq!(config.public_url.as_deref(), Some("https://a.b"));
    }
}
