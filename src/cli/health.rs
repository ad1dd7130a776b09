//! `kinora health`: for container health checks and scripts.

use clap::Args;

use super::Failure;
use super::push::Server;

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

/// The innermost cause, which says more than "error sending request".
pub(super) fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
