//! What is remembered of streams between requests: their codec configurations, decoded once, and
//! what their live playlists have said.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kinora_base::{ErrorKind, StreamName, WallTime};
use kinora_media::packed::Payload;
use kinora_media::{Track, TrackKind, configuration};
use kinora_store::{ConfigurationId, Error, Stream};

use super::eras::{Continuity, Eras};
use super::{Presentation, Window, frame_rate};

/// One configuration of one stream, decoded.
#[derive(Debug)]
pub struct Known {
    /// Its tracks.
    pub tracks: Vec<Track>,
    /// What HLS makes of them.
    pub presentation: Presentation,
    frame_rate: OnceLock<f64>,
}

/// A stream may be deleted and made anew under its name, and then counts configurations anew.
type Key = (StreamName, WallTime, ConfigurationId);

/// See the module. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    known: Arc<Mutex<HashMap<Key, Arc<Known>>>>,
    eras: Eras,
}

/// Configurations remembered before all are forgotten and read again as they are needed.
const MAX_KNOWN: usize = 8192;

impl Catalog {
    /// The configuration `id` of `stream`. Blocks when it is asked for the first time.
    ///
    /// # Errors
    /// Whatever the store reports, and `Corrupt` if the bytes are no configuration.
    pub fn known(&self, stream: &Stream, id: ConfigurationId) -> Result<Arc<Known>, Error> {
        let key = (stream.name().clone(), stream.created(), id);
        if let Some(known) = self.lock().get(&key) {
            return Ok(Arc::clone(known));
        }
        let tracks = configuration::decode(&stream.configuration(id)?).map_err(|error| {
            let message = format!("configuration {} of stream {}: {error}", id.0, stream.name());
            Error::new(ErrorKind::Corrupt, message)
        })?;
        let presentation = Presentation::of(&tracks);
        let known = Arc::new(Known { tracks, presentation, frame_rate: OnceLock::new() });
        let mut all = self.lock();
        if all.len() >= MAX_KNOWN {
            all.clear();
        }
        all.insert(key, Arc::clone(&known));
        Ok(known)
    }

    /// Every configuration of a window, in the order of first use.
    ///
    /// # Errors
    /// As [`Self::known`].
    pub fn of_window(
        &self,
        stream: &Stream,
        window: &Window,
    ) -> Result<Vec<(ConfigurationId, Arc<Known>)>, Error> {
        let mut found: Vec<(ConfigurationId, Arc<Known>)> = Vec::new();
        for entry in &window.entries {
            let id = entry.fragment.configuration;
            if !found.iter().rev().any(|(known, _)| *known == id) {
                found.push((id, self.known(stream, id)?));
            }
        }
        Ok(found)
    }

    /// What a live playlist over `window` must keep to, which from now on includes the window.
    #[must_use]
    pub fn continuity(&self, stream: &Stream, window: &Window) -> Continuity {
        self.eras.shown(stream, window)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Known>>> {
        // Every critical section leaves the map whole, so a poisoned lock is still sound.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Pictures per second of the first video track, measured on the first payload offered.
    pub fn frame_rate(&self, payload: impl FnOnce() -> Option<Payload>) -> Option<f64> {
        if let Some(rate) = self.frame_rate.get() {
            return Some(*rate);
        }
        let track = self.tracks.iter().find(|track| track.kind() == TrackKind::Video)?;
        let rate = frame_rate(&payload()?, track)?;
        Some(*self.frame_rate.get_or_init(|| rate))
    }
}
