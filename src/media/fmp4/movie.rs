//! `moov`: the tracks and what holds for all their samples.
//!
//! Sample tables are kept as they stand; `table` reads them.

use bytes::Bytes;
use kinora_base::MediaTime;
use mp4_atom::{Elst, Mdhd, Mvhd, Tkhd, Trex};
use std::num::NonZeroU32;

use super::boxes::{BoxRef, Children, broken};
use super::sample_entry::read::{Description, read_descriptions};
use super::table::Tables;
use crate::container::{Convention, DeclaredTrack};
use crate::{Codec, Error, Fault, Track, TrackKind};

/// Most tracks of a movie.
const MAX_TRACKS: usize = 64;
/// Longest name or language that is kept, in bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// A `moov` as read.
#[derive(Debug)]
pub(super) struct Movie {
    pub(super) tracks: Vec<MovieTrack>,
}

/// A `trak` as read, and where its fragments have got to.
#[derive(Debug)]
pub(super) struct MovieTrack {
    pub(super) id: u32,
    /// Where the `trak` begins in the input.
    pub(super) offset: u64,
    pub(super) timescale: u32,
    language: String,
    name: String,
    descriptions: Vec<Description>,
    /// Place in `descriptions` of the one declared last.
    current: usize,
    default_duration_ticks: u32,
    /// What the edit list adds to every time of the media.
    pub(super) shift_ticks: i64,
    /// Defaults for samples in fragments.
    pub(super) trex: Trex,
    pub(super) tables: Tables,
    /// Decoding time, before the edit list, of the next fragment if it does not say.
    pub(super) next_dts_ticks: u64,
}

impl Movie {
    /// Reads `moov`, whose bytes are `whole`.
    pub(super) fn read(moov: BoxRef<'_>, whole: &Bytes) -> Result<Self, Error> {
        let movie_timescale = moov.require(*b"mvhd")?.decode::<Mvhd>()?.timescale;
        let mut defaults: Vec<Trex> = Vec::new();
        if let Some(mvex) = moov.find(*b"mvex")? {
            for child in mvex.children() {
                let child = child?;
                if child.kind == *b"trex" && defaults.len() < MAX_TRACKS {
                    defaults.push(child.decode()?);
                }
            }
        }
        let mut tracks: Vec<MovieTrack> = Vec::new();
        for child in moov.children() {
            let trak = child?;
            if trak.kind != *b"trak" {
                continue;
            }
            if tracks.len() == MAX_TRACKS {
                return Err(Error::new(
                    Fault::Limit,
                    trak.offset,
                    format!("the movie has more than {MAX_TRACKS} tracks"),
                ));
            }
            let mut track = MovieTrack::read(trak, whole, movie_timescale)?;
            if tracks.iter().any(|other| other.id == track.id) {
                return Err(broken(trak.offset, format!("two tracks have the id {}", track.id)));
            }
            if let Some(trex) = defaults.iter().find(|trex| trex.track_id == track.id) {
                track.trex = trex.clone();
            }
            if track.default_duration_ticks == 0 {
                track.default_duration_ticks = track.trex.default_sample_duration;
            }
            tracks.push(track);
        }
        if tracks.is_empty() {
            return Err(broken(moov.offset, "the movie has no track"));
        }
        Ok(Self { tracks })
    }

    /// The tracks as they stand.
    pub(super) fn declared(&self) -> Vec<DeclaredTrack> {
        self.tracks.iter().filter_map(MovieTrack::declared).collect()
    }

    /// Makes the sample entry number `index`, counted from 1, the current one of `track`; says
    /// whether that changes what the track is.
    pub(super) fn select(&mut self, track: usize, index: u32, offset: u64) -> Result<bool, Error> {
        let Some(track) = self.tracks.get_mut(track) else { return Ok(false) };
        let place = (index as usize).wrapping_sub(1);
        if place == track.current {
            return Ok(false);
        }
        if place >= track.descriptions.len() {
            return Err(broken(
                offset,
                format!("samples of track {} refer to sample entry {index}, which does not exist", track.id),
            ));
        }
        let before = track.descriptions.get(track.current) != track.descriptions.get(place);
        track.current = place;
        Ok(before)
    }
}

impl MovieTrack {
    fn read(trak: BoxRef<'_>, whole: &Bytes, movie_timescale: u32) -> Result<Self, Error> {
        let id = trak.require(*b"tkhd")?.decode::<Tkhd>()?.track_id;
        if id == 0 {
            return Err(broken(trak.offset, "a track has the id 0"));
        }
        let mdia = trak.require(*b"mdia")?;
        let mdhd_box = mdia.require(*b"mdhd")?;
        let mdhd: Mdhd = mdhd_box.decode()?;
        if mdhd.timescale == 0 {
            return Err(broken(mdhd_box.offset, format!("track {id} has the timescale 0")));
        }
        let (handler, name) = read_hdlr(mdia.require(*b"hdlr")?)?;
        let stbl = mdia.require(*b"minf")?.require(*b"stbl")?;
        let descriptions = read_descriptions(stbl.require(*b"stsd")?, handler, mdhd.timescale)?;
        let raw = matches!(
            descriptions.first().map(|d| &d.codec),
            Some(
                Codec::PcmSigned
                    | Codec::PcmSignedBigEndian
                    | Codec::PcmFloat
                    | Codec::PcmAlaw
                    | Codec::PcmMulaw
            )
        );
        let tables = Tables::read(stbl, whole, raw)?;
        Ok(Self {
            id,
            offset: trak.offset,
            timescale: mdhd.timescale,
            language: read_language(mdia, &mdhd.language)?,
            name,
            descriptions,
            current: 0,
            default_duration_ticks: tables.even_duration(),
            shift_ticks: read_edits(trak, mdhd.timescale, movie_timescale)?,
            trex: Trex { track_id: id, default_sample_description_index: 1, ..Default::default() },
            next_dts_ticks: tables.duration_ticks(),
            tables,
        })
    }

    fn declared(&self) -> Option<DeclaredTrack> {
        let description = self.descriptions.get(self.current)?;
        Some(DeclaredTrack {
            track: Track {
                number: self.id,
                codec: description.codec.clone(),
                timescale: self.timescale,
                configuration: description.configuration.clone(),
                shape: description.shape,
                // Only the codec's own headers tell.
                reorder_depth: 0,
                default_duration_ticks: self.default_duration_ticks,
                language: self.language.clone(),
                name: self.name.clone(),
            },
            convention: Convention::Mp4,
            offset: self.offset,
        })
    }

    pub(super) fn is_video(&self) -> bool {
        self.descriptions.first().is_some_and(|d| d.codec.kind() == TrackKind::Video)
    }

    /// Whether samples are single PCM values, of which many make one frame.
    pub(super) const fn raw(&self) -> bool {
        self.tables.raw
    }
}

/// Handler and name (§8.4.3). The name is UTF-8 with an end mark, or in QuickTime counted.
fn read_hdlr(hdlr: BoxRef<'_>) -> Result<([u8; 4], String), Error> {
    let mut fields = hdlr.fields();
    fields.skip(8)?;
    let handler = fields.u32()?.to_be_bytes();
    fields.skip(12)?;
    let name = match fields.rest() {
        [count, counted @ ..] if usize::from(*count) == counted.len() && *count > 0 => counted,
        plain => plain,
    };
    let name = text(name);
    // What ffmpeg writes for a track without a name is no name.
    let unnamed =
        matches!(name.as_str(), "VideoHandler" | "SoundHandler" | "DataHandler" | "SubtitleHandler");
    Ok((handler, if unnamed { String::new() } else { name }))
}

/// The text up to its end mark.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    let bytes = bytes.get(..MAX_TEXT_BYTES).unwrap_or(bytes);
    String::from_utf8_lossy(bytes).trim_end_matches(char::REPLACEMENT_CHARACTER).to_owned()
}

/// `elng` (§8.4.6) where there is one, else `mdhd`'s three letters unless they say nothing.
fn read_language(mdia: BoxRef<'_>, packed: &str) -> Result<String, Error> {
    if let Some(elng) = mdia.find(*b"elng")? {
        let mut fields = elng.fields();
        fields.version_and_flags()?;
        return Ok(text(fields.rest()));
    }
    let says = packed.bytes().all(|byte| byte.is_ascii_lowercase()) && packed != "und";
    Ok(if says { packed.to_owned() } else { String::new() })
}

/// What the edit list (§8.6.6) adds to the media's times: minus the media time at which the
/// presentation begins, plus the empty edits before it.
///
/// Later edits are not followed, and no sample is left out: an archive keeps what was sent, and
/// the samples before the first edit are what the decoder needs to begin there.
fn read_edits(trak: BoxRef<'_>, timescale: u32, movie_timescale: u32) -> Result<i64, Error> {
    let Some(edts) = trak.find(*b"edts")? else { return Ok(0) };
    let Some(elst) = edts.find(*b"elst")? else { return Ok(0) };
    let mut shift = 0_i64;
    for edit in elst.decode::<Elst>()?.entries {
        if let Some(media_time) = edit.media_time {
            return Ok(shift.saturating_sub(i64::try_from(media_time).unwrap_or(i64::MAX)));
        }
        let dwell = i64::try_from(edit.segment_duration).unwrap_or(i64::MAX);
        let (Some(dwell), Some(timescale)) =
            (MediaTime::new(dwell, movie_timescale), NonZeroU32::new(timescale))
        else {
            return Err(broken(
                elst.offset,
                "the movie has the timescale 0, so its empty edit has no duration",
            ));
        };
        shift = shift.saturating_add(dwell.rescale(timescale).ticks);
    }
    Ok(shift)
}

/// The `moov` at `offset` whose content is `body`.
pub(super) fn read_movie(offset: u64, body_offset: u64, body: &Bytes) -> Result<Movie, Error> {
    let moov = BoxRef { kind: *b"moov", offset, body, body_offset };
    // A header movie compressed by QuickTime (`cmov`) has no track of its own.
    if let Some(compressed) = Children::new(body, body_offset).find(*b"cmov")? {
        return Err(Error::new(Fault::Unsupported, compressed.offset, "the movie header is compressed"));
    }
    Movie::read(moov, body)
}
