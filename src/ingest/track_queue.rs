//! The samples of one track on their way into a part. A sample whose duration nobody stated is
//! held back until the next one tells it; of video always, since what Matroska states there is
//! nominal.

use kinora_base::MediaTime;
use kinora_media::{Sample, Track, TrackKind};

/// Distance to the next sample beyond which an audio sample did not last that long: samples are
/// missing, in microseconds.
const AUDIO_HOLE_US: i64 = 500_000;
/// The same for video, in microseconds: time-lapse cameras send a frame every few seconds.
const VIDEO_HOLE_US: i64 = 20_000_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct TrackQueue {
    pub(crate) track: Track,
    held: Option<Sample>,
    /// Decoding time of the latest settled sample.
    settled_dts_ticks: Option<i64>,
    /// Settled samples of the part under way.
    ready: Vec<Sample>,
    ready_ticks: i64,
    ready_bytes: usize,
    /// Duration of the latest settled sample, for one whose successor does not tell.
    typical_ticks: u32,
}

/// What the arrival of a sample settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Settled {
    /// Duration of the sample that was held back, in ticks; 0 if there was none.
    pub(crate) ticks: i64,
    /// The new sample does not follow the settled one: time went back, or samples are missing.
    pub(crate) hole: bool,
}

impl TrackQueue {
    pub(crate) fn new(track: Track) -> Self {
        let typical_ticks = track.default_duration_ticks;
        Self {
            track,
            held: None,
            settled_dts_ticks: None,
            ready: Vec::new(),
            ready_ticks: 0,
            ready_bytes: 0,
            typical_ticks,
        }
    }

    /// Settles the sample held back, knowing that the next one decodes at `next_dts_ticks`.
    pub(crate) fn settle_before(&mut self, next_dts_ticks: i64) -> Settled {
        let held = self.held.take();
        let before = held.as_ref().map(|held| held.dts_ticks).or(self.settled_dts_ticks);
        let Some(before) = before else { return Settled::default() };
        let distance = next_dts_ticks.saturating_sub(before);
        let largest_us = match self.track.kind() {
            TrackKind::Video => VIDEO_HOLE_US,
            TrackKind::Audio | TrackKind::Data => AUDIO_HOLE_US,
        };
        let hole = distance <= 0 || self.micros(distance) > largest_us;
        let Some(held) = held else { return Settled { ticks: 0, hole } };
        let ticks = if hole { self.expected(&held) } else { u32::try_from(distance).unwrap_or(u32::MAX) };
        self.settle(held, ticks);
        Settled { ticks: i64::from(ticks), hole }
    }

    fn settle(&mut self, held: Sample, ticks: u32) {
        self.typical_ticks = ticks;
        self.settled_dts_ticks = Some(held.dts_ticks);
        self.ready_ticks = self.ready_ticks.saturating_add(i64::from(ticks));
        self.ready_bytes += held.data.len();
        self.ready.push(Sample { duration_ticks: ticks, ..held });
    }

    /// Settles the sample held back as the last of its run. Returns its duration in ticks.
    pub(crate) fn settle_last(&mut self) -> i64 {
        let Some(held) = self.held.take() else { return 0 };
        let ticks = self.expected(&held);
        self.settle(held, ticks);
        i64::from(ticks)
    }

    fn expected(&self, sample: &Sample) -> u32 {
        if sample.duration_ticks > 0 { sample.duration_ticks } else { self.typical_ticks }
    }

    /// Takes a sample: held back if the next one will tell its duration, else settled at once.
    /// Returns the ticks that this settled.
    pub(crate) fn push(&mut self, sample: Sample) -> i64 {
        let ticks = sample.duration_ticks;
        let is_known = match self.track.kind() {
            TrackKind::Video => false,
            TrackKind::Audio => ticks > 0,
            TrackKind::Data => true,
        };
        if is_known {
            self.settle(sample, ticks);
            i64::from(ticks)
        } else {
            self.held = Some(sample);
            0
        }
    }

    /// Whether nothing is queued or held back.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_none() && self.ready.is_empty()
    }

    /// The first sample not yet taken.
    pub(crate) fn first(&self) -> Option<&Sample> {
        self.ready.first().or(self.held.as_ref())
    }

    /// Duration of the settled samples in microseconds.
    pub(crate) fn ready_us(&self) -> i64 {
        self.micros(self.ready_ticks)
    }

    /// Duration of the settled samples in ticks.
    pub(crate) fn ready_ticks(&self) -> i64 {
        self.ready_ticks
    }

    /// Duration of the latest settled sample in microseconds.
    pub(crate) fn typical_us(&self) -> i64 {
        self.micros(i64::from(self.typical_ticks))
    }

    /// Bytes of the samples settled and held back.
    pub(crate) fn bytes(&self) -> usize {
        self.ready_bytes + self.held.as_ref().map_or(0, |held| held.data.len())
    }

    /// Samples settled and held back.
    pub(crate) fn samples(&self) -> usize {
        self.ready.len() + usize::from(self.held.is_some())
    }

    /// Takes the settled samples, as runs in which each sample starts where the one before ends.
    pub(crate) fn take_runs(&mut self) -> Vec<Vec<Sample>> {
        self.ready_ticks = 0;
        self.ready_bytes = 0;
        let mut runs: Vec<Vec<Sample>> = Vec::new();
        for sample in self.ready.drain(..) {
            let follows = |last: &Sample| {
                last.dts_ticks.saturating_add(i64::from(last.duration_ticks)) == sample.dts_ticks
            };
            match runs.last_mut() {
                Some(run) if run.last().is_some_and(follows) => run.push(sample),
                _ => runs.push(vec![sample]),
            }
        }
        runs
    }

    /// `ticks` of this track in microseconds.
    pub(crate) fn micros(&self, ticks: i64) -> i64 {
        MediaTime::new(ticks, self.track.timescale).map_or(0, MediaTime::as_micros)
    }
}
