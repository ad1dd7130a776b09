//! What can go wrong in the store, and whether trying again makes sense.

use std::fmt;
use std::io;
use std::path::Path;

use kinora_base::ErrorKind;
use rustix::io::Errno;

/// A failed store operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What the caller can do about it.
    pub kind: ErrorKind,
    /// One sentence with the file, stream or fragment it is about.
    pub message: String,
}

impl Error {
    /// An error of `kind`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The operating system refused to do `what` with `path`.
    pub(crate) fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        let kind = if is_full(error) { ErrorKind::StorageFull } else { ErrorKind::Unavailable };
        Self::new(kind, format!("cannot {what} {}: {error}", path.display()))
    }

    /// Bytes in `path` at `offset` are not what they should be.
    pub(crate) fn damaged(path: &Path, offset: u64, reason: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Corrupt, format!("{} at byte {offset}: {reason}", path.display()))
    }
}

/// Whether `error` says that there is no room, which is no fault of the volume.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        || matches!(Errno::from_io_error(error), Some(Errno::NOSPC | Errno::DQUOT))
}

/// Whether `error` says that the process or the system has no file to spare just now, which is no
/// fault of the volume either.
pub(crate) fn is_out_of_files(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// Whether `error` is about one name or folder (who may write there, what stands there already),
/// so that nothing was written and no other folder of the volume is concerned.
pub(crate) fn is_local(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), PermissionDenied | AlreadyExists | NotFound | NotADirectory)
}

/// Whether `error` says that the disk does not give back what is on it: a bad sector. That is
/// damage, like bytes that are wrong.
pub(crate) fn is_unreadable(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::IO | Errno::UCLEAN | Errno::BADMSG))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
