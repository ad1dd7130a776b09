//! What is in a data directory and is not ours, and what is ours and cannot be read: neither may
//! cost any other stream anything.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kinora_base::ErrorKind;
use kinora_store::{Axis, Disk, DiskFile, Listed, LocalDisk, Store, rebuild_index, verify};

use super::damage::copy;
use super::harness::*;

/// Two streams of three fragments each, closed.
fn two_streams() -> tempfile::TempDir {
    let folder = memory_folder();
    let store = open(folder.path());
    for text in ["cam1", "cam2"] {
        let mut to = writer(&store.create_stream(&name(text)).unwrap());
        for n in 0..3 {
            store_one(&mut to, &Take::at(n * 1000, payload(n as u64, 500)));
        }
    }
    store.close();
    folder
}

fn paths(store: &Store) -> Vec<PathBuf> {
    let surveyed = store.survey();
    let found = store.recovery().foreign.iter().chain(&surveyed);
    let paths: BTreeSet<_> = found.map(|foreign| foreign.path.clone()).collect();
    paths.into_iter().collect()
}

fn fragments(store: &Store, text: &str) -> usize {
    store.stream(&name(text)).unwrap().fragments(&everything(Axis::Arrival)).unwrap().len()
}

/// Opens a changed copy of a clean data directory in which both streams are sound.
fn with_stray(change: impl Fn(&Path), reported: &[&str]) -> (tempfile::TempDir, Store) {
    let folder = memory_folder();
    copy(two_streams().path(), folder.path());
    change(folder.path());
    let store = open(folder.path());
    assert_eq!(paths(&store), reported.iter().map(PathBuf::from).collect::<Vec<_>>());
    assert_eq!(store.recovery().damages, []);
    assert_eq!((fragments(&store, "cam1"), fragments(&store, "cam2")), (3, 3), "{reported:?}");
    assert_eq!(store.streams().len(), 2);
    (folder, store)
}

fn write(path: PathBuf) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, b"not ours").unwrap();
}

#[test]
fn what_is_not_ours_is_left_alone_and_named() {
    type Change = Box<dyn Fn(&Path)>;
    let cases: [(&str, Change); 13] = [
        ("streams/notes", Box::new(|f| write(f.join("streams/notes")))),
        ("streams/notes.txt~", Box::new(|f| write(f.join("streams/notes.txt~")))),
        ("streams/lost+found", Box::new(|f| std::fs::create_dir(f.join("streams/lost+found")).unwrap())),
        ("streams/photos", Box::new(|f| write(f.join("streams/photos/1.jpg")))),
        ("streams/alias", Box::new(|f| symlink("cam1", f.join("streams/alias")).unwrap())),
        ("streams/loop", Box::new(|f| symlink("loop", f.join("streams/loop")).unwrap())),
        ("streams/cam1/notes", Box::new(|f| write(f.join("streams/cam1/notes")))),
        ("streams/cam1/sub", Box::new(|f| write(f.join("streams/cam1/sub/x")))),
        (
            "streams/cam1/00000000000000000002.open",
            Box::new(|f| write(f.join("streams/cam1/00000000000000000002.open/x"))),
        ),
        (
            "streams/cam1/00000000000000000003.open",
            Box::new(|f| symlink("/dev/zero", f.join("streams/cam1/00000000000000000003.open")).unwrap()),
        ),
        ("deleted/notes", Box::new(|f| write(f.join("deleted/notes")))),
        ("deleted/photos", Box::new(|f| write(f.join("deleted/photos/1.jpg")))),
        (
            "deleted/1795165200000000-0123abcd",
            Box::new(|f| write(f.join("deleted/1795165200000000-0123abcd/a/b"))),
        ),
    ];
    for (path, change) in cases {
        let (folder, store) = with_stray(change, &[path]);
        assert_eq!(store.recovery().out_of_service, []);
        store.close();
        assert!(std::fs::symlink_metadata(folder.path().join(path)).is_ok(), "{path} is still there");
        assert_eq!(verify(folder.path(), None, |_| ()).unwrap().damages, []);
        assert_eq!(rebuild_index(folder.path()).unwrap().damages, []);
    }
}

#[test]
fn a_name_that_something_else_has_is_refused_to_a_new_stream() {
    let (folder, store) = with_stray(
        |f| {
            write(f.join("streams/photos/1.jpg"));
            symlink("cam1", f.join("streams/alias")).unwrap();
        },
        &["streams/alias", "streams/photos"],
    );
    for taken in ["photos", "alias"] {
        let error = store.create_stream(&name(taken)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict);
        assert!(error.message.contains(taken), "{error}");
    }
    assert!(!folder.path().join("streams/photos/stream").exists());
    store.create_stream(&name("cam3")).unwrap();
}

#[test]
fn a_copy_of_a_streams_folder_is_not_a_second_stream() {
    let folder = two_streams();
    let (first, copied) = (folder.path().join("streams/cam1"), folder.path().join("streams/copy"));
    std::fs::create_dir(&copied).unwrap();
    copy(&first, &copied);
    for lost_stream_file in [false, true] {
        if lost_stream_file {
            std::fs::remove_file(copied.join("stream")).unwrap();
        }
        let store = open(folder.path());
        let refused = &store.recovery().out_of_service;
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(refused[0].stream, name("copy"));
        assert!(refused[0].error.message.contains("'cam1'"), "{refused:?}");
        assert_eq!(store.streams().len(), 2);
        assert_eq!(store.create_stream(&name("copy")).unwrap_err().kind, ErrorKind::Unavailable);
        assert_eq!(copied.join("stream").exists(), !lost_stream_file, "nothing in it was changed");
        store.close();
    }
}

/// The local disk, but for one path that it refuses to read, as to a user without the right.
#[derive(Debug)]
struct Refusing(PathBuf);

impl Refusing {
    fn permit(&self, path: &Path) -> io::Result<()> {
        if path.starts_with(&self.0) { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    }
}

impl Disk for Refusing {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        LocalDisk.create(path)
    }

    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        self.permit(path).and_then(|()| LocalDisk.open(path, writable))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        LocalDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        LocalDisk.remove_file(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        LocalDisk.create_folder(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        LocalDisk.remove_folder(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        LocalDisk.sync_folder(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Listed>> {
        self.permit(path).and_then(|()| LocalDisk.list(path))
    }
}

#[test]
fn a_stream_that_cannot_be_read_is_out_of_service_alone_until_it_can() {
    for victim in ["streams/cam1", "streams/cam1/stream", "streams/cam1/00000000000000000001.open"] {
        let folder = two_streams();
        let disk = Arc::new(Refusing(folder.path().join(victim)));
        let store = Store::open_on(disk, folder.path(), options(), clock()).unwrap();
        let refused = &store.recovery().out_of_service;
        assert_eq!(refused.len(), 1, "{victim}: {refused:?}");
        assert!(refused[0].error.message.contains(victim), "{refused:?}");
        assert!(store.stream(&name("cam1")).is_none());
        assert_eq!(store.out_of_service(&name("cam1")).unwrap().kind, ErrorKind::Unavailable);
        assert_eq!(store.statistics().out_of_service, 1);
        let mut to = writer(&store.stream(&name("cam2")).unwrap());
        store_one(&mut to, &Take::at(9000, payload(9, 500)));
        drop(to);
        store.close();
        drop(store);
        let store = open(folder.path());
        assert_eq!(store.recovery().out_of_service, []);
        assert_eq!(fragments(&store, "cam1"), 3);
        // That it was closed in order is not forgotten meanwhile: its numbers go on without a jump.
        let mut to = writer(&store.stream(&name("cam1")).unwrap());
        let next = put(&mut to, &Take::at(60_000, payload(60, 500))).unwrap().fragment;
        assert_eq!(next.number.get(), 4, "{victim}");
    }
}

#[test]
fn deleting_a_stream_keeps_what_is_not_its_own() {
    let (folder, store) = with_stray(|f| write(f.join("streams/cam1/sub/x")), &["streams/cam1/sub"]);
    store.delete_stream(&name("cam1")).unwrap();
    store.delete_stream(&name("cam2")).unwrap();
    assert_eq!(std::fs::read_dir(folder.path().join("streams")).unwrap().count(), 0);
    let kept: Vec<_> =
        std::fs::read_dir(folder.path().join("deleted")).unwrap().map(Result::unwrap).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(std::fs::read(kept[0].path().join("sub/x")).unwrap(), b"not ours");
    assert_eq!(std::fs::read_dir(kept[0].path()).unwrap().count(), 1, "the media is gone");
    store.close();
    let store = open(folder.path());
    assert_eq!((paths(&store).len(), store.streams().len()), (1, 0));
    assert!(kept[0].path().join("sub/x").exists());
}

#[test]
fn something_else_in_the_place_of_our_own_is_named_and_not_touched() {
    for place in ["streams", "deleted", "clean", "lock"] {
        let folder = two_streams();
        let path = folder.path().join(place);
        if path.is_dir() {
            std::fs::remove_dir_all(&path).unwrap();
            std::fs::write(&path, b"").unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
            std::fs::create_dir(&path).unwrap();
        }
        let error = Store::open(folder.path(), options(), clock()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
        assert!(error.message.contains(&format!("{place} is not")), "{error}");
        assert!(error.message.contains("move it away"), "{error}");
    }
}

#[test]
fn an_open_segment_or_stream_that_is_lost_while_nobody_runs_is_damage() {
    let folder = two_streams();
    std::fs::remove_file(folder.path().join("streams/cam1/00000000000000000001.open")).unwrap();
    std::fs::remove_dir_all(folder.path().join("streams/cam2")).unwrap();
    let store = open(folder.path());
    let damages: Vec<_> = store.recovery().damages.iter().map(ToString::to_string).collect();
    assert_eq!(damages.len(), 2, "{damages:?}");
    assert!(damages.iter().any(|damage| damage.contains("cam1/00000000000000000001.open")), "{damages:?}");
    assert!(damages.iter().any(|damage| damage.contains("'cam2': the stream's folder")), "{damages:?}");
    // Its numbers are not given again.
    let mut to = writer(&store.stream(&name("cam1")).unwrap());
    assert!(put(&mut to, &Take::at(0, payload(1, 500))).unwrap().fragment.number.get() > 3);
}

#[test]
fn a_folder_that_refuses_new_files_fails_no_other_stream() {
    let folder = two_streams();
    let store = open(folder.path());
    // The name of the segment that comes next is taken, so creating it fails.
    let stream = store.create_stream(&name("cam3")).unwrap();
    write(folder.path().join("streams/cam3/00000000000000000001.open"));
    let error = run(stream.writer()).unwrap_err();
    assert!(error.message.contains("cam3"), "{error}");
    assert!(store.health().ok);
    let mut to = writer(&store.stream(&name("cam2")).unwrap());
    store_one(&mut to, &Take::at(9000, payload(9, 500)));
}
