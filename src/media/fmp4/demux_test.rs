//! Real files against ffprobe, packet by packet and however they are cut.

use super::*;
use crate::container::DeclaredTrack;
use crate::{Codec, TrackKind};
use kinora_test_support::{clip, ffprobe};
use std::path::Path;

/// What a demuxer gives for `bytes` cut into chunks whose lengths `next_chunk` chooses.
fn demux(bytes: &Bytes, mut next_chunk: impl FnMut() -> usize) -> Result<Vec<Event>, Error> {
    let mut demuxer = Demuxer::new();
    let mut events = Vec::new();
    let mut rest = bytes.clone();
    while !rest.is_empty() {
        demuxer.push(rest.split_to(next_chunk().clamp(1, rest.len())));
        while let Some(event) = demuxer.next()? {
            events.push(event);
        }
    }
    demuxer.finish();
    while let Some(event) = demuxer.next()? {
        events.push(event);
    }
    Ok(events)
}

fn read(path: &Path) -> Bytes {
    std::fs::read(path).unwrap().into()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

/// One line per packet of each stream, as ffprobe sees them.
fn probed(path: &Path) -> Vec<Vec<String>> {
    let path = path.to_string_lossy();
    let entries = "packet=stream_index,pts,dts,duration,size,pos,flags,data_hash";
    let text = ffprobe(&[
        "-show_packets",
        "-show_data_hash",
        "CRC32",
        "-show_entries",
        entries,
        "-of",
        "compact=p=0",
        &path,
    ]);
    let mut streams: Vec<Vec<String>> = Vec::new();
    for line in text.lines().filter(|line| line.contains("stream_index=")) {
        let field = |name: &str| {
            line.split('|')
                .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
                .unwrap_or("?")
                .to_owned()
        };
        let stream: usize = field("stream_index").parse().unwrap();
        streams.resize_with(streams.len().max(stream + 1), Vec::new);
        let key = if field("flags").starts_with('K') { "K" } else { "_" };
        streams[stream].push(format!(
            "pts={} dts={} duration={} size={} pos={} {key} {}",
            field("pts"),
            field("dts"),
            field("duration"),
            field("size"),
            field("pos"),
            field("data_hash").to_lowercase()
        ));
    }
    streams
}

/// The same lines from our events, track by track as declared.
fn found(events: &[Event]) -> Vec<Vec<String>> {
    let numbers: Vec<u32> = tracks(events).iter().map(|declared| declared.track.number).collect();
    let mut streams = vec![Vec::new(); numbers.len()];
    let frames =
        || events.iter().filter_map(|event| if let Event::Frame(frame) = event { Some(frame) } else { None });
    for frame in frames() {
        // Where composition offsets are negative, ffmpeg presents the whole track later, so that
        // nothing is presented before it is decoded.
        let early =
            frames().filter(|other| other.track == frame.track).map(|f| f.dts_ticks.unwrap() - f.pts_ticks);
        let shift = early.max().unwrap().max(0);
        let place = numbers.iter().position(|&number| number == frame.track).unwrap();
        streams[place].push(format!(
            "pts={} dts={} duration={} size={} pos={} {} crc32:{:08x}",
            frame.pts_ticks + shift,
            frame.dts_ticks.unwrap(),
            frame.duration_ticks,
            frame.data.len(),
            frame.offset,
            if frame.key { "K" } else { "_" },
            crc32(&frame.data)
        ));
    }
    streams
}

/// The line without its duration.
fn without_duration(line: &str) -> String {
    line.split(' ').filter(|field| !field.starts_with("duration=")).collect::<Vec<_>>().join(" ")
}

fn tracks(events: &[Event]) -> &[DeclaredTrack] {
    let declared =
        events.iter().find_map(|event| if let Event::Tracks(tracks) = event { Some(tracks) } else { None });
    declared.expect("tracks are declared")
}

const PICTURE: &[&str] = &["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=3"];
const SOUND: &[&str] = &["-f", "lavfi", "-i", "sine=frequency=330:duration=3"];
const H264: &[&str] = &["-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "2", "-threads", "1"];
const AAC: &[&str] = &["-c:a", "aac"];

/// `fmp4-NAME.mp4` made of these parts of an ffmpeg command line.
fn made(name: &str, parts: &[&[&str]], movflags: &str) -> std::path::PathBuf {
    let mut args = parts.concat();
    args.extend(["-movflags", movflags]);
    clip(&format!("fmp4-{name}.mp4"), &args)
}

/// Fails with the first packet that differs from ffprobe's, or with the chunking that matters.
fn assert_as_probed(path: &Path) {
    let bytes = read(path);
    let events = demux(&bytes, || 64 * 1024).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let (found, probed) = (found(&events), probed(path));
    assert_eq!(found.len(), probed.len(), "{}: tracks", path.display());
    for (stream, (found, probed)) in found.iter().zip(&probed).enumerate() {
        for (place, (found, probed)) in found.iter().zip(probed).enumerate() {
            // Side data (samples to skip) takes the place of the hash.
            let hashed =
                |line: &'_ str| line.rsplit_once(' ').map_or(String::new(), |(line, _)| line.to_owned());
            let (found, probed) = match probed.strip_suffix(" ?") {
                Some(probed) => (&hashed(found), &probed.to_owned()),
                None => (found, probed),
            };
            // ffprobe tells what the codec says of a sound's duration, or that it does not know.
            let sound = tracks(&events)[stream].track.kind() == TrackKind::Audio;
            let same = if sound || probed.contains("duration=N/A") {
                without_duration(found) == without_duration(probed)
            } else {
                found == probed
            };
            assert!(
                same,
                "{}:\n found {found}\nprobed {probed}\nstream {stream}, packet {place}",
                path.display()
            );
        }
        assert_eq!(found.len(), probed.len(), "{}: packets of stream {stream}", path.display());
    }
    let offsets: Vec<u64> =
        events.iter().filter_map(|e| if let Event::Frame(f) = e { Some(f.offset) } else { None }).collect();
    assert!(offsets.is_sorted(), "{}: frames come in the order of their bytes", path.display());
    let mut seed = 1_u32;
    let random = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1 << (seed >> 28) | (seed >> 8 & 15) as usize
    };
    assert!(demux(&bytes, || usize::MAX).unwrap() == events, "{}: in one piece", path.display());
    assert!(demux(&bytes, || 1).unwrap() == events, "{}: byte by byte", path.display());
    assert!(demux(&bytes, random).unwrap() == events, "{}: in random pieces", path.display());
}

#[test]
fn every_way_ffmpeg_writes_fragments_reads_as_ffprobe_reads_it() {
    for (name, movflags) in [
        ("plain", "frag_keyframe+empty_moov+default_base_moof"),
        ("base-offset", "frag_keyframe+empty_moov"),
        ("with-samples-in-moov", "frag_keyframe"),
        ("separate", "frag_keyframe+empty_moov+separate_moof"),
        ("omit-offset", "frag_keyframe+empty_moov+omit_tfhd_offset"),
        ("cmaf", "frag_keyframe+empty_moov+cmaf"),
        ("delayed", "frag_keyframe+delay_moov"),
        ("negative", "frag_keyframe+empty_moov+negative_cts_offsets+default_base_moof"),
        ("every-frame", "frag_every_frame+empty_moov+default_base_moof"),
        ("dash", "dash+frag_keyframe"),
        ("sidx", "frag_keyframe+empty_moov+default_base_moof+global_sidx"),
    ] {
        assert_as_probed(&made(name, &[PICTURE, SOUND, H264, AAC], movflags));
    }
}

#[test]
fn every_codec_ffmpeg_puts_into_mp4_is_named_and_read() {
    let small: &[&str] = &["-vf", "scale=160:120"];
    let fragmented = "frag_keyframe+empty_moov+default_base_moof";
    for (name, parts, codecs) in [
        (
            "hevc-hev1",
            [PICTURE, &[], &["-c:v", "libx265", "-x265-params", "log-level=none:pools=1"][..], &["-g", "25"]],
            vec![Codec::H265],
        ),
        (
            "hevc-hvc1",
            [
                PICTURE,
                &[],
                &["-c:v", "libx265", "-tag:v", "hvc1", "-x265-params", "log-level=none:pools=1"],
                &["-g", "25"],
            ],
            vec![Codec::H265],
        ),
        (
            "vp9-opus",
            [
                PICTURE,
                SOUND,
                &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "25"],
                &["-c:a", "libopus"],
            ],
            vec![Codec::Vp9, Codec::Opus],
        ),
        (
            "av1",
            [PICTURE, small, &["-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime"], &["-g", "25"]],
            vec![Codec::Av1],
        ),
        ("mp3", [SOUND, &[], &["-c:a", "libmp3lame"], &[]], vec![Codec::Mp3]),
        ("mp3-low", [SOUND, &[], &["-c:a", "libmp3lame"], &["-ar", "22050"]], vec![Codec::Mp3]),
        (
            "mpeg4",
            [PICTURE, &[], &["-c:v", "mpeg4"], &[]],
            vec![Codec::Other { kind: TrackKind::Video, id: "mp4:mp4v".into() }],
        ),
        (
            "ac3",
            [SOUND, &[], &["-c:a", "ac3"], &[]],
            vec![Codec::Other { kind: TrackKind::Audio, id: "mp4:ac-3".into() }],
        ),
        (
            "three-sounds",
            [PICTURE, SOUND, H264, &["-c:a", "aac", "-map", "0", "-map", "1", "-map", "1"]],
            vec![Codec::H264, Codec::Aac, Codec::Aac],
        ),
    ] {
        // The codec's header of AC-3 is known only after its first frame.
        let fragmented = if name == "ac3" { "frag_keyframe+delay_moov" } else { fragmented };
        for (way, movflags) in [("fragmented", fragmented), ("faststart", "faststart")] {
            let path = made(&format!("{name}-{way}"), &parts, movflags);
            assert_as_probed(&path);
            let events = demux(&read(&path), || 64 * 1024).unwrap();
            let found: Vec<_> = tracks(&events).iter().map(|declared| declared.track.codec.clone()).collect();
            assert_eq!(found, codecs, "{name} {way}");
        }
    }
}

fn frames(events: &[Event]) -> Vec<&Frame> {
    events
        .iter()
        .filter_map(|event| if let Event::Frame(frame) = event { Some(frame) } else { None })
        .collect()
}

fn boundaries(events: &[Event]) -> Vec<Boundary> {
    events.iter().filter_map(|event| if let Event::Boundary(b) = event { Some(*b) } else { None }).collect()
}

#[test]
fn edit_lists_move_all_times_and_keep_all_samples() {
    // A cut in front of a key frame keeps the pictures before it; a late sound gets an empty edit.
    let whole = made("edit-whole", &[PICTURE, SOUND, H264, AAC], "faststart");
    let whole = whole.to_string_lossy();
    for movflags in ["faststart", "frag_keyframe+delay_moov"] {
        let name = if movflags == "faststart" { "edit-faststart" } else { "edit-fragmented" };
        let late = made(
            name,
            &[
                &["-i", &whole, "-itsoffset", "0.7", "-i", &whole],
                &["-map", "0:v", "-map", "1:a", "-c", "copy"],
            ],
            movflags,
        );
        let events = demux(&read(&late), || 1000).unwrap();
        let first =
            |track: u32| frames(&events).into_iter().find(|frame| frame.track == track).unwrap().pts_ticks;
        assert_eq!(first(1), 0, "{movflags}");
        // 0.7 s at 44.1 kHz less the priming, to the movie's millisecond.
        let expected = 30_870 - 1024;
        assert!((first(2) - expected).abs() < 45, "{movflags}: {} instead of {expected}", first(2));
    }
    let cut = made("edit-cut-1.6", &[&["-ss", "1.6", "-i", &whole, "-c", "copy"]], "faststart");
    let events = demux(&read(&cut), || 1000).unwrap();
    let video: Vec<_> = frames(&events).into_iter().filter(|frame| frame.track == 1).collect();
    assert!(video[0].key && video[0].pts_ticks < -5000, "{:?}", video[0].pts_ticks);
    assert!(video.iter().any(|frame| frame.pts_ticks == 0));
}

#[test]
fn pcm_declared_sample_by_sample_comes_in_frames() {
    for (name, codec, id, bits) in [
        ("s16le", "pcm_s16le", Codec::PcmSigned, 16),
        ("s16be", "pcm_s16be", Codec::PcmSignedBigEndian, 16),
        ("s24le", "pcm_s24le", Codec::PcmSigned, 24),
        ("s24be", "pcm_s24be", Codec::PcmSignedBigEndian, 24),
        ("s32le", "pcm_s32le", Codec::PcmSigned, 32),
        ("f32le", "pcm_f32le", Codec::PcmFloat, 32),
        ("f64le", "pcm_f64le", Codec::PcmFloat, 64),
        ("alaw", "pcm_alaw", Codec::PcmAlaw, 0),
        ("mulaw", "pcm_mulaw", Codec::PcmMulaw, 0),
    ] {
        let path = clip(
            &format!("fmp4-pcm-{name}.mov"),
            &[SOUND, &["-c:a", codec, "-ac", "2", "-movflags", "faststart"]].concat(),
        );
        let events = demux(&read(&path), || 4096).unwrap();
        let track = &tracks(&events)[0].track;
        assert_eq!(track.codec, id, "{name}");
        assert_eq!(
            track.shape,
            crate::Shape::Audio { sample_rate: 44_100, channels: 2, bits_per_sample: bits },
            "{name}"
        );
        let raw = clip(
            &format!("fmp4-pcm-{name}.raw"),
            &["-i", &path.to_string_lossy(), "-c", "copy", "-f", "data", "-map", "0"],
        );
        let joined: Vec<u8> = frames(&events).iter().flat_map(|frame| frame.data.to_vec()).collect();
        assert!(joined == std::fs::read(raw).unwrap(), "{name}");
        let mut next = 0;
        for frame in frames(&events) {
            assert!(
                frame.duration_ticks > 100 && frame.duration_ticks <= 1024,
                "{name}: {}",
                frame.duration_ticks
            );
            assert_eq!(frame.pts_ticks, next, "{name}");
            next += i64::from(frame.duration_ticks);
        }
    }
}

#[test]
fn every_fragment_begins_with_a_boundary_at_its_own_decode_time() {
    let path = made("plain", &[PICTURE, SOUND, H264, AAC], "frag_keyframe+empty_moov+default_base_moof");
    let events = demux(&read(&path), || 10_000).unwrap();
    let expected: Vec<_> =
        (0..3).map(|second| Boundary { timecode: second * 12_800, timescale: 12_800 }).collect();
    assert_eq!(boundaries(&events), expected);
    // Of a progressive movie, each key picture; of sound alone, only the beginning.
    let path = made("edit-whole", &[PICTURE, SOUND, H264, AAC], "faststart");
    let events = demux(&read(&path), || 10_000).unwrap();
    assert_eq!(boundaries(&events), expected);
    for (event, next) in events.iter().zip(&events[1..]) {
        if let Event::Boundary(_) = event {
            assert!(matches!(next, Event::Frame(Frame { track: 1, key: true, .. })), "{next:?}");
        }
    }
    let path = made("mp3-faststart", &[SOUND, &[], &["-c:a", "libmp3lame"], &[]], "faststart");
    assert_eq!(boundaries(&demux(&read(&path), || 10_000).unwrap()).len(), 1);
}

#[test]
fn files_sent_one_after_the_other_read_as_each_alone() {
    let fragmented =
        made("plain", &[PICTURE, SOUND, H264, AAC], "frag_keyframe+empty_moov+default_base_moof");
    let based = made("base-offset", &[PICTURE, SOUND, H264, AAC], "frag_keyframe+empty_moov");
    let progressive = made("edit-whole", &[PICTURE, SOUND, H264, AAC], "faststart");
    let files = [read(&fragmented), read(&progressive), read(&based), read(&fragmented)];
    let together = demux(&files.concat().into(), || 7777).unwrap();
    let mut apart = Vec::new();
    let mut origin = 0;
    for file in &files {
        for mut event in demux(file, || 7777).unwrap() {
            match &mut event {
                Event::Tracks(tracks) => tracks.iter_mut().for_each(|track| track.offset += origin),
                Event::Frame(frame) => frame.offset += origin,
                _ => {}
            }
            apart.push(event);
        }
        origin += file.len() as u64;
    }
    assert!(together == apart);
}

#[test]
fn a_producer_reference_time_reaches_its_track() {
    let wall = ["-write_prft", "pts"];
    let path = made(
        "prft",
        &[PICTURE, H264, &["-output_ts_offset", "1700000000", "-copyts"], &wall],
        "frag_keyframe+empty_moov+default_base_moof",
    );
    let events = demux(&read(&path), || 100).unwrap();
    let times: Vec<_> =
        events.iter().filter_map(|e| if let Event::ProducerTime(t) = e { Some(t) } else { None }).collect();
    assert_eq!(times.len(), 3);
    for time in times {
        assert_eq!(time.track, 1);
        let seconds = time.wall.as_micros() as f64 / 1e6;
        assert!((seconds - time.media_ticks as f64 / 12_800.0).abs() < 0.01, "{time:?}");
        assert!(frames(&events).iter().any(|frame| frame.pts_ticks == time.media_ticks), "{time:?}");
    }
}

/// Files that others made, beside the repository where they exist.
#[test]
fn files_made_by_others_read_as_ffprobe_reads_them_or_say_what_is_wrong() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/media");
    if !folder.exists() {
        println!("skipped: there is no {}", folder.display());
        return;
    }
    for good in [
        "mediamtx/offline_av1.mp4",
        "mediamtx/offline_h264.mp4",
        "mediamtx/offline_h265.mp4",
        "mediamtx/offline_vp9.mp4",
        "mp4parse/opus_audioinit.mp4",
    ] {
        assert_as_probed(&folder.join(good));
    }
    let remux = "before the header (moov)";
    for (bad, says) in [
        ("mp4ff/h264.mp4", remux),
        ("mp4ff/hevc.mp4", remux),
        ("mp4parse/h264_white_frame_sar_16_9.mp4", remux),
        ("mp4parse/hevc_white_frame.mp4", remux),
        ("mp4parse/tiny_av1.mp4", remux),
        ("mp4parse/no_timescale.mp4", "the moov box has no mvhd box"),
        ("mp4parse/zero_empty_stsc.mp4", "entry 2 of the stsc box begins at chunk 1, after chunk 1"),
    ] {
        let error = demux(&read(&folder.join(bad)), || 64 * 1024).unwrap_err();
        assert!(error.message.contains(says), "{bad}: {error}");
    }
    // The files whose header comes last are sound otherwise: read them as the hint says.
    for late in ["mp4ff/h264.mp4", "mp4ff/hevc.mp4", "mp4parse/hevc_white_frame.mp4", "mp4parse/tiny_av1.mp4"]
    {
        let source = folder.join(late).to_string_lossy().into_owned();
        let name = late.replace('/', "-").replace(".mp4", "-remuxed");
        let movflags = "frag_keyframe+empty_moov+default_base_moof";
        assert_as_probed(&made(&name, &[&["-i", &source, "-c", "copy"]], movflags));
    }
}
