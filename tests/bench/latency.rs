//! Durations, collected and summed up.

use std::time::Duration;

use serde::Serialize;

/// Collected durations, in microseconds.
#[derive(Debug, Default, Clone)]
pub(crate) struct Latencies(Vec<u64>);

/// What is said of many durations.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Summary {
    /// How many there were.
    pub count: usize,
    /// Half are at most this.
    pub p50_ms: f64,
    /// 99 of 100 are at most this.
    pub p99_ms: f64,
    /// 999 of 1,000 are at most this.
    pub p999_ms: f64,
    /// The largest.
    pub max_ms: f64,
}

impl Latencies {
    /// Adds one.
    pub(crate) fn add(&mut self, duration: Duration) {
        self.0.push(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// Adds those of another collection.
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Sums up; `None` if there is nothing.
    pub(crate) fn summary(mut self) -> Option<Summary> {
        self.0.sort_unstable();
        // Nearest rank: the smallest value that so many of a thousand do not exceed.
        let rank = |permille: usize| {
            let place = (self.0.len() * permille).div_ceil(1000).max(1) - 1;
            self.0.get(place).map(|us| *us as f64 / 1000.0)
        };
        Some(Summary {
            count: self.0.len(),
            p50_ms: rank(500)?,
            p99_ms: rank(990)?,
            p999_ms: rank(999)?,
            max_ms: rank(1000)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_exact() {
        let mut latencies = Latencies::default();
        assert!(latencies.clone().summary().is_none());
        for ms in (1..=200).rev() {
            latencies.add(Duration::from_millis(ms));
        }
        let summary = latencies.summary().unwrap();
        assert_eq!((summary.count, summary.p50_ms, summary.p99_ms), (200, 100.0, 198.0));
        assert_eq!((summary.p999_ms, summary.max_ms), (200.0, 200.0));
    }
}
