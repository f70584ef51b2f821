//! `evenkeel demo`: the main job, played once on throw-away state under real traffic, and judged.
//!
//! Owns the order: prepare the venue, play the script, end everything, judge. All control goes through the API as any
//! client's would. Must never touch a daemon that it did not start. Next: [`script`] for what is played, [`venue`] for
//! where, [`judge`] for what is promised.

pub mod board;
pub mod ground;
pub mod judge;
pub mod report;
mod script;
mod venue;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use board::Board;
use judge::{Figures, Verdict};
use script::Play;
use venue::Venue;

/// What is played.
#[derive(Clone, Debug)]
pub struct Options {
    /// Fewer and shorter steps, at a lower rate: under 15 s.
    pub fast: bool,
    /// Leave it running in the end.
    pub keep: bool,
    /// Requests a second; by default 2000, or 500 when fast.
    pub rate: Option<u32>,
    /// Where the daemon keeps its state; by default in a throw-away folder.
    pub data_dir: Option<PathBuf>,
}

/// How fast and how much.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Requests a second.
    rate: u32,
    /// How long is looked on where nothing is waited for.
    look: Duration,
    /// How long is looked on between two replacements.
    breath: Duration,
    /// Instances in each zone.
    each: i64,
    /// How many of them are replaced.
    replaced: usize,
    /// Whether a group is scaled, which takes most of a minute.
    scales: bool,
}

const SECOND: Duration = Duration::from_secs(1);

impl Options {
    fn pace(&self) -> Pace {
        let pace = match self.fast {
            false => {
                Pace { rate: 2000, look: Duration::from_secs(3), breath: SECOND, each: 2, replaced: 4, scales: true }
            }
            true => Pace { rate: 500, look: SECOND, breath: SECOND / 4, each: 2, replaced: 2, scales: false },
        };
        Pace { rate: self.rate.unwrap_or(pace.rate), ..pace }
    }
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct End {
    /// What was counted and timed.
    pub figures: Figures,
    /// What that says about the promises.
    pub verdicts: Vec<Verdict>,
    /// The data directory, if it was left running.
    pub kept: Option<PathBuf>,
}

impl End {
    fn of(figures: Figures, kept: Option<PathBuf>) -> Self {
        Self { verdicts: judge::judge(&figures), figures, kept }
    }

    /// Whether every promise was kept.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.kept)
    }
}

/// Plays it. Whatever happens is in the [`End`]; whatever happens, everything that was started has ended then, unless
/// it was to be kept.
#[must_use]
pub fn run(options: &Options, board: &Board) -> End {
    let mut figures = Figures::default();
    let drawing = board.draw_on();
    let interrupted = match watch_signals() {
        Ok(flag) => flag,
        Err(error) => {
            figures.stopped = Some(format!("failed to watch for Ctrl-C: {error}"));
            return End::of(figures, None);
        }
    };
    let kept = match Venue::prepare(options.data_dir.as_deref()) {
        Ok(venue) => at_venue(venue, options, board, &interrupted, &mut figures),
        Err(error) => {
            figures.stopped = Some(format!("{error:#}"));
            None
        }
    };
    figures.steps = board.end();
    if let Ok(drawing) = drawing {
        drawing.thread().unpark();
        // Drawing is all that it could have failed at.
        let _ = drawing.join();
    }
    End::of(figures, kept)
}

fn at_venue(
    venue: Venue,
    options: &Options,
    board: &Board,
    interrupted: &AtomicBool,
    figures: &mut Figures,
) -> Option<PathBuf> {
    let mut play = Play::new(venue, options.pace(), board, interrupted);
    let played = play.run();
    let (venue, counted) = play.finish();
    *figures = counted;
    figures.stopped = played.err().map(|error| format!("{error:#}"));
    if options.keep && !interrupted.load(Ordering::Relaxed) && venue.is_up() {
        return Some(venue.keep());
    }
    board.step("end everything");
    match venue.end() {
        Ok(left) => figures.left_over = Some(left),
        Err(error) => {
            figures.stopped.get_or_insert(format!("{error:#}"));
        }
    }
    None
}

/// True once somebody wants the demo to end: Ctrl-C, TERM, or a terminal that went away.
fn watch_signals() -> std::io::Result<Arc<AtomicBool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let flag = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&flag);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut int, mut term, mut hang_up) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?)
    };
    // Ends with the process.
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! { _ = int.recv() => {}, _ = term.recv() => {}, _ = hang_up.recv() => {} }
                asked.store(true, Ordering::Relaxed);
            }
        });
    })?;
    Ok(flag)
}
