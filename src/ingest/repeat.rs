//! Whether a fragment was stored before, where the store's checksum of its content does not tell.
//!
//! Samples are compared, track by track: the order in which the tracks' samples lie may differ,
//! since parts are cut by times that a connection rounds in its own way; and what breaks off may be
//! only the beginning of what is stored.

use std::sync::Arc;

use bytes::Bytes;
use kinora_base::FragmentNumber;
use kinora_media::Sample;
use kinora_media::packed::Head;
use kinora_store::{Flags, Fragment, Stream};

/// The one of these fragments that has the same samples as `sent` or, if that broke off, begins
/// with them. Reads the fragments: blocks. What cannot be read counts as different.
pub(super) fn find(
    sent: &[Bytes],
    broke_off: bool,
    alike: &[Fragment],
    stream: &Arc<Stream>,
) -> Option<FragmentNumber> {
    let sent = samples(sent)?;
    // What was kept though it broke off is no match for what is whole; see `store/duplicates.rs`.
    let (partial, whole): (Vec<_>, Vec<_>) =
        alike.iter().partition(|fragment| fragment.flags.has(Flags::PARTIAL));
    let mut candidates = whole.into_iter().chain(partial.into_iter().filter(|_| broke_off));
    let same = candidates.find(|fragment| {
        let payload = stream.read(fragment.number).and_then(|payload| payload.whole());
        payload.ok().and_then(|payload| samples(&payload)).is_some_and(|stored| {
            (broke_off || stored.len() == sent.len()) && each_track_begins(&stored, &sent)
        })
    })?;
    Some(same.number)
}

/// The samples of a payload of which the first piece holds the head.
fn samples(payload: &[Bytes]) -> Option<Vec<Sample>> {
    let bytes: usize = payload.iter().map(Bytes::len).sum();
    Some(Head::parse(payload.first()?, bytes as u64).ok()?.samples(payload))
}

/// Whether each track of `stored` begins with its samples in `sent`.
fn each_track_begins(stored: &[Sample], sent: &[Sample]) -> bool {
    let mut tracks: Vec<u32> = sent.iter().map(|sample| sample.track).collect();
    tracks.sort_unstable();
    tracks.dedup();
    tracks.into_iter().all(|track| {
        let of_track = |sample: &&Sample| sample.track == track;
        let mut stored = stored.iter().filter(of_track);
        sent.iter().filter(of_track).all(|sent| stored.next().is_some_and(|kept| kept.data == sent.data))
    })
}
