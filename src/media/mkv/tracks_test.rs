//! Tracks as producers declare them.

use bytes::Bytes;

use super::super::audio::WaveFormat;
use super::super::id::Id;
use super::super::made_test::*;
use crate::{Codec, Fault, Shape, Track, TrackKind};

fn only(entry: Vec<u8>) -> Track {
    track(&head(&[entry]))
}

#[test]
fn codec_ids_become_codecs() {
    let private = element(Id::CODEC_PRIVATE, b"private");
    for (kind, id, codec) in [
        (1, "V_MPEG4/ISO/AVC", Codec::H264),
        (1, "V_MPEG/ISO/AVC", Codec::H264),
        (1, "V_MPEGH/ISO/HEVC", Codec::H265),
        (1, "V_AV1", Codec::Av1),
        (1, "V_VP8", Codec::Vp8),
        (1, "V_VP9\0\0", Codec::Vp9),
        (2, "A_AAC", Codec::Aac),
        (2, "A_AAC/MPEG4/LC", Codec::Aac),
        (2, "A_OPUS", Codec::Opus),
        (2, "A_MPEG/L3", Codec::Mp3),
        (2, "A_VORBIS", Codec::Other { kind: TrackKind::Audio, id: "A_VORBIS".to_owned() }),
        (17, "S_TEXT/UTF8", Codec::Other { kind: TrackKind::Data, id: "S_TEXT/UTF8".to_owned() }),
        (33, "D_MP4/gpmd", Codec::Other { kind: TrackKind::Data, id: "mp4:gpmd".to_owned() }),
        (1, "V_MP4/avc3", Codec::Other { kind: TrackKind::Video, id: "mp4:avc3".to_owned() }),
    ] {
        let track = only(entry(5, kind, id, std::slice::from_ref(&private)));
        assert_eq!(track.codec, codec, "{id}");
        assert_eq!(track.configuration, Bytes::from_static(b"private"), "{id}");
        assert_eq!(track.number, 5);
    }
}

#[test]
fn pcm_is_told_apart_by_its_bit_depth() {
    let other = |id: &str| Codec::Other { kind: TrackKind::Audio, id: id.to_owned() };
    for (id, bits, codec) in [
        ("A_PCM/INT/LIT", 16, Codec::PcmSigned),
        ("A_PCM/INT/LIT", 8, other("A_PCM/INT/LIT")),
        ("A_PCM/INT/BIG", 24, Codec::PcmSignedBigEndian),
        ("A_PCM/FLOAT/IEEE", 32, Codec::PcmFloat),
        ("A_PCM/FLOAT/IEEE", 16, other("A_PCM/FLOAT/IEEE")),
    ] {
        let shape = master(
            Id::AUDIO,
            &[float(Id::SAMPLING_FREQUENCY, 16_000.0), uint(Id::CHANNELS, 1), uint(Id::BIT_DEPTH, bits)],
        );
        assert_eq!(only(entry(1, 2, id, &[shape])).codec, codec, "{id} {bits}");
    }
}

#[test]
fn wave_formats_are_unwrapped() {
    let acm = |bytes: &[u8]| only(audio(1, "A_MS/ACM", 44_100.0, &[element(Id::CODEC_PRIVATE, bytes)]));
    let sound =
        |sample_rate, channels, bits_per_sample| Shape::Audio { sample_rate, channels, bits_per_sample };
    for (tag, bits, codec, shape) in [
        (WaveFormat::A_LAW, 8, Codec::PcmAlaw, sound(8000, 1, 8)),
        (WaveFormat::MU_LAW, 8, Codec::PcmMulaw, sound(8000, 1, 8)),
        (1, 16, Codec::PcmSigned, sound(8000, 1, 16)),
        (3, 32, Codec::PcmFloat, sound(8000, 1, 32)),
        (0x55, 0, Codec::Mp3, sound(8000, 1, 0)),
    ] {
        let track = acm(&WaveFormat::write(tag, 1, 8000, bits));
        assert_eq!((track.codec, track.shape, track.timescale), (codec, shape, 8000), "{tag}");
        assert!(track.configuration.is_empty());
    }
    let mut aac = WaveFormat::write(0xFF, 2, 48_000, 0);
    aac[16] = 2;
    aac.extend([0x11, 0x90, 0xEE]);
    assert_eq!(acm(&aac).configuration, Bytes::from_static(&[0x11, 0x90]));
    let mut heaac = WaveFormat::write(0x1610, 2, 48_000, 0);
    heaac[16] = 14;
    heaac.extend([0; 12]);
    heaac.extend([0x11, 0x90]);
    assert_eq!(acm(&heaac).configuration, Bytes::from_static(&[0x11, 0x90]));
    let mut extensible = WaveFormat::write(0xFFFE, 2, 48_000, 24);
    extensible[16] = 22;
    extensible.extend([0; 6]);
    extensible.extend([1, 0]);
    extensible.extend([0; 14]);
    assert_eq!(acm(&extensible).codec, Codec::PcmSigned);

    let unknown = Codec::Other { kind: TrackKind::Audio, id: "A_MS/ACM".to_owned() };
    for bytes in
        [&[][..], &[6, 0], &WaveFormat::write(0x11, 1, 8000, 4), &WaveFormat::write(0x1610, 1, 8000, 0)]
    {
        let track = acm(bytes);
        assert_eq!((track.codec, track.configuration.as_ref()), (unknown.clone(), bytes));
    }
}

#[test]
fn old_aac_ids_say_what_their_missing_configuration_would() {
    let sound = |core: f64, output: f64, channels| {
        let children = [
            float(Id::SAMPLING_FREQUENCY, core),
            float(Id::OUTPUT_SAMPLING_FREQUENCY, output),
            uint(Id::CHANNELS, channels),
        ];
        master(Id::AUDIO, &children)
    };
    let plain = only(entry(1, 2, "A_AAC/MPEG4/LC", &[sound(44_100.0, 44_100.0, 2)]));
    assert_eq!(plain.configuration, Bytes::from_static(&[0x12, 0x10]));
    let main = only(entry(1, 2, "A_AAC/MPEG2/MAIN", &[sound(48_000.0, 48_000.0, 6)]));
    assert_eq!(main.configuration, Bytes::from_static(&[0x09, 0xB0]));
    // As FFmpeg writes 24 kHz with backward-compatible SBR at 48 kHz.
    let sbr = only(entry(1, 2, "A_AAC/MPEG4/LC/SBR", &[sound(24_000.0, 48_000.0, 2)]));
    assert_eq!(sbr.configuration, Bytes::from_static(&[0x13, 0x10, 0x56, 0xE5, 0x98]));
    assert_eq!(sbr.timescale, 48_000);
    assert!(only(entry(1, 2, "A_AAC", &[sound(44_100.0, 44_100.0, 2)])).configuration.is_empty());
}

#[test]
fn shapes_names_languages_and_durations_are_kept() {
    let shape = master(
        Id::VIDEO,
        &[
            uint(Id::PIXEL_WIDTH, 1920),
            uint(Id::PIXEL_HEIGHT, 1088),
            uint(Id::PIXEL_CROP_BOTTOM, 8),
            uint(Id::PIXEL_CROP_LEFT, 4),
            uint(Id::PIXEL_CROP_RIGHT, 2),
        ],
    );
    let more = [
        shape,
        text(Id::NAME, "Hof"),
        text(Id::LANGUAGE, "ger"),
        text(Id::LANGUAGE_BCP47, "de-AT"),
        uint(Id::DEFAULT_DURATION, 33_366_667),
    ];
    let track = only(entry(1, 1, "V_AV1", &more));
    assert_eq!(track.shape, Shape::Video { width: 1914, height: 1080 });
    assert_eq!((track.name.as_str(), track.language.as_str()), ("Hof", "de-AT"));
    assert_eq!((track.timescale, track.default_duration_ticks), (1000, 33));
    assert_eq!(only(entry(1, 2, "A_OPUS", &[text(Id::LANGUAGE, "eng")])).language, "eng");
    assert_eq!(only(video(1)).language, "");
}

#[test]
fn codec_delay_moves_times_and_opus_packets_tell_their_length() {
    let opus = audio(1, "A_OPUS", 16_000.0, &[uint(Id::CODEC_DELAY, 6_500_000)]);
    let track = only(opus.clone());
    assert_eq!(track.timescale, 48_000, "Opus counts at 48 kHz whatever its input had");
    // 20 ms CELT; 2.5 ms CELT; 60 ms SILK; two of 10 ms hybrid; code 3 with three of 20 ms.
    let packets: [(&[u8], u32); 6] = [
        (&[0xF8], 960),
        (&[0xE0], 120),
        (&[0x18], 2880),
        (&[0x61], 960),
        (&[0xFB, 0x03], 2880),
        (&[0xFB, 0x3F], 0),
    ];
    let (mut blocks, mut at) = (Vec::new(), 0_u32);
    for (packet, length) in packets {
        blocks.push(simple(1, i16::try_from(at / 48).unwrap(), packet));
        at += length;
    }
    let frames = frames(&events(&[head(&[opus]), cluster(0, &blocks)].concat()));
    let mut at = -312_i64;
    for (frame, (_, length)) in frames.iter().zip(packets) {
        assert_eq!((frame.pts_ticks, frame.duration_ticks), (at, length));
        at += i64::from(length);
    }
}

#[test]
fn frame_lengths_come_from_the_codec_or_a_whole_default_duration() {
    let length = |entry: Vec<u8>, data: &[u8]| {
        frames(&events(&[head(&[entry]), cluster(0, &[simple(1, 0, data)])].concat()))[0].duration_ticks
    };
    let config = |bytes: &[u8]| element(Id::CODEC_PRIVATE, bytes);
    assert_eq!(length(audio(1, "A_AAC", 48_000.0, &[config(&[0x11, 0x90])]), b"x"), 1024);
    assert_eq!(length(audio(1, "A_AAC", 48_000.0, &[config(&[0x11, 0x94])]), b"x"), 960);
    assert_eq!(length(audio(1, "A_AAC", 48_000.0, &[uint(Id::DEFAULT_DURATION, 42_666_667)]), b"x"), 2048);
    assert_eq!(length(audio(1, "A_AAC", 48_000.0, &[uint(Id::DEFAULT_DURATION, 42_000_500)]), b"x"), 1024);
    assert_eq!(length(audio(1, "A_MPEG/L3", 44_100.0, &[]), b"x"), 1152);
    assert_eq!(length(audio(1, "A_MPEG/L3", 22_050.0, &[]), b"x"), 576);
    assert_eq!(length(audio(1, "A_AC3", 48_000.0, &[uint(Id::DEFAULT_DURATION, 32_000_000)]), b"x"), 1536);
    assert_eq!(length(audio(1, "A_VORBIS", 48_000.0, &[]), b"x"), 0);
    let law = element(Id::CODEC_PRIVATE, &WaveFormat::write(WaveFormat::A_LAW, 2, 8000, 8));
    assert_eq!(length(audio(1, "A_MS/ACM", 8000.0, &[law]), &[0; 320]), 160);
}

fn encoding(children: &[Vec<u8>]) -> Vec<u8> {
    master(Id::CONTENT_ENCODING, children)
}

fn strip(order: u64, scope: u64, bytes: &[u8]) -> Vec<u8> {
    let inside = master(
        Id::CONTENT_COMPRESSION,
        &[uint(Id::CONTENT_COMP_ALGO, 3), element(Id::CONTENT_COMP_SETTINGS, bytes)],
    );
    encoding(&[uint(Id::CONTENT_ENCODING_ORDER, order), uint(Id::CONTENT_ENCODING_SCOPE, scope), inside])
}

#[test]
fn stripped_headers_are_put_back_in_front_of_frames_and_configurations() {
    let encodings = master(Id::CONTENT_ENCODINGS, &[strip(1, 1, b"inner "), strip(0, 3, b"outer ")]);
    let entry = entry(1, 1, "V_VP8", &[element(Id::CODEC_PRIVATE, b"private"), encodings]);
    let input = [head(&[entry]), cluster(0, &[simple(1, 0, b"frame")])].concat();
    assert_eq!(track(&head(&[video(1)])).configuration.len(), 0);
    let events = events(&input);
    assert_eq!(frames(&events)[0].data, Bytes::from_static(b"outer inner frame"));
    match &events[0] {
        crate::container::Event::Tracks(tracks) => {
            assert_eq!(tracks[0].track.configuration, Bytes::from_static(b"outer private"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn other_compressions_and_encryption_are_refused_by_name() {
    let with = |encodings: &[Vec<u8>]| {
        fault(&head(&[entry(1, 1, "V_VP8", &[master(Id::CONTENT_ENCODINGS, encodings)])]))
    };
    let compressed = |algorithm: u64| {
        encoding(&[master(Id::CONTENT_COMPRESSION, &[uint(Id::CONTENT_COMP_ALGO, algorithm)])])
    };
    for (encodings, words) in [
        (encoding(&[]), "zlib"),
        (compressed(1), "bzlib"),
        (compressed(2), "lzo1x"),
        (compressed(9), "an unknown algorithm"),
        (encoding(&[uint(Id::CONTENT_ENCODING_TYPE, 1)]), "encrypted"),
        (encoding(&[master(Id::CONTENT_ENCRYPTION, &[])]), "encrypted"),
    ] {
        let error = with(&[encodings]);
        assert_eq!(error.fault, Fault::Unsupported);
        assert!(error.message.contains(words) && error.hint.is_some(), "{error}");
    }
    let error = with(&[strip(0, 1, &[0; 200]), strip(1, 1, &[0; 57])]);
    assert_eq!((error.fault, error.message.contains("strips 257 bytes")), (Fault::Limit, true));
}

#[test]
fn tracks_that_make_no_sense_are_refused() {
    let rate = |rate: f64| audio(1, "A_OPUS", rate, &[]);
    let bad_scale = entry(1, 1, "V_VP8", &[float(Id::TRACK_TIMESTAMP_SCALE, 0.5)]);
    for (entries, words) in [
        (vec![video(0)], "has no TrackNumber, or the number 0"),
        (vec![video(1 << 32)], "has the TrackNumber 4294967296"),
        (vec![video(4), video(4)], "declares track 4, which another one declared before it"),
        (vec![entry(1, 0, "V_VP8", &[])], "has no TrackType"),
        (vec![entry(1, 1, "", &[])], "has no CodecID"),
        (vec![entry(1, 2, "V_VP8", &[])], "says that it is audio, but its CodecID is V_VP8"),
        (vec![rate(0.0)], "sampling rate 0"),
        (vec![rate(f64::NAN)], "sampling rate NaN"),
        (vec![rate(f64::INFINITY)], "sampling rate inf"),
        (vec![rate(-8000.0)], "sampling rate -8000"),
        (vec![bad_scale], "TrackTimestampScale (0x23314F) is 0.5"),
    ] {
        let error = fault(&head(&entries));
        assert!(error.message.contains(words), "{error}");
    }
}
