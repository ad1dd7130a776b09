//! `verify`: reading every stored byte and saying what is damaged. While a server has the data
//! directory open, what is sealed is read.
//!
//! Nothing is changed, and no encryption key is needed.

mod segment;
mod tags;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use kinora_base::{ErrorKind, FragmentNumber, StreamName};

pub(crate) use self::segment::sealed_segment;
use self::segment::{Checked, open_segment};
use self::tags::check_tags;
use crate::disk::read_small;
use crate::folder::{FolderLock, read_clean};
use crate::format::{Clean, KeyFile, RetentionFile, StreamFile, folder_name, open_name};
use crate::index::{Database, SegmentRow};
use crate::keys::{Keyring, StreamKeys, check_streams};
use crate::open::{Files, Survey};
use crate::{Damage, Error, LocalDisk};

/// What was read, so far or in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Streams.
    pub streams: u64,
    /// Segments, sealed and open.
    pub segments: u64,
    /// Whole fragments.
    pub fragments: u64,
    /// Bytes.
    pub bytes: u64,
    /// Whether a server had the data directory open, so that open segments were left out.
    pub online: bool,
    /// What is damaged.
    pub damages: Vec<Damage>,
}

/// Reads every byte under `data_dir`: headers, chains, payloads, footers against records, names
/// against contents, index rows against files. `progress` is told after each fragment, so that it
/// can hold the reading up. Checksums need no key; given a key `ring`, what is encrypted is
/// decrypted, too.
///
/// # Errors
/// `NotFound` if it is no data directory; `Conflict` if `ring` lacks a key; `Unavailable` for input
/// and output errors. Damage is no error: it is reported.
pub fn verify(
    data_dir: &Path,
    ring: Option<Arc<Keyring>>,
    mut progress: impl FnMut(&Verification),
) -> Result<Verification, Error> {
    let streams = data_dir.join("streams");
    if !streams.is_dir() {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("{} is no data directory: it has no folder 'streams'", data_dir.display()),
        ));
    }
    let lock = match FolderLock::take(data_dir) {
        Err(error) if error.kind == ErrorKind::Conflict => None,
        result => Some(result?),
    };
    if ring.is_some() {
        check_streams(&LocalDisk, &streams, ring.as_deref())?;
    }
    let found = Verification { online: lock.is_none(), ..Verification::default() };
    let mut verifier = Verifier { data_dir, ring, found, clean: None, index: None };
    verifier.clean = verifier.read_clean()?;
    verifier.index = verifier.read_index();
    let names = Survey::of(&LocalDisk, &streams)?.names;
    for name in &names {
        let folder = streams.join(folder_name(name));
        if let Err(error) = verifier.stream(name, &folder, &mut progress) {
            verifier.damage(Some(name), &folder, (0, None, error.message));
        }
    }
    verifier.strangers(&names);
    Ok(verifier.found)
}

/// A watermark: the segment's identifier, and how far it was durable.
type Mark = ([u8; 16], u64);

/// What the index says of a stream.
#[derive(Debug, Default)]
struct Indexed {
    rows: BTreeMap<u64, SegmentRow>,
    watermark: Option<Mark>,
}

/// The index, and where each stream is in it. Rows are read stream by stream: there can be millions.
struct Index {
    database: Database,
    streams: BTreeMap<StreamName, (i64, Option<Mark>)>,
}

impl Index {
    fn take(&mut self, name: &StreamName) -> Result<Indexed, Error> {
        let Some((id, watermark)) = self.streams.remove(name) else { return Ok(Indexed::default()) };
        let rows = self.database.segments_by_number(id, 0, u64::MAX, false, usize::MAX)?;
        Ok(Indexed { rows: rows.into_iter().map(|row| (row.first, row)).collect(), watermark })
    }
}

struct Verifier<'a> {
    data_dir: &'a Path,
    ring: Option<Arc<Keyring>>,
    found: Verification,
    clean: Option<Clean>,
    index: Option<Index>,
}

impl Verifier<'_> {
    fn damage(
        &mut self,
        stream: Option<&StreamName>,
        path: &Path,
        (offset, number, message): (u64, Option<u64>, String),
    ) {
        self.found.damages.push(Damage {
            stream: stream.cloned(),
            file: path.strip_prefix(self.data_dir).unwrap_or(path).to_owned(),
            offset,
            fragment: number.and_then(FragmentNumber::new),
            message,
        });
    }

    fn read_clean(&mut self) -> Result<Option<Clean>, Error> {
        match read_clean(&LocalDisk, self.data_dir)? {
            Some(Ok(clean)) => Ok(Some(clean)),
            Some(Err(reason)) => {
                let path = self.data_dir.join(Clean::NAME);
                self.damage(None, &path, (0, None, reason.to_string()));
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// The index; none, and a report, if it cannot be read.
    fn read_index(&mut self) -> Option<Index> {
        let path = self.data_dir.join(Database::NAME);
        let read = || -> Result<_, Error> {
            if !path.exists() {
                return Err(Error::new(ErrorKind::Corrupt, "there is no index (rebuild-index makes it)"));
            }
            let database = Database::open(&path)?;
            let marks = database.watermarks()?;
            let marks: BTreeMap<_, _> =
                marks.into_iter().map(|mark| (mark.stream, (mark.segment, mark.durable_to))).collect();
            let streams = database.streams()?.into_iter();
            let streams = streams.map(|row| (row.name, (row.id, marks.get(&row.id).copied()))).collect();
            Ok(Index { database, streams })
        };
        match read() {
            Ok(index) => Some(index),
            Err(error) => {
                self.damage(None, &path, (0, None, error.message));
                None
            }
        }
    }

    fn stream(
        &mut self,
        name: &StreamName,
        folder: &Path,
        progress: &mut impl FnMut(&Verification),
    ) -> Result<(), Error> {
        let files = Files::list(&LocalDisk, folder)?;
        let mut indexed = self.index.as_mut().map(|index| index.take(name)).transpose()?;
        let closed = self.clean.iter().flat_map(|clean| &clean.streams).any(|left| left.name == *name);
        if files.is_bare() && !closed && indexed.as_ref().is_none_or(|indexed| indexed.rows.is_empty()) {
            // A crash interrupted its creation, which was never confirmed; or it is none of ours.
            return Ok(());
        }
        self.found.streams += 1;
        let stream_file = folder.join(StreamFile::NAME);
        let content = read_small(&LocalDisk, &stream_file, StreamFile::BYTES)
            .map_err(|error| Error::io("read", &stream_file, &error))?;
        let block = content.as_deref().and_then(|content| content.first_chunk());
        let reason = match block.map(StreamFile::decode) {
            Some(Ok(file)) if file.name != *name => Some(format!("belongs to the stream '{}'", file.name)),
            Some(Ok(_)) => None,
            Some(Err(reason)) => Some(reason.to_string()),
            None => Some("is missing or cut short".to_owned()),
        };
        if let Some(reason) = reason {
            self.damage(Some(name), &stream_file, (0, None, format!("the stream file {reason}")));
        }
        let retention = folder.join(RetentionFile::NAME);
        let content = read_small(&LocalDisk, &retention, RetentionFile::LONGEST)
            .map_err(|error| Error::io("read", &retention, &error))?;
        if let Some(Err(reason)) = content.map(|content| RetentionFile::decode(&content)) {
            self.damage(
                Some(name),
                &retention,
                (0, None, format!("limits and pins cannot be read: the file {reason}")),
            );
        }
        let keys = self.keys(name, folder)?;
        for (first, file) in &files.sealed {
            let path = folder.join(file);
            let mut so_far = self.found.clone();
            let checked = sealed_segment(&LocalDisk, &path, name, &mut |bytes| {
                so_far.bytes += bytes;
                progress(&so_far);
                ControlFlow::Continue(())
            });
            if self.found.online && !path.exists() {
                // The server has deleted it meanwhile.
                indexed.as_mut().map(|indexed| indexed.rows.remove(first));
                continue;
            }
            let checked = checked?;
            if let Some((indexed, row)) = indexed.as_mut().zip(checked.row.as_ref()) {
                self.compare(name, &path, indexed.rows.remove(first), row);
            }
            self.segment(name, &path, checked);
            self.tags(name, &path, &keys)?;
            progress(&self.found);
        }
        if self.found.online {
            // What is open, and what comes and goes, is the server's.
            return Ok(());
        }
        let clean =
            self.clean.as_ref().and_then(|clean| clean.streams.iter().find(|left| left.name == *name));
        let (clean_first, clean_end) = clean.map_or((0, 0), |left| (left.open_first, left.open_end));
        let mark = indexed.as_ref().and_then(|indexed| indexed.watermark);
        for first in &files.open {
            let path = folder.join(open_name(*first));
            let durable_to = |segment: crate::format::SegmentId| {
                let marked = mark.filter(|(id, _)| *id == segment.0).map_or(0, |(_, durable_to)| durable_to);
                marked.max(if clean_first == *first { clean_end } else { 0 })
            };
            let checked = open_segment(&LocalDisk, (&path, name), durable_to)?;
            self.segment(name, &path, checked);
            self.tags(name, &path, &keys)?;
            progress(&self.found);
        }
        for row in indexed.into_iter().flat_map(|indexed| indexed.rows.into_values()) {
            if !files.open.contains(&row.first) {
                let path = folder.join(row.file_name());
                self.damage(
                    Some(name),
                    &path,
                    (0, None, "the index names a file that is missing".to_owned()),
                );
            }
        }
        Ok(())
    }

    fn segment(&mut self, name: &StreamName, path: &Path, checked: Checked) {
        self.found.segments += 1;
        self.found.fragments += checked.fragments;
        self.found.bytes += checked.bytes;
        for flaw in checked.flaws {
            self.damage(Some(name), path, flaw);
        }
    }

    /// The keys of a stream, if a key ring was given; those that are lost are reported.
    fn keys(&mut self, name: &StreamName, folder: &Path) -> Result<StreamKeys, Error> {
        let (keys, lost) = StreamKeys::open(&LocalDisk, folder, name, self.ring.as_ref())?;
        for reason in lost {
            self.damage(Some(name), &folder.join(KeyFile::NAME), (0, None, reason));
        }
        Ok(keys)
    }

    fn tags(&mut self, name: &StreamName, path: &Path, keys: &StreamKeys) -> Result<(), Error> {
        if keys.are_given() {
            for flaw in check_tags(&LocalDisk, path, keys)? {
                self.damage(Some(name), path, flaw);
            }
        }
        Ok(())
    }

    fn compare(&mut self, name: &StreamName, path: &Path, row: Option<SegmentRow>, expected: &SegmentRow) {
        let reason = match row {
            Some(row) if row == *expected => return,
            Some(_) => "the index describes this file wrongly (rebuild-index corrects it)",
            // After a crash the index may lack the newest segments; the next start adds them.
            None if self.clean.is_none() => return,
            None => "the index lacks this file (rebuild-index adds it)",
        };
        self.damage(Some(name), path, (0, None, reason.to_owned()));
    }

    /// Reports streams that only the index knows.
    fn strangers(&mut self, names: &[StreamName]) {
        let index = self.index.take().map(|index| index.streams).unwrap_or_default();
        let path = self.data_dir.join(Database::NAME);
        for stream in index.into_keys().filter(|stream| !names.contains(stream)) {
            if self.clean.is_some() {
                let message = "the index names a stream that has no folder".to_owned();
                self.damage(Some(&stream), &path, (0, None, message));
            }
        }
    }
}
