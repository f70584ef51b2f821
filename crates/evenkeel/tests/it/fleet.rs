//! Many instances at once: how soon they run, what their agents cost, and that none is ever orphaned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel::drivers::{Driver, Exit, MemoryDriver, SeenState};
use evenkeel::keeper;
use evenkeel::keeper::store::memory::MemoryStore;
use evenkeel::loops::{Statuses, instances};
use evenkeel_core::change::{Change, NewInstances};
use evenkeel_core::name::InstanceId;
use evenkeel_core::noun::InstanceState;
use evenkeel_core::sightings::Sightings;
use evenkeel_core::world::{Limits, Settings, World};

use crate::crash::{Dice, frozen, image, plain_launch, settings};
use crate::rig::{Rig, processes_of};

/// How many are launched at once.
const MANY: i64 = 50;
/// How many are stopped, started and killed.
const FLEET: u64 = 500;

/// The most that an idle agent may have in memory, in KiB.
const AGENT_KIB: u64 = 4096;

/// A line of `/proc/PID/smaps_rollup`, in KiB.
fn rolled_up(pid: i32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn fifty_instances_run_within_ten_seconds_and_their_agents_are_small() {
    let mut rig = Rig::start_alone();
    let image = rig.image_with("small", &[], |_, manifest| {
        manifest.insert("command".into(), vec!["sleep", "1000"].into());
    });
    let began = Instant::now();
    let ids = rig.run(&image, "us-east-1a", MANY);
    let took = began.elapsed();
    let command = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let agents: Vec<i32> =
        processes_of(rig.data_dir()).into_iter().filter(|p| command(*p).contains("\0agent\0")).collect();
    assert_eq!(agents.len(), ids.len());
    let mean = |name: &str| agents.iter().map(|pid| rolled_up(*pid, name)).sum::<u64>() / agents.len() as u64;
    // Built plainly the program is several times as large, in code and in what is relocated of it.
    let most = if cfg!(debug_assertions) { 2 * AGENT_KIB } else { AGENT_KIB };
    rig.wait("agents to be idle, and small", Duration::from_secs(30), |_| (mean("Rss") < most).then_some(()));
    let (own, share, resident) = (mean("Private_Dirty"), mean("Pss"), mean("Rss"));
    println!(
        "{MANY} instances ran after {took:.2?}; an idle agent has {own} KiB of its own, {share} KiB with its share, {resident} KiB resident"
    );
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(share < AGENT_KIB, "an idle agent costs {share} KiB");
    rig.finish();
}

/// Runs the loop until every instance is what it should be; then what runs is what should run.
async fn settled(
    store: &MemoryStore,
    driver: &Arc<MemoryDriver>,
    round: u32,
    after: impl AsyncFnOnce(&keeper::KeeperHandle),
) -> Arc<World> {
    let limits = Limits { instances: 1000, ..Limits::default() };
    let settings = Settings { limits, instance_pool: "127.81.0.0/16".parse().unwrap(), ..settings() };
    let keeper = keeper::start(settings, store.clone(), frozen).unwrap();
    let (_sightings, seen) = tokio::sync::watch::channel(Arc::new(Sightings::default()));
    let crew = instances::Crew {
        keeper: keeper.clone(),
        driver: Arc::clone(driver) as Arc<dyn Driver>,
        image_path: Arc::new(|_| "/".into()),
        metadata: Arc::new(|_| Ok("http://127.0.0.1:1/metadata/x".into())),
        sightings: seen,
    };
    let work = tokio::spawn(instances::run(crew, Statuses::default()));
    after(&keeper).await;
    let is_settled = || {
        let world = keeper.world();
        let still =
            |state| matches!(state, InstanceState::Running | InstanceState::Terminated | InstanceState::Stopped);
        let mut running = BTreeMap::new();
        for seen in driver.seen() {
            if matches!(seen.state, SeenState::Running { .. } | SeenState::Starting) {
                running.insert(seen.instance, seen.boot);
            }
        }
        let wanted = world.instances().filter(|i| i.state == InstanceState::Running);
        let wanted: BTreeMap<InstanceId, u32> = wanted.map(|i| (i.id.clone(), i.boots)).collect();
        world.instances().all(|i| still(i.state)) && running == wanted
    };
    let until = Instant::now() + Duration::from_secs(60);
    while !is_settled() {
        assert!(Instant::now() < until, "round {round}: what runs is not what should run");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    work.abort();
    keeper.world()
}

#[test]
fn five_hundred_instances_stopped_started_and_killed_at_random_leave_no_orphan() {
    let mut dice = Dice(0x5EED);
    let store = MemoryStore::default();
    let driver = Arc::new(MemoryDriver::new(frozen()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let launch = Change::RunInstances(NewInstances {
            ids: (0..FLEET).map(|_| InstanceId::new(format!("i-{:017x}", dice.roll() >> 4)).unwrap()).collect(),
            min_count: u32::try_from(FLEET).unwrap(),
            ..plain_launch()
        });
        let mut world = settled(&store, &driver, 0, async |keeper| {
            keeper.submit("sim", image()).await.unwrap();
            keeper.submit("sim", launch).await.unwrap();
        })
        .await;
        let mut ended = BTreeSet::new();
        for round in 1..=12 {
            let ids: Vec<InstanceId> = world.instances().map(|i| i.id.clone()).collect();
            let mut some = |one_in: u64| ids.iter().filter(|_| dice.below(one_in) == 0).cloned().collect::<Vec<_>>();
            let (stop, start, reboot, end, die) = (some(4), some(3), some(8), some(60), some(6));
            ended.extend(end.iter().cloned());
            // Each round is another daemon's life.
            world = settled(&store, &driver, round, async |keeper| {
                for (n, id) in die.iter().enumerate() {
                    driver.die(id, if n % 2 == 0 { Exit::Signal(9) } else { Exit::Status(0) });
                }
                let all = [
                    stop.into_iter().map(|id| Change::StopInstances { instances: vec![id] }).collect::<Vec<_>>(),
                    start.into_iter().map(|id| Change::StartInstances { instances: vec![id] }).collect(),
                    reboot.into_iter().map(|id| Change::RebootInstances { instances: vec![id] }).collect(),
                    end.into_iter().map(|id| Change::TerminateInstances { instances: vec![id] }).collect(),
                ];
                for change in all.into_iter().flatten() {
                    // In a state in which it may not be wished it is refused, which is right.
                    drop(keeper.submit("sim", change).await);
                }
            })
            .await;
        }
        assert!(ended.len() > 50, "the dice have ended {}", ended.len());
        let terminated = world.instances().filter(|i| i.state == InstanceState::Terminated).count();
        assert_eq!(terminated, ended.len());
        // All gone: what is left is what ended, and nothing runs.
        let everyone: Vec<InstanceId> = world.instances().map(|i| i.id.clone()).collect();
        let end = Change::TerminateInstances { instances: everyone };
        settled(&store, &driver, 13, async |keeper| drop(keeper.submit("sim", end).await.unwrap())).await;
        assert!(driver.seen().iter().all(|seen| matches!(seen.state, SeenState::Ended { .. })));
    });
}
