//! Fragment numbers.

use std::fmt;
use std::str::FromStr;

/// The number of a fragment in its stream: from 1, strictly increasing in arrival order, never
/// reused. A reader that sees 41 and 43 knows that 42 is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FragmentNumber(u64);

impl FragmentNumber {
    /// The number of a stream's first fragment.
    pub const FIRST: Self = Self(1);

    /// The number `value`; none for 0, which no fragment has.
    #[must_use]
    pub const fn new(value: u64) -> Option<Self> {
        if value == 0 { None } else { Some(Self(value)) }
    }

    /// The plain number, 1 or more.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number `count` places later, saturating at `u64::MAX`.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

impl fmt::Display for FragmentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for FragmentNumber {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().ok().and_then(Self::new).ok_or("a fragment number is a whole number from 1")
    }
}
