//! The multivariant playlist: which renditions there are and what they need.

use std::fmt::Write;

use kinora_media::{Shape, TrackKind};

use crate::playback::{Presentation, Rendition};

/// What the multivariant playlist says.
#[derive(Debug)]
pub struct MultivariantInput<'a> {
    /// The configurations of the window, newest last.
    pub presentations: &'a [Presentation],
    /// Pictures per second of the first video rendition, if known.
    pub frame_rate: Option<f64>,
    /// Peak and mean bits per second of a fragment, all tracks together.
    pub bandwidth: (u64, u64),
    /// Query to append to each URI, without `?`; may be empty.
    pub query: &'a str,
}

/// The producer's text as it can stand in a quoted string, which holds no quotes or line breaks
/// (8216bis §4.2).
fn quoted(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '"' | '\r' | '\n')).collect()
}

/// The multivariant playlist. Video renditions are variants; audio renditions form the group
/// `audio`, or are variants themselves where there is no video. URIs are `{rendition}/index.m3u8`.
#[must_use]
pub fn multivariant_playlist(input: &MultivariantInput<'_>) -> String {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:7\n");
    let videos = renditions(input.presentations, TrackKind::Video);
    let audios = renditions(input.presentations, TrackKind::Audio);
    if !videos.is_empty() {
        for (place, (audio, _)) in audios.iter().enumerate() {
            audio_rendition(&mut text, audio, place == 0, input.query);
        }
    }
    let audio_codecs: Vec<&str> = match audios.first() {
        Some((_, codecs)) if !videos.is_empty() => codecs.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let variants = if videos.is_empty() { &audios } else { &videos };
    for (place, (rendition, codecs)) in variants.iter().enumerate() {
        let mut all: Vec<&str> = codecs.iter().map(String::as_str).collect();
        all.extend(&audio_codecs);
        let (peak, mean) = input.bandwidth;
        let _ = write!(text, "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={mean}");
        let _ = write!(text, ",CODECS=\"{}\"", all.join(","));
        if let Shape::Video { width, height } = rendition.track.shape
            && width > 0
            && height > 0
        {
            let _ = write!(text, ",RESOLUTION={width}x{height}");
        }
        if let Some(rate) = input.frame_rate.filter(|_| place == 0 && !videos.is_empty()) {
            let _ = write!(text, ",FRAME-RATE={rate:.3}");
        }
        if !audio_codecs.is_empty() {
            text.push_str(",AUDIO=\"audio\"");
        }
        let _ = writeln!(text, "\n{}", uri(&rendition.id, input.query));
    }
    text
}

/// The renditions of a kind over all configurations, each in its newest form, with every codec
/// string that it has had.
fn renditions(presentations: &[Presentation], kind: TrackKind) -> Vec<(&Rendition, Vec<String>)> {
    let mut found: Vec<(&Rendition, Vec<String>)> = Vec::new();
    for rendition in presentations.iter().flat_map(|p| p.of_kind(kind)) {
        match found.iter_mut().find(|(known, _)| known.id == rendition.id) {
            Some((known, codecs)) => {
                *known = rendition;
                if !codecs.contains(&rendition.codec_string) {
                    codecs.push(rendition.codec_string.clone());
                }
            }
            None => found.push((rendition, vec![rendition.codec_string.clone()])),
        }
    }
    found
}

fn audio_rendition(text: &mut String, audio: &Rendition, default: bool, query: &str) {
    let track = &audio.track;
    let name = if track.name.is_empty() { audio.id.clone() } else { quoted(&track.name) };
    let _ = write!(text, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"{name}\"");
    if !track.language.is_empty() && track.language != "und" {
        let _ = write!(text, ",LANGUAGE=\"{}\"", quoted(&track.language));
    }
    let default = if default { "YES" } else { "NO" };
    let _ = write!(text, ",DEFAULT={default},AUTOSELECT=YES");
    if let Shape::Audio { channels, .. } = track.shape {
        let _ = write!(text, ",CHANNELS=\"{channels}\"");
    }
    let _ = writeln!(text, ",URI=\"{}\"", uri(&audio.id, query));
}

fn uri(rendition: &str, query: &str) -> String {
    if query.is_empty() {
        format!("{rendition}/index.m3u8")
    } else {
        format!("{rendition}/index.m3u8?{query}")
    }
}
