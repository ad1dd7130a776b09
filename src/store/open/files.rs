//! What lies in a stream's folder.

use std::path::{Path, PathBuf};

use kinora_base::{ErrorKind, StreamName, WallTime};

use super::Failed;
use crate::disk::{Disk, ListedKind, read_block_at, read_small, replace_small};
use crate::format::{FileName, Malformed, SegmentFileName, SegmentHeader, StreamFile, open_name};
use crate::segment::open_failed;
use crate::volume::Volume;
use crate::{Error, Foreign};

/// The files of a stream.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// Names of sealed segments.
    pub(crate) sealed: Vec<(u64, String)>,
    /// First numbers of open segments, ascending.
    pub(crate) open: Vec<u64>,
    /// Unfinished small files.
    pub(crate) remnants: Vec<PathBuf>,
    /// How many open segments were unusable and set aside.
    pub(crate) set_aside: usize,
    pub(crate) has_stream_file: bool,
    pub(crate) has_keys: bool,
    /// Whether they were not listed: sealed segments are as the index says.
    pub(crate) trusted: bool,
    /// What is not ours.
    pub(crate) foreign: Vec<Foreign>,
    pub(crate) has_retention_file: bool,
}

impl Files {
    /// Lists a stream's folder, which lies in `streams` under the name of `folder`.
    pub(crate) fn list(disk: &dyn Disk, folder: &Path) -> Result<Self, Error> {
        let mut files = Self::default();
        for listed in disk.list(folder).map_err(|error| Error::io("list", folder, &error))? {
            let name = listed.name.to_str();
            let parsed = name.zip(name.and_then(FileName::parse)).filter(|_| listed.kind == ListedKind::File);
            match parsed {
                Some((_, FileName::Segment(SegmentFileName::Open { first }))) => files.open.push(first),
                Some((name, FileName::Segment(SegmentFileName::Sealed { first, .. }))) => {
                    files.sealed.push((first, name.to_owned()));
                }
                Some((_, FileName::Stream)) => files.has_stream_file = true,
                Some((_, FileName::Keys)) => files.has_keys = true,
                Some((_, FileName::Retention)) => files.has_retention_file = true,
                Some((name, FileName::Unfinished)) => files.remnants.push(folder.join(name)),
                Some((_, FileName::SetAside)) => files.set_aside += 1,
                None => {
                    let reason = match listed.kind {
                        ListedKind::File => "is no file of a stream",
                        ListedKind::Folder => "is a folder, where only a stream's files belong",
                        ListedKind::Link => "is a symbolic link, which is not followed",
                        ListedKind::Special => "is a device, pipe or socket",
                    };
                    let path = folder.file_name().map(Path::new).unwrap_or(folder).join(&listed.name);
                    files.foreign.push(Foreign { path: Path::new("streams").join(path), reason });
                }
            }
        }
        files.open.sort_unstable();
        files.sealed.sort_unstable();
        files.foreign.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Whether nothing here was ever more than begun.
    pub(crate) fn is_bare(&self) -> bool {
        !self.has_stream_file
            && !self.has_keys
            && !self.has_retention_file
            && self.sealed.is_empty()
            && self.open.is_empty()
            && self.set_aside == 0
    }
}

/// When the stream was created: from its file, or if that is missing from its first segment.
pub(super) fn created(volume: &Volume, name: &StreamName, files: &Files) -> Result<Option<WallTime>, Failed> {
    let folder = &volume.stream_folder(name);
    let disk = volume.disk.as_ref();
    let path = folder.join(StreamFile::NAME);
    if files.has_stream_file {
        let content =
            read_small(disk, &path, StreamFile::BYTES).map_err(|error| Error::io("read", &path, &error))?;
        let block = content.as_deref().and_then(|content| content.first_chunk());
        match block.map(StreamFile::decode) {
            Some(Ok(file)) if file.name == *name => return Ok(Some(file.created)),
            Some(Ok(file)) => return Err(another(folder, name, (StreamFile::NAME, &file.name)).into()),
            Some(Err(Malformed::Version(version))) => {
                return Err(unknown_version(&path, version).into());
            }
            // Damaged: made anew below.
            _ => {}
        }
    }
    let Some(first) = first_segment(folder, files) else {
        return if files.is_bare() { Ok(None) } else { restore(volume, name, volume.clock.wall()) };
    };
    let header = segment_header(disk, &first)?;
    if let Some(header) = header.as_ref().filter(|header| header.stream != *name) {
        let file = first.file_name().unwrap_or_default().to_string_lossy();
        return Err(another(folder, name, (&file, &header.stream)).into());
    }
    restore(volume, name, header.map_or_else(|| volume.clock.wall(), |header| header.created))
}

pub(super) fn first_segment(folder: &Path, files: &Files) -> Option<PathBuf> {
    let sealed = files.sealed.first().map(|(first, name)| (*first, folder.join(name)));
    let open = files.open.first().map(|first| (*first, folder.join(open_name(*first))));
    sealed.into_iter().chain(open).min().map(|(_, path)| path)
}

/// The header of the segment at `path`, if it is whole.
pub(super) fn segment_header(disk: &dyn Disk, path: &Path) -> Result<Option<SegmentHeader>, Error> {
    let file = disk.open(path, false).map_err(|error| open_failed(path, &error))?;
    let block = read_block_at::<{ SegmentHeader::BYTES }>(file.as_ref(), 0)
        .map_err(|error| Error::io("read", path, &error))?;
    Ok(block.and_then(|block| SegmentHeader::decode(&block).ok()).map(|(header, _)| header))
}

fn restore(volume: &Volume, name: &StreamName, created: WallTime) -> Result<Option<WallTime>, Failed> {
    let folder = &volume.stream_folder(name);
    let content = StreamFile { name: name.clone(), created }.encode();
    replace_small(volume.disk.as_ref(), folder, StreamFile::NAME, &content)
        .map_err(|error| Failed::change("write in", folder, &error))?;
    Ok(Some(created))
}

pub(super) fn unknown_version(path: &Path, version: u16) -> Error {
    Error::damaged(path, 0, Malformed::Version(version))
}

/// The folder of the stream `name` is that of another stream: a copy, or renamed. Opened under both
/// names it would be written twice.
pub(super) fn another(folder: &Path, name: &StreamName, (file, found): (&str, &StreamName)) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "{} is not the folder of the stream '{name}': its file {file} belongs to the stream '{found}'; \
             give the folder its old name, or move it out of here",
            folder.display()
        ),
    )
}
