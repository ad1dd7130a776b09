//! What stands in the folder `streams`: streams' folders, and what is not ours.
//!
//! What is in a stream's folder is looked at elsewhere.

use std::path::{Path, PathBuf};

use kinora_base::StreamName;

use super::files::{Files, first_segment, segment_header};
use crate::disk::{Disk, Listed, ListedKind, read_small};
use crate::format::{StreamFile, folder_name};
use crate::{Error, Foreign};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// The streams, by name.
    pub(crate) names: Vec<StreamName>,
    pub(crate) foreign: Vec<Foreign>,
}

impl Survey {
    /// Lists the folder `streams` of a data directory.
    pub(crate) fn of(disk: &dyn Disk, streams: &Path) -> Result<Self, Error> {
        let mut survey = Self::default();
        for listed in disk.list(streams).map_err(|error| Error::io("list", streams, &error))? {
            match stream_name(disk, streams, &listed) {
                Ok(name) => survey.names.push(name),
                Err(reason) => {
                    let path = Path::new("streams").join(&listed.name);
                    survey.foreign.push(Foreign { path, reason });
                }
            }
        }
        survey.names.sort_unstable();
        survey.foreign.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(survey)
    }
}

/// The stream whose folder this is, or why it is none.
fn stream_name(disk: &dyn Disk, streams: &Path, listed: &Listed) -> Result<StreamName, &'static str> {
    match listed.kind {
        ListedKind::Folder => {}
        ListedKind::File => return Err("is a file, where only streams' folders belong"),
        ListedKind::Link => {
            return Err(
                "is a symbolic link, which is not followed (move the folder itself here, or mount it)",
            );
        }
        ListedKind::Special => return Err("is a device, pipe or socket"),
    }
    let text = listed.name.to_str().ok_or("has a name that no stream can have")?;
    let name = match StreamName::new(text) {
        Ok(name) => Some(name),
        Err(_) if text.contains('~') => long_name(disk, &streams.join(text))?,
        Err(_) => None,
    };
    name.filter(|name| folder_name(name) == text).ok_or("has a name that no stream can have")
}

/// The name of the stream in `folder`, which cannot be told from the folder's name.
fn long_name(disk: &dyn Disk, folder: &Path) -> Result<Option<StreamName>, &'static str> {
    const UNREADABLE: &str = "cannot be read, so that its stream's name is unknown";
    let path: PathBuf = folder.join(StreamFile::NAME);
    let content = read_small(disk, &path, StreamFile::BYTES).map_err(|_| UNREADABLE)?;
    let block = content.as_deref().and_then(|content| content.first_chunk());
    if let Some(Ok(file)) = block.map(StreamFile::decode) {
        return Ok(Some(file.name));
    }
    let files = Files::list(disk, folder).map_err(|_| UNREADABLE)?;
    let Some(first) = first_segment(folder, &files) else { return Ok(None) };
    let header = segment_header(disk, &first).map_err(|_| UNREADABLE)?;
    Ok(header.map(|header| header.stream))
}
