//! What producers send: a clip cut into pieces at its key frames, and the samples in each piece,
//! as this crate's own demuxer reads them from the whole file.

use std::collections::HashMap;
use std::path::PathBuf;

use bytes::Bytes;
use kinora_media::{Demuxer, Event, TrackKind};
use kinora_test_support::{boundaries, clip};

/// Pictures in a piece.
const PICTURES: usize = 5;
/// Pieces in a clip.
pub(crate) const PIECES: usize = 200;

/// How a clip is made.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Pictures only, in Matroska.
    Pictures,
    /// Pictures with B-frames and sound, in Matroska.
    MatroskaWithSound,
    /// Pictures with B-frames and sound, in fragmented MP4.
    Mp4WithSound,
}

/// A clip.
#[derive(Debug)]
pub(crate) struct Source {
    /// What comes before the first piece and again at the start of each connection.
    pub(crate) head: Bytes,
    pub(crate) pieces: Vec<Piece>,
    /// Place of each frame of sound.
    sound: HashMap<Bytes, usize>,
}

/// One group of pictures, as it is sent and as it must be served.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) bytes: Bytes,
    /// Presentation time of its first picture.
    pub(crate) at_ms: i64,
    pub(crate) pictures: Vec<Bytes>,
}

/// The samples of a file, in the order in which they lie in it.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    /// Presentation time in milliseconds, whether decoding can start at it, and its data.
    pub(crate) pictures: Vec<(i64, bool, Bytes)>,
    pub(crate) sound: Vec<Bytes>,
}

impl Samples {
    /// Everything in `file`; panics if it is not sound.
    pub(crate) fn of(file: Bytes) -> Self {
        let mut demuxer = Demuxer::default();
        demuxer.push(file);
        demuxer.finish();
        let mut tracks = HashMap::new();
        let mut samples = Self::default();
        while let Some(event) = demuxer.next().expect("a sound file") {
            match event {
                Event::Tracks(now) => {
                    tracks = now.iter().map(|t| (t.number, (t.kind(), i64::from(t.timescale)))).collect();
                }
                Event::Sample(sample) => match tracks[&sample.track] {
                    (TrackKind::Video, timescale) => {
                        let at_ms = sample.pts_ticks * 1000 / timescale;
                        samples.pictures.push((at_ms, sample.sync, sample.data));
                    }
                    _ => samples.sound.push(sample.data),
                },
                _ => {}
            }
        }
        samples
    }
}

impl Source {
    /// Makes a clip that shares no frame with those of another `seed`.
    pub(crate) fn new(kind: Kind, seed: usize) -> Self {
        let file = std::fs::read(encoded(kind, seed)).expect("the clip");
        let cuts = match kind {
            Kind::Pictures | Kind::MatroskaWithSound => boundaries::clusters(&file),
            Kind::Mp4WithSound => boundaries::movie_fragments(&file),
        };
        let file = Bytes::from(file);
        let samples = Samples::of(file.clone());
        let starts: Vec<usize> = (0..samples.pictures.len()).filter(|n| samples.pictures[*n].1).collect();
        assert_eq!((cuts.len(), starts.len()), (PIECES, PIECES), "one piece a key frame in {kind:?} {seed}");
        let ends = |of: &[usize], last| of.iter().skip(1).copied().chain([last]).collect::<Vec<_>>();
        let pictures = starts.iter().zip(ends(&starts, samples.pictures.len()));
        let pieces = cuts.iter().zip(ends(&cuts, file.len())).zip(pictures);
        let pieces = pieces.map(|((from, to), (first, end))| Piece {
            bytes: file.slice(*from..to),
            at_ms: samples.pictures[*first].0,
            pictures: samples.pictures[*first..end].iter().map(|(_, _, data)| data.clone()).collect(),
        });
        let sound: HashMap<Bytes, usize> = samples.sound.iter().cloned().zip(0..).collect();
        assert_eq!(sound.len(), samples.sound.len(), "no two frames of sound are the same");
        Self { head: file.slice(..cuts[0]), pieces: pieces.collect(), sound }
    }

    /// The piece that begins at this time.
    pub(crate) fn piece_at(&self, at_ms: i64) -> Option<usize> {
        self.pieces.iter().position(|piece| piece.at_ms == at_ms)
    }

    /// Panics unless the samples are those of the piece, all of them unless `partial`, with sound
    /// that this clip has in this order; without a piece there must be no pictures. Returns how
    /// many bytes were compared.
    pub(crate) fn compare(&self, piece: Option<usize>, served: &Samples, partial: bool) -> usize {
        let expected = piece.map_or(&[][..], |piece| &self.pieces[piece].pictures);
        let served_pictures: Vec<&Bytes> = served.pictures.iter().map(|(_, _, data)| data).collect();
        let compared =
            if partial { &expected[..served_pictures.len().min(expected.len())] } else { expected };
        assert!(served_pictures.iter().copied().eq(compared), "the pictures of piece {piece:?} were changed");
        let places: Option<Vec<usize>> =
            served.sound.iter().map(|data| self.sound.get(data).copied()).collect();
        let places = places.unwrap_or_else(|| panic!("the sound beside piece {piece:?} was never sent"));
        assert!(
            places.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "the sound beside piece {piece:?} has holes: {places:?}"
        );
        served_pictures.into_iter().chain(&served.sound).map(Bytes::len).sum()
    }
}

fn encoded(kind: Kind, seed: usize) -> PathBuf {
    let frames = PICTURES * PIECES;
    let picture =
        format!("testsrc2=size=160x90:rate=25,hue=h={},noise=alls=12:all_seed={seed}", seed * 47 % 360);
    let sound = format!("anoisesrc=r=48000:a=0.3:seed={}", seed + 1);
    let (bframes, container, name): (_, &[&str], _) = match kind {
        Kind::Pictures => ("0", &["-an", "-f", "matroska", "-live", "1"], "pictures.mkv"),
        Kind::MatroskaWithSound => ("2", &["-f", "matroska", "-live", "1"], "sound.mkv"),
        Kind::Mp4WithSound => {
            ("2", &["-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof"], "sound.mp4")
        }
    };
    let gop = PICTURES.to_string();
    let frames = frames.to_string();
    let mut arguments = vec!["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound];
    arguments.extend(["-frames:v", &frames, "-shortest", "-pix_fmt", "yuv420p", "-c:v", "libx264"]);
    arguments.extend([
        "-preset",
        "ultrafast",
        "-crf",
        "20",
        "-bf",
        bframes,
        "-g",
        &gop,
        "-sc_threshold",
        "0",
    ]);
    arguments.extend(["-threads", "1", "-c:a", "aac", "-b:a", "64k"]);
    // No tags: they would belong to whichever piece is the first of a connection.
    arguments.extend(["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"]);
    arguments.extend(container);
    clip(&format!("crash-{seed}-{name}"), &arguments)
}
