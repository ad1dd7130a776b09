//! The seam through which chance enters: one trait, and the source that tests can predict.
//!
//! It does not ask the machine for randomness; the implementation that does lives in `cli`.

use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of random bytes that nobody can guess, fit for keys.
pub trait Random: Send + Sync + Debug {
    /// Fills `to`.
    ///
    /// # Errors
    /// If there is no randomness to be had; `to` must not be used then.
    fn fill(&self, to: &mut [u8]) -> io::Result<()>;
}

/// The same bytes again and again for the same seed: for tests, never for keys that protect
/// anything.
#[derive(Debug)]
pub struct PredictableRandom(AtomicU64);

impl PredictableRandom {
    /// A source whose bytes follow from `seed`.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Random for PredictableRandom {
    fn fill(&self, to: &mut [u8]) -> io::Result<()> {
        for piece in to.chunks_mut(8) {
            // SplitMix64: every state gives another word, so bytes of one seed do not repeat soon.
            let state = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst);
            let mut word = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            word ^= word >> 31;
            for (to, from) in piece.iter_mut().zip(word.to_le_bytes()) {
                *to = from;
            }
        }
        Ok(())
    }
}
