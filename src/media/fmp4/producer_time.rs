//! What `prft` says about the wall clock (§8.16.5).

use kinora_base::WallTime;
use mp4_atom::{Prft, ReferenceTime};

/// Seconds from 1900, where NTP begins, to 1970.
const NTP_TO_UNIX_SECONDS: i64 = 2_208_988_800;
/// Seconds of one NTP era (RFC 5905 §6).
const NTP_ERA_SECONDS: i64 = 1 << 32;

/// UTC time of the box's media time; none if the box says that its clock is not UTC, or holds
/// NTP's "unknown".
///
/// All other meanings are taken as they are: when a frame entered or left the encoder, and when a
/// fragment was closed or written, which is up to a fragment later.
pub(super) fn wall_time(prft: &Prft) -> Option<WallTime> {
    if prft.ntp_timestamp == 0 || prft.utc_time_semantics == ReferenceTime::Consistent {
        return None;
    }
    let seconds = i64::try_from(prft.ntp_timestamp >> 32).ok()?;
    // Seconds below 2^31 can only be those of the next era, from 2036 on: in this era they would
    // be before 1968.
    let era = if seconds < NTP_ERA_SECONDS / 2 { NTP_ERA_SECONDS } else { 0 };
    let micros = i64::try_from(((prft.ntp_timestamp & 0xffff_ffff) * 1_000_000) >> 32).ok()?;
    Some(WallTime::from_micros((seconds + era - NTP_TO_UNIX_SECONDS) * 1_000_000 + micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ntp_timestamp: u64, utc_time_semantics: ReferenceTime) -> Option<String> {
        let prft = Prft { ntp_timestamp, utc_time_semantics, ..Default::default() };
        wall_time(&prft).map(|time| time.to_string())
    }

    #[test]
    fn ntp_becomes_utc_in_both_eras() {
        // 2026-01-31T12:00:00.5Z is 1769860800.5 since 1970.
        let in_2026 = (1_769_860_800_u64 + 2_208_988_800) << 32 | 1 << 31;
        assert_eq!(at(in_2026, ReferenceTime::Input).unwrap(), "2026-01-31T12:00:00.500Z");
        // NTP wraps at 2036-02-07T06:28:16Z.
        assert_eq!(at(60 << 32, ReferenceTime::RealTime).unwrap(), "2036-02-07T06:29:16.000Z");
    }

    #[test]
    fn a_clock_that_is_not_utc_says_nothing() {
        assert_eq!(at(0, ReferenceTime::Input), None);
        assert_eq!(at(u64::MAX, ReferenceTime::Consistent), None);
    }
}
