//! Room set aside for the store's own needs: a file that is given up when the disk is full, so that
//! the index can be opened and written and recordings can be deleted and recovered.
//!
//! What it is used for is unknown here.

use std::io;
use std::path::Path;

use super::{Pressure, Watch};
use crate::disk::sync_failed;
use crate::error::is_full;
use crate::{Disk, Error};

/// The file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ballast;

impl Ballast {
    /// Its name in the data directory.
    const NAME: &'static str = "ballast";
    /// Its size is this share of the volume ...
    const SHARE: u64 = 64;
    /// ... but at least this many bytes: the write-ahead log and the shared memory of SQLite, and
    /// some footers ...
    const LEAST: u64 = 4 << 20;
    /// ... and at most this many: the same for thousands of streams.
    const MOST: u64 = 16 << 20;

    /// Gives the room back if the volume is so full that not even the index might open; else sees to
    /// it that some is set aside.
    pub(crate) fn prepare(disk: &dyn Disk, folder: &Path, keep_free: Option<u64>) -> Result<(), Error> {
        let done = match Watch::new(keep_free).look(disk, folder).pressure {
            Pressure::Full => Self::release(disk, folder),
            Pressure::Ample | Pressure::Low => Self::restore(disk, folder),
        };
        done.map_err(|error| Error::io("set room aside in", folder, &error))
    }

    /// Gives the room back, if there is a ballast. Durably, because file systems hand out what was
    /// freed only after that.
    pub(crate) fn release(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
        match disk.remove_file(&folder.join(Self::NAME)) {
            Ok(()) => disk.sync_folder(folder).map_err(sync_failed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How large it is on a volume of `total_bytes`.
    pub(crate) fn bytes(total_bytes: u64) -> u64 {
        (total_bytes / Self::SHARE).clamp(Self::LEAST, Self::MOST)
    }

    /// Whether room is set aside.
    pub(crate) fn exists(disk: &dyn Disk, folder: &Path) -> bool {
        disk.open(&folder.join(Self::NAME), false).is_ok()
    }

    /// Sets room aside, if none is and there is enough.
    pub(crate) fn restore(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
        if Self::exists(disk, folder) {
            return Ok(());
        }
        let Some(room) = disk.room(folder)? else { return Ok(()) };
        let length = Self::bytes(room.total_bytes);
        let path = folder.join(Self::NAME);
        let file = disk.create(&path)?;
        match file.allocate(0, length).and_then(|()| file.sync_all()) {
            Err(error) if is_full(&error) => disk.remove_file(&path),
            result => result,
        }
    }
}
