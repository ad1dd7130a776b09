//! A real clip, cut into the chunks that a live encoder would send.
//!
//! The chunks are made once and shared by all senders, each with its HTTP chunk framing around
//! it, so that sending one is a single write. Only a Cluster's Timestamp differs from round to
//! round. Element IDs are those of RFC 9559, section 5.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

/// Length of the clip; it is sent round and round.
pub(crate) const CLIP_MS: u64 = 20_000;

const EBML: u32 = 0x1A45_DFA3;
const SEGMENT: u32 = 0x1853_8067;
const INFO: u32 = 0x1549_A966;
const TRACKS: u32 = 0x1654_AE6B;
const CLUSTER: u32 = 0x1F43_B675;
const TIMESTAMP: u32 = 0xE7;
const SIMPLE_BLOCK: u32 = 0xA3;
const BLOCK_GROUP: u32 = 0xA0;
const BLOCK: u32 = 0xA1;
/// Eight bytes that mean "size unknown" (RFC 8794, section 6.2), as live producers send.
const UNKNOWN_SIZE: [u8; 8] = [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
/// The first track of ffmpeg's files, which is the video here.
const VIDEO: u8 = 1;

/// Which clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// 250 KB/s: 720p30 H.264 at about 2 Mbit/s with a key frame each second, and AAC.
    Camera,
    /// 50 KB/s: 360p10 H.264 at about 400 kbit/s with a key frame each second.
    Small,
}

/// What to send, and when.
#[derive(Debug)]
pub(crate) struct Clip {
    /// The EBML header, Segment start, Info and Tracks, as one HTTP chunk.
    pub header: Bytes,
    /// One per frame, in the order to send.
    pub chunks: Vec<Chunk>,
    /// Media bytes of one round, without HTTP framing and header.
    pub bytes: u64,
}

/// One frame.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// When to send it, from the start of the round.
    pub due: Duration,
    /// The bytes on the wire.
    pub wire: Bytes,
    /// Media bytes in `wire`, without HTTP framing.
    pub media_bytes: u64,
    /// In a chunk that starts a Cluster: where the eight bytes of its Timestamp are.
    pub timestamp_at: Option<usize>,
}

impl Clip {
    /// The wire bytes of `chunk` in round `round`, and the Cluster Timestamp if it starts one.
    pub(crate) fn wire(chunk: &Chunk, round: u64) -> (Bytes, Option<u64>) {
        let Some(at) = chunk.timestamp_at else { return (chunk.wire.clone(), None) };
        let timestamp = round * CLIP_MS + chunk.due.as_millis() as u64;
        let mut wire = chunk.wire.to_vec();
        wire[at..at + 8].copy_from_slice(&timestamp.to_be_bytes());
        (wire.into(), Some(timestamp))
    }

    /// How many fragments one round makes.
    pub(crate) fn fragments(&self) -> usize {
        self.chunks.iter().filter(|chunk| chunk.timestamp_at.is_some()).count()
    }

    /// Media bytes of a fragment, on average.
    pub(crate) fn fragment_bytes(&self) -> usize {
        self.bytes as usize / self.fragments()
    }

    /// Makes the clip with ffmpeg (once) and cuts it.
    pub(crate) fn load(kind: Kind) -> Self {
        let path = file(kind);
        let data = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self::cut(&path, &data)
    }

    fn cut(path: &Path, data: &[u8]) -> Self {
        let mut header = Vec::new();
        let mut frames = Vec::new();
        for (id, body) in elements(data) {
            match id {
                EBML => element(&mut header, EBML, body),
                SEGMENT => {
                    header.extend_from_slice(&SEGMENT.to_be_bytes());
                    header.extend_from_slice(&UNKNOWN_SIZE);
                    for (id, body) in elements(body) {
                        match id {
                            INFO | TRACKS => element(&mut header, id, body),
                            CLUSTER => frames.extend(blocks(body)),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        // AAC starts a little before the first picture. A round is exactly as long as the clip, so
        // that the picture continues without a jump.
        let first_ms =
            frames.iter().filter(|frame| frame.track == VIDEO).map(|frame| frame.ms).min().unwrap_or(0);
        frames.retain_mut(|frame| {
            frame.ms = frame.ms.wrapping_sub(first_ms);
            frame.ms < CLIP_MS
        });
        // An encoder sends in time order, the key frame first among equals.
        frames.sort_by_key(|frame| (frame.ms, frame.track));
        let starts_right = frames.first().is_some_and(Frame::starts_fragment);
        assert!(starts_right, "{}: does not start with a video key frame", path.display());
        let mut cluster_ms = 0;
        let chunks: Vec<Chunk> = frames
            .iter()
            .map(|frame| {
                if frame.starts_fragment() {
                    cluster_ms = frame.ms;
                }
                frame.chunk(cluster_ms)
            })
            .collect();
        let bytes = chunks.iter().map(|chunk| chunk.media_bytes).sum();
        Self { header: http_chunk(&header).0.into(), chunks, bytes }
    }
}

/// Zooming into a fractal with noise over it keeps the encoder as busy as a busy street does.
fn file(kind: Kind) -> PathBuf {
    let (name, size, rate, video, sound) = match kind {
        Kind::Camera => ("bench-720p30-2mbit.mkv", "1280x720", "30", "-b:v 2M -maxrate 2M -bufsize 1M", true),
        Kind::Small => {
            ("bench-360p10-400kbit.mkv", "640x360", "10", "-b:v 400k -maxrate 400k -bufsize 200k", false)
        }
    };
    let seconds = (CLIP_MS / 1000).to_string();
    let picture = format!("mandelbrot=size={size}:rate={rate},noise=alls=12:allf=t,format=yuv420p");
    let mut all = vec!["-t", &seconds, "-f", "lavfi", "-i", &picture];
    if sound {
        all.extend(["-t", &seconds, "-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000"]);
        all.extend("-c:a aac -b:a 128k -ar 48000 -ac 2".split(' '));
    }
    all.extend("-c:v libx264 -preset veryfast -profile:v high -bf 0 -sc_threshold 0".split(' '));
    all.extend(["-g", rate, "-keyint_min", rate]);
    all.extend(video.split(' '));
    all.extend(["-f", "matroska"]);
    kinora_test_support::clip(name, &all)
}

/// One frame as the file has it.
struct Frame {
    ms: u64,
    track: u8,
    key: bool,
    data: Vec<u8>,
}

impl Frame {
    fn starts_fragment(&self) -> bool {
        self.track == VIDEO && self.key
    }

    /// A SimpleBlock relative to `cluster_ms`, with a Cluster in front if it starts a fragment.
    fn chunk(&self, cluster_ms: u64) -> Chunk {
        let mut media = Vec::with_capacity(self.data.len() + 32);
        let mut timestamp_at = None;
        if self.starts_fragment() {
            media.extend_from_slice(&CLUSTER.to_be_bytes());
            media.extend_from_slice(&UNKNOWN_SIZE);
            // Eight bytes whatever the value, so that it can be replaced in place.
            media.extend_from_slice(&[TIMESTAMP as u8, 0x88]);
            timestamp_at = Some(media.len());
            media.extend_from_slice(&self.ms.to_be_bytes());
        }
        let relative =
            i16::try_from(self.ms - cluster_ms).unwrap_or_else(|_| panic!("a Cluster of more than 32 s"));
        // RFC 9559, section 10.2: track, relative timestamp, flags.
        let mut block = vec![0x80 | self.track];
        block.extend_from_slice(&relative.to_be_bytes());
        block.push(if self.key { 0x80 } else { 0 });
        block.extend_from_slice(&self.data);
        element(&mut media, SIMPLE_BLOCK, &block);
        let (wire, framing) = http_chunk(&media);
        Chunk {
            due: Duration::from_millis(self.ms),
            media_bytes: media.len() as u64,
            timestamp_at: timestamp_at.map(|at| at + framing),
            wire: wire.into(),
        }
    }
}

/// `media` as one chunk of HTTP/1.1's chunked coding (RFC 9112, section 7.1), and where it starts.
fn http_chunk(media: &[u8]) -> (Vec<u8>, usize) {
    let mut wire = format!("{:x}\r\n", media.len()).into_bytes();
    let framing = wire.len();
    wire.extend_from_slice(media);
    wire.extend_from_slice(b"\r\n");
    (wire, framing)
}

/// Appends an element with an eight-byte size.
fn element(out: &mut Vec<u8>, id: u32, body: &[u8]) {
    let id = id.to_be_bytes();
    let zeros = id.iter().take_while(|byte| **byte == 0).count();
    out.extend_from_slice(&id[zeros..]);
    out.extend_from_slice(&(body.len() as u64 | 1 << 56).to_be_bytes());
    out.extend_from_slice(body);
}

/// The elements directly inside `data`: a file that ffmpeg finished has known sizes only.
fn elements(mut data: &[u8]) -> Vec<(u32, &[u8])> {
    let mut found = Vec::new();
    while !data.is_empty() {
        let (id, rest) = vint(data, true);
        let (size, rest) = vint(rest, false);
        let (body, rest) = rest.split_at(usize::try_from(size).unwrap_or(usize::MAX).min(rest.len()));
        found.push((id as u32, body));
        data = rest;
    }
    found
}

/// A variable-size integer, with its length marker kept (an ID) or cleared (a size).
fn vint(data: &[u8], keep_marker: bool) -> (u64, &[u8]) {
    let length = data[0].leading_zeros() as usize + 1;
    let mut value = u64::from(if keep_marker || length > 7 { data[0] } else { data[0] & (0xFF >> length) });
    if !keep_marker && length == 8 {
        value = 0;
    }
    for byte in &data[1..length] {
        value = value << 8 | u64::from(*byte);
    }
    (value, &data[length..])
}

/// All frames of one Cluster.
fn blocks(cluster: &[u8]) -> Vec<Frame> {
    let mut cluster_ms = 0;
    let mut frames = Vec::new();
    for (id, body) in elements(cluster) {
        match id {
            TIMESTAMP => cluster_ms = body.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)),
            SIMPLE_BLOCK => frames.push(frame(body, cluster_ms, body[3] & 0x80 != 0)),
            // ffmpeg puts the last frames of a track into groups, to give them a duration.
            BLOCK_GROUP => {
                let inside = elements(body);
                frames.extend(inside.iter().filter(|(id, _)| *id == BLOCK).map(|(_, body)| {
                    let audio = body[0] & 0x7F != VIDEO;
                    frame(body, cluster_ms, audio)
                }));
            }
            _ => {}
        }
    }
    frames
}

fn frame(block: &[u8], cluster_ms: u64, key: bool) -> Frame {
    let relative = i64::from(i16::from_be_bytes([block[1], block[2]]));
    let ms = cluster_ms.saturating_add_signed(relative);
    Frame { ms, track: block[0] & 0x7F, key, data: block[4..].to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_are_as_large_as_they_say() {
        for (kind, wanted) in [(Kind::Camera, 225..325), (Kind::Small, 40..60)] {
            let clip = Clip::load(kind);
            assert_eq!(clip.fragments() as u64, CLIP_MS / 1000);
            let kilobytes = clip.bytes / CLIP_MS;
            assert!(wanted.contains(&kilobytes), "{kilobytes} KB/s");
        }
    }

    #[test]
    fn three_rounds_are_one_continuous_recording() {
        let clip = Clip::load(Kind::Camera);
        let mut body = Vec::new();
        let media = |wire: &[u8]| {
            let start = wire.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            wire[start..wire.len() - 2].to_vec()
        };
        body.extend(media(&clip.header));
        for round in 0..3 {
            for chunk in &clip.chunks {
                body.extend(media(&Clip::wire(chunk, round).0));
            }
        }
        let path = std::env::temp_dir().join(format!("kinora-bench-{}.mkv", std::process::id()));
        std::fs::write(&path, body).unwrap();
        let arguments = "-select_streams v -show_entries packet=pts_time,flags -of csv=p=0";
        let mut arguments: Vec<&str> = arguments.split(' ').collect();
        let name = path.to_string_lossy();
        arguments.push(&name);
        let printed = kinora_test_support::ffprobe(&arguments);
        std::fs::remove_file(&path).unwrap();
        let packets: Vec<(f64, bool)> = printed
            .lines()
            .map(|line| line.split_once(',').unwrap())
            .map(|(time, flags)| (time.parse().unwrap(), flags.starts_with('K')))
            .collect();
        assert_eq!(packets.len() as u64, 3 * 30 * CLIP_MS / 1000);
        assert!(packets.windows(2).all(|pair| (0.030..0.037).contains(&(pair[1].0 - pair[0].0))));
        let keys: Vec<f64> = packets.iter().filter(|packet| packet.1).map(|packet| packet.0).collect();
        assert!(keys.windows(2).all(|pair| (pair[1] - pair[0] - 1.0).abs() < 0.002), "{keys:?}");
    }
}
