//! The rows of sealed segments: adding, forgetting, and finding them by number and by time.

use kinora_base::WallTime;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::database::{int, time, uint};
use super::{Database, SegmentRow, Span, runs};
use crate::{Error, Run};

const SEGMENT_COLUMNS: &str = "first, last, spent, epoch, first_ordinal, count, bytes, file_bytes, \
    producer_first, producer_last, producer_end, server_first, server_last, server_end, damaged, runs, lowest, \
    longest";

/// A span of a time axis in which segments may begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginning {
    /// By producer time, else by server time.
    pub(crate) producer: bool,
    pub(crate) from: WallTime,
    pub(crate) to: WallTime,
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
        longest_us: uint(row, 17)?,
    })
}

impl Database {
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

    /// Forgets segments and sums the stream's others up again.
    pub(crate) fn remove_segments(&self, stream: i64, firsts: &[u64]) -> Result<(), Error> {
        self.write(|connection| {
            for first in firsts {
                connection
                    .prepare_cached("DELETE FROM segments WHERE stream = ?1 AND first = ?2")?
                    .execute(params![stream, int(*first)])?;
            }
            connection.execute("DELETE FROM totals WHERE stream = ?1", [stream])?;
            connection.execute(
                "INSERT INTO totals SELECT stream, min(lowest), max(last), min(producer_first), \
                 max(producer_end), max(server_last), sum(count), sum(bytes), sum(file_bytes) FROM segments \
                 WHERE stream = ?1 GROUP BY stream",
                [stream],
            )?;
            Ok(())
        })
    }

    /// Lowest number and earliest producer start in the segments from `from` to below `below`.
    pub(crate) fn lowest(
        &self,
        stream: i64,
        from: u64,
        below: u64,
    ) -> Result<Option<(u64, WallTime)>, Error> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT lowest, (SELECT producer_first FROM segments WHERE stream = ?1 AND first >= ?2 \
                     AND first < ?3 ORDER BY producer_first LIMIT 1) FROM segments \
                     WHERE stream = ?1 AND first >= ?2 AND first < ?3 ORDER BY first LIMIT 1",
                )?
                .query_row(params![stream, int(from), int(below)], |row| Ok((uint(row, 0)?, time(row, 1)?)))
                .optional()
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
}

fn add_segment(connection: &Connection, stream: i64, row: &SegmentRow) -> rusqlite::Result<()> {
    let added = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO segments VALUES \
             (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
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
            int(row.longest_us),
        ])?;
    if added == 0 {
        return Ok(());
    }
    connection
        .prepare_cached(
            "UPDATE streams SET longest_producer = max(longest_producer, ?2), \
             longest_server = max(longest_server, ?3), longest_fragment = max(longest_fragment, ?4) \
             WHERE id = ?1",
        )?
        .execute(params![stream, row.producer.length_us(), row.server.length_us(), int(row.longest_us)])?;
    connection
        .prepare_cached(
            "INSERT INTO totals VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (stream) DO UPDATE SET \
             first = min(first, excluded.first), last = max(last, excluded.last), \
             producer_first = min(producer_first, excluded.producer_first), \
             producer_end = max(producer_end, excluded.producer_end), \
             server_last = max(server_last, excluded.server_last), \
             count = count + excluded.count, bytes = bytes + excluded.bytes, \
             file_bytes = file_bytes + excluded.file_bytes",
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
            int(row.file_bytes),
        ])?;
    Ok(())
}
