//! The browser tests of tests/e2e/web against the real server: a camera publishes while a real
//! Chromium watches. What is asked of the pages stands in those files.

#![expect(clippy::panic, reason = "a test stops at the first thing that is not as it should be")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kinora_test_support::Server;

/// Ends the camera with the test, however that ends.
struct Camera(std::process::Child);

impl Drop for Camera {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files that hold browser tests.
fn files() -> Vec<PathBuf> {
    let folder = root().join("tests/e2e/web");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".e2e.mjs"));
    files.sort();
    assert!(!files.is_empty(), "no browser tests in {}", folder.display());
    files
}

#[test]
fn a_real_browser_shows_what_a_camera_publishes() {
    let folder = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
    let server = Server::start(Path::new(env!("CARGO_BIN_EXE_kinora")), &folder.path().join("data"), &[]);
    let url = format!("http://{}", server.address);
    let camera = Command::new(root().join("samples/demo-camera.sh"))
        .arg("demo")
        .env("KINORA_SERVER", &url)
        .env_remove("KINORA_TOKEN")
        .envs([("SIZE", "640x360"), ("RATE", "25")])
        .stdin(Stdio::null())
        .spawn();
    let _camera = Camera(camera.unwrap_or_else(|e| panic!("the demo camera: {e}")));
    let outcome = Command::new("node")
        .arg("--test")
        .args(files())
        .envs([("KINORA_URL", url.as_str()), ("KINORA_STREAM", "demo")])
        .env_remove("KINORA_TOKEN")
        .stdin(Stdio::null())
        .status();
    let status = outcome.unwrap_or_else(|e| panic!("node: {e}; install it with: .ci/install test"));
    assert!(status.success(), "browser tests failed; the server said:\n{}", server.logged());
}
