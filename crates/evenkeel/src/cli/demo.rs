//! `evenkeel demo`: its flags and its output. Owns neither what is played nor what is promised: those are
//! [`crate::demo`]'s.

use std::path::PathBuf;

use clap::Args;

use super::failure::Outcome;
use super::streams::Streams;
use crate::demo::board::{Board, Wall};
use crate::demo::{self, Options, report};

/// Arguments of `evenkeel demo`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Starts a daemon of its own on throw-away state, puts real instances behind a load balancer, and under steady traffic
replaces them one by one, kills one without warning, disables a zone and enables it again, and restarts the daemon; then
lets a group grow with its load and shrink again (not with --fast).
Everything has ended when it ends, unless told otherwise.

Examples:
  evenkeel demo
  evenkeel demo --fast --json
  evenkeel demo --keep --rate 500

Exit codes:
  0  every promise was kept
  1  one was broken; the report says which")]
pub struct Demo {
    /// Print one JSON document on standard output, and progress on standard error
    #[arg(long)]
    pub json: bool,
    /// Leave everything running, and print how to talk to it
    #[arg(long)]
    pub keep: bool,
    /// Fewer and shorter steps: under 15 seconds
    #[arg(long)]
    pub fast: bool,
    /// Requests a second [default: 2000; with --fast 500]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub rate: Option<u32>,
    /// Where the daemon keeps its state, an empty directory [default: a throw-away one]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Plays it and prints the report.
///
/// # Errors
/// Those of writing; what goes wrong in the demo itself is in its report.
pub fn run(args: &Demo, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let options = Options { fast: args.fast, keep: args.keep, rate: args.rate, data_dir: args.data_dir.clone() };
    let board = Board::new(if args.json { Wall::Err } else { Wall::Out });
    let end = demo::run(&options, &board);
    if args.json {
        report::print_json(&end, streams.out)?;
    } else {
        report::print(&end, streams.out)?;
    }
    Ok(if end.is_good() { Outcome::Done } else { Outcome::Failed })
}
