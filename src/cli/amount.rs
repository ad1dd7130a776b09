//! Lengths of time and amounts of bytes, and limits by them, as people write and read them.
//!
//! What they limit is unknown here.

use kinora_store::Limit;

/// Units of time, in seconds, the largest first.
const TIMES: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
/// Units of size, in bytes.
const SIZES: [(&str, u64); 10] = [
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

/// Nothing would ever be kept by a limit of 0.
fn some(value: u64) -> Result<u64, String> {
    if value > 0 { Ok(value) } else { Err("nothing would be kept; leave it out for no limit".to_owned()) }
}

/// Reads a length of time, in seconds.
pub(super) fn age(text: &str) -> Result<u64, String> {
    scaled(text, &TIMES, "30d").and_then(some)
}

/// Reads an amount of bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    scaled(text, &SIZES, "20GB")
}

/// Reads an amount of bytes above 0.
pub(super) fn most_bytes(text: &str) -> Result<u64, String> {
    size(text).and_then(some)
}

/// Reads a stream's limit by age.
pub(super) fn age_limit(text: &str) -> Result<Limit, String> {
    limit(text, age)
}

/// Reads a stream's limit by size.
pub(super) fn size_limit(text: &str) -> Result<Limit, String> {
    limit(text, most_bytes)
}

fn limit(text: &str, read: fn(&str) -> Result<u64, String>) -> Result<Limit, String> {
    match text.trim() {
        "unlimited" => Ok(Limit::Unlimited),
        "default" => Ok(Limit::Inherited),
        text => read(text).map(Limit::Most).map_err(|error| format!("{error}; or 'unlimited'; or 'default'")),
    }
}

/// Writes a length of time, so that [`age`] reads it again.
pub(super) fn age_text(seconds: u64) -> String {
    // Weeks are written as days: everybody says 30 days.
    let unit = TIMES.iter().skip(1).find(|(_, by)| seconds.is_multiple_of(*by) && seconds > 0);
    unit.map_or_else(|| format!("{seconds}s"), |(name, by)| format!("{}{name}", seconds / by))
}

/// Writes an amount of bytes, to three digits.
pub(super) fn size_text(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        (value, unit) = (value / 1000.0, unit + 1);
    }
    let digits = if unit == 0 || value >= 99.95 { 0 } else { usize::from(value < 9.995) + 1 };
    let written = format!("{value:.digits$}");
    let short = if digits > 0 { written.trim_end_matches('0').trim_end_matches('.') } else { &written };
    format!("{short}{}", units.get(unit).unwrap_or(&"B"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_with_their_units() {
        let s = |text| age(text).ok();
        assert_eq!(
            [s("30d"), s("12 h"), s("90m"), s("5s"), s("1w")].map(Option::unwrap),
            [2_592_000, 43_200, 5400, 5, 604_800]
        );
        assert_eq!(["", "d", "30", "1.5h", "-1d", "0d", "99999999999999999d"].map(s), [None; 7]);
        let b = |text| size(text).ok();
        assert_eq!(
            [b("7"), b("20GB"), b("20gib"), b("3 MB"), b("0")].map(Option::unwrap),
            [7, 20_000_000_000, 20 << 30, 3_000_000, 0]
        );
        assert_eq!(["", "GB", "1.5GB", "5 parsecs", "99999999TiB"].map(b), [None; 5]);
        assert!(size("5x").unwrap_err().contains("20GB"));
        assert!(most_bytes("0").is_err());
    }

    #[test]
    fn limits_are_amounts_or_words() {
        assert_eq!(age_limit("2h"), Ok(Limit::Most(7200)));
        assert_eq!(size_limit("unlimited"), Ok(Limit::Unlimited));
        assert_eq!(size_limit("default"), Ok(Limit::Inherited));
        assert!(age_limit("0d").is_err() && size_limit("0").is_err() && size_limit("none").is_err());
    }

    #[test]
    fn what_is_written_can_be_read() {
        let ages = [1, 90, 3600, 5400, 604_800, 2_592_000].map(age_text);
        assert_eq!(ages, ["1s", "90s", "1h", "90m", "7d", "30d"]);
        let sizes =
            [0, 999, 1000, 1_234_567, 20_000_000_000, 999_999, 53_687_091_200, 123_456].map(size_text);
        assert_eq!(sizes, ["0B", "999B", "1kB", "1.23MB", "20GB", "1MB", "53.7GB", "123kB"]);
    }
}
