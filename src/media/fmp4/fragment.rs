//! `moof`: which samples come next, where and when.
//!
//! Runs are kept as they stand and their samples computed one by one; nothing here reads a sample.

use bytes::Bytes;
use mp4_atom::{Tfdt, Tfhd};

use super::boxes::{BoxRef, broken, name};
use super::movie::Movie;
use super::planned::{FLAG_NON_SYNC, Planned, RAW_SAMPLES_PER_FRAME};
use crate::container::Boundary;
use crate::{Error, Fault};

/// Most runs of one movie fragment.
const MAX_RUNS: usize = 65_536;

const TRUN_DATA_OFFSET: u32 = 0x001;
const TRUN_FIRST_FLAGS: u32 = 0x004;
const TRUN_DURATION: u32 = 0x100;
const TRUN_SIZE: u32 = 0x200;
const TRUN_FLAGS: u32 = 0x400;
const TRUN_COMPOSITION_OFFSET: u32 = 0x800;

/// The runs of a movie fragment in the order in which their bytes come.
#[derive(Debug)]
pub(super) struct Runs {
    /// Sorted by where the data begins, the first to come last.
    runs: Vec<Run>,
}

/// A `trun` that is being read (§8.8.8).
#[derive(Debug)]
struct Run {
    track: usize,
    description: u32,
    /// Where the next sample's bytes begin in the input.
    data: u64,
    /// Samples left.
    left: u32,
    fields: u32,
    /// The samples' fields from the next one on.
    entries: Bytes,
    default_duration: u32,
    default_size: u32,
    default_flags: u32,
    first_flags: Option<u32>,
    dts_ticks: u64,
    /// Whether many samples make one frame.
    raw: bool,
}

/// What a `traf` says for all its runs.
struct Defaults {
    track: usize,
    raw: bool,
    description: u32,
    duration: u32,
    size: u32,
    flags: u32,
    base: u64,
}

/// Reads the `moof` at `offset` whose content is `body`; moves the tracks' next decoding times on.
/// `origin` is where the file that it belongs to begins in the input.
pub(super) fn read_moof(
    moof: BoxRef<'_>,
    whole: &Bytes,
    origin: u64,
    movie: &mut Movie,
) -> Result<(Runs, Option<Boundary>), Error> {
    let mut runs: Vec<Run> = Vec::new();
    let mut begins: Vec<(usize, u64)> = Vec::new();
    let mut previous_end = moof.offset;
    for child in moof.children() {
        let traf = child?;
        if traf.kind != *b"traf" {
            continue;
        }
        let (defaults, empty) = read_tfhd(traf, moof.offset, previous_end, origin, movie)?;
        let Some(track) = movie.tracks.get_mut(defaults.track) else { continue };
        if let Some(tfdt) = traf.find(*b"tfdt")? {
            track.next_dts_ticks = tfdt.decode::<Tfdt>()?.base_media_decode_time;
            if i64::try_from(track.next_dts_ticks).is_err() {
                return Err(broken(tfdt.offset, "the tfdt box has a time beyond 2^63"));
            }
        }
        begins.push((defaults.track, track.next_dts_ticks));
        previous_end = defaults.base;
        for child in traf.children() {
            let trun = child?;
            if trun.kind != *b"trun" || empty {
                continue;
            }
            if runs.len() == MAX_RUNS {
                return Err(Error::new(
                    Fault::Limit,
                    trun.offset,
                    format!("the movie fragment has more than {MAX_RUNS} runs"),
                ));
            }
            let mut run = read_trun(trun, whole, &defaults, previous_end)?;
            run.dts_ticks = track.next_dts_ticks;
            let (duration, bytes) = run.totals();
            track.next_dts_ticks = run.dts_ticks.saturating_add(duration);
            let end = run.data.checked_add(bytes);
            let (Some(end), Ok(_)) = (end, i64::try_from(track.next_dts_ticks)) else {
                return Err(broken(trun.offset, "the trun box leads beyond 2^63 ticks or 2^64 bytes"));
            };
            previous_end = end;
            if run.left > 0 && bytes > 0 {
                runs.push(run);
            }
        }
    }
    runs.sort_by_key(|run| std::cmp::Reverse(run.data));
    let boundary = boundary(movie, &begins);
    Ok((Runs { runs }, boundary))
}

/// The first video track's begin, else that of the first track that has one.
fn boundary(movie: &Movie, begins: &[(usize, u64)]) -> Option<Boundary> {
    let is_video = |track: usize| movie.tracks.get(track).is_some_and(|track| track.is_video());
    let video = begins.iter().filter(|(track, _)| is_video(*track)).min_by_key(|(track, _)| *track);
    let &(track, dts) = video.or_else(|| begins.first())?;
    let timescale = movie.tracks.get(track)?.timescale;
    Some(Boundary { timecode: i64::try_from(dts).ok()?, timescale })
}

/// `tfhd` (§8.8.7) with what it leaves to `trex`; and whether it says that there are no samples.
fn read_tfhd(
    traf: BoxRef<'_>,
    moof_offset: u64,
    previous_end: u64,
    origin: u64,
    movie: &Movie,
) -> Result<(Defaults, bool), Error> {
    let tfhd_box = traf.require(*b"tfhd")?;
    let tfhd: Tfhd = tfhd_box.decode()?;
    let found = movie.tracks.iter().enumerate().find(|(_, track)| track.id == tfhd.track_id);
    let Some((place, track)) = found else {
        return Err(Error::new(
            Fault::UnknownTrack,
            tfhd_box.offset,
            format!("the movie fragment has samples of track {}, which was never declared", tfhd.track_id),
        ));
    };
    let base = match tfhd.base_data_offset {
        Some(offset) => origin.saturating_add(offset),
        None if tfhd.default_base_is_moof => moof_offset,
        // The first traf counts from the moof, the others from the end of the data before theirs.
        None => previous_end,
    };
    let trex = &track.trex;
    let defaults = Defaults {
        track: place,
        raw: track.raw(),
        description: tfhd.sample_description_index.unwrap_or(trex.default_sample_description_index),
        duration: tfhd.default_sample_duration.unwrap_or(trex.default_sample_duration),
        size: tfhd.default_sample_size.unwrap_or(trex.default_sample_size),
        flags: tfhd.default_sample_flags.unwrap_or(trex.default_sample_flags),
        base,
    };
    Ok((defaults, tfhd.duration_is_empty))
}

/// `trun` (§8.8.8); its time is still to be set.
fn read_trun(trun: BoxRef<'_>, whole: &Bytes, defaults: &Defaults, previous_end: u64) -> Result<Run, Error> {
    let mut fields = trun.fields();
    let (_, flags) = fields.version_and_flags()?;
    let count = fields.u32()?;
    let data = if flags & TRUN_DATA_OFFSET == 0 {
        previous_end
    } else {
        let offset = i64::from(fields.i32()?);
        defaults
            .base
            .checked_add_signed(offset)
            .ok_or_else(|| broken(trun.offset, "the trun box points before the beginning of the input"))?
    };
    let first_flags = if flags & TRUN_FIRST_FLAGS == 0 { None } else { Some(fields.u32()?) };
    let bytes = (count as usize).saturating_mul(Run::entry_bytes(flags));
    let entries = fields.take(bytes)?;
    Ok(Run {
        track: defaults.track,
        description: defaults.description,
        data,
        left: count,
        fields: flags,
        entries: whole.slice_ref(entries),
        default_duration: defaults.duration,
        default_size: defaults.size,
        default_flags: defaults.flags,
        first_flags,
        dts_ticks: 0,
        raw: defaults.raw,
    })
}

/// What a `trun` says about one sample.
struct Entry {
    duration: u32,
    size: u32,
    flags: Option<u32>,
    composition_ticks: i32,
}

impl Run {
    const fn entry_bytes(fields: u32) -> usize {
        4 * (fields & 0xf00).count_ones() as usize
    }

    /// The entry that `bytes` are.
    fn entry(&self, bytes: &[u8]) -> Entry {
        let mut words = bytes.chunks_exact(4).filter_map(|word| word.try_into().ok()).map(u32::from_be_bytes);
        let mut field = |bit: u32| if self.fields & bit == 0 { None } else { words.next() };
        Entry {
            duration: field(TRUN_DURATION).unwrap_or(self.default_duration),
            size: field(TRUN_SIZE).unwrap_or(self.default_size),
            flags: field(TRUN_FLAGS),
            // Unsigned in version 0. No real offset reaches 2^31, and writers that meant a
            // negative one there do exist, so both versions are read as signed.
            composition_ticks: field(TRUN_COMPOSITION_OFFSET).unwrap_or(0).cast_signed(),
        }
    }

    /// Duration and bytes of all samples, saturating.
    fn totals(&self) -> (u64, u64) {
        let count = u64::from(self.left);
        if self.fields & (TRUN_DURATION | TRUN_SIZE) == 0 {
            return (count * u64::from(self.default_duration), count * u64::from(self.default_size));
        }
        let entries =
            self.entries.chunks_exact(Self::entry_bytes(self.fields)).map(|bytes| self.entry(bytes));
        entries.fold((0, 0), |(duration, size), entry| {
            (duration + u64::from(entry.duration), size + u64::from(entry.size))
        })
    }

    /// The next sample that has bytes; none at the end. An empty one only takes time.
    fn next(&mut self) -> Option<Planned> {
        while self.left > 0 {
            let even = self.fields & 0xf00 == 0;
            if even && self.default_size == 0 {
                self.left = 0;
                return None;
            }
            let samples = if self.raw && even { self.left.min(RAW_SAMPLES_PER_FRAME) } else { 1 };
            let entry_bytes = Self::entry_bytes(self.fields);
            let bytes = self.entries.split_to(entry_bytes.min(self.entries.len()));
            let entry = self.entry(&bytes);
            let flags = self.first_flags.take().or(entry.flags).unwrap_or(self.default_flags);
            let size = entry.size.saturating_mul(samples);
            let planned = Planned {
                track: self.track,
                description: self.description,
                offset: self.data,
                size,
                dts_ticks: i64::try_from(self.dts_ticks).unwrap_or(i64::MAX),
                composition_ticks: entry.composition_ticks,
                duration_ticks: entry.duration.saturating_mul(samples),
                sync: flags & FLAG_NON_SYNC == 0,
            };
            self.left -= samples;
            // `read_moof` made sure that neither sum overflows.
            self.data = self.data.saturating_add(size.into());
            self.dts_ticks = self.dts_ticks.saturating_add(planned.duration_ticks.into());
            if size > 0 {
                return Some(planned);
            }
        }
        None
    }
}

impl Runs {
    /// The next sample in the order of bytes.
    pub(super) fn next(&mut self) -> Option<Planned> {
        while let Some(run) = self.runs.last_mut() {
            if let Some(planned) = run.next() {
                return Some(planned);
            }
            self.runs.pop();
        }
        None
    }
}

/// For messages about a box that must not be where it is.
pub(super) fn misplaced(kind: [u8; 4], offset: u64) -> Error {
    broken(offset, format!("the {} box comes before any moov box", name(kind)))
        .with_hint("send the initialization segment (ftyp and moov) first")
}
