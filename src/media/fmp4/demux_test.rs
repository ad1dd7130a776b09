use super::*;
use crate::container::DeclaredTrack;
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
    for line in text.lines().filter(|line| !line.is_empty()) {
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
            // ffprobe tells what the codec says of a sound's duration, or that it does not know.
            let sound = tracks(&events)[stream].track.kind() == crate::TrackKind::Audio;
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
