//! How PostgreSQL is reached, and its types that SQLite does not have.
//!
//! Connections are told their schema by a statement, not in the start-up packet: poolers refuse unknown
//! start-up parameters. They must keep their session (a session pooler does, a transaction pooler does
//! not).

use crate::error::{OpenError, StorageError};
use flowcore_domain::clock::Millis;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgConnectOptions, PgPool, PgPoolOptions, PgTypeInfo, PgValueRef, Postgres,
};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Encode, Executor as _, PgConnection,
    Row as _, Type,
};
use std::str::FromStr as _;
use std::time::Duration;
use uuid::Uuid;

/// Connections that write. With those that read this fits the smallest pools that are rented out.
pub(super) const WRITER_COUNT: usize = 8;
const READER_COUNT: u32 = 4;

/// Version 15.
const OLDEST_SERVER: u32 = 150_000;

const UUID: Oid = Oid(2950);
const TIMESTAMPTZ: Oid = Oid(1184);
const JSONB: Oid = Oid(3802);
/// What every binary value of that type begins with.
const JSONB_VERSION: u8 = 1;
/// 2000-01-01 in milliseconds of Unix: PostgreSQL counts from there.
const EPOCH: i64 = 946_684_800_000;

/// A schema of a PostgreSQL server.
#[derive(Debug, Clone)]
pub(crate) struct PgTarget {
    options: PgConnectOptions,
    schema: String,
}

impl PgTarget {
    /// Reads the URL; `schema` is a plain name.
    pub(crate) fn new(url: &str, schema: &str) -> Result<Self, OpenError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if schema.is_empty() || schema.len() > 63 || !schema.bytes().all(plain) {
            return Err(OpenError::Schema { name: schema.to_owned() });
        }
        // The text of the error may repeat the URL, and with it the password.
        let options = PgConnectOptions::from_str(url).map_err(|_| OpenError::DatabaseUrl)?;
        let options = options
            .application_name("flowcore")
            // Poolers refuse it at the start; the server's own default is exact since version 12.
            .extra_float_digits(None)
            .statement_cache_capacity(256)
            .disable_statement_logging();
        Ok(Self { options, schema: schema.to_owned() })
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// Refuses a server that can't be used, and makes the schema where it is not there.
    pub(crate) async fn check(&self) -> Result<(), OpenError> {
        let mut connection = self.connect().await?;
        let ask = sqlx::query_scalar::<_, String>(
            "SELECT current_setting('server_version_num') UNION ALL \
             SELECT current_setting('server_encoding') UNION ALL \
             SELECT nspname FROM pg_namespace WHERE nspname = $1",
        );
        let answers = ask.bind(&self.schema).fetch_all(&mut connection).await?;
        let version = answers.first().and_then(|version| version.parse::<u32>().ok());
        if version.is_none_or(|version| version < OLDEST_SERVER) {
            let why = "it is older than version 15".to_owned();
            return Err(OpenError::Server { why });
        }
        if answers.get(1).is_none_or(|encoding| encoding != "UTF8") {
            let why = "the database's encoding is not UTF8; make one with ENCODING 'UTF8'";
            return Err(OpenError::Server { why: why.to_owned() });
        }
        if answers.len() < 3 {
            let create = format!("CREATE SCHEMA IF NOT EXISTS \"{}\"", self.schema);
            connection.execute(AssertSqlSafe(create)).await?;
        }
        let kept = self.keeps_sessions(&mut connection).await;
        drop(connection.close().await);
        if kept? { Ok(()) } else { Err(OpenError::TransactionPooler) }
    }

    /// Whether what one connection sets stays away from another. A transaction pooler lends both the same
    /// server process in turn; search path, prepared statements and locks would go astray there.
    async fn keeps_sessions(&self, first: &mut PgConnection) -> Result<bool, StorageError> {
        let (mine, others) = (Uuid::now_v7(), Uuid::now_v7());
        let set = |mark| AssertSqlSafe(format!("SET flowcore.session TO '{mark}'"));
        first.execute(set(mine)).await?;
        let mut second = self.connect().await?;
        second.execute(set(others)).await?;
        // As text: a statement that was prepared elsewhere would be the pooler's error, not our answer.
        let seen = sqlx::raw_sql("SELECT current_setting('flowcore.session', true)");
        let seen: Option<String> = seen.fetch_one(first).await?.try_get(0)?;
        drop(second.close().await);
        Ok(seen.is_some_and(|seen| seen == mine.to_string()))
    }

    pub(super) async fn connect(&self) -> Result<PgConnection, StorageError> {
        let connecting = async {
            let mut connection = self.options.connect().await?;
            connection.execute(AssertSqlSafe(self.settings())).await?;
            Ok(connection)
        };
        let timeout = tokio::time::timeout(Duration::from_secs(10), connecting);
        timeout.await.map_err(|_| {
            StorageError::Unavailable("PostgreSQL did not answer in time".to_owned())
        })?
    }

    pub(super) fn readers(&self) -> PgPool {
        let settings = self.settings();
        PgPoolOptions::new()
            .max_connections(READER_COUNT)
            .acquire_timeout(Duration::from_secs(10))
            .after_connect(move |connection, _| {
                let settings = settings.clone();
                Box::pin(async move {
                    connection.execute(AssertSqlSafe(settings)).await?;
                    Ok(())
                })
            })
            .connect_lazy_with(self.options.clone())
    }

    /// A commit is durable when it returns, whatever the server's default; nobody waits for ever.
    fn settings(&self) -> String {
        format!(
            "SET search_path TO \"{}\"; SET lock_timeout = '10s'; \
             SET idle_in_transaction_session_timeout = '60s'; \
             SELECT set_config('synchronous_commit', 'on', false) \
             WHERE current_setting('synchronous_commit') = 'off'",
            self.schema
        )
    }
}

/// An id of one of the tables that have PostgreSQL's own type.
pub(super) struct PgUuid(pub(super) Uuid);

impl Type<Postgres> for PgUuid {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(UUID)
    }
}

impl Encode<'_, Postgres> for PgUuid {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

/// A time of one of those tables.
pub(super) struct PgInstant(pub(super) Millis);

impl Type<Postgres> for PgInstant {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl Encode<'_, Postgres> for PgInstant {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = self.0.0.saturating_sub(EPOCH).saturating_mul(1000);
        buffer.extend_from_slice(&micros.to_be_bytes());
        Ok(IsNull::No)
    }
}

/// A value of a `jsonb` column, as text. PostgreSQL has no NUL there.
pub(super) struct PgJson(pub(super) String);

impl Type<Postgres> for PgJson {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(JSONB)
    }
}

impl Encode<'_, Postgres> for PgJson {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.push(JSONB_VERSION);
        buffer.extend_from_slice(self.0.replace("\\u0000", "\\ufffd").as_bytes());
        Ok(IsNull::No)
    }
}

/// The text of a `jsonb` column; `None` when the column is of another type.
pub(crate) fn json_text(value: &PgValueRef<'_>) -> Option<String> {
    if oid(value) != Some(JSONB) {
        return None;
    }
    let text = value.as_bytes().ok()?.strip_prefix(&[JSONB_VERSION])?;
    String::from_utf8(text.to_vec()).ok()
}

/// The text of a `uuid` column; `None` when the column is of another type.
pub(crate) fn uuid_text(value: &PgValueRef<'_>) -> Option<String> {
    if oid(value) != Some(UUID) {
        return None;
    }
    Some(Uuid::from_slice(value.as_bytes().ok()?).ok()?.to_string())
}

/// The time of a `timestamptz` column; `None` when the column is of another type.
pub(crate) fn instant(value: &PgValueRef<'_>) -> Option<i64> {
    if oid(value) != Some(TIMESTAMPTZ) {
        return None;
    }
    let micros = <[u8; 8]>::try_from(value.as_bytes().ok()?).ok()?;
    Some(i64::from_be_bytes(micros).div_euclid(1000) + EPOCH)
}

fn oid(value: &PgValueRef<'_>) -> Option<Oid> {
    use sqlx::ValueRef as _;
    value.type_info().oid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_plain_names_and_a_bad_url_is_not_repeated() {
        for name in ["", "Flow", "a\"b", "a b", &"x".repeat(64)] {
            let refused = PgTarget::new("postgres://localhost/db", name);
            assert!(matches!(refused, Err(OpenError::Schema { .. })), "{name}");
        }
        let target = PgTarget::new("postgres://localhost/db", "flowcore_2").expect("fine");
        assert_eq!(target.schema(), "flowcore_2");
        let error = PgTarget::new("postgres://u:hush-hush@[::1/db", "flowcore").expect_err("bad");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}
