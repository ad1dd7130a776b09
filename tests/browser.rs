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

/// What the run with a token repeats: reading, playing and downloading, each behind the login.
const BEHIND_THE_LOGIN: &str = "shows the stream live|plays by itself|shown from the moment|downloaded as";

/// Runs the browser tests whose names match `pattern` against a server of its own.
fn watch(token: Option<&str>, pattern: &str) {
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    assert!(Path::new(&chromium).exists(), "no {chromium}; install it with: apt-get install chromium");
    let folder = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
    let arguments: Vec<&str> = token.iter().flat_map(|token| ["--token", token]).collect();
    let kinora = Path::new(env!("CARGO_BIN_EXE_kinora"));
    let server = Server::start(kinora, &folder.path().join("data"), &arguments);
    let url = format!("http://{}", server.address);
    let with_token = |command: &mut Command| {
        command.env_remove("KINORA_TOKEN").envs(token.map(|token| ("KINORA_TOKEN", token)));
    };
    let mut camera = Command::new(root().join("samples/demo-camera.sh"));
    camera.arg("demo").env("KINORA_SERVER", &url).envs([("SIZE", "640x360"), ("RATE", "25")]);
    with_token(&mut camera);
    let _camera =
        Camera(camera.stdin(Stdio::null()).spawn().unwrap_or_else(|e| panic!("the demo camera: {e}")));
    let mut browser = Command::new("node");
    browser.arg("--test").arg(format!("--test-name-pattern={pattern}")).args(files());
    browser.envs([("KINORA_URL", url.as_str()), ("KINORA_STREAM", "demo")]);
    with_token(&mut browser);
    let outcome = browser.stdin(Stdio::null()).status();
    let status = outcome.unwrap_or_else(|e| panic!("node: {e}; install it with: apt-get install nodejs npm"));
    assert!(status.success(), "browser tests failed; the server said:\n{}", server.logged());
}

// One test, not two: each needs a processor for itself.
#[test]
fn a_real_browser_shows_what_a_camera_publishes_with_and_without_a_login() {
    watch(None, ".");
    watch(Some("browser-token"), BEHIND_THE_LOGIN);
}
