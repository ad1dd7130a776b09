//! What the index keeps of a stream as a whole: its row and sums, its codec configurations, how far
//! its open segment was durable.

use std::collections::BTreeSet;

use bytes::Bytes;
use kinora_base::{StreamName, WallTime};
use rusqlite::{Connection, OptionalExtension, params};

use super::Database;
use super::database::{int, time, uint};
use crate::Error;

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
    /// Fragments below this number had expired at some time.
    pub(crate) floor: u64,
    /// Duration of the longest fragment ever sealed, whether it is still stored or not.
    pub(crate) longest_fragment_us: u64,
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
    /// Length of their files.
    pub(crate) file_bytes: u64,
}

/// How far an open segment was known to be durable at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watermark {
    pub(crate) stream: i64,
    pub(crate) segment: [u8; 16],
    pub(crate) durable_to: u64,
}

impl Database {
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
                 t.producer_first, t.producer_end, t.server_last, t.count, t.bytes, t.file_bytes, s.floor, \
                 s.longest_fragment \
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
                        file_bytes: uint(row, 12)?,
                    }),
                };
                let name: String = row.get(1)?;
                let (id, created) = (row.get(0)?, time(row, 2)?);
                let floor = uint(row, 13)?;
                let (longest_producer_us, longest_server_us) = (row.get(3)?, row.get(4)?);
                let longest_fragment_us = uint(row, 14)?;
                Ok(StreamName::new(&name).ok().map(|name| StreamRow {
                    id,
                    name,
                    created,
                    longest_producer_us,
                    longest_server_us,
                    floor,
                    longest_fragment_us,
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

    /// Forgets the stream that was created then. A later one may have got its identifier.
    pub(crate) fn remove_stream(&self, id: i64, created: WallTime) -> Result<(), Error> {
        self.write(|connection| {
            let found: Option<i64> = connection
                .query_row("SELECT created FROM streams WHERE id = ?1", [id], |row| row.get(0))
                .optional()?;
            if found == Some(created.as_micros()) { remove_stream(connection, id) } else { Ok(()) }
        })
    }

    /// Keeps codec configurations, each as its whole record: what is encrypted in its segment is
    /// here, too. One that is there already is replaced.
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

    /// A codec configuration's record.
    pub(crate) fn configuration(&self, stream: i64, id: u32) -> Result<Option<Bytes>, Error> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT content FROM configurations WHERE stream = ?1 AND id = ?2")?
                .query_row(params![stream, id], |row| Ok(Bytes::from(row.get::<_, Vec<u8>>(0)?)))
                .optional()
        })
    }

    /// The identifiers of a stream's codec configurations.
    pub(crate) fn configuration_ids(&self, stream: i64) -> Result<BTreeSet<u32>, Error> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT id FROM configurations WHERE stream = ?1")?
                .query_map([stream], |row| row.get(0))?
                .collect()
        })
    }

    /// The records of the `count` codec configurations with the highest identifiers, ascending.
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

    /// Keeps watermarks, the floors of streams, and the time without the clock's last jump with how long
    /// that has lasted.
    pub(crate) fn set_watermarks(
        &self,
        marks: &[Watermark],
        floors: &[(i64, u64)],
        (now, held_us): (WallTime, i64),
    ) -> Result<(), Error> {
        self.write(|connection| {
            for (stream, floor) in floors {
                connection
                    .prepare_cached("UPDATE streams SET floor = ?2 WHERE id = ?1")?
                    .execute(params![stream, int(*floor)])?;
            }
            for mark in marks {
                connection
                    .prepare_cached("INSERT OR REPLACE INTO watermarks VALUES (?1, ?2, ?3)")?
                    .execute(params![mark.stream, mark.segment, int(mark.durable_to)])?;
            }
            connection
                .execute("INSERT OR REPLACE INTO clock VALUES (1, ?1, ?2)", [now.as_micros(), held_us])?;
            Ok(())
        })
    }

    /// The trusted time of the last run, and how long a jump of the clock had been held.
    pub(crate) fn last_seen(&self) -> Result<Option<(WallTime, i64)>, Error> {
        self.read(|connection| {
            connection
                .query_row("SELECT last_seen, held FROM clock", [], |row| Ok((time(row, 0)?, row.get(1)?)))
                .optional()
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
    for table in ["segments", "totals", "configurations", "stops", "watermarks", "damages"] {
        connection.execute(&format!("DELETE FROM {table} WHERE stream = ?1"), [id])?;
    }
    connection.execute("DELETE FROM streams WHERE id = ?1", [id])?;
    Ok(())
}
