//! Golden bytes of everything on disk. If one of these fails, data that was written before can no
//! longer be read: raise [`VERSION`], keep reading the old one, and describe both in `FORMAT.md`.

use kinora_base::{StreamName, WallTime};
use proptest::prelude::*;

use super::*;

fn hex(bytes: &[u8]) -> String {
    // Trailing zeros before the checksum are left out: they are what is reserved.
    let (body, crc) = bytes.split_at(bytes.len() - 4);
    let used = body.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{} +{} {}", digits(&body[..used]), body.len() - used, digits(crc))
}

fn cam() -> StreamName {
    StreamName::new("cam").unwrap()
}

fn record() -> Record {
    Record {
        kind: Kind::Fragment,
        flags: 0x0102,
        segment: SegmentId(*b"0123456789abcdef"),
        offset: 0x1112_1314_1516_1718,
        epoch: 0x2122_2324_2526_2728,
        number: 0x3132_3334_3536_3738,
        ordinal: 0x4142_4344_4546_4748,
        producer_time: WallTime::from_micros(0x5152_5354_5556_5758),
        server_time: WallTime::from_micros(0x6162_6364_6566_6768),
        duration_us: 0x7172_7374_7576_7778,
        length: 0x8182_8384,
        configuration: 0x9192_9394,
        key: 0xa1a2_a3a4,
        payload_crc: 0xb1b2_b3b4,
        previous_crc: 0xc1c2_c3c4,
        durable_to: 0xd1d2_d3d4_d5d6_d7d8,
        content_crc: 0xe1e2_e3e4,
        discontinuities: 0xf1f2_f3f4,
        media_us: 0x0102_0304_0506_0708,
    }
}

fn header() -> SegmentHeader {
    SegmentHeader {
        id: SegmentId(*b"0123456789abcdef"),
        epoch: 0x0102_0304_0506_0708,
        first: 0x1112_1314_1516_1718,
        first_ordinal: 0x2122_2324_2526_2728,
        created: WallTime::from_micros(0x3132_3334_3536_3738),
        stream: cam(),
    }
}

fn trailer() -> Trailer {
    Trailer {
        id: SegmentId(*b"0123456789abcdef"),
        footer_offset: 0x0102_0304_0506_0708,
        counts: Counts { fragments: 0x1112_1314, configurations: 0x2122_2324, stops: 0x7172_7374 },
        footer_crc: 0x3132_3334,
        last_crc: 0x4142_4344,
        spent: 0x5152_5354_5556_5758,
        epoch: 0x6162_6364_6566_6768,
        damaged: true,
    }
}

fn footer() -> Footer {
    let entry = Entry {
        number: 0x0102_0304,
        offset: 0x1112_1314,
        producer_time: WallTime::from_micros(0x2122_2324_2526_2728),
        server_time: WallTime::from_micros(0x3132_3334_3536_3738),
        duration_us: 0x4142_4344,
        length: 0x5152_5354,
        configuration: 0x6162,
        flags: 0x7172,
        payload_crc: 0x8182_8384,
        content_crc: 0xb1b2_b3b4,
        discontinuities: 0xc1c2_c3c4,
        media_us: 0x0102_0304_0506_0708,
    };
    Footer {
        entries: vec![entry],
        configurations: vec![ConfigurationEntry { id: 0x9192, offset: 0xa1a2_a3a4 }],
        stops: vec![StopEntry { offset: 0xf1f2_f3f4, length: 0x0304 }],
    }
}

fn clean() -> Clean {
    Clean {
        streams: vec![CleanStream {
            name: cam(),
            next_number: 0x0102_0304_0506_0708,
            next_configuration: 0x1112_1314,
            epoch: 0x2122_2324_2526_2728,
            open_first: 0x3132_3334_3536_3738,
            open_end: 0x4142_4344_4546_4748,
            newest_sealed: 0x5152_5354_5556_5758,
        }],
    }
}

#[test]
fn every_byte_on_disk_is_as_it_always_was() {
    assert_eq!(
        hex(&record().encode().0),
        "4b4e5272010102013031323334353637383961626364656618171615141312112827262524232221383736353433323148474645444342415857565554535251686766656463626178777675747372718483828194939291a4a3a2a1b4b3b2b1c4c3c2c1d8d7d6d5d4d3d2d1e4e3e2e1f4f3f2f10807060504030201 +0 eddcc0e1"
    );
    assert_eq!(
        hex(&header().encode().0),
        "4b4e525345474d540100000200000000303132333435363738396162636465660807060504030201181716151413121128272625242322213837363534333231030063616d +439 33e77cc9"
    );
    assert_eq!(
        hex(&trailer().encode()),
        "4b4e52545241494c0100800001000000303132333435363738396162636465660807060504030201141312112423222134333231444342415857565554535251686766656463626174737271 +48 4091142b"
    );
    let (bytes, crc) = footer().encode();
    assert_eq!(
        format!("{} {crc:08x}", hex(&bytes)),
        "04030201141312112827262524232221383736353433323144434241545352516261727184838281b4b3b2b1c4c3c2c1080706050403020192910000a4a3a2a1f4f3f2f1 +0 04030000 e471ac54"
    );
    assert_eq!(
        hex(&StreamFile { name: cam(), created: WallTime::from_micros(0x0102_0304) }.encode()),
        "4b4e52535452454d01000000000000000403020100000000030063616d +479 6bb62526"
    );
    assert_eq!(
        hex(&clean().encode()),
        "4b4e52434c45414e0100000001000000030063616d0807060504030201141312112827262524232221383736353433323148474645444342415857565554535251 +0 9e220013"
    );
}

#[test]
fn what_was_written_is_read() {
    let (block, crc) = record().encode();
    assert_eq!(Record::decode(&block), Ok((record(), crc)));
    let (block, crc) = header().encode();
    assert_eq!(SegmentHeader::decode(&block), Ok((header(), crc)));
    assert_eq!(Trailer::decode(&trailer().encode()), Ok(trailer()));
    let (bytes, crc) = footer().encode();
    let counts = Counts { fragments: 1, configurations: 1, stops: 1 };
    assert_eq!(Footer::decode(&bytes, counts, crc), Ok(footer()));
    let more = Counts { fragments: 2, ..counts };
    assert!(Footer::decode(&bytes, more, crc).is_err(), "fewer bytes than entries");
    assert_eq!(Clean::decode(&clean().encode()), Ok(clean()));
    let file = StreamFile { name: cam(), created: WallTime::from_micros(7) };
    assert_eq!(StreamFile::decode(&file.encode()), Ok(file));
}

#[test]
fn names_carry_the_index_row() {
    let sealed = SegmentFileName::Sealed {
        first: 42,
        start: WallTime::from_micros(1_795_165_200_000_000),
        end: WallTime::from_micros(1_795_165_264_000_000),
        count: 64,
    };
    let name = "00000000000000000042_1795165200000000_1795165264000000_64.seg";
    assert_eq!(sealed.to_string(), name);
    assert_eq!(SegmentFileName::parse(name), Some(sealed));
    assert_eq!(
        SegmentFileName::parse("00000000000000000042.open"),
        Some(SegmentFileName::Open { first: 42 })
    );
    for stranger in
        ["42.open", "stream", "00000000000000000042_1_2_3_4.seg", "00000000000000000042_1_2_03.seg"]
    {
        assert_eq!(SegmentFileName::parse(stranger), None, "{stranger}");
    }
}

#[test]
fn every_stream_has_a_folder_of_its_own() {
    let longest = StreamName::new(&"x".repeat(256)).unwrap();
    assert_eq!(folder_name(&cam()), "cam");
    assert_eq!(folder_name(&longest).len(), LONGEST_FOLDER);
    assert!(folder_name(&longest).contains('~'), "no other stream's folder");
}

const LONGEST_FOLDER: usize = 255;

proptest! {
    #[test]
    fn a_changed_header_is_never_taken_for_one(at in 0..Record::BYTES, bit in 0..8_u8) {
        let mut block = record().encode().0;
        block[at] ^= 1 << bit;
        prop_assert!(Record::decode(&block).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 512..600)) {
        let _ = Record::decode(bytes.first_chunk().unwrap());
        let _ = SegmentHeader::decode(bytes.first_chunk().unwrap());
        let _ = Trailer::decode(bytes.first_chunk().unwrap());
        let _ = StreamFile::decode(bytes.first_chunk().unwrap());
        let counts = Counts { fragments: 5, configurations: 3, stops: 2 };
        let _ = Footer::decode(&bytes, counts, checksum(&bytes));
        let mut clean = bytes;
        let crc = checksum(&clean).to_le_bytes();
        clean.extend_from_slice(&crc);
        let _ = Clean::decode(&clean);
    }
}
