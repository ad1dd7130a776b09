//! `kinora health`: for container health checks and scripts.

use clap::Args;

use super::Failure;
use super::server::{Server, reason};

#[derive(Debug, Args)]
pub(super) struct Health {
    #[command(flatten)]
    server: Server,
}

impl Health {
    pub(super) fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
        runtime.block_on(async {
            let url = self.server.url("/healthz")?;
            let unreachable = |error: reqwest::Error| Failure::new(format!("{url}: {}", reason(&error)));
            let answer = self.server.client()?.get(&url).send().await.map_err(unreachable)?;
            let well = answer.status().is_success();
            let text = answer.text().await.map_err(unreachable)?;
            println!("{text}");
            if well { Ok(()) } else { Err(Failure::new("the server is not well")) }
        })
    }
}
