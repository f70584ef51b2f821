//! The order of the line, and what becomes of those who leave it.

use std::net::Ipv4Addr;

use evenkeel_core::health::Health;
use evenkeel_core::name::{InstanceId, LoadBalancerName};
use rustix::event::{EventfdFlags, eventfd};

use super::*;
use crate::target::Board;

const NODE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Rig {
    board: Board,
    hatches: Vec<Arc<Hatch>>,
    surge: Arc<Surge>,
    states: Vec<Arc<TargetState>>,
}

/// Two workers, and instances in service that take two requests each.
fn rig(instances: u32) -> Rig {
    let hatch = || Arc::new(Hatch::new(eventfd(0, EventfdFlags::NONBLOCK).unwrap()));
    let hatches = vec![hatch(), hatch()];
    let board = Board::new(hatches.clone(), None);
    let name = LoadBalancerName::new("test").unwrap();
    let surge = board.surge(&name);
    surge.set_limit(2);
    let state = |n: u32| {
        let state = board.state(&(name.clone(), InstanceId::new(format!("i-{n:08x}")).unwrap()));
        state.set_open(true);
        state.set_health(Health::InService);
        state
    };
    Rig { states: (0..instances).map(state).collect(), board, hatches, surge }
}

impl Rig {
    fn fill(&self) -> Vec<Engaged> {
        let all = self.states.iter().flat_map(|state| [state, state]);
        all.map(|state| Engaged::within(state, 2).unwrap()).collect()
    }

    fn join(&self, worker: usize, key: u64, reach: &[usize]) -> Option<u64> {
        let reach = reach.iter().map(|at| Arc::clone(&self.states[*at])).collect();
        self.surge.join(Wish { worker, key, node: NODE, most: 3, reach, stays: false })
    }

    fn called(&self, worker: usize) -> Vec<(u64, bool)> {
        self.hatches[worker].take_called().into_iter().map(|called| (called.key, called.place.is_some())).collect()
    }
}

#[test]
fn places_are_handed_over_in_order_whatever_the_worker() {
    let rig = rig(1);
    let mut held = rig.fill();
    assert!(Engaged::within(&rig.states[0], 2).is_none());
    for (worker, key) in [(0, 10), (1, 11), (0, 12)] {
        assert!(rig.join(worker, key, &[0]).is_some());
    }
    assert_eq!(rig.join(1, 13, &[0]), None, "three may wait");
    assert_eq!(rig.surge.length(&NODE), Length { now: 3, most: 3 });
    held.pop();
    let first = rig.hatches[0].take_called();
    assert_eq!((first.len(), first[0].key, rig.called(1).len()), (1, 10, 0));
    // The place is taken already: nobody else gets it, and when its owner lets go, the next one does.
    assert!(Engaged::within(&rig.states[0], 2).is_none());
    drop(first);
    let second = rig.hatches[1].take_called();
    assert_eq!(second[0].key, 11);
    // Who was called but has left since gives its place on, by dropping it.
    drop(second);
    assert_eq!(rig.called(0), [(12, true)]);
    assert_eq!(rig.surge.length(&NODE), Length { now: 0, most: 3 });
    drop(held);
    assert_eq!(rig.states[0].outstanding(), 0);
}

#[test]
fn each_gets_only_what_it_reaches_and_who_leaves_is_not_called() {
    let rig = rig(2);
    let mut held = rig.fill();
    let left = rig.join(0, 1, &[0, 1]).unwrap();
    rig.join(0, 2, &[0]).unwrap();
    rig.join(1, 3, &[1]).unwrap();
    rig.surge.leave(left);
    rig.surge.leave(left);
    // The last of `held` is on the second instance.
    held.pop();
    assert_eq!((rig.called(0), rig.called(1)), (vec![], vec![(3, true)]));
    held.remove(0);
    assert_eq!(rig.called(0), [(2, true)]);
    assert!(!rig.surge.has_line());
}

#[test]
fn who_joins_where_there_is_room_is_called_at_once() {
    let rig = rig(2);
    let held = rig.fill();
    rig.join(0, 1, &[0]).unwrap();
    drop(held);
    // It was called when its instance was free; a place on the other one is for whoever comes.
    assert_eq!(rig.called(0), [(1, true)]);
    rig.join(1, 2, &[1]).unwrap();
    assert_eq!(rig.called(1), [(2, true)]);
}

#[test]
fn with_nobody_in_service_nobody_waits() {
    let rig = rig(2);
    let held = rig.fill();
    rig.join(0, 1, &[0, 1]).unwrap();
    let second = rig.join(1, 2, &[1]).unwrap();
    rig.states[1].set_health(Health::Failing);
    assert_eq!((rig.called(0), rig.called(1)), (vec![], vec![(2, false)]));
    rig.surge.leave(second);
    rig.states[0].set_open(false);
    rig.surge.look_again();
    assert_eq!(rig.called(0), [(1, false)]);
    // One that comes back serves who waits for it.
    drop(held);
    let held = rig.states[1..]
        .iter()
        .flat_map(|state| [Engaged::within(state, 0), Engaged::within(state, 0)])
        .collect::<Vec<_>>();
    rig.states[0].set_open(true);
    rig.states[0].set_health(Health::Recovering);
    rig.states[1].set_health(Health::InService);
    rig.join(0, 3, &[0, 1]).unwrap();
    assert_eq!(rig.called(0), []);
    rig.states[0].set_health(Health::InService);
    assert_eq!(rig.called(0), [(3, true)]);
    drop(held);
    // A balancer that is gone keeps nobody waiting.
    let held = rig.fill();
    rig.join(0, 4, &[0]).unwrap();
    let name = LoadBalancerName::new("test").unwrap();
    rig.board.all().iter().for_each(|(key, _)| rig.board.forget(key));
    rig.board.forget_balancer(&name);
    assert_eq!(rig.called(0), [(4, false)]);
    drop(held);
}

#[test]
fn a_suspect_serves_who_waits_only_where_nobody_else_does() {
    let rig = rig(2);
    let mut held = rig.fill();
    rig.join(0, 1, &[0, 1]).unwrap();
    rig.states[1].suspect();
    held.pop();
    assert_eq!(rig.called(0), []);
    rig.states[1].trust();
    assert_eq!(rig.called(0), [(1, true)]);
    rig.states.iter().for_each(|state| assert!(state.suspect()));
    rig.join(0, 2, &[0, 1]).unwrap();
    held.pop();
    assert_eq!(rig.called(0), [(2, true)]);
}

#[test]
fn who_waits_for_a_boot_stays_and_is_let_go_four_at_a_time() {
    let rig = rig(1);
    rig.surge.set_limit(0);
    rig.surge.set_wakes(true);
    let waits = |key| {
        let reach = rig.states.iter().cloned().collect();
        rig.surge.join(Wish { worker: 0, key, node: NODE, most: 100, reach, stays: true }).unwrap();
    };
    // Who has a place keeps it until the end.
    let mut held: Vec<Called> = Vec::new();
    let check = |held: &mut Vec<Called>, keys: &[u64]| {
        let called = rig.hatches[0].take_called();
        assert_eq!(called.iter().map(|called| called.key).collect::<Vec<_>>(), keys);
        held.extend(called);
    };
    rig.states[0].set_health(Health::Failing);
    assert!(!rig.surge.calls());
    (0..10).for_each(waits);
    assert!(rig.surge.calls());
    check(&mut held, &[]);
    rig.states[0].set_health(Health::InService);
    assert!(!rig.surge.calls());
    check(&mut held, &[0, 1, 2, 3]);
    // One has its connection, one goes before it has: two more. Whoever has one holds nobody up.
    held[0].place.as_mut().unwrap().opened();
    held[0].place.as_mut().unwrap().opened();
    drop(held.remove(1));
    check(&mut held, &[4, 5]);
    // Nobody is given to one that refuses connections, until it is trusted again.
    rig.states[0].suspect();
    held.clear();
    check(&mut held, &[]);
    rig.states[0].trust();
    check(&mut held, &[6, 7, 8, 9]);
    // Where nobody comes any more, nobody stays.
    rig.states[0].set_health(Health::Failing);
    waits(10);
    rig.surge.look_again();
    check(&mut held, &[]);
    rig.surge.set_wakes(false);
    rig.surge.look_again();
    check(&mut held, &[10]);
    assert!(held[4].place.is_none());
}

#[test]
fn a_peak_lasts_for_a_minute_or_two() {
    let mut peak = Peak::default();
    peak.at(5)[0] = 9;
    assert_eq!(*peak.at(5), [9, 0]);
    assert_eq!(*peak.at(6), [0, 9]);
    peak.at(6)[0] = 4;
    assert_eq!(*peak.at(7), [0, 4]);
    assert_eq!(*peak.at(9), [0, 0]);
}

/// Many threads take, hold and let go; nobody is forgotten, and no instance ever holds more than it may.
#[test]
fn nobody_is_forgotten_between_threads() {
    use std::sync::atomic::AtomicU64;
    let rig = rig(2);
    let served = AtomicU64::new(0);
    let rounds: u64 = 2000;
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (rig, served) = (&rig, &served);
            scope.spawn(move || {
                let mut own = Vec::new();
                let (mut begun, mut done) = (0, 0);
                let until = Instant::now() + std::time::Duration::from_secs(20);
                while done < rounds {
                    assert!(Instant::now() < until, "{done} of {rounds}");
                    if begun < rounds && begun - done < 3 {
                        begun += 1;
                        // As a worker does: straight where nobody waits and there is room, otherwise in line.
                        let straight = (!rig.surge.has_line())
                            .then(|| rig.states.iter().find_map(|state| Engaged::within(state, 2)))
                            .flatten();
                        match straight {
                            Some(place) => own.push(place),
                            None => assert!(
                                rig.surge
                                    .join(Wish {
                                        worker,
                                        key: begun,
                                        node: NODE,
                                        most: 100,
                                        reach: rig.states.iter().cloned().collect(),
                                        stays: false,
                                    })
                                    .is_some()
                            ),
                        }
                    }
                    own.extend(rig.hatches[worker].take_called().into_iter().filter_map(|called| called.place));
                    assert!(rig.states.iter().all(|state| state.outstanding() <= 2));
                    if let Some(place) = own.pop() {
                        drop(place);
                        done += 1;
                        served.fetch_add(1, Ordering::Relaxed);
                    } else {
                        std::thread::yield_now();
                    }
                }
            });
        }
    });
    assert_eq!(served.load(Ordering::Relaxed), rounds * 2);
    assert!(rig.states.iter().all(|state| state.outstanding() == 0) && !rig.surge.has_line());
}

#[test]
fn workers_are_told_who_comes_in_service_and_goes_where_they_want_to_know() {
    let rig = rig(1);
    let told = || rig.hatches.iter().map(|hatch| hatch.was_stirred()).collect::<Vec<_>>();
    let check = |act: &dyn Fn(&Arc<TargetState>), is_told: bool| {
        act(&rig.states[0]);
        assert_eq!((told(), told()), (vec![is_told; 2], vec![false; 2]));
    };
    check(&|state| state.set_health(Health::Failing), false);
    rig.surge.set_stirs(true);
    check(&|state| state.set_health(Health::InService), true);
    // The same verdict again is no news, nor is one bad state after another.
    check(&|state| state.set_health(Health::InService), false);
    check(&|state| state.set_health(Health::Failing), true);
    check(&|state| state.set_health(Health::Recovering), false);
    check(&|state| state.set_health(Health::InService), true);
    check(&|state| assert!(state.suspect()), false);
    check(&TargetState::trust, true);
    check(&TargetState::trust, false);
    rig.surge.set_stirs(false);
    check(&|state| state.set_health(Health::Failing), false);
}
