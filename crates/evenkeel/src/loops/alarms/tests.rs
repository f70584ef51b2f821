//! The loop against a Keeper in memory: turns, transitions, actions, and crashes between any two steps.

use std::sync::atomic::{AtomicUsize, Ordering};

use evenkeel_core::alarm::Datapoint;
use evenkeel_core::change::NewAlarm;
use evenkeel_core::name::{SubscriptionArn, TopicArn};
use evenkeel_core::noun::alarm::{Actions, Comparison, MetricName, MetricStat};
use evenkeel_core::noun::{AlarmSettings, AlarmState, DeliveryProtocol, Subscription, Topic};
use evenkeel_core::sightings::Sightings;
use evenkeel_core::world::{Limits, Settings};
use std::time::Instant;
use tokio::sync::watch;

use super::*;
use crate::keeper;
use crate::keeper::store::memory::{Fault, MemoryStore};
use crate::notices::Ended;

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:ops";

fn settings() -> Settings {
    Settings {
        region: "us-east-1".into(),
        zones: vec!["us-east-1a".parse().unwrap()],
        capacity: BTreeMap::new(),
        account: "000000000000".into(),
        dns_domain: "elb.evenkeel.test".into(),
        node_pool: "127.80.0.0/24".parse().unwrap(),
        instance_pool: "127.81.0.0/24".parse().unwrap(),
        instance_pools: BTreeMap::new(),
        lowest_port: 0,
        port_shift: 0,
        limits: Limits::default(),
    }
}

struct Bench {
    dir: tempfile::TempDir,
    store: MemoryStore,
    crew: Arc<Crew>,
    looked: Arc<Mutex<BTreeMap<AlarmName, Looked>>>,
    /// What every metric is in every period.
    value: Arc<Mutex<Option<f64>>>,
    reads: Arc<AtomicUsize>,
    _sightings: watch::Sender<Arc<Sightings>>,
}

impl Bench {
    fn new() -> Self {
        let (dir, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
        Self::over(dir, store, Arc::new(Mutex::new(None)))
    }

    fn over(dir: tempfile::TempDir, store: MemoryStore, value: Arc<Mutex<Option<f64>>>) -> Self {
        let keeper = keeper::start(settings(), store.clone(), now).unwrap();
        let (sightings, seen) = watch::channel(Arc::new(Sightings::default()));
        let reads = Arc::new(AtomicUsize::new(0));
        let (told, counted) = (Arc::clone(&value), Arc::clone(&reads));
        let values = move |_: &Watched, window: &Window| {
            counted.fetch_add(1, Ordering::SeqCst);
            let value = *told.lock().unwrap();
            let point = |bucket| value.map(|value| Datapoint { at: window.begins(bucket), value, samples: Some(1.0) });
            Ok((0..window.buckets).map(point).collect())
        };
        let crew = Crew {
            keeper,
            sightings: seen,
            values: Arc::new(values),
            outbox: Arc::new(Outbox::open(dir.path()).unwrap()),
            place: "http://127.0.0.1:1".into(),
        };
        let looked = Arc::default();
        Self { dir, store, crew: Arc::new(crew), looked, value, reads, _sightings: sightings }
    }

    /// The same on the same disk, as after a kill.
    fn killed(self) -> Self {
        self.store.revive();
        let Self { dir, store, crew, value, .. } = self;
        drop(crew);
        Self::over(dir, store, value)
    }

    async fn change(&self, change: Change) {
        self.crew.keeper.submit("test", change).await.unwrap();
    }

    async fn alarm(&self, name: &str, period: u32, action: &str) {
        let metric = MetricName { namespace: "App".into(), name: "Load".into(), dimensions: vec![] };
        let new = NewAlarm {
            name: AlarmName::new(name).unwrap(),
            settings: AlarmSettings {
                description: None,
                actions: Actions { ok: vec![action.to_owned()], alarm: vec![action.to_owned()], ..Actions::default() },
                watched: Watched::Metric(MetricStat { metric, period, statistic: "Average".into(), unit: None }),
                evaluation_periods: 1,
                datapoints_to_alarm: None,
                threshold: 1.0,
                comparison: Comparison::GreaterThanThreshold,
                missing: None,
                low_samples: None,
            },
            actions_enabled: true,
            tags: BTreeMap::new(),
        };
        self.change(Change::Alarm(AlarmChange::Put(Box::new(new)))).await;
    }

    async fn subscribed(&self) {
        let topic = TopicArn::new(TOPIC).unwrap();
        let made = Topic { arn: topic.clone(), display_name: String::new(), created: now(), tags: BTreeMap::new() };
        self.change(Change::CreateTopic(made)).await;
        self.change(Change::Subscribe(Subscription {
            arn: SubscriptionArn::new(format!("{TOPIC}:x")).unwrap(),
            topic: topic.clone(),
            protocol: DeliveryProtocol::Http,
            endpoint: "http://h.test".into(),
            asked: now(),
            confirmed: None,
            confirmed_by_caller: false,
            token_digest: "d".into(),
            guarded: false,
            raw: false,
        }))
        .await;
        let confirm = Change::ConfirmSubscription { topic, token_digest: "d".into(), guarded: false, by_caller: false };
        self.change(confirm).await;
    }

    fn set(&self, value: Option<f64>) {
        *self.value.lock().unwrap() = value;
        // Its turn has come.
        self.looked.lock().unwrap().clear();
    }

    async fn run(&self) -> Outcome {
        once(&self.crew, &self.looked).await
    }

    fn state(&self, name: &str) -> AlarmState {
        self.crew.keeper.world().alarm(&AlarmName::new(name).unwrap()).unwrap().state
    }

    fn told(&self, name: &str) -> Vec<String> {
        let world = self.crew.keeper.world();
        world.alarm_history(&AlarmName::new(name).unwrap()).map(|item| item.summary.clone()).collect()
    }

    /// Takes all that waits in the outbox: the states that it tells of.
    fn taken(&self) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let jobs = self.crew.outbox.take(Instant::now(), 100);
            if jobs.is_empty() {
                return told;
            }
            for job in jobs {
                let text = self.crew.outbox.read(&job).unwrap().text;
                let text: serde_json::Value = serde_json::from_str(&text).unwrap();
                told.push(text["NewStateValue"].as_str().unwrap().to_owned());
                self.crew.outbox.settle(&job, Ended::Delivered, Instant::now(), now().0);
            }
        }
    }
}

#[tokio::test]
async fn values_become_states_and_states_become_messages() {
    let bench = Bench::new();
    bench.subscribed().await;
    bench.alarm("load", 60, TOPIC).await;
    bench.run().await;
    assert_eq!(bench.state("load"), AlarmState::InsufficientData);
    bench.set(Some(0.5));
    bench.run().await;
    assert_eq!((bench.state("load"), bench.taken()), (AlarmState::Ok, vec!["OK".to_owned()]));
    bench.set(Some(2.0));
    bench.run().await;
    bench.set(Some(3.0));
    bench.run().await;
    assert_eq!((bench.state("load"), bench.taken()), (AlarmState::Alarm, vec!["ALARM".to_owned()]));
    let done = format!("Successfully executed action {TOPIC}");
    assert_eq!(bench.told("load").into_iter().filter(|told| *told == done).count(), 2);
    assert_eq!(std::fs::read_dir(bench.dir.path().join("notices")).unwrap().count(), 0, "nothing is kept of them");
}

#[tokio::test]
async fn an_alarm_is_judged_when_its_turn_comes_or_it_is_put_anew() {
    let bench = Bench::new();
    bench.alarm("load", 3600, TOPIC).await;
    // Whatever wakes it within a turn.
    let turn = || window::turn(now(), 3600);
    loop {
        let begun = turn();
        bench.looked.lock().unwrap().clear();
        let before = bench.reads.load(Ordering::SeqCst);
        bench.run().await;
        bench.run().await;
        bench.run().await;
        if turn() == begun {
            assert_eq!(bench.reads.load(Ordering::SeqCst) - before, 1);
            break;
        }
    }
    let before = bench.reads.load(Ordering::SeqCst);
    bench.alarm("load", 60, TOPIC).await;
    let outcome = bench.run().await;
    assert!(bench.reads.load(Ordering::SeqCst) > before);
    assert!(outcome.again.is_some_and(|again| again <= Duration::from_secs(10)), "{outcome:?}");
    bench.alarm("fast", 10, TOPIC).await;
    let outcome = bench.run().await;
    assert!(outcome.again.is_some_and(|again| again <= Duration::from_secs(1)), "{outcome:?}");
}

#[tokio::test]
async fn what_cannot_be_read_leaves_the_state_and_is_said() {
    let mut bench = Bench::new();
    bench.alarm("load", 60, TOPIC).await;
    let crew = Arc::get_mut(&mut bench.crew).unwrap();
    crew.values = Arc::new(|_, _| Err("expression `x`: no such id".into()));
    let outcome = bench.run().await;
    assert_eq!(outcome.notes, ["load: expression `x`: no such id"]);
    assert_eq!(bench.state("load"), AlarmState::InsufficientData);
}

#[tokio::test]
async fn a_topic_that_is_gone_is_said_in_the_history() {
    let bench = Bench::new();
    bench.alarm("load", 60, TOPIC).await;
    bench.set(Some(2.0));
    bench.run().await;
    assert_eq!(bench.told("load").last().unwrap(), &format!("Failed to execute action {TOPIC}"));
    assert_eq!(bench.crew.keeper.world().pending_actions().count(), 0);
}

#[tokio::test]
async fn a_daemon_that_is_killed_anywhere_tells_of_each_transition_once() {
    // The commits of one transition: the state, then what came of its action.
    for (commit, fault) in (0..3).flat_map(|n| [(n, Fault::BeforeCommit), (n, Fault::AfterCommit)]) {
        let mut bench = Bench::new();
        bench.subscribed().await;
        bench.alarm("load", 60, TOPIC).await;
        bench.set(Some(2.0));
        if commit == 0 {
            bench.store.arm(fault);
        }
        bench.run().await;
        if commit == 1 {
            // The state is there; its message is not said to be done.
            bench.set(Some(0.5));
            let (changes, _) = {
                let world = bench.crew.keeper.world();
                look(&world, &bench.crew.values, &mut bench.looked.lock().unwrap(), now())
            };
            submit(&bench.crew, changes.into_iter().map(Change::Alarm).collect()).await.unwrap();
            bench.store.arm(fault);
            drop(act(&bench.crew).await);
        }
        let mut told = if commit == 2 { bench.taken() } else { Vec::new() };
        bench = bench.killed();
        bench.set(Some(if commit == 1 { 0.5 } else { 2.0 }));
        bench.run().await;
        bench.run().await;
        told.extend(bench.taken());
        let wanted: &[&str] = if commit == 1 { &["ALARM", "OK"] } else { &["ALARM"] };
        assert_eq!(told, wanted, "killed at commit {commit}, {fault:?}");
        let moved = bench.told("load").into_iter().filter(|told| told.starts_with("Alarm updated")).count();
        assert_eq!(moved, wanted.len(), "killed at commit {commit}, {fault:?}");
    }
}

#[tokio::test]
async fn a_message_that_was_delivered_before_the_kill_is_not_sent_again() {
    let bench = Bench::new();
    bench.subscribed().await;
    bench.alarm("load", 60, TOPIC).await;
    bench.set(Some(2.0));
    let (changes, _) = {
        let world = bench.crew.keeper.world();
        look(&world, &bench.crew.values, &mut bench.looked.lock().unwrap(), now())
    };
    submit(&bench.crew, changes.into_iter().map(Change::Alarm).collect()).await.unwrap();
    // In the outbox and delivered, and then the daemon dies before it can say so.
    bench.store.arm(Fault::BeforeCommit);
    assert!(act(&bench.crew).await.is_err());
    assert_eq!(bench.taken(), ["ALARM"]);
    let bench = bench.killed();
    let world = bench.crew.keeper.world();
    assert_eq!(world.pending_actions().count(), 1);
    bench.set(Some(2.0));
    bench.run().await;
    assert_eq!(bench.taken(), Vec::<String>::new());
    assert_eq!(bench.crew.keeper.world().pending_actions().count(), 0);
}
