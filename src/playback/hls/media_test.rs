//! Media playlists, whole.

use kinora_base::FragmentNumber;
use kinora_media::{Codec, Shape, Track};
use kinora_store::{Fragment, State};

use super::*;
use crate::playback::{Entry, Rendition};

const START: WallTime = WallTime::from_millis(1_800_000_000_000);

/// A window over these entries; the stream once had a fragment of five seconds.
fn window(span: Span, entries: Vec<Entry>) -> Window {
    let of_entries = entries.iter().map(|entry| entry.fragment.duration_us).max().unwrap_or(0);
    let longest_us = if span == Span::Live { 5_000_000 } else { of_entries };
    Window { span, entries, rest: None, longest_us }
}

fn entry(number: u64, duration_us: u64, configuration: u32, discontinuity: bool) -> Entry {
    let fragment = Fragment {
        number: FragmentNumber::new(number).unwrap(),
        ordinal: number - 1,
        producer_time: START.offset_micros(number as i64 * 2_000_000),
        server_time: START,
        media_us: 0,
        duration_us,
        bytes: 1000,
        configuration: ConfigurationId(configuration),
        flags: Flags::KEY_FRAME_START,
        content_crc: 0,
        discontinuities: 3,
        state: State::Persisted,
    };
    Entry { fragment, discontinuity }
}

fn presentation(kinds: &[&str]) -> Presentation {
    let track = Track {
        number: 1,
        codec: Codec::H264,
        timescale: 1000,
        configuration: bytes::Bytes::new(),
        shape: Shape::Video { width: 640, height: 360 },
        reorder_depth: 0,
        default_duration_ticks: 0,
        language: String::new(),
        name: String::new(),
    };
    let rendition =
        |id: &&str| Rendition { id: (*id).into(), track: track.clone(), codec_string: "avc1.64001f".into() };
    Presentation { renditions: kinds.iter().map(rendition).collect(), left_out: Vec::new() }
}

fn presentations() -> HashMap<ConfigurationId, Presentation> {
    HashMap::from([
        (ConfigurationId(1), presentation(&["video", "audio"])),
        (ConfigurationId(2), presentation(&["video"])),
    ])
}

#[test]
fn a_live_playlist_slides_and_marks_where_the_timeline_breaks() {
    let entries =
        vec![entry(7, 2_000_000, 1, true), entry(8, 1_966_667, 1, false), entry(9, 2_033_333, 2, true)];
    let window = window(Span::Live, entries);
    let expected = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:5
#EXT-X-MEDIA-SEQUENCE:6
#EXT-X-DISCONTINUITY-SEQUENCE:3
#EXT-X-MAP:URI=\"init-1.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:14.000Z
#EXTINF:2.000000,
7.m4s
#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:16.000Z
#EXTINF:1.966667,
8.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI=\"init-2.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:18.000Z
#EXTINF:2.033333,
9.m4s
";
    assert_eq!(media_playlist(&window, "video", &presentations()), expected);
}

#[test]
fn a_range_ends_and_says_where_inside_its_first_fragment_it_begins() {
    let entries = vec![entry(1, 2_500_000, 1, true)];
    let start = START.offset_micros(2_750_000);
    let window = window(Span::Range(start, start.offset_micros(9)), entries);
    let text = media_playlist(&window, "video", &presentations());
    assert!(
        text.contains("#EXT-X-TARGETDURATION:3\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"),
        "{text}"
    );
    assert!(text.contains("#EXT-X-START:TIME-OFFSET=0.750000,PRECISE=YES\n"), "{text}");
    assert!(text.ends_with("1.m4s\n#EXT-X-ENDLIST\n"), "{text}");
}

#[test]
fn from_a_time_on_the_playlist_grows() {
    let window = window(Span::From(START), vec![entry(1, 2_000_000, 1, true)]);
    let text = media_playlist(&window, "video", &presentations());
    assert!(text.contains("#EXT-X-PLAYLIST-TYPE:EVENT\n"), "{text}");
    assert!(text.contains("#EXT-X-START:TIME-OFFSET=0.000000,PRECISE=YES\n"), "{text}");
    assert!(!text.contains("ENDLIST"), "{text}");
    let full = Window { rest: Some(START), ..window };
    assert!(media_playlist(&full, "video", &presentations()).ends_with("1.m4s\n#EXT-X-ENDLIST\n"));
}

#[test]
fn a_fragment_without_the_rendition_is_a_gap() {
    let entries =
        vec![entry(1, 2_000_000, 1, true), entry(2, 2_000_000, 2, true), entry(3, 2_000_000, 1, true)];
    let window = window(Span::Live, entries);
    let text = media_playlist(&window, "audio", &presentations());
    assert_eq!(text.matches("#EXT-X-GAP\n").count(), 1, "{text}");
    assert_eq!(text.matches("#EXT-X-MAP").count(), 1, "{text}");
    let gap = text.find("#EXT-X-GAP").unwrap();
    assert!(
        text[gap..].starts_with("#EXT-X-GAP\n#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:04.000Z\n"),
        "{text}"
    );
}

#[test]
fn only_a_range_says_that_its_segments_are_independent_and_only_if_they_are() {
    let says_so = |span, entries| {
        media_playlist(&window(span, entries), "video", &presentations()).contains("INDEPENDENT")
    };
    let range = Span::Range(START, START.offset_micros(9_000_000));
    let whole = vec![entry(1, 2_000_000, 1, true)];
    let mut cut = entry(2, 20_000_000, 1, false);
    cut.fragment.flags = Flags::default();
    assert!(!says_so(range, vec![entry(1, 2_000_000, 1, true), cut]));
    assert!(says_so(range, whole.clone()));
    // The next segment may be another matter, and a promise cannot be taken back.
    assert!(!says_so(Span::Live, whole.clone()) && !says_so(Span::From(START), whole));
}
