//! `kinora verify` and `kinora rebuild-index`: work on a data folder itself.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{HumanBytes, ProgressBar};
use kinora_base::Clock;
use kinora_store::{Damage, rebuild_index, verify};

use super::Failure;
use super::amount::size;
use super::clock::SystemClock;
use super::encryption::Encryption;

/// Bytes that `verify` reads in a second unless told otherwise: what a single disk gives easily.
const VERIFY_RATE: u64 = 100_000_000;
/// It waits only when it is ahead of its rate by this much.
const LEAST_WAIT: Duration = Duration::from_millis(20);

#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    encryption: Encryption,
    /// Most bytes to read in a second, such as 20MB; 0 reads as fast as the disk gives them
    #[arg(long, env = "KINORA_VERIFY_RATE", value_name = "SIZE", default_value_t = VERIFY_RATE, value_parser = size)]
    rate: u64,
}

#[derive(Debug, Args)]
pub(super) struct RebuildIndex {
    #[command(flatten)]
    data: Data,
}

#[derive(Debug, Args)]
struct Data {
    /// Folder that holds everything recorded
    #[arg(long, env = "KINORA_DATA_DIR", default_value = "./data", value_name = "DIR")]
    data_dir: PathBuf,
}

impl Data {
    /// The folder, which these commands do not create.
    fn existing(self) -> Result<PathBuf, Failure> {
        if self.data_dir.join("streams").is_dir() {
            return Ok(self.data_dir);
        }
        let failure = Failure::new(format!("{} holds no recordings", self.data_dir.display()));
        Err(failure.with_hint("name the server's folder with --data-dir"))
    }
}

impl Verify {
    pub(super) fn run(self) -> Result<(), Failure> {
        let folder = self.data.existing()?;
        let keys = self.encryption.keys()?;
        let bar = ProgressBar::new_spinner();
        let clock = SystemClock::new();
        let began = clock.monotonic();
        let found = verify(&folder, keys, |so_far| {
            let due = so_far.bytes.saturating_mul(1_000_000).checked_div(self.rate).unwrap_or(0);
            let ahead = Duration::from_micros(due).saturating_sub(clock.monotonic().saturating_sub(began));
            if ahead >= LEAST_WAIT {
                std::thread::sleep(ahead);
            }
            bar.set_message(format!("{} read, {} fragments", HumanBytes(so_far.bytes), so_far.fragments));
            bar.tick();
        })?;
        bar.finish_and_clear();
        if found.online {
            println!("a server has this folder open: only what is sealed was read");
        }
        tell(&found.damages);
        println!(
            "{} streams, {} segments, {} fragments, {} read: {}",
            found.streams,
            found.segments,
            found.fragments,
            HumanBytes(found.bytes),
            verdict(&found.damages)
        );
        if found.damages.is_empty() {
            return Ok(());
        }
        let failure = Failure::new(format!("{} damaged places, listed above", found.damages.len()));
        Err(failure
            .with_hint("everything else stays readable; restore the named files from a copy if there is one"))
    }
}

impl RebuildIndex {
    pub(super) fn run(self) -> Result<(), Failure> {
        let rebuilt = rebuild_index(&self.data.existing()?)?;
        tell(&rebuilt.damages);
        let (streams, segments) = (rebuilt.streams, rebuilt.segments);
        println!(
            "index rebuilt: {streams} streams, {segments} sealed segments: {}",
            verdict(&rebuilt.damages)
        );
        Ok(())
    }
}

fn tell(damages: &[Damage]) {
    for damage in damages {
        println!("damaged: {damage}");
    }
}

fn verdict(damages: &[Damage]) -> &'static str {
    if damages.is_empty() { "all sound" } else { "damaged" }
}
