//! A segment that takes no more fragments: its footer in memory, its file open.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kinora_base::{ErrorKind, StreamName};

use crate::disk::{Disk, DiskFile, read_block_at, read_full_at};
use crate::error::is_unreadable;
use crate::format::{Entry, Footer, Malformed, SegmentHeader, SegmentId, Trailer};
use crate::index::SegmentRow;
use crate::{Error, Fragment};

/// Largest footer that is read, in bytes: a segment has at most
/// [`super::Appender::MOST_FRAGMENTS`] fragments, and each could bring a configuration.
const LARGEST_FOOTER: u64 = 4 << 20;

/// A full or sealed segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) row: SegmentRow,
    pub(crate) id: SegmentId,
    /// The stream it was written for.
    pub(crate) stream: StreamName,
    pub(crate) footer: Footer,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Whether it has its final name and the index has its row.
    indexed: AtomicBool,
}

/// Puts the failure to open a segment into words: a missing file is a loss, not a mistake.
pub(crate) fn open_failed(path: &Path, error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        return Error::new(ErrorKind::Corrupt, format!("{} is missing", path.display()));
    }
    Error::io("open", path, error)
}

/// Why a sealed segment could not be loaded.
#[derive(Debug)]
pub(crate) enum LoadFailed {
    /// There is no such file.
    Missing,
    /// At this place its bytes are not what they should be, or the disk does not give them.
    Damaged(u64, Malformed),
    /// The operating system refused.
    Io(io::Error),
}

impl From<io::Error> for LoadFailed {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ if is_unreadable(&error) => {
                Self::Damaged(0, Malformed::Because("cannot be read from the disk"))
            }
            _ => Self::Io(error),
        }
    }
}

impl LoadFailed {
    /// The error for whoever asked for the file at `path`.
    pub(crate) fn at(self, path: &Path) -> Error {
        match self {
            Self::Missing => open_failed(path, &io::ErrorKind::NotFound.into()),
            Self::Damaged(offset, reason) => Error::damaged(path, offset, reason),
            Self::Io(error) => Error::io("read", path, &error),
        }
    }
}

impl Segment {
    /// A segment with this content.
    pub(crate) fn new(
        row: SegmentRow,
        header: &SegmentHeader,
        footer: Footer,
        file: Arc<dyn DiskFile>,
        indexed: bool,
    ) -> Self {
        let (id, stream) = (header.id, header.stream.clone());
        Self { row, id, stream, footer, file, indexed: AtomicBool::new(indexed) }
    }

    /// Reads header, footer and trailer of the sealed segment at `path` and checks that they
    /// belong together.
    pub(crate) fn load(disk: &dyn Disk, path: &Path) -> Result<Self, Error> {
        Self::try_load(disk, path).map_err(|failed| failed.at(path))
    }

    /// As [`Self::load`].
    pub(crate) fn try_load(disk: &dyn Disk, path: &Path) -> Result<Self, LoadFailed> {
        let file = disk.open(path, false)?;
        let read = LoadFailed::from;
        let damaged = LoadFailed::Damaged;
        let length = file.len().map_err(read)?;
        let short = || damaged(length, Malformed::Because("is too short for a sealed one"));
        let header = read_block_at(file.as_ref(), 0).map_err(read)?.ok_or_else(short)?;
        let (header, _) = SegmentHeader::decode(&header).map_err(|reason| damaged(0, reason))?;
        let trailer_offset = length.checked_sub(Trailer::BYTES_U64).ok_or_else(short)?;
        let trailer = read_block_at(file.as_ref(), trailer_offset).map_err(read)?.ok_or_else(short)?;
        let trailer = Trailer::decode(&trailer).map_err(|reason| damaged(trailer_offset, reason))?;
        let footer_bytes = Footer::length(trailer.counts);
        if trailer.id != header.id
            || footer_bytes > LARGEST_FOOTER
            || trailer.footer_offset.checked_add(footer_bytes) != Some(trailer_offset)
        {
            return Err(damaged(
                trailer_offset,
                Malformed::Because("has a trailer that does not fit the file"),
            ));
        }
        let mut footer = vec![0; footer_bytes as usize];
        if read_full_at(file.as_ref(), &mut footer, trailer.footer_offset).map_err(read)? < footer.len() {
            return Err(short());
        }
        let footer = Footer::decode(&footer, trailer.counts, trailer.footer_crc)
            .map_err(|reason| damaged(trailer.footer_offset, reason))?;
        let row = SegmentRow::new(&header, &footer, &trailer);
        Ok(Self::new(row, &header, footer, file, true))
    }

    /// The fragments, in arrival order.
    pub(crate) fn fragments(&self) -> impl DoubleEndedIterator<Item = Fragment> + '_ {
        fragments_of(&self.footer.entries, self.row.first, self.row.first_ordinal)
    }

    /// The entry of the fragment `number`, and its ordinal.
    pub(crate) fn find(&self, number: u64) -> Option<(Entry, u64)> {
        let (index, entry) = find_entry(&self.footer.entries, self.row.first, number)?;
        Some((entry, self.row.first_ordinal + index))
    }

    /// Whether the file has its final name and the index its row.
    pub(crate) fn is_indexed(&self) -> bool {
        self.indexed.load(Ordering::Acquire)
    }

    /// Notes that the file has its final name and the index its row.
    pub(crate) fn set_indexed(&self) {
        self.indexed.store(true, Ordering::Release);
    }

    /// Memory the footer takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.footer.entries.len() * Entry::BYTES
    }
}

/// The entry of `number` among `entries` of a segment that begins at `first`, and its place.
pub(crate) fn find_entry(entries: &[Entry], first: u64, number: u64) -> Option<(u64, Entry)> {
    let relative = u32::try_from(number.checked_sub(first)?).ok()?;
    let index = entries.binary_search_by_key(&relative, |entry| entry.number).ok()?;
    Some((index as u64, *entries.get(index)?))
}

/// The fragments that `entries` of a segment mean, in arrival order.
pub(crate) fn fragments_of(
    entries: &[Entry],
    first: u64,
    first_ordinal: u64,
) -> impl DoubleEndedIterator<Item = Fragment> + '_ {
    entries.iter().enumerate().map(move |(index, entry)| entry.fragment(first, first_ordinal + index as u64))
}
