//! Whole files through the front door, compared with what ffprobe says of them.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::{Codec, Shape, codec};
use kinora_test_support::{clip, ffprobe};

/// Everything that came out of one input.
#[derive(Debug, Default)]
struct Output {
    tracks: Vec<Arc<[Track]>>,
    samples: Vec<Sample>,
    dropped: Dropped,
    error: Option<Error>,
}

fn demux(bytes: &[u8], chunk_bytes: usize) -> Output {
    let mut demuxer = Demuxer::new(None);
    let mut output = Output::default();
    let mut chunks = bytes.chunks(chunk_bytes);
    loop {
        match demuxer.next() {
            Ok(Some(Event::Tracks(tracks))) => output.tracks.push(tracks),
            Ok(Some(Event::Sample(sample))) => output.samples.push(sample),
            Ok(Some(_)) => {}
            Ok(None) if demuxer.finished => break,
            Ok(None) => match chunks.next() {
                Some(chunk) => demuxer.push(Bytes::copy_from_slice(chunk)),
                None => demuxer.finish(),
            },
            Err(error) => {
                assert_eq!(demuxer.next().unwrap_err(), error, "an error stays");
                output.error = Some(error);
                break;
            }
        }
    }
    output.dropped = demuxer.dropped();
    output
}

fn demux_file(path: &Path) -> Output {
    let output = demux(&std::fs::read(path).unwrap(), 64 * 1024);
    assert_eq!(output.error, None, "{}", path.display());
    output
}

/// One line of `ffprobe -show_entries … -of compact`, by field.
fn lines(path: &Path, arguments: &[&str]) -> Vec<BTreeMap<String, String>> {
    let mut all = arguments.to_vec();
    let file = path.to_string_lossy();
    all.extend(["-of", "compact=p=0", &file]);
    let fields = |line: &str| {
        line.split('|').filter_map(|field| field.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect()
    };
    ffprobe(&all).lines().filter(|line| line.contains('=')).map(fields).collect()
}

const SIZE: &str = "testsrc2=size=320x240:rate=25:duration=2";
const TONE: &str = "sine=frequency=440:duration=2";

fn h264_aac(name: &str, options: &[&str]) -> std::path::PathBuf {
    let mut args = vec!["-f", "lavfi", "-i", SIZE, "-f", "lavfi", "-i", TONE, "-c:v", "libx264", "-g", "25"];
    args.extend(options);
    args.extend(["-c:a", "aac"]);
    clip(name, &args)
}

#[test]
fn reads_h264_and_aac_from_matroska() {
    let path = h264_aac("codec-h264-aac.mkv", &["-bf", "2"]);
    let output = demux_file(&path);
    assert_eq!(output.tracks.len(), 1);
    let tracks = &output.tracks[0];
    assert_eq!(tracks[0].codec, Codec::H264);
    assert_eq!(tracks[0].shape, Shape::Video { width: 320, height: 240 });
    assert_eq!(tracks[0].reorder_depth, 2);
    assert_eq!(codec::rfc6381(&tracks[0]).unwrap(), "avc1.64000D");
    assert_eq!(codec::nominal_frame_rate(&tracks[0]).map(|(n, d)| f64::from(n) / f64::from(d)), Some(25.0));
    assert_eq!(codec::rfc6381(&tracks[1]).unwrap(), "mp4a.40.2");
    let packets = lines(&path, &["-show_entries", "packet=stream_index,pts,flags,size"]);
    assert_eq!(output.samples.len(), packets.len());
    assert_eq!(output.dropped, Dropped::default());
}
