//! The media playlist of one rendition.

use std::collections::HashMap;
use std::fmt::Write;

use kinora_base::WallTime;
use kinora_store::{ConfigurationId, Flags};

use crate::playback::{Presentation, Span, Window};

/// The media playlist of the rendition `id` over `window`. `presentations` holds every
/// configuration of the window. URIs are relative to the rendition's own folder:
/// `init-{configuration}.mp4` and `{number}.m4s`.
///
/// Entries whose configuration lacks the rendition are gaps (8216bis §4.4.4.7). The playlist of a
/// range is VOD; one from a time on is EVENT; the live one slides.
#[must_use]
pub fn media_playlist(
    window: &Window,
    id: &str,
    presentations: &HashMap<ConfigurationId, Presentation>,
) -> String {
    let mut text = String::with_capacity(160 * window.entries.len() + 256);
    header(&mut text, window);
    let mut mapped: Option<ConfigurationId> = None;
    for (place, entry) in window.entries.iter().enumerate() {
        let fragment = &entry.fragment;
        // §4.4.4.3: a discontinuity lies between two segments, so the first has none unless it
        // may follow one that slid out of a live playlist, which the sequence above counts.
        if entry.discontinuity && place > 0 {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        let carries = presentations.get(&fragment.configuration).is_some_and(|p| p.rendition(id).is_some());
        if carries && mapped != Some(fragment.configuration) {
            mapped = Some(fragment.configuration);
            let _ = writeln!(text, "#EXT-X-MAP:URI=\"init-{}.mp4\"", fragment.configuration.0);
        }
        if !carries {
            text.push_str("#EXT-X-GAP\n");
        }
        let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{}", fragment.producer_time);
        let _ = writeln!(text, "#EXTINF:{},", seconds(fragment.duration_us));
        let _ = writeln!(text, "{}.m4s", fragment.number);
    }
    if matches!(window.span, Span::Range(..)) || window.rest.is_some() {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text
}

fn header(text: &mut String, window: &Window) {
    text.push_str("#EXTM3U\n#EXT-X-VERSION:7\n");
    // RFC 8216 §4.3.5.1: only if decoding can start at every segment. A playlist that still gets
    // segments cannot promise that of those to come, and must not take it back (§6.2.1).
    let complete = matches!(window.span, Span::Range(..));
    if complete && window.entries.iter().all(|entry| entry.fragment.flags.has(Flags::KEY_FRAME_START)) {
        text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    let _ = writeln!(text, "#EXT-X-TARGETDURATION:{}", window.target_duration_s());
    match window.span {
        Span::Live => {
            let first = window.entries.first().map(|entry| &entry.fragment);
            let _ = writeln!(text, "#EXT-X-MEDIA-SEQUENCE:{}", first.map_or(0, |f| f.ordinal));
            // §6.2.2: the first segment's own number, which counts the tags that slid away, stored with it.
            let breaks = first.map_or(0, |first| first.discontinuities);
            let _ = writeln!(text, "#EXT-X-DISCONTINUITY-SEQUENCE:{breaks}");
        }
        Span::From(start) => {
            text.push_str("#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:EVENT\n");
            start_offset(text, window, start);
        }
        Span::Range(start, _) => {
            text.push_str("#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n");
            start_offset(text, window, start);
        }
    }
}

/// Where to begin inside the first fragment (§4.4.2.2).
fn start_offset(text: &mut String, window: &Window, start: WallTime) {
    let first = window.entries.first().map(|entry| entry.fragment.producer_time);
    let offset_us = first.map_or(0, |first| start.micros_since(first)).max(0);
    let _ = writeln!(text, "#EXT-X-START:TIME-OFFSET={},PRECISE=YES", seconds(offset_us.unsigned_abs()));
}

fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

#[cfg(test)]
#[path = "media_test.rs"]
mod tests;
