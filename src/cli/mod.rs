//! The command line: configuration, wiring, and the only place that reads the environment, the
//! clock and chance.

mod amount;
mod arrivals;
mod clock;
mod config;
mod encryption;
mod health;
mod limits;
mod offline;
mod peer;
mod push;
mod random;
mod serve;
mod server;
mod settings;
mod tls;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A self-hosted video fragment service.
#[derive(Debug, Parser)]
#[command(name = "kinora", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Serve),
    /// Push a media file into a stream
    Push(push::Push),
    /// Read every stored byte and say what is damaged; of what a running server has open, what is sealed
    Verify(offline::Verify),
    /// Make the index anew from the segment files (the server must not be running)
    RebuildIndex(offline::RebuildIndex),
    /// Make and change the key that recordings are encrypted with
    Key(encryption::Key),
    /// Show what a running server keeps, and for how long it has room; change a stream's limits
    Limits(limits::Limits),
    /// Ask a running server whether it is well; the exit status tells
    Health(health::Health),
    /// Print the OpenAPI description of the HTTP API
    Openapi,
}

/// Why a command failed: a sentence, and what to do next.
#[derive(Debug)]
struct Failure {
    message: String,
    hint: Option<String>,
}

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<kinora_store::Error> for Failure {
    fn from(error: kinora_store::Error) -> Self {
        Self::new(error.message)
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(command) => command.run(),
        Command::Push(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::RebuildIndex(command) => command.run(),
        Command::Key(command) => command.run(),
        Command::Limits(command) => command.run(),
        Command::Health(command) => command.run(),
        Command::Openapi => {
            println!("{}", crate::api::openapi());
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("kinora: {}", failure.message);
            if let Some(hint) = failure.hint {
                eprintln!("        {hint}");
            }
            ExitCode::FAILURE
        }
    }
}
