//! Bodies that real producers send and no file format describes: start codes in Matroska, sets
//! only inside frames, configurations that change, tracks that come late or never.

use super::*;
use crate::fmp4::RunSample;
use crate::mkv::Muxer;
use bytes::BytesMut;
use std::process::Command;

fn h264_aac() -> std::path::PathBuf {
    let mut args = vec!["-f", "lavfi", "-i", PICTURE, "-f", "lavfi", "-i", TONE];
    args.extend("-c:v libx264 -pix_fmt yuv420p -g 25 -bf 2 -c:a aac".split(' '));
    clip("codec-h264-b2-aac.mkv", &args)
}

/// The tracks and samples of a clip of H.264 with AAC.
fn source() -> (Vec<Track>, Vec<Sample>) {
    let output = demux_file(&h264_aac());
    (output.tracks[0].to_vec(), output.samples)
}

fn matroska(tracks: &[Track], samples: &[Sample]) -> Vec<u8> {
    let muxer = Muxer::new(tracks);
    let mut out = muxer.header().to_vec();
    for cluster in samples.chunks(40) {
        muxer.cluster(cluster).unwrap().iter().for_each(|piece| out.extend_from_slice(piece));
    }
    out
}

/// NAL units of a record or a sample.
fn units(bytes: &[u8], mut at: usize, length_bytes: usize, count: usize) -> (Vec<Vec<u8>>, usize) {
    let mut units = Vec::new();
    while at < bytes.len() && units.len() < count {
        let length = bytes[at..at + length_bytes].iter().fold(0, |sum, b| sum << 8 | usize::from(*b));
        units.push(bytes[at + length_bytes..at + length_bytes + length].to_vec());
        at += length_bytes + length;
    }
    (units, at)
}

/// The sets of an `avcC` with one of each.
fn sets_of(record: &[u8]) -> Vec<Vec<u8>> {
    let (mut sets, at) = units(record, 6, 2, 1);
    sets.extend(units(record, at + 1, 2, 1).0);
    sets
}

fn framed(units: &[Vec<u8>], start_codes: bool) -> Bytes {
    let mut out = BytesMut::new();
    for unit in units {
        let length = (unit.len() as u32).to_be_bytes();
        out.extend_from_slice(if start_codes { &[0, 0, 0, 1] } else { &length });
        out.extend_from_slice(unit);
    }
    out.freeze()
}

/// The samples of track 1 with the sets in front of each key frame.
fn with_sets(samples: &[Sample], record: &[u8], start_codes: bool) -> Vec<Sample> {
    let rewrite = |sample: &Sample| {
        let mut sample = sample.clone();
        if sample.track == 1 {
            let mut all = if sample.sync { sets_of(record) } else { Vec::new() };
            all.extend(units(&sample.data, 0, 4, usize::MAX).0);
            sample.data = framed(&all, start_codes);
        }
        sample
    };
    samples.iter().map(rewrite).collect()
}

fn bare(tracks: &[Track]) -> Vec<Track> {
    let mut tracks = tracks.to_vec();
    tracks[0].configuration = Bytes::new();
    tracks
}

fn data_of(samples: &[Sample], track: u32) -> Vec<Bytes> {
    samples.iter().filter(|s| s.track == track).map(|s| s.data.clone()).collect()
}

#[test]
fn the_size_of_chunks_changes_nothing() {
    let (tracks, samples) = source();
    let body = matroska(&tracks, &samples[..60]);
    let whole = demux(&body, body.len());
    for chunk_bytes in [1, 7, 4096] {
        let chunked = demux(&body, chunk_bytes);
        assert_eq!(chunked.samples, whole.samples);
        assert_eq!(chunked.tracks, whole.tracks);
    }
}

#[test]
fn sets_only_inside_frames_give_the_same_track_in_either_framing() {
    let (tracks, samples) = source();
    for start_codes in [false, true] {
        let inline = with_sets(&samples, &tracks[0].configuration, start_codes);
        let output = demux(&matroska(&bare(&tracks), &inline), 1000);
        assert_eq!(output.error, None);
        assert_eq!(output.tracks.len(), 1, "both tracks are announced together");
        assert_eq!(output.tracks[0][0].configuration, tracks[0].configuration);
        assert_eq!(output.tracks[0][0].reorder_depth, 2);
        let counted = with_sets(&samples, &tracks[0].configuration, false);
        assert_eq!(data_of(&output.samples, 1), data_of(&counted, 1));
        assert_eq!(data_of(&output.samples, 2), data_of(&samples, 2));
        let dts = |samples: &[Sample]| {
            samples.iter().map(|s| s.dts_ticks - samples[0].dts_ticks).collect::<Vec<_>>()
        };
        let video = |samples: &[Sample]| samples.iter().filter(|s| s.track == 1).cloned().collect::<Vec<_>>();
        assert_eq!(dts(&video(&output.samples)), dts(&video(&samples)));
        assert_eq!(output.dropped, Dropped::default());
    }
}

#[test]
fn no_configuration_anywhere_is_refused_at_the_first_key_frame() {
    let (tracks, samples) = source();
    let error = demux(&matroska(&bare(&tracks), &samples), 1000).error.unwrap();
    assert_eq!(error.fault, Fault::CodecConfiguration);
    assert!(error.message.contains("no sequence parameter set"), "{error}");
    assert!(error.offset > 100, "where the key frame is");
}

#[test]
fn a_track_that_never_comes_stops_nobody() {
    let (tracks, samples) = source();
    let sound: Vec<Sample> = samples.iter().filter(|s| s.track == 2).cloned().collect();
    let output = demux(&matroska(&bare(&tracks), &sound), 1000);
    assert_eq!(output.error, None);
    assert_eq!(output.tracks.len(), 1);
    assert_eq!(output.tracks[0].len(), 1, "sound alone");
    assert_eq!(output.samples.len(), sound.len());
}

#[test]
fn a_track_that_comes_late_is_announced_then() {
    let (tracks, samples) = source();
    let mut sound: Vec<Sample> = Vec::new();
    for round in 0..2 {
        sound.extend(samples.iter().filter(|s| s.track == 2).cloned().map(|mut sample| {
            sample.pts_ticks += round * 96_000;
            sample.dts_ticks = sample.pts_ticks;
            sample
        }));
    }
    let count = sound.len();
    assert!(count > MAX_HELD_EVENTS, "longer than the others wait");
    let inline = with_sets(&samples, &tracks[0].configuration, true);
    sound.extend(inline.into_iter().filter(|s| s.track == 1));
    let output = demux(&matroska(&bare(&tracks), &sound), 1000);
    assert_eq!(output.error, None);
    let announced: Vec<usize> = output.tracks.iter().map(|tracks| tracks.len()).collect();
    assert_eq!(announced, [1, 2]);
    assert_eq!(output.samples.len(), sound.len(), "nothing is lost");
}

#[test]
fn a_change_of_size_is_announced_in_front_of_its_key_frame() {
    let small = demux_file(&h264_aac());
    let large = demux_file(&picture(
        "codec-h264-large.mkv",
        "testsrc2=size=640x360:rate=25:duration=1",
        "-c:v libx264 -bf 0 -pix_fmt yuv420p",
    ));
    let (before, after) = (small.tracks[0][0].clone(), large.tracks[0][0].clone());
    let mut samples: Vec<Sample> = small.samples.into_iter().filter(|s| s.track == 1).collect();
    let turn = samples.len();
    for mut sample in with_sets(&large.samples, &after.configuration, false) {
        (sample.dts_ticks, sample.pts_ticks) = (sample.dts_ticks + 2080, sample.pts_ticks + 2080);
        samples.push(sample);
    }
    let mut demuxer = Demuxer::new(Some(Container::Mp4));
    demuxer.push(matroska(std::slice::from_ref(&before), &samples).into());
    demuxer.finish();
    let mut seen = Vec::new();
    let (mut count, mut last_dts) = (0, i64::MIN);
    while let Some(event) = demuxer.next().unwrap() {
        match event {
            Event::Tracks(tracks) => seen.push((count, tracks[0].shape)),
            Event::Sample(sample) => {
                assert!(sample.dts_ticks > last_dts && sample.dts_ticks <= sample.pts_ticks, "{sample:?}");
                assert!(count != turn || sample.sync);
                assert!(count < turn || sample.dts_ticks == sample.pts_ticks, "it has no B-frames");
                last_dts = sample.dts_ticks;
                count += 1;
            }
            _ => {}
        }
    }
    assert_eq!(demuxer.container(), Some(Container::Matroska), "the bytes are right");
    let size = |width, height| Shape::Video { width, height };
    assert_eq!(seen, [(0, size(320, 240)), (turn, size(640, 360))]);
}

#[test]
fn a_repeated_header_changes_nothing_and_another_one_does() {
    let (tracks, samples) = source();
    let once = matroska(&tracks, &samples);
    let output = demux(&[&once[..], &once].concat(), 5000);
    assert_eq!((output.error, output.tracks.len()), (None, 1));
    assert_eq!(output.samples.len(), 2 * samples.len());
    let renamed = [Track { name: "other".into(), ..tracks[0].clone() }, tracks[1].clone()];
    let output = demux(&[&once[..], &matroska(&renamed, &samples)].concat(), 5000);
    assert_eq!((output.error, output.tracks.len()), (None, 2));
    assert_eq!(output.tracks[1][0].name, "other");
}

#[test]
fn a_repeated_header_holds_nothing_back() {
    let (tracks, samples) = source();
    let muxer = Muxer::new(&tracks);
    let next = muxer.cluster(&samples[..1]).unwrap();
    let mut demuxer = Demuxer::new(None);
    // The next Cluster has begun, its first block has not come.
    demuxer.push([&matroska(&tracks, &samples[..1])[..], &muxer.header(), &next[0]].concat().into());
    let mut events = Vec::new();
    while let Some(event) = demuxer.next().unwrap() {
        events.push(event);
    }
    let boundaries = events.iter().filter(|event| matches!(event, Event::Boundary(_))).count();
    assert_eq!(boundaries, 2, "{events:?}");
}

#[test]
fn another_container_midway_is_an_error() {
    let path = h264_aac();
    let mp4 = copied(
        "codec-h264-aac-frag.mp4",
        &path,
        &["-movflags", "frag_keyframe+empty_moov+default_base_moof"],
    );
    let (mkv, mp4) = (std::fs::read(path).unwrap(), std::fs::read(mp4).unwrap());
    for (first, second) in [(&mkv, &mp4), (&mp4, &mkv)] {
        let output = demux(&[&first[..], second].concat(), 5000);
        let error = output.error.unwrap();
        assert_eq!(error.fault, Fault::Container, "{error}");
        assert_eq!(error.offset, first.len() as u64, "{error}");
        assert!(!output.samples.is_empty(), "what came before is given out");
    }
}

#[test]
fn damaged_frames_cost_themselves_only() {
    let (tracks, mut samples) = source();
    let at = samples.iter().position(|s| s.track == 1 && !s.sync).unwrap();
    samples[at].data = Bytes::from_static(&[0xff; 50]);
    let output = demux(&matroska(&tracks, &samples), 5000);
    assert_eq!(output.error, None);
    assert_eq!(output.samples.len(), samples.len() - 1);
    assert_eq!(output.dropped, Dropped { broken: 1, ..Dropped::default() });
}

/// The same record with an SPS that leaves the reorder depth open, as many cameras' do.
fn without_usability(record: &[u8]) -> Bytes {
    use h264_reader::nal::{WritableNal, sps::SeqParameterSet};
    use h264_reader::rbsp::{BitReader, BitWriter, decode_nal};
    let sets = sets_of(record);
    let mut sps = SeqParameterSet::from_bits(BitReader::new(&*decode_nal(&sets[0]).unwrap())).unwrap();
    sps.vui_parameters = None;
    let mut unit = vec![sets[0][0]];
    sps.write_bits(&mut BitWriter::new(&mut unit)).unwrap();
    let mut out = record[..6].to_vec();
    out.extend_from_slice(&(unit.len() as u16).to_be_bytes());
    out.extend_from_slice(&unit);
    out.extend_from_slice(&record[8 + sets[0].len()..]);
    out.into()
}

#[test]
fn a_depth_that_nothing_declares_is_learnt_within_the_first_pictures() {
    let (mut tracks, samples) = source();
    tracks[0].configuration = without_usability(&tracks[0].configuration);
    let output = demux(&matroska(&tracks, &samples), 5000);
    assert_eq!((output.error, output.tracks[0][0].reorder_depth), (None, 0));
    let video: Vec<&Sample> = output.samples.iter().filter(|s| s.track == 1).collect();
    assert!(video.windows(2).all(|pair| pair[0].dts_ticks < pair[1].dts_ticks));
    let late = video.iter().filter(|s| s.dts_ticks > s.pts_ticks).count();
    assert!((1..=12).contains(&late), "{late} pictures are decoded late");
    assert!(video[16..].iter().all(|s| s.dts_ticks <= s.pts_ticks));
}

/// Fragments of one video track, moved so that decoding begins at 0.
fn fragmented_mp4(track: &Track, samples: &[Sample]) -> Vec<u8> {
    let mut out = crate::fmp4::init([track]).unwrap().to_vec();
    let start = samples[0].dts_ticks;
    let mut muxer = crate::fmp4::Muxer::new(1);
    let run = samples.iter().enumerate().map(|(i, sample)| RunSample {
        duration_ticks: samples.get(i + 1).map_or(40, |next| (next.dts_ticks - sample.dts_ticks) as u32),
        size_bytes: sample.data.len() as u32,
        sync: sample.sync,
        composition_offset_ticks: (sample.pts_ticks - sample.dts_ticks) as i32,
    });
    muxer.run(track.number, 0, run).unwrap();
    assert!(start <= samples[0].pts_ticks);
    out.extend_from_slice(&muxer.finish().unwrap());
    samples.iter().for_each(|sample| out.extend_from_slice(&sample.data));
    out
}

#[test]
fn ffmpeg_takes_what_was_read_and_decodes_every_picture() {
    for (name, options) in [
        ("b2", "-bf 2 -g 20"),
        ("b3-pyramid", "-bf 3 -b-pyramid normal -b_strategy 0 -g 20"),
        ("open", "-x264-params open-gop=1:keyint=12:bframes=3:b-adapt=0"),
    ] {
        let options = format!("-c:v libx264 -pix_fmt yuv420p -preset veryfast {options}");
        let mp4 = picture(&format!("codec-dts-{name}.mp4"), PICTURE, &options);
        let output = demux_file(&copied(&format!("codec-dts-{name}.mkv"), &mp4, &[]));
        let folder = std::env::temp_dir().join(format!("kinora-codec-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.mp4"));
        std::fs::write(&path, fragmented_mp4(&output.tracks[0][0], &output.samples)).unwrap();
        for sink in [
            ["-c", "copy", "-f", "mp4"],
            ["-c", "copy", "-f", "mpegts"],
            ["-fps_mode", "passthrough", "-f", "null"],
        ] {
            let result = Command::new("ffmpeg")
                .args(["-hide_banner", "-nostdin", "-v", "warning", "-y", "-i"])
                .arg(&path)
                .args(sink)
                .arg(folder.join("out"))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&result.stderr).into_owned();
            assert!(result.status.success() && said.is_empty(), "{name} to {sink:?}: {said}");
        }
        let pictures = lines(&path, &["-count_frames", "-show_entries", "stream=nb_read_frames"]);
        assert_eq!(number::<usize>(&pictures[0], "nb_read_frames"), output.samples.len(), "{name}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
