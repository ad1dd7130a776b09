//! Real media, made by the real ffmpeg once and kept under `target/clips`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Held while a clip is made, so that two tests of one process do not make the same one.
static MAKING: Mutex<()> = Mutex::new(());

/// The file `name`, made by `ffmpeg ARGS NAME` unless it exists. Change the name when you change
/// the arguments.
#[must_use]
pub fn clip(name: &str, args: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/clips");
    std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("cannot create {}: {e}", folder.display()));
    let path = folder.join(name);
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if !path.exists() {
        // Tests run in parallel processes: make it elsewhere, then move it into place.
        let making = folder.join(format!(".{}.{name}", std::process::id()));
        let mut all: Vec<&str> = args.to_vec();
        let making_text = making.to_string_lossy();
        all.push(&making_text);
        ffmpeg(&all);
        std::fs::rename(&making, &path).unwrap_or_else(|e| panic!("cannot move {}: {e}", making.display()));
    }
    path
}

/// So many seconds of what a camera sends: H.264 with B-frames and AAC as Matroska, a key frame
/// each second.
#[must_use]
pub fn camera_clip(seconds: u32) -> PathBuf {
    let picture = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"];
    let sound = ["-f", "lavfi", "-i", "sine=sample_rate=48000"];
    let length = seconds.to_string();
    let video = ["-t", &length, "-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "25"];
    let cuts = ["-keyint_min", "25", "-sc_threshold", "0", "-c:a", "aac"];
    clip(&format!("camera-{seconds}s.mkv"), &[&picture[..], &sound, &video, &cuts].concat())
}

/// Runs `ffmpeg` quietly with `args`; panics with what it printed if it fails.
pub fn ffmpeg(args: &[&str]) {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-v", "error", "-y"])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("cannot run ffmpeg ({e}); install it with: apt-get install ffmpeg"));
    assert!(output.status.success(), "ffmpeg {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What `ffprobe ARGS` prints; panics with its complaints if it fails.
#[must_use]
pub fn ffprobe(args: &[&str]) -> String {
    let output = Command::new("ffprobe")
        .args(["-hide_banner", "-v", "error"])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("cannot run ffprobe ({e}); install it with: apt-get install ffmpeg"));
    assert!(output.status.success(), "ffprobe {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
