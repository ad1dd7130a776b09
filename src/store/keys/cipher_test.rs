//! The record cipher against lengths, ranges, other headers and tampering.

use kinora_base::WallTime;
use proptest::prelude::*;

use super::*;
use crate::format::{Kind, SegmentId, chunks_of, stored_range};

const SALT: [u8; SALT_BYTES] = *b"saltsaltsaltsalt";

fn secret(n: u8) -> Secret {
    Secret::from_hex(&format!("{n:02x}").repeat(32)).unwrap()
}

fn record(plain: usize) -> Record {
    Record {
        kind: Kind::Fragment,
        flags: 1,
        segment: SegmentId(*b"0123456789abcdef"),
        offset: 512,
        epoch: 3,
        number: 41,
        ordinal: 40,
        producer_time: WallTime::from_micros(1_000_000),
        server_time: WallTime::from_micros(1_500_000),
        duration_us: 2_000_000,
        length: stored_length(plain as u32) as u32,
        configuration: 1,
        key: 77,
        payload_crc: 0,
        previous_crc: 5,
        durable_to: 512,
        content_crc: 6,
        discontinuities: 1,
        media_us: 4,
    }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n / 3) as u8).collect()
}

fn seal(plain: &[u8]) -> (RecordCipher, Vec<u8>) {
    let cipher = RecordCipher::new(&secret(1), &record(plain.len()), &SALT).unwrap();
    let middle = plain.len() / 3;
    let stored = cipher.seal(&SALT, [&plain[..middle], &[], &plain[middle..]]).unwrap();
    (cipher, stored)
}

#[test]
fn every_byte_is_as_it_always_was() {
    let (_, stored) = seal(b"some media");
    let hex = stored.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    // If this fails, the format changed: raise its version, and say so in FORMAT.md.
    assert_eq!(hex, "73616c7473616c7473616c7473616c740134826e746b808eed1857ceed2b4bc7d409effa9e9ceaa11d5b");
}

#[test]
fn what_was_encrypted_is_decrypted_whatever_its_length() {
    for length in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_001] {
        let plain = bytes(length);
        let (cipher, stored) = seal(&plain);
        assert_eq!(stored.len() as u64, stored_length(length as u32));
        assert_eq!(cipher.open_all(&stored), Ok(plain), "{length} bytes");
    }
}

#[test]
fn pieces_that_are_not_as_long_as_the_record_says_are_refused() {
    let cipher = RecordCipher::new(&secret(1), &record(70_000), &SALT).unwrap();
    for length in [0, 69_999, 70_001, 140_000] {
        assert!(cipher.seal(&SALT, [&bytes(length)[..]]).is_err(), "{length} bytes");
    }
}

#[test]
fn another_header_salt_or_key_opens_nothing() {
    let plain = bytes(100);
    let (_, stored) = seal(&plain);
    let right = record(100);
    let opens = |key: u8, record: &Record, salt: &[u8; SALT_BYTES]| {
        RecordCipher::new(&secret(key), record, salt).unwrap().open_all(&stored).is_ok()
    };
    assert!(opens(1, &right, &SALT));
    assert!(opens(1, &Record { payload_crc: 9, ..right }, &SALT), "that checksum covers the cipher");
    assert!(!opens(2, &right, &SALT));
    assert!(!opens(1, &right, b"saltsaltsaltsalT"));
    let other = WallTime::from_micros(1);
    for wrong in [
        Record { kind: Kind::Configuration, ..right },
        Record { flags: 3, ..right },
        Record { segment: SegmentId(*b"0123456789abcdeF"), ..right },
        Record { offset: 513, ..right },
        Record { epoch: 4, ..right },
        Record { number: 42, ..right },
        Record { ordinal: 41, ..right },
        Record { producer_time: other, ..right },
        Record { server_time: other, ..right },
        Record { duration_us: 1, ..right },
        Record { configuration: 2, ..right },
        Record { key: 78, ..right },
        Record { previous_crc: 6, ..right },
        Record { durable_to: 0, ..right },
        Record { content_crc: 7, ..right },
        Record { discontinuities: 2, ..right },
        Record { media_us: 5, ..right },
    ] {
        assert!(!opens(1, &wrong, &SALT), "{wrong:?}");
    }
}

#[test]
fn chunks_cannot_be_flipped_swapped_repeated_or_cut_off() {
    let plain = bytes(3 * CHUNK_BYTES);
    let (cipher, stored) = seal(&plain);
    let chunk = |n: usize| SALT_BYTES + n * (CHUNK_BYTES + TAG_BYTES);
    for place in [chunk(0), chunk(1) - 1, chunk(1), chunk(3) - 1] {
        let mut flipped = stored.clone();
        flipped[place] ^= 0x10;
        assert!(cipher.open_all(&flipped).is_err(), "flip at {place}");
    }
    let (one, two) = (&stored[chunk(0)..chunk(1)], &stored[chunk(1)..chunk(2)]);
    for moved in [[&SALT[..], two, one, &stored[chunk(2)..]], [&SALT[..], one, one, &stored[chunk(2)..]]] {
        assert!(cipher.open_all(&moved.concat()).is_err());
    }
    // The same key, as if the length in the header were no part of it: the mark of the last chunk
    // alone shows that something is missing.
    assert!(cipher.open(&stored[chunk(0)..chunk(2)], 0..2).is_ok());
    let shorter = RecordCipher {
        key: RecordCipher::new(&secret(1), &record(plain.len()), &SALT).unwrap().key,
        plain: 2 * CHUNK_BYTES as u32,
    };
    assert!(shorter.open_all(&stored[..chunk(2)]).is_err());
}

proptest! {
    #[test]
    fn any_range_is_read_from_its_chunks_alone(length in 1_u32..300_000, ends in (0_u32..300_000, 0_u32..300_000)) {
        let (start, end) = (ends.0.min(ends.1) % length, ends.0.max(ends.1).min(length));
        prop_assume!(start < end);
        let plain = bytes(length as usize);
        let (cipher, stored) = seal(&plain);
        let chunks = chunks_of(start..end, length);
        let place = stored_range(chunks.clone(), length);
        let read = cipher.open(&stored[place.start as usize..place.end as usize], chunks.clone()).unwrap();
        let skip = (start - chunks.start * CHUNK_BYTES as u32) as usize;
        prop_assert_eq!(&read[skip..skip + (end - start) as usize], &plain[start as usize..end as usize]);
    }
}
