//! Hostile input: sizes that lie, elements where they do not belong, and every named limit.

use bytes::Bytes;

use super::super::id::Id;
use super::super::limit::*;
use super::super::made_test::*;
use super::super::write::Writer;
use super::Demuxer;
use crate::{Error, Fault};

fn claim(id: Id, size: u64) -> Vec<u8> {
    let mut out = Writer::default();
    out.id(id);
    out.bytes.extend((size | 1 << 56).to_be_bytes());
    out.bytes
}

fn assert_fault(error: &Error, fault: Fault, words: &str) {
    assert!(error.fault == fault && error.to_string().contains(words), "{:?}: {error}", error.fault);
}

#[test]
fn what_is_not_matroska_is_refused_at_its_first_bytes() {
    for bytes in [&b"\0\0\0\x18ftypisom"[..], b"GET / HTTP/1.1\r\n\r\n", &[0xFF; 12], &[0; 12], &[0xEC, 0x80]]
    {
        let error = fault(bytes);
        assert_fault(&error, Fault::Container, "the input is not Matroska or WebM");
        assert_eq!(error.offset, 0);
        assert!(error.hint.unwrap().contains("1A 45 DF A3"));
    }
}

#[test]
fn ebml_headers_that_ask_for_more_than_we_know_are_refused_by_name() {
    let header = |children: &[Vec<u8>]| {
        [master(Id::EBML, &[&[text(Id::DOC_TYPE, "webm")], children].concat()), segment_id()].concat()
    };
    events(&header(&[uint(Id::EBML_MAX_ID_LENGTH, 4), uint(Id::DOC_TYPE_READ_VERSION, 4)]));
    for (child, words) in [
        (uint(Id::EBML_READ_VERSION, 2), "EBMLReadVersion (0x42F7) is 2"),
        (uint(Id::EBML_MAX_ID_LENGTH, 5), "EBMLMaxIDLength (0x42F2) is 5"),
        (uint(Id::EBML_MAX_SIZE_LENGTH, 9), "EBMLMaxSizeLength (0x42F3) is 9"),
        (uint(Id::DOC_TYPE_READ_VERSION, 5), "DocTypeReadVersion (0x4285) is 5"),
        (text(Id::DOC_TYPE, "pdf\n"), "the DocType is 'pdf\\n'"),
    ] {
        assert_fault(&fault(&header(&[child])), Fault::Unsupported, words);
    }
    assert_fault(&fault(&element(Id::EBML, &[])), Fault::Container, "names no DocType");
}

#[test]
fn claims_beyond_the_limits_are_refused_before_anything_is_reserved() {
    let cluster = |inside: Vec<u8>| [head(&[video(1)]), unknown(Id::CLUSTER, 1, &[inside])].concat();
    for (input, words) in [
        (claim(Id::EBML, MAX_EBML_HEADER_BYTES + 1), "EBML header"),
        ([ebml(), segment_id(), claim(Id::INFO, MAX_HEADER_ELEMENT_BYTES + 1)].concat(), "Info"),
        ([ebml(), segment_id(), claim(Id::TRACKS, (1 << 56) - 2)].concat(), "Tracks"),
        ([ebml(), segment_id(), claim(Id::TAGS, (1 << 56) - 2)].concat(), "Tags"),
        (cluster(claim(Id::SIMPLE_BLOCK, MAX_BLOCK_BYTES + 1)), "SimpleBlock"),
        (cluster(claim(Id::TIMESTAMP, 9)), "Timestamp"),
    ] {
        assert_fault(&fault(&input), Fault::Limit, words);
    }
    // An unknown element may be as long as it likes, and is missed at the end.
    let endless = [head(&[video(1)]), claim(Id(0x4DAD), (1 << 56) - 2)].concat();
    assert_fault(&fault(&endless), Fault::Truncated, "element 0x4DAD");
}

#[test]
fn after_an_error_nothing_is_kept() {
    let mut demuxer = Demuxer::new();
    demuxer.push(Bytes::from_static(&[0; 12]));
    let error = demuxer.next().unwrap_err();
    let chunk = Bytes::from(vec![0; 100]);
    demuxer.push(chunk.clone());
    assert!(chunk.is_unique(), "the chunk is let go");
    demuxer.finish();
    assert_eq!(demuxer.next(), Err(error));
}

#[test]
fn an_endless_void_and_millions_of_tiny_elements_cost_no_memory() {
    let mut demuxer = Demuxer::new();
    demuxer.push([ebml(), segment_id(), claim(Id::VOID, 1 << 40)].concat().into());
    let zeros = Bytes::from(vec![0; 1 << 20]);
    for _ in 0..64 {
        demuxer.push(zeros.clone());
        assert_eq!(demuxer.next(), Ok(None));
    }
    let tiny = Bytes::from([0xEC, 0x80].repeat(500_000));
    let mut demuxer = Demuxer::new();
    demuxer.push([ebml(), segment_id()].concat().into());
    for _ in 0..4 {
        demuxer.push(tiny.clone());
        assert_eq!(demuxer.next(), Ok(None));
    }
    demuxer.finish();
    assert_eq!(demuxer.next(), Ok(None));
}

#[test]
fn an_element_longer_than_its_parent_is_refused() {
    let block = simple(1, 0, b"data");
    let short = element(Id::CLUSTER, &[uint(Id::TIMESTAMP, 0), block[..block.len() - 1].to_vec()].concat());
    let error = fault(&[head(&[video(1)]), short, vec![0; 9]].concat());
    assert_fault(&error, Fault::Container, "ends 1 bytes beyond the Cluster");

    let group = element(Id::BLOCK_GROUP, &claim(Id::BLOCK, 5));
    let error = fault(&[head(&[video(1)]), cluster(0, &[group])].concat());
    assert_fault(&error, Fault::Container, "ends 5 bytes beyond the BlockGroup");

    let entry = element(Id::TRACK_ENTRY, &claim(Id::NAME, 77));
    let error = fault(&[ebml(), segment_id(), element(Id::TRACKS, &entry)].concat());
    assert_fault(&error, Fault::Container, "Name (0x536E) of 77 bytes is longer than the TrackEntry");
}

#[test]
fn only_segments_and_clusters_may_be_of_unknown_size() {
    let tracks = [ebml(), segment_id(), unknown(Id::TRACKS, 1, &[])].concat();
    assert_fault(&fault(&tracks), Fault::Container, "Tracks (0x1654AE6B) has an unknown size");
    let group = [head(&[video(1)]), unknown(Id::CLUSTER, 1, &[unknown(Id::BLOCK_GROUP, 1, &[])])].concat();
    assert_fault(&fault(&group), Fault::Container, "BlockGroup (0xA0) has an unknown size");
    let entry = [ebml(), segment_id(), master(Id::TRACKS, &[unknown(Id::TRACK_ENTRY, 1, &[])])].concat();
    assert_fault(&fault(&entry), Fault::Container, "TrackEntry (0xAE) has an unknown size");
}

#[test]
fn elements_in_the_wrong_place_are_refused() {
    let start = head(&[video(1)]);
    let known = |inside: Vec<u8>| [start.clone(), element(Id::CLUSTER, &inside)].concat();
    let time = uint(Id::TIMESTAMP, 0);
    let block = element(Id::BLOCK, &block(1, 0, 0, b"x"));
    for (input, words) in [
        ([start.clone(), simple(1, 0, b"x")].concat(), "SimpleBlock (0xA3) stands outside a Cluster"),
        (known(cluster(0, &[])), "the Cluster (0x1F43B675) stands inside a Cluster"),
        (known(ebml()), "stands inside a Cluster"),
        (known([time.clone(), time.clone()].concat()), "second Timestamp"),
        (known(simple(1, 0, b"x")), "before the Timestamp of its Cluster"),
        (known([time, master(Id::BLOCK_GROUP, &[block.clone(), block])].concat()), "second Block"),
        ([ebml(), cluster(0, &[])].concat(), "stands outside a Segment"),
        (
            [start.clone(), element(Id::INFO, &uint(Id::TIMESTAMP_SCALE, 5))].concat(),
            "changes the TimestampScale",
        ),
        ([start, vec![0x00]].concat(), "no element begins here"),
    ] {
        assert_fault(&fault(&input), Fault::Container, words);
    }
}

#[test]
fn blocks_of_undeclared_tracks_are_refused_with_number_and_place() {
    let start = head(&[video(1)]);
    let input = [start.clone(), cluster(0, &[simple(1, 0, b"x"), simple(300, 0, b"y")])].concat();
    let error = fault(&input);
    assert_fault(&error, Fault::UnknownTrack, "names track 300, which was never declared");
    assert_eq!(input[usize::try_from(error.offset).unwrap()..][..2], [0xA3, 0x86]);
    let early = [ebml(), segment_id(), info(1_000_000), cluster(0, &[simple(1, 0, b"x")])].concat();
    assert_fault(&fault(&early), Fault::UnknownTrack, "no Tracks element came before it");
}

#[test]
fn malformed_blocks_are_refused() {
    for data in [&[][..], &[0x81], &[0x81, 0, 0], &[0x00, 0, 0, 0]] {
        let input = [head(&[video(1)]), cluster(0, &[element(Id::SIMPLE_BLOCK, data)])].concat();
        assert_fault(&fault(&input), Fault::Container, "the SimpleBlock (0xA3) ");
    }
}

#[test]
fn times_that_do_not_fit_are_refused() {
    let sound = audio(1, "A_OPUS", 48_000.0, &[]);
    let far = [head(&[sound]), cluster(i64::MAX as u64, &[simple(1, 0, b"\xF8x")])].concat();
    assert_fault(&fault(&far), Fault::Limit, "does not fit 64 bits");
    let beyond = [head(&[video(1)]), cluster(u64::MAX, &[])].concat();
    assert_fault(&fault(&beyond), Fault::Limit, "does not fit 64 bits");
    let over = [head(&[video(1)]), cluster(i64::MAX as u64, &[simple(1, 1, b"x")])].concat();
    assert_fault(&fault(&over), Fault::Limit, "does not fit 64 bits");
    for scale_ns in [0, u64::MAX] {
        assert_fault(&fault(&head_with(scale_ns, &[])), Fault::Container, "between 1 ns and one hour");
    }
}

#[test]
fn counts_and_lengths_in_headers_are_limited() {
    let tracks = |count: u64| head(&(1..=count).map(video).collect::<Vec<_>>());
    events(&tracks(MAX_TRACKS as u64));
    assert_fault(&fault(&tracks(MAX_TRACKS as u64 + 1)), Fault::Limit, "more than 128 tracks");

    let private =
        |bytes: usize| head(&[entry(1, 1, "V_VP8", &[element(Id::CODEC_PRIVATE, &vec![0; bytes])])]);
    events(&private(MAX_CODEC_PRIVATE_BYTES));
    assert_fault(&fault(&private(MAX_CODEC_PRIVATE_BYTES + 1)), Fault::Limit, "CodecPrivate");

    let name = |bytes: usize| head(&[entry(1, 1, "V_VP8", &[text(Id::NAME, &"n".repeat(bytes))])]);
    events(&name(MAX_TEXT_BYTES));
    assert_fault(&fault(&name(MAX_TEXT_BYTES + 1)), Fault::Limit, "Name");

    let simple_tag = |value: usize| {
        master(Id::SIMPLE_TAG, &[text(Id::TAG_NAME, "n"), text(Id::TAG_STRING, &"v".repeat(value))])
    };
    let tags = |count: usize| {
        [ebml(), segment_id(), master(Id::TAGS, &[master(Id::TAG, &vec![simple_tag(1); count])])].concat()
    };
    events(&tags(MAX_TAGS));
    assert_fault(&fault(&tags(MAX_TAGS + 1)), Fault::Limit, "more than 1024");
    let long =
        [ebml(), segment_id(), master(Id::TAGS, &[master(Id::TAG, &[simple_tag(16 * 1024 + 1)])])].concat();
    assert_fault(&fault(&long), Fault::Limit, "TagString");

    let mut deep = text(Id::TAG_NAME, "n");
    for _ in 0..MAX_NESTING {
        deep = element(Id::SIMPLE_TAG, &deep);
    }
    let deep = [ebml(), segment_id(), master(Id::TAGS, &[element(Id::TAG, &deep)])].concat();
    assert_fault(&fault(&deep), Fault::Limit, "nests more than 16 elements deep");
}

#[test]
fn integers_and_floats_of_wrong_length_are_refused() {
    for child in
        [element(Id::TRACK_NUMBER, &[0; 9]), master(Id::AUDIO, &[element(Id::SAMPLING_FREQUENCY, &[0; 5])])]
    {
        let error = fault(&head(&[entry(1, 2, "A_OPUS", &[child])]));
        assert_fault(&error, Fault::Container, "bytes; ");
    }
}

#[test]
fn a_group_that_is_cut_off_yields_no_frame_that_may_be_wrong() {
    let group = master(
        Id::BLOCK_GROUP,
        &[element(Id::BLOCK, &block(1, 0, 0, b"x")), element(Id::REFERENCE_BLOCK, &[1])],
    );
    let input = [head(&[video(1)]), unknown(Id::CLUSTER, 1, &[uint(Id::TIMESTAMP, 0), group])].concat();
    let (seen, error) = read(&input[..input.len() - 3], 1000);
    assert!(frames(&seen).is_empty());
    assert_fault(&error.unwrap(), Fault::Truncated, "BlockGroup");
}

#[test]
fn a_large_claim_that_is_kept_is_gathered_whole() {
    let size = GATHER_RESERVE_BYTES + 1_000_000;
    let data: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
    let input = [head(&[video(1)]), cluster(0, &[simple(1, 0, &data)])].concat();
    let (events, error) = read(&input, 70_001);
    assert_eq!(error, None);
    assert_eq!(frames(&events)[0].data, data);
}
