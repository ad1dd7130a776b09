//! `kinora verify` and `kinora rebuild-index`: work on a data folder without a server.

use std::path::PathBuf;

use clap::Args;

use super::Failure;

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Folder that holds everything recorded
    #[arg(long, env = "KINORA_DATA_DIR", default_value = "./data", value_name = "DIR")]
    data_dir: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RebuildIndex {
    /// Folder that holds everything recorded
    #[arg(long, env = "KINORA_DATA_DIR", default_value = "./data", value_name = "DIR")]
    data_dir: PathBuf,
}

impl Verify {
    pub(super) fn run(self) -> Result<(), Failure> {
        Err(Failure::new(self.data_dir.display().to_string()))
    }
}

impl RebuildIndex {
    pub(super) fn run(self) -> Result<(), Failure> {
        Err(Failure::new(self.data_dir.display().to_string()))
    }
}
