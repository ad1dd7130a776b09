//! The two kinds of time: a point on the UTC wall clock, and a position on a track's own axis.
//!
//! Neither is read from a clock here, and nothing here rounds twice.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// A point in UTC time, in microseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 with
/// milliseconds; read as RFC 3339 or as epoch milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct WallTime(i64);

/// Why a text is no time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidTime(String);

impl fmt::Display for InvalidTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidTime {}

impl WallTime {
    /// The earliest time accepted and stored: 1970-01-01T00:00:00Z.
    pub const EARLIEST: Self = Self(0);
    /// The latest time accepted and stored: 9999-12-30T00:00:00Z.
    pub const LATEST: Self = Self(253_402_128_000 * MICROS_PER_SECOND);

    /// A time from microseconds since 1970.
    #[must_use]
    pub const fn from_micros(us: i64) -> Self {
        Self(us)
    }

    /// A time from milliseconds since 1970, saturating.
    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(1000))
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since 1970, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This time moved by `us` microseconds in either direction, saturating.
    #[must_use]
    pub const fn offset_micros(self, us: i64) -> Self {
        Self(self.0.saturating_add(us))
    }

    /// This time and `span` later, saturating.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        self.offset_micros(i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
    }

    /// Microseconds from `earlier` to this time; negative if it is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
        match Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => f.write_str(&PRINTER.timestamp_to_string(&timestamp)),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Debug for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for WallTime {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = if let Ok(ms) = text.parse::<i64>() {
            Self::from_millis(ms)
        } else {
            let timestamp: Timestamp = text.parse().map_err(|_| {
                InvalidTime(format!(
                    "'{text}' is no time from {} to {}; write RFC 3339 as 2026-01-31T12:00:00.000Z, or milliseconds since 1970",
                    Self::EARLIEST,
                    Self::LATEST
                ))
            })?;
            Self(timestamp.as_microsecond())
        };
        if time < Self::EARLIEST || time > Self::LATEST {
            return Err(InvalidTime(format!("'{text}' lies outside {} to {}", Self::EARLIEST, Self::LATEST)));
        }
        Ok(time)
    }
}

/// A position or span on a media axis: `ticks` of `1 / timescale` seconds. Two positions compare
/// by the time they mean, so 1 at 2 Hz equals 45 000 at 90 kHz.
#[derive(Debug, Clone, Copy)]
pub struct MediaTime {
    /// Ticks, of either sign.
    pub ticks: i64,
    /// Ticks per second.
    pub timescale: NonZeroU32,
}

impl MediaTime {
    /// `ticks` at `timescale` ticks per second; none if the timescale is 0.
    #[must_use]
    pub fn new(ticks: i64, timescale: u32) -> Option<Self> {
        Some(Self { ticks, timescale: NonZeroU32::new(timescale)? })
    }

    /// The same time at another timescale, rounded to the nearest tick, saturating.
    #[must_use]
    pub fn rescale(self, timescale: NonZeroU32) -> Self {
        let from = i128::from(self.timescale.get());
        let scaled = i128::from(self.ticks) * i128::from(timescale.get());
        let rounded = (scaled + from / 2).div_euclid(from);
        let bounded = rounded.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Self { ticks: i64::try_from(bounded).unwrap_or(i64::MAX), timescale }
    }

    /// The same time in microseconds, rounded to the nearest, saturating.
    #[must_use]
    pub fn as_micros(self) -> i64 {
        const MICROS: NonZeroU32 = NonZeroU32::new(1_000_000).unwrap();
        self.rescale(MICROS).ticks
    }
}

impl PartialEq for MediaTime {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for MediaTime {}

impl PartialOrd for MediaTime {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MediaTime {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let left = i128::from(self.ticks) * i128::from(other.timescale.get());
        let right = i128::from(other.ticks) * i128::from(self.timescale.get());
        left.cmp(&right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wall_time_reads_both_notations_and_writes_milliseconds() {
        let text = "2026-11-20T09:35:06.123Z";
        let time: WallTime = text.parse().unwrap();
        assert_eq!(time.to_string(), text);
        assert_eq!(time.as_millis().to_string().parse::<WallTime>().unwrap(), time);
        assert_eq!("2026-11-20T10:35:06.123+01:00".parse::<WallTime>().unwrap(), time);
        assert_eq!(WallTime::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn wall_time_refuses_what_it_cannot_store() {
        for bad in ["", "yesterday", "2026-13-01T00:00:00Z", "-1", "99999999999999999"] {
            assert!(bad.parse::<WallTime>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn wall_time_survives_its_own_text(ms in 0_i64..253_402_128_000_000) {
            let time = WallTime::from_millis(ms);
            prop_assert_eq!(time.to_string().parse::<WallTime>().unwrap(), time);
        }

        #[test]
        fn rescaling_errs_by_half_a_tick_at_most(
            ticks in -(1_i64 << 50)..(1_i64 << 50), from in 1_u32.., to in 1_u32..
        ) {
            let there = MediaTime::new(ticks, from).unwrap();
            let back = there.rescale(NonZeroU32::new(to).unwrap());
            let error = (i128::from(ticks) * i128::from(to) - i128::from(back.ticks) * i128::from(from)).abs();
            prop_assert!(error * 2 <= i128::from(from));
        }
    }
}
