//! What lies in a stream's folder.

use std::path::{Path, PathBuf};

use kinora_base::WallTime;

use crate::Error;
use crate::disk::{Disk, read_block_at, read_small, replace_small};
use crate::format::{Malformed, SegmentFileName, SegmentHeader, StreamFile, open_name};
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
pub(super) fn created(volume: &Volume, folder: &Path, files: &Files) -> Result<Option<WallTime>, Error> {
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
    let sealed = files.sealed.first().map(|(first, name)| (*first, folder.join(name)));
    let open = files.open.first().map(|first| (*first, folder.join(open_name(*first))));
    let Some((_, first)) = sealed.into_iter().chain(open).min() else {
        if !files.has_stream_file {
            return Ok(None);
        }
        return restore(volume, folder, volume.clock.wall());
    };
    let file = disk.open(&first, false).map_err(|error| open_failed(&first, &error))?;
    let block = read_block_at::<{ SegmentHeader::BYTES }>(file.as_ref(), 0)
        .map_err(|error| Error::io("read", &first, &error))?;
    let header = block.and_then(|block| SegmentHeader::decode(&block).ok());
    restore(volume, folder, header.map_or_else(|| volume.clock.wall(), |(header, _)| header.created))
}

fn restore(volume: &Volume, folder: &Path, created: WallTime) -> Result<Option<WallTime>, Error> {
    replace_small(volume.disk.as_ref(), folder, StreamFile::NAME, &StreamFile { created }.encode())
        .map_err(|error| Error::io("write in", folder, &error))?;
    Ok(Some(created))
}

pub(super) fn unknown_version(path: &Path, version: u16) -> Error {
    Error::damaged(path, 0, Malformed::Version(version))
}
