//! Stream names.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of a stream: 1 to 256 characters of `[a-zA-Z0-9_.-]`, as Kinesis Video Streams
/// allows, except `.` and `..`, which are not usable as a folder. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName(Arc<str>);

/// Why a text is no stream name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidStreamName(String);

impl fmt::Display for InvalidStreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidStreamName {}

impl StreamName {
    /// Longest name in characters.
    pub const MAX_LENGTH: usize = 256;

    /// Checks `name`.
    ///
    /// # Errors
    /// Says which rule the name breaks, and at which character.
    pub fn new(name: &str) -> Result<Self, InvalidStreamName> {
        if name.is_empty() {
            return Err(InvalidStreamName("a stream name must not be empty".into()));
        }
        if name.len() > Self::MAX_LENGTH {
            return Err(InvalidStreamName(format!(
                "a stream name has at most {} characters, this one has {}",
                Self::MAX_LENGTH,
                name.chars().count()
            )));
        }
        if name == "." || name == ".." {
            return Err(InvalidStreamName(format!("'{name}' cannot be used as a stream name")));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if let Some((position, bad)) = name.chars().enumerate().find(|(_, c)| !allowed(*c)) {
            return Err(InvalidStreamName(format!(
                "a stream name holds letters, digits, '_', '.' and '-' only; character {} is {bad:?}",
                position + 1
            )));
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StreamName {
    type Err = InvalidStreamName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_kinesis_accepts() {
        for good in ["a", "cam1", "Front_Door.main-2", &"x".repeat(256)] {
            assert_eq!(StreamName::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn says_which_rule_is_broken() {
        let refusals = [
            ("", "empty"),
            (".", "cannot be used"),
            ("..", "cannot be used"),
            ("a/b", "character 2 is '/'"),
            ("käse", "character 2 is 'ä'"),
            ("a b", "character 2 is ' '"),
        ];
        for (bad, says) in refusals {
            let error = StreamName::new(bad).unwrap_err().to_string();
            assert!(error.contains(says), "{bad:?}: {error}");
        }
        assert!(StreamName::new(&"x".repeat(257)).unwrap_err().to_string().contains("257"));
    }
}
