//! What live playlists of a stream have said and must keep to: how many discontinuities lie before
//! the first segment, so that segments keep their discontinuity sequence numbers while the playlist
//! slides (RFC 8216 §6.2.2), and the target duration, which must not change (§6.2.1).
//!
//! It knows what live playlists have shown since the server started, and nothing of what was
//! stored before.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use kinora_base::{StreamName, WallTime};
use kinora_store::Stream;

use super::{Entry, Window};

/// What a live playlist says besides its segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continuity {
    /// The discontinuity sequence number of its first segment.
    pub first_era: u64,
    /// The longest that any live playlist of the stream has said. It changes only where a stream
    /// brings a longer fragment than it had: nobody can know that beforehand, and a segment above
    /// the target duration would be worse (§4.3.3.1).
    pub target_duration_s: u64,
}

/// The eras of all streams that are watched live. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Eras {
    streams: Arc<Mutex<HashMap<(StreamName, WallTime), Breaks>>>,
}

/// Streams remembered before all are forgotten and counted anew, from higher numbers on.
const MAX_STREAMS: usize = 8192;
/// Breaks remembered of each stream: more than fit between any two playlists that share a segment.
const MAX_BREAKS: usize = 256;

impl Eras {
    /// What a live playlist over `window` of `stream` says.
    pub(super) fn shown(&self, stream: &Stream, window: &Window) -> Continuity {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (stream.name().clone(), stream.created());
        if streams.len() >= MAX_STREAMS && !streams.contains_key(&key) {
            streams.clear();
        }
        let breaks = streams.entry(key).or_default();
        breaks.target_duration_s = breaks.target_duration_s.max(window.target_duration_s());
        Continuity { first_era: breaks.first(&window.entries), target_duration_s: breaks.target_duration_s }
    }
}

/// Where the timeline of one stream broke.
#[derive(Debug, Default)]
struct Breaks {
    /// Number of the era before the first of `at`.
    base: u64,
    /// Ordinals of the fragments that begin an era, in order.
    at: VecDeque<u64>,
    /// Ordinal of the newest fragment that was shown; none at first.
    shown_to: Option<u64>,
    /// The longest target duration that was shown.
    target_duration_s: u64,
}

impl Breaks {
    fn first(&mut self, entries: &[Entry]) -> u64 {
        let Some(first) = entries.first().map(|entry| entry.fragment.ordinal) else { return self.base };
        match self.shown_to {
            // There were at most so many breaks before it, so numbers go up even over a restart
            // of the server, which forgets them.
            None => (self.base, self.shown_to) = (first, Some(first)),
            // What lies between was shown to nobody: one break stands for it.
            Some(shown_to) if first > shown_to => {
                self.at.push_back(first);
                self.shown_to = Some(first);
            }
            Some(_) => {}
        }
        for entry in entries.iter().skip(1) {
            if self.shown_to < Some(entry.fragment.ordinal) {
                self.shown_to = Some(entry.fragment.ordinal);
                if entry.discontinuity {
                    self.at.push_back(entry.fragment.ordinal);
                }
            }
        }
        while self.at.len() > MAX_BREAKS {
            self.at.pop_front();
            self.base += 1;
        }
        self.base + self.at.iter().take_while(|ordinal| **ordinal <= first).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use kinora_base::FragmentNumber;
    use kinora_store::{ConfigurationId, Flags, Fragment, State};

    use super::*;

    /// A window over these ordinals whose timeline breaks at some of them.
    fn window(ordinals: std::ops::Range<u64>, breaks: &[u64]) -> Vec<Entry> {
        let entry = |ordinal| Entry {
            fragment: Fragment {
                number: FragmentNumber::new(ordinal + 1).unwrap(),
                ordinal,
                producer_time: WallTime::EARLIEST,
                server_time: WallTime::EARLIEST,
                media_us: 0,
                duration_us: 1,
                bytes: 1,
                configuration: ConfigurationId(1),
                flags: Flags::default(),
                content_crc: 0,
                discontinuities: 0,
                state: State::Persisted,
            },
            discontinuity: breaks.contains(&ordinal),
        };
        ordinals.map(entry).collect()
    }

    #[test]
    fn a_break_counts_once_it_is_before_or_at_the_first_segment() {
        let mut breaks = Breaks::default();
        let at = [3, 5, 6];
        let firsts: Vec<u64> = (0..8).map(|first| breaks.first(&window(first..first + 4, &at))).collect();
        assert_eq!(firsts, [0, 0, 0, 1, 1, 2, 3, 3]);
        // A playlist that was made earlier and arrives later says what it would have said then.
        assert_eq!(breaks.first(&window(4..8, &at)), 1);
    }

    #[test]
    fn what_nobody_saw_is_one_break_and_a_restart_never_counts_down() {
        let mut breaks = Breaks::default();
        assert_eq!(breaks.first(&window(10..14, &[12])), 10);
        assert_eq!(breaks.first(&window(100..104, &[])), 12);
        assert_eq!(Breaks::default().first(&window(101..105, &[])), 101);
    }

    #[test]
    fn memory_is_bounded_and_numbers_hold() {
        let mut breaks = Breaks::default();
        for first in 0..1000 {
            let all: Vec<u64> = (first..first + 4).collect();
            assert_eq!(breaks.first(&window(first..first + 4, &all)), first);
        }
        assert_eq!(breaks.at.len(), MAX_BREAKS);
    }
}
