//! What drives and answers in `bench/run`.
//!
//! Owns the command line. Must be cheaper than any proxy between its two halves. Read `origin.rs`, then `load.rs`.
#![forbid(unsafe_code)]

mod load;
mod origin;

use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: bench-tool origin PORT
       bench-tool load PORT PATH CONNECTIONS SECONDS [close] [rate=N]   (PATH echo:BYTES: TCP echoes)";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["origin", port] => port.parse().map_err(|_| USAGE.to_owned()).and_then(|port| origin::run(port).map_err(said)),
        ["load", port, path, connections, seconds, rest @ ..] => {
            let rate = rest.iter().find_map(|word| word.strip_prefix("rate="));
            match (port.parse(), connections.parse(), seconds.parse(), rate.map(str::parse).transpose()) {
                (Ok(port), Ok(connections), Ok(seconds), Ok(rate)) => {
                    let span = Duration::from_secs_f64(seconds);
                    let plan = load::Plan { port, path, connections, span, close: rest.contains(&"close"), rate };
                    load::run(&plan).map(|report| println!("{report}")).map_err(said)
                }
                _ => Err(USAGE.to_owned()),
            }
        }
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn said(error: std::io::Error) -> String {
    format!("bench-tool: failed: {error}")
}
