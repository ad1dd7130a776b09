//! The configuration file: read at the start, and its limits again on SIGHUP.
//!
//! What can be set is told in `settings`, what comes of it elsewhere.

use std::path::{Path, PathBuf};

use kinora_store::Store;
use tokio::signal::unix::Signal;

use super::Failure;
use super::encryption::warn_if_others_can_read;
use super::settings::Settings;

/// A file, and what counts before it.
#[derive(Debug)]
pub(super) struct Config {
    path: PathBuf,
    /// What arguments and variables say.
    said: Settings,
    /// What the file said at the start.
    at_start: Settings,
}

impl Config {
    /// Reads the file and joins it with what was said on the command line and in variables, which
    /// counts before it.
    pub(super) fn read(path: PathBuf, said: Settings) -> Result<(Self, Settings), Failure> {
        let at_start = read(&path)?;
        if at_start.token.is_some() {
            warn_if_others_can_read(&path);
        }
        let joined = said.clone().or(at_start.clone());
        Ok((Self { path, said, at_start }, joined))
    }

    /// Puts the file's limits into effect at each signal. A file that is not understood changes
    /// nothing.
    pub(super) async fn reload_at(self, mut hangup: Signal, store: Store) {
        while hangup.recv().await.is_some() {
            let file = match read(&self.path) {
                Ok(file) => file,
                Err(failure) => {
                    tracing::error!("{}; the limits stay as they are", failure.message);
                    continue;
                }
            };
            if file.without_limits() != self.at_start.without_limits() {
                tracing::warn!("{}: what is not a limit counts from the next start", self.path.display());
            }
            store.set_default_limits(self.said.clone().or(file).limits());
            let enforced = store.clone();
            let done = tokio::task::spawn_blocking(move || enforced.enforce()).await;
            match done {
                Ok(Err(error)) => tracing::warn!(%error, "not all that has expired could be deleted yet"),
                _ => tracing::info!("limits read again from {}", self.path.display()),
            }
        }
    }
}

/// Reads the file. Paths in it start where it lies.
fn read(path: &Path) -> Result<Settings, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(format!("cannot read the configuration {}: {error}", path.display()))
    })?;
    let mut settings: Settings =
        toml::from_str(&text).map_err(|error| not_understood(path, &text, &error))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let paths = [
        &mut settings.data_dir,
        &mut settings.tls_cert,
        &mut settings.tls_key,
        &mut settings.encryption_key_file,
    ];
    for named in paths.into_iter().flatten() {
        *named = folder.join(&*named);
    }
    Ok(settings)
}

/// Names the line and its key, and shows no more of it: it may hold the token.
fn not_understood(path: &Path, text: &str, error: &toml::de::Error) -> Failure {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
    let number = before.matches('\n').count();
    let line = text.lines().nth(number).unwrap_or("");
    let key = line.split_once('=').map(|(key, _)| format!(", {}", key.trim())).unwrap_or_default();
    Failure::new(format!("{}, line {}{key}: {}", path.display(), number + 1, error.message()))
        .with_hint("settings are named like the arguments of `kinora serve --help`, with _ for -")
}
