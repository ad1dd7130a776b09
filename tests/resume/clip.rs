//! The media: real clips of several codecs and containers, taken apart where a producer can resume.

use bytes::Bytes;
use kinora::ingest::{CutSettings, Session, Step, Timing};
use kinora_base::WallTime;
use kinora_test_support::{boundaries, clip};

/// When media time 0 of every clip was captured.
pub(crate) const START: WallTime = WallTime::from_millis(1_772_366_400_000);

/// A clip.
#[derive(Debug)]
pub(crate) struct Clip {
    pub(crate) name: &'static str,
    /// What each connection begins with.
    pub(crate) head: Bytes,
    /// Clusters, or movie fragments with their data.
    pub(crate) pieces: Vec<Bytes>,
    /// Of each fragment in order: its producer time, and the piece that it begins in.
    pub(crate) fragments: Vec<(WallTime, usize)>,
    /// How far times may be off that a connection rounds in its own way, in microseconds: a tick
    /// of Matroska, nothing in MP4.
    pub(crate) rounding_us: i64,
}

const SECONDS: &str = "8";
const PICTURES: &str = "testsrc2=size=160x90:rate=30,noise=alls=10:all_seed=7";
const FILM: &str = "testsrc2=size=160x90:rate=24000/1001";
const SOUND: &str = "anoisesrc=r=48000:a=0.3:seed=5";
const MP4: [&str; 4] = ["-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof"];

impl Clip {
    /// One of each kind.
    pub(crate) fn all() -> Vec<Self> {
        let h264 = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "38", "-bf", "2", "-g", "15"];
        let h265 = ["-c:v", "libx265", "-preset", "ultrafast", "-crf", "40", "-x265-params"];
        let h265 = [&h265[..], &["log-level=none:keyint=12:min-keyint=12:bframes=3:pools=none"]].concat();
        let vp9 =
            ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "150k", "-g", "15"];
        let mkv = ["-f", "matroska", "-seekable", "0"];
        vec![
            // Clusters begin with the frame of sound before their key frame, tags come before them.
            Self::new("h264-aac.mkv", PICTURES, &[&h264[..], &["-c:a", "aac"], &mkv].concat()),
            // Several Clusters to a fragment, and sound whose frames only the next one ends.
            Self::new("h264-flac-short.mkv", PICTURES, &{
                let large = ["-crf", "24", "-c:a", "flac", "-cluster_time_limit", "280", "-live", "1"];
                [&h264[..], &large, &mkv].concat()
            }),
            Self::new("h265-opus.mkv", FILM, &[&h265[..], &["-c:a", "libopus"], &mkv].concat()),
            Self::new("vp9-opus.webm", PICTURES, &{
                [&vp9[..], &["-c:a", "libopus", "-f", "webm", "-seekable", "0"]].concat()
            }),
            Self::new("h264-aac.mp4", PICTURES, &[&h264[..], &["-c:a", "aac"], &MP4].concat()),
            Self::new(
                "h265-mp3.mp4",
                FILM,
                &[&h265[..], &["-tag:v", "hvc1", "-c:a", "libmp3lame"], &MP4].concat(),
            ),
            Self::new("pictures.mkv", FILM, &[&h264[..], &["-an"], &mkv].concat()),
        ]
    }

    fn new(name: &'static str, pictures: &str, encoding: &[&str]) -> Self {
        let inputs = ["-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", SOUND, "-t", SECONDS];
        let common = ["-pix_fmt", "yuv420p", "-threads", "1", "-sc_threshold", "0"];
        let path = clip(&format!("resume-{name}"), &[&inputs[..], &common, encoding].concat());
        let file = Bytes::from(std::fs::read(path).unwrap());
        let is_mp4 = name.ends_with("mp4");
        let cuts = if is_mp4 { boundaries::movie_fragments(&file) } else { boundaries::clusters(&file) };
        let ends = cuts.iter().skip(1).copied().chain([file.len()]);
        let pieces: Vec<Bytes> = cuts.iter().zip(ends).map(|(from, to)| file.slice(*from..to)).collect();
        let head = file.slice(..cuts[0]);
        let fragments = fragments(&head, &pieces);
        for (n, (time, piece)) in fragments.iter().enumerate() {
            let again = self::fragments(&head, &pieces[*piece..]);
            assert_eq!(
                again.first().map(|(time, _)| time),
                Some(time),
                "{name}: fragment {n} begins no piece"
            );
        }
        assert!(pieces.len() >= fragments.len() && fragments.len() >= 10, "{name}: {}", fragments.len());
        Self { name, head, pieces, fragments, rounding_us: if is_mp4 { 0 } else { 1000 } }
    }

    /// The piece that a fragment begins in.
    pub(crate) fn piece_of(&self, time: WallTime) -> usize {
        let found = self.fragments.iter().find(|(begins, _)| *begins == time);
        found.unwrap_or_else(|| panic!("{}: no fragment begins at {time}", self.name)).1
    }

    /// The fragment that begins at this time, which is rounded to milliseconds.
    pub(crate) fn nearest(&self, time: WallTime) -> WallTime {
        let found = self.fragments.iter().find(|(begins, _)| begins.as_millis() == time.as_millis());
        found.unwrap_or_else(|| panic!("{}: no fragment begins at {time}", self.name)).0
    }
}

/// Producer time of each fragment, and the piece that it begins in.
fn fragments(head: &Bytes, pieces: &[Bytes]) -> Vec<(WallTime, usize)> {
    let mut session = Session::new(None, CutSettings::default(), Timing::Start(START));
    session.handle(head.clone(), START).unwrap();
    let mut found = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        session.handle(piece.clone(), START).unwrap();
        while let Some(step) = session.next_step() {
            if let Step::Begin { producer_time, .. } = step {
                found.push((producer_time, index));
            }
        }
    }
    found
}
