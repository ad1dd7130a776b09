//! Everything `serve` can be told, whoever says it: arguments, variables or the configuration file.
//!
//! One struct for all of them, so that none can know a setting that the others do not.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::Args;
use kinora_base::StreamName;
use kinora_store::{Defaults, Limit, Limits};
use serde::{Deserialize, Deserializer};

use super::amount::{age, age_limit, most_bytes, size, size_limit};

/// Sizes of segments, in bytes, that make sense: smaller ones are all header and footer, larger
/// ones are more than their 32-bit offsets reach.
const SEGMENT_BYTES: RangeInclusive<u64> = 64 << 10..=2 << 30;

/// See the module. What is not said is not filled in here.
#[derive(Clone, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    /// Address to listen on; port 0 picks a free one. Beyond loopback --token is needed
    /// [default: 127.0.0.1:8080]
    #[arg(long, env = "KINORA_LISTEN", value_name = "HOST:PORT")]
    pub(super) listen: Option<String>,
    /// Folder that holds everything recorded [default: ./data]
    #[arg(long, env = "KINORA_DATA_DIR", value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Token that callers must show
    #[arg(long, env = "KINORA_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    /// PEM file with the TLS certificate chain; read again when it changes
    #[arg(long, env = "KINORA_TLS_CERT", value_name = "FILE")]
    pub(super) tls_cert: Option<PathBuf>,
    /// PEM file with the TLS private key; read again when it changes
    #[arg(long, env = "KINORA_TLS_KEY", value_name = "FILE")]
    pub(super) tls_key: Option<PathBuf>,
    /// Size at which a stream's file is closed and the next one begun [default: 64MiB]
    #[arg(long, env = "KINORA_SEGMENT_BYTES", value_name = "SIZE", value_parser = segment_bytes)]
    #[serde(deserialize_with = "segment_bytes_said")]
    pub(super) segment_bytes: Option<u64>,
    /// How long streams without a limit of their own keep what arrived, such as 30d, 12h or 90m
    #[arg(long, env = "KINORA_MAX_AGE", value_name = "TIME", value_parser = age)]
    #[serde(deserialize_with = "age_said")]
    pub(super) max_age: Option<u64>,
    /// How much media a stream without a limit of its own keeps, such as 20GB
    #[arg(long, env = "KINORA_MAX_BYTES", value_name = "SIZE", value_parser = most_bytes)]
    #[serde(deserialize_with = "most_bytes_said")]
    pub(super) max_bytes: Option<u64>,
    /// How much the files of all streams may take together, such as 2TB
    #[arg(long, env = "KINORA_MAX_TOTAL_BYTES", value_name = "SIZE", value_parser = most_bytes)]
    #[serde(deserialize_with = "most_bytes_said")]
    pub(super) max_total_bytes: Option<u64>,
    /// How much of the disk stays free: the oldest recordings go for it, and below a quarter of it
    /// nothing is recorded. By default 2 % of the disk, 16MiB to 1GiB
    #[arg(long, env = "KINORA_KEEP_FREE_BYTES", value_name = "SIZE", value_parser = size)]
    #[serde(deserialize_with = "size_said")]
    pub(super) keep_free_bytes: Option<u64>,
    /// File with the key that recordings are encrypted with (see `kinora key`); the key itself can
    /// be in KINORA_ENCRYPTION_KEY instead
    #[arg(long, env = "KINORA_ENCRYPTION_KEY_FILE", value_name = "FILE")]
    pub(super) encryption_key_file: Option<PathBuf>,
    /// Limits of single streams, which only the file can tell.
    #[arg(skip)]
    pub(super) streams: BTreeMap<Name, StreamLimits>,
}

/// The limits of one stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StreamLimits {
    #[serde(deserialize_with = "age_limit_said")]
    max_age: Limit,
    #[serde(deserialize_with = "size_limit_said")]
    max_bytes: Limit,
}

/// A stream's name as a key of the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Name(StreamName);

impl TryFrom<String> for Name {
    type Error = kinora_base::InvalidStreamName;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        StreamName::new(&text).map(Self)
    }
}

impl std::fmt::Debug for Settings {
    /// Without what it holds: one of the settings is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").finish_non_exhaustive()
    }
}

impl Settings {
    /// These, and where they say nothing what `other` says. An empty token says nothing: that is
    /// how a variable is passed on that nobody set.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            listen: self.listen.or(other.listen),
            data_dir: self.data_dir.or(other.data_dir),
            token: self.token.filter(|token| !token.is_empty()).or(other.token),
            tls_cert: self.tls_cert.or(other.tls_cert),
            tls_key: self.tls_key.or(other.tls_key),
            segment_bytes: self.segment_bytes.or(other.segment_bytes),
            max_age: self.max_age.or(other.max_age),
            max_bytes: self.max_bytes.or(other.max_bytes),
            max_total_bytes: self.max_total_bytes.or(other.max_total_bytes),
            keep_free_bytes: self.keep_free_bytes.or(other.keep_free_bytes),
            encryption_key_file: self.encryption_key_file.or(other.encryption_key_file),
            streams: if self.streams.is_empty() { other.streams } else { self.streams },
        }
    }

    /// What shall be kept.
    pub(super) fn limits(&self) -> Defaults {
        let of = |limits: &StreamLimits| Limits { age_s: limits.max_age, bytes: limits.max_bytes };
        Defaults {
            age_s: self.max_age,
            bytes: self.max_bytes,
            total_bytes: self.max_total_bytes,
            keep_free_bytes: self.keep_free_bytes,
            streams: self.streams.iter().map(|(name, limits)| (name.0.clone(), of(limits))).collect(),
        }
    }

    /// Everything else.
    pub(super) fn without_limits(&self) -> Self {
        Self {
            max_age: None,
            max_bytes: None,
            max_total_bytes: None,
            keep_free_bytes: None,
            streams: BTreeMap::new(),
            ..self.clone()
        }
    }
}

fn segment_bytes(text: &str) -> Result<u64, String> {
    let bytes = size(text)?;
    if SEGMENT_BYTES.contains(&bytes) { Ok(bytes) } else { Err("64KiB to 2GiB make sense".to_owned()) }
}

/// A text, or a number that is read like one.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text such as \"30d\" or \"20GB\", or a whole number of bytes")]
enum Said {
    Text(String),
    Number(u64),
}

fn said<'de, D: Deserializer<'de>, T>(from: D, read: fn(&str) -> Result<T, String>) -> Result<T, D::Error> {
    let text = match Said::deserialize(from)? {
        Said::Text(text) => text,
        Said::Number(number) => number.to_string(),
    };
    read(&text).map_err(serde::de::Error::custom)
}

fn segment_bytes_said<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    said(from, segment_bytes).map(Some)
}

fn age_said<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    said(from, age).map(Some)
}

fn size_said<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    said(from, size).map(Some)
}

fn most_bytes_said<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    said(from, most_bytes).map(Some)
}

fn age_limit_said<'de, D: Deserializer<'de>>(from: D) -> Result<Limit, D::Error> {
    said(from, age_limit)
}

fn size_limit_said<'de, D: Deserializer<'de>>(from: D) -> Result<Limit, D::Error> {
    said(from, size_limit)
}

#[cfg(test)]
#[path = "settings_test.rs"]
mod tests;
