//! When tracks are announced.
//!
//! Tracks are announced in front of the first sample, for a first key frame may correct what was
//! declared. If one still waits for a configuration inside its frames, everything is held back
//! until it has come, so that the first fragment is not cut in two; but only up to a limit, so
//! that a track that never comes stops nobody.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Event;
use crate::Track;
use crate::elementary::Elementary;

/// So many bytes of samples wait at most for the configuration of another track: a second or two of
/// the usual camera.
pub const MAX_HELD_BYTES: usize = 1024 * 1024;
/// So many events wait at most for the configuration of another track: two seconds of sound.
pub const MAX_HELD_EVENTS: usize = 100;

/// What has been announced, and what waits for it.
#[derive(Debug, Default)]
pub(super) struct Announcement {
    announced: Option<Arc<[Track]>>,
    /// Whether events are held back until a sample comes and all tracks are usable.
    holding: bool,
    held: VecDeque<Event>,
    held_bytes: usize,
}

impl Announcement {
    /// The set of tracks is another one.
    pub(super) fn declared(&mut self) {
        self.holding = true;
    }

    /// One of the tracks has become usable, or has another configuration.
    pub(super) fn changed(&mut self, tracks: &[Elementary], ready: &mut VecDeque<Event>) {
        if !self.holding {
            self.announce(tracks, ready);
        }
    }

    /// Hands an event on, now or when the wait is over.
    pub(super) fn pass(&mut self, event: Event, tracks: &[Elementary], ready: &mut VecDeque<Event>) {
        if !self.holding {
            ready.push_back(event);
            return;
        }
        let mut over = false;
        if let Event::Sample(sample) = &event {
            self.held_bytes += sample.data.len();
            over = tracks.iter().all(|track| track.track().is_some());
        }
        self.held.push_back(event);
        if over || self.held_bytes > MAX_HELD_BYTES || self.held.len() > MAX_HELD_EVENTS {
            self.release(tracks, ready);
        }
    }

    /// Ends the wait: announces what is usable, and hands on what was held.
    pub(super) fn release(&mut self, tracks: &[Elementary], ready: &mut VecDeque<Event>) {
        if std::mem::take(&mut self.holding) {
            self.announce(tracks, ready);
            ready.append(&mut self.held);
            self.held_bytes = 0;
        }
    }

    fn announce(&mut self, tracks: &[Elementary], ready: &mut VecDeque<Event>) {
        let usable: Arc<[Track]> = tracks.iter().filter_map(|track| track.track().cloned()).collect();
        if usable.is_empty() || self.announced.as_ref() == Some(&usable) {
            return;
        }
        self.announced = Some(usable.clone());
        ready.push_back(Event::Tracks(usable));
    }
}
