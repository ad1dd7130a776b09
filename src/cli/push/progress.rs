//! What the person who pushes sees.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar over the file's bytes; a spinner where its length is not known.
#[derive(Debug, Clone)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(file: &Path) -> Self {
        let length = std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file).map(|found| found.len());
        let (bar, template) = match length {
            Some(length) => {
                (ProgressBar::new(length), "{bar:32} {bytes}/{total_bytes} {bytes_per_sec} eta {eta}  {msg}")
            }
            None => (ProgressBar::new_spinner(), "{spinner} {bytes} {bytes_per_sec}  {msg}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// So many bytes of the file have been sent.
    pub(super) fn at(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    pub(super) fn persisted(&self, fragments: usize) {
        self.0.set_message(format!("{fragments} fragments persisted"));
    }

    /// Prints a line above the bar, or alone where there is no terminal.
    pub(super) fn say(&self, line: &str) {
        if self.0.is_hidden() {
            eprintln!("{line}");
        } else {
            self.0.println(line);
        }
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
