//! The seam between the store and the volume: every data-file operation the store performs, as a
//! trait, and its implementation on a real file system.
//!
//! It knows nothing of streams or formats. Tests implement the same trait to fail, to write
//! short, to record the order of calls and to lose power.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{DirEntry, File, FileType, OpenOptions};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, OFlags, SeekFrom};

/// How much room a volume has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Its size, in bytes.
    pub total_bytes: u64,
    /// What is free of it for ordinary processes, in bytes.
    pub free_bytes: u64,
}

/// A volume that holds the data files.
pub trait Disk: Send + Sync + Debug + 'static {
    /// Creates a file for reading and writing that must not exist yet.
    ///
    /// # Errors
    /// Those of the operating system.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file, no symbolic link, for reading, and for writing if `writable`.
    ///
    /// # Errors
    /// Those of the operating system.
    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>>;

    /// Renames a file or folder, replacing a file. Durable after [`Disk::sync_folder`] of both
    /// parents.
    ///
    /// # Errors
    /// Those of the operating system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name. Whoever has it open can go on reading.
    ///
    /// # Errors
    /// Those of the operating system.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Creates a folder; its parent exists. One that exists is no error, a link to one is.
    ///
    /// # Errors
    /// Those of the operating system.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    ///
    /// # Errors
    /// Those of the operating system.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// Those of the operating system. After one, nothing is known of any name in it.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// What is in a folder, in no order.
    ///
    /// # Errors
    /// Those of the operating system.
    fn list(&self, path: &Path) -> io::Result<Vec<Listed>>;

    /// How much room there is around `path`; none where that cannot be told.
    ///
    /// # Errors
    /// Those of the operating system.
    fn room(&self, _path: &Path) -> io::Result<Option<Room>> {
        Ok(None)
    }
}

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name.
    pub name: OsString,
    /// What it stands for.
    pub kind: ListedKind,
}

/// What a name in a folder stands for. Links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, wherever it leads.
    Link,
    /// A pipe, socket or device, which opening could wait for forever.
    Special,
}

impl From<FileType> for ListedKind {
    fn from(kind: FileType) -> Self {
        match kind {
            kind if kind.is_file() => Self::File,
            kind if kind.is_dir() => Self::Folder,
            kind if kind.is_symlink() => Self::Link,
            _ => Self::Special,
        }
    }
}

/// An open file on a [`Disk`].
#[expect(clippy::len_without_is_empty, reason = "a file is not a collection; its length may fail")]
pub trait DiskFile: Send + Sync + Debug {
    /// Writes some of `pieces`, one after the other, at `offset`; says how many bytes.
    ///
    /// # Errors
    /// Those of the operating system.
    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;

    /// Reads up to `buffer.len()` bytes at `offset`; says how many, 0 at the end of the file.
    ///
    /// # Errors
    /// Those of the operating system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Makes the content durable, and of the metadata what reading it back needs (`fdatasync`).
    ///
    /// # Errors
    /// Those of the operating system. After one, nothing is known of what was written.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes content and metadata durable (`fsync`).
    ///
    /// # Errors
    /// As [`DiskFile::sync_data`].
    fn sync_all(&self) -> io::Result<()>;

    /// Reserves room up to `offset + length`; reads as zeros where nothing was written.
    ///
    /// # Errors
    /// Those of the operating system.
    fn allocate(&self, offset: u64, length: u64) -> io::Result<()>;

    /// Cuts or extends the file to `length`.
    ///
    /// # Errors
    /// Those of the operating system.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// The file's length.
    ///
    /// # Errors
    /// Those of the operating system.
    fn len(&self) -> io::Result<u64>;

    /// The first stretch at or after `offset` in which something may have been written; none if
    /// there is only reserved room up to the end.
    ///
    /// # Errors
    /// Those of the operating system.
    fn data_after(&self, offset: u64) -> io::Result<Option<Range<u64>>>;
}

/// The file system of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).create_new(true).open(path)?))
    }

    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        // What was put in the place of a file of ours must neither lead to another nor make us wait.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut options = OpenOptions::new();
        options.read(true).write(writable).custom_flags(flags.bits().cast_signed());
        Ok(Arc::new(options.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        match std::fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if std::fs::symlink_metadata(path)?.is_dir() { Ok(()) } else { Err(error) }
            }
            result => result,
        }
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Listed>> {
        let listed = |entry: io::Result<DirEntry>| {
            let entry = entry?;
            Ok(Listed { name: entry.file_name(), kind: entry.file_type()?.into() })
        };
        std::fs::read_dir(path)?.map(listed).collect()
    }

    fn room(&self, path: &Path) -> io::Result<Option<Room>> {
        let found = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        // Some file systems have no fixed size and say 0.
        let room = Room { total_bytes: bytes(found.f_blocks), free_bytes: bytes(found.f_bavail) };
        Ok((room.total_bytes > 0).then_some(room))
    }
}

impl DiskFile for File {
    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(self, pieces, offset)?)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn sync_all(&self) -> io::Result<()> {
        File::sync_all(self)
    }

    fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        match rustix::fs::fallocate(self, FallocateFlags::empty(), offset, length) {
            // Not every file system can reserve; writing extends the file just as well.
            Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            result => Ok(result?),
        }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn data_after(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        let found = rustix::fs::seek(self, SeekFrom::Data(offset)).and_then(|start| {
            let end = rustix::fs::seek(self, SeekFrom::Hole(start))?;
            Ok(start..end)
        });
        match found {
            Ok(found) => Ok(Some(found)),
            Err(rustix::io::Errno::NXIO) => Ok(None),
            // Where holes cannot be asked for, everything may be data.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => {
                let length = DiskFile::len(self)?;
                Ok((offset < length).then_some(offset..length))
            }
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Most pieces that one call may be given (`IOV_MAX` of Linux).
const MOST_PIECES: usize = 1024;

/// Writes all of `pieces` at `offset`, in as many calls as it takes.
pub(crate) fn write_all_at(file: &dyn DiskFile, pieces: &[&[u8]], mut offset: u64) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> =
        pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| IoSlice::new(piece)).collect();
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        let now = rest.get(..MOST_PIECES).unwrap_or(rest);
        match file.write_at(now, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset = offset.saturating_add(written as u64);
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A failed sync. Whatever its cause, even want of room, it must not look like something that can
/// be tried again: the pages may be gone.
pub(crate) fn sync_failed(error: io::Error) -> io::Error {
    io::Error::other(format!("sync failed: {error}"))
}

/// Reads up to `buffer.len()` bytes at `offset`, fewer only at the end of the file.
pub(crate) fn read_full_at(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(room) = buffer.get_mut(done..).filter(|room| !room.is_empty()) {
        match file.read_at(room, offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Reads `N` bytes at `offset`; none if the file ends before them.
pub(crate) fn read_block_at<const N: usize>(file: &dyn DiskFile, offset: u64) -> io::Result<Option<[u8; N]>> {
    let mut block = [0; N];
    Ok((read_full_at(file, &mut block, offset)? == N).then_some(block))
}

/// The whole content of the small file at `path`; none if there is no such file.
pub(crate) fn read_small(disk: &dyn Disk, path: &Path, most: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = usize::try_from(file.len()?).unwrap_or(usize::MAX).min(most);
    let mut content = vec![0; length];
    let read = read_full_at(file.as_ref(), &mut content, 0)?;
    content.truncate(read);
    Ok(Some(content))
}

/// Puts a small file in place atomically and durably: a crash leaves all of it or none.
pub(crate) fn replace_small(disk: &dyn Disk, folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let new = folder.join(format!("{name}.new"));
    match disk.remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&new)?;
    write_all_at(file.as_ref(), &[content], 0)?;
    file.sync_all().map_err(sync_failed)?;
    disk.rename(&new, &folder.join(name))?;
    disk.sync_folder(folder).map_err(sync_failed)
}
