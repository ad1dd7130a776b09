//! The push demuxer: boxes as they arrive to tracks and frames.
//!
//! It follows the input's order and needs no seeking, so it knows where a sample is before its
//! bytes come or not at all. It does not know what is inside a frame.

use std::collections::VecDeque;

use bytes::Bytes;
use kinora_base::WallTime;
use mp4_atom::Prft;

use super::boxes::{BoxRef, Kind, broken, name};
use super::fragment::{Runs, misplaced, read_moof};
use super::movie::{Movie, read_movie};
use super::planned::Planned;
use super::producer_time::wall_time;
use super::progressive::Merge;
use super::top_level::{TopLevel, check_skipped, collected_bytes, read_top_level};
use super::window::Window;
use crate::container::{Boundary, Event, Frame, ProducerTime};
use crate::{Error, Fault};

/// Largest `moov`: 64 MiB hold the sample tables of days.
const MAX_MOOV_BYTES: u64 = 64 << 20;
/// Largest `moof`: 16 MiB hold a million samples.
const MAX_MOOF_BYTES: u64 = 16 << 20;
/// Largest `prft`.
const MAX_PRFT_BYTES: u64 = 1024;
/// Largest sample: as much as a fragment may hold at all.
const MAX_SAMPLE_BYTES: u32 = 50 << 20;
/// What makes a file that begins with its media readable as it streams.
const REMUX_HINT: &str = "put the header first: \
     ffmpeg -i IN.mp4 -c copy -movflags frag_keyframe+empty_moov+default_base_moof OUT.mp4";

/// Push demuxer for fragmented MP4, and for progressive MP4 whose `moov` comes before its media.
///
/// [`push`](Self::push) chunks of any size, call [`next`](Self::next) until it gives `Ok(None)`,
/// and after the last chunk call [`finish`](Self::finish) and drain once more. An error is final.
///
/// - Frames come in the order of their bytes, as soon as their bytes are there; several tracks
///   interleave as they do in the input.
/// - A frame is a slice of the chunk it lies in, unless it spans chunks or is less than a
///   sixteenth of one: then it is a copy, so that no small frame keeps a large read in memory.
/// - Times have the edit list applied, so the first may be negative. Samples outside an edit are
///   kept. Samples without bytes are left out.
/// - Each `moof` gives a [`Boundary`]. A progressive movie gives one before each sync sample of
///   its first video track, or one before its first frame if it has no video.
/// - PCM that is declared sample by sample comes in frames of up to 1024 samples.
/// - Where the samples change to another sample entry, the tracks are declared anew.
#[derive(Debug, Default)]
pub struct Demuxer {
    window: Window,
    finished: bool,
    failed: Option<Error>,
    state: State,
    /// Events that come before anything else is read.
    ready: VecDeque<Event>,
    /// Where the file under way begins in the input: its own offsets count from there.
    origin: u64,
    movie: Option<Movie>,
    plan: Plan,
    /// The next sample of `plan`, waiting for its bytes.
    planned: Option<Planned>,
    /// Track whose sync samples give a boundary while samples come from `moov`'s tables.
    boundary_track: Option<usize>,
}

/// Where in the input's boxes the demuxer is.
#[derive(Debug, Default, Clone, Copy)]
enum State {
    /// Before a header.
    #[default]
    Header,
    /// Waiting for the whole content of a box.
    Content { kind: Kind, offset: u64, bytes: usize },
    /// In the content of a box that is passed over.
    Skipped { kind: Kind, offset: u64, end: Option<u64> },
    /// In the content of an `mdat`.
    Media { offset: u64, end: Option<u64> },
}

/// The samples still to come.
#[derive(Debug, Default)]
enum Plan {
    #[default]
    Nothing,
    Progressive(Merge),
    Fragment {
        runs: Runs,
        moof_offset: u64,
    },
}

/// What a step of the demuxer came to.
enum Step {
    /// An event for the caller.
    Event(Event),
    /// Something was read; go on.
    Moved,
    /// More input is needed for what this names, which began at this offset.
    Starved(Kind, u64),
}

impl Demuxer {
    /// A demuxer at the beginning of its input.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the input.
    pub fn push(&mut self, chunk: Bytes) {
        if self.failed.is_none() {
            self.window.push(chunk);
        }
    }

    /// Says that the input is complete.
    pub const fn finish(&mut self) {
        self.finished = true;
    }

    /// The next event, or `None` when more input is needed (or, after `finish`, at the end).
    ///
    /// # Errors
    /// The first fault in the input; the same again on every later call.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator cannot be pushed to, and its end is final"
    )]
    pub fn next(&mut self) -> Result<Option<Event>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.step_on().inspect_err(|error| {
            // Nothing is read any more: let go of what was kept.
            *self = Self { failed: Some(error.clone()), ..Self::default() };
        })
    }

    fn step_on(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let step = match self.state {
                State::Header => self.header()?,
                State::Content { kind, offset, bytes } => self.content(kind, offset, bytes)?,
                State::Skipped { kind, offset, end } => self.skip(kind, offset, end),
                State::Media { offset, end } => self.media(offset, end)?,
            };
            match step {
                Step::Event(event) => return Ok(Some(event)),
                Step::Moved => {}
                Step::Starved(..) if !self.finished => return Ok(None),
                Step::Starved(kind, offset) => return self.end(kind, offset),
            }
        }
    }

    /// The input has ended where `kind`, begun at `offset`, needs more of it.
    fn end(&mut self, kind: Kind, offset: u64) -> Result<Option<Event>, Error> {
        let truncated = |offset, message: String| Err(Error::new(Fault::Truncated, offset, message));
        let open_ended = match self.state {
            State::Header => self.window.available() == 0,
            State::Skipped { end, .. } | State::Media { end, .. } => end.is_none(),
            State::Content { .. } => false,
        };
        match (self.peek_planned()?, &self.movie) {
            (Some(planned), _) => truncated(
                planned.offset,
                format!("the input ends before a sample of {} bytes is complete", planned.size),
            ),
            _ if !open_ended => truncated(offset, format!("the input ends within the {} box", name(kind))),
            (None, None) if self.window.position() == 0 => truncated(0, "the input is empty".into()),
            (None, None) => truncated(self.window.position(), "the input ends before any moov box".into()),
            (None, Some(_)) => Ok(None),
        }
    }

    fn header(&mut self) -> Result<Step, Error> {
        let offset = self.window.position();
        let TopLevel { kind, content, end } = match read_top_level(&mut self.window)? {
            Ok(found) => found,
            Err(kind) => return Ok(Step::Starved(kind, offset)),
        };
        let collected = |most| {
            let bytes = collected_bytes(kind, offset, content, most)?;
            Ok::<_, Error>(State::Content { kind, offset, bytes })
        };
        self.state = match &kind {
            b"moov" => collected(MAX_MOOV_BYTES)?,
            b"moof" => collected(MAX_MOOF_BYTES)?,
            b"prft" => collected(MAX_PRFT_BYTES)?,
            b"mdat" if self.movie.is_none() && content != Some(0) => {
                let message = "the media comes before the header (moov), so the samples cannot be told apart";
                return Err(Error::new(Fault::Unsupported, offset, message).with_hint(REMUX_HINT));
            }
            b"mdat" => State::Media { offset, end },
            _ => {
                check_skipped(kind, offset, content)?;
                if kind == *b"ftyp" {
                    self.origin = offset;
                }
                State::Skipped { kind, offset, end }
            }
        };
        Ok(Step::Moved)
    }

    fn skip(&mut self, kind: Kind, offset: u64, end: Option<u64>) -> Step {
        let left = end.map_or(u64::MAX, |end| end.saturating_sub(self.window.position()));
        if self.window.skip(left) < left {
            return Step::Starved(kind, offset);
        }
        self.state = State::Header;
        Step::Moved
    }

    fn content(&mut self, kind: Kind, offset: u64, bytes: usize) -> Result<Step, Error> {
        let body_offset = self.window.position();
        let Some(body) = self.window.take(bytes) else { return Ok(Step::Starved(kind, offset)) };
        self.state = State::Header;
        let whole = BoxRef { kind, offset, body: &body, body_offset };
        match &kind {
            b"moov" => self.begin_movie(offset, body_offset, &body)?,
            b"moof" => self.begin_fragment(whole, &body)?,
            _ => self.producer_time(whole)?,
        }
        Ok(Step::Moved)
    }

    fn begin_movie(&mut self, offset: u64, body_offset: u64, body: &Bytes) -> Result<(), Error> {
        self.plan_is_done()?;
        let movie = read_movie(offset, body_offset, body)?;
        self.plan = Plan::Progressive(Merge::new(&movie, self.origin)?);
        let video = movie.tracks.iter().position(|track| track.is_video() && !track.tables.is_empty());
        self.ready.push_back(Event::Tracks(movie.declared()));
        self.movie = Some(movie);
        self.boundary_track = video.or(self.peek_planned()?.map(|first| first.track));
        Ok(())
    }

    fn begin_fragment(&mut self, moof: BoxRef<'_>, body: &Bytes) -> Result<(), Error> {
        self.plan_is_done()?;
        let Some(movie) = &mut self.movie else { return Err(misplaced(moof.kind, moof.offset)) };
        let (runs, boundary) = read_moof(moof, body, self.origin, movie)?;
        self.plan = Plan::Fragment { runs, moof_offset: moof.offset };
        self.ready.extend(boundary.map(Event::Boundary));
        Ok(())
    }

    /// `prft` (§8.16.5).
    fn producer_time(&mut self, prft: BoxRef<'_>) -> Result<(), Error> {
        let read: Prft = prft.decode()?;
        let track =
            self.movie.iter().flat_map(|movie| &movie.tracks).find(|t| t.id == read.reference_track_id);
        let wall: Option<WallTime> = wall_time(&read);
        if let (Some(track), Some(wall), Ok(media)) = (track, wall, i64::try_from(read.media_time)) {
            self.ready.push_back(Event::ProducerTime(ProducerTime {
                track: track.id,
                media_ticks: media.saturating_add(track.shift_ticks),
                wall,
            }));
        }
        Ok(())
    }

    /// The next sample, without taking it.
    fn peek_planned(&mut self) -> Result<Option<Planned>, Error> {
        if self.planned.is_none() {
            self.planned = match (&mut self.plan, &self.movie) {
                (Plan::Progressive(merge), Some(movie)) => merge.next(movie)?,
                (Plan::Fragment { runs, .. }, _) => runs.next(),
                _ => None,
            };
            if self.planned.is_none() {
                self.plan = Plan::Nothing;
            }
        }
        Ok(self.planned)
    }

    /// Refuses a new header while samples of the one before it are missing.
    fn plan_is_done(&mut self) -> Result<(), Error> {
        match self.peek_planned()? {
            None => Ok(()),
            Some(planned) => Err(self.missing(&planned)),
        }
    }

    /// A sample that lies in no `mdat`.
    fn missing(&self, planned: &Planned) -> Error {
        let header = match self.plan {
            Plan::Fragment { moof_offset, .. } => format!("the movie fragment at byte {moof_offset}"),
            _ => "the moov box".into(),
        };
        let Planned { size, offset, .. } = planned;
        broken(*offset, format!("{header} places a sample of {size} bytes where no mdat has it"))
    }

    fn media(&mut self, offset: u64, end: Option<u64>) -> Result<Step, Error> {
        let kind = *b"mdat";
        let position = self.window.position();
        let limit = end.unwrap_or(u64::MAX);
        let planned = self.peek_planned()?.filter(|planned| planned.offset < limit);
        let Some(planned) = planned else {
            return Ok(self.skip(kind, offset, end));
        };
        let Some(gap) = planned.offset.checked_sub(position) else {
            // A progressive file may keep one track after the other, which needs seeking.
            return Err(self.missing(&planned).with_hint(REMUX_HINT));
        };
        if planned.size > MAX_SAMPLE_BYTES {
            return Err(Error::new(
                Fault::Limit,
                planned.offset,
                format!("a sample has {} bytes, at most {MAX_SAMPLE_BYTES} are read", planned.size),
            ));
        }
        if planned.offset.checked_add(planned.size.into()).is_none_or(|sample_end| sample_end > limit) {
            return Err(broken(
                planned.offset,
                format!(
                    "a sample of {} bytes reaches beyond its mdat, which ends at byte {limit}",
                    planned.size
                ),
            ));
        }
        if gap > 0 && self.window.skip(gap) < gap {
            return Ok(Step::Starved(kind, offset));
        }
        if self.window.available() < planned.size as usize {
            return Ok(Step::Starved(kind, offset));
        }
        self.frame(planned)
    }

    /// Takes `planned`, whose bytes are the next and all there.
    fn frame(&mut self, planned: Planned) -> Result<Step, Error> {
        let Some(movie) = &mut self.movie else { return Ok(Step::Moved) };
        if movie.select(planned.track, planned.description, planned.offset)? {
            return Ok(Step::Event(Event::Tracks(movie.declared())));
        }
        let Some(track) = movie.tracks.get(planned.track) else { return Ok(Step::Moved) };
        if matches!(self.plan, Plan::Progressive(_))
            && self.boundary_track == Some(planned.track)
            && planned.sync
        {
            let boundary = Boundary { timecode: planned.dts_ticks, timescale: track.timescale };
            if !track.is_video() {
                self.boundary_track = None;
            }
            self.ready.push_back(Event::Boundary(boundary));
        }
        let dts_ticks = planned.dts_ticks.saturating_add(track.shift_ticks);
        let frame = Frame {
            track: track.id,
            pts_ticks: dts_ticks.saturating_add(planned.composition_ticks.into()),
            dts_ticks: Some(dts_ticks),
            duration_ticks: planned.duration_ticks,
            key: planned.sync,
            data: self.window.take(planned.size as usize).unwrap_or_default(),
            offset: planned.offset,
        };
        self.planned = None;
        self.ready.push_back(Event::Frame(frame));
        Ok(Step::Moved)
    }
}

#[cfg(test)]
#[path = "demux_test.rs"]
mod tests;
