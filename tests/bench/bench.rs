//! `kinora-bench`: puts a real server under a real load and prints tables.
//!
//! It knows the server only from outside: its command line, its HTTP, its row in /proc. It stops
//! with a message at anything unexpected, because a benchmark that carries on measures nothing.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod acks;
mod clip;
mod disk;
mod ingest;
mod latency;
mod process;
mod recovery;
mod row;
mod sender;
#[cfg(test)]
mod sink_test;
mod table;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Real-time producers: what does one more camera cost, and how soon is it durable?
    Ingest(ingest::Options),
    /// kill -9 under load: how soon does the server answer again?
    Recovery(recovery::Options),
}

fn main() {
    let Arguments { command } = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap_or_else(|e| panic!("cannot start the runtime: {e}"));
    match command {
        Command::Ingest(options) => runtime.block_on(ingest::run(&options)),
        Command::Recovery(options) => runtime.block_on(recovery::run(&options)),
    }
}
