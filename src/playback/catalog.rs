//! What is remembered of streams between requests: their codec configurations, decoded once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kinora_base::{ErrorKind, StreamName, WallTime};
use kinora_media::{Track, TrackKind, configuration};
use kinora_store::{ConfigurationId, Error, Flags, Fragment, Stream};

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
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    known: HashMap<Key, Arc<Known>>,
    /// What they take, see [`Known::memory_bytes`].
    bytes: usize,
}

/// Bytes of configurations remembered before all are forgotten and read again as they are needed: those
/// of ten thousand usual cameras. A producer may make one of a megabyte, and thousands of them.
const MOST_BYTES: usize = 16 << 20;

/// What a track takes beside its configuration and its names, roughly.
const TRACK_BYTES: usize = 512;

impl Catalog {
    /// The configuration `id` of `stream`. Blocks when it is asked for the first time.
    ///
    /// # Errors
    /// Whatever the store reports, and `Corrupt` if the bytes are no configuration.
    pub fn known(&self, stream: &Stream, id: ConfigurationId) -> Result<Arc<Known>, Error> {
        let key = (stream.name().clone(), stream.created(), id);
        if let Some(known) = self.lock().known.get(&key) {
            return Ok(Arc::clone(known));
        }
        let tracks = configuration::decode(&stream.configuration(id)?).map_err(|error| {
            let message = format!("configuration {} of stream {}: {error}", id.0, stream.name());
            Error::new(ErrorKind::Corrupt, message)
        })?;
        let presentation = Presentation::of(&tracks);
        let known = Arc::new(Known { tracks, presentation, id, frame_rate: OnceLock::new() });
        self.lock().keep(key, &known);
        Ok(known)
    }

    /// The configuration `id` of `stream`, or nothing if it is lost: for whatever can do without, so
    /// that one damaged place does not hide all the rest.
    ///
    /// # Errors
    /// Whatever else the store reports.
    pub fn readable(&self, stream: &Stream, id: ConfigurationId) -> Result<Option<Arc<Known>>, Error> {
        match self.known(stream, id) {
            Ok(known) => Ok(Some(known)),
            Err(error) if matches!(error.kind, ErrorKind::Corrupt | ErrorKind::NotFound) => {
                tracing::warn!(%error, "a codec configuration is lost");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What HLS makes of every configuration of a window, in the order of first use. For playlists:
    /// tracks come without their codec configurations, and of one that is lost nothing can be played,
    /// which is no reason to play nothing of the others.
    ///
    /// # Errors
    /// Whatever else the store reports.
    pub fn presentations(
        &self,
        stream: &Stream,
        window: &Window,
    ) -> Result<Vec<(ConfigurationId, Presentation)>, Error> {
        let (mut seen, mut found) = (HashSet::new(), Vec::new());
        for entry in &window.entries {
            let id = entry.fragment.configuration;
            if seen.insert(id) {
                let known = self.readable(stream, id)?;
                let presentation = known.map_or_else(
                    || Presentation::of(&[]),
                    |known| known.presentation.without_configurations(),
                );
                found.push((id, presentation));
            }
        }
        Ok(found)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        // Every critical section leaves the map whole, so a poisoned lock is still sound.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep(&mut self, key: Key, known: &Arc<Known>) {
        let bytes = known.memory_bytes();
        if self.bytes.saturating_add(bytes) > MOST_BYTES {
            self.known.clear();
            self.bytes = 0;
        }
        if self.known.insert(key, Arc::clone(known)).is_none() {
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }
}

impl Known {
    /// The memory it takes, roughly: what a producer can make large counts.
    fn memory_bytes(&self) -> usize {
        let of_track = |track: &Track| {
            // Names are in the presentation once more.
            TRACK_BYTES + track.configuration.len() + 2 * (track.name.len() + track.language.len())
        };
        self.tracks.iter().map(of_track).sum()
    }

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
    use kinora_media::{Codec, Shape};

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
    #[test]
    fn large_configurations_are_forgotten_before_they_fill_the_memory() {
        let known = |id| {
            let track = Track {
                number: 1,
                codec: Codec::H264,
                timescale: 1000,
                configuration: vec![0; 1 << 20].into(),
                shape: Shape::Video { width: 640, height: 360 },
                reorder_depth: 0,
                default_duration_ticks: 0,
                language: String::new(),
                name: String::new(),
            };
            let presentation = Presentation::of(std::slice::from_ref(&track));
            let (id, frame_rate) = (ConfigurationId(id), OnceLock::new());
            Arc::new(Known { tracks: vec![track], presentation, id, frame_rate })
        };
        let mut kept = Kept::default();
        let name = StreamName::new("cam").unwrap();
        for id in 0..100 {
            kept.keep((name.clone(), WallTime::EARLIEST, ConfigurationId(id)), &known(id));
            let bytes: usize = kept.known.values().map(|known| known.memory_bytes()).sum();
            assert!(bytes == kept.bytes && bytes <= MOST_BYTES && !kept.known.is_empty(), "{id}: {bytes}");
        }
    }
}
