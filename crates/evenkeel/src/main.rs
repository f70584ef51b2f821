//! The binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((command, rest)) if command == "agent" => evenkeel::agent::main(rest),
        Some((command, rest)) if command == "sample-app" => evenkeel::sample::main(rest),
        _ => ExitCode::from(2),
    }
}
