//! What drives and answers in `bench/run`, and draws what came of it.
//!
//! Owns the command line. Must be cheaper than any proxy between its two halves. Read `origin.rs`, then `load.rs`, and
//! `h2load.rs` for HTTP/2. Exit status: 0; 3 where the proxy does not speak what was asked; 1 otherwise.
#![forbid(unsafe_code)]

mod count;
mod h2load;
mod load;
mod origin;
mod plot;
mod trust;
mod wire;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: bench-tool origin PORT
       bench-tool load PORT PATH CONNECTIONS SECONDS [close] [rate=N] [tls=CERTIFICATE] [h2=STREAMS]
                  (PATH echo:BYTES: TCP echoes; h2: that many streams on each connection)
       bench-tool certificate FOLDER
       bench-tool plot REPORT.json PLOT.svg";
const NOT_SPOKEN: u8 = 3;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["origin", port] => port.parse().map_err(|_| USAGE.to_owned()).and_then(|port| origin::run(port).map_err(said)),
        ["certificate", folder] => trust::write(Path::new(folder)).map_err(said),
        ["plot", report, plot] => plot::draw(Path::new(report), Path::new(plot)).map_err(said),
        ["load", port, path, connections, seconds, rest @ ..] => match plan(port, path, connections, seconds, rest) {
            None => Err(USAGE.to_owned()),
            Some((plan, None)) => load::run(&plan).map(|report| println!("{report}")).map_err(said),
            Some((plan, Some(streams))) => match h2load::run(&plan, streams) {
                Ok(report) => {
                    println!("{report}");
                    Ok(())
                }
                Err(h2load::Failed::NotSpoken) => {
                    eprintln!("the proxy did not agree on HTTP/2");
                    return ExitCode::from(NOT_SPOKEN);
                }
                Err(h2load::Failed::Io(error)) => Err(said(error)),
            },
        },
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

/// What to do, and how many streams where it is HTTP/2.
fn plan<'a>(
    port: &str,
    path: &'a str,
    connections: &str,
    seconds: &str,
    rest: &[&'a str],
) -> Option<(load::Plan<'a>, Option<usize>)> {
    let word = |key: &str| rest.iter().find_map(|word| word.strip_prefix(key));
    let span = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
    let plan = load::Plan {
        port: port.parse().ok()?,
        path,
        connections: connections.parse().ok()?,
        span,
        close: rest.contains(&"close"),
        rate: word("rate=").map(str::parse).transpose().ok()?,
        tls: word("tls=").map(Path::new),
    };
    Some((plan, word("h2=").map(str::parse).transpose().ok()?))
}

fn said(error: std::io::Error) -> String {
    format!("bench-tool: failed: {error}")
}
