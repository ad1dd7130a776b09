//! `meta.db`: the SQLite file that holds the index. One connection writes; readers have their own.
//!
//! Every column can be made again from the data files. SQL appears in this folder only.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use kinora_base::{ErrorKind, WallTime};
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, ffi};

use crate::Error;
use crate::sync::lock;

/// The version of the tables below, kept in SQLite's `user_version`.
const SCHEMA_VERSION: i64 = 1;

/// Connections for reading that are kept for the next reader.
const IDLE_READERS: usize = 4;

/// How much of the index a reading connection keeps in memory, in KiB: a month of a busy stream,
/// which the default would read again from end to end each time.
const READER_CACHE_KIB: i64 = 8 << 10;

/// How long a connection waits for another to let go of the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    longest_producer INTEGER NOT NULL DEFAULT 0,
    longest_server INTEGER NOT NULL DEFAULT 0,
    floor INTEGER NOT NULL DEFAULT 0,
    longest_fragment INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE segments (
    stream INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    spent INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    first_ordinal INTEGER NOT NULL,
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    file_bytes INTEGER NOT NULL,
    producer_first INTEGER NOT NULL,
    producer_last INTEGER NOT NULL,
    producer_end INTEGER NOT NULL,
    server_first INTEGER NOT NULL,
    server_last INTEGER NOT NULL,
    server_end INTEGER NOT NULL,
    damaged INTEGER NOT NULL,
    runs BLOB NOT NULL,
    lowest INTEGER NOT NULL,
    longest INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (stream, first)
) STRICT, WITHOUT ROWID;
CREATE INDEX segments_by_producer ON segments
    (stream, producer_first, producer_end, count, bytes, damaged, runs);
CREATE INDEX segments_by_server ON segments (stream, server_first);
CREATE TABLE totals (
    stream INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    producer_first INTEGER NOT NULL,
    producer_end INTEGER NOT NULL,
    server_last INTEGER NOT NULL,
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    file_bytes INTEGER NOT NULL
) STRICT;
CREATE TABLE configurations (
    stream INTEGER NOT NULL,
    id INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (stream, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE stops (
    stream INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    place INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    noticed INTEGER NOT NULL,
    number INTEGER NOT NULL,
    cause INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (stream, segment, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX stops_by_time ON stops (stream, ended);
CREATE TRIGGER stops_go_with_their_segment AFTER DELETE ON segments BEGIN
    DELETE FROM stops WHERE stream = old.stream AND segment = old.first;
END;
CREATE TABLE watermarks (
    stream INTEGER PRIMARY KEY,
    segment BLOB NOT NULL,
    durable_to INTEGER NOT NULL
) STRICT;
CREATE TABLE damages (
    stream INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    place INTEGER NOT NULL,
    file TEXT NOT NULL,
    fragment INTEGER NOT NULL,
    reason TEXT NOT NULL,
    found INTEGER NOT NULL,
    PRIMARY KEY (stream, segment, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE clock (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    last_seen INTEGER NOT NULL,
    held INTEGER NOT NULL
) STRICT;
";

/// The open database.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    // The memory that connections share lies in a file, which a full disk cannot extend.
    let extended = error.sqlite_error().map(|error| error.extended_code);
    let kind = match error.sqlite_error_code() {
        _ if extended == Some(ffi::SQLITE_IOERR_SHMSIZE) => ErrorKind::StorageFull,
        Some(ErrorCode::DiskFull) => ErrorKind::StorageFull,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Corrupt,
        _ => ErrorKind::Unavailable,
    };
    let hint =
        if kind == ErrorKind::Corrupt { " (rebuild-index makes it anew from the data files)" } else { "" };
    Error::new(kind, format!("index {}: {error}{hint}", path.display()))
}

/// A number as SQLite keeps it.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A number from a column.
pub(super) fn uint(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

/// A time from a column.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<WallTime> {
    Ok(WallTime::from_micros(row.get(column)?))
}

impl Database {
    /// The file's name.
    pub(crate) const NAME: &'static str = "meta.db";

    /// Opens the file at `path`, creating it if needed.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let wrap = |error| failed(path, &error);
        let connection = Connection::open(path).map_err(wrap)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(wrap)?;
        let version: i64 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(wrap)?;
        if version > SCHEMA_VERSION {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "index {} has format version {version}, this program knows versions up to {SCHEMA_VERSION}",
                    path.display()
                ),
            ));
        }
        // WAL: readers never wait for the writer. FULL: a committed row survives a power cut.
        connection.pragma_update(None, "journal_mode", "WAL").map_err(wrap)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(wrap)?;
        if version == 0 {
            connection
                .execute_batch(&format!("BEGIN;{SCHEMA}PRAGMA user_version={SCHEMA_VERSION};COMMIT;"))
                .map_err(wrap)?;
        }
        Ok(Self { path: path.to_owned(), writer: Mutex::new(connection), readers: Mutex::new(Vec::new()) })
    }

    /// Does `work` in a transaction.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let mut connection = lock(&self.writer);
        let wrap = |error| failed(&self.path, &error);
        let transaction = connection.transaction().map_err(wrap)?;
        let result = work(&transaction).map_err(wrap)?;
        transaction.commit().map_err(wrap)?;
        Ok(result)
    }

    /// Does `work` on a connection that only reads.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let wrap = |error| failed(&self.path, &error);
        let idle = lock(&self.readers).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = Connection::open_with_flags(&self.path, flags).map_err(wrap)?;
                connection.busy_timeout(BUSY_TIMEOUT).map_err(wrap)?;
                connection.pragma_update(None, "cache_size", -READER_CACHE_KIB).map_err(wrap)?;
                connection
            }
        };
        let result = work(&connection).map_err(wrap);
        let mut readers = lock(&self.readers);
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        result
    }

    /// Gathers everything in the one file, so that it can be moved.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        lock(&self.readers).clear();
        let wrap = |error| failed(&self.path, &error);
        let writer = lock(&self.writer);
        writer.pragma_update(None, "journal_mode", "DELETE").map_err(wrap)
    }
}
