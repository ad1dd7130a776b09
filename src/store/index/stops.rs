//! The stops of a stream: adding, and finding the one that explains an absence.
//!
//! A stop goes with the row of its segment: a trigger sees to that.

use kinora_base::WallTime;
use rusqlite::{OptionalExtension, Row, params};

use super::Database;
use super::database::{int, time, uint};
use crate::Error;
use crate::ledger::{Cause, Gap, Stop};

const STOP_COLUMNS: &str = "ended, noticed, number, cause, detail";

fn stop(row: &Row<'_>) -> rusqlite::Result<Stop> {
    let cause = Cause::from_code(row.get(3)?);
    let detail: String = row.get(4)?;
    Ok(Stop { ended: time(row, 0)?, noticed: time(row, 1)?, number: uint(row, 2)?, cause, detail })
}

impl Database {
    /// Adds stops, each with its segment's first number and its offset there. One that is there
    /// already is left as it is.
    pub(crate) fn add_stops(&self, stream: i64, stops: &[(u64, u32, Stop)]) -> Result<(), Error> {
        self.write(|connection| {
            let mut add = connection
                .prepare_cached("INSERT OR IGNORE INTO stops VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
            for (segment, offset, stop) in stops {
                add.execute(params![
                    stream,
                    int(*segment),
                    offset,
                    stop.ended.as_micros(),
                    stop.noticed.as_micros(),
                    int(stop.number),
                    stop.cause.code(),
                    stop.detail,
                ])?;
            }
            Ok(())
        })
    }

    /// How many stops of a segment there are.
    pub(crate) fn count_stops(&self, stream: i64, segment: u64) -> Result<usize, Error> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT count(*) FROM stops WHERE stream = ?1 AND segment = ?2")?
                .query_row(params![stream, int(segment)], |row| Ok(uint(row, 0)? as usize))
        })
    }

    /// The newest stop of a stream.
    pub(crate) fn newest_stop(&self, stream: i64) -> Result<Option<Stop>, Error> {
        self.read(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {STOP_COLUMNS} FROM stops WHERE stream = ?1 \
                     ORDER BY segment DESC, place DESC LIMIT 1"
                ))?
                .query_row([stream], stop)
                .optional()
        })
    }

    /// For each absence, the nearest stops on both sides of its start that can explain it, oldest
    /// first.
    pub(crate) fn explanations(
        &self,
        stream: i64,
        absences: &[(WallTime, Option<WallTime>)],
    ) -> Result<Vec<Vec<Stop>>, Error> {
        self.read(|connection| {
            let mut before = connection.prepare_cached(&format!(
                "SELECT {STOP_COLUMNS} FROM stops WHERE stream = ?1 AND ended >= ?2 AND ended <= ?3 \
                 ORDER BY ended DESC, segment DESC, place DESC LIMIT 1"
            ))?;
            let mut after = connection.prepare_cached(&format!(
                "SELECT {STOP_COLUMNS} FROM stops WHERE stream = ?1 AND ended > ?2 AND ended < ?3 \
                 ORDER BY ended, segment DESC, place DESC LIMIT 1"
            ))?;
            let mut found = Vec::with_capacity(absences.len());
            for (start, end) in absences {
                let from = Gap::explained_from(*start).as_micros();
                let to = end.map_or(i64::MAX, WallTime::as_micros);
                let start = start.as_micros();
                let after = after.query_row(params![stream, start, to], stop).optional()?;
                let before = before.query_row(params![stream, from, start], stop).optional()?;
                // Of two as near, the one at the start comes last and wins.
                found.push(after.into_iter().chain(before).collect());
            }
            Ok(found)
        })
    }
}
