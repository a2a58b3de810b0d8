//! Opening a store: the data directory, the master key, the mark, the schema.
//!
//! Everything that can be refused is checked before anything is changed: a newer schema, another mark,
//! a missing or wrong master key. A key file is made only where nothing is sealed yet.

use crate::database::Database;
use crate::dialect::{self, Connection};
use crate::error::{OpenError, StorageError};
use crate::vault::{MasterKey, Vault};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

const DATABASE_FILE: &str = "flowcore.db";
const KEY_FILE: &str = "master.key";

/// The row of `meta` that only the right master key opens.
const KEY_CHECK: &str = "meta/key_check";

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

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where the database and, unless it is given, the master key are kept.
    pub data_dir: PathBuf,
    /// Who opens it.
    pub mark: Mark,
    /// The master key; without it the key file of the data directory is used.
    pub master_key: Option<MasterKey>,
}

/// Opens or makes the database of a data directory.
pub(crate) async fn open(options: StoreOptions) -> Result<(Database, Vault), OpenError> {
    let file = prepare_directory(&options.data_dir)?;
    let mut connection = dialect::writer_options(&file).connect().await?;
    match prepare_database(&mut connection, &options).await {
        Ok(vault) => Ok((Database::start(&file, connection), vault)),
        Err(error) => {
            drop(connection.close().await);
            Err(error)
        }
    }
}

/// Makes the directory (0700) and the database file (0600; SQLite gives its other files the same mode).
fn prepare_directory(directory: &Path) -> Result<PathBuf, OpenError> {
    let failed = |source| OpenError::DataDirectory { path: directory.to_path_buf(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let file = directory.join(DATABASE_FILE);
    let mut creation = OpenOptions::new();
    creation.write(true).create_new(true).mode(0o600);
    match creation.open(&file) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(failed(error)),
        _ => Ok(file),
    }
}

async fn prepare_database(
    connection: &mut Connection,
    options: &StoreOptions,
) -> Result<Vault, OpenError> {
    refuse_newer_schema(connection).await?;
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
    MIGRATIONS.run(&mut *connection).await?;
    if check.is_none() {
        introduce(connection, options.mark, &vault).await?;
    }
    Ok(vault)
}

async fn refuse_newer_schema(connection: &mut Connection) -> Result<(), OpenError> {
    let table = MIGRATIONS.table_name.clone();
    if !table_exists(connection, &table).await? {
        return Ok(());
    }
    let newest = format!("SELECT COALESCE(MAX(version), 0) FROM {table}");
    let found: i64 = sqlx::query_scalar(AssertSqlSafe(newest)).fetch_one(connection).await?;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    if found > known { Err(OpenError::NewerSchema { found, known }) } else { Ok(()) }
}

async fn table_exists(connection: &mut Connection, name: &str) -> Result<bool, StorageError> {
    let count: i64 =
        sqlx::query_scalar(dialect::TABLE_EXISTS).bind(name).fetch_one(connection).await?;
    Ok(count > 0)
}

async fn read_meta(
    connection: &mut Connection,
    key: &str,
) -> Result<Option<Vec<u8>>, StorageError> {
    let query = sqlx::query_scalar("SELECT value FROM meta WHERE key = $1").bind(key);
    Ok(query.fetch_optional(connection).await?)
}

/// Writes whose database this is and which key seals it, both or neither.
async fn introduce(
    connection: &mut Connection,
    mark: Mark,
    vault: &Vault,
) -> Result<(), StorageError> {
    let check = vault.sealer("meta").seal(KEY_CHECK, b"flowcore")?;
    sqlx::query("INSERT INTO meta (key, value) VALUES ('mark', $1), ('key_check', $2)")
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
    match File::open(&path) {
        Ok(file) => read_key(file, path),
        Err(error) if error.kind() == ErrorKind::NotFound && sealed => {
            Err(OpenError::KeyMissing { path })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make_key(&path).map_err(|source| OpenError::KeyFile { path, source })
        }
        Err(source) => Err(OpenError::KeyFile { path, source }),
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

/// Writes a new key beside its place and moves it there, so that no half key is ever found.
fn make_key(path: &Path) -> std::io::Result<MasterKey> {
    let key = MasterKey::generate();
    let draft = path.with_extension("key.new");
    let mut creation = OpenOptions::new();
    creation.write(true).create(true).truncate(true).mode(0o600);
    let mut file = creation.open(&draft)?;
    file.write_all(key.reveal().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(key)
}
