//! Which tracks of a configuration HLS can carry, as which renditions, and why others are left
//! out.

use kinora_media::{Codec, Track, TrackKind, codec};

/// A configuration as an HLS player sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presentation {
    /// What can be played, in track order.
    pub renditions: Vec<Rendition>,
    /// What cannot, in track order.
    pub left_out: Vec<LeftOut>,
}

/// One track as one media playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendition {
    /// `video`, `audio`, and `video2`, `audio2` … for further tracks of a kind. Stays the same when
    /// a producer numbers its tracks anew.
    pub id: String,
    /// The track.
    pub track: Track,
    /// Its codec as RFC 6381 names it.
    pub codec_string: String,
}

/// A track that HLS cannot carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The track's number.
    pub track: u32,
    /// A sentence for people.
    pub reason: String,
}

impl Presentation {
    /// The presentation of a set of tracks.
    #[must_use]
    pub fn of(tracks: &[Track]) -> Self {
        let mut presentation = Self { renditions: Vec::new(), left_out: Vec::new() };
        for track in tracks {
            match carried(track) {
                Ok(codec_string) => {
                    let kind = track.kind();
                    let before = presentation.of_kind(kind).count();
                    let id = match before {
                        0 => kind.as_str().to_owned(),
                        _ => format!("{}{}", kind.as_str(), before + 1),
                    };
                    presentation.renditions.push(Rendition { id, track: track.clone(), codec_string });
                }
                Err(reason) => presentation.left_out.push(LeftOut { track: track.number, reason }),
            }
        }
        presentation
    }

    /// The same for playlists, which need no codec configurations: those of a long range may be many
    /// and large.
    #[must_use]
    pub fn without_configurations(&self) -> Self {
        let mut presentation = self.clone();
        for rendition in &mut presentation.renditions {
            rendition.track.configuration = bytes::Bytes::new();
        }
        presentation
    }

    /// The rendition called `id`, if this configuration has it.
    #[must_use]
    pub fn rendition(&self, id: &str) -> Option<&Rendition> {
        self.renditions.iter().find(|rendition| rendition.id == id)
    }

    /// The renditions of one kind.
    pub fn of_kind(&self, kind: TrackKind) -> impl Iterator<Item = &Rendition> {
        self.renditions.iter().filter(move |rendition| rendition.track.kind() == kind)
    }
}

/// The codec string of a track that HLS players take in fragmented MP4, or why they do not.
fn carried(track: &Track) -> Result<String, String> {
    let instead = match track.codec {
        Codec::H264 | Codec::H265 | Codec::Av1 | Codec::Vp9 | Codec::Aac | Codec::Opus | Codec::Mp3 => {
            return codec::rfc6381(track).ok_or_else(|| {
                format!("its {} configuration cannot be named to players", track.codec.name())
            });
        }
        Codec::Vp8 => "use H.264 or VP9",
        Codec::PcmAlaw | Codec::PcmMulaw | Codec::PcmSigned | Codec::PcmSignedBigEndian | Codec::PcmFloat => {
            "use AAC or Opus"
        }
        Codec::Other { .. } => "it is kept, and given back as Matroska",
    };
    Err(format!("HLS players do not take {}; {instead}", track.codec.name()))
}
