//! The file in a stream's folder that says what of it is kept: its limits, its pins, and up to where
//! it has expired.

use bytes::{Buf, BufMut};
use kinora_base::WallTime;

use super::{Malformed, VERSION, checksum};
use crate::limits::{Expired, Limit, Limits, Pin};

/// What the file `retention` in a stream's folder holds, `FORMAT.md` "Retention file".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RetentionFile {
    pub(crate) limits: Limits,
    pub(crate) pins: Vec<Pin>,
    pub(crate) expired: Expired,
}

const SHORT: Malformed = Malformed::Because("is cut short");

impl RetentionFile {
    /// The file's name.
    pub(crate) const NAME: &'static str = "retention";
    /// Longest file that is read, in bytes: the most pins, each with the longest words.
    pub(crate) const LONGEST: usize = 1 << 20;
    const MAGIC: [u8; 8] = *b"KNRKEEPS";
    /// Marks a limit that the stream does not set itself.
    const INHERITED: u64 = u64::MAX;
    /// Marks the absence of a limit.
    const UNLIMITED: u64 = u64::MAX - 1;

    /// The file's content.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_slice(&Self::MAGIC);
        bytes.put_u16_le(VERSION);
        bytes.put_slice(&[0; 6]);
        let expired = &self.expired;
        bytes.put_u64_le(expired.floor);
        bytes.put_u64_le(expired.spent);
        bytes.put_u64_le(expired.next_ordinal);
        bytes.put_u64_le(expired.epoch);
        bytes.put_u64_le(u64::from(expired.next_configuration));
        bytes.put_u64_le(expired.fragments);
        bytes.put_u64_le(expired.bytes);
        let (start, end) = expired.range.unwrap_or((WallTime::LATEST, WallTime::EARLIEST));
        bytes.put_i64_le(start.as_micros());
        bytes.put_i64_le(end.as_micros());
        for limit in [self.limits.age_s, self.limits.bytes] {
            bytes.put_u64_le(match limit {
                Limit::Inherited => Self::INHERITED,
                Limit::Unlimited => Self::UNLIMITED,
                Limit::Most(most) => most,
            });
        }
        bytes.put_u32_le(self.pins.len() as u32);
        for pin in &self.pins {
            bytes.put_i64_le(pin.start.as_micros());
            bytes.put_i64_le(pin.end.as_micros());
            bytes.put_i64_le(pin.created.as_micros());
            for text in [&pin.name, &pin.by, &pin.reason] {
                bytes.put_u16_le(text.len() as u16);
                bytes.put_slice(text.as_bytes());
            }
        }
        let crc = checksum(&bytes);
        bytes.put_u32_le(crc);
        bytes
    }

    /// Reads the file's content.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (mut body, crc) = bytes.split_last_chunk::<4>().ok_or(SHORT)?;
        if checksum(body) != u32::from_le_bytes(*crc) {
            return Err(Malformed::Because("fails its checksum"));
        }
        body = body.strip_prefix(&Self::MAGIC).ok_or(Malformed::Because("is no retention file"))?;
        let version = body.try_get_u16_le().map_err(|_| SHORT)?;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        body = body.get(6..).ok_or(SHORT)?;
        let mut expired = Expired {
            floor: number(&mut body)?,
            spent: number(&mut body)?,
            next_ordinal: number(&mut body)?,
            epoch: number(&mut body)?,
            next_configuration: u32::try_from(number(&mut body)?)
                .map_err(|_| Malformed::Because("names a configuration beyond the highest"))?,
            fragments: number(&mut body)?,
            bytes: number(&mut body)?,
            range: None,
        };
        let (start, end) = (time(&mut body)?, time(&mut body)?);
        expired.range = (start <= end).then_some((start, end));
        let mut limit = || {
            Ok(match number(&mut body)? {
                Self::INHERITED => Limit::Inherited,
                Self::UNLIMITED => Limit::Unlimited,
                most => Limit::Most(most),
            })
        };
        let limits = Limits { age_s: limit()?, bytes: limit()? };
        let count = body.try_get_u32_le().map_err(|_| SHORT)?;
        let mut pins = Vec::new();
        for _ in 0..count {
            pins.push(Pin {
                start: time(&mut body)?,
                end: time(&mut body)?,
                created: time(&mut body)?,
                name: text(&mut body)?,
                by: text(&mut body)?,
                reason: text(&mut body)?,
            });
        }
        Ok(Self { limits, pins, expired })
    }
}

fn number(from: &mut &[u8]) -> Result<u64, Malformed> {
    from.try_get_u64_le().map_err(|_| SHORT)
}

fn time(from: &mut &[u8]) -> Result<WallTime, Malformed> {
    from.try_get_i64_le().map(WallTime::from_micros).map_err(|_| SHORT)
}

fn text(from: &mut &[u8]) -> Result<String, Malformed> {
    let length = usize::from(from.try_get_u16_le().map_err(|_| SHORT)?);
    let (text, rest) = from.split_at_checked(length).ok_or(SHORT)?;
    *from = rest;
    String::from_utf8(text.to_vec()).map_err(|_| Malformed::Because("holds text that is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> RetentionFile {
        let at = WallTime::from_micros;
        RetentionFile {
            limits: Limits { age_s: Limit::Most(3600), bytes: Limit::Unlimited },
            pins: vec![Pin {
                name: "break-in".into(),
                start: at(1_000),
                end: at(2_000),
                created: at(3_000),
                by: "ops".into(),
                reason: "case 7".into(),
            }],
            expired: Expired {
                floor: 8,
                spent: 9,
                next_ordinal: 7,
                epoch: 2,
                next_configuration: 3,
                fragments: 7,
                bytes: 700,
                range: Some((at(5), at(6))),
            },
        }
    }

    #[test]
    fn what_is_kept_reads_back() {
        for file in [example(), RetentionFile::default()] {
            assert_eq!(RetentionFile::decode(&file.encode()), Ok(file));
        }
    }

    /// If this fails the format has changed: raise the version, or leave the bytes alone.
    #[test]
    fn golden_bytes() {
        let bytes = example().encode();
        assert_eq!(bytes.len(), 159);
        assert_eq!(checksum(&bytes), 1_214_729_159);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = example().encode();
        for length in 0..bytes.len() {
            assert!(RetentionFile::decode(&bytes[..length]).is_err(), "{length}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(RetentionFile::decode(&flipped).is_err(), "{bit}");
        }
    }
}
