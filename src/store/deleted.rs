//! The folder `deleted`: streams whose deletion is under way, and what of them is not ours.
//!
//! A stream is gone once its folder is here; when its files follow does not matter to anybody.

use std::io;
use std::path::{Path, PathBuf};

use kinora_base::{StreamName, WallTime};

use crate::disk::{Disk, ListedKind};
use crate::format::{FileName, checksum};
use crate::keys::destroy;

/// The name here of the folder of a stream, unlike that of any other: the time of creation tells
/// streams of one name apart, and `taken` makes sure.
pub(crate) fn place(disk: &dyn Disk, deleted: &Path, stream: (&StreamName, WallTime)) -> io::Result<PathBuf> {
    let (name, created) = stream;
    let name = format!("{}-{:08x}", created.as_micros(), checksum(name.as_str().as_bytes()));
    let taken = disk.list(deleted)?;
    let again = (2_u32..).map(|count| format!("{name}.{count}"));
    let mut names = std::iter::once(name.clone()).chain(again);
    let free = names.find(|name| !taken.iter().any(|listed| listed.name == name.as_str()));
    Ok(deleted.join(free.unwrap_or(name)))
}

/// Whether `name` is one that [`place`] gives.
fn is_place(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (name, count) = name.split_once('.').unwrap_or((name, "2"));
    let Some((created, crc)) = name.rsplit_once('-') else { return false };
    let hexadecimal = crc.len() == 8 && crc.bytes().all(|byte| byte.is_ascii_hexdigit());
    hexadecimal && digits(count) && digits(created.strip_prefix('-').unwrap_or(created))
}

/// Removes our files in `folder`, and the folder unless something else is in it, too; whether the
/// folder is gone.
pub(crate) fn empty(disk: &dyn Disk, folder: &Path) -> io::Result<bool> {
    // Before the media: from here on nobody can read it, whatever of it is still found.
    destroy(disk, folder)?;
    let mut all = true;
    for listed in disk.list(folder)? {
        let ours = listed.kind == ListedKind::File
            && listed.name.to_str().is_some_and(|name| FileName::parse(name).is_some());
        if ours {
            disk.remove_file(&folder.join(listed.name))?;
        }
        all &= ours;
    }
    if all {
        disk.remove_folder(folder)?;
    }
    Ok(all)
}

/// What is left here after everything of ours was removed that can be.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// What is not ours.
    pub(crate) foreign: Vec<PathBuf>,
    /// What could not be removed, and why.
    pub(crate) stuck: Vec<(PathBuf, io::Error)>,
}

/// Removes the files of all streams that were deleted.
pub(crate) fn empty_all(disk: &dyn Disk, deleted: &Path) -> io::Result<Left> {
    let mut left = Left::default();
    for listed in disk.list(deleted)? {
        let path = deleted.join(&listed.name);
        if listed.kind != ListedKind::Folder || !listed.name.to_str().is_some_and(is_place) {
            left.foreign.push(path);
            continue;
        }
        match empty(disk, &path) {
            Ok(true) => {}
            Ok(false) => left.foreign.push(path),
            Err(error) => left.stuck.push((path, error)),
        }
    }
    Ok(left)
}
