//! Holds the code to the structure that ARCHITECTURE.md describes: who may import whom, what each
//! room must not touch, how files look, what lies where. A rule nobody tests is a wish, so each
//! rule here is itself tested with a snippet that breaks it.

#![expect(clippy::panic, clippy::indexing_slicing, reason = "a test stops at the first thing it cannot read")]

#[path = "architecture/cycles.rs"]
mod cycles;
#[path = "architecture/layout.rs"]
mod layout;
#[path = "architecture/links.rs"]
mod links;
#[path = "architecture/manifests.rs"]
mod manifests;
#[path = "architecture/rooms.rs"]
mod rooms;
#[path = "architecture/shape.rs"]
mod shape;
#[path = "architecture/source.rs"]
mod source;

use std::path::Path;

use source::Source;

/// Fails with every complaint, one a line.
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{} complaints:\n{}\n", complaints.len(), complaints.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the project, parsed.
fn sources() -> Vec<Source> {
    let files = layout::files(root());
    let sources: Vec<Source> = files
        .iter()
        .filter(|file| file.ends_with(".rs"))
        .map(|file| Source::parse(file, &layout::read(&root().join(file))).unwrap_or_else(|e| panic!("{e}")))
        .collect();
    assert!(sources.len() > 20, "only {} Rust files found: is the walk broken?", sources.len());
    sources
}

#[test]
fn imports_point_down() {
    assert_none(&sources().iter().flat_map(rooms::complaints).collect::<Vec<_>>());
}

#[test]
fn modules_of_one_room_form_no_cycle() {
    let sources = sources();
    assert_none(
        &cycles::ROOMS.iter().flat_map(|room| cycles::complaints(room, &sources)).collect::<Vec<_>>(),
    );
}

#[test]
fn crates_depend_only_on_what_lies_below() {
    assert_none(&manifests::complaints(&manifests::read(root())));
}

#[test]
fn every_file_says_what_it_is_and_stays_small() {
    let sources = sources();
    for line in sources.iter().filter_map(shape::large) {
        println!("{line}");
    }
    assert_none(&sources.iter().flat_map(shape::complaints).collect::<Vec<_>>());
}

#[test]
fn everything_lies_where_it_belongs() {
    let files = layout::files(root());
    assert_none(&layout::complaints(&files));
}

#[test]
fn links_between_documents_resolve() {
    let files = layout::files(root());
    let documents = files.iter().filter(|file| file.ends_with(".md"));
    let complaints: Vec<String> = documents
        .flat_map(|file| {
            links::complaints(file, &layout::read(&root().join(file)), &|path| root().join(path).exists())
        })
        .collect();
    assert_none(&complaints);
}
