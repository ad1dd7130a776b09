//! What shall be kept, as the command line and the environment say it.
//!
//! What becomes of it is the store's business.

use std::time::Duration;

use clap::Args;
use kinora_store::Options;

#[derive(Debug, Args)]
pub(super) struct Limits {
    /// How long streams without a limit of their own keep what arrived, such as 30d, 12h or 90m
    #[arg(long, env = "KINORA_MAX_AGE", value_name = "TIME", value_parser = time)]
    max_age: Option<Duration>,
    /// How much media a stream without a limit of its own keeps, such as 20GB
    #[arg(long, env = "KINORA_MAX_BYTES", value_name = "SIZE", value_parser = size)]
    max_bytes: Option<u64>,
    /// How much the files of all streams may take together, such as 2TB
    #[arg(long, env = "KINORA_MAX_TOTAL_BYTES", value_name = "SIZE", value_parser = size)]
    max_total_bytes: Option<u64>,
    /// How much of the disk stays free: the oldest recordings go for it, and below a quarter of it
    /// nothing is recorded. By default 2 % of the disk, 16MiB to 1GiB
    #[arg(long, env = "KINORA_KEEP_FREE_BYTES", value_name = "SIZE", value_parser = size)]
    keep_free_bytes: Option<u64>,
}

impl Limits {
    /// Puts them into the store's settings.
    pub(super) fn apply(&self, options: &mut Options) {
        options.max_age = self.max_age;
        options.max_bytes = self.max_bytes;
        options.max_total_bytes = self.max_total_bytes;
        options.keep_free_bytes = self.keep_free_bytes;
    }
}

/// Splits a number from the unit behind it, and multiplies.
fn scaled(text: &str, units: &[(&str, u64)], example: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let by = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim())).map(|(_, by)| *by);
    let value = number.parse::<u64>().ok().zip(by).and_then(|(number, by)| number.checked_mul(by));
    value.ok_or_else(|| {
        let known: Vec<&str> = units.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect();
        format!("write a whole number and one of {}, such as {example}", known.join(", "))
    })
}

/// Reads a length of time.
fn time(text: &str) -> Result<Duration, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("w", 604_800)];
    match scaled(text, &units, "30d")? {
        0 => Err("nothing would be kept; leave it out for no limit".to_owned()),
        seconds => Ok(Duration::from_secs(seconds)),
    }
}

/// Reads an amount of bytes.
fn size(text: &str) -> Result<u64, String> {
    let units = [
        ("", 1),
        ("B", 1),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    scaled(text, &units, "20GB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_with_their_units() {
        let s = |text| time(text).ok().map(|time| time.as_secs());
        assert_eq!(
            [s("30d"), s("12 h"), s("90m"), s("5s"), s("1w")].map(Option::unwrap),
            [2_592_000, 43_200, 5400, 5, 604_800]
        );
        assert_eq!(["", "d", "30", "1.5h", "-1d", "0d", "99999999999999999d"].map(s), [None; 7]);
        let b = |text| size(text).ok();
        assert_eq!(
            [b("7"), b("20GB"), b("20gib"), b("3 MB")].map(Option::unwrap),
            [7, 20_000_000_000, 20 << 30, 3_000_000]
        );
        assert_eq!(["", "GB", "1.5GB", "5 parsecs", "99999999TiB"].map(b), [None; 5]);
        assert!(size("5x").unwrap_err().contains("20GB"));
    }
}
