//! A stream's segment files and its index rows, brought into agreement.
//!
//! The files are the truth; the index follows. Nothing that was durable is changed here.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use super::files::{Files, another, unknown_version};
use super::{Failed, Opening};
use crate::Error;
use crate::disk::{DiskFile, read_full_at, sync_failed, write_all_at};
use crate::format::{CleanStream, SegmentId, StopEntry, open_name};
use crate::index::Watermark;
use crate::segment::{
    LoadFailed, Payloads, Recovered, Sealed, Sealing, Unusable, open_failed, read_configuration, read_stops,
    recover, recover_headless, seal,
};

/// What no record proves durable is written again in pieces of so many bytes.
const REWRITTEN_BYTES: usize = 1 << 20;

impl Opening<'_> {
    /// Brings the index into agreement with the names of the sealed files.
    pub(super) fn reconcile(&mut self, files: &Files) -> Result<(), Failed> {
        let database = &self.volume.database;
        let rows = database.segment_firsts(self.id).map_err(Failed::All)?;
        let rows: BTreeSet<u64> = rows.into_iter().collect();
        let mut added = Vec::new();
        for (first, name) in &files.sealed {
            if rows.contains(first) {
                continue;
            }
            let path = self.folder.join(name);
            match Sealed::load_or_salvage(self.volume.disk.as_ref(), &path, self.name, None) {
                Ok((sealed, _)) if sealed.stream != *self.name => {
                    let message = format!("the file belongs to the stream '{}'", sealed.stream);
                    self.damage(&path, 0, None, message);
                }
                Ok((sealed, flaws)) => {
                    for flaw in flaws {
                        self.damage(&path, flaw.offset, flaw.number, flaw.reason);
                    }
                    self.keep_configurations(&sealed)?;
                    let stops = &sealed.footer.stops;
                    self.copy_stops(sealed.file.as_ref(), (sealed.id, *first), stops)?;
                    added.push(sealed.row);
                }
                Err(LoadFailed::Io(error)) => return Err(Error::io("read", &path, &error).into()),
                Err(failed) => self.load_damage(&path, failed),
            }
        }
        if !added.is_empty() {
            self.report.indexed_segments += added.len() as u64;
            database.add_segments(self.id, &added).map_err(Failed::All)?;
        }
        let present: BTreeSet<u64> = files.sealed.iter().map(|(first, _)| *first).collect();
        let missing: Vec<u64> = rows.difference(&present).copied().collect();
        let mut gone = Vec::new();
        for first in &missing {
            gone.push((first, database.segment_of(self.id, *first).map_err(Failed::All)?));
        }
        if !missing.is_empty() {
            database.remove_segments(self.id, &missing).map_err(Failed::All)?;
        }
        for (first, row) in gone {
            // A segment that has its open name again was never sealed, and one that nobody may see
            // any more has expired; any other is lost.
            let expired = row.as_ref().is_some_and(|row| !self.kept.view().shows_some(row));
            if !expired && !files.open.contains(first) {
                let name = row.map(|row| row.file_name()).unwrap_or_default();
                self.damage(&self.folder.join(name), 0, None, "the file is missing".to_owned());
            }
        }
        Ok(())
    }

    /// Reports the segment that an orderly shutdown left open at `first`, if it is not there.
    pub(super) fn require_open(&mut self, first: u64, files: &Files) {
        let mut there = files.open.iter().chain(files.sealed.iter().map(|(first, _)| first));
        if !there.any(|there| *there == first) {
            self.damage(&self.folder.join(open_name(first)), 0, None, "the file is missing".to_owned());
        }
    }

    /// Copies the codec configurations of a segment into the index.
    fn keep_configurations(&mut self, sealed: &Sealed) -> Result<(), Failed> {
        let places = sealed.footer.configurations.iter().map(|place| (place.id, u64::from(place.offset)));
        self.copy_configurations(sealed.file.as_ref(), sealed.id, places.collect())
    }

    fn copy_configurations(
        &mut self,
        file: &dyn DiskFile,
        segment: SegmentId,
        places: Vec<(u32, u64)>,
    ) -> Result<(), Failed> {
        // Most are there already, and a transaction that changes nothing would still be synced.
        let indexed = self.volume.database.configuration_ids(self.id).map_err(Failed::All)?;
        let mut known = Vec::new();
        for (id, offset) in places.into_iter().filter(|(id, _)| !indexed.contains(id)) {
            // One that cannot be read is found by verify, and repeated in other segments.
            if let Ok(record) = read_configuration(file, segment, offset) {
                known.push((id, record));
            }
        }
        if known.is_empty() {
            return Ok(());
        }
        self.volume.database.add_configurations(self.id, &known).map_err(Failed::All)
    }

    /// Copies what the index holds of an open segment: its codec configurations.
    pub(super) fn index_open_segment(&mut self, first: u64) -> Result<(), Failed> {
        let path = self.folder.join(open_name(first));
        let file = self.volume.disk.open(&path, false).map_err(|error| open_failed(&path, &error))?;
        match recover(&path, file, |_| 0, Payloads::Undecided) {
            Ok(recovered) => {
                self.recovered_configurations(&recovered)?;
                Ok(self.recovered_stops(&recovered)?)
            }
            Err(Unusable::Io(error)) => Err(Error::io("read", &path, &error).into()),
            Err(Unusable::Version(version)) => Err(unknown_version(&path, version).into()),
            // The next opening deals with it.
            Err(Unusable::Header { .. }) => Ok(()),
        }
    }

    fn recovered_configurations(&mut self, recovered: &Recovered) -> Result<(), Failed> {
        let appender = &recovered.appender;
        let places = appender.configurations.iter().map(|place| (place.id, u64::from(place.offset)));
        self.copy_configurations(appender.file.as_ref(), appender.header.id, places.collect())
    }

    fn recovered_stops(&mut self, recovered: &Recovered) -> Result<(), Error> {
        let appender = &recovered.appender;
        let segment = (appender.header.id, appender.header.first);
        self.copy_stops(appender.file.as_ref(), segment, &appender.stops)
    }

    /// Copies the stops of a segment into the index, unless it has all of them.
    fn copy_stops(
        &mut self,
        file: &dyn DiskFile,
        (segment, first): (SegmentId, u64),
        places: &[StopEntry],
    ) -> Result<(), Error> {
        let database = &self.volume.database;
        if places.is_empty() || database.count_stops(self.id, first)? == places.len() {
            return Ok(());
        }
        let stops: Vec<_> = read_stops(file, segment, places)
            .into_iter()
            .map(|(offset, stop)| (first, offset, stop))
            .collect();
        database.add_stops(self.id, &stops)
    }

    /// Recovers an open segment. The newest goes on, unless it is damaged; any other is sealed.
    pub(super) fn open_segment(
        &mut self,
        first: u64,
        is_newest: bool,
        clean: Option<&CleanStream>,
        watermark: Option<Watermark>,
    ) -> Result<Option<Recovered>, Failed> {
        let disk = self.volume.disk.as_ref();
        let path = self.folder.join(open_name(first));
        let file = disk.open(&path, true).map_err(|error| open_failed(&path, &error))?;
        let durable_to = |segment: SegmentId| {
            let marked = watermark.filter(|mark| mark.segment == segment.0).map_or(0, |mark| mark.durable_to);
            marked.max(clean.map_or(0, |clean| clean.open_end))
        };
        let recovered = match recover(&path, Arc::clone(&file), durable_to, Payloads::Undecided) {
            Err(Unusable::Header { reason, holds_records: true }) => {
                let recovered =
                    recover_headless((&path, self.name), &file, reason, durable_to, Payloads::Undecided);
                recovered
                    .map_err(Unusable::from)
                    .transpose()
                    .unwrap_or(Err(Unusable::Header { reason, holds_records: true }))
            }
            recovered => recovered,
        };
        let mut recovered = match recovered {
            Ok(recovered) => recovered,
            Err(Unusable::Io(error)) => return Err(Error::io("read", &path, &error).into()),
            Err(Unusable::Version(version)) => return Err(unknown_version(&path, version).into()),
            Err(Unusable::Header { holds_records: false, .. }) if clean.is_none() => {
                // Nothing is acknowledged before the header is durable.
                disk.remove_file(&path).map_err(|error| Failed::change("remove", &path, &error))?;
                return Ok(None);
            }
            Err(Unusable::Header { reason, .. }) => {
                let aside = path.with_extension("damaged");
                disk.rename(&path, &aside).map_err(|error| Failed::change("rename", &path, &error))?;
                self.damage(&aside, 0, None, format!("the segment header {reason}; the file was set aside"));
                return Ok(None);
            }
        };
        let found = &recovered.appender.header.stream;
        if found != self.name {
            return Err(another(self.folder, self.name, (&open_name(first), found)).into());
        }
        for flaw in std::mem::take(&mut recovered.flaws) {
            self.report.damaged_segments.insert(path.clone());
            self.damage(&path, flaw.offset, flaw.number, flaw.reason);
        }
        let damaged = self.report.damaged_segments.contains(&path);
        self.recovered_configurations(&recovered)?;
        self.recovered_stops(&recovered)?;
        if clean.is_none() && !damaged {
            let cut = make_durable(&mut recovered);
            cut.map_err(|error| Failed::change("cut", &path, &error))?;
            self.report.discarded_bytes += recovered.torn_bytes;
        }
        if is_newest && !damaged {
            return Ok(Some(recovered));
        }
        if recovered.entries.is_empty() {
            let aside = path.with_extension(if damaged { "damaged" } else { "empty" });
            let moved = if damaged { disk.rename(&path, &aside) } else { disk.remove_file(&path) };
            moved.map_err(|error| Failed::change("set aside", &path, &error))?;
        } else {
            self.seal(&recovered, damaged)?;
        }
        Ok(None)
    }

    fn seal(&mut self, recovered: &Recovered, damaged: bool) -> Result<(), Failed> {
        let sealing = Sealing::new(&recovered.appender, recovered.entries.clone(), damaged);
        seal(self.volume.disk.as_ref(), self.folder, &sealing)
            .map_err(|error| Failed::change("seal", &sealing.path, &error))?;
        self.report.indexed_segments += 1;
        let row = std::slice::from_ref(&sealing.sealed.row);
        self.volume.database.add_segments(self.id, row).map_err(Failed::All)
    }
}

/// Makes durable what was found of a segment: a process that was killed may have left it unsynced,
/// and it is served as durable from now on. Remains of an unfinished write must not lie where later
/// records will.
///
/// What no later record proves is written once more, as it is: if its sync had failed, the kernel
/// would hold pages that it takes for written, and a sync alone would do nothing.
fn make_durable(recovered: &mut Recovered) -> io::Result<()> {
    let Recovered { appender, unproven_from, .. } = recovered;
    if appender.allocated > appender.end {
        appender.cut()?;
    }
    let file = appender.file.as_ref();
    let mut piece = vec![0; REWRITTEN_BYTES];
    let mut at = *unproven_from;
    while at < appender.end {
        let missing = usize::try_from(appender.end - at).unwrap_or(REWRITTEN_BYTES).min(REWRITTEN_BYTES);
        let Some(room) = piece.get_mut(..missing) else { break };
        let read = read_full_at(file, room, at)?;
        write_all_at(file, &[room.get(..read).unwrap_or_default()], at)?;
        at += missing as u64;
    }
    file.sync_all().map_err(sync_failed)
}
