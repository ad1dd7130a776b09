//! The initialization segment: `ftyp` and a `moov` without samples.
//!
//! Configurations are written as the tracks hold them; nothing here looks inside.

use bytes::Bytes;
use mp4_atom::{
    Dinf, Dref, FourCC, Ftyp, Hdlr, Mdhd, Mvex, Mvhd, Smhd, Stco, Stsc, Stsz, Stts, Tkhd, Trex, Url, Vmhd,
};

use super::boxes::encode;
use super::sample_entry::write::put_sample_entry;
use super::writer::{boxed, full_boxed, put_u32};
use crate::{Codec, Error, Fault, Shape, Track, TrackKind};

/// Whether MP4 can carry `codec`. [`init`] refuses what it cannot.
#[must_use]
pub const fn carries(codec: &Codec) -> bool {
    !matches!(codec, Codec::Other { .. })
}

/// Ticks per second of the movie's own times, none of which is used: all durations are 0, as
/// they are for a movie in fragments.
const MOVIE_TIMESCALE: u32 = 1000;

/// The initialization segment for `tracks`, in their order; track ids are their numbers.
///
/// The same tracks always give the same bytes.
///
/// # Errors
/// `Fault::Unsupported` if a track's codec is not one that [`carries`] allows,
/// `Fault::CodecConfiguration` if its configuration is not of the form that [`Codec`] promises,
/// `Fault::Container` if there is no track, or a number is 0 or comes twice.
pub fn init<'a>(tracks: impl IntoIterator<Item = &'a Track>) -> Result<Bytes, Error> {
    let tracks: Vec<&Track> = tracks.into_iter().collect();
    let mut numbers: Vec<u32> = tracks.iter().map(|track| track.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.len() != tracks.len() || numbers.first().is_none_or(|&lowest| lowest == 0) {
        return Err(Error::new(Fault::Container, 0, "an MP4 needs tracks with distinct numbers from 1"));
    }
    let mut out = Vec::with_capacity(1024 * tracks.len());
    // `iso6` stands for tfdt and default-base-is-moof, `mp41` is what old readers look for, and
    // `cmfc` (ISO/IEC 23000-19 §7.2) promises a single track.
    let names: &[&[u8; 4]] =
        if tracks.len() == 1 { &[b"iso6", b"cmfc", b"mp41"] } else { &[b"iso6", b"mp41"] };
    let compatible_brands = names.iter().map(|name| FourCC::new(name)).collect();
    encode(&Ftyp { major_brand: FourCC::new(b"iso6"), minor_version: 0, compatible_brands }, &mut out)?;
    boxed(&mut out, *b"moov", |out| {
        encode(
            &Mvhd {
                timescale: MOVIE_TIMESCALE,
                rate: 1.into(),
                volume: 1.into(),
                next_track_id: numbers.last().map_or(1, |highest| highest.saturating_add(1)),
                ..Default::default()
            },
            out,
        )?;
        for track in &tracks {
            boxed(out, *b"trak", |out| put_trak(out, track))?;
        }
        let trex = |track: &&Track| Trex {
            track_id: track.number,
            default_sample_description_index: 1,
            ..Default::default()
        };
        encode(&Mvex { mehd: None, trex: tracks.iter().map(trex).collect() }, out)
    })?;
    Ok(Bytes::from(out))
}

fn put_trak(out: &mut Vec<u8>, track: &Track) -> Result<(), Error> {
    let kind = track.kind();
    let (width, height) = match track.shape {
        Shape::Video { width, height } => (width, height),
        _ => (0, 0),
    };
    let side = |pixels: u32| u16::try_from(pixels).unwrap_or(0).into();
    encode(
        &Tkhd {
            track_id: track.number,
            enabled: true,
            in_movie: true,
            // Players take the first of a group of tracks of one kind, unless told otherwise.
            alternate_group: if kind == TrackKind::Audio { 1 } else { 0 },
            volume: if kind == TrackKind::Audio { 1.into() } else { 0.into() },
            width: side(width),
            height: side(height),
            ..Default::default()
        },
        out,
    )?;
    boxed(out, *b"mdia", |out| {
        // mdhd packs three letters (§8.4.2); any other language goes into elng (§8.4.6).
        let packs = track.language.len() == 3 && track.language.bytes().all(|b| b.is_ascii_lowercase());
        let language = if packs { track.language.clone() } else { "und".into() };
        encode(&Mdhd { timescale: track.timescale, language, ..Default::default() }, out)?;
        let handler = if kind == TrackKind::Audio { FourCC::new(b"soun") } else { FourCC::new(b"vide") };
        encode(&Hdlr { handler, name: track.name.replace('\0', "") }, out)?;
        if !packs && !track.language.is_empty() {
            full_boxed(out, *b"elng", 0, 0, |out| {
                out.extend(track.language.bytes().filter(|&b| b != 0));
                out.push(0);
            });
        }
        boxed(out, *b"minf", |out| {
            match kind {
                TrackKind::Audio => encode(&Smhd::default(), out)?,
                _ => encode(&Vmhd::default(), out)?,
            }
            encode(&Dinf { dref: Dref { entries: vec![Url::default().into()] } }, out)?;
            boxed(out, *b"stbl", |out| {
                full_boxed(out, *b"stsd", 0, 0, |out| {
                    put_u32(out, 1);
                    put_sample_entry(out, track)
                })?;
                encode(&Stts::default(), out)?;
                encode(&Stsc::default(), out)?;
                encode(&Stsz::default(), out)?;
                encode(&Stco::default(), out)
            })
        })
    })
}

#[cfg(test)]
#[path = "init_test.rs"]
mod tests;
