//! Opening one stream: what its files and the index say, made into what is kept in memory.

mod files;
mod segments;
mod store;
mod survey;
mod trusted;

pub(crate) use files::Files;
pub(crate) use store::open_streams;
pub(crate) use survey::Survey;
pub(crate) use trusted::survey;

use std::io;
use std::path::Path;
use std::sync::Arc;

use kinora_base::{FragmentNumber, StreamName, WallTime};

use self::files::{created, unknown_version};
use crate::configurations::Configurations;
use crate::disk::{read_small, sync_failed};
use crate::duplicates::Newest;
use crate::error::{is_full, is_local};
use crate::format::{CleanStream, FileName, KeyFile, Malformed, RetentionFile};
use crate::index::{SegmentRow, StreamRow, Watermark};
use crate::kept::Kept;
use crate::keys::StreamKeys;
use crate::ledger::{Cause, Ledger, Stop};
use crate::segment::{Appender, LoadFailed, Recovered, Sealed};
use crate::segments::Open;
use crate::server_time::ServerTime;
use crate::state::{NUMBERS_IN_FLIGHT, State, Sums};
use crate::stream::Lanes;
use crate::volume::Volume;
use crate::{Damage, DamagedPlace, Error, Foreign, Recovery, Stream};

/// Why a stream could not be opened.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Its own files cannot be used. That is no other stream's business.
    Stream(Error),
    /// The index or the volume cannot be used, by any stream.
    All(Error),
}

impl Failed {
    /// The operating system refused to do `what`, which changes something, with `path`. Unless that
    /// is about this one place or for want of room, the volume is not one to go on with.
    fn change(what: &str, path: &Path, error: &io::Error) -> Self {
        let failed = Error::io(what, path, error);
        if is_local(error) || is_full(error) { Self::Stream(failed) } else { Self::All(failed) }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Stream(error)
    }
}

/// What the store knew of a stream before its files were looked at.
struct Known {
    row: Option<StreamRow>,
    /// How an orderly shutdown left it.
    clean: Option<CleanStream>,
    watermark: Option<Watermark>,
    /// When the store was last seen open, as far as the index knows.
    last_seen: Option<WallTime>,
    damages: Vec<DamagedPlace>,
}

/// Fills the index with what the files of the stream `name` say. No segment is changed.
pub(crate) fn index_stream(
    volume: &Arc<Volume>,
    name: &StreamName,
    report: &mut Recovery,
) -> Result<(), Failed> {
    let folder = volume.stream_folder(name);
    let files = Files::list(volume.disk.as_ref(), &folder)?;
    let Some(created) = created(volume, name, &files)? else { return Ok(()) };
    let id = volume.database.add_stream(name, created).map_err(Failed::All)?;
    let mut opening = Opening { volume, name, folder: &folder, id, report, kept: Kept::default() };
    opening.kept = opening.kept()?;
    opening.reconcile(&files)?;
    files.open.iter().try_for_each(|first| opening.index_open_segment(*first))
}

/// Opens the stream `name`; none if its folder holds nothing, which an interrupted creation leaves.
fn open_stream(
    (volume, lanes): (&Arc<Volume>, &Lanes),
    name: &StreamName,
    known: Known,
    report: &mut Recovery,
) -> Result<Option<Stream>, Failed> {
    let folder = volume.stream_folder(name);
    let mut files = match trusted::files(volume, name, &known)? {
        Some(files) => files,
        None => Files::list(volume.disk.as_ref(), &folder)?,
    };
    report.foreign.append(&mut files.foreign);
    let Some(created) = created(volume, name, &files)? else {
        if !report.foreign.is_empty() {
            let path = folder.strip_prefix(&volume.folder).unwrap_or(&folder).to_owned();
            report.foreign = vec![Foreign { path, reason: "is a folder without any file of a stream" }];
            return Ok(None);
        }
        let removed = files.remnants.iter().try_for_each(|path| volume.disk.remove_file(path));
        removed
            .and_then(|()| volume.disk.remove_folder(&folder))
            .map_err(|e| Failed::change("remove", &folder, &e))?;
        return Ok(None);
    };
    if known.clean.is_none() {
        // A process that was killed may have left names unsynced; they are served from now on.
        let synced = volume.disk.sync_folder(&folder).map_err(sync_failed);
        synced.map_err(|error| Failed::change("sync", &folder, &error))?;
    }
    let id = match known.row.as_ref().filter(|row| row.created == created) {
        Some(row) => row.id,
        None => volume.database.add_stream(name, created).map_err(Failed::All)?,
    };
    let watermark = known.watermark.filter(|_| known.row.is_some_and(|row| row.id == id));
    let mut opening = Opening { volume, name, folder: &folder, id, report, kept: Kept::default() };
    opening.kept = opening.kept()?;
    let keys = opening.keys(created)?;
    if !files.trusted {
        opening.reconcile(&files)?;
    }
    let mut newest = None;
    for (position, first) in files.open.iter().enumerate() {
        let is_newest = position + 1 == files.open.len();
        let clean = known.clean.as_ref().filter(|clean| clean.open_first == *first);
        newest = opening.open_segment(*first, is_newest, clean, watermark)?.or(newest);
    }
    if let Some(clean) = known.clean.as_ref().filter(|clean| clean.open_first > 0) {
        opening.require_open(clean.open_first, &files);
    }
    let crashed = known.clean.is_none();
    let (mut state, appender) = opening.state(newest, known.clean, &keys)?;
    opening.resume_ledger(&mut state, crashed, known.last_seen)?;
    let places = opening.places();
    let stream = Stream::new((volume, lanes), name, created, id, keys, (state, appender));
    if !places.is_empty() {
        volume.database.add_damages(id, &places).map_err(Failed::All)?;
    }
    stream.know(known.damages.into_iter().chain(places).collect());
    stream.measure()?;
    Ok(Some(stream))
}

struct Opening<'a> {
    volume: &'a Arc<Volume>,
    name: &'a StreamName,
    folder: &'a Path,
    id: i64,
    report: &'a mut Recovery,
    kept: Kept,
}

impl Opening<'_> {
    /// Reports damage in the file at `path`.
    fn damage(&mut self, path: &Path, offset: u64, number: Option<u64>, message: String) {
        let file = path.strip_prefix(&self.volume.folder).unwrap_or(path).to_owned();
        self.report.damages.push(Damage {
            stream: Some(self.name.clone()),
            file,
            offset,
            fragment: number.and_then(FragmentNumber::new),
            message,
        });
    }

    /// The stream's data keys; those that are lost are reported.
    fn keys(&mut self, created: WallTime) -> Result<StreamKeys, Error> {
        let (disk, ring) = (self.volume.disk.as_ref(), self.volume.options.keys.as_ref());
        let (keys, lost) = StreamKeys::load(disk, self.folder, (self.name, created), ring)?;
        for reason in lost {
            self.damage(&self.folder.join(KeyFile::NAME), 0, None, reason);
        }
        Ok(keys)
    }

    /// Reports why a sealed segment could not be loaded.
    fn load_damage(&mut self, path: &Path, failed: LoadFailed) {
        let (offset, message) = match failed {
            LoadFailed::Damaged(offset, reason) => (offset, format!("the segment {reason}")),
            LoadFailed::Missing => (0, "the file is missing".to_owned()),
            LoadFailed::Io(error) => (0, error.to_string()),
        };
        self.damage(path, offset, None, message);
    }

    /// The damaged places found so far, as they are remembered.
    fn places(&self) -> Vec<DamagedPlace> {
        let found = self.volume.clock.wall();
        let place = |damage: &Damage| {
            let file = damage.file.file_name()?.to_str()?.to_owned();
            let segment = match FileName::parse(&file.replace(".damaged", ".open")) {
                Some(FileName::Segment(name)) => name.first(),
                _ => 0,
            };
            let (offset, reason) = (damage.offset, damage.message.clone());
            Some(DamagedPlace { segment, file, offset, fragment: damage.fragment, reason, found })
        };
        self.report.damages.iter().filter_map(place).collect()
    }

    /// What the stream shall keep. If that cannot be read, nothing expires until it is set anew.
    fn kept(&mut self) -> Result<Kept, Error> {
        let path = self.folder.join(RetentionFile::NAME);
        let content = read_small(self.volume.disk.as_ref(), &path, RetentionFile::LONGEST)
            .map_err(|error| Error::io("read", &path, &error))?;
        match content.as_deref().map(RetentionFile::decode) {
            None => Ok(Kept::default()),
            Some(Ok(file)) => Ok(Kept::of(file)),
            Some(Err(Malformed::Version(version))) => Err(unknown_version(&path, version)),
            Some(Err(reason)) => {
                let message = format!("what the stream shall keep cannot be read: the file {reason}");
                self.damage(&path, 0, None, format!("{message}; nothing expires until limits are set"));
                Ok(Kept { suspended: Some(message), ..Kept::default() })
            }
        }
    }

    /// What is kept in memory, given the open segment and how an orderly shutdown left the stream.
    fn state(
        &mut self,
        open: Option<Recovered>,
        clean: Option<CleanStream>,
        keys: &StreamKeys,
    ) -> Result<(State, Option<Appender>), Failed> {
        let database = &self.volume.database;
        let known = database.newest_configurations(self.id, Configurations::KEPT).map_err(Failed::All)?;
        let after_known = known.last().map_or(1, |(id, _)| id + 1).max(self.kept.expired.next_configuration);
        // One that cannot be read gets another identifier when it comes again.
        let readable = |(id, record): (u32, _)| Some((id, keys.configuration(&record).ok()?));
        let known: Vec<_> = known.into_iter().filter_map(readable).collect();
        let mut state = State::new(match &clean {
            Some(clean) => Configurations::new(known, clean.next_configuration.max(after_known), 0),
            None => Configurations::new(known, after_known, Configurations::MOST_IN_FLIGHT),
        });
        state.kept = std::mem::take(&mut self.kept);
        let expired = state.kept.expired;
        state.recorded = expired.spent;
        state.epoch = expired.epoch;
        state.next_ordinal = expired.next_ordinal;
        if let Some(row) = database.stream(self.id).map_err(Failed::All)? {
            state.longest_producer_us = row.longest_producer_us;
            state.longest_server_us = row.longest_server_us;
            state.kept.expired.floor = state.kept.expired.floor.max(row.floor);
            state.last_received = row.totals.map(|totals| totals.server_last);
            state.sums = row.totals.map(Sums::from).unwrap_or_default();
            state.sums.longest_us = row.longest_fragment_us;
        }
        let has_segments = open.is_some() || state.sums.fragments > 0 || expired.spent > 0;
        let newest = database.segments_by_number(self.id, 0, u64::MAX, true, Newest::MAX_SEGMENTS);
        let mut newest = newest.map_err(Failed::All)?.into_iter();
        if let Some(row) = newest.next() {
            let in_newest = u64::from(row.count) + open.as_ref().map_or(0, |open| open.entries.len() as u64);
            self.remember_older(&mut state, newest, in_newest);
            self.resume_sealed(&mut state, row)?;
        }
        let appender = open.map(|recovered| {
            state.next_ordinal = recovered.next_ordinal.max(state.next_ordinal);
            state.recorded = recovered.appender.spent.max(state.recorded);
            state.epoch = recovered.appender.epoch.max(state.epoch);
            state.last_received = recovered.newest().or(state.last_received);
            let open = Open::new(&recovered.appender, recovered.entries);
            for fragment in open.fragments() {
                state.sums.add(&fragment);
                state.discontinuities = state.discontinuities.max(fragment.discontinuities);
                state.newest.push(fragment);
            }
            state.segments.open = Some(open);
            recovered.appender
        });
        state.next_number = match &clean {
            Some(clean) => clean.next_number.max(state.recorded + 1),
            // Without any record nobody ever had the right to write.
            None if !has_segments => 1,
            None => state.recorded + 1 + NUMBERS_IN_FLIGHT,
        };
        let monotonic = self.volume.clock.monotonic();
        state.server_time = ServerTime::after(state.last_received, monotonic);
        state.grounded = has_segments && state.recorded + NUMBERS_IN_FLIGHT >= state.next_number;
        state.epoch = clean.map_or(0, |clean| clean.epoch).max(state.epoch);
        Ok((state, appender))
    }

    /// Remembers fragments of segments before the newest, as long as fewer than enough are `known`
    /// from later ones.
    fn remember_older(
        &self,
        state: &mut State,
        newest_first: impl Iterator<Item = SegmentRow>,
        mut known: u64,
    ) {
        let mut wanted: Vec<SegmentRow> = newest_first
            .take_while(|row| {
                let needed = known < Newest::COUNT as u64;
                known += u64::from(row.count);
                needed
            })
            .collect();
        while let Some(row) = wanted.pop() {
            // What cannot be read is for `verify` to tell; a repeat of it is stored again.
            if let Ok(sealed) = Sealed::load(self.volume.disk.as_ref(), &self.folder.join(row.file_name())) {
                sealed.fragments().for_each(|fragment| state.newest.push(fragment));
            }
        }
    }

    /// Takes over the newest stop. If there is none behind the last fragment after a crash, the
    /// stream was being written, and what ended it was the crash.
    fn resume_ledger(
        &mut self,
        state: &mut State,
        crashed: bool,
        last_seen: Option<WallTime>,
    ) -> Result<(), Error> {
        let newest = self.volume.database.newest_stop(self.id)?;
        let written = state.sums.numbers.map_or(0, |(_, last)| last.get());
        let ended = newest.as_ref().is_some_and(|stop| stop.number >= written);
        state.ledger = Ledger::new(newest);
        let Some(end) = state.newest_end().filter(|_| crashed && !ended) else { return Ok(()) };
        let noticed = last_seen.max(state.last_received).unwrap_or(end);
        let stop =
            Stop::new((end, noticed), Cause::ServerDown, "the server ended without notice", state.recorded);
        state.ledger.add(stop);
        Ok(())
    }

    /// Takes over what the newest sealed segment tells.
    fn resume_sealed(&mut self, state: &mut State, row: SegmentRow) -> Result<(), Error> {
        state.next_ordinal = state.next_ordinal.max(row.first_ordinal + u64::from(row.count));
        state.recorded = state.recorded.max(row.spent);
        state.epoch = state.epoch.max(row.epoch);
        let path = self.folder.join(row.file_name());
        match Sealed::load_or_salvage(self.volume.disk.as_ref(), &path, self.name, Some(&row)) {
            Ok((sealed, flaws)) => {
                for flaw in flaws {
                    self.damage(&path, flaw.offset, flaw.number, flaw.reason);
                }
                let newest = sealed.footer.entries.last();
                state.discontinuities = newest.map_or(0, |entry| entry.discontinuities);
                let skip = sealed.footer.entries.len().saturating_sub(Newest::COUNT);
                for fragment in sealed.fragments().skip(skip) {
                    state.newest.push(fragment);
                }
                state.segments.full.push_back(Arc::new(sealed));
                Ok(())
            }
            Err(LoadFailed::Io(error)) => Err(Error::io("read", &path, &error)),
            Err(failed) => {
                self.load_damage(&path, failed);
                Ok(())
            }
        }
    }
}
