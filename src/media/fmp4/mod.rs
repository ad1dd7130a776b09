//! ISO base media in and out.
