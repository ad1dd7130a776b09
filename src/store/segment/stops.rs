//! Reading the stops of a segment back.

use crate::disk::DiskFile;
use crate::format::{SegmentId, StopEntry};
use crate::ledger::{Cause, Stop};

use super::read_record;

/// The stops of `segment` at `places`, with their offsets. One that cannot be read is left out:
/// verify finds it, and the absence that it would explain has no cause.
pub(crate) fn read_stops(file: &dyn DiskFile, segment: SegmentId, places: &[StopEntry]) -> Vec<(u32, Stop)> {
    let read = |place: &StopEntry| {
        let (record, detail) = read_record(file, segment, u64::from(place.offset), place.length).ok()?;
        let detail = String::from_utf8_lossy(&detail);
        let times = (record.producer_time, record.server_time);
        Some((place.offset, Stop::new(times, Cause::from_code(record.flags), &detail, record.number)))
    };
    places.iter().filter_map(read).collect()
}
