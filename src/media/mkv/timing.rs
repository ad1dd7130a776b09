//! A track's clock: Segment ticks to track ticks.
//!
//! **Video and data** keep the Segment's own ticks when one second is a whole number of them and a
//! tick is no finer than a microsecond (the usual millisecond gives a timescale of 1000).
//! Otherwise (11 111 ns for a wished-for 90 kHz, or 1 ns) the timescale is one microsecond and each
//! time is rounded by itself, so that errors never add up and 32-bit durations still reach an hour.
//!
//! **Audio** counts samples. A Segment tick is much coarser than a sample, so the first frame
//! anchors a grid and each frame of known length places the next one exactly behind it, as long as
//! the container's timestamp agrees within one Segment tick. Any rounding (up, down, nearest) of an
//! exact series agrees forever; anything else (a gap, a jump, a clock that drifts against the
//! sample rate, a wrongly declared rate) anchors anew at the container's timestamp. So a time is
//! never further than one Segment tick from what the container says, plus half a sample of
//! rounding, and it never steps back where the container's times do not.
//!
//! It knows no elements and no codecs.

/// Nanoseconds per second.
const NS: i128 = 1_000_000_000;

/// The timescale for Segment ticks that do not fit.
const FALLBACK_TIMESCALE: u32 = 1_000_000;

/// One track's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timing {
    scale_ns: u64,
    timescale: u32,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Track ticks are Segment ticks.
    Raw,
    /// Each time is rounded by itself.
    Rounded,
    /// Audio: on a grid of samples.
    Grid { delay_ns: u64, grid: Option<Grid> },
}

/// Where the next frame is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Grid {
    /// When the next frame is expected; none after a frame of unknown length.
    expected: Option<Instant>,
    /// Of the frame before, in Segment ticks and in track ticks.
    last_raw: i64,
    last_ticks: i64,
}

/// A time on the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instant {
    /// In track ticks times [`NS`], exactly.
    exact: i128,
    /// `exact` rounded to a track tick; it is kept because frames last whole ticks, so that only
    /// an anchor costs a division.
    ticks: i64,
}

impl Instant {
    fn rounded(exact: i128) -> Option<Self> {
        Some(Self { exact, ticks: i64::try_from(round(exact)).ok()? })
    }

    fn after(self, samples: u32) -> Option<Self> {
        let ticks = self.ticks.checked_add(i64::from(samples))?;
        Some(Self { exact: self.exact + i128::from(samples) * NS, ticks })
    }
}

impl Timing {
    /// A clock for video or data in a Segment of `scale_ns` nanoseconds per tick.
    pub(super) fn new(scale_ns: u64) -> Self {
        match raw_timescale(scale_ns) {
            Some(timescale) if timescale <= FALLBACK_TIMESCALE => {
                Self { scale_ns, timescale, kind: Kind::Raw }
            }
            _ => Self { scale_ns, timescale: FALLBACK_TIMESCALE, kind: Kind::Rounded },
        }
    }

    /// A clock for audio of `rate` samples per second, whose timestamps are `delay_ns` late
    /// (CodecDelay, RFC 9559 §5.1.4.1.25).
    pub(super) fn audio(scale_ns: u64, rate: u32, delay_ns: u64) -> Self {
        Self { scale_ns, timescale: rate, kind: Kind::Grid { delay_ns, grid: None } }
    }

    /// The same clock before its first frame.
    pub(super) fn restarted(&self) -> Self {
        match self.kind {
            Kind::Grid { delay_ns, .. } => Self::audio(self.scale_ns, self.timescale, delay_ns),
            _ => self.clone(),
        }
    }

    /// Ticks per second.
    pub(super) const fn timescale(&self) -> u32 {
        self.timescale
    }

    /// A span of nanoseconds in ticks, rounded; saturating.
    pub(super) fn span_ns(&self, ns: u64) -> u32 {
        u32::try_from(round(i128::from(ns) * i128::from(self.timescale))).unwrap_or(u32::MAX)
    }

    /// A span of Segment ticks in track ticks, rounded; saturating. An audio frame of `samples`
    /// keeps those if the span is their rounding.
    pub(super) fn span(&self, raw: u64, samples: Option<u32>) -> u32 {
        if matches!(self.kind, Kind::Raw) {
            return u32::try_from(raw).unwrap_or(u32::MAX);
        }
        let step = self.step();
        let Some(scaled) = scaled(i64::try_from(raw).unwrap_or(i64::MAX), step) else { return u32::MAX };
        match samples {
            Some(samples) if (i128::from(samples) * NS - scaled).abs() <= step => samples,
            _ => u32::try_from(round(scaled)).unwrap_or(u32::MAX),
        }
    }

    /// The time in track ticks of a frame at `raw` Segment ticks that lasts `samples` track ticks
    /// if known; `None` if it does not fit.
    #[inline]
    pub(super) fn at(&mut self, raw: i64, samples: Option<u32>) -> Option<i64> {
        let step = self.step();
        let (delay_ns, grid) = match &mut self.kind {
            Kind::Raw => return Some(raw),
            Kind::Rounded => return i64::try_from(round(scaled(raw, step)?)).ok(),
            Kind::Grid { delay_ns, grid } => (*delay_ns, grid),
        };
        let said = scaled(raw, step)? - i128::from(delay_ns) * i128::from(self.timescale);
        let expected = grid.as_ref().and_then(|grid| grid.expected);
        let instant = match expected {
            Some(expected) if (expected.exact - said).abs() <= step => expected,
            _ => Instant::rounded(said)?,
        };
        let mut ticks = instant.ticks;
        if let Some(grid) = grid
            && raw >= grid.last_raw
            && ticks < grid.last_ticks
        {
            // An anchor behind the frame before is a step back that the container does not make;
            // but the container's own time stays within reach.
            let reach = i64::try_from((said + step).div_euclid(NS)).ok()?;
            ticks = ticks.max(reach.min(grid.last_ticks));
        }
        let expected = samples.and_then(|samples| instant.after(samples));
        *grid = Some(Grid { expected, last_raw: raw, last_ticks: ticks });
        Some(ticks)
    }

    /// The time of the next frame in the same lace, which has no timestamp of its own: behind the
    /// one before if its length is known, else `spacing` ticks after `before`.
    pub(super) fn next_in_lace(&mut self, before: i64, spacing: u32, samples: Option<u32>) -> Option<i64> {
        let spaced = before.checked_add(i64::from(spacing))?;
        let Kind::Grid { grid: Some(grid), .. } = &mut self.kind else { return Some(spaced) };
        let instant = grid.expected.unwrap_or(Instant { exact: i128::from(spaced) * NS, ticks: spaced });
        grid.expected = samples.and_then(|samples| instant.after(samples));
        grid.last_ticks = instant.ticks;
        Some(instant.ticks)
    }

    /// One Segment tick in track ticks times [`NS`].
    fn step(&self) -> i128 {
        i128::from(self.scale_ns) * i128::from(self.timescale)
    }
}

/// Segment ticks per second, if that is a whole number.
fn raw_timescale(scale_ns: u64) -> Option<u32> {
    let second = NS as u64;
    (second.checked_rem(scale_ns)? == 0).then(|| u32::try_from(second / scale_ns).ok()).flatten()
}

/// A Cluster's Timestamp as a time with whole ticks per second: as it stands where the Segment's
/// tick allows it, else exactly in nanoseconds. `None` if it does not fit.
pub(super) fn boundary(raw: u64, scale_ns: u64) -> Option<(i64, u32)> {
    match raw_timescale(scale_ns) {
        Some(timescale) => Some((i64::try_from(raw).ok()?, timescale)),
        None => Some((i64::try_from(raw.checked_mul(scale_ns)?).ok()?, NS as u32)),
    }
}

/// `raw` Segment ticks of `step` each, unless they are too many for 64 bits of any track's ticks;
/// what is left can be added to without care.
fn scaled(raw: i64, step: i128) -> Option<i128> {
    const BOUND: u128 = 1 << 94;
    i128::from(raw).checked_mul(step).filter(|scaled| scaled.unsigned_abs() <= BOUND)
}

/// Track ticks times [`NS`] to the nearest track tick.
fn round(scaled: i128) -> i128 {
    (scaled + NS / 2).div_euclid(NS)
}

#[cfg(test)]
#[path = "timing_test.rs"]
mod tests;
