//! The damaged places that are known.

use std::collections::HashMap;

use kinora_base::FragmentNumber;
use rusqlite::params;

use super::Database;
use super::database::{int, time, uint};
use crate::{DamagedPlace, Error};

impl Database {
    /// All damaged places, by stream.
    pub(crate) fn damages(&self) -> Result<HashMap<i64, Vec<DamagedPlace>>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT stream, segment, file, place, fragment, reason, found FROM damages",
            )?;
            let mut rows = statement.query([])?;
            let mut found: HashMap<i64, Vec<DamagedPlace>> = HashMap::new();
            while let Some(row) = rows.next()? {
                found.entry(row.get(0)?).or_default().push(DamagedPlace {
                    segment: uint(row, 1)?,
                    file: row.get(2)?,
                    offset: uint(row, 3)?,
                    fragment: FragmentNumber::new(uint(row, 4)?),
                    reason: row.get(5)?,
                    found: time(row, 6)?,
                });
            }
            Ok(found)
        })
    }

    /// Notes damaged places. One that is there already is left as it is.
    pub(crate) fn add_damages(&self, stream: i64, places: &[DamagedPlace]) -> Result<(), Error> {
        self.write(|connection| {
            for place in places {
                connection
                    .prepare_cached("INSERT OR IGNORE INTO damages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
                    .execute(params![
                        stream,
                        int(place.segment),
                        int(place.offset),
                        place.file,
                        int(place.fragment.map_or(0, FragmentNumber::get)),
                        place.reason,
                        place.found.as_micros(),
                    ])?;
            }
            Ok(())
        })
    }

    /// Forgets the damaged places of a segment.
    pub(crate) fn remove_damages(&self, stream: i64, segment: u64) -> Result<(), Error> {
        self.write(|connection| {
            connection
                .execute(
                    "DELETE FROM damages WHERE stream = ?1 AND segment = ?2",
                    params![stream, int(segment)],
                )
                .map(drop)
        })
    }
}
