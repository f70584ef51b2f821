//! The schedule in simulated time: nobody is forgotten, nobody is asked in a crowd.

use evenkeel_core::health::Health;
use evenkeel_core::name::{Port, ZoneName};
use evenkeel_core::noun::{Balancing, HealthCheck, HealthTarget};
use evenkeel_core::routes::Phase;

use super::*;

fn at(ms: u64) -> Timestamp {
    Timestamp(1_000 + ms)
}

fn balancer(name: &str, targets: impl IntoIterator<Item = u32>, check: &str) -> Arc<BalancerRoutes> {
    let port = Port::new(80).unwrap();
    let target = |n: u32| Target {
        instance: InstanceId::new(format!("i-{n:08x}")).unwrap(),
        zone: ZoneName::new("a").unwrap(),
        address: std::net::Ipv4Addr::from(0x0a00_0000 + n).into(),
        port: None,
        weight: Target::WEIGHT,
        phase: if n.is_multiple_of(2) { Phase::Serving } else { Phase::ZoneDisabled },
    };
    Arc::new(BalancerRoutes {
        name: LoadBalancerName::new(name).unwrap(),
        cross_zone: false,
        idle_timeout: Duration::from_secs(60),
        timeouts: evenkeel_core::routes::Timeouts::default(),
        limits: evenkeel_core::routes::Limits::default(),
        desync: Default::default(),
        balancing: Balancing::default(),
        health_check: HealthCheck {
            target: HealthTarget::parse(check).unwrap(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            ..HealthCheck::default_for(port)
        },
        nodes: Vec::new(),
        listeners: Vec::new(),
        targets: targets.into_iter().map(target).collect(),
        challenges: Vec::new(),
        access_log: None,
        wakes: false,
    })
}

fn routes(balancers: &[&Arc<BalancerRoutes>]) -> Routes {
    Routes { generation: 1, balancers: balancers.iter().map(|b| (b.name.clone(), Arc::clone(b))).collect() }
}

/// Starts all that may be started; returns who was.
fn start_all(rounds: &mut Rounds<u32>, now: Timestamp) -> Vec<usize> {
    let mut started = Vec::new();
    while let Some(slot) = rounds.next() {
        rounds.started(slot, 0, now);
        started.push(slot);
    }
    started
}

#[test]
fn five_thousand_targets_are_seen_in_waves_and_then_spread_over_the_interval() {
    let mut rounds: Rounds<u32> = Rounds::default();
    let all: Vec<_> = (0..100).map(|b| balancer(&format!("b{b}"), b * 50..b * 50 + 50, "TCP:80")).collect();
    let published = rounds.publish(&routes(&all.iter().collect::<Vec<_>>()), at(0));
    assert_eq!(published.added.len(), 5_000);
    let mut starts: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    let mut running: Vec<(u64, usize)> = Vec::new();
    let mut crowd: BTreeMap<u64, usize> = BTreeMap::new();
    // Each check takes 3 ms; a turn a millisecond, 20 s long.
    for ms in 0..20_000 {
        let now = at(ms);
        let (done, rest) = running.into_iter().partition(|&(end, _)| end <= ms);
        running = rest;
        for (_, slot) in done {
            rounds.finished(slot, Ok(()), now);
        }
        assert_eq!(rounds.expire(now), Vec::<usize>::new());
        for slot in start_all(&mut rounds, now) {
            starts.entry(slot).or_default().push(ms);
            *crowd.entry(ms / 10).or_default() += 1;
            running.push((ms + 3, slot));
        }
        assert!(running.len() <= YOUNG_LIMIT, "{} checks at once", running.len());
    }
    assert_eq!(starts.len(), 5_000);
    for moments in starts.values() {
        assert!(moments[0] < 100, "the first check is at once: {}", moments[0]);
        let gaps: Vec<_> = moments.windows(2).map(|w| w[1] - w[0]).collect();
        assert!((2_500..=5_000).contains(&gaps[0]), "spread once: {}", gaps[0]);
        assert!(gaps[1..].iter().all(|&gap| gap == 5_000), "then steady: {gaps:?}");
    }
    let busiest = crowd.range(1_000..).map(|(_, &count)| count).max().unwrap();
    assert!(busiest < 60, "5,000 targets over 2.5 s are 20 in 10 ms; the busiest 10 ms had {busiest}");
}

#[test]
fn a_dead_network_does_not_keep_others_waiting() {
    let mut rounds: Rounds<u32> = Rounds::default();
    let dead = balancer("dead", 0..1_000, "TCP:80");
    let live = balancer("live", 2_000..2_001, "TCP:80");
    rounds.publish(&routes(&[&dead]), at(0));
    assert_eq!(start_all(&mut rounds, at(0)).len(), YOUNG_LIMIT);
    rounds.publish(&routes(&[&dead, &live]), at(1));
    let mut seen = None;
    for ms in (2..2_000).step_by(10) {
        rounds.expire(at(ms));
        for slot in start_all(&mut rounds, at(ms)) {
            if rounds.watch(slot).unwrap().key.0.as_str() == "live" {
                seen = Some(ms);
            }
        }
    }
    assert!(seen.is_some_and(|ms| ms < 1_100), "seen after {seen:?} ms, long before 1,000 timeouts");
}

#[test]
fn what_takes_too_long_is_handed_back_at_its_timeout() {
    let mut rounds: Rounds<u32> = Rounds::default();
    rounds.publish(&routes(&[&balancer("b", 0..1, "TCP:80")]), at(0));
    let slots = start_all(&mut rounds, at(0));
    assert_eq!(rounds.expire(at(1_999)), Vec::<usize>::new());
    assert_eq!(rounds.wake_at(), Some(at(2_000)));
    assert_eq!(rounds.expire(at(2_000)), slots);
    rounds.finished(slots[0], Err(Cause::Refused), at(2_000));
    assert!(rounds.call(slots[0]).is_none());
    assert!(rounds.wake_at().is_some(), "and asked again");
}

#[test]
fn publication_touches_only_what_changed() {
    let mut rounds: Rounds<u32> = Rounds::default();
    let one = balancer("one", 0..3, "TCP:80");
    let two = balancer("two", 0..3, "TCP:80");
    assert_eq!(rounds.publish(&routes(&[&one, &two]), at(0)).added.len(), 6);
    for slot in start_all(&mut rounds, at(0)) {
        rounds.finished(slot, Ok(()), at(1));
    }
    let again = rounds.publish(&routes(&[&one, &two]), at(2));
    assert!(again.added.is_empty() && again.moved.is_empty() && again.removed.is_empty());

    // 0 is gone, 3 is new; 1 and 2 keep their verdict, in the balancer that changed and in the one that did not.
    let changed = rounds.publish(&routes(&[&one, &balancer("two", 1..4, "TCP:80")]), at(3));
    let names = |keys: &[TargetKey]| keys.iter().map(|key| format!("{} {}", key.0, key.1)).collect::<Vec<_>>();
    assert_eq!(names(&changed.added), ["two i-00000003"]);
    assert_eq!(names(&changed.removed), ["two i-00000000"]);
    let healths = |rounds: &Rounds<u32>| {
        let count = |health| rounds.watches.iter().filter(|(_, w)| w.tracker.health() == health).count();
        (count(Health::InService), count(Health::Initial))
    };
    assert_eq!(healths(&rounds), (5, 1));

    // Another question to the same targets: verdicts stay, all are asked at once.
    let asked = rounds.publish(&routes(&[&one, &balancer("two", 1..4, "HTTP:81/x")]), at(200));
    assert!(asked.added.is_empty() && asked.moved.is_empty());
    assert_eq!(healths(&rounds), (5, 1));
    rounds.expire(at(200));
    assert_eq!(start_all(&mut rounds, at(200)).len(), 3);

    assert_eq!(rounds.publish(&Routes::default(), at(201)).removed.len(), 6);
    assert!(rounds.watches.is_empty() && rounds.timers.is_empty() && rounds.queue.is_empty());
    assert_eq!((rounds.young, rounds.running), (0, 0));
    assert_eq!(rounds.wake_at(), None);
}

#[test]
fn a_moved_target_is_asked_at_its_new_place_and_its_old_check_is_dropped() {
    let mut rounds: Rounds<u32> = Rounds::default();
    let before = balancer("b", 0..1, "TCP:80");
    rounds.publish(&routes(&[&before]), at(0));
    let slot = start_all(&mut rounds, at(0))[0];
    rounds.finished(slot, Ok(()), at(1));
    rounds.expire(at(5_001));
    assert_eq!(start_all(&mut rounds, at(5_001)), [slot]);
    let mut after = (*before).clone();
    after.targets[0].address = "10.9.9.9".parse().unwrap();
    let published = rounds.publish(&routes(&[&Arc::new(after)]), at(5_002));
    assert_eq!(published.moved.len(), 1);
    assert_eq!(published.moved[0].1.as_ref().map(|t| (t.to, t.why.clone())), Some((Health::Initial, Cause::Moved)));
    assert!(rounds.call(slot).is_none());
    rounds.expire(at(5_002));
    assert_eq!(start_all(&mut rounds, at(5_002)), [slot]);
    assert_eq!(rounds.watch(slot).unwrap().address.to_string(), "10.9.9.9:80");
}

#[test]
fn a_suspect_goes_before_those_who_wait() {
    let mut rounds: Rounds<u32> = Rounds::default();
    let small = balancer("small", 0..1, "TCP:80");
    rounds.publish(&routes(&[&small]), at(0));
    let slot = start_all(&mut rounds, at(0))[0];
    rounds.finished(slot, Ok(()), at(1));
    rounds.publish(&routes(&[&small, &balancer("zbig", 1..2_000, "TCP:80")]), at(500));
    let key = rounds.watch(slot).unwrap().key.clone();
    rounds.suspect(&key, at(500));
    rounds.suspect(&key, at(500));
    assert_eq!(rounds.next(), Some(slot));
    rounds.postponed(slot);
    assert_eq!(rounds.next(), Some(slot), "a shortage keeps its place");
    rounds.started(slot, 0, at(500));
    assert!(!rounds.queue.contains(&slot));
    rounds.suspect(&(LoadBalancerName::new("gone").unwrap(), key.1), at(501));
}
