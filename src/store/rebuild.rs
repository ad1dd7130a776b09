//! Making the index anew from the data files, while no server runs.

use std::path::Path;
use std::sync::Arc;

use kinora_base::{ManualClock, WallTime};

use crate::disk::sync_failed;
use crate::folder::FolderLock;
use crate::format::folder_name;
use crate::index::Database;
use crate::open::{Failed, Survey, index_stream};
use crate::retention::Ballast;
use crate::volume::Volume;
use crate::{Damage, Disk, Error, LocalDisk, Options, Recovery};

/// What an index was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Streams found.
    pub streams: u64,
    /// Sealed segments found.
    pub segments: u64,
    /// Files that could not be indexed.
    pub damages: Vec<Damage>,
}

/// Makes the index of `data_dir` anew from file names and footers. No data file is changed; the
/// old index is replaced only when the new one is complete.
///
/// # Errors
/// `Conflict` if a server has the directory open, else as [`crate::Store::open`].
pub fn rebuild_index(data_dir: &Path) -> Result<Rebuilt, Error> {
    let _lock = FolderLock::take(data_dir)?;
    let options = Options::default();
    Ballast::prepare(&LocalDisk, data_dir, options.limits.keep_free_bytes)?;
    let new = data_dir.join("meta.db.new");
    let remove = |path: &Path| match LocalDisk.remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path, &error)),
        _ => Ok(()),
    };
    for suffix in ["", "-wal", "-shm"] {
        remove(&data_dir.join(format!("meta.db.new{suffix}")))?;
    }
    let database = Database::open(&new)?;
    // The time is asked for only where a stream has lost both its file and its segments' headers.
    let clock = Arc::new(ManualClock::at(WallTime::EARLIEST));
    let volume = Arc::new(Volume::new((data_dir, Arc::new(LocalDisk)), options, clock, database)?);
    let mut report = Recovery::default();
    let mut rebuilt = Rebuilt::default();
    for name in Survey::of(&LocalDisk, &volume.streams())?.names {
        match index_stream(&volume, &name, &mut report) {
            Ok(()) => rebuilt.streams += 1,
            Err(Failed::All(error)) => return Err(error),
            // It stays out of service until its files can be used, and is indexed then.
            Err(Failed::Stream(error)) => {
                let file = Path::new("streams").join(folder_name(&name));
                let message = error.message;
                report.damages.push(Damage { stream: Some(name), file, offset: 0, fragment: None, message });
            }
        }
    }
    rebuilt.segments = report.indexed_segments;
    rebuilt.damages = report.damages;
    volume.database.finish()?;
    drop(volume);
    // A crash in between leaves no index, which the next opening makes anew just as well.
    for suffix in ["-wal", "-shm"] {
        remove(&data_dir.join(format!("{}{suffix}", Database::NAME)))?;
    }
    let index = data_dir.join(Database::NAME);
    LocalDisk
        .rename(&new, &index)
        .and_then(|()| LocalDisk.sync_folder(data_dir).map_err(sync_failed))
        .map_err(|error| Error::io("replace", &index, &error))?;
    Ballast::restore(&LocalDisk, data_dir)
        .map_err(|error| Error::io("set room aside in", data_dir, &error))?;
    Ok(rebuilt)
}
