//! Decoding times from presentation times and the reorder depth.
//!
//! Matroska tells only when a frame is shown. A decoder with depth D may hold back D frames, so
//! the frame that enters it as number i must be decoded when frame number i − D of the shown order
//! is shown: its decoding time is the (i − D)-th smallest presentation time, which is known by
//! then. So nothing is delayed here, and a stream without B-frames keeps both times equal.
//!
//! It knows no codec and no container; it sees numbers of ticks only.

/// Deepest reordering: no codec holds back more frames (ITU-T H.264 §A.3.1, H.265 §A.4.2).
pub const MAX_DEPTH: u8 = 16;

/// A presentation time further ahead of the newest than this begins another run: an encoder that
/// leaves out frames, however long, still has its clock, and a gap of this size breaks playback anyway.
pub const FORWARD_JUMP_SECONDS: i64 = 10;

/// A presentation time further behind the newest decoding time than this begins another run, but
/// only if the depth cannot explain it: see [`Reorder::next`].
pub const BACKWARD_JUMP_SECONDS: i64 = 2;

/// Frame rate to assume for the first frames where nothing tells it.
const USUAL_FRAME_RATE: i64 = 30;

const CAPACITY: usize = MAX_DEPTH as usize + 1;

/// Times in ascending order, at most one more than the deepest reordering.
#[derive(Debug, Clone, Copy, Default)]
struct Sorted {
    times: [i64; CAPACITY],
    length: usize,
}

impl Sorted {
    fn as_slice(&self) -> &[i64] {
        self.times.get(..self.length).unwrap_or_default()
    }

    /// Adds a time; drops and returns the smallest where there is no room.
    fn insert(&mut self, time: i64) -> Option<i64> {
        let dropped = if self.length == CAPACITY { self.pop_first() } else { None };
        let at = self.as_slice().partition_point(|other| *other <= time);
        if let Some(tail) = self.times.get_mut(at..=self.length) {
            tail.rotate_right(1);
            if let Some(first) = tail.first_mut() {
                *first = time;
            }
            self.length += 1;
        }
        dropped
    }

    fn pop_first(&mut self) -> Option<i64> {
        let first = self.as_slice().first().copied()?;
        self.times.rotate_left(1);
        self.length -= 1;
        Some(first)
    }

    fn pop_last(&mut self) -> Option<i64> {
        let last = self.as_slice().last().copied()?;
        self.length -= 1;
        Some(last)
    }
}

/// Derives the decoding times of one track.
///
/// Within a run they strictly increase, and they are not behind the presentation times as long as
/// the depth is true and presentation times differ. A run ends at a discontinuity.
#[derive(Debug, Clone)]
pub struct Reorder {
    timescale: i64,
    depth: usize,
    /// Expected duration of a frame, at least 1.
    frame_ticks: i64,
    /// Whether `frame_ticks` is only a guess that the stream may correct.
    guessed: bool,
    /// Presentation times that are no decoding times yet.
    waiting: Sorted,
    /// The newest presentation times that became decoding times.
    used: Sorted,
    /// First presentation time of the run.
    first: Option<i64>,
    /// Newest decoding time of the run, and largest presentation time.
    last: Option<(i64, i64)>,
}

impl Reorder {
    /// For a track of `timescale` ticks per second with frames of `frame_ticks`, 0 if not known.
    #[must_use]
    pub fn new(timescale: u32, depth: u8, frame_ticks: u32) -> Self {
        let timescale = i64::from(timescale.max(1));
        let guessed = frame_ticks == 0;
        let frame_ticks = if guessed { timescale / USUAL_FRAME_RATE } else { i64::from(frame_ticks) };
        Self {
            timescale,
            depth: usize::from(depth.min(MAX_DEPTH)),
            frame_ticks: frame_ticks.max(1),
            guessed,
            waiting: Sorted::default(),
            used: Sorted::default(),
            first: None,
            last: None,
        }
    }

    /// Goes on with another depth after a change of configuration. Decoding times go on increasing.
    pub fn set_depth(&mut self, depth: u8) {
        let depth = usize::from(depth.min(MAX_DEPTH));
        if depth != self.depth {
            self.depth = depth;
            self.begin_order();
        }
    }

    /// The depth in force: as declared, or more where the stream has shown more.
    #[must_use]
    pub fn depth(&self) -> u8 {
        u8::try_from(self.depth).unwrap_or(MAX_DEPTH)
    }

    fn begin_order(&mut self) {
        self.waiting = Sorted::default();
        self.used = Sorted::default();
        self.first = None;
    }

    /// The decoding time of the next frame in decoding order, which is shown at `pts_ticks`; `key`
    /// says that decoding can start there.
    ///
    /// A frame that is shown before frames whose turn had passed proves that the depth is larger
    /// than declared: it is corrected, and until the order has settled decoding times follow each
    /// other by one tick. A time that no depth explains ends the run: further ahead than
    /// [`FORWARD_JUMP_SECONDS`], further back than [`BACKWARD_JUMP_SECONDS`] and
    /// [`MAX_DEPTH`] frames, or further back than one frame at a key frame, which nothing may
    /// precede that is shown later.
    pub fn next(&mut self, pts_ticks: i64, key: bool) -> i64 {
        if self.is_discontinuity(pts_ticks, key) {
            self.begin_order();
            self.last = None;
        } else if !key {
            self.learn_depth(pts_ticks);
        }
        let first = *self.first.get_or_insert(pts_ticks);
        let overflow = self.waiting.insert(pts_ticks);
        let turn = if overflow.is_some() {
            overflow
        } else if self.waiting.length > self.depth {
            self.waiting.pop_first()
        } else {
            None
        };
        let wanted = match turn {
            Some(turn) => {
                self.learn_duration(turn);
                self.used.insert(turn);
                turn
            }
            // The first frames of a run are decoded before anything is shown.
            None => {
                let ahead = self.depth.saturating_sub(self.waiting.length) + 1;
                first.saturating_sub(self.frame_ticks.saturating_mul(i64::try_from(ahead).unwrap_or(0)))
            }
        };
        let (dts, newest) = match self.last {
            Some((last, newest)) => (wanted.max(last.saturating_add(1)), newest.max(pts_ticks)),
            None => (wanted, pts_ticks),
        };
        self.last = Some((dts, newest));
        dts
    }

    fn is_discontinuity(&self, pts: i64, key: bool) -> bool {
        let Some((dts, newest)) = self.last else { return false };
        let frames = self.frame_ticks.saturating_mul(i64::from(MAX_DEPTH));
        let forward = (self.timescale * FORWARD_JUMP_SECONDS).saturating_add(frames);
        let backward = (self.timescale * BACKWARD_JUMP_SECONDS).max(frames);
        pts > newest.saturating_add(forward)
            || pts < dts.saturating_sub(backward)
            || (key && pts < dts.saturating_sub(self.frame_ticks))
    }

    /// Takes back the turns that came too early, now that `pts` should have come before them.
    fn learn_depth(&mut self, pts: i64) {
        while self.depth < usize::from(MAX_DEPTH)
            && self.used.as_slice().last().is_some_and(|used| *used > pts)
        {
            if let Some(too_early) = self.used.pop_last() {
                self.waiting.insert(too_early);
                self.depth += 1;
            }
        }
    }

    fn learn_duration(&mut self, turn: i64) {
        if self.guessed
            && let Some(before) = self.used.as_slice().last()
        {
            let ticks = turn.saturating_sub(*before);
            if ticks > 0 && ticks <= self.timescale * BACKWARD_JUMP_SECONDS {
                self.frame_ticks = ticks;
            }
        }
    }
}

#[cfg(test)]
#[path = "reorder_test.rs"]
mod tests;
