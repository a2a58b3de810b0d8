//! A connection behind the store's back, to look at what is stored and to damage it.

use flowcore_storage::{DatabaseOptions, StoreOptions};
use sqlx::migrate::{Migration, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, SqliteConnection};
use std::time::Duration;

pub(crate) enum Raw {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Raw {
    pub(crate) async fn connect(options: &StoreOptions) -> Self {
        match &options.database {
            DatabaseOptions::DataDirectory => {
                let file = sqlx::sqlite::SqliteConnectOptions::new()
                    .filename(options.data_dir.join("flowcore.db"))
                    .busy_timeout(Duration::from_secs(5));
                Self::Sqlite(file.connect().await.expect("connects"))
            }
            DatabaseOptions::Postgres { url, schema } => {
                let mut connection = connect(url).await;
                let path = AssertSqlSafe(format!("SET search_path TO {schema}"));
                sqlx::query(path).execute(&mut connection).await.expect("set");
                Self::Postgres(connection)
            }
        }
    }

    /// The same where there is no database yet.
    pub(crate) async fn make(options: &StoreOptions) -> Self {
        match &options.database {
            DatabaseOptions::DataDirectory => {
                let file = options.data_dir.join("flowcore.db");
                std::fs::write(file, "").expect("a file");
            }
            DatabaseOptions::Postgres { url, schema } => {
                let mut connection = connect(url).await;
                let create = AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
                sqlx::query(create).execute(&mut connection).await.expect("made");
            }
        }
        Self::connect(options).await
    }

    /// Makes the schema that these migrations make.
    pub(crate) async fn migrate(&mut self, migrations: Vec<Migration>) {
        let migrator = Migrator { migrations: migrations.into(), ..Migrator::DEFAULT };
        let done = match self {
            Self::Sqlite(connection) => migrator.run(connection).await,
            Self::Postgres(connection) => migrator.run(connection).await,
        };
        done.expect("migrated");
    }

    /// Runs statements; returns how many rows the last one changed.
    pub(crate) async fn execute(&mut self, sql: &str) -> u64 {
        let sql = AssertSqlSafe(sql.to_owned());
        let changed = match self {
            Self::Sqlite(connection) => {
                sqlx::raw_sql(sql).execute(connection).await.map(|done| done.rows_affected())
            }
            Self::Postgres(connection) => {
                sqlx::raw_sql(sql).execute(connection).await.map(|done| done.rows_affected())
            }
        };
        changed.expect("runs")
    }

    /// The number that a statement answers.
    pub(crate) async fn number(&mut self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        let number = match self {
            Self::Sqlite(connection) => sqlx::query_scalar(sql).fetch_one(connection).await,
            Self::Postgres(connection) => sqlx::query_scalar(sql).fetch_one(connection).await,
        };
        number.expect("a number")
    }

    /// The texts that a statement answers.
    pub(crate) async fn texts(&mut self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        let texts = match self {
            Self::Sqlite(connection) => sqlx::query_scalar(sql).fetch_all(connection).await,
            Self::Postgres(connection) => sqlx::query_scalar(sql).fetch_all(connection).await,
        };
        texts.expect("texts")
    }

    /// The tables of the store.
    pub(crate) async fn tables(&mut self) -> Vec<String> {
        let sql = match self {
            Self::Sqlite(_) => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' \
                 AND name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND name NOT LIKE 'message_search%'"
            }
            Self::Postgres(_) => {
                "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() \
                 AND tablename NOT LIKE '\\_sqlx%'"
            }
        };
        self.texts(sql).await
    }
}

async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("a URL");
    // A pooler refuses to pass it on.
    options.extra_float_digits(None).connect().await.expect("connects")
}
