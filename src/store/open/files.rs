//! Which streams there are, and what lies in a stream's folder.

use std::path::{Path, PathBuf};

use kinora_base::{StreamName, WallTime};

use crate::Error;
use crate::disk::{Disk, read_block_at, read_small, replace_small};
use crate::format::{Malformed, SegmentFileName, SegmentHeader, StreamFile, folder_name, open_name};
use crate::segment::open_failed;
use crate::volume::Volume;

/// The files of a stream.
pub(crate) struct Files {
    /// Names of sealed segments.
    pub(crate) sealed: Vec<(u64, String)>,
    /// First numbers of open segments, ascending.
    pub(crate) open: Vec<u64>,
    /// Unfinished small files.
    pub(crate) remnants: Vec<PathBuf>,
    pub(crate) has_stream_file: bool,
}

impl Files {
    pub(crate) fn list(disk: &dyn Disk, folder: &Path) -> Result<Self, Error> {
        let names = disk.list(folder).map_err(|error| Error::io("list", folder, &error))?;
        let mut files =
            Self { sealed: Vec::new(), open: Vec::new(), remnants: Vec::new(), has_stream_file: false };
        for name in names {
            match SegmentFileName::parse(&name) {
                Some(SegmentFileName::Open { first }) => files.open.push(first),
                Some(SegmentFileName::Sealed { first, .. }) => files.sealed.push((first, name)),
                None if name == StreamFile::NAME => files.has_stream_file = true,
                None if name.ends_with(".new") => files.remnants.push(folder.join(name)),
                // Not ours; left alone.
                None => {}
            }
        }
        files.open.sort_unstable();
        files.sealed.sort_unstable();
        Ok(files)
    }
}

/// When the stream was created: from its file, or if that is missing from its first segment.
pub(super) fn created(volume: &Volume, name: &StreamName, files: &Files) -> Result<Option<WallTime>, Error> {
    let folder = &volume.stream_folder(name);
    let disk = volume.disk.as_ref();
    let path = folder.join(StreamFile::NAME);
    if files.has_stream_file {
        let content =
            read_small(disk, &path, StreamFile::BYTES).map_err(|error| Error::io("read", &path, &error))?;
        let block = content.as_deref().and_then(|content| content.first_chunk());
        match block.map(StreamFile::decode) {
            Some(Ok(file)) => return Ok(Some(file.created)),
            Some(Err(Malformed::Version(version))) => {
                return Err(unknown_version(&path, version));
            }
            // Damaged: made anew below.
            _ => {}
        }
    }
    let Some(first) = first_segment(folder, files) else {
        return if files.has_stream_file { restore(volume, name, volume.clock.wall()) } else { Ok(None) };
    };
    let header = segment_header(disk, &first)?;
    restore(volume, name, header.map_or_else(|| volume.clock.wall(), |header| header.created))
}

fn first_segment(folder: &Path, files: &Files) -> Option<PathBuf> {
    let sealed = files.sealed.first().map(|(first, name)| (*first, folder.join(name)));
    let open = files.open.first().map(|first| (*first, folder.join(open_name(*first))));
    sealed.into_iter().chain(open).min().map(|(_, path)| path)
}

/// The header of the segment at `path`, if it is whole.
fn segment_header(disk: &dyn Disk, path: &Path) -> Result<Option<SegmentHeader>, Error> {
    let file = disk.open(path, false).map_err(|error| open_failed(path, &error))?;
    let block = read_block_at::<{ SegmentHeader::BYTES }>(file.as_ref(), 0)
        .map_err(|error| Error::io("read", path, &error))?;
    Ok(block.and_then(|block| SegmentHeader::decode(&block).ok()).map(|(header, _)| header))
}

/// The streams that have a folder in `streams`, by name.
pub(crate) fn stream_names(disk: &dyn Disk, streams: &Path) -> Result<Vec<StreamName>, Error> {
    let mut names = Vec::new();
    for entry in disk.list(streams).map_err(|error| Error::io("list", streams, &error))? {
        let name = match StreamName::new(&entry) {
            Ok(name) => Some(name),
            Err(_) => long_name(disk, &streams.join(&entry))?,
        };
        // A folder that is named otherwise is none of ours.
        names.extend(name.filter(|name| folder_name(name) == entry));
    }
    names.sort_unstable();
    Ok(names)
}

/// The name of the stream in `folder`, which cannot be told from the folder's name.
fn long_name(disk: &dyn Disk, folder: &Path) -> Result<Option<StreamName>, Error> {
    if !folder.to_string_lossy().contains('~') {
        return Ok(None);
    }
    let path = folder.join(StreamFile::NAME);
    let content =
        read_small(disk, &path, StreamFile::BYTES).map_err(|error| Error::io("read", &path, &error))?;
    let block = content.as_deref().and_then(|content| content.first_chunk());
    if let Some(Ok(file)) = block.map(StreamFile::decode) {
        return Ok(Some(file.name));
    }
    let Some(first) = first_segment(folder, &Files::list(disk, folder)?) else { return Ok(None) };
    Ok(segment_header(disk, &first)?.map(|header| header.stream))
}

fn restore(volume: &Volume, name: &StreamName, created: WallTime) -> Result<Option<WallTime>, Error> {
    let folder = &volume.stream_folder(name);
    let content = StreamFile { name: name.clone(), created }.encode();
    replace_small(volume.disk.as_ref(), folder, StreamFile::NAME, &content)
        .map_err(|error| Error::io("write in", folder, &error))?;
    Ok(Some(created))
}

pub(super) fn unknown_version(path: &Path, version: u16) -> Error {
    Error::damaged(path, 0, Malformed::Version(version))
}
