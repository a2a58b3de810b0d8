//! Opening a store: the data directory, the database, the master key, the mark, the schema.
//!
//! Everything that can be refused is checked before anything is changed: a newer schema, another mark,
//! a missing or wrong master key. A key file is made only where nothing is sealed yet.

mod guard;

pub(crate) use guard::Guard;
use guard::SchemaLock;

use crate::database::Database;
use crate::dialect::{self, Connection, Location, PgTarget, query};
use crate::error::{OpenError, StorageError};
use crate::vault::{MasterKey, Vault};
use sqlx::AssertSqlSafe;
use sqlx::migrate::Migrator;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

pub(crate) const DATABASE_FILE: &str = "flowcore.db";
pub(crate) const KEY_FILE: &str = "master.key";

/// The row of `meta` that only the right master key opens.
pub(crate) const KEY_CHECK: &str = "meta/key_check";

/// Whose data a directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Real numbers on the real network.
    Flowcore,
    /// Made-up numbers on a simulated network.
    Sandbox,
}

impl Mark {
    /// As stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flowcore => "flowcore",
            Self::Sandbox => "sandbox",
        }
    }
}

/// Which database.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum DatabaseOptions {
    /// A SQLite file in the data directory.
    #[default]
    DataDirectory,
    /// A schema of a PostgreSQL server.
    Postgres {
        /// Where it is, as `postgres://…`; may hold a password.
        url: String,
        /// The schema; made when it is not there.
        schema: String,
    },
}

/// The schema that is used when none is named.
const DEFAULT_SCHEMA: &str = "flowcore";

impl DatabaseOptions {
    /// Reads the settings: no URL or `sqlite` is the data directory.
    ///
    /// # Errors
    /// [`OpenError::DatabaseUrl`] and [`OpenError::Schema`] say what is wrong, without the URL.
    pub fn parse(url: Option<&str>, schema: Option<&str>) -> Result<Self, OpenError> {
        match url.map(str::trim) {
            None | Some("" | "sqlite") => Ok(Self::DataDirectory),
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                let schema = schema.unwrap_or(DEFAULT_SCHEMA);
                PgTarget::new(url, schema)?;
                Ok(Self::Postgres { url: url.to_owned(), schema: schema.to_owned() })
            }
            Some(_) => Err(OpenError::DatabaseUrl),
        }
    }
}

/// Never shows the URL: it may hold a password.
impl std::fmt::Debug for DatabaseOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DataDirectory => f.write_str("DataDirectory"),
            Self::Postgres { schema, .. } => {
                f.debug_struct("Postgres").field("schema", schema).finish_non_exhaustive()
            }
        }
    }
}

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where the database (SQLite), the lock and, unless it is given, the master key are kept.
    pub data_dir: PathBuf,
    /// Which database.
    pub database: DatabaseOptions,
    /// Who opens it.
    pub mark: Mark,
    /// The master key; without it the key file of the data directory is used.
    pub master_key: Option<MasterKey>,
}

/// What [`open`] gives.
pub(crate) struct Opened {
    pub(crate) database: Database,
    pub(crate) vault: Vault,
    pub(crate) guard: Guard,
}

/// Opens or makes the database.
pub(crate) async fn open(options: StoreOptions) -> Result<Opened, OpenError> {
    make_directory(&options.data_dir)?;
    let guard = Guard::directory(&options.data_dir)?;
    let location = location(&options.data_dir, &options.database)?;
    match &location {
        Location::Sqlite(_) => make_database_file(&options.data_dir)?,
        Location::Postgres(target) => target.check().await?,
    }
    guard.database(&location).await?;
    let mut connection = location.connect().await?;
    match prepare_database(&mut connection, &location, &options).await {
        Ok(vault) => {
            let lock = guard.schema();
            let database = Database::start(&location, connection, lock.lost().clone())?;
            // Weak: a store that is dropped without being closed gives its data back.
            let watch = SchemaLock::watch(Arc::downgrade(lock), location);
            database.tasks().spawn(database.closing().clone().run_until_cancelled_owned(watch));
            Ok(Opened { database, vault, guard })
        }
        Err(error) => {
            connection.close().await;
            guard.release().await;
            Err(error)
        }
    }
}

/// Opens the database of a server that runs, for a small change beside it: nothing is made or migrated, and
/// the guard holds nothing.
pub(crate) async fn beside(options: StoreOptions) -> Result<Opened, OpenError> {
    let location = location(&options.data_dir, &options.database)?;
    let mut connection = location.connect().await?;
    let found = schema(&mut connection).await?;
    if found.is_none_or(|found| !pending(&location, found).is_empty()) {
        connection.close().await;
        return Err(OpenError::InUse { what: "this data".to_owned() });
    }
    let vault = prepare_database(&mut connection, &location, &options).await?;
    let guard = Guard::nothing();
    let database = Database::start(&location, connection, guard.schema().lost().clone())?;
    Ok(Opened { database, vault, guard })
}

/// Where the database is; nothing is made.
pub(crate) fn location(data_dir: &Path, database: &DatabaseOptions) -> Result<Location, OpenError> {
    match database {
        DatabaseOptions::DataDirectory => Ok(Location::Sqlite(data_dir.join(DATABASE_FILE))),
        DatabaseOptions::Postgres { url, schema } => {
            Ok(Location::Postgres(Box::new(PgTarget::new(url, schema)?)))
        }
    }
}

/// 0700: what is in it is the owner's alone.
pub(crate) fn make_directory(directory: &Path) -> Result<(), OpenError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|source| OpenError::DataDirectory { path: directory.to_path_buf(), source })
}

/// 0600; SQLite gives its other files the same mode.
fn make_database_file(directory: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::DataDirectory { path: directory.to_path_buf(), source };
    let file = directory.join(DATABASE_FILE);
    let mut creation = OpenOptions::new();
    creation.write(true).create_new(true).mode(0o600);
    match creation.open(&file) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(failed(error)),
        _ => Ok(()),
    }
}

async fn prepare_database(
    connection: &mut Connection,
    location: &Location,
    options: &StoreOptions,
) -> Result<Vault, OpenError> {
    schema(connection).await?;
    let known = table_exists(connection, "meta").await?;
    let mark = if known { read_meta(connection, "mark").await? } else { None };
    if let Some(found) = mark.filter(|mark| mark != options.mark.as_str().as_bytes()) {
        let found = String::from_utf8_lossy(&found).into_owned();
        return Err(OpenError::WrongMark { found, wanted: options.mark.as_str() });
    }
    let check = if known { read_meta(connection, "key_check").await? } else { None };
    let vault = Vault::new(master_key(options, check.is_some())?);
    if let Some(check) = &check {
        let opened = vault.sealer("meta").open("meta", KEY_CHECK, check);
        opened.map_err(|_| OpenError::WrongKey)?;
    }
    location.migrate(connection.pick(&SQLITE, &POSTGRES)).await?;
    if check.is_none() {
        introduce(connection, options.mark, &vault).await?;
    }
    Ok(vault)
}

/// The version of the schema; `None` where there is none.
///
/// # Errors
/// [`OpenError::NewerSchema`] when this program does not know it.
pub(crate) async fn schema(connection: &mut Connection) -> Result<Option<i64>, OpenError> {
    let migrations = connection.pick(&SQLITE, &POSTGRES);
    let table = migrations.table_name.clone();
    if !table_exists(connection, &table).await? {
        return Ok(None);
    }
    let newest = format!("SELECT COALESCE(MAX(version), 0) FROM {table}");
    let found: i64 = query(AssertSqlSafe(newest)).scalar(connection).await?.unwrap_or_default();
    let known = migrations.iter().map(|migration| migration.version).max().unwrap_or_default();
    if found > known { Err(OpenError::NewerSchema { found, known }) } else { Ok(Some(found)) }
}

/// The migrations after a version.
pub(crate) fn pending(location: &Location, found: i64) -> Vec<(i64, String)> {
    let migrations = match location {
        Location::Sqlite(_) => &SQLITE,
        Location::Postgres(_) => &POSTGRES,
    };
    let new = migrations.iter().filter(|migration| migration.version > found);
    new.map(|migration| (migration.version, migration.description.to_string())).collect()
}

async fn table_exists(connection: &mut Connection, name: &str) -> Result<bool, StorageError> {
    let [sqlite, postgres] = dialect::TABLE_EXISTS;
    let exists = query(connection.pick(sqlite, postgres)).bind(name);
    Ok(exists.scalar::<i64>(connection).await?.unwrap_or_default() > 0)
}

async fn read_meta(
    connection: &mut Connection,
    key: &str,
) -> Result<Option<Vec<u8>>, StorageError> {
    query("SELECT value FROM meta WHERE key = $1").bind(key).scalar(connection).await
}

/// Writes whose database this is and which key seals it, both or neither.
async fn introduce(
    connection: &mut Connection,
    mark: Mark,
    vault: &Vault,
) -> Result<(), StorageError> {
    let check = vault.sealer("meta").seal(KEY_CHECK, b"flowcore")?;
    query("INSERT INTO meta (key, value) VALUES ('mark', $1), ('key_check', $2)")
        .bind(mark.as_str().as_bytes())
        .bind(check)
        .execute(connection)
        .await?;
    Ok(())
}

fn master_key(options: &StoreOptions, sealed: bool) -> Result<MasterKey, OpenError> {
    if let Some(key) = &options.master_key {
        return Ok(key.clone());
    }
    let path = options.data_dir.join(KEY_FILE);
    match read_key_file(&path) {
        Err(OpenError::KeyMissing { .. }) if !sealed => {
            let key = MasterKey::generate();
            write_key_file(&path, &key).map_err(|source| OpenError::KeyFile { path, source })?;
            Ok(key)
        }
        read => read,
    }
}

/// The keys of a key file.
pub(crate) fn read_key_file(path: &Path) -> Result<MasterKey, OpenError> {
    match File::open(path) {
        Ok(file) => read_key(file, path.to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(OpenError::KeyMissing { path: path.to_owned() })
        }
        Err(source) => Err(OpenError::KeyFile { path: path.to_owned(), source }),
    }
}

fn read_key(mut file: File, path: PathBuf) -> Result<MasterKey, OpenError> {
    let failed = |source| OpenError::KeyFile { path: path.clone(), source };
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(OpenError::KeyFileExposed { path });
    }
    let mut text = zeroize::Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(failed)?;
    MasterKey::parse(&text).map_err(|_| OpenError::KeyFileDamaged { path })
}

/// Writes keys beside their place and moves them there, so that no half key is ever found.
pub(crate) fn write_key_file(path: &Path, keys: &MasterKey) -> std::io::Result<()> {
    let draft = path.with_extension("key.new");
    let mut creation = OpenOptions::new();
    creation.write(true).create(true).truncate(true).mode(0o600);
    let mut file = creation.open(&draft)?;
    file.write_all(keys.reveal().as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}
