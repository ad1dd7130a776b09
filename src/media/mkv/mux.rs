//! The muxer: samples to Clusters, as headers that go between the samples' own bytes.
//!
//! It copies no payload and keeps no state between Clusters. It does not know where the bytes go,
//! and it does not check what is inside a sample.

use std::ops::Range;

use bytes::Bytes;
use kinora_base::MediaTime;

use super::header;
use super::id::Id;
use super::write::{Writer, id_length, uint_length, vint_length};
use crate::packed::Row;
use crate::{Error, Fault, Sample, SpliceWriter, Tag, Track, TrackKind};

/// A millisecond, the Segment tick that every player expects. Audio does not suffer from it: sound
/// is played by sample count, and our own reader recovers exact sample times.
const USUAL_SCALE_NS: u64 = 1_000_000;

/// The Segment tick for video so fast that milliseconds would move its pictures visibly.
const FINE_SCALE_NS: u64 = 100_000;

/// The Segment tick that tells sound samples apart: less than half of one at 48 kHz.
const EXACT_SCALE_NS: u64 = 10_000;

/// Video with a shorter nominal frame than this (more than 250 per second) gets the fine tick.
const FINE_BELOW_NS: u64 = 4_000_000;

/// Farthest that a block may be from its Cluster's Timestamp: relative times have 16 bits with sign
/// (RFC 9559 §10.1), and some readers take no negative ones.
const MAX_RELATIVE: i64 = i16::MAX as i64;

/// Turns tracks and samples into Matroska. A stream is [`header`](Self::header) once, then any
/// number of [`cluster`](Self::cluster)s with [`tags`](Self::tags) between them; it may end after
/// any of these, as the Segment is of unknown size.
#[derive(Debug, Clone)]
pub struct Muxer {
    tracks: Vec<Track>,
    scale_ns: u64,
    shift_ns: i128,
    duration_ns: Option<i128>,
}

/// A sample on its way into a Cluster.
struct Planned {
    number: u64,
    /// Decoding time in nanoseconds, for the order.
    dts_ns: i128,
    /// Presentation time in Segment ticks.
    time: i64,
    sync: bool,
    /// In Segment ticks, where the reader has to be told.
    duration: Option<u64>,
    /// Time of the block before in the same track, relative to this one, which a block that is no
    /// key frame must name if it has a duration (RFC 9559 §5.1.3.5.5).
    reference: Option<i64>,
    /// Its place among the samples given, and in the payload.
    index: usize,
    place: Range<u64>,
}

/// Where between the headers a sample's bytes belong, and which sample's.
struct Cut {
    at: usize,
    index: usize,
    place: Range<u64>,
}

impl Muxer {
    /// A muxer for samples of `tracks`, whose configurations are canonical.
    #[must_use]
    pub fn new(tracks: &[Track]) -> Self {
        let is_fast = |track: &Track| {
            track.kind() == TrackKind::Video
                && header::default_duration_ns(track).is_some_and(|duration_ns| duration_ns < FINE_BELOW_NS)
        };
        let scale_ns = if tracks.iter().any(is_fast) { FINE_SCALE_NS } else { USUAL_SCALE_NS };
        Self { tracks: tracks.to_vec(), scale_ns, shift_ns: 0, duration_ns: None }
    }

    /// The same muxer, adding `by` to all times: to begin at zero, or to write times of day.
    /// Matroska has no times before zero; without a shift they are written as zero.
    #[must_use]
    pub fn shifted(mut self, by: MediaTime) -> Self {
        self.shift_ns = nanoseconds(by.ticks, by.timescale.get());
        self
    }

    /// The same muxer with ticks of 10 µs, so that a reader that begins at any Cluster recovers the
    /// same sound sample times as one that began at the first. A Cluster then spans a third of a
    /// second at most.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.scale_ns = EXACT_SCALE_NS;
        self
    }

    /// The same muxer for a file whose whole duration is known, so that its header can tell.
    #[must_use]
    pub fn lasting(mut self, duration: MediaTime) -> Self {
        self.duration_ns = Some(nanoseconds(duration.ticks, duration.timescale.get()));
        self
    }

    /// Everything before the first Cluster.
    #[must_use]
    pub fn header(&self) -> Bytes {
        let duration = self.duration_ns.map(|duration_ns| duration_ns as f64 / self.scale_ns as f64);
        header::write(&self.tracks, self.scale_ns, duration).into()
    }

    /// `samples` as one Cluster of known size, interleaved by decoding time, or as several where
    /// one cannot span their times. Each track's samples come in decoding order. The pieces are to
    /// be written one after another; every second one is a sample's own bytes.
    ///
    /// Durations are written for data, and for the last sample of each track where it differs from
    /// the track's default, so that a Cluster can end a file.
    ///
    /// # Errors
    /// [`Fault::UnknownTrack`] if a sample belongs to none of the tracks.
    pub fn cluster<'a>(&self, samples: impl IntoIterator<Item = &'a Sample>) -> Result<Vec<Bytes>, Error> {
        let (mut rows, mut data, mut end) = (Vec::new(), Vec::new(), 0);
        for sample in samples {
            let start = end;
            end += sample.data.len() as u64;
            rows.push(Row {
                track: sample.track,
                dts_ticks: sample.dts_ticks,
                pts_ticks: sample.pts_ticks,
                duration_ticks: sample.duration_ticks,
                sync: sample.sync,
                place: start..end,
            });
            data.push(&sample.data);
        }
        let (headers, cuts) = self.clusters(rows)?;
        let mut headers = Bytes::from(headers);
        let mut pieces = Vec::with_capacity(cuts.len() * 2 + 1);
        let mut done = 0;
        for cut in cuts {
            pieces.push(headers.split_to(cut.at - done));
            pieces.extend(data.get(cut.index).map(|data| Bytes::clone(data)));
            done = cut.at;
        }
        pieces.push(headers);
        pieces.retain(|piece| !piece.is_empty());
        Ok(pieces)
    }

    /// Adds the samples of `rows` as [`Self::cluster`] does, their bytes taken from the payload that
    /// the rows describe.
    ///
    /// # Errors
    /// As [`Self::cluster`].
    pub fn splice(&self, rows: impl IntoIterator<Item = Row>, into: &mut SpliceWriter) -> Result<(), Error> {
        let (headers, cuts) = self.clusters(rows)?;
        let mut done = 0;
        for cut in cuts {
            into.make(headers.get(done..cut.at).unwrap_or_default());
            into.take(cut.place);
            done = cut.at;
        }
        into.make(headers.get(done..).unwrap_or_default());
        Ok(())
    }

    /// All headers, and where in them the samples' bytes belong, in order.
    fn clusters(&self, rows: impl IntoIterator<Item = Row>) -> Result<(Vec<u8>, Vec<Cut>), Error> {
        let planned = self.plan(rows)?;
        let mut rope = Rope::default();
        let mut rest = planned.as_slice();
        while let Some(first) = rest.first() {
            let (mut earliest, mut latest, mut count) = (first.time, first.time, 0);
            for sample in rest {
                earliest = earliest.min(sample.time);
                latest = latest.max(sample.time);
                if latest - earliest > MAX_RELATIVE {
                    break;
                }
                count += 1;
            }
            let (group, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            let base = group.iter().map(|sample| sample.time).min().unwrap_or(first.time);
            rope.cluster(base, group);
            rest = later;
        }
        let cuts = rope.cuts.into_iter().zip(planned);
        let cuts = cuts.map(|(at, sample)| Cut { at, index: sample.index, place: sample.place });
        Ok((rope.headers.bytes, cuts.collect()))
    }

    /// A Tags element for the media as a whole. It stands between Clusters.
    #[must_use]
    pub fn tags(tags: &[Tag]) -> Bytes {
        let mut inside = Writer::default();
        for tag in tags {
            let mut simple = Writer::default();
            simple.text(Id::TAG_NAME, &tag.name);
            simple.binary(Id::TAG_STRING, tag.value.as_bytes());
            inside.master(Id::SIMPLE_TAG, simple);
        }
        let mut element = Writer::default();
        element.master(Id::TAG, inside);
        let mut out = Writer::default();
        out.master(Id::TAGS, element);
        out.bytes.into()
    }

    fn plan(&self, rows: impl IntoIterator<Item = Row>) -> Result<Vec<Planned>, Error> {
        let mut planned: Vec<Planned> = Vec::new();
        // Per track: its newest sample so far, and that one's duration unless it is the default.
        let mut last: Vec<Option<(usize, Option<u64>)>> = vec![None; self.tracks.len()];
        for sample in rows {
            let found = self.tracks.iter().zip(&mut last).find(|(track, _)| track.number == sample.track);
            let Some((track, last)) = found else {
                let what = format!("a sample belongs to track {}, which the header lacks", sample.track);
                return Err(Error::new(Fault::UnknownTrack, 0, what));
            };
            let time = self.ticks(sample.pts_ticks, track);
            let before = last.and_then(|(index, _)| planned.get(index)).map(|before| before.time);
            let ticks = self.round(nanoseconds(i64::from(sample.duration_ticks), track.timescale));
            let duration = u64::try_from(ticks).ok().filter(|_| sample.duration_ticks > 0);
            let is_data = track.kind() == TrackKind::Data;
            let unusual = duration.filter(|_| sample.duration_ticks != track.default_duration_ticks);
            *last = Some((planned.len(), unusual));
            planned.push(Planned {
                number: u64::from(sample.track),
                dts_ns: nanoseconds(sample.dts_ticks, track.timescale),
                time,
                sync: sample.sync,
                duration: duration.filter(|_| is_data),
                reference: (!sample.sync).then(|| before.map_or(0, |before| before.saturating_sub(time))),
                index: planned.len(),
                place: sample.place,
            });
        }
        for (index, duration) in last.into_iter().flatten() {
            if let Some(sample) = planned.get_mut(index) {
                sample.duration = sample.duration.or(duration);
            }
        }
        // Stable: at equal times the order given stays.
        planned.sort_by_key(|sample| sample.dts_ns);
        Ok(planned)
    }

    /// A track's time in Segment ticks, shifted, never below zero.
    fn ticks(&self, ticks: i64, track: &Track) -> i64 {
        let delay_ns = i128::from(header::codec_delay_ns(track));
        self.round(nanoseconds(ticks, track.timescale) + self.shift_ns + delay_ns).max(0)
    }

    fn round(&self, ns: i128) -> i64 {
        let scale_ns = i128::from(self.scale_ns);
        // The last quarter of the range is left out so that differences of two times fit.
        let bound = i128::from(i64::MAX / 4);
        let rounded = (ns + scale_ns / 2).div_euclid(scale_ns).clamp(-bound, bound);
        i64::try_from(rounded).unwrap_or(0)
    }
}

/// Ticks in nanoseconds, rounded; a timescale of 0 gives 0.
fn nanoseconds(ticks: i64, timescale: u32) -> i128 {
    let timescale = i128::from(timescale);
    let scaled = i128::from(ticks) * 1_000_000_000;
    if timescale == 0 { 0 } else { (scaled + timescale / 2).div_euclid(timescale) }
}

/// Headers in one buffer.
#[derive(Default)]
struct Rope {
    headers: Writer,
    /// Where in `headers` the samples' bytes belong, in order.
    cuts: Vec<usize>,
}

impl Rope {
    fn cluster(&mut self, base: i64, samples: &[Planned]) {
        let timestamp = base.unsigned_abs();
        let blocks: usize = samples.iter().map(Planned::length).sum();
        let header = id_length(Id::TIMESTAMP) + 1 + uint_length(timestamp);
        self.headers.open(Id::CLUSTER, (header + blocks) as u64);
        self.headers.uint(Id::TIMESTAMP, timestamp);
        for sample in samples {
            // `cluster` cut the samples so that the difference fits.
            let relative = i16::try_from(sample.time - base).unwrap_or(i16::MAX);
            self.block(sample, relative);
        }
    }

    fn block(&mut self, sample: &Planned, relative: i16) {
        let out = &mut self.headers;
        let (id, flags) = match sample.duration {
            Some(_) => {
                out.open(Id::BLOCK_GROUP, sample.group_length() as u64);
                (Id::BLOCK, 0)
            }
            None => (Id::SIMPLE_BLOCK, if sample.sync { 0x80 } else { 0 }),
        };
        out.open(id, sample.block_length() as u64);
        out.vint(sample.number);
        out.bytes.extend_from_slice(&relative.to_be_bytes());
        out.bytes.push(flags);
        self.cuts.push(out.bytes.len());
        if let Some(duration) = sample.duration {
            out.uint(Id::BLOCK_DURATION, duration);
            if let Some(reference) = sample.reference {
                out.int(Id::REFERENCE_BLOCK, reference);
            }
        }
    }
}

impl Planned {
    /// Bytes of the whole element.
    fn length(&self) -> usize {
        match self.duration {
            Some(_) => element_length(Id::BLOCK_GROUP, self.group_length()),
            None => element_length(Id::SIMPLE_BLOCK, self.block_length()),
        }
    }

    /// Bytes of the sample.
    fn bytes(&self) -> usize {
        self.place.end.saturating_sub(self.place.start) as usize
    }

    /// Bytes inside the Block or SimpleBlock.
    fn block_length(&self) -> usize {
        vint_length(self.number) + 3 + self.bytes()
    }

    /// Bytes inside the BlockGroup.
    fn group_length(&self) -> usize {
        let duration = uint_length(self.duration.unwrap_or(0));
        let reference = self.reference.map_or(0, |_| element_length(Id::REFERENCE_BLOCK, 8));
        element_length(Id::BLOCK, self.block_length())
            + element_length(Id::BLOCK_DURATION, duration)
            + reference
    }
}

fn element_length(id: Id, size: usize) -> usize {
    id_length(id) + vint_length(size as u64) + size
}

#[cfg(test)]
#[path = "mux_test.rs"]
mod tests;
