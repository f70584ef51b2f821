//! The board: what is going on, for people, while it goes on.
//!
//! Owns the screen: redrawn in place on a terminal, plain lines elsewhere. Must never slow down what it shows, nor fail
//! it: whoever reads may go away. Next: [`super::script`], which writes on it.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::judge::{Step, seconds};
use super::report::{count, percent};
use crate::traffic::{Snapshot, Traffic};

/// Between two drawings on a terminal.
const REDRAW: Duration = Duration::from_millis(200);
/// Between two lines about the traffic elsewhere.
const LINE: Duration = Duration::from_secs(5);
/// Instances shown at once; the newest.
const ROWS: usize = 8;

/// Where it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wall {
    /// Standard output.
    Out,
    /// Standard error, when standard output is for a program.
    Err,
}

/// The board. Cheap to clone.
#[derive(Clone)]
pub struct Board(Arc<Shared>);

struct Shared {
    wall: Wall,
    live: bool,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    steps: Vec<Step>,
    now: Option<(String, Instant)>,
    notes: Vec<String>,
    traffic: Option<Traffic>,
    /// Instances in the order of their launch, and what has become of them.
    roster: Vec<(String, String)>,
    /// Lines of the last drawing, which the next is drawn over.
    drawn: usize,
    before: Option<(Instant, Snapshot)>,
    ended: bool,
}

impl Board {
    /// An empty board.
    #[must_use]
    pub fn new(wall: Wall) -> Self {
        let live = match wall {
            Wall::Out => io::stdout().is_terminal(),
            Wall::Err => io::stderr().is_terminal(),
        };
        Self(Arc::new(Shared { wall, live, began: Instant::now(), state: Mutex::default() }))
    }

    /// Draws on until [`Board::end`].
    ///
    /// # Errors
    /// The system's, when it has no threads left.
    pub fn draw_on(&self) -> io::Result<JoinHandle<()>> {
        let board = self.clone();
        thread::Builder::new().name("board".into()).spawn(move || {
            let pause = if board.0.live { REDRAW } else { LINE };
            loop {
                let next = Instant::now() + pause;
                while let Some(left) = next.checked_duration_since(Instant::now()) {
                    thread::park_timeout(left);
                    if board.state().ended {
                        return;
                    }
                }
                board.redraw();
            }
        })
    }

    /// Begins a step, and ends the one before.
    pub fn step(&self, name: impl Into<String>) {
        let name = name.into();
        let mut state = self.state();
        state.finish_step();
        if !self.0.live {
            self.line(&format!("[{:>6}] {name}", seconds(self.0.began.elapsed())));
        }
        state.now = Some((name, Instant::now()));
        drop(state);
        self.redraw_live();
    }

    /// Says a fact about the present step.
    pub fn note(&self, text: impl Into<String>) {
        let text = text.into();
        if !self.0.live {
            self.line(&format!("         {text}"));
        }
        self.state().notes.push(text);
        self.redraw_live();
    }

    /// Says what has become of an instance.
    pub fn instance(&self, id: &str, what: &str) {
        let mut state = self.state();
        match state.roster.iter_mut().find(|(known, _)| known == id) {
            Some((_, was)) => what.clone_into(was),
            None => state.roster.push((id.to_owned(), what.to_owned())),
        }
    }

    /// Shows traffic from now on.
    pub fn traffic(&self, traffic: Traffic) {
        self.state().traffic = Some(traffic);
    }

    /// What has become of the requests, if there are any yet.
    #[must_use]
    pub fn snapshot(&self) -> Option<Snapshot> {
        self.state().traffic.as_ref().map(Traffic::snapshot)
    }

    /// The time since the traffic's start; zero before.
    #[must_use]
    pub fn clock(&self) -> Duration {
        self.state().traffic.as_ref().map(Traffic::elapsed).unwrap_or_default()
    }

    /// Ends the traffic, and says what became of all requests.
    #[must_use]
    pub fn stop_traffic(&self) -> Option<Snapshot> {
        // Stopping waits for answers: not while others wait for the board.
        let traffic = self.state().traffic.take();
        traffic.map(Traffic::stop)
    }

    /// Ends the last step and the drawing; says which steps there were.
    #[must_use]
    pub fn end(&self) -> Vec<Step> {
        self.state().finish_step();
        self.redraw_live();
        let mut state = self.state();
        state.ended = true;
        state.steps.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn redraw_live(&self) {
        if self.0.live {
            self.redraw();
        }
    }

    fn redraw(&self) {
        let mut state = self.state();
        if state.ended {
            return;
        }
        let now = state.traffic.as_ref().map(Traffic::snapshot);
        if !self.0.live {
            if let Some(now) = now {
                self.line(&format!("         {}", totals(&now)));
            }
            return;
        }
        let lines = state.lines(now.as_ref(), self.0.began.elapsed());
        if let Some(now) = now
            && state.before.as_ref().is_none_or(|(at, _)| at.elapsed() >= Duration::from_secs(1))
        {
            state.before = Some((Instant::now(), now));
        }
        let up = match state.drawn {
            0 => String::new(),
            drawn => format!("\x1b[{drawn}A"),
        };
        // Clears to the end of each line, and below the last, in case the drawing before was larger.
        let text: String = lines.iter().map(|line| format!("{}\x1b[K\n", cut(line))).collect();
        state.drawn = lines.len();
        self.write(&format!("{up}\r{text}\x1b[J"));
    }

    fn line(&self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    fn write(&self, text: &str) {
        // Nobody may be reading any more: that is no reason to stop.
        let _ = match self.0.wall {
            Wall::Out => io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()),
            Wall::Err => io::stderr().write_all(text.as_bytes()),
        };
    }
}

impl State {
    fn finish_step(&mut self) {
        if let Some((name, since)) = self.now.take() {
            self.steps.push(Step { name, took: since.elapsed() });
            self.notes.clear();
        }
    }

    fn lines(&self, now: Option<&Snapshot>, elapsed: Duration) -> Vec<String> {
        let mut lines = vec![format!("evenkeel demo {:>63}", seconds(elapsed)), String::new()];
        lines.extend(self.steps.iter().map(|step| format!("  done  {:<60} {:>8}", step.name, seconds(step.took))));
        if let Some((name, since)) = &self.now {
            lines.push(format!("  now   {name:<60} {:>8}", seconds(since.elapsed())));
            lines.extend(self.notes.last().map(|note| format!("        {note}")));
        }
        let Some(now) = now else { return lines };
        let (span, before) = match &self.before {
            Some((at, before)) => (at.elapsed().as_secs_f64().max(0.001), before),
            None => (1.0, &Snapshot::default()),
        };
        let pace = |now: u64, before: u64| count((now.saturating_sub(before) as f64 / span).round() as u64);
        let all: u64 = now.zones.values().sum();
        lines.push(String::new());
        lines.push(format!("  {:<22} {:>10} {:>8} {:>8}", "zone", "answers", "share", "now/s"));
        for (zone, answers) in &now.zones {
            let earlier = before.zones.get(zone).copied().unwrap_or_default();
            let bar = "#".repeat((answers * 20 / all.max(1)) as usize);
            let (share, pace) = (percent(*answers, all), pace(*answers, earlier));
            lines.push(format!("  {zone:<22} {:>10} {share:>8} {pace:>8}  {bar}", count(*answers)));
        }
        lines.push(String::new());
        lines.push(format!("  {:<22} {:>10} {:>8} {:>8}  {}", "instance", "answers", "version", "now/s", "state"));
        for (id, what) in self.roster.iter().skip(self.roster.len().saturating_sub(ROWS)) {
            let seen = now.instances.get(id);
            let (answers, version) = seen.map_or((0, "-"), |seen| (seen.answers, seen.version.as_str()));
            let earlier = before.instances.get(id).map_or(0, |seen| seen.answers);
            let pace = pace(answers, earlier);
            lines.push(format!("  {id:<22} {:>10} {version:>8} {pace:>8}  {what}", count(answers)));
        }
        let recent = now.latencies.since(&before.latencies);
        let [half, most] = [0.5, 0.99].map(|share| millis(recent.quantile(share)));
        lines.push(String::new());
        lines.push(format!(
            "  sent {}   lost {}   in flight {}   latency p50 {half} p99 {most}",
            count(now.sent),
            count(now.lost()),
            now.in_flight(),
        ));
        let losses: BTreeMap<_, _> = now.failed.iter().collect();
        lines.extend(losses.into_iter().map(|(loss, number)| format!("  lost: {} by {loss}", count(*number))));
        lines
    }
}

fn totals(now: &Snapshot) -> String {
    let all: u64 = now.zones.values().sum();
    let zones = now.zones.iter().map(|(zone, answers)| format!("{zone} {}", percent(*answers, all)));
    let zones = zones.collect::<Vec<_>>().join(", ");
    let (sent, lost, most) = (count(now.sent), count(now.lost()), millis(now.latencies.quantile(0.99)));
    format!("sent {sent}, lost {lost}, {zones}, p99 {most}")
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

/// A line that is sure to fit: one that wraps would be drawn over wrongly.
fn cut(line: &str) -> String {
    line.chars().take(79).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_notes_and_traffic_are_all_on_the_board() {
        let mut state = State { now: Some(("start".into(), Instant::now())), ..State::default() };
        state.notes.push("a fact".into());
        assert!(state.lines(None, Duration::ZERO).iter().any(|line| line.contains("a fact")));
        state.finish_step();
        state.now = Some(("next".into(), Instant::now()));
        state.roster.push(("i-1".into(), "killed".into()));
        let mut now = Snapshot { sent: 12_345, ok: 12_340, ..Snapshot::default() };
        now.zones = BTreeMap::from([("a".into(), 750), ("b".into(), 250)]);
        let text = state.lines(Some(&now), Duration::from_secs(3)).join("\n");
        for words in ["done  start", "now   next", "75.0 %", "killed", "sent 12,345", "in flight 5", "3.0 s"] {
            assert!(text.contains(words), "{words} in\n{text}");
        }
        assert!(!text.contains("a fact"));
        assert!(totals(&now).starts_with("sent 12,345, lost 0, a 75.0 %, b 25.0 %"));
        assert_eq!(cut(&"é".repeat(100)).chars().count(), 79);
    }
}
