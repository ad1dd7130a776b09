//! What a power cut leaves of a disk: of every file what was synced, of what was not whatever
//! chance decides, sector by sector; the same for names.
//!
//! When the power goes is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::chance::Chance;

/// What a power cut may tear a write into.
const SECTOR: usize = 512;

/// One change to a file that the disk may or may not have seen.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    pub(crate) fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Length(length) => content.resize(*length, 0),
            Self::Write(offset, bytes) => {
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

/// A file without its name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    pub(crate) now: Vec<u8>,
    pub(crate) durable: Vec<u8>,
    pub(crate) unsynced: Vec<Change>,
}

impl Content {
    /// Everything so far is on the disk.
    pub(crate) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// A sync failed: the kernel counts the pages as clean, whether or not the disk has them, and
    /// no later sync writes them.
    pub(crate) fn fail_to_sync(&mut self, chance: &mut Chance) {
        self.write_some(chance);
    }

    fn write_some(&mut self, chance: &mut Chance) {
        let left = &mut self.durable;
        for change in self.unsynced.drain(..) {
            match &change {
                Change::Length(_) if chance.once_in(2) => {}
                Change::Length(_) => change.apply(left),
                Change::Write(offset, bytes) => match chance.below(3) {
                    0 => {}
                    1 => change.apply(left),
                    _ => {
                        for (index, sector) in bytes.chunks(SECTOR).enumerate() {
                            if chance.once_in(2) {
                                Change::Write(offset + index * SECTOR, sector.to_vec()).apply(left);
                            }
                        }
                    }
                },
            }
        }
    }
}

/// A change of names that the disk may or may not have seen.
#[derive(Debug, Clone)]
pub(crate) struct Naming {
    /// The folders that must still be synced for it to be certain.
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) change: NameChange,
}

#[derive(Debug, Clone)]
pub(crate) enum NameChange {
    Add(PathBuf, usize),
    AddFolder(PathBuf),
    Remove(PathBuf),
    Move(PathBuf, PathBuf),
}

impl NameChange {
    fn paths(&self) -> [&Path; 2] {
        match self {
            Self::Add(path, _) | Self::AddFolder(path) | Self::Remove(path) => [path, path],
            Self::Move(from, to) => [from, to],
        }
    }

    /// Whether it makes no sense without `earlier`.
    fn depends_on(&self, earlier: &Self) -> bool {
        let related = |a: &Path, b: &Path| a.starts_with(b) || b.starts_with(a);
        self.paths().iter().any(|path| earlier.paths().iter().any(|other| related(path, other)))
    }
}

/// Which files and folders there are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pub(crate) files: BTreeMap<PathBuf, usize>,
    pub(crate) folders: BTreeSet<PathBuf>,
}

impl Names {
    pub(crate) fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Add(path, id) => drop(self.files.insert(path.clone(), *id)),
            NameChange::AddFolder(path) => drop(self.folders.insert(path.clone())),
            NameChange::Remove(path) => {
                self.files.remove(path);
                self.folders.remove(path);
            }
            NameChange::Move(from, to) => {
                let moved = |path: &PathBuf| path.strip_prefix(from).ok().map(|rest| to.join(rest));
                let fix =
                    |path: PathBuf| if path == *from { to.clone() } else { moved(&path).unwrap_or(path) };
                // What stood there before goes first: a map collected from pairs keeps the last.
                let (mut files, moving): (Vec<_>, Vec<_>) = std::mem::take(&mut self.files)
                    .into_iter()
                    .partition(|(path, _)| !path.starts_with(from));
                files.extend(moving);
                self.files = files.into_iter().map(|(path, id)| (fix(path), id)).collect();
                self.folders = std::mem::take(&mut self.folders).into_iter().map(fix).collect();
            }
        }
    }

    /// Forgets what lies in folders that do not exist. `root` itself always does.
    fn forget_orphans(&mut self) {
        let Some(root) = self.folders.first().and_then(|first| first.parent()).map(Path::to_owned) else {
            return;
        };
        loop {
            let folders = self.folders.clone();
            let kept = |path: &Path| path.parent().is_some_and(|p| p == root || folders.contains(p));
            self.files.retain(|path, _| kept(path));
            self.folders.retain(|path| kept(path));
            if self.folders.len() == folders.len() {
                return;
            }
        }
    }
}

/// The disk at the moment the power went.
#[derive(Debug, Clone)]
pub(crate) struct Survivors {
    pub(crate) contents: Vec<Content>,
    pub(crate) durable: Names,
    pub(crate) unsynced: Vec<Naming>,
    /// Whether changes of names reach the disk in their order, as with a journal; else any of
    /// them may come before those that it does not depend on.
    pub(crate) ordered: bool,
}

impl Survivors {
    /// What is found when the power is back.
    pub(crate) fn settle(self, chance: &mut Chance) -> (Vec<Content>, Names) {
        let mut names = self.durable;
        if self.ordered {
            let kept = chance.below(self.unsynced.len() + 1);
            for naming in self.unsynced.iter().take(kept) {
                names.apply(&naming.change);
            }
        } else {
            let mut lost: Vec<&NameChange> = Vec::new();
            for naming in &self.unsynced {
                let orphaned = lost.iter().any(|earlier| naming.change.depends_on(earlier));
                if orphaned || chance.once_in(2) {
                    lost.push(&naming.change);
                } else {
                    names.apply(&naming.change);
                }
            }
        }
        names.forget_orphans();
        let contents = self.contents.into_iter().map(|mut content| {
            content.write_some(chance);
            Content { now: content.durable.clone(), durable: content.durable, unsynced: Vec::new() }
        });
        (contents.collect(), names)
    }
}

/// Makes certain what a sync of `folder` makes certain.
pub(crate) fn sync_names(folder: &Path, unsynced: &mut Vec<Naming>, durable: &mut Names, ordered: bool) {
    for naming in unsynced.iter_mut() {
        naming.folders.retain(|waiting| waiting != folder);
    }
    let mut certain: Vec<bool> = unsynced.iter().map(|naming| naming.folders.is_empty()).collect();
    if ordered {
        // One that is certain takes all before it along.
        let last = certain.iter().rposition(|certain| *certain).map_or(0, |last| last + 1);
        certain[..last].fill(true);
    } else {
        for later in (0..unsynced.len()).rev().filter(|at| certain[*at]).collect::<Vec<_>>() {
            for earlier in 0..later {
                certain[earlier] |= unsynced[later].change.depends_on(&unsynced[earlier].change);
            }
        }
    }
    let mut certain = certain.into_iter();
    unsynced.retain(|naming| {
        let certain = certain.next().unwrap_or(false);
        if certain {
            durable.apply(&naming.change);
        }
        !certain
    });
}
