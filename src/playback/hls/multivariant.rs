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
    /// Peak and mean bits per second of a fragment's payload, all tracks together.
    pub bandwidth: (u64, u64),
    /// Query to append to each URI, without `?`; may be empty.
    pub query: &'a str,
}

/// Bits per second by which the media segments of a rendition are larger than what is stored of
/// them: a head for each segment, and up to 16 bytes for each sample where we keep about five.
const HEADS_BPS: u64 = 8_000;

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
        let heads = HEADS_BPS * (1 + u64::from(!audio_codecs.is_empty()));
        let (peak, mean) = (input.bandwidth.0 + heads, input.bandwidth.1 + heads);
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kinora_media::{Codec, Track};

    use super::*;

    fn track(codec: Codec, shape: Shape, name: &str) -> Track {
        Track {
            number: 1,
            codec,
            timescale: 1000,
            configuration: Bytes::new(),
            shape,
            reorder_depth: 0,
            default_duration_ticks: 0,
            language: "deu".into(),
            name: name.into(),
        }
    }

    fn video(codec_string: &str, width: u32) -> Rendition {
        let shape = Shape::Video { width, height: 720 };
        Rendition {
            id: "video".into(),
            track: track(Codec::H264, shape, ""),
            codec_string: codec_string.into(),
        }
    }

    fn audio(id: &str, name: &str) -> Rendition {
        let shape = Shape::Audio { sample_rate: 48_000, channels: 2, bits_per_sample: 0 };
        Rendition { id: id.into(), track: track(Codec::Aac, shape, name), codec_string: "mp4a.40.2".into() }
    }

    fn playlist(presentations: &[Presentation], query: &str) -> String {
        let input = MultivariantInput {
            presentations,
            frame_rate: Some(29.97),
            bandwidth: (2_500_000, 2_000_000),
            query,
        };
        multivariant_playlist(&input)
    }

    #[test]
    fn video_with_an_audio_group() {
        let renditions =
            vec![video("avc1.64001f", 1280), audio("audio", "Main \"mic\""), audio("audio2", "")];
        let text = playlist(&[Presentation { renditions, left_out: Vec::new() }], "start=1&end=2");
        let expected = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Main mic\",LANGUAGE=\"deu\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio/index.m3u8?start=1&end=2\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"audio2\",LANGUAGE=\"deu\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio2/index.m3u8?start=1&end=2\"
#EXT-X-STREAM-INF:BANDWIDTH=2516000,AVERAGE-BANDWIDTH=2016000,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"audio\"
video/index.m3u8?start=1&end=2
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_change_of_configuration_names_every_codec_and_the_newest_picture() {
        let older = Presentation { renditions: vec![video("avc1.42c01e", 640)], left_out: Vec::new() };
        let newer = Presentation { renditions: vec![video("avc1.64001f", 1280)], left_out: Vec::new() };
        let text = playlist(&[older, newer], "");
        assert!(text.contains("CODECS=\"avc1.42c01e,avc1.64001f\",RESOLUTION=1280x720"), "{text}");
        assert!(text.ends_with("\nvideo/index.m3u8\n"), "{text}");
    }

    #[test]
    fn audio_alone_is_a_variant() {
        let text =
            playlist(&[Presentation { renditions: vec![audio("audio", "")], left_out: Vec::new() }], "");
        assert!(!text.contains("EXT-X-MEDIA") && !text.contains("AUDIO="), "{text}");
        assert!(text.contains("CODECS=\"mp4a.40.2\"\naudio/index.m3u8\n"), "{text}");
    }
}
