//! The loop that keeps the road driving by the newest Routes, and brings home what it sees.
//!
//! Owns the office's end of the link and the road's process: starts it when there is none, takes on the one that an
//! earlier daemon left. Must never stop a road: that is `evenkeel down`'s.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use evenkeel_core::name::LoadBalancerName;
use evenkeel_core::plan::zero::Loads;
use evenkeel_core::routes::{Routes, compile, follow};
use evenkeel_core::sightings::{RoadSeen, Sightings};
use evenkeel_core::world::World;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::watch;

use super::Statuses;
use crate::keeper::KeeperHandle;
use crate::link::road::Place;
use crate::link::{Count, FromRoad, NodeCount, Report, RoadCount, RoadOptions, ToRoad, VERSION, difference, frame};

/// How long a road that was just started may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// From the end of one road, or of one connection to it, to the next try: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// How long a road that has just taken over may take to answer.
const MOVING: Duration = Duration::from_secs(2);
/// Counts that are older say nothing of now.
const FRESH: Duration = Duration::from_secs(5);
/// A connection that lasted so long was a good one.
const LONG_ENOUGH: Duration = Duration::from_secs(5);

/// What the loop works with.
pub struct Crew {
    /// Intent.
    pub keeper: KeeperHandle,
    /// The data directory, where the road's socket is.
    pub data_dir: PathBuf,
    /// This program, which is also the road's.
    pub program: PathBuf,
    /// What a road is started with; one that runs keeps its own.
    pub options: RoadOptions,
    /// Where sightings go.
    pub sightings: watch::Sender<Arc<Sightings>>,
    /// Where counts go.
    pub counts: Counts,
}

/// What the road last counted.
#[derive(Clone, Default)]
pub struct Counts(Arc<Mutex<Counted>>);

#[derive(Default)]
struct Counted {
    targets: Vec<Count>,
    nodes: Vec<NodeCount>,
    road: RoadCount,
    /// When they were heard; `None` before any were.
    heard: Option<Instant>,
}

impl Counts {
    /// The last counts, by balancer and instance.
    #[must_use]
    pub fn last(&self) -> Vec<Count> {
        self.held().targets.clone()
    }

    /// The last counts by balancer and zone, and of the road itself.
    #[must_use]
    pub fn nodes(&self) -> (Vec<NodeCount>, RoadCount) {
        let held = self.held();
        (held.nodes.clone(), held.road)
    }

    /// Whether a road has told its counts.
    #[must_use]
    pub fn are_heard(&self) -> bool {
        self.held().heard.is_some()
    }

    /// What each balancer has had to do so far, and has now; `None` when the road has not told of late.
    #[must_use]
    pub fn loads(&self) -> Option<Loads> {
        let held = self.held();
        held.heard.filter(|at| at.elapsed() < FRESH)?;
        let mut loads = Loads::new();
        let mut of = |balancer: &str, requests: u64, in_hand: u64| {
            if let Ok(name) = LoadBalancerName::new(balancer) {
                let load = loads.entry(name).or_default();
                (load.requests, load.in_hand) = (load.requests + requests, load.in_hand + in_hand);
            }
        };
        held.nodes.iter().for_each(|node| of(&node.balancer, node.requests, node.surge_queue));
        held.targets.iter().for_each(|target| of(&target.balancer, 0, target.in_flight.into()));
        Some(loads)
    }

    fn held(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes them out of a report that has them.
    fn take(&self, report: &mut Report) {
        if let Some(road) = report.road.take() {
            let (targets, nodes) = (std::mem::take(&mut report.counts), std::mem::take(&mut report.nodes));
            *self.held() = Counted { targets, nodes, road, heard: Some(Instant::now()) };
        }
    }
}

/// Runs the loop; never returns.
pub async fn run(crew: Crew, statuses: Statuses) {
    let mut pause = FIRST_PAUSE;
    let (mut asked, mut moving) = (None, None);
    loop {
        let began = Instant::now();
        let error = match office_hours(&crew, &statuses, &mut asked).await {
            Ok(End::Office) => return,
            // What it last saw stays true until the next one reports: nothing changed since it was asked to give way.
            Ok(End::Moved) => {
                moving = Some(Instant::now() + MOVING);
                continue;
            }
            Err(_) if moving.is_some_and(|until| Instant::now() < until) => {
                tokio::time::sleep(FIRST_PAUSE).await;
                continue;
            }
            Err(error) => error,
        };
        moving = None;
        // What is not seen now is unknown, not as it was.
        crew.sightings.send_replace(Arc::new(Sightings::default()));
        statuses.ran("road", Err(format!("{error:#}")));
        // A road that died is wanted back at once; one that dies again and again must not cost a core.
        pause = if began.elapsed() > LONG_ENOUGH { FIRST_PAUSE } else { (pause * 2).min(LAST_PAUSE) };
        tokio::time::sleep(pause).await;
    }
}

/// Why a connection ended in good order.
enum End {
    /// There is nothing more to be sent.
    Office,
    /// Another road has taken over.
    Moved,
}

/// A road of another build, or with other settings, gives way to a new one, which is started once for each such road; this
/// waits for the outcome in a task of its own.
fn replace(crew: &Crew, asked: &mut Option<u32>, pid: u32) -> Option<tokio::sync::oneshot::Receiver<String>> {
    if asked.replace(pid) == Some(pid) {
        return None;
    }
    let (program, data_dir, options) = (crew.program.clone(), crew.data_dir.clone(), crew.options.arguments());
    let (tell, told) = tokio::sync::oneshot::channel();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = crate::link::start::replace(&program, &data_dir, &options) {
            let error = format!("{error:#}");
            eprintln!("road: {error}");
            let _ = tell.send(error);
        }
    });
    Some(told)
}

/// One connection, from the road's hello to its end. `asked` is the road that was last asked to give way.
async fn office_hours(crew: &Crew, statuses: &Statuses, asked: &mut Option<u32>) -> anyhow::Result<End> {
    let stream = reach(crew).await?;
    let (mut from_road, mut to_road) = stream.into_split();
    let hello = tokio::time::timeout(PATIENCE, frame::read_async::<FromRoad>(&mut from_road)).await;
    let mut replacing = None;
    match hello.context("failed to hear from the road: it is silent")?? {
        FromRoad::Hello { version, pid, build, options } => {
            let own = tokio::task::spawn_blocking(crate::link::build::id).await?;
            if build != own || options != crew.options.arguments() {
                replacing = replace(crew, asked, pid);
            }
            if version != VERSION {
                if let Some(outcome) = replacing {
                    let _ = outcome.await;
                }
                bail!(
                    "failed to speak with the road (pid {pid}): it speaks version {version}, this daemon {VERSION}; run `evenkeel down` and `evenkeel up`"
                )
            }
        }
        FromRoad::Moved => return Ok(End::Moved),
        FromRoad::Report(_) => bail!("failed to speak with the road: it reports before it greets"),
    }
    let mut old = Vec::new();
    // Reading has a task of its own, because a message half read must not be dropped when Routes change.
    let mut reports = read_on(from_road);
    let mut generations = crew.keeper.generations();
    let mut sent: Option<(Arc<World>, Routes)> = None;
    let mut seen = RoadSeen::default();
    loop {
        generations.mark_unchanged();
        let world = crew.keeper.world();
        if sent.as_ref().is_none_or(|(_, routes)| routes.generation != world.generation()) {
            let (before, routes) = match sent {
                Some((before, held)) => {
                    let next = follow(&world, &before, &held);
                    (Some(held), next)
                }
                None => (None, compile(&world)),
            };
            frame::write_async(&mut to_road, &difference(before.as_ref(), &routes)).await?;
            sent = Some((world, routes));
        }
        tokio::select! {
            changed = generations.changed() => if changed.is_err() { return Ok(End::Office) },
            why = outcome(&mut replacing) => {
                replacing = None;
                old.extend(why.map(|why| format!("an older road goes on: {why}")));
            }
            report = reports.recv() => {
                let mut report = match report {
                    Some(FromRoad::Report(report)) => report,
                    Some(FromRoad::Moved) => return Ok(End::Moved),
                    Some(FromRoad::Hello { .. }) | None => bail!("failed to hear from the road: it hung up"),
                };
                crew.counts.take(&mut report);
                take_in(&mut seen, report);
                statuses.ran("road", Ok(seen.bind_faults.iter().chain(&old).cloned().collect()));
                publish(&crew.sightings, &seen);
            }
        }
    }
}

/// What became of the road that was started to replace another; waits for ever where none was.
async fn outcome(replacing: &mut Option<tokio::sync::oneshot::Receiver<String>>) -> Option<String> {
    match replacing {
        Some(outcome) => outcome.await.ok(),
        None => std::future::pending().await,
    }
}

/// Messages as they come; the channel closes with the connection.
fn read_on(mut from_road: OwnedReadHalf) -> tokio::sync::mpsc::Receiver<FromRoad> {
    let (tell, told) = tokio::sync::mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok(message) = frame::read_async::<FromRoad>(&mut from_road).await {
            if tell.send(message).await.is_err() {
                return;
            }
        }
    });
    told
}

fn take_in(seen: &mut RoadSeen, report: Report) {
    seen.applied = report.applied;
    seen.bind_faults = report.bind_faults;
    seen.called = report.called.into_iter().collect();
    seen.passed_over = report.passed_over.into_iter().map(|(lb, instance, how)| ((lb, instance), how)).collect();
    if !report.health.is_empty() {
        let held = Arc::make_mut(&mut seen.health);
        for (balancer, instance, health) in report.health {
            match health {
                Some(health) => drop(held.insert((balancer, instance), health)),
                None => drop(held.remove(&(balancer, instance))),
            }
        }
    }
    let departing = report.departing.into_iter().map(|(lb, instance, count)| ((lb, instance), count));
    seen.outstanding = departing.collect::<BTreeMap<_, _>>();
}

/// Publishes only news: loops wake on every publication.
fn publish(to: &watch::Sender<Arc<Sightings>>, seen: &RoadSeen) {
    to.send_if_modified(|held| {
        if held.road.as_ref() == Some(seen) {
            return false;
        }
        *held = Arc::new(Sightings { road: Some(seen.clone()) });
        true
    });
}

/// Connects to the road; starts one if none runs.
async fn reach(crew: &Crew) -> anyhow::Result<UnixStream> {
    let place = Place::new(&crew.data_dir);
    let began = Instant::now();
    let mut started = false;
    loop {
        match place.connect() {
            Ok(stream) => {
                stream.set_nonblocking(true)?;
                return Ok(UnixStream::from_std(stream)?);
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
            Err(error) => return Err(error).context("failed to connect to the road"),
        }
        if !started && !crate::lock::is_held(&place.lock())? {
            crate::link::start::start(&crew.program, &crew.data_dir, &crew.options)?;
            started = true;
        }
        if began.elapsed() > PATIENCE {
            bail!("failed to reach the road: it does not answer; see `road.log` in the data directory");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Tells the road of a data directory to drain and end. False when none runs there.
///
/// # Errors
/// A road that cannot be told.
pub fn leave(data_dir: &std::path::Path, drain: Duration) -> io::Result<bool> {
    let place = Place::new(data_dir);
    if !crate::lock::is_held(&place.lock())? {
        return Ok(false);
    }
    let mut stream = place.connect()?;
    let drain_ms = u64::try_from(drain.as_millis()).unwrap_or(u64::MAX);
    frame::write(&mut stream, &ToRoad::Leave { drain_ms })?;
    Ok(true)
}
