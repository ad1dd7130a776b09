//! What lies where.

use std::path::Path;

/// What may lie at the top, beside files and folders whose name starts with a dot.
const TOP: [&str; 13] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "docker",
    "samples",
    "src",
    "tests",
    "web",
    // What builds and runs leave behind, ignored by git.
    "target",
];
/// Folders that no rule looks into: made by tools, ignored by git.
const MADE: [&str; 9] =
    [".git", "target", "data", "node_modules", "dist", "corpus", "artifacts", "__pycache__", "test-results"];
/// If something starting with the first exists, the second must exist too.
const COMPANIONS: [(&str, &str); 2] =
    [("src/store/segment", "src/store/FORMAT.md"), ("src/api/native", "web/openapi.json")];

/// All files below `root`, as paths from there with `/`, sorted.
pub(crate) fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        for entry in entries {
            let entry = entry.unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if MADE.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(inside) = path.strip_prefix(root) {
                found.push(inside.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

/// The text of a file; panics with its name if it cannot be read.
pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Everything among `files` that is where it should not be, or that misses its companion.
pub(crate) fn complaints(files: &[String]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        let top = file.split('/').next().unwrap_or_default();
        if !top.starts_with('.') && !TOP.contains(&top) {
            complaints.push(format!("{file}: {top} does not belong at the top of the repository"));
        }
    }
    for (cause, companion) in COMPANIONS {
        let wanted = files.iter().any(|file| file.starts_with(cause));
        if wanted && !files.iter().any(|file| file == companion) {
            complaints.push(format!("{cause} exists, so {companion} must describe it"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_strangers_and_missing_companions() {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(complaints(&owned(&["README.md", "src/lib.rs", ".ci/run"])).len(), 0);
        assert_eq!(complaints(&owned(&["notes.txt"])).len(), 1);
        assert_eq!(complaints(&owned(&["benches/a.rs"])).len(), 1);
        assert_eq!(complaints(&owned(&["src/store/segment/writer.rs"])).len(), 1);
        assert_eq!(complaints(&owned(&["src/store/segment/writer.rs", "src/store/FORMAT.md"])).len(), 0);
    }
}
