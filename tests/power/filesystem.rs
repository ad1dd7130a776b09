//! A file system in memory (FUSE) that loses power: for a real server, index and all. Every write
//! reaches it as the server makes it, and nothing of it is certain before the server syncs.
//!
//! What a power cut leaves is decided in `aftermath`, as for the store's own tests.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::aftermath::{Change, Content, NameChange, Names, Naming, Survivors, sync_names};
use super::chance::Chance;

/// The kernel asks again each time.
const NO_TIME: Duration = Duration::ZERO;

#[derive(Debug, Default)]
struct State {
    contents: Vec<Content>,
    now: Names,
    durable: Names,
    unsynced: Vec<Naming>,
    /// Folders by inode; the first is the root.
    folders: Vec<PathBuf>,
    unordered: bool,
    /// Syncs are answered and not done.
    lies: bool,
    /// Changes until the power goes.
    left: Option<usize>,
    after_cut: Option<Survivors>,
    /// Whether those who wait since the power went are let go.
    released: bool,
}

impl State {
    fn survivors(&self) -> Survivors {
        Survivors {
            contents: self.contents.clone(),
            durable: self.durable.clone(),
            unsynced: self.unsynced.clone(),
            ordered: !self.unordered,
        }
    }

    fn folder(&self, inode: INodeNo) -> Option<&PathBuf> {
        match u64::from(inode) {
            1 => self.folders.first(),
            inode if inode % 2 == 1 => self.folders.get(inode as usize / 2),
            _ => None,
        }
    }

    fn file(&self, inode: INodeNo) -> Option<usize> {
        let inode = u64::from(inode) as usize;
        (inode.is_multiple_of(2) && inode / 2 <= self.contents.len()).then(|| inode / 2 - 1)
    }

    fn attributes(&self, inode: INodeNo) -> Option<FileAttr> {
        let (kind, size) = match self.file(inode) {
            Some(id) => (FileType::RegularFile, self.contents.get(id)?.now.len() as u64),
            None => (FileType::Directory, self.folder(inode).map(|_| 0)?),
        };
        Some(FileAttr {
            ino: inode,
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm: 0o755,
            nlink: 1,
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    /// The inode of what is at `path`.
    fn at(&self, path: &Path) -> Option<INodeNo> {
        if let Some(id) = self.now.files.get(path) {
            return Some(INodeNo(2 * (*id as u64 + 1)));
        }
        let place =
            self.folders.iter().position(|folder| folder == path && self.now.folders.contains(path))?;
        Some(INodeNo(2 * place as u64 + 1))
    }

    fn name(&mut self, folders: Vec<PathBuf>, change: NameChange) {
        self.now.apply(&change);
        self.unsynced.push(Naming { folders, change });
    }

    fn child(&self, parent: INodeNo, name: &OsStr) -> Result<(PathBuf, PathBuf), Errno> {
        let folder = self.folder(parent).ok_or(Errno::ENOENT)?;
        Ok((folder.clone(), folder.join(name)))
    }
}

type Shared = Arc<(Mutex<State>, Condvar)>;

/// The disk that the file system is on. It outlives mounts and power cuts.
#[derive(Debug)]
pub(crate) struct LossyDisk {
    state: Shared,
    mounted: BackgroundSession,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no request panicked")
}

impl LossyDisk {
    /// An empty disk at `mountpoint`.
    pub(crate) fn mount(mountpoint: &Path, unordered: bool, lies: bool) -> std::io::Result<Self> {
        let state = State { folders: vec![PathBuf::from("/")], unordered, lies, ..State::default() };
        Self::mount_state(state, mountpoint)
    }

    fn mount_state(state: State, mountpoint: &Path) -> std::io::Result<Self> {
        let state: Shared = Arc::new((Mutex::new(state), Condvar::new()));
        let mounted = fuser::spawn_mount(Mounted(Arc::clone(&state)), mountpoint, &Config::default())?;
        Ok(Self { state, mounted })
    }

    /// Lets the power go after so many more changes.
    pub(crate) fn cut_power_after(&self, changes: usize) {
        lock(&self.state.0).left = Some(changes);
    }

    /// Waits until the power is gone; false if it does not go for so long.
    pub(crate) fn wait_for_the_cut(&self, longest: Duration) -> bool {
        let (state, changed) = &*self.state;
        let gone = changed.wait_timeout_while(lock(state), longest, |state| state.after_cut.is_none());
        gone.expect("no request panicked").0.after_cut.is_some()
    }

    /// Answers those who wait since the power went, with an error. Whoever shall not see it must
    /// have been killed: the kernel ends no process that waits for an answer.
    pub(crate) fn release(&self) {
        lock(&self.state.0).released = true;
        self.state.1.notify_all();
    }

    /// What is found at `mountpoint` when the power is back; whoever used it must be dead.
    pub(crate) fn power_is_back(self, mountpoint: &Path, chance: &mut Chance) -> std::io::Result<Self> {
        let (mut state, survivors) = {
            let mut state = lock(&self.state.0);
            let survivors = state.after_cut.take().unwrap_or_else(|| state.survivors());
            (State { unordered: state.unordered, lies: state.lies, ..State::default() }, survivors)
        };
        self.mounted.umount_and_join()?;
        (state.contents, state.durable) = survivors.settle(chance);
        state.now = state.durable.clone();
        state.folders.push(PathBuf::from("/"));
        state.folders.extend(state.now.folders.iter().cloned());
        Self::mount_state(state, mountpoint)
    }
}

/// What answers the kernel.
#[derive(Debug)]
struct Mounted(Shared);

impl Mounted {
    fn look<T>(&self, work: impl FnOnce(&State) -> Result<T, Errno>) -> Result<T, Errno> {
        let (state, changed) = &*self.0;
        let mut state = lock(state);
        while state.after_cut.is_some() && !state.released {
            // Nobody hears from a machine without power.
            state = changed.wait(state).expect("no request panicked");
        }
        if state.released {
            return Err(Errno::EIO);
        }
        work(&state)
    }

    fn change<T>(&self, work: impl FnOnce(&mut State) -> Result<T, Errno>) -> Result<T, Errno> {
        self.look(|_| Ok(()))?;
        let (state, changed) = &*self.0;
        {
            let mut state = lock(state);
            match state.left.as_mut() {
                Some(0) => {
                    state.after_cut = Some(state.survivors());
                    changed.notify_all();
                }
                Some(left) => *left -= 1,
                None => {}
            }
            if state.after_cut.is_none() {
                return work(&mut state);
            }
        }
        self.look(|_| Err(Errno::EIO))
    }
}

/// Answers with what came of a request.
macro_rules! answer {
    ($result:expr, $reply:ident, |$value:pat_param| $good:expr) => {
        match $result {
            Ok($value) => $good,
            Err(errno) => $reply.error(errno),
        }
    };
}

impl Filesystem for Mounted {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.look(|state| {
            let inode = state.at(&state.child(parent, name)?.1).ok_or(Errno::ENOENT)?;
            state.attributes(inode).ok_or(Errno::ENOENT)
        });
        answer!(found, reply, |attributes| reply.entry(&NO_TIME, &attributes, Generation(0)));
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let found = self.look(|state| state.attributes(inode).ok_or(Errno::ENOENT));
        answer!(found, reply, |attributes| reply.attr(&NO_TIME, &attributes));
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<std::time::SystemTime>,
        _: Option<FileHandle>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let changed = self.change(|state| {
            if let (Some(size), Some(id)) = (size, state.file(inode)) {
                write(state, id, Change::Length(size as usize));
            }
            state.attributes(inode).ok_or(Errno::ENOENT)
        });
        answer!(changed, reply, |attributes| reply.attr(&NO_TIME, &attributes));
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        let made = self.change(|state| {
            let (folder, path) = state.child(parent, name)?;
            if state.at(&path).is_some() {
                return Err(Errno::EEXIST);
            }
            state.name(vec![folder], NameChange::AddFolder(path.clone()));
            state.folders.push(path.clone());
            state.at(&path).and_then(|inode| state.attributes(inode)).ok_or(Errno::EIO)
        });
        answer!(made, reply, |attributes| reply.entry(&NO_TIME, &attributes, Generation(0)));
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, _: i32, reply: ReplyCreate) {
        let made = self.change(|state| {
            let (folder, path) = state.child(parent, name)?;
            if state.at(&path).is_some() {
                return Err(Errno::EEXIST);
            }
            let id = state.contents.len();
            state.contents.push(Content::default());
            state.name(vec![folder], NameChange::Add(path.clone(), id));
            state.at(&path).and_then(|inode| state.attributes(inode)).ok_or(Errno::EIO)
        });
        answer!(made, reply, |attributes| reply.created(
            &NO_TIME,
            &attributes,
            Generation(0),
            FileHandle(0),
            FopenFlags::empty()
        ));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(self.remove(parent, name), reply, |()| reply.ok());
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(self.remove(parent, name), reply, |()| reply.ok());
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let renamed = self.change(|state| {
            let (from_folder, from) = state.child(parent, name)?;
            let (to_folder, to) = state.child(new_parent, new_name)?;
            for folder in &mut state.folders {
                if let Ok(rest) = folder.strip_prefix(&from) {
                    *folder = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
                }
            }
            state.name(vec![from_folder, to_folder], NameChange::Move(from, to));
            Ok(())
        });
        answer!(renamed, reply, |()| reply.ok());
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self.look(|state| {
            let content = &state.contents[state.file(inode).ok_or(Errno::EISDIR)?].now;
            let rest = content.get(offset as usize..).unwrap_or_default();
            Ok(rest[..rest.len().min(size as usize)].to_vec())
        });
        answer!(read, reply, |bytes| reply.data(&bytes));
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self.change(|state| {
            let id = state.file(inode).ok_or(Errno::EISDIR)?;
            write(state, id, Change::Write(offset as usize, bytes.to_vec()));
            Ok(())
        });
        answer!(written, reply, |()| reply.written(bytes.len() as u32));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let synced = self.change(|state| {
            let id = state.file(inode).ok_or(Errno::EISDIR)?;
            if !state.lies {
                state.contents[id].sync();
            }
            Ok(())
        });
        answer!(synced, reply, |()| reply.ok());
    }

    fn fsyncdir(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let synced = self.change(|state| {
            let folder = state.folder(inode).cloned().ok_or(Errno::ENOENT)?;
            let State { unsynced, durable, unordered, .. } = state;
            sync_names(&folder, unsynced, durable, !*unordered);
            Ok(())
        });
        answer!(synced, reply, |()| reply.ok());
    }

    fn fallocate(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        _: i32,
        reply: ReplyEmpty,
    ) {
        let grown = self.change(|state| {
            let id = state.file(inode).ok_or(Errno::EISDIR)?;
            let end = (offset + length) as usize;
            if state.contents[id].now.len() < end {
                write(state, id, Change::Length(end));
            }
            Ok(())
        });
        answer!(grown, reply, |()| reply.ok());
    }

    fn readdir(&self, _: &Request, inode: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listed = self.look(|state| {
            let folder = state.folder(inode).ok_or(Errno::ENOTDIR)?;
            let inside = |path: &&PathBuf| path.parent() == Some(folder);
            let files =
                state.now.files.keys().filter(inside).map(|path| (path.clone(), FileType::RegularFile));
            let folders =
                state.now.folders.iter().filter(inside).map(|path| (path.clone(), FileType::Directory));
            Ok(files
                .chain(folders)
                .filter_map(|(path, kind)| Some((state.at(&path)?, kind, path.file_name()?.to_owned())))
                .collect::<Vec<_>>())
        });
        answer!(listed, reply, |entries| {
            for (place, (inode, kind, name)) in entries.into_iter().enumerate().skip(offset as usize) {
                if reply.add(inode, place as u64 + 1, kind, name) {
                    break;
                }
            }
            reply.ok();
        });
    }
}

impl Mounted {
    fn remove(&self, parent: INodeNo, name: &OsStr) -> Result<(), Errno> {
        self.change(|state| {
            let (folder, path) = state.child(parent, name)?;
            if state.at(&path).is_none() {
                return Err(Errno::ENOENT);
            }
            let mut inside = state.now.files.keys().chain(&state.now.folders);
            if inside.any(|other| other.parent() == Some(&path)) {
                return Err(Errno::ENOTEMPTY);
            }
            state.name(vec![folder], NameChange::Remove(path));
            Ok(())
        })
    }
}

fn write(state: &mut State, id: usize, change: Change) {
    let content = &mut state.contents[id];
    change.apply(&mut content.now);
    content.unsynced.push(change);
}
