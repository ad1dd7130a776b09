//! Opening a stream without listing its folder: after an orderly shutdown, clean file and index say
//! what is in it.
//!
//! What came, went or lies there besides is found afterwards, by a survey that nobody waits for.

use std::sync::Arc;

use super::files::Files;
use super::{Failed, Known};
use crate::disk::{ListedKind, read_small};
use crate::format::{StreamFile, open_name};
use crate::sync::lock;
use crate::volume::Volume;
use crate::{DamagedPlace, Error, Foreign, Stream};
use kinora_base::StreamName;

/// The stream's files as an orderly shutdown left them; none if anything says otherwise: the index
/// is not the one that was closed, or the stream file or the open segment is not there.
pub(super) fn files(volume: &Volume, name: &StreamName, known: &Known) -> Result<Option<Files>, Failed> {
    let Some((clean, row)) = known.clean.as_ref().zip(known.row.as_ref()) else { return Ok(None) };
    let newest = volume.database.segments_by_number(row.id, 0, u64::MAX, true, 1).map_err(Failed::All)?;
    if newest.first().map_or(0, |row| row.first) != clean.newest_sealed {
        return Ok(None);
    }
    let (disk, folder) = (volume.disk.as_ref(), volume.stream_folder(name));
    let content = read_small(disk, &folder.join(StreamFile::NAME), StreamFile::BYTES).ok().flatten();
    let block = content.as_deref().and_then(|content| content.first_chunk());
    let file = block.and_then(|block| StreamFile::decode(block).ok());
    if file.is_none_or(|file| file.name != *name || file.created != row.created) {
        return Ok(None);
    }
    let open: Vec<u64> = Some(clean.open_first).filter(|first| *first > 0).into_iter().collect();
    if open.iter().any(|first| disk.open(&folder.join(open_name(*first)), false).is_err()) {
        return Ok(None);
    }
    Ok(Some(Files { open, has_stream_file: true, trusted: true, ..Files::default() }))
}

/// What a survey of a stream's folder found.
#[derive(Debug, Default)]
pub(crate) struct Surveyed {
    pub(crate) foreign: Vec<Foreign>,
    /// Sealed segments that the index does not have.
    pub(crate) unknown: Vec<String>,
}

/// Looks whether the folder of a running stream is as the index says. Files are only listed.
pub(crate) fn survey(stream: &Arc<Stream>) -> Result<Surveyed, Error> {
    let volume = &stream.volume;
    // Rows first: a segment gets its row after its name, and loses its name before its row.
    let rows = volume.database.segment_firsts(stream.id)?;
    let files = {
        let gone = lock(&stream.folder_gone);
        if *gone {
            return Ok(Surveyed::default());
        }
        Files::list(volume.disk.as_ref(), &stream.folder)?
    };
    let is_there = |first: u64| files.sealed.binary_search_by_key(&first, |(first, _)| *first).is_ok();
    let missing = rows.iter().filter(|first| !is_there(**first) && !files.open.contains(*first));
    for first in missing {
        // Still there: nobody has deleted it meanwhile.
        let row = volume.database.segment_of(stream.id, *first)?;
        let Some(row) = row.filter(|row| row.first == *first) else { continue };
        if !lock(&stream.state).kept.view().shows_some(&row) {
            // It has expired, and its row follows its file.
            continue;
        }
        let file = row.file_name();
        let listed = volume.disk.list(&stream.folder).map_err(|e| Error::io("list", &stream.folder, &e))?;
        if listed.iter().any(|listed| listed.kind == ListedKind::File && listed.name == file.as_str()) {
            continue;
        }
        let (reason, found) = ("the file is missing".to_owned(), volume.clock.wall());
        let place = DamagedPlace { segment: *first, file, offset: 0, fragment: None, reason, found };
        stream.quarantine(vec![place]);
    }
    // One that was sealed since the rows were read has its row by now, or gets it.
    let indexed = volume.database.segment_firsts(stream.id)?;
    let in_memory = lock(&stream.state).segments.first_in_memory();
    let unknown = files.sealed.into_iter().filter(|(first, _)| {
        *first < in_memory && rows.binary_search(first).is_err() && indexed.binary_search(first).is_err()
    });
    Ok(Surveyed { foreign: files.foreign, unknown: unknown.map(|(_, name)| name).collect() })
}
