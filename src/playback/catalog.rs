//! What is remembered of streams between requests: their codec configurations, decoded once, and
//! what their live playlists have said.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kinora_base::{ErrorKind, StreamName, WallTime};
use kinora_media::{Track, TrackKind, configuration};
use kinora_store::{ConfigurationId, Error, Flags, Fragment, Stream};

use super::eras::{Continuity, Eras};
use super::{Presentation, Window, frame_rate, head};

/// One configuration of one stream, decoded.
#[derive(Debug)]
pub struct Known {
    /// Its tracks.
    pub tracks: Vec<Track>,
    /// What HLS makes of them.
    pub presentation: Presentation,
    id: ConfigurationId,
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
        let known = Arc::new(Known { tracks, presentation, id, frame_rate: OnceLock::new() });
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
    /// Pictures per second of the first video track: measured once, on the last of `fragments`
    /// that is whole. May read its head: blocks.
    pub fn frame_rate<'a>(
        &self,
        stream: &Arc<Stream>,
        fragments: impl DoubleEndedIterator<Item = &'a Fragment>,
    ) -> Option<f64> {
        if let Some(rate) = self.frame_rate.get() {
            return Some(*rate);
        }
        let track = self.tracks.iter().find(|track| track.kind() == TrackKind::Video)?;
        let measured = measurable(fragments, self.id)?;
        let head = head(&stream.read(measured.number).ok()?).ok()?;
        let rate = frame_rate(&head, track)?;
        Some(*self.frame_rate.get_or_init(|| rate))
    }
}

/// The last fragment with this configuration that is whole: the last picture of one that broke
/// off lasts as long as was guessed, and may be the only one.
fn measurable<'a>(
    mut fragments: impl DoubleEndedIterator<Item = &'a Fragment>,
    id: ConfigurationId,
) -> Option<&'a Fragment> {
    fragments.rfind(|fragment| fragment.configuration == id && !fragment.flags.has(Flags::PARTIAL))
}

#[cfg(test)]
mod tests {
    use kinora_base::FragmentNumber;
    use kinora_store::State;

    use super::*;

    #[test]
    fn rates_are_measured_on_the_newest_whole_fragment_of_their_configuration() {
        let fragment = |number, configuration, flags| Fragment {
            number: FragmentNumber::new(number).unwrap(),
            ordinal: number - 1,
            producer_time: WallTime::EARLIEST,
            server_time: WallTime::EARLIEST,
            media_us: 0,
            duration_us: 1,
            bytes: 1,
            configuration: ConfigurationId(configuration),
            flags,
            content_crc: 0,
            discontinuities: 0,
            state: State::Persisted,
        };
        let whole = Flags::KEY_FRAME_START;
        let broken = whole.with(Flags::PARTIAL);
        let all =
            [fragment(1, 1, whole), fragment(2, 1, whole), fragment(3, 1, broken), fragment(4, 2, whole)];
        let measured = |count: usize| {
            measurable(all.iter().take(count), ConfigurationId(1)).map(|fragment| fragment.number.get())
        };
        assert_eq!([measured(4), measured(3), measured(1), measured(0)], [Some(2), Some(2), Some(1), None]);
        assert!(measurable(all.iter().skip(2), ConfigurationId(1)).is_none());
    }
}
