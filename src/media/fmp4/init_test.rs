//! Init segments against an independent reader and committed bytes.

//! Init segments against golden bytes and against an independent reader.

use super::super::golden::assert_golden;
use super::*;
use mp4_atom::{Atom, Codec as Entry, Decode, Moov};

/// `AVCDecoderConfigurationRecord` of 64×48 Constrained Baseline, level 1.0.
const AVCC: &[u8] = &[
    1, 0x42, 0xc0, 0x0a, 0xff, 0xe1, 0, 10, 0x67, 0x42, 0xc0, 0x0a, 0xd9, 0x04, 0x36, 0x40, 0x40, 0x40, 1, 0,
    4, 0x68, 0xcb, 0x83, 0xcb,
];

fn track(number: u32, codec: Codec, configuration: &'static [u8], shape: Shape) -> Track {
    Track {
        number,
        codec,
        timescale: 90_000,
        configuration: Bytes::from_static(configuration),
        shape,
        reorder_depth: 0,
        default_duration_ticks: 0,
        language: String::new(),
        name: String::new(),
    }
}

fn video(codec: Codec, configuration: &'static [u8]) -> Track {
    track(1, codec, configuration, Shape::Video { width: 64, height: 48 })
}

fn audio(codec: Codec, configuration: &'static [u8], sample_rate: u32, bits: u16) -> Track {
    let shape = Shape::Audio { sample_rate, channels: 2, bits_per_sample: bits };
    Track { timescale: sample_rate, ..track(2, codec, configuration, shape) }
}

fn read(init: &[u8]) -> Moov {
    let mut rest = init;
    Ftyp::decode(&mut rest).unwrap();
    let moov = Moov::decode(&mut rest).unwrap();
    assert!(rest.is_empty());
    moov
}

fn entry(track: &Track) -> Entry {
    let mut moov = read(&init([track]).unwrap());
    moov.trak.remove(0).mdia.minf.stbl.stsd.codecs.remove(0)
}

#[test]
fn an_init_segment_keeps_its_bytes() {
    let mut sound = audio(Codec::Aac, &[0x11, 0x90], 48_000, 0);
    sound.language = "deu".into();
    sound.name = "Mikrofon".into();
    let init = init(&[video(Codec::H264, AVCC), sound]).unwrap();
    assert_golden("init", include_str!("golden/init.hex"), &init);
}

#[test]
fn every_track_has_its_header_its_defaults_and_its_language() {
    let mut sound = audio(Codec::Aac, &[0x11, 0x90], 48_000, 0);
    sound.language = "de-AT".into();
    sound.name = "Mikrofon".into();
    let bytes = init(&[video(Codec::H264, AVCC), sound]).unwrap();
    assert!(bytes.windows(18).any(|window| window == b"\0\0\0\x12elng\0\0\0\0de-AT\0"));
    let moov = read(&bytes);
    assert_eq!(moov.mvhd.next_track_id, 3);
    assert_eq!(moov.mvex.unwrap().trex.iter().map(|t| t.track_id).collect::<Vec<_>>(), [1, 2]);
    let [picture, sound] = &moov.trak[..] else { panic!("{:?}", moov.trak) };
    assert_eq!((picture.tkhd.track_id, picture.mdia.mdhd.timescale), (1, 90_000));
    assert_eq!((picture.tkhd.width.integer(), picture.tkhd.height.integer()), (64, 48));
    assert_eq!((sound.tkhd.track_id, sound.mdia.mdhd.timescale), (2, 48_000));
    assert_eq!((sound.mdia.mdhd.language.as_str(), sound.mdia.hdlr.name.as_str()), ("und", "Mikrofon"));
}

#[test]
fn configurations_arrive_byte_for_byte() {
    let encoded = |atom: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        atom(&mut out);
        out
    };
    let Entry::Avc1(avc1) = entry(&video(Codec::H264, AVCC)) else { panic!() };
    assert_eq!(encoded(&|out| avc1.avcc.encode_body(out).unwrap()), AVCC);
    assert_eq!((avc1.visual.width, avc1.visual.height), (64, 48));
    let vp9 = [0, 20, 0x82, 2, 2, 2, 0, 0];
    let Entry::Vp09(vp09) = entry(&video(Codec::Vp9, &[0, 20, 0x82, 2, 2, 2, 0, 0])) else { panic!() };
    assert_eq!(encoded(&|out| vp09.vpcc.encode_body(out).unwrap())[4..], vp9);
    let Entry::Vp08(_) = entry(&video(Codec::Vp8, &[])) else { panic!() };
    let Entry::Av01(av01) = entry(&video(Codec::Av1, &[0x81, 0x00, 0x0c, 0x00])) else { panic!() };
    assert_eq!(encoded(&|out| av01.av1c.encode_body(out).unwrap()), [0x81, 0x00, 0x0c, 0x00]);
    let Entry::Mp4a(mp4a) = entry(&audio(Codec::Aac, &[0x11, 0x90, 0x56, 0xe5, 0], 48_000, 0)) else {
        panic!()
    };
    assert_eq!(mp4a.esds.es_desc.dec_config.object_type_indication, 0x40);
    assert_eq!(mp4a.esds.es_desc.dec_config.dec_specific.unwrap().raw, [0x11, 0x90, 0x56, 0xe5, 0]);
    for (rate, object_type) in [(44_100, 0x6b), (22_050, 0x69)] {
        let Entry::Mp4a(mp3) = entry(&audio(Codec::Mp3, &[], rate, 0)) else { panic!() };
        assert_eq!(mp3.esds.es_desc.dec_config.object_type_indication, object_type);
    }
    let Entry::Sowt(pcm) = entry(&audio(Codec::PcmSigned, &[], 48_000, 16)) else { panic!() };
    assert_eq!((pcm.audio.channel_count, pcm.audio.sample_size), (2, 16));
}

#[test]
fn an_opus_head_becomes_big_endian() {
    let head = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x01\x02\x00";
    let Entry::Opus(opus) = entry(&audio(Codec::Opus, head, 48_000, 0)) else { panic!() };
    assert_eq!(opus.dops.pre_skip, 312);
    assert_eq!(opus.dops.input_sample_rate, 48_000);
    assert_eq!(opus.dops.output_gain, 0x0201);
    assert_eq!(opus.dops.output_channel_count, 2);
}

#[test]
fn refuses_what_it_cannot_carry_and_says_which_track() {
    let id = "V_REAL/RV40".to_owned();
    let other = Codec::Other { kind: TrackKind::Video, id };
    assert!(!carries(&other));
    assert!(carries(&Codec::H265));
    let error = init([&video(other, &[])]).unwrap_err();
    assert_eq!(error.fault, Fault::Unsupported);
    assert!(error.message.contains("track 1 holds V_REAL/RV40"), "{error}");
    for (broken, says) in [
        (video(Codec::H264, &[1, 2, 3]), "H.264 configuration of track 1 has 3 bytes"),
        (video(Codec::H265, &[]), "H.265 configuration"),
        (audio(Codec::Opus, b"OpusHead\x01\x02", 48_000, 0), "Opus configuration of track 2 has 10 bytes"),
        (audio(Codec::PcmSigned, &[], 48_000, 12), "no width"),
    ] {
        let error = init([&broken]).unwrap_err();
        assert_eq!(error.fault, Fault::CodecConfiguration);
        assert!(error.message.contains(says), "{error}");
    }
    let twice = video(Codec::H264, AVCC);
    for tracks in [&[][..], &[twice.clone(), twice.clone()], &[Track { number: 0, ..twice.clone() }]] {
        assert_eq!(init(tracks).unwrap_err().fault, Fault::Container);
    }
}
