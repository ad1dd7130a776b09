//! The key that recordings are encrypted with: where it comes from, and `kinora key`.
//!
//! A key file has one key per line, 64 hexadecimal digits: the current one first, then older ones.
//! What is done with them is the store's business.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use kinora_store::{Keyring, Secret};
use zeroize::Zeroizing;

use super::Failure;
use super::random::SystemRandom;

/// The variable that can hold the keys themselves. There is no such argument: other users of a
/// machine see arguments.
const VARIABLE: &str = "KINORA_ENCRYPTION_KEY";

/// Only the owner may read a key file.
const KEY_FILE_MODE: u32 = 0o600;

/// Most keys in one file: every one is tried for what it may have wrapped.
const MOST_KEYS: usize = 64;

#[derive(Debug, Args)]
pub(super) struct Encryption {
    /// File with the key that recordings are encrypted with (see `kinora key`); the key itself can
    /// be in KINORA_ENCRYPTION_KEY instead
    #[arg(long, env = "KINORA_ENCRYPTION_KEY_FILE", value_name = "FILE")]
    encryption_key_file: Option<PathBuf>,
}

impl Encryption {
    /// The keys, if any were given.
    pub(super) fn keys(&self) -> Result<Option<Arc<Keyring>>, Failure> {
        keys(self.encryption_key_file.as_deref())
    }
}

/// The keys in the named file or in the variable, if there are any.
pub(super) fn keys(file: Option<&Path>) -> Result<Option<Arc<Keyring>>, Failure> {
    let named = file.filter(|path| !path.as_os_str().is_empty());
    let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    let keys = match (named, variable) {
        (Some(_), Some(_)) => {
            return Err(Failure::new(format!("both a key file and {VARIABLE} were given"))
                .with_hint("give one of them, so that nobody has to guess which one counts"));
        }
        (Some(path), None) => {
            warn_if_others_can_read(path);
            parse(&read(path)?, &path.display().to_string())?
        }
        (None, Some(value)) => parse(&Zeroizing::new(value.to_string_lossy().into_owned()), VARIABLE)?,
        (None, None) => return Ok(None),
    };
    let mut keys = keys.into_iter();
    let Some(current) = keys.next() else { return Ok(None) };
    let ring = Keyring::new(current, keys.collect(), Arc::new(SystemRandom)).map_err(unusable)?;
    Ok(Some(Arc::new(ring)))
}

#[derive(Debug, Args)]
pub(super) struct Key {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key to encrypt recordings with
    Generate {
        /// File to write it to, which must not exist yet; otherwise it is printed
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Put a new key in front of those in a key file; it counts once the server is started again
    Rotate {
        /// The key file
        file: PathBuf,
    },
}

impl Key {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.command {
            KeyCommand::Generate { out: None } => {
                let (_, text) = generate()?;
                print!("{}", text.as_str());
                Ok(())
            }
            KeyCommand::Generate { out: Some(path) } => {
                let (fingerprint, text) = generate()?;
                put(&path, text.as_bytes()).map_err(|error| cannot_write(&path, &error))?;
                println!("key {fingerprint} is in {}", path.display());
                println!("keep a copy elsewhere: without it nobody can read what was encrypted");
                Ok(())
            }
            KeyCommand::Rotate { file } => rotate(&file),
        }
    }
}

/// A new key: its fingerprint, and the lines of a key file.
fn generate() -> Result<(String, Zeroizing<String>), Failure> {
    let secret = Secret::generate(&SystemRandom).map_err(unusable)?;
    let fingerprint = secret.fingerprint().map_err(unusable)?.to_string();
    let text = format!("# Kinora key {fingerprint}\n{}\n", secret.to_hex().as_str());
    Ok((fingerprint, Zeroizing::new(text)))
}

fn rotate(path: &Path) -> Result<(), Failure> {
    let old = read(path)?;
    if parse(&old, &path.display().to_string())?.len() >= MOST_KEYS {
        return Err(Failure::new(format!("{} has {MOST_KEYS} keys already", path.display()))
            .with_hint("remove those at its end: once the server has started, only the first is needed"));
    }
    let (fingerprint, text) = generate()?;
    let new = path.with_extension("new");
    let joined = Zeroizing::new([text.as_bytes(), old.as_bytes()].concat());
    let replaced = put(&new, &joined).and_then(|()| {
        std::fs::rename(&new, path)?;
        File::open(folder_of(path))?.sync_all()
    });
    replaced.map_err(|error| cannot_write(&new, &error))?;
    println!("key {fingerprint} is now the first in {}", path.display());
    println!("start the server again with it; once it has started, the keys below are needed no more");
    Ok(())
}

/// Reads the keys in `text`, which comes from `place`. What it says never holds any of the text.
fn parse(text: &str, place: &str) -> Result<Vec<Secret>, Failure> {
    let mut keys = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = Secret::from_hex(line).ok_or_else(|| {
            Failure::new(format!("line {} of {place} is no key", number + 1))
                .with_hint("a key is 64 hexadecimal digits; `kinora key generate` makes one")
        })?;
        keys.push(key);
    }
    if keys.is_empty() || keys.len() > MOST_KEYS {
        return Err(Failure::new(format!("{place} holds {} keys", keys.len()))
            .with_hint(format!("it must hold 1 to {MOST_KEYS}; `kinora key generate` makes one")));
    }
    Ok(keys)
}

fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(format!("cannot read the key file {}: {error}", path.display()))
            .with_hint("`kinora key generate --out FILE` makes one")
    })?;
    Ok(Zeroizing::new(text))
}

/// Writes a file that must not exist yet and that only the owner may read; durable on return.
fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(KEY_FILE_MODE).open(path)?;
    file.write_all(content)?;
    file.sync_all()?;
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

pub(super) fn warn_if_others_can_read(path: &Path) {
    // Where secrets are mounted for a container their mode is not ours to choose: no refusal.
    if std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o077 != 0) {
        tracing::warn!("{} can be read by other users; chmod 600 keeps them out", path.display());
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new(format!("cannot write {}: {error}", path.display()));
    if error.kind() == io::ErrorKind::AlreadyExists {
        return failure.with_hint("a key file is never overwritten: choose another name, or remove it");
    }
    failure
}

fn unusable(error: io::Error) -> Failure {
    Failure::new(format!("cannot make keys: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0101010101010101010101010101010101010101010101010101010101010101";

    #[test]
    fn the_first_key_is_current_and_comments_do_not_count() {
        let text = format!("# mine\n\n  {ONE}\n{}\n", ONE.replace('1', "2"));
        let keys = parse(&text, "file").unwrap();
        assert_eq!(
            keys.iter().map(|key| key.to_hex().get(..2).map(str::to_owned)).collect::<Vec<_>>(),
            [Some("01".to_owned()), Some("02".to_owned())]
        );
    }

    #[test]
    fn what_is_no_key_is_told_by_its_line_and_not_shown() {
        let failure = parse(&format!("{ONE}\n{}x", &ONE[1..]), "file").unwrap_err();
        assert_eq!(failure.message, "line 2 of file is no key");
        assert!(!failure.hint.unwrap().contains("0101"));
        assert!(parse("# nothing\n", "file").unwrap_err().message.contains("holds 0 keys"));
        assert!(parse(&format!("{ONE}\n").repeat(65), "file").is_err());
    }
}
