//! Which crate may depend on which, as Cargo sees it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A dependency of one package of the workspace.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    /// The package that depends.
    pub package: String,
    /// What it depends on.
    pub on: String,
    /// `dev` or `build`; empty for a normal one.
    pub kind: String,
}

/// What a crate of the floor may use of the workspace, and which outside crates it must not use.
const FLOOR: [(&str, &[&str], &[&str]); 3] = [
    ("kinora-base", &[], &["tokio", "mio", "axum", "hyper", "rusqlite"]),
    (
        "kinora-media",
        &["kinora-base"],
        &["tokio", "mio", "futures", "async-trait", "axum", "hyper", "rusqlite", "rand"],
    ),
    ("kinora-store", &["kinora-base"], &["mp4-atom", "h264-reader", "axum", "hyper", "rand"]),
];
/// What only the store may use: the archive's index is its own affair.
const STORE_ALONE: [&str; 1] = ["rusqlite"];
/// Shared by tests; never part of what is shipped.
const TEST_SUPPORT: &str = "kinora-test-support";

/// All dependencies of the workspace's packages.
pub(crate) fn read(root: &Path) -> Vec<Dependency> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root)
        .output()
        .unwrap_or_else(|e| panic!("cannot run cargo metadata: {e}"));
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("cargo metadata: {e}"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut dependencies = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            dependencies.push(Dependency {
                package: text(&package["name"]),
                on: text(&dependency["name"]),
                kind: text(&dependency["kind"]),
            });
        }
    }
    assert!(dependencies.len() > 10, "cargo metadata named only {} dependencies", dependencies.len());
    dependencies
}

/// Every dependency that points the wrong way.
pub(crate) fn complaints(dependencies: &[Dependency]) -> Vec<String> {
    let mut complaints = Vec::new();
    for Dependency { package, on, kind } in dependencies {
        if kind == "dev" {
            continue;
        }
        let floor = FLOOR.iter().find(|(name, ..)| name == package);
        let wrong_way = floor.is_some_and(|(_, may, never)| {
            (on.starts_with("kinora") && !may.contains(&on.as_str())) || never.contains(&on.as_str())
        });
        let test_only = on == TEST_SUPPORT && (floor.is_some() || package == "kinora");
        let store_only = package == "kinora" && STORE_ALONE.contains(&on.as_str());
        if wrong_way || test_only || store_only {
            complaints.push(format!("{package} must not depend on {on}"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(package: &str, on: &str, kind: &str) -> usize {
        complaints(&[Dependency { package: package.into(), on: on.into(), kind: kind.into() }]).len()
    }

    #[test]
    fn finds_dependencies_that_point_the_wrong_way() {
        assert_eq!(count("kinora-media", "kinora-base", ""), 0);
        assert_eq!(count("kinora-media", "kinora-store", ""), 1);
        assert_eq!(count("kinora-store", "kinora-media", ""), 1);
        assert_eq!(count("kinora-base", "kinora-media", ""), 1);
        assert_eq!(count("kinora-media", "tokio", ""), 1);
        assert_eq!(count("kinora", "rusqlite", ""), 1);
        assert_eq!(count("kinora", "kinora-test-support", ""), 1);
        assert_eq!(count("kinora-store", "kinora-test-support", "dev"), 0);
    }
}
