//! What a configuration says once it is checked, or why it is refused.

use std::fmt;

use bytes::Bytes;

use crate::Shape;

/// Why a configuration is unusable: a sentence naming the field and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid(String);

impl Invalid {
    /// The sentence.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The bytes end where `field` should be.
    pub(crate) fn ends_inside(field: &'static str) -> Self {
        Self(format!("it ends before {field}"))
    }

    /// The same sentence about a part of the whole.
    pub(crate) fn within(self, part: &str) -> Self {
        Self(format!("{part}: {}", self.0))
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a checked configuration says about its track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Configured {
    /// Canonical, as [`crate::Codec`] says.
    pub(crate) configuration: Bytes,
    /// Sizes that are 0 leave the container's in force.
    pub(crate) shape: Shape,
    /// None where only the frames will show it.
    pub(crate) reorder_depth: Option<u8>,
    /// Nominal duration of a frame as a fraction of seconds.
    pub(crate) frame_seconds: Option<(u32, u32)>,
}

impl Configured {
    /// A configuration that says nothing beyond a shape.
    pub(crate) fn plain(configuration: Bytes, shape: Shape) -> Self {
        Self { configuration, shape, reorder_depth: Some(0), frame_seconds: None }
    }
}
