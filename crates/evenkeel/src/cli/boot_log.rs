//! `evenkeel boot-log`: how the boot of an instance goes, step by step.
//!
//! Reads the instance's folder, as `tail` and `audit` read what is theirs: with the eyes of whoever may read the data directory.
//! Must never write a byte to a terminal that an instance chose and that could order it about. Next: [`crate::boot::record`].

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use evenkeel_core::name::InstanceId;

use super::failure::{Outcome, hinted};
use super::settings::{data_dir, process_environment};
use super::streams::Streams;
use super::table::Table;
use crate::agent::console;
use crate::boot::record::{self, Record, ReportEnd, Step, StepState};
use crate::drivers::folder::Folder;

/// How often it is looked whether there is more.
const LOOK: Duration = Duration::from_millis(100);
/// How much of a step's output is shown.
const TAIL: usize = 512 * 1024;

/// Arguments of `evenkeel boot-log`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  evenkeel boot-log i-0123456789abcdef0             how the boot went\n  evenkeel boot-log i-0123456789abcdef0 --follow    until it has ended; exit status 1 where it failed\n  evenkeel boot-log i-0123456789abcdef0 --step 2    what step 2 printed"
)]
pub struct BootLog {
    /// The instance
    #[arg(value_name = "ID")]
    pub id: String,
    /// Follow the boot until it has ended; exit with 1 if it failed
    #[arg(short, long, conflicts_with = "step")]
    pub follow: bool,
    /// Print what a step printed: its last 256 KiB at least
    #[arg(long, value_name = "N")]
    pub step: Option<usize>,
    /// Print the record as it is, JSON
    #[arg(long, conflicts_with_all = ["follow", "step"])]
    pub json: bool,
    /// How long to follow at most, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    pub timeout: u64,
    /// The daemon's state [default: EVENKEEL_DATA_DIR, else $XDG_DATA_HOME/evenkeel, else ~/.local/share/evenkeel]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// The folder of an instance on this node.
///
/// # Errors
/// No data directory, no id, or no such instance here.
pub fn folder(dir: Option<&Path>, id: &str) -> anyhow::Result<Folder> {
    let dir = data_dir(dir, &process_environment)
        .ok_or_else(|| hinted("nothing says which daemon's instances are meant", "give `--data-dir`"))?;
    let id = InstanceId::new(id).with_context(|| format!("failed to find `{id}`"))?;
    let path = dir.join("instances").join(id.as_str());
    if path.is_dir() {
        return Ok(Folder::new(path));
    }
    let what = format!("failed to find {id} in `{}`", dir.display());
    Err(hinted(what, "run this on the node that runs the instance, or give its `--data-dir`"))
}

/// Shows a boot.
///
/// # Errors
/// Those of [`folder`]; a record that cannot be read.
pub fn run(args: &BootLog, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let folder = folder(args.data_dir.as_deref(), &args.id)?;
    if let Some(step) = args.step {
        let output = console::step_tail(&folder, step, TAIL).with_context(|| format!("failed to read step {step}"))?;
        streams.out.write_all(&output)?;
        return Ok(Outcome::Done);
    }
    if args.follow {
        return follow(&folder, Duration::from_secs(args.timeout), streams);
    }
    let Some(record) = read(&folder)? else {
        writeln!(streams.out, "{} boots nothing but its application", args.id)?;
        return Ok(Outcome::Done);
    };
    if args.json {
        writeln!(streams.out, "{}", serde_json::to_string_pretty(&record)?)?;
        return Ok(Outcome::Done);
    }
    let mut table = Table::new(["STEP", "STATE", "TOOK", "WHAT", "SAID"]);
    for (number, step) in record.steps.iter().enumerate() {
        table.push(line(number, step));
    }
    table.write(streams)?;
    write!(streams.out, "{}", verdict(&record))?;
    Ok(Outcome::Done)
}

fn read(folder: &Folder) -> anyhow::Result<Option<Record>> {
    folder
        .read::<Record>(record::FILE)
        .with_context(|| format!("failed to read `{}`", folder.file(record::FILE).display()))
}

/// Prints each step as it ends, until the boot has.
fn follow(folder: &Folder, limit: Duration, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let until = Instant::now() + limit;
    let mut told = Vec::new();
    loop {
        if let Some(record) = read(folder)? {
            for (number, step) in record.steps.iter().enumerate() {
                let state = (number, step.state, step.tries);
                if step.state != StepState::Waiting && !told.contains(&state) {
                    told.push(state);
                    writeln!(streams.out, "{}", line(number, step).join("  ").trim_end())?;
                }
            }
            if let Some(why) = &record.failure {
                writeln!(streams.out, "failed to {}", plain(why))?;
                return Ok(Outcome::Failed);
            }
            if record.is_done {
                return Ok(Outcome::Done);
            }
        } else if folder.spec().ok().flatten().is_some_and(|spec| !spec.boots) {
            return Ok(Outcome::Done);
        }
        if Instant::now() >= until {
            let what = format!("the boot has not ended after {} s", limit.as_secs());
            return Err(hinted(what, "follow it for longer with `--timeout`"));
        }
        streams.out.flush()?;
        std::thread::sleep(LOOK);
    }
}

fn line(number: usize, step: &Step) -> [String; 5] {
    let took = step.took_ms.map_or_else(String::new, |ms| format!("{}.{:01} s", ms / 1000, ms % 1000 / 100));
    let said = step.said.as_deref().map(plain).unwrap_or_default();
    [number.to_string(), step.state.as_str().to_owned(), took, plain(&step.name), said]
}

/// What became of it all.
fn verdict(record: &Record) -> String {
    let mut text = String::new();
    let mut add = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    match (&record.failure, record.is_done) {
        (Some(why), _) => add(format!("boot {} failed to {}", record.boot, plain(why))),
        (None, true) => add(format!("boot {} is done", record.boot)),
        (None, false) => add(format!("boot {} is under way", record.boot)),
    }
    if !record.registered.is_empty() {
        add(format!("registered with {}", record.registered.join(", ")));
    }
    match record.report.as_ref().map(|report| (&report.end, report.tries)) {
        None => {}
        Some((Some(ReportEnd::Sent), _)) => add("reported by mail".to_owned()),
        Some((Some(ReportEnd::GivenUp(why)), _)) => add(format!("the mail was given up: failed to {}", plain(why))),
        Some((None, tries)) => add(format!("the mail is under way: {tries} tries so far")),
    }
    text
}

/// Words of an instance's without what could order a terminal about.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_instance_says_orders_no_terminal_about() {
        let step = Step {
            state: StepState::Failed,
            took_ms: Some(1_250),
            said: Some("run `./a`: exit status: 1".into()),
            ..Step::waiting("./a\x1b[2J")
        };
        assert_eq!(line(1, &step), ["1", "failed", "1.2 s", "./a [2J", "run `./a`: exit status: 1"]);
        let record = Record { boot: 2, failure: Some("do step 1\n".into()), ..Record::default() };
        assert_eq!(verdict(&record), "boot 2 failed to do step 1 \n");
        let record = Record { boot: 2, is_done: true, registered: vec!["a".into(), "b".into()], ..Record::default() };
        assert_eq!(verdict(&record), "boot 2 is done\nregistered with a, b\n");
    }
}
