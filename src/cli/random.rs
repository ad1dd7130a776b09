//! The machine's randomness.

use std::io;

use kinora_base::Random;

/// Random bytes fit for keys, from the cryptographic library, which seeds itself from the operating
/// system.
#[derive(Debug)]
pub(super) struct SystemRandom;

#[expect(clippy::disallowed_methods, reason = "this is where chance enters the program")]
impl Random for SystemRandom {
    fn fill(&self, to: &mut [u8]) -> io::Result<()> {
        aws_lc_rs::rand::fill(to).map_err(|_| io::Error::other("the machine has no randomness to give"))
    }
}
