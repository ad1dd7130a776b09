//! The head of a media fragment: `moof` and the `mdat` header, to be put in front of the samples'
//! own bytes wherever those lie.
//!
//! It never sees the samples' bytes, and it does not know where runs come from.

use bytes::Bytes;

use super::writer::{put_u16, put_u32, put_u64};
use crate::{Error, Fault};

/// What `moof` says about one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunSample {
    /// Ticks to the next sample's decoding time.
    pub duration_ticks: u32,
    /// Length of its bytes.
    pub size_bytes: u32,
    /// Whether decoding can start here.
    pub sync: bool,
    /// Presentation time minus decoding time, of either sign.
    pub composition_offset_ticks: i32,
}

/// Builds the bytes that precede one fragment's samples.
///
/// Call [`run`](Self::run) for each run of samples in the order in which their bytes will follow,
/// run after run without gaps; then put [`finish`](Self::finish) in front of those bytes. Runs of
/// one track become one `traf` with several `trun`, in the order of the track's first run; taking
/// only some tracks of a fragment is passing only their runs.
///
/// A run's base need not be where the track's previous run ended: a later base stretches the last
/// sample's duration (that is how MP4 writes a hole), an earlier one shortens it. A base before
/// the last sample's decoding time starts a second `traf`, since time cannot go back in one.
#[derive(Debug)]
pub struct Muxer {
    sequence: u32,
    segment_type: bool,
    samples: Vec<RunSample>,
    runs: Vec<Run>,
    data_bytes: u64,
}

/// Samples `first..end` of `Muxer::samples`.
#[derive(Debug)]
struct Run {
    track: u32,
    base_dts_ticks: u64,
    first: usize,
    end: usize,
    /// Where its bytes begin in the `mdat`'s content.
    data_start: u64,
}

/// A `traf` to be: what its `tfhd` gives as defaults, and the run it starts with.
struct Traf {
    track: u32,
    base_dts_ticks: u64,
    /// Decoding time of the last sample so far, and its place in `Muxer::samples`.
    last_dts_ticks: u64,
    last_sample: usize,
    /// Places in `Muxer::runs`.
    runs: Vec<usize>,
    duration: Option<u32>,
    size: Option<u32>,
    flags: Option<u32>,
}

/// Sample flags (§8.8.3.1) of a sample that depends on no other.
const FLAGS_SYNC: u32 = 0x0200_0000;
/// Sample flags of a sample that depends on others and is no sync sample.
const FLAGS_NON_SYNC: u32 = 0x0101_0000;

const TFHD_DEFAULT_DURATION: u32 = 0x08;
const TFHD_DEFAULT_SIZE: u32 = 0x10;
const TFHD_DEFAULT_FLAGS: u32 = 0x20;
const TFHD_DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;

const TRUN_DATA_OFFSET: u32 = 0x001;
const TRUN_FIRST_FLAGS: u32 = 0x004;
const TRUN_DURATION: u32 = 0x100;
const TRUN_SIZE: u32 = 0x200;
const TRUN_FLAGS: u32 = 0x400;
const TRUN_COMPOSITION_OFFSET: u32 = 0x800;

impl RunSample {
    const fn flags(&self) -> u32 {
        if self.sync { FLAGS_SYNC } else { FLAGS_NON_SYNC }
    }
}

impl Muxer {
    /// A fragment head with this `mfhd` sequence number, which players expect to increase.
    #[must_use]
    pub const fn new(sequence: u32) -> Self {
        Self { sequence, segment_type: false, samples: Vec::new(), runs: Vec::new(), data_bytes: 0 }
    }

    /// Puts a `styp` first, as the first fragment of an HLS or DASH segment has it (§8.16.2).
    #[must_use]
    pub const fn with_segment_type(mut self) -> Self {
        self.segment_type = true;
        self
    }

    /// Adds a run of samples of `track` whose first is decoded at `base_dts_ticks`. A run without
    /// samples adds nothing.
    ///
    /// # Errors
    /// `Fault::Unsupported` if the base is negative, which `tfdt` cannot say: the caller must move
    /// all tracks by one common time first. `Fault::Limit` if more than 2 GiB precede the run in
    /// the fragment or its end overflows time.
    pub fn run(
        &mut self,
        track: u32,
        base_dts_ticks: i64,
        samples: impl IntoIterator<Item = RunSample>,
    ) -> Result<(), Error> {
        let base_dts_ticks = u64::try_from(base_dts_ticks).map_err(|_| {
            Error::new(
                Fault::Unsupported,
                0,
                format!("track {track} starts at decoding time {base_dts_ticks}, and MP4 has none before 0"),
            )
        })?;
        let first = self.samples.len();
        self.samples.extend(samples);
        let end = self.samples.len();
        if first == end {
            return Ok(());
        }
        let (mut ticks, mut bytes) = (base_dts_ticks, self.data_bytes);
        for sample in self.samples.iter().skip(first) {
            ticks = ticks.saturating_add(u64::from(sample.duration_ticks));
            bytes = bytes.saturating_add(u64::from(sample.size_bytes));
        }
        if ticks > i64::MAX.unsigned_abs() || self.data_bytes > i32::MAX.unsigned_abs().into() {
            self.samples.truncate(first);
            return Err(Error::new(
                Fault::Limit,
                0,
                format!("a run of track {track} lies beyond what one movie fragment can address"),
            ));
        }
        self.runs.push(Run { track, base_dts_ticks, first, end, data_start: self.data_bytes });
        self.data_bytes = bytes;
        Ok(())
    }

    /// How many bytes of samples follow the head.
    #[must_use]
    pub const fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// `styp` if asked for, `moof`, and the header of the `mdat` that the samples' bytes fill.
    ///
    /// # Errors
    /// `Fault::Limit` if a run begins further from the head than the 2 GiB that `trun` can say.
    pub fn finish(mut self) -> Result<Bytes, Error> {
        let trafs = self.trafs();
        let moof_bytes = 8 + 16 + trafs.iter().map(|traf| self.traf_bytes(traf)).sum::<usize>();
        let large = self.data_bytes > u64::from(u32::MAX) - 8;
        let mdat_header_bytes = if large { 16 } else { 8 };
        let mut out = Vec::with_capacity(32 + moof_bytes + mdat_header_bytes);
        if self.segment_type {
            // `cmfs` (ISO/IEC 23000-19 §7.2) promises a single track.
            let single = trafs.len() == 1;
            put_u32(&mut out, if single { 24 } else { 20 });
            out.extend_from_slice(b"stypmsdh\0\0\0\0msdh");
            out.extend_from_slice(if single { b"cmfs" } else { b"" });
        }
        put_u32(&mut out, narrow(moof_bytes)?);
        out.extend_from_slice(b"moof\0\0\0\x10mfhd\0\0\0\0");
        put_u32(&mut out, self.sequence);
        for traf in &trafs {
            self.put_traf(&mut out, traf, (moof_bytes + mdat_header_bytes) as u64)?;
        }
        if large {
            out.extend_from_slice(b"\0\0\0\x01mdat");
            put_u64(&mut out, self.data_bytes.saturating_add(16));
        } else {
            put_u32(&mut out, narrow(self.data_bytes as usize + 8)?);
            out.extend_from_slice(b"mdat");
        }
        Ok(Bytes::from(out))
    }

    /// Sorts the runs into trafs, fits durations to the runs' bases and finds the defaults.
    fn trafs(&mut self) -> Vec<Traf> {
        let mut trafs: Vec<Traf> = Vec::new();
        for (place, run) in self.runs.iter().enumerate() {
            // Only the newest traf of a track can still take a run.
            let open = trafs.iter_mut().rev().find(|traf| traf.track == run.track);
            let traf = match open {
                Some(traf) if fits(&mut self.samples, traf, run.base_dts_ticks) => {
                    traf.runs.push(place);
                    traf
                }
                _ => {
                    trafs.push(Traf {
                        track: run.track,
                        base_dts_ticks: run.base_dts_ticks,
                        last_dts_ticks: run.base_dts_ticks,
                        last_sample: run.first,
                        runs: vec![place],
                        duration: None,
                        size: None,
                        flags: None,
                    });
                    let Some(traf) = trafs.last_mut() else { continue };
                    traf
                }
            };
            traf.last_sample = run.end - 1;
            let before_last = self.samples.get(run.first..run.end - 1).unwrap_or_default();
            traf.last_dts_ticks = run.base_dts_ticks
                + before_last.iter().map(|sample| u64::from(sample.duration_ticks)).sum::<u64>();
        }
        for traf in &mut trafs {
            let runs = || traf.runs.iter().filter_map(|&place| self.run_samples(place));
            let Some(&first) = runs().next().and_then(<[RunSample]>::first) else { continue };
            let last = self.samples.get(traf.last_sample).copied().unwrap_or(first);
            let even =
                |samples: &[RunSample]| samples.iter().all(|s| s.duration_ticks == first.duration_ticks);
            traf.duration = runs().any(even).then_some(first.duration_ticks);
            let even = |samples: &[RunSample]| samples.iter().all(|s| s.size_bytes == first.size_bytes);
            traf.size = runs().all(even).then_some(first.size_bytes);
            // The last sample's flags are those of most: a key frame comes first.
            let even = |samples: &[RunSample]| samples.iter().skip(1).all(|s| s.sync == last.sync);
            traf.flags = runs().any(even).then_some(last.flags());
        }
        trafs
    }

    fn run_samples(&self, place: usize) -> Option<&[RunSample]> {
        let run = self.runs.get(place)?;
        self.samples.get(run.first..run.end)
    }

    /// Which fields the `trun` of these samples has.
    fn trun_fields(traf: &Traf, samples: &[RunSample]) -> u32 {
        let mut fields = TRUN_DATA_OFFSET;
        if !samples.iter().all(|s| Some(s.duration_ticks) == traf.duration) {
            fields |= TRUN_DURATION;
        }
        if traf.size.is_none() {
            fields |= TRUN_SIZE;
        }
        let same = |s: &RunSample| Some(s.flags()) == traf.flags;
        if !samples.iter().skip(1).all(same) {
            fields |= TRUN_FLAGS;
        } else if !samples.first().is_some_and(same) {
            fields |= TRUN_FIRST_FLAGS;
        }
        if samples.iter().any(|s| s.composition_offset_ticks != 0) {
            fields |= TRUN_COMPOSITION_OFFSET;
        }
        fields
    }

    const fn trun_bytes(fields: u32, samples: usize) -> usize {
        let head = 20 + if fields & TRUN_FIRST_FLAGS == 0 { 0 } else { 4 };
        head + samples * 4 * (fields & 0xf00).count_ones() as usize
    }

    fn traf_bytes(&self, traf: &Traf) -> usize {
        let defaults = [traf.duration, traf.size, traf.flags].iter().flatten().count();
        let truns = traf.runs.iter().filter_map(|&place| self.run_samples(place));
        8 + (16 + 4 * defaults)
            + 20
            + truns
                .map(|samples| Self::trun_bytes(Self::trun_fields(traf, samples), samples.len()))
                .sum::<usize>()
    }

    /// `data_base` is where the `mdat`'s content begins, counted from the `moof`.
    fn put_traf(&self, out: &mut Vec<u8>, traf: &Traf, data_base: u64) -> Result<(), Error> {
        put_u32(out, narrow(self.traf_bytes(traf))?);
        out.extend_from_slice(b"traf");
        let defaults = [traf.duration, traf.size, traf.flags];
        put_u32(out, narrow(16 + 4 * defaults.iter().flatten().count())?);
        out.extend_from_slice(b"tfhd");
        let bits = [TFHD_DEFAULT_DURATION, TFHD_DEFAULT_SIZE, TFHD_DEFAULT_FLAGS];
        let present = bits.iter().zip(defaults).filter(|(_, value)| value.is_some());
        put_u32(out, present.fold(TFHD_DEFAULT_BASE_IS_MOOF, |flags, (bit, _)| flags | bit));
        put_u32(out, traf.track);
        for value in defaults.into_iter().flatten() {
            put_u32(out, value);
        }
        out.extend_from_slice(b"\0\0\0\x14tfdt\x01\0\0\0");
        put_u64(out, traf.base_dts_ticks);
        for &place in &traf.runs {
            let (Some(run), Some(samples)) = (self.runs.get(place), self.run_samples(place)) else {
                continue;
            };
            put_trun(
                out,
                Self::trun_fields(traf, samples),
                samples,
                data_base.saturating_add(run.data_start),
            )?;
        }
        Ok(())
    }
}

/// Whether a run that starts at `base` can continue `traf`; fits the last sample's duration to it.
fn fits(samples: &mut [RunSample], traf: &Traf, base: u64) -> bool {
    let duration = base.checked_sub(traf.last_dts_ticks).and_then(|ticks| u32::try_from(ticks).ok());
    match (duration, samples.get_mut(traf.last_sample)) {
        (Some(duration), Some(last)) => {
            last.duration_ticks = duration;
            true
        }
        _ => false,
    }
}

fn put_trun(out: &mut Vec<u8>, fields: u32, samples: &[RunSample], data_offset: u64) -> Result<(), Error> {
    let data_offset = i32::try_from(data_offset).map_err(|_| too_large())?;
    put_u32(out, narrow(Muxer::trun_bytes(fields, samples.len()))?);
    out.extend_from_slice(b"trun");
    // Version 1: composition offsets are signed (§8.8.8).
    put_u16(out, 0x0100);
    put_u16(out, fields as u16);
    put_u32(out, narrow(samples.len())?);
    out.extend_from_slice(&data_offset.to_be_bytes());
    if fields & TRUN_FIRST_FLAGS != 0 {
        put_u32(out, samples.first().map_or(0, RunSample::flags));
    }
    for sample in samples {
        if fields & TRUN_DURATION != 0 {
            put_u32(out, sample.duration_ticks);
        }
        if fields & TRUN_SIZE != 0 {
            put_u32(out, sample.size_bytes);
        }
        if fields & TRUN_FLAGS != 0 {
            put_u32(out, sample.flags());
        }
        if fields & TRUN_COMPOSITION_OFFSET != 0 {
            out.extend_from_slice(&sample.composition_offset_ticks.to_be_bytes());
        }
    }
    Ok(())
}

fn narrow(bytes: usize) -> Result<u32, Error> {
    u32::try_from(bytes).map_err(|_| too_large())
}

fn too_large() -> Error {
    Error::new(Fault::Limit, 0, "the fragment is larger than one movie fragment can address")
}

#[cfg(test)]
#[path = "mux_test.rs"]
mod tests;
