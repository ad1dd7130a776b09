//! The data directory as a whole: who has it open, and how it was left.
//!
//! What is in its streams is unknown here.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use kinora_base::ErrorKind;

use crate::Error;
use crate::disk::{Disk, read_small, replace_small, sync_failed};
use crate::format::{Clean, Malformed};

/// The name of the file whose lock says that somebody has the directory open.
const LOCK: &str = "lock";

/// Largest clean file that is read: a million streams with names of average length.
const LARGEST_CLEAN: usize = 100 << 20;

/// The exclusive right to the data directory. The operating system takes it back when the
/// process ends, however it ends.
#[derive(Debug)]
pub(crate) struct FolderLock(File);

impl FolderLock {
    /// Creates `folder` if needed and locks it.
    pub(crate) fn take(folder: &Path) -> Result<Self, Error> {
        create_durably(folder).map_err(|error| Error::io("create", folder, &error))?;
        let path = folder.join(LOCK);
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::IsADirectory => taken(&path),
            _ => Error::io("lock", &path, &error),
        };
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who it is only makes the message better.
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                let by = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!("the data directory {} is in use by another server{by}", folder.display()),
                ));
            }
        }
        // Whose it is only makes messages better, and on a full disk there is no room to say so.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self(file))
    }
}

/// Creates a folder and those above it, so that a power cut does not take the folder away again.
fn create_durably(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    create_durably(parent)?;
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => File::open(parent)?.sync_all(),
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // The next to lock it writes its own; a failure only makes a message worse.
        let _ = self.0.set_len(0);
    }
}

/// Something that is not ours stands where a folder or file of ours belongs.
pub(crate) fn taken(path: &Path) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("{} is not what this server keeps there; move it away, then start again", path.display()),
    )
}

/// Reads the clean file, if there is one.
pub(crate) fn read_clean(disk: &dyn Disk, folder: &Path) -> Result<Option<Result<Clean, Malformed>>, Error> {
    let path = folder.join(Clean::NAME);
    let content = read_small(disk, &path, LARGEST_CLEAN).map_err(|error| match error.kind() {
        io::ErrorKind::IsADirectory => taken(&path),
        _ => Error::io("read", &path, &error),
    })?;
    let clean = content.map(|content| Clean::decode(&content));
    match clean {
        Some(Err(Malformed::Version(version))) => Err(Error::damaged(&path, 0, Malformed::Version(version))),
        clean => Ok(clean),
    }
}

/// Reads the clean file and removes it: from now on the shutdown was not orderly, until it was.
/// A damaged one counts as none; its flaw is told.
pub(crate) fn take_clean(
    disk: &dyn Disk,
    folder: &Path,
) -> Result<(Option<Clean>, Option<Malformed>), Error> {
    let Some(clean) = read_clean(disk, folder)? else { return Ok((None, None)) };
    let path = folder.join(Clean::NAME);
    let removed = disk.remove_file(&path).and_then(|()| disk.sync_folder(folder).map_err(sync_failed));
    removed.map_err(|error| Error::io("remove", &path, &error))?;
    Ok((clean.as_ref().ok().cloned(), clean.err()))
}

/// Writes the clean file.
pub(crate) fn put_clean(disk: &dyn Disk, folder: &Path, clean: &Clean) -> Result<(), Error> {
    replace_small(disk, folder, Clean::NAME, &clean.encode())
        .map_err(|error| Error::io("write", &folder.join(Clean::NAME), &error))
}
