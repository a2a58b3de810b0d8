//! What an operator does beside a running server: a backup, a restore, a look at what a migration would do.

use crate::dialect::{Connection, Location, query};
use crate::error::{OpenError, StorageError};
use crate::open::{self, DatabaseOptions, Guard};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What a start would change about a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationPlan {
    /// The schema as it is; `None` where there is no database yet.
    pub found: Option<i64>,
    /// What would be done, in order: version and name.
    pub pending: Vec<(i64, String)>,
}

impl std::fmt::Display for MigrationPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.found {
            None => f.write_str("There is no database yet. A start would make it:")?,
            Some(found) if self.pending.is_empty() => {
                return write!(f, "The schema is up to date (version {found}).");
            }
            Some(found) => write!(f, "The schema is at version {found}. A start would apply:")?,
        }
        self.pending.iter().try_for_each(|(version, name)| write!(f, "\n  {version} {name}"))
    }
}

/// Why there is no backup, or why it was not restored. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The server has better tools.
    #[error(
        "this database is on PostgreSQL: use pg_dump (and pg_restore). It sees one moment of all tables, \
         needs no pause of Flowcore, and knows roles, indexes and what else the server holds. Keep a copy \
         of the master key with it"
    )]
    Postgres,
    /// Nothing is overwritten.
    #[error("{0} exists already; it is not overwritten")]
    Exists(PathBuf),
    /// There is nothing to back up, or to restore.
    #[error("{0} does not exist")]
    Missing(PathBuf),
    /// The file is no backup.
    #[error("{path} can't be restored: {why}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file can't be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data directory can't be used.
    #[error(transparent)]
    Directory(#[from] OpenError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StorageError),
}

/// Tells what opening would do to the schema, and changes nothing.
///
/// # Errors
/// [`OpenError::NewerSchema`] when a newer version wrote it, others when it can't be looked at.
pub async fn migration_plan(
    data_dir: &Path,
    database: &DatabaseOptions,
) -> Result<MigrationPlan, OpenError> {
    let location = open::location(data_dir, database)?;
    if let Location::Sqlite(file) = &location
        && !file.exists()
    {
        return Ok(MigrationPlan { found: None, pending: open::pending(&location, 0) });
    }
    let mut connection = location.connect().await?;
    let found = open::schema(&mut connection).await;
    connection.close().await;
    let found = found?;
    Ok(MigrationPlan { found, pending: open::pending(&location, found.unwrap_or_default()) })
}

/// Writes everything that is committed, as of one moment, to a new file. The server may be running; it is
/// not held up. The master key is not in it.
pub async fn backup(
    data_dir: &Path,
    database: &DatabaseOptions,
    file: &Path,
) -> Result<(), BackupError> {
    let location = open::location(data_dir, database)?;
    let Location::Sqlite(source) = &location else { return Err(BackupError::Postgres) };
    if !source.exists() {
        return Err(BackupError::Missing(source.clone()));
    }
    let target = create(file)?;
    let mut connection = location.connect().await?;
    // Into an empty file, so that it has our mode from the beginning.
    let copied = query("VACUUM INTO $1").bind(file.to_string_lossy().as_ref());
    let copied = copied.execute(&mut connection).await;
    connection.close().await;
    let kept = copied.map_err(BackupError::from).and_then(|_| sync(&target, file));
    if kept.is_err() {
        // What is half is no backup.
        let _ = std::fs::remove_file(file);
    }
    kept
}

/// Puts a backup into a data directory that has no database.
pub async fn restore(file: &Path, data_dir: &Path) -> Result<(), BackupError> {
    if !file.exists() {
        return Err(BackupError::Missing(file.to_owned()));
    }
    check(file).await?;
    open::make_directory(data_dir)?;
    let _guard = Guard::directory(data_dir)?;
    let target = data_dir.join(open::DATABASE_FILE);
    // A log that is left over would be played into the restored file.
    for name in ["flowcore.db", "flowcore.db-wal", "flowcore.db-journal"] {
        let there = data_dir.join(name);
        if there.exists() {
            return Err(BackupError::Exists(there));
        }
    }
    let draft = data_dir.join("flowcore.db.restored");
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::File { path, source }
    };
    // Of a restore that did not come to its end.
    if draft.exists() {
        std::fs::remove_file(&draft).map_err(failed(&draft))?;
    }
    let mut copy = create(&draft)?;
    let mut source = File::open(file).map_err(failed(file))?;
    std::io::copy(&mut source, &mut copy).map_err(failed(&draft))?;
    sync(&copy, &draft)?;
    std::fs::rename(&draft, &target).map_err(failed(&target))?;
    let directory = File::open(data_dir).map_err(failed(data_dir))?;
    sync(&directory, data_dir)
}

/// Whether a file is a whole database of ours that this version understands.
async fn check(file: &Path) -> Result<(), BackupError> {
    let unusable = |why: &str| BackupError::Unusable { path: file.to_owned(), why: why.to_owned() };
    let mut connection = Location::Sqlite(file.to_owned()).connect_read_only().await?;
    let looked = look(&mut connection).await;
    connection.close().await;
    match looked {
        Ok(true) => Ok(()),
        Ok(false) => Err(unusable("it is damaged")),
        Err(OpenError::Database(_)) => Err(unusable("it is not a backup of Flowcore")),
        Err(other) => Err(unusable(&other.to_string())),
    }
}

async fn look(connection: &mut Connection) -> Result<bool, OpenError> {
    query("SELECT value FROM meta WHERE key = 'mark'").fetch_one(&mut *connection).await?;
    open::schema(connection).await?;
    let verdict = query("PRAGMA quick_check").scalar::<String>(connection).await?;
    Ok(verdict.as_deref() == Some("ok"))
}

fn create(file: &Path) -> Result<File, BackupError> {
    let mut options = OpenOptions::new();
    let created = options.write(true).create_new(true).mode(0o600).open(file);
    created.map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => BackupError::Exists(file.to_owned()),
        _ => BackupError::File { path: file.to_owned(), source },
    })
}

fn sync(file: &File, path: &Path) -> Result<(), BackupError> {
    file.sync_all().map_err(|source| BackupError::File { path: path.to_owned(), source })
}
