//! The `kinora` command; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    kinora::cli::main()
}
