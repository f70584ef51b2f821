//! `evenkeel connections`: who is connected to the load balancers at this moment.
//!
//! Owns how the table reads for people, and which rows are shown. It asks the road directly, so that it works while the
//! daemon is down. Next: [`crate::link::look`].

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use evenkeel_proxy::connections::{Connection, Kind};

use super::failure::{Outcome, hinted};
use super::settings::{data_dir, process_environment};
use super::streams::Streams;
use crate::link::look;
use crate::link::road::Place;

/// Arguments of `evenkeel connections`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  evenkeel connections                    who is connected now, the longest first\n  evenkeel connections web --state idle   only one load balancer's that wait for a request\n  evenkeel connections --json | jq -s 'group_by(.client | split(\":\")[0]) | map(length)'"
)]
pub struct Show {
    /// Only this load balancer's
    #[arg(value_name = "BALANCER")]
    pub balancer: Option<String>,
    /// Only those in this state: greeting, handshake, idle, unused, head, body, queued, connecting, instance, sending,
    /// open, closing
    #[arg(long)]
    pub state: Option<String>,
    /// Also the idle connections to instances that are kept for later requests
    #[arg(long)]
    pub pool: bool,
    /// Rows of each worker thread at most; where it has more, every so many-th is taken
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=look::ROWS_LIMIT as i64))]
    pub limit: u32,
    /// Print JSON, one connection a line
    #[arg(long)]
    pub json: bool,
    /// The daemon's state [default: EVENKEEL_DATA_DIR, else $XDG_DATA_HOME/evenkeel, else ~/.local/share/evenkeel]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Prints the table.
///
/// # Errors
/// No road that runs there.
pub fn run(args: &Show, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let dir = data_dir(args.data_dir.as_deref(), &process_environment)
        .ok_or_else(|| hinted("nothing says whose road to look at", "give `--data-dir`"))?;
    let mut seen = look::connections(&Place::new(&dir), args.limit as usize)
        .with_context(|| format!("failed to ask the road in `{}`", dir.display()))?;
    let all = seen.rows.len();
    seen.rows.retain(|row| args.shows(row));
    seen.rows.sort_by_key(|row| std::cmp::Reverse(row.age_ms));
    if args.json {
        for row in &seen.rows {
            writeln!(streams.out, "{}", serde_json::to_string(row)?)?;
        }
    } else if !seen.rows.is_empty() {
        writeln!(streams.out, "{}", HEADS.join("  "))?;
        for row in &seen.rows {
            writeln!(streams.out, "{}", line(row))?;
        }
    }
    if all < seen.total {
        writeln!(streams.err, "a sample: {all} of {} connections were looked at", seen.total)?;
    }
    if seen.silent > 0 {
        writeln!(streams.err, "{} worker threads did not answer in time: theirs are missing", seen.silent)?;
    }
    Ok(Outcome::Done)
}

const HEADS: [&str; 9] = [
    "WORKER",
    "KIND",
    "STATE     ",
    "        AGE",
    "       IDLE",
    "  RECEIVED",
    "      SENT",
    "CLIENT                ",
    "BALANCER -> INSTANCE",
];

impl Show {
    fn shows(&self, row: &Connection) -> bool {
        self.balancer.as_ref().is_none_or(|name| *name == row.balancer)
            && self.state.as_ref().is_none_or(|state| state == row.state.as_str())
            && (self.pool || row.kind != Kind::Pool)
    }
}

fn line(row: &Connection) -> String {
    let kind = match row.kind {
        Kind::Http => "http",
        Kind::Tcp => "tcp",
        Kind::H2 => "h2",
        Kind::Pool => "pool",
    };
    let seconds = |ms: u64| format!("{:>7}.{} s", ms / 1000, ms % 1000 / 100);
    format!(
        "{:>6}  {kind:4}  {:10}  {}  {}  {:>10}  {:>10}  {:22}  {} -> {}",
        row.worker,
        row.state.as_str(),
        seconds(row.age_ms),
        seconds(row.idle_ms),
        row.received,
        row.sent,
        row.client.map_or("-".to_owned(), |client| client.to_string()),
        row.balancer,
        row.instance.as_deref().unwrap_or("-"),
    )
}

#[cfg(test)]
mod tests {
    use evenkeel_proxy::connections::State;

    use super::*;

    #[test]
    fn a_row_stands_under_its_heads() {
        let row = Connection {
            worker: 1,
            kind: Kind::Http,
            state: State::Instance,
            balancer: "web".into(),
            client: Some("203.0.113.9:40000".parse().unwrap()),
            at: Some("127.0.0.1:80".parse().unwrap()),
            instance: Some("i-00000001".into()),
            age_ms: 61_250,
            idle_ms: 30,
            received: 517,
            sent: 1024,
        };
        let (heads, text) = (HEADS.join("  "), line(&row));
        for (head, word) in [("KIND", "http"), ("STATE", "instance"), ("CLIENT", "203"), ("BALANCER", "web -> i-0")] {
            assert_eq!(heads.find(head), text.find(word), "{head}:\n{heads}\n{text}");
        }
        for (head, word) in [("AGE", "61.2 s"), ("IDLE", "0.0 s"), ("RECEIVED", "517"), ("SENT", "1024")] {
            let end = |text: &str, word: &str| text.find(word).map(|at| at + word.len());
            assert_eq!(end(&heads, head), end(&text, word), "{head}:\n{heads}\n{text}");
        }
    }
}
