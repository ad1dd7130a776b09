//! Kinora: a self-hosted video fragment service.
