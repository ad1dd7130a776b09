//! `meta.db`: the SQLite file that holds the index. One connection writes; readers have their own.
//!
//! Every column can be made again from the data files. SQL appears in this file only.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use kinora_base::{ErrorKind, StreamName, WallTime};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};

use super::{SegmentRow, Span, runs};
use crate::sync::lock;
use crate::{Error, Run};

/// The version of the tables below, kept in SQLite's `user_version`.
const SCHEMA_VERSION: i64 = 1;

/// Connections for reading that are kept for the next reader.
const IDLE_READERS: usize = 4;

/// How long a connection waits for another to let go of the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    longest_producer INTEGER NOT NULL DEFAULT 0,
    longest_server INTEGER NOT NULL DEFAULT 0
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
    PRIMARY KEY (stream, first)
) STRICT, WITHOUT ROWID;
CREATE INDEX segments_by_producer ON segments (stream, producer_first);
CREATE INDEX segments_by_server ON segments (stream, server_first);
CREATE TABLE totals (
    stream INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    producer_first INTEGER NOT NULL,
    producer_end INTEGER NOT NULL,
    server_last INTEGER NOT NULL,
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;
CREATE TABLE configurations (
    stream INTEGER NOT NULL,
    id INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (stream, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE watermarks (
    stream INTEGER PRIMARY KEY,
    segment BLOB NOT NULL,
    durable_to INTEGER NOT NULL
) STRICT;
CREATE TABLE clock (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    last_seen INTEGER NOT NULL
) STRICT;
";

const SEGMENT_COLUMNS: &str = "first, last, spent, epoch, first_ordinal, count, bytes, file_bytes, \
    producer_first, producer_last, producer_end, server_first, server_last, server_end, damaged, runs, lowest";

/// What the index knows of a stream as a whole: sums over its sealed segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamRow {
    pub(crate) id: i64,
    pub(crate) name: StreamName,
    pub(crate) created: WallTime,
    /// Longest span of one segment on the producer axis, in microseconds, or more.
    pub(crate) longest_producer_us: i64,
    /// Longest span of one segment on the server axis, in microseconds, or more.
    pub(crate) longest_server_us: i64,
    pub(crate) totals: Option<Totals>,
}

/// Sums over the sealed segments of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) producer_first: WallTime,
    pub(crate) producer_end: WallTime,
    pub(crate) server_last: WallTime,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// How far an open segment was known to be durable at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watermark {
    pub(crate) stream: i64,
    pub(crate) segment: [u8; 16],
    pub(crate) durable_to: u64,
}

/// A span of a time axis in which segments may begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginning {
    /// By producer time, else by server time.
    pub(crate) producer: bool,
    pub(crate) from: WallTime,
    pub(crate) to: WallTime,
}

/// The open database.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => ErrorKind::StorageFull,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Corrupt,
        _ => ErrorKind::Unavailable,
    };
    let hint =
        if kind == ErrorKind::Corrupt { " (rebuild-index makes it anew from the data files)" } else { "" };
    Error::new(kind, format!("index {}: {error}{hint}", path.display()))
}

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn uint(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<WallTime> {
    Ok(WallTime::from_micros(row.get(column)?))
}

fn segment_row(row: &Row<'_>) -> rusqlite::Result<SegmentRow> {
    let span = |at| -> rusqlite::Result<Span> {
        Ok(Span { first: time(row, at)?, last: time(row, at + 1)?, end: time(row, at + 2)? })
    };
    let (count, bytes) = (uint(row, 5)?, uint(row, 6)?);
    let producer = span(8)?;
    let single = Run { start: producer.first, end: producer.end, fragments: count, bytes };
    Ok(SegmentRow {
        first: uint(row, 0)?,
        last: uint(row, 1)?,
        spent: uint(row, 2)?,
        epoch: uint(row, 3)?,
        first_ordinal: uint(row, 4)?,
        count: u32::try_from(count).unwrap_or(u32::MAX),
        bytes,
        file_bytes: uint(row, 7)?,
        producer,
        server: span(11)?,
        damaged: row.get(14)?,
        runs: runs::decode(row.get_ref(15)?.as_blob()?, single),
        lowest: uint(row, 16)?,
    })
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

    fn write<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let mut connection = lock(&self.writer);
        let wrap = |error| failed(&self.path, &error);
        let transaction = connection.transaction().map_err(wrap)?;
        let result = work(&transaction).map_err(wrap)?;
        transaction.commit().map_err(wrap)?;
        Ok(result)
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let wrap = |error| failed(&self.path, &error);
        let idle = lock(&self.readers).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = Connection::open_with_flags(&self.path, flags).map_err(wrap)?;
                connection.busy_timeout(BUSY_TIMEOUT).map_err(wrap)?;
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

    /// All streams with their sums.
    pub(crate) fn streams(&self) -> Result<Vec<StreamRow>, Error> {
        self.stream_rows(None)
    }

    /// One stream with its sums.
    pub(crate) fn stream(&self, id: i64) -> Result<Option<StreamRow>, Error> {
        Ok(self.stream_rows(Some(id))?.pop())
    }

    fn stream_rows(&self, id: Option<i64>) -> Result<Vec<StreamRow>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT s.id, s.name, s.created, s.longest_producer, s.longest_server, t.first, t.last, \
                 t.producer_first, t.producer_end, t.server_last, t.count, t.bytes \
                 FROM streams s LEFT JOIN totals t ON t.stream = s.id WHERE ?1 IS NULL OR s.id = ?1",
            )?;
            let rows = statement.query_map([id], |row| {
                let totals = match row.get::<_, Option<i64>>(5)? {
                    None => None,
                    Some(_) => Some(Totals {
                        first: uint(row, 5)?,
                        last: uint(row, 6)?,
                        producer_first: time(row, 7)?,
                        producer_end: time(row, 8)?,
                        server_last: time(row, 9)?,
                        count: uint(row, 10)?,
                        bytes: uint(row, 11)?,
                    }),
                };
                let name: String = row.get(1)?;
                let (id, created) = (row.get(0)?, time(row, 2)?);
                let (longest_producer_us, longest_server_us) = (row.get(3)?, row.get(4)?);
                Ok(StreamName::new(&name).ok().map(|name| StreamRow {
                    id,
                    name,
                    created,
                    longest_producer_us,
                    longest_server_us,
                    totals,
                }))
            })?;
            rows.filter_map(Result::transpose).collect()
        })
    }

    /// Adds a stream, or finds it if it was created at the same time; gives its identifier.
    /// A row left by an earlier stream of the name is replaced with all that hangs on it.
    pub(crate) fn add_stream(&self, name: &StreamName, created: WallTime) -> Result<i64, Error> {
        self.write(|connection| {
            let found: Option<(i64, i64)> = connection
                .query_row("SELECT id, created FROM streams WHERE name = ?1", [name.as_str()], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            if let Some((id, at)) = found {
                if at == created.as_micros() {
                    return Ok(id);
                }
                remove_stream(connection, id)?;
            }
            connection.execute(
                "INSERT INTO streams (name, created) VALUES (?1, ?2)",
                params![name.as_str(), created.as_micros()],
            )?;
            Ok(connection.last_insert_rowid())
        })
    }

    /// Forgets a stream.
    pub(crate) fn remove_stream(&self, id: i64) -> Result<(), Error> {
        self.write(|connection| remove_stream(connection, id))
    }

    /// The first numbers of a stream's segments, ascending.
    pub(crate) fn segment_firsts(&self, stream: i64) -> Result<Vec<u64>, Error> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT first FROM segments WHERE stream = ?1 ORDER BY first")?
                .query_map([stream], |row| uint(row, 0))?
                .collect()
        })
    }

    /// Adds sealed segments. One that is there already is left as it is.
    pub(crate) fn add_segments(&self, stream: i64, rows: &[SegmentRow]) -> Result<(), Error> {
        self.write(|connection| {
            for row in rows {
                add_segment(connection, stream, row)?;
            }
            Ok(())
        })
    }

    /// Forgets a segment and sums the stream's others up again.
    pub(crate) fn remove_segment(&self, stream: i64, first: u64) -> Result<(), Error> {
        self.write(|connection| {
            connection.execute(
                "DELETE FROM segments WHERE stream = ?1 AND first = ?2",
                params![stream, int(first)],
            )?;
            connection.execute("DELETE FROM totals WHERE stream = ?1", [stream])?;
            connection.execute(
                "INSERT INTO totals SELECT stream, min(lowest), max(last), min(producer_first), \
                 max(producer_end), max(server_last), sum(count), sum(bytes) FROM segments \
                 WHERE stream = ?1 GROUP BY stream",
                [stream],
            )?;
            Ok(())
        })
    }

    /// The last segment that begins at or below `number`.
    pub(crate) fn segment_of(&self, stream: i64, number: u64) -> Result<Option<SegmentRow>, Error> {
        self.read(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {SEGMENT_COLUMNS} FROM segments WHERE stream = ?1 AND first <= ?2 \
                     ORDER BY first DESC LIMIT 1"
                ))?
                .query_row(params![stream, int(number)], segment_row)
                .optional()
        })
    }

    /// The segments with first number from `from` to below `below`, in order, at most `limit`.
    pub(crate) fn segments_by_number(
        &self,
        stream: i64,
        from: u64,
        below: u64,
        descending: bool,
        limit: usize,
    ) -> Result<Vec<SegmentRow>, Error> {
        let order = if descending { "DESC" } else { "ASC" };
        self.read(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {SEGMENT_COLUMNS} FROM segments WHERE stream = ?1 AND first >= ?2 AND first < ?3 \
                     ORDER BY first {order} LIMIT ?4"
                ))?
                .query_map(params![stream, int(from), int(below), int(limit as u64)], segment_row)?
                .collect()
        })
    }

    /// The segments that begin in a span of time and below the number `below`, by that time, the
    /// `skip`ped ones left out, at most `limit`.
    pub(crate) fn segments_by_time(
        &self,
        stream: i64,
        span: Beginning,
        below: u64,
        descending: bool,
        (skip, limit): (usize, usize),
    ) -> Result<Vec<SegmentRow>, Error> {
        let axis = if span.producer { "producer_first" } else { "server_first" };
        let order = if descending { "DESC" } else { "ASC" };
        self.read(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {SEGMENT_COLUMNS} FROM segments WHERE stream = ?1 AND {axis} >= ?2 AND {axis} <= ?3 \
                     AND first < ?4 ORDER BY {axis} {order}, first {order} LIMIT ?5 OFFSET ?6"
                ))?
                .query_map(
                    params![
                        stream,
                        span.from.as_micros(),
                        span.to.as_micros(),
                        int(below),
                        int(limit as u64),
                        int(skip as u64)
                    ],
                    segment_row,
                )?
                .collect()
        })
    }

    /// Keeps codec configurations. One that is there already is replaced.
    pub(crate) fn add_configurations(&self, stream: i64, known: &[(u32, Bytes)]) -> Result<(), Error> {
        self.write(|connection| {
            for (id, content) in known {
                connection.execute(
                    "INSERT OR REPLACE INTO configurations VALUES (?1, ?2, ?3)",
                    params![stream, id, content.as_ref()],
                )?;
            }
            Ok(())
        })
    }

    /// A codec configuration.
    pub(crate) fn configuration(&self, stream: i64, id: u32) -> Result<Option<Bytes>, Error> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT content FROM configurations WHERE stream = ?1 AND id = ?2")?
                .query_row(params![stream, id], |row| Ok(Bytes::from(row.get::<_, Vec<u8>>(0)?)))
                .optional()
        })
    }

    /// The `count` codec configurations with the highest identifiers, ascending.
    pub(crate) fn newest_configurations(
        &self,
        stream: i64,
        count: usize,
    ) -> Result<Vec<(u32, Bytes)>, Error> {
        let mut found: Vec<(u32, Bytes)> = self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT id, content FROM configurations WHERE stream = ?1 ORDER BY id DESC LIMIT ?2",
                )?
                .query_map(params![stream, int(count as u64)], |row| {
                    Ok((row.get(0)?, Bytes::from(row.get::<_, Vec<u8>>(1)?)))
                })?
                .collect()
        })?;
        found.reverse();
        Ok(found)
    }

    /// Keeps watermarks and the time, together.
    pub(crate) fn set_watermarks(&self, marks: &[Watermark], now: WallTime) -> Result<(), Error> {
        self.write(|connection| {
            for mark in marks {
                connection
                    .prepare_cached("INSERT OR REPLACE INTO watermarks VALUES (?1, ?2, ?3)")?
                    .execute(params![mark.stream, mark.segment, int(mark.durable_to)])?;
            }
            connection.execute("INSERT OR REPLACE INTO clock VALUES (1, ?1)", [now.as_micros()])?;
            Ok(())
        })
    }

    /// All watermarks.
    pub(crate) fn watermarks(&self) -> Result<Vec<Watermark>, Error> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT stream, segment, durable_to FROM watermarks")?
                .query_map([], |row| {
                    Ok(Watermark { stream: row.get(0)?, segment: row.get(1)?, durable_to: uint(row, 2)? })
                })?
                .collect()
        })
    }
}

fn remove_stream(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    for table in ["segments", "totals", "configurations", "watermarks"] {
        connection.execute(&format!("DELETE FROM {table} WHERE stream = ?1"), [id])?;
    }
    connection.execute("DELETE FROM streams WHERE id = ?1", [id])?;
    Ok(())
}

fn add_segment(connection: &Connection, stream: i64, row: &SegmentRow) -> rusqlite::Result<()> {
    let added = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO segments VALUES \
             (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        )?
        .execute(params![
            stream,
            int(row.first),
            int(row.last),
            int(row.spent),
            int(row.epoch),
            int(row.first_ordinal),
            row.count,
            int(row.bytes),
            int(row.file_bytes),
            row.producer.first.as_micros(),
            row.producer.last.as_micros(),
            row.producer.end.as_micros(),
            row.server.first.as_micros(),
            row.server.last.as_micros(),
            row.server.end.as_micros(),
            row.damaged,
            runs::encode(&row.runs),
            int(row.lowest),
        ])?;
    if added == 0 {
        return Ok(());
    }
    connection
        .prepare_cached(
            "UPDATE streams SET longest_producer = max(longest_producer, ?2), \
             longest_server = max(longest_server, ?3) WHERE id = ?1",
        )?
        .execute(params![stream, row.producer.length_us(), row.server.length_us()])?;
    connection
        .prepare_cached(
            "INSERT INTO totals VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (stream) DO UPDATE SET \
             first = min(first, excluded.first), last = max(last, excluded.last), \
             producer_first = min(producer_first, excluded.producer_first), \
             producer_end = max(producer_end, excluded.producer_end), \
             server_last = max(server_last, excluded.server_last), \
             count = count + excluded.count, bytes = bytes + excluded.bytes",
        )?
        .execute(params![
            stream,
            int(row.lowest),
            int(row.last),
            row.producer.first.as_micros(),
            row.producer.end.as_micros(),
            row.server.last.as_micros(),
            row.count,
            int(row.bytes),
        ])?;
    Ok(())
}
