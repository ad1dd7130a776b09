//! A reader of playlists that knows the rules of RFC 8216 and takes nothing on trust: what is not
//! allowed, or not understood, is a panic.

use std::collections::HashMap;

use kinora_base::WallTime;

/// A media playlist.
#[derive(Debug, Clone, Default)]
pub(crate) struct Media {
    pub(crate) target_s: u64,
    pub(crate) independent: bool,
    pub(crate) sequence: u64,
    pub(crate) discontinuity_sequence: u64,
    /// `VOD`, `EVENT` or empty.
    pub(crate) kind: String,
    pub(crate) ended: bool,
    pub(crate) start_offset_s: Option<f64>,
    pub(crate) segments: Vec<Segment>,
}

/// One segment of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Segment {
    pub(crate) uri: String,
    /// URI of the init segment that it needs; empty for a gap without one.
    pub(crate) init: String,
    pub(crate) duration_s: f64,
    pub(crate) time: WallTime,
    pub(crate) discontinuity: bool,
    pub(crate) gap: bool,
    /// Its own discontinuity sequence number (§6.2.1).
    pub(crate) era: u64,
}

/// What a segment's tags said before its URI came.
#[derive(Default)]
struct Coming {
    duration_s: Option<f64>,
    time: Option<WallTime>,
    discontinuity: bool,
    gap: bool,
}

impl Media {
    /// Reads and checks a playlist.
    pub(crate) fn parse(text: &str) -> Self {
        let mut playlist = Self::default();
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut coming = Coming::default();
        let mut init = String::new();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("#EXTM3U"), "{text}");
        for line in lines {
            assert!(!playlist.ended, "something follows the end\n{text}");
            if !line.starts_with('#') {
                assert!(!line.is_empty(), "an empty line\n{text}");
                playlist.add(line, &init, std::mem::take(&mut coming), text);
                continue;
            }
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            *seen.entry(tag.to_owned()).or_default() += 1;
            match tag {
                "#EXT-X-VERSION" => assert!(number(value) >= 6, "EXT-X-MAP needs version 6\n{text}"),
                "#EXT-X-INDEPENDENT-SEGMENTS" => playlist.independent = true,
                "#EXT-X-TARGETDURATION" => playlist.target_s = number(value),
                "#EXT-X-MEDIA-SEQUENCE" => playlist.sequence = number(value),
                "#EXT-X-DISCONTINUITY-SEQUENCE" => playlist.discontinuity_sequence = number(value),
                "#EXT-X-PLAYLIST-TYPE" => value.clone_into(&mut playlist.kind),
                "#EXT-X-START" => {
                    let attributes = attributes(value);
                    assert_eq!(attributes["PRECISE"], "YES", "{text}");
                    playlist.start_offset_s = Some(attributes["TIME-OFFSET"].parse().unwrap());
                }
                "#EXT-X-MAP" => attributes(value)["URI"].clone_into(&mut init),
                "#EXT-X-PROGRAM-DATE-TIME" => coming.time = Some(value.parse().unwrap()),
                "#EXTINF" => coming.duration_s = value.strip_suffix(',').and_then(|s| s.parse().ok()),
                "#EXT-X-DISCONTINUITY" => coming.discontinuity = true,
                "#EXT-X-GAP" => coming.gap = true,
                "#EXT-X-ENDLIST" => playlist.ended = true,
                _ => panic!("unknown tag {line}\n{text}"),
            }
        }
        for once in ["#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE"] {
            assert_eq!(seen.get(once), Some(&1), "{once} must come once\n{text}");
        }
        playlist.check(text);
        playlist
    }

    fn add(&mut self, uri: &str, init: &str, coming: Coming, text: &str) {
        let before = self.segments.last().map_or(self.discontinuity_sequence, |segment| segment.era);
        self.segments.push(Segment {
            uri: uri.to_owned(),
            init: init.to_owned(),
            duration_s: coming.duration_s.unwrap_or_else(|| panic!("{uri} has no EXTINF\n{text}")),
            time: coming.time.unwrap_or_else(|| panic!("{uri} has no date\n{text}")),
            discontinuity: coming.discontinuity,
            gap: coming.gap,
            era: before + u64::from(coming.discontinuity),
        });
    }

    fn check(&self, text: &str) {
        assert!(!self.segments.is_empty(), "no segments\n{text}");
        assert_eq!(self.ended, self.kind == "VOD", "{text}");
        for segment in &self.segments {
            assert!(segment.gap || !segment.init.is_empty(), "{} has no map\n{text}", segment.uri);
            assert!(segment.duration_s > 0.0, "{text}");
            assert!(
                segment.duration_s.round() as u64 <= self.target_s,
                "{} is too long\n{text}",
                segment.uri
            );
        }
        for pair in self.segments.windows(2) {
            let [before, after] = pair else { continue };
            assert_ne!(before.uri, after.uri, "{text}");
            let hole_s = after.time.micros_since(before.time) as f64 / 1e6 - before.duration_s;
            if !after.discontinuity {
                assert_eq!(before.init, after.init, "a new map without a discontinuity\n{text}");
                // Dates are in milliseconds.
                assert!(hole_s.abs() < 0.0021, "{} is {hole_s} s off\n{text}", after.uri);
            }
            // What follows the arrival of media may go back where something arrived late; a range
            // only for what it has not shown yet.
            let shows_more = after.duration_s + hole_s > 0.0;
            let may_go_back = after.discontinuity && (self.kind != "VOD" || shows_more);
            assert!(
                may_go_back || hole_s > -0.0021,
                "{} overlaps the segment before it by {hole_s} s\n{text}",
                after.uri
            );
        }
    }

    /// Checks what a later answer to the same request may change (§6.2.1).
    pub(crate) fn check_reload(&self, later: &Self) {
        assert!(later.sequence >= self.sequence, "{} then {}", self.sequence, later.sequence);
        assert_eq!(later.kind, self.kind);
        assert_eq!(later.target_s, self.target_s, "the target duration changed");
        assert_eq!(later.independent, self.independent, "a promise about all segments changed");
        if self.kind == "EVENT" {
            assert!(later.segments.starts_with(&self.segments), "an EVENT playlist changed at its start");
        }
        let slid = (later.sequence - self.sequence) as usize;
        for (before, after) in self.segments.iter().skip(slid).zip(&later.segments) {
            let kept = (&before.uri, &before.init, before.duration_s, before.time, before.era);
            assert_eq!(kept, (&after.uri, &after.init, after.duration_s, after.time, after.era));
        }
        assert!(later.segments.len() + slid >= self.segments.len(), "segments went away at the end");
    }

    /// Duration of all segments.
    pub(crate) fn duration_s(&self) -> f64 {
        self.segments.iter().map(|segment| segment.duration_s).sum()
    }
}

/// A multivariant playlist.
#[derive(Debug, Default)]
pub(crate) struct Multivariant {
    pub(crate) variants: Vec<Variant>,
    pub(crate) audio: Vec<HashMap<String, String>>,
}

/// A variant: its attributes and its URI.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) attributes: HashMap<String, String>,
    pub(crate) uri: String,
}

impl Multivariant {
    /// Reads and checks a playlist.
    pub(crate) fn parse(text: &str) -> Self {
        let mut playlist = Self::default();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("#EXTM3U"), "{text}");
        while let Some(line) = lines.next() {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            match tag {
                "#EXT-X-VERSION" | "#EXT-X-INDEPENDENT-SEGMENTS" => {}
                "#EXT-X-MEDIA" => {
                    let media = attributes(value);
                    assert_eq!((&*media["TYPE"], &*media["GROUP-ID"]), ("AUDIO", "audio"), "{text}");
                    playlist.audio.push(media);
                }
                "#EXT-X-STREAM-INF" => {
                    let uri = lines.next().filter(|uri| !uri.starts_with('#'));
                    let uri = uri.unwrap_or_else(|| panic!("a variant without a URI\n{text}")).to_owned();
                    playlist.variants.push(Variant { attributes: attributes(value), uri });
                }
                _ => panic!("unknown tag {line}\n{text}"),
            }
        }
        assert!(!playlist.variants.is_empty(), "{text}");
        let grouped = playlist.variants.iter().any(|variant| variant.attributes.contains_key("AUDIO"));
        assert_eq!(grouped, !playlist.audio.is_empty(), "{text}");
        playlist
    }
}

fn number(value: &str) -> u64 {
    value.parse().unwrap_or_else(|e| panic!("{value}: {e}"))
}

/// An attribute list (§4.2), without the quotes.
fn attributes(list: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut rest = list;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').unwrap_or_else(|| panic!("{list}"));
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or_else(|| panic!("{list}")),
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        assert!(found.insert(name.to_owned(), value.to_owned()).is_none(), "{name} comes twice in {list}");
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    found
}
