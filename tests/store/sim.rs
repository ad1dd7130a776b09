//! A disk in memory that behaves as badly as real ones may: it fails on demand, writes short,
//! fills up, holds calls back, and loses power, keeping of what was not synced whatever chance
//! decides, sector by sector.
//!
//! It knows nothing of the store's formats.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use kinora_store::{Disk, DiskFile, Listed, ListedKind};

use super::aftermath::{Change, Content, NameChange, Names, Naming, Survivors, sync_names};
use super::chance::Chance;

/// A block that was never written to.
const ZEROS: [u8; 4096] = [0; 4096];

/// The calls that can be failed, held or counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Create,
    Write,
    SyncData,
    SyncAll,
    Allocate,
    Truncate,
    Rename,
    Remove,
    SyncFolder,
}

#[derive(Debug, Default)]
struct State {
    contents: Vec<Content>,
    now: Names,
    durable: Names,
    unsynced: Vec<Naming>,
    log: Vec<(Op, PathBuf)>,
    /// Fail the call of this kind once it has been made this many times more.
    fail: Vec<(Op, usize, rustix::io::Errno)>,
    /// At this many calls from the start, the power goes.
    cut_at: Option<usize>,
    calls: usize,
    /// Whether it is only the process that ends then, and with it nothing that was written.
    only_killed: bool,
    killed: bool,
    a_folder_sync_failed: bool,
    /// The disk as it was when the power went.
    after_cut: Option<Box<Survivors>>,
    most_bytes_per_write: Option<usize>,
    /// Room for files, in bytes.
    capacity: Option<usize>,
    held: Option<Op>,
    waiting: usize,
    chance: Chance,
    /// See [`Survivors::ordered`].
    unordered: bool,
    /// Called before each call, while nothing of the disk is locked.
    interrupt: Option<fn()>,
    breach: Option<Breach>,
    /// Files whose sync was promised and not done: see [`Breach::AckedFirst`].
    late: Vec<usize>,
}

/// A step of the protocol that is left out or done wrongly, as a store with that mistake would do
/// it. The tests must notice each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breach {
    /// Records are never synced.
    NoSync,
    /// Records are synced, but after the acknowledgement.
    AckedFirst,
    /// A new segment's header is not synced before records follow.
    HeaderNotSynced,
    /// A folder is not synced after something was created in it.
    NoFolderSyncAfterCreate,
    /// A folder is not synced after something was renamed in it.
    NoFolderSyncAfterRename,
    /// What recovery found, and cut, is not synced before it is served.
    RecoveryNotSynced,
    /// A sync that failed is tried again.
    SyncRetried,
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimDisk {
    state: Arc<(Mutex<State>, Condvar)>,
}

impl SimDisk {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.0.lock().unwrap())
    }

    /// A disk whose own chance grows from `seed`.
    pub(crate) fn seeded(seed: u64, unordered: bool, breach: Option<Breach>, interrupt: fn()) -> Self {
        let disk = Self::default();
        disk.with(|state| {
            state.chance = Chance(seed);
            state.unordered = unordered;
            state.breach = breach;
            state.interrupt = Some(interrupt);
        });
        disk
    }

    /// The process that used it is gone: faults that were to come are off, and its calls are
    /// forgotten.
    pub(crate) fn next_life(&self) {
        self.with(|state| {
            state.fail.clear();
            state.log.clear();
            (state.cut_at, state.only_killed, state.killed) = (None, false, false);
            state.capacity = None;
            state.most_bytes_per_write = None;
        });
    }

    /// Fails the `nth` call of this kind from now on (0: the next).
    pub(crate) fn fail(&self, op: Op, nth: usize, errno: rustix::io::Errno) {
        self.with(|state| state.fail.push((op, nth, errno)));
    }

    /// Lets the power go at the call number `calls` from now on.
    pub(crate) fn cut_power_after(&self, calls: usize) {
        self.with(|state| state.cut_at = Some(state.calls + calls));
    }

    /// Lets the process end at the call number `calls` from now on.
    pub(crate) fn kill_after(&self, calls: usize) {
        self.cut_power_after(calls);
        self.with(|state| state.only_killed = true);
    }

    /// Whether a sync of a folder has failed since the power was last gone.
    pub(crate) fn a_folder_sync_failed(&self) -> bool {
        self.with(|state| state.a_folder_sync_failed)
    }

    pub(crate) fn process_is_killed(&self) -> bool {
        self.with(|state| state.killed)
    }

    pub(crate) fn power_is_cut(&self) -> bool {
        self.with(|state| state.after_cut.is_some())
    }

    pub(crate) fn write_at_most(&self, bytes: Option<usize>) {
        self.with(|state| state.most_bytes_per_write = bytes);
    }

    pub(crate) fn set_capacity(&self, bytes: Option<usize>) {
        self.with(|state| state.capacity = bytes);
    }

    /// Bytes that files take.
    pub(crate) fn used(&self) -> usize {
        self.with(|state| used(state))
    }

    /// Holds back the calls of this kind, or none any more.
    pub(crate) fn hold(&self, op: Option<Op>) {
        self.with(|state| state.held = op);
        self.state.1.notify_all();
    }

    /// Waits until a call is held back.
    pub(crate) fn wait_until_held(&self) {
        let (mutex, changed) = &*self.state;
        drop(changed.wait_while(mutex.lock().unwrap(), |state| state.waiting == 0).unwrap());
    }

    pub(crate) fn log(&self) -> Vec<(Op, PathBuf)> {
        self.with(|state| state.log.clone())
    }

    /// The disk as it is found after the power cut (or a cut right now), by chance.
    pub(crate) fn after_power_cut(&self, chance: &mut Chance) -> Self {
        let (survivors, mut state) = self.with(|state| {
            let left = state.after_cut.take().unwrap_or_else(|| Box::new(survivors(state)));
            let state = State {
                chance: state.chance.clone(),
                unordered: state.unordered,
                breach: state.breach,
                interrupt: state.interrupt,
                ..State::default()
            };
            (left, state)
        });
        (state.contents, state.durable) = survivors.settle(chance);
        state.now = state.durable.clone();
        Self { state: Arc::new((Mutex::new(state), Condvar::new())) }
    }

    fn call<T>(&self, op: Op, path: &Path, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        if let Some(interrupt) = self.with(|state| state.interrupt) {
            interrupt();
        }
        let (mutex, changed) = &*self.state;
        let mut state = mutex.lock().unwrap();
        if state.held == Some(op) {
            state.waiting += 1;
            changed.notify_all();
            state = changed.wait_while(state, |state| state.held == Some(op)).unwrap();
            state.waiting -= 1;
        }
        if state.after_cut.is_some() || state.killed {
            return Err(io::Error::other("the power is gone"));
        }
        state.calls += 1;
        if state.cut_at.is_some_and(|at| state.calls >= at) {
            // The call under way may have come through or not.
            if state.chance.once_in(2) {
                let _ = work(&mut state);
            }
            if state.only_killed {
                state.killed = true;
            } else {
                state.after_cut = Some(Box::new(survivors(&state)));
            }
            return Err(io::Error::other("the power is gone"));
        }
        for id in std::mem::take(&mut state.late) {
            state.contents[id].sync();
        }
        state.log.push((op, path.to_owned()));
        let mut failed = None;
        state.fail.retain_mut(|(kind, nth, errno)| {
            if *kind != op || failed.is_some() {
                return true;
            }
            if *nth == 0 {
                failed = Some(*errno);
                return false;
            }
            *nth -= 1;
            true
        });
        let Some(errno) = failed else { return work(&mut state) };
        let State { contents, now, unsynced, chance, breach, a_folder_sync_failed, .. } = &mut *state;
        match op {
            Op::SyncData | Op::SyncAll => {
                if let Some(content) = now.files.get(path).map(|id| &mut contents[*id]) {
                    content.fail_to_sync(chance);
                }
            }
            // Nobody knows which of these the disk has; none is written again.
            Op::SyncFolder => {
                unsynced.retain(|naming| !naming.folders.iter().any(|folder| folder == path));
                *a_folder_sync_failed = true;
            }
            _ => return Err(errno.into()),
        }
        if *breach == Some(Breach::SyncRetried) { work(&mut state) } else { Err(errno.into()) }
    }
}

fn survivors(state: &State) -> Survivors {
    Survivors {
        contents: state.contents.clone(),
        durable: state.durable.clone(),
        unsynced: state.unsynced.clone(),
        ordered: !state.unordered,
    }
}

fn used(state: &State) -> usize {
    state.now.files.values().map(|id| state.contents[*id].now.len()).sum()
}

fn not_found() -> io::Error {
    rustix::io::Errno::NOENT.into()
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap().to_owned()
}

fn rename_in(state: &mut State, folders: Vec<PathBuf>, change: NameChange) {
    state.now.apply(&change);
    state.unsynced.push(Naming { folders, change });
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.call(Op::Create, path, |state| {
            if state.now.files.contains_key(path) {
                return Err(rustix::io::Errno::EXIST.into());
            }
            if !state.now.folders.contains(&parent(path))
                && parent(path).parent().is_some_and(|p| state.now.folders.contains(p))
            {
                return Err(not_found());
            }
            let id = state.contents.len();
            state.contents.push(Content::default());
            rename_in(state, vec![parent(path)], NameChange::Add(path.to_owned(), id));
            Ok(Arc::new(SimFile { disk: self.clone(), path: path.to_owned(), id }) as Arc<dyn DiskFile>)
        })
    }

    fn open(&self, path: &Path, _writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        let id = self.with(|state| state.now.files.get(path).copied()).ok_or_else(not_found)?;
        Ok(Arc::new(SimFile { disk: self.clone(), path: path.to_owned(), id }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Op::Rename, from, |state| {
            if !state.now.files.contains_key(from) && !state.now.folders.contains(from) {
                return Err(not_found());
            }
            let change = NameChange::Move(from.to_owned(), to.to_owned());
            rename_in(state, vec![parent(from), parent(to)], change);
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call(Op::Remove, path, |state| {
            if !state.now.files.contains_key(path) {
                return Err(not_found());
            }
            rename_in(state, vec![parent(path)], NameChange::Remove(path.to_owned()));
            Ok(())
        })
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.call(Op::Create, path, |state| {
            if !state.now.folders.contains(path) {
                rename_in(state, vec![parent(path)], NameChange::AddFolder(path.to_owned()));
            }
            Ok(())
        })
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.call(Op::Remove, path, |state| {
            if state.now.files.keys().any(|file| file.parent() == Some(path)) {
                return Err(rustix::io::Errno::NOTEMPTY.into());
            }
            rename_in(state, vec![parent(path)], NameChange::Remove(path.to_owned()));
            Ok(())
        })
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.call(Op::SyncFolder, path, |state| {
            let State { unsynced, durable, unordered, breach, .. } = state;
            let waiting = |what: fn(&NameChange) -> bool| {
                unsynced.iter().any(|n| n.folders.iter().any(|f| f == path) && what(&n.change))
            };
            let left_out = match breach {
                Some(Breach::NoFolderSyncAfterCreate) => waiting(|c| matches!(c, NameChange::Add(..))),
                Some(Breach::NoFolderSyncAfterRename) => waiting(|c| matches!(c, NameChange::Move(..))),
                _ => false,
            };
            if !left_out {
                sync_names(path, unsynced, durable, !*unordered);
            }
            Ok(())
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Listed>> {
        self.with(|state| {
            let files = state.now.files.keys().map(|path| (path, ListedKind::File));
            let inside = files.chain(state.now.folders.iter().map(|path| (path, ListedKind::Folder)));
            let inside = inside.filter(|(inside, _)| inside.parent() == Some(path));
            Ok(inside.map(|(path, kind)| Listed { name: path.file_name().unwrap().into(), kind }).collect())
        })
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    id: usize,
}

impl SimFile {
    fn sync(&self, op: Op) -> io::Result<()> {
        self.disk.call(op, &self.path, |state| {
            let open = self.path.extension().is_some_and(|extension| extension == "open");
            // The first sync in this life of a file from an earlier one.
            let recovering = || {
                let calls = |what: Op| {
                    state.log.iter().filter(move |(op, path)| *op == what && *path == self.path).count()
                };
                calls(Op::Create) == 0 && calls(Op::SyncAll) == 1
            };
            match state.breach {
                Some(Breach::NoSync) if op == Op::SyncData => {}
                Some(Breach::AckedFirst) if op == Op::SyncData => state.late.push(self.id),
                Some(Breach::HeaderNotSynced)
                    if op == Op::SyncAll && open && state.contents[self.id].durable.is_empty() => {}
                Some(Breach::RecoveryNotSynced) if op == Op::SyncAll && open && recovering() => {}
                _ => state.contents[self.id].sync(),
            }
            Ok(())
        })
    }

    fn change(&self, state: &mut State, change: Change) -> io::Result<()> {
        let grown = match &change {
            Change::Write(offset, bytes) => offset + bytes.len(),
            Change::Length(length) => *length,
        };
        let before = state.contents[self.id].now.len();
        if state.capacity.is_some_and(|room| used(state) + grown.saturating_sub(before) > room) {
            return Err(rustix::io::Errno::NOSPC.into());
        }
        let content = &mut state.contents[self.id];
        change.apply(&mut content.now);
        content.unsynced.push(change);
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.disk.call(Op::Write, &self.path, |state| {
            let mut bytes = Vec::new();
            pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
            bytes.truncate(state.most_bytes_per_write.unwrap_or(usize::MAX));
            let length = bytes.len();
            self.change(state, Change::Write(offset as usize, bytes))?;
            Ok(length)
        })
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.with(|state| {
            let content = &state.contents[self.id].now;
            let rest = content.get(offset as usize..).unwrap_or_default();
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            Ok(length)
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(Op::SyncData)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(Op::SyncAll)
    }

    fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        self.disk.call(Op::Allocate, &self.path, |state| {
            let length = (offset + length) as usize;
            if state.contents[self.id].now.len() >= length {
                return Ok(());
            }
            self.change(state, Change::Length(length))
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.disk.call(Op::Truncate, &self.path, |state| self.change(state, Change::Length(length as usize)))
    }

    fn len(&self) -> io::Result<u64> {
        self.disk.with(|state| Ok(state.contents[self.id].now.len() as u64))
    }

    fn data_after(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        self.disk.with(|state| {
            let content = &state.contents[self.id].now;
            let rest = content.get(offset as usize..).unwrap_or_default();
            let is_hole = |block: &[u8]| block == &ZEROS[..block.len()];
            let Some(start) = rest.chunks(ZEROS.len()).position(|block| !is_hole(block)) else {
                return Ok(None);
            };
            let start = start * ZEROS.len();
            let data = rest[start..].chunks(ZEROS.len()).take_while(|block| !is_hole(block));
            let end = start + data.map(<[u8]>::len).sum::<usize>();
            Ok(Some(offset + start as u64..offset + end as u64))
        })
    }
}
