//! `evenkeel tail`: requests as they are answered, from the road's access log.
//!
//! Owns how a record reads for people, and which are shown. It reads the file as `audit` reads the record: with the eyes
//! of whoever may read the data directory. Must never write a byte to a terminal that a client chose and that could
//! order it about. Next: [`follow`], which keeps up with the file.

pub mod follow;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde::Deserialize;

use super::failure::{Outcome, hinted};
use super::settings::{data_dir, process_environment};
use super::streams::Streams;
use crate::link::road::Place;
use follow::Follower;

/// How often it is looked whether there is more.
const LOOK: Duration = Duration::from_millis(50);

/// Arguments of `evenkeel tail`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  evenkeel tail                       every request, as it is answered\n  evenkeel tail web -n 100            those of one load balancer, beginning with the last 100\n  evenkeel tail --json | jq 'select(.cause)'"
)]
pub struct Tail {
    /// Only this load balancer's
    #[arg(value_name = "BALANCER")]
    pub balancer: Option<String>,
    /// Print the records as they are, JSON, one a line
    #[arg(long)]
    pub json: bool,
    /// Begin with so many of the newest there are
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub count: u32,
    /// The daemon's state [default: EVENKEEL_DATA_DIR, else $XDG_DATA_HOME/evenkeel, else ~/.local/share/evenkeel]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Follows the log until nobody reads any more.
///
/// # Errors
/// A data directory that is not there, or a log that cannot be read.
pub fn run(args: &Tail, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let dir = data_dir(args.data_dir.as_deref(), &process_environment)
        .ok_or_else(|| hinted("nothing says whose log to read", "give `--data-dir`"))?;
    if !dir.is_dir() {
        return Err(hinted(
            format!("failed to find the data directory `{}`", dir.display()),
            "start the daemon with `evenkeel up`, or give `--data-dir`",
        ));
    }
    let path = Place::new(&dir).access_log();
    if !path.exists() {
        writeln!(
            streams.err,
            "waiting for `{}`: the log is written by `evenkeel up --access-log json`",
            path.display()
        )?;
    }
    // Not through `streams`: they forgive a reader that is gone, and this would follow for nobody, for ever.
    let mut out = io::stdout().lock();
    let colours = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let show = Show { balancer: args.balancer.clone(), json: args.json, colours };
    let mut follower = Follower::new(path.clone());
    let followed = tail(&mut follower, &show, args.count as usize, &mut out, || {
        std::thread::park_timeout(LOOK);
        true
    });
    match followed {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Outcome::Done),
        other => other.with_context(|| format!("failed to read `{}`", path.display())).map(|()| Outcome::Done),
    }
}

/// Shows the newest `count` there are, then what comes, for as long as `goes_on` says after it has waited.
fn tail(
    follower: &mut Follower,
    show: &Show,
    count: usize,
    out: &mut dyn Write,
    mut goes_on: impl FnMut() -> bool,
) -> io::Result<()> {
    let mut newest: VecDeque<String> = VecDeque::new();
    follower.begin(|line| {
        if let Some(text) = show.line(line).filter(|_| count > 0) {
            if newest.len() == count {
                newest.pop_front();
            }
            newest.push_back(text);
        }
        Ok(())
    })?;
    for text in newest {
        out.write_all(text.as_bytes())?;
    }
    out.flush()?;
    while goes_on() {
        follower.more(|line| match show.line(line) {
            Some(text) => out.write_all(text.as_bytes()),
            None => Ok(()),
        })?;
        out.flush()?;
    }
    Ok(())
}

/// What is shown, and how.
struct Show {
    balancer: Option<String>,
    json: bool,
    colours: bool,
}

/// What of a record is shown.
#[derive(Deserialize)]
struct Seen {
    time: String,
    balancer: String,
    zone: Option<String>,
    client: String,
    instance: Option<String>,
    status: Option<u16>,
    total_time: f64,
    received: u64,
    sent: u64,
    request: Option<String>,
    retries: u32,
    cause: Option<String>,
}

impl Show {
    /// The text for a line of the log; `None` for one that is not asked for.
    fn line(&self, line: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(line);
        let Ok(seen) = serde_json::from_str::<Seen>(&text) else {
            // AWS's format: the balancer is its second word. It has no controls, but other files might.
            let wanted = self.balancer.as_ref().is_none_or(|name| text.split(' ').nth(1) == Some(name));
            return (wanted && !self.json).then(|| format!("{}\n", tame(&text)));
        };
        if self.balancer.as_ref().is_some_and(|name| *name != seen.balancer) {
            return None;
        }
        Some(if self.json { format!("{text}\n") } else { self.people(&seen) })
    }

    fn people(&self, seen: &Seen) -> String {
        let clock = seen.time.get(11..23).unwrap_or(&seen.time);
        let status = seen.status.map_or("  -".to_owned(), |status| status.to_string());
        let (paint, plain) = match seen.status {
            _ if !self.colours => ("", ""),
            Some(500..) => ("\u{1b}[31m", "\u{1b}[0m"),
            Some(400..) => ("\u{1b}[33m", "\u{1b}[0m"),
            Some(300..) => ("\u{1b}[36m", "\u{1b}[0m"),
            Some(_) => ("\u{1b}[32m", "\u{1b}[0m"),
            None if seen.cause.is_some() => ("\u{1b}[31m", "\u{1b}[0m"),
            None => ("", ""),
        };
        let zone = seen.zone.as_ref().map(|zone| format!("/{zone}")).unwrap_or_default();
        let mut text = format!(
            "{clock} {paint}{status}{plain} {:>9.3} ms  {}{zone}  {} -> {}",
            seen.total_time * 1000.0,
            seen.balancer,
            seen.client,
            seen.instance.as_deref().unwrap_or("-"),
        );
        match &seen.request {
            Some(request) => text.push_str(&format!("  {request}")),
            None => text.push_str(&format!("  {} bytes in, {} out", seen.received, seen.sent)),
        }
        if seen.retries > 0 {
            text.push_str(&format!("  ({} retries)", seen.retries));
        }
        let mut text = if self.colours { tame_but(&text, paint, plain) } else { tame(&text) };
        if let Some(cause) = &seen.cause {
            text.push_str(&format!("  {paint}{}{plain}", tame(cause)));
        }
        text.push('\n');
        text
    }
}

/// Text without anything that a terminal obeys.
fn tame(text: &str) -> String {
    let mut tame = String::with_capacity(text.len());
    for c in text.chars() {
        // Direction marks reorder a line for the eye.
        if c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            tame.extend(c.escape_unicode());
        } else {
            tame.push(c);
        }
    }
    tame
}

/// The same, but for the colour of the status, which stands before anything that a client chose.
fn tame_but(text: &str, paint: &str, plain: &str) -> String {
    match (paint.is_empty(), text.split_once(plain)) {
        (false, Some((before, after))) => {
            let (clock, status) = before.split_once(paint).unwrap_or((before, ""));
            format!("{}{paint}{}{plain}{}", tame(clock), tame(status), tame(after))
        }
        _ => tame(text),
    }
}

#[cfg(test)]
mod tests;
