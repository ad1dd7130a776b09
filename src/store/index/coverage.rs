//! What segments cover of the producer's time, read from the index alone, as fast as it can be.
//!
//! All columns are in the index `segments_by_producer`, so that rows are read in one pass over
//! it, without the table.

use std::ops::{ControlFlow, Range};

use kinora_base::WallTime;
use rusqlite::{OptionalExtension, Row, params};

use super::database::{int, time, uint};
use super::{Database, runs};
use crate::{Error, Run};

/// What one segment covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// The first number that the segment may hold.
    pub(crate) first: u64,
    /// Its continuous runs, in order.
    pub(crate) runs: Vec<Run>,
    /// Whether records in it are damaged.
    pub(crate) damaged: bool,
}

fn coverage(row: &Row<'_>) -> rusqlite::Result<Coverage> {
    let (start, end) = (time(row, 0)?, time(row, 1)?);
    let single = Run { start, end, fragments: uint(row, 2)?, bytes: uint(row, 3)? };
    Ok(Coverage {
        first: uint(row, 6)?,
        damaged: row.get(4)?,
        runs: runs::decode(row.get_ref(5)?.as_blob()?, single),
    })
}

impl Database {
    /// Gives `each` what the segments cover that begin from `from` to before `to` in producer time
    /// and have a first number among `numbers`, by that time, until it breaks off.
    pub(crate) fn coverage(
        &self,
        stream: i64,
        (from, to): (WallTime, WallTime),
        numbers: Range<u64>,
        mut each: impl FnMut(Coverage) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT producer_first, producer_end, count, bytes, damaged, runs, first FROM segments \
                 INDEXED BY segments_by_producer WHERE stream = ?1 AND producer_first >= ?2 \
                 AND producer_first < ?3 AND first >= ?4 AND first < ?5 ORDER BY producer_first",
            )?;
            let (first, below) = (int(numbers.start), int(numbers.end));
            let mut rows =
                statement.query(params![stream, from.as_micros(), to.as_micros(), first, below])?;
            while let Some(row) = rows.next()? {
                if each(coverage(row)?).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The last start of a segment before `time`, in producer time.
    pub(crate) fn last_start_before(&self, stream: i64, before: WallTime) -> Result<Option<WallTime>, Error> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT producer_first FROM segments WHERE stream = ?1 AND producer_first < ?2 \
                     ORDER BY producer_first DESC LIMIT 1",
                )?
                .query_row(params![stream, before.as_micros()], |row| time(row, 0))
                .optional()
        })
    }
}
