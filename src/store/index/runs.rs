//! Continuous runs of producer time: joining them, and their form in the index.

use bytes::{Buf, BufMut};
use kinora_base::WallTime;

use crate::Run;

/// Joins runs, in any order and overlapping, into the runs of all their fragments. Joining runs
/// of runs gives the same as joining the fragments at once.
pub(crate) fn merge_runs(mut runs: Vec<Run>) -> Vec<Run> {
    runs.sort_unstable_by_key(|run| (run.start, run.end));
    let mut merged: Vec<Run> = Vec::new();
    for run in runs {
        match merged.last_mut() {
            Some(last) if run.start.micros_since(last.end) <= Run::LARGEST_HOLE_US => {
                last.end = last.end.max(run.end);
                last.fragments += run.fragments;
                last.bytes += run.bytes;
            }
            _ => merged.push(run),
        }
    }
    merged
}

/// The runs as a column: empty for a single one, which the row's other columns describe.
pub(super) fn encode(runs: &[Run]) -> Vec<u8> {
    let mut blob = Vec::new();
    if runs.len() > 1 {
        for run in runs {
            blob.put_i64_le(run.start.as_micros());
            blob.put_i64_le(run.end.as_micros());
            blob.put_u64_le(run.fragments);
            blob.put_u64_le(run.bytes);
        }
    }
    blob
}

/// Reads the column; `single` is the run that an empty column means.
pub(super) fn decode(blob: &[u8], single: Run) -> Vec<Run> {
    if blob.is_empty() {
        return vec![single];
    }
    blob.chunks_exact(32)
        .map(|mut from| Run {
            start: WallTime::from_micros(from.get_i64_le()),
            end: WallTime::from_micros(from.get_i64_le()),
            fragments: from.get_u64_le(),
            bytes: from.get_u64_le(),
        })
        .collect()
}
