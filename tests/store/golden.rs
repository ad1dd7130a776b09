//! The files of a small store, byte by byte the same as ever: names, and a checksum of each.

use bytes::Bytes;
use kinora_store::Cause;

use super::harness::*;

#[test]
fn the_same_fragments_make_the_same_files() {
    let folder = memory_folder();
    let store = open(folder.path());
    let stream = store.create_stream(&name("cam")).unwrap();
    let mut to = writer(&stream);
    // Alone, so that it never shares a write with the first fragment.
    let mut changes = stream.changes();
    changes.borrow_and_update();
    to.configuration(&Bytes::from_static(b"configuration")).unwrap();
    run(changes.changed()).unwrap();
    for n in 0..12 {
        store_one(&mut to, &Take::at(n * 1000, payload(n as u64, 2000)));
    }
    to.stop(Cause::ConnectionLost, "the connection broke");
    drop(to);
    store.close();
    let mut files: Vec<String> = std::fs::read_dir(folder.path().join("streams/cam"))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let bytes = std::fs::read(entry.path()).unwrap();
            // Room ahead of an open segment may be reserved in other steps without any harm.
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
            let name = entry.file_name().into_string().unwrap();
            format!("{name} {used} {:016x}", fnv1a(&bytes[..used]))
        })
        .collect();
    files.sort();
    // If this fails, the format changed: raise its version, and say so in FORMAT.md.
    assert_eq!(
        files,
        [
            "00000000000000000001_1795165200000000_1795165210000000_10.seg 22757 6b79ec40905df5b9",
            "00000000000000000011.open 5057 fa8c30e6f6d68025",
            "stream 512 5145098eac9cb13e"
        ]
    );
}

/// Not the store's own checksum: that of a block with its checksum is the same whatever is in it.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}
