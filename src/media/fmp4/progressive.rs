//! Which sample comes next in a movie that is not in fragments: a cursor over each track's tables,
//! merged by where the bytes are.
//!
//! It keeps a few numbers per track, however long the movie is.

use super::boxes::broken;
use super::movie::{Movie, MovieTrack};
use super::planned::{Planned, RAW_SAMPLES_PER_FRAME};
use super::table::Tables;
use crate::Error;

/// The tracks' cursors.
#[derive(Debug, Default)]
pub(super) struct Merge {
    cursors: Vec<Cursor>,
}

/// Where one track has got to.
#[derive(Debug)]
struct Cursor {
    track: usize,
    /// The sample that `head` begins with, from 0.
    sample: u32,
    head: Option<Planned>,
    /// How many samples `head` is.
    head_samples: u32,
    /// What is added to chunk offsets: where the file begins in the input.
    origin: u64,
    /// The chunk that `sample` is in, from 1, how many samples of it are left, and where the next
    /// one begins.
    chunk: u32,
    left_in_chunk: u32,
    data: u64,
    /// Places in the tables, and what is left of the entries there.
    chunk_run: usize,
    description: u32,
    duration_place: usize,
    durations_left: u32,
    duration: u32,
    dts_ticks: u64,
    composition_place: usize,
    compositions_left: u32,
    composition: i32,
    sync_place: usize,
}

impl Merge {
    /// Cursors at the first sample of each track of `movie`, whose offsets count from `origin`.
    pub(super) fn new(movie: &Movie, origin: u64) -> Result<Self, Error> {
        let mut cursors = Vec::new();
        for (place, track) in movie.tracks.iter().enumerate().filter(|(_, track)| !track.tables.is_empty()) {
            let mut cursor = Cursor::new(place, origin);
            cursor.load(track)?;
            cursors.push(cursor);
        }
        Ok(Self { cursors })
    }

    /// The next sample in the order of bytes.
    pub(super) fn next(&mut self, movie: &Movie) -> Result<Option<Planned>, Error> {
        let heads = self.cursors.iter_mut().filter_map(|cursor| Some((cursor.head?, cursor)));
        let Some((planned, cursor)) = heads.min_by_key(|(head, _)| head.offset) else { return Ok(None) };
        let Some(track) = movie.tracks.get(planned.track) else { return Ok(None) };
        cursor.advance();
        cursor.load(track)?;
        Ok(Some(planned))
    }
}

impl Cursor {
    const fn new(track: usize, origin: u64) -> Self {
        Self {
            track,
            sample: 0,
            head: None,
            head_samples: 0,
            origin,
            chunk: 0,
            left_in_chunk: 0,
            data: 0,
            chunk_run: 0,
            description: 1,
            duration_place: 0,
            durations_left: 0,
            duration: 0,
            dts_ticks: 0,
            composition_place: 0,
            compositions_left: 0,
            composition: 0,
            sync_place: 0,
        }
    }

    /// Puts the next sample that has bytes into `head`; none at the end.
    fn load(&mut self, track: &MovieTrack) -> Result<(), Error> {
        let tables = &track.tables;
        self.head = None;
        while self.sample < tables.sizes.count {
            self.enter_chunk(tables)?;
            self.enter_times(tables);
            let Some(size) = tables.sizes.size(self.sample) else { return Ok(()) };
            self.head_samples = 1;
            if tables.raw && tables.sizes.even != 0 {
                let left = tables.sizes.count - self.sample;
                self.head_samples =
                    left.min(self.left_in_chunk).min(self.durations_left).clamp(1, RAW_SAMPLES_PER_FRAME);
            }
            let planned = Planned {
                track: self.track,
                description: self.description,
                offset: self.data,
                size: size.saturating_mul(self.head_samples),
                // `Tables::check` made sure that the sum of all durations fits.
                dts_ticks: i64::try_from(self.dts_ticks).unwrap_or(i64::MAX),
                composition_ticks: self.composition,
                duration_ticks: self.duration.saturating_mul(self.head_samples),
                sync: self.is_sync(tables),
            };
            if size > 0 {
                if self.data.checked_add(planned.size.into()).is_none() {
                    return Err(broken(tables.offset, "a chunk leads beyond 2^64 bytes"));
                }
                self.head = Some(planned);
                return Ok(());
            }
            // An empty sample only takes time.
            self.advance();
        }
        Ok(())
    }

    /// Moves behind the samples that `head_samples` counts.
    fn advance(&mut self) {
        let samples = self.head_samples;
        let bytes = self.head.map_or(0, |head| u64::from(head.size));
        self.sample += samples;
        self.left_in_chunk -= samples.min(self.left_in_chunk);
        self.data = self.data.saturating_add(bytes);
        self.dts_ticks = self.dts_ticks.saturating_add(u64::from(self.duration) * u64::from(samples));
        self.durations_left -= samples.min(self.durations_left);
        self.compositions_left -= samples.min(self.compositions_left);
    }

    /// Moves on to the next chunk that has samples, if the present one has none left.
    fn enter_chunk(&mut self, tables: &Tables) -> Result<(), Error> {
        while self.left_in_chunk == 0 {
            self.chunk += 1;
            // A run holds up to the chunk where the next one begins (§8.7.4).
            while let Some([next, ..]) = tables.chunk_runs.words(self.chunk_run + 1)
                && next <= self.chunk
            {
                self.chunk_run += 1;
            }
            let place = tables.chunks.number(self.chunk as usize - 1);
            let (Some([_, samples, description]), Some(offset)) =
                (tables.chunk_runs.words(self.chunk_run), place)
            else {
                return Err(broken(tables.offset, format!("sample {} is in no chunk", self.sample + 1)));
            };
            self.left_in_chunk = samples;
            self.description = description;
            self.data = self
                .origin
                .checked_add(offset)
                .ok_or_else(|| broken(tables.offset, "a chunk begins beyond 2^64 bytes"))?;
        }
        Ok(())
    }

    /// Moves on to the next entries of `stts` and `ctts` that count samples.
    fn enter_times(&mut self, tables: &Tables) {
        while self.durations_left == 0 {
            let Some((count, duration)) = tables.durations.pair(self.duration_place) else { break };
            self.duration_place += 1;
            (self.durations_left, self.duration) = (count, duration);
        }
        while self.compositions_left == 0 {
            let Some((count, composition)) = tables.compositions.pair(self.composition_place) else {
                self.composition = 0;
                break;
            };
            self.composition_place += 1;
            // Read as signed in both versions, as in `fragment`.
            (self.compositions_left, self.composition) = (count, composition.cast_signed());
        }
    }

    fn is_sync(&mut self, tables: &Tables) -> bool {
        let Some(syncs) = &tables.syncs else { return true };
        let number = u64::from(self.sample) + 1;
        while let Some(sync) = syncs.number(self.sync_place) {
            if sync >= number {
                return sync == number;
            }
            self.sync_place += 1;
        }
        false
    }
}
