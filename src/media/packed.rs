//! The packed payload of a fragment.
