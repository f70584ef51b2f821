//! The binary: nothing but the door to [`evenkeel::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    evenkeel::cli::main()
}
