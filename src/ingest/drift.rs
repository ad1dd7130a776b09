//! How a producer's clock runs against the server's: measured over a session, never repaired.
//!
//! A fragment's arrival less its producer time is the difference of the clocks and a delay, and
//! delays only ever add: jitter, bursts, a network that stood still. So what counts is the least
//! lateness in each of some windows of time, and the drift is the median of the slopes between all
//! pairs of them (Theil and Sen), which a few bad windows do not move. Arrival is taken on the
//! monotonic clock, so that steps of the server's wall clock are no drift.
//!
//! What it cannot tell apart: a delay that always is there counts as offset, one that grows
//! steadily as drift. What is sent faster or slower than it was filmed has none.

use std::time::Duration;

use kinora_base::WallTime;

/// Most windows; when there are more, each two become one of twice the length, so that they always
/// span the whole session.
const MAX_WINDOWS: usize = 64;
/// Length of a window at first.
const FIRST_WINDOW: Duration = Duration::from_secs(2);
/// The offset is that of the least late fragment of this long, or twice as long.
const RECENT: Duration = Duration::from_secs(10);
/// No drift is told of a session shorter than this: a millisecond of jitter would pass for 20 ppm.
const SHORTEST: Duration = Duration::from_secs(60);
/// A least lateness that differs by more than this from that of the window before, in
/// microseconds, is a step of a clock or a pause in sending: measuring begins anew.
const STEP_US: i64 = 500_000;
/// No clock is this wrong, in parts per million: media is not sent as it is filmed.
const MAX_PPM: f64 = 20_000.0;

/// A measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Producer time less the server's, in microseconds, of the fragment that lately was on its way
    /// for the shortest time: the lower, the longer media is on its way or the further the
    /// producer's clock is behind.
    pub offset_us: i64,
    /// How much faster the producer's clock runs than the server's, in parts per million; none
    /// until a minute was measured, and of media that is not sent as it is filmed.
    pub drift_ppm: Option<f64>,
    /// How long was measured.
    pub over: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Drift {
    windows: Vec<Window>,
    length: Duration,
    /// The newest windows of [`RECENT`], newest last.
    recent: [Option<Window>; 2],
}

/// The fragment of a window that was least late.
#[derive(Debug, Clone, Copy)]
struct Window {
    began: Duration,
    arrived_us: i64,
    late_us: i64,
    offset_us: i64,
}

impl Window {
    /// This window, with `other`'s fragment if that was less late.
    fn or_less_late(self, other: Self) -> Self {
        if other.late_us <= self.late_us { Self { began: self.began, ..other } } else { self }
    }
}

impl Default for Drift {
    fn default() -> Self {
        Self { windows: Vec::new(), length: FIRST_WINDOW, recent: [None; 2] }
    }
}

impl Drift {
    /// Takes note of a fragment of `producer_time` that arrived at `wall`, which is `monotonic` on
    /// the other clock.
    pub fn note(&mut self, producer_time: WallTime, wall: WallTime, monotonic: Duration) {
        let arrived_us = i64::try_from(monotonic.as_micros()).unwrap_or(i64::MAX);
        let late_us = arrived_us.saturating_sub(producer_time.as_micros());
        let offset_us = producer_time.micros_since(wall);
        let fresh = Window { began: monotonic, arrived_us, late_us, offset_us };
        self.recent = match self.recent {
            [before, Some(last)] if monotonic < last.began + RECENT => {
                [before, Some(last.or_less_late(fresh))]
            }
            [_, last] => [last, Some(fresh)],
        };
        match self.windows.last_mut() {
            Some(last) if monotonic < last.began + self.length => {
                *last = last.or_less_late(fresh);
            }
            _ => {
                self.forget_before_step();
                self.windows.push(fresh);
                self.make_room();
            }
        }
    }

    /// Begins anew at the newest window if it differs too much from the one before.
    fn forget_before_step(&mut self) {
        let [.., before, last] = self.windows.as_slice() else { return };
        if (last.late_us.saturating_sub(before.late_us)).abs() > STEP_US {
            let last = *last;
            let [_, recent] = self.recent;
            *self = Self { windows: vec![last], length: FIRST_WINDOW, recent: [None, recent] };
        }
    }

    fn make_room(&mut self) {
        if self.windows.len() > MAX_WINDOWS {
            self.length *= 2;
            let least_late = |pair: &[Window]| {
                let began = pair.first().map(|first| first.began);
                let least = pair.iter().min_by_key(|window| window.late_us).copied();
                began.zip(least).map(|(began, least)| Window { began, ..least })
            };
            self.windows = self.windows.chunks(2).filter_map(least_late).collect();
        }
    }

    /// What is known by now; none before the first fragment.
    #[must_use]
    pub fn measured(&self) -> Option<Measured> {
        let (first, last) = self.windows.first().zip(self.windows.last())?;
        let over_us = last.arrived_us.saturating_sub(first.arrived_us);
        let over = Duration::from_micros(u64::try_from(over_us).unwrap_or(0));
        let newest = self.recent.iter().flatten().min_by_key(|window| window.late_us)?;
        let drift_ppm = if over >= SHORTEST { self.drift_ppm() } else { None };
        Some(Measured { offset_us: newest.offset_us, drift_ppm, over })
    }

    fn drift_ppm(&self) -> Option<f64> {
        let mut slopes: Vec<f64> = Vec::new();
        for (at, a) in self.windows.iter().enumerate() {
            for b in self.windows.iter().skip(at + 1) {
                let (late, apart) = (b.late_us.saturating_sub(a.late_us), b.arrived_us - a.arrived_us);
                if apart > 0 {
                    slopes.push(late as f64 / apart as f64);
                }
            }
        }
        let middle = slopes.len() / 2;
        if middle == 0 {
            return None;
        }
        let (_, median, _) = slopes.select_nth_unstable_by(middle, f64::total_cmp);
        // What arrives ever later was stamped by a clock that is ever further behind.
        let ppm = -*median * 1e6;
        (ppm.abs() <= MAX_PPM).then_some(ppm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: WallTime = WallTime::from_millis(1_800_000_000_000);

    /// A camera's session: a fragment a second, stamped by a clock that runs `ppm` fast, for so
    /// many seconds; `delay_us` says how long each is on its way.
    fn session(drift: &mut Drift, seconds: i64, ppm: i64, delay_us: impl Fn(i64) -> i64) {
        for second in 0..seconds {
            let true_us = second * 1_000_000;
            let producer = START.offset_micros(true_us + true_us * ppm / 1_000_000);
            let arrived_us = true_us + delay_us(second);
            let monotonic = Duration::from_micros(u64::try_from(arrived_us).unwrap());
            drift.note(producer, START.offset_micros(arrived_us), monotonic);
        }
    }

    /// Jitter of up to 40 ms, mostly small, and a second's burst each half minute; always the same.
    fn jitter(second: i64) -> i64 {
        let noise = (second.wrapping_mul(0x09E3_779B_97F4_A7C1) >> 20).rem_euclid(200);
        20_000 + noise * noise + if second % 30 == 7 { 300_000 } else { 0 }
    }

    #[test]
    fn drift_is_found_under_jitter_and_bursts() {
        for (seconds, allowed) in [(70, 60.0), (600, 8.0), (3600, 2.0), (36_000, 0.5)] {
            for ppm in [-200, 0, 80] {
                let mut drift = Drift::default();
                session(&mut drift, seconds, ppm, jitter);
                let measured = drift.measured().unwrap();
                let found = measured.drift_ppm.unwrap();
                assert!((found - ppm as f64).abs() <= allowed, "{found} for {ppm} ppm after {seconds} s");
                assert!(drift.windows.len() <= MAX_WINDOWS);
                assert!(measured.over.as_secs() as i64 >= seconds * 9 / 10, "{measured:?}");
                let ahead_us = (seconds - 1) * ppm - 20_000;
                assert!((measured.offset_us - ahead_us).abs() <= 41_000, "{measured:?} for {ahead_us}");
            }
        }
    }

    #[test]
    fn a_short_session_has_an_offset_and_no_drift() {
        let mut drift = Drift::default();
        assert_eq!(drift.measured(), None);
        session(&mut drift, 30, 0, |_| 250_000);
        let measured = drift.measured().unwrap();
        assert_eq!((measured.offset_us, measured.drift_ppm), (-250_000, None));
    }

    #[test]
    fn what_is_not_sent_as_it_is_filmed_has_no_drift() {
        let mut drift = Drift::default();
        for n in 0..200 {
            let monotonic = Duration::from_millis(n * 700);
            drift.note(START.offset_micros(n as i64 * 1_000_000), START.plus(monotonic), monotonic);
        }
        assert_eq!(drift.measured().unwrap().drift_ppm, None);
    }

    #[test]
    fn a_step_of_the_producers_clock_begins_anew_and_one_of_ours_is_no_drift() {
        let mut drift = Drift::default();
        for second in 0..400_i64 {
            let monotonic = Duration::from_secs(second as u64);
            let step_us = if second < 200 { 0 } else { 3600 * 1_000_000 };
            let producer = START.offset_micros(second * 1_000_000 + step_us);
            drift.note(producer, START.plus(monotonic), monotonic);
        }
        let measured = drift.measured().unwrap();
        assert_eq!(measured.drift_ppm, Some(0.0));
        assert_eq!(measured.offset_us, 3600 * 1_000_000);
        assert!(measured.over < Duration::from_secs(200));
        let mut drift = Drift::default();
        for second in 0..400_i64 {
            let monotonic = Duration::from_secs(second as u64);
            let wall = START.plus(monotonic).offset_micros(if second < 200 { 0 } else { -3600 * 1_000_000 });
            drift.note(START.plus(monotonic), wall, monotonic);
        }
        assert_eq!(drift.measured().unwrap().drift_ppm, Some(0.0));
    }
}
