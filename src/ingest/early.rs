//! Samples that begin a Cluster or movie fragment before its leading track does, and wait to learn
//! which fragment they belong to.
//!
//! Whose they are is decided elsewhere.

use kinora_media::Sample;

/// How long they may wait, in microseconds of media: MP4 can hold all sound of a fragment before
/// its pictures.
const PATIENCE_US: i64 = 5_000_000;
/// At most so many wait.
const MAX_SAMPLES: usize = 4_096;
/// At most so many bytes wait.
const MAX_BYTES: u64 = 4 << 20;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Early {
    samples: Vec<Sample>,
    bytes: u64,
}

impl Early {
    /// Lets a sample wait.
    pub(crate) fn push(&mut self, sample: Sample) {
        self.bytes += sample.data.len() as u64;
        self.samples.push(sample);
    }

    /// Whether they have waited long enough, given what ticks of the newest one's track are in
    /// microseconds.
    pub(crate) fn is_over(&self, micros: impl Fn(i64) -> i64) -> bool {
        let Some(last) = self.samples.last() else { return false };
        let first = self.samples.iter().find(|sample| sample.track == last.track).unwrap_or(last);
        micros(last.dts_ticks.saturating_sub(first.dts_ticks)) >= PATIENCE_US
            || self.samples.len() >= MAX_SAMPLES
            || self.bytes >= MAX_BYTES
    }

    /// All that wait, in the order of their arrival.
    pub(crate) fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Takes them out.
    pub(crate) fn take(&mut self) -> Vec<Sample> {
        std::mem::take(self).samples
    }
}
