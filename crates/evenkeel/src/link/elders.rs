//! Roads that were replaced and still finish what they have in flight.
//!
//! Owns what the present road knows of them. Towards an elder it is what the office is towards a road: it sends Routes
//! down, so that targets that leave get nothing more from anybody, and takes what is in flight up, so that no instance is
//! stopped while an elder still waits for its answer. Must never be needed by an elder: without it they drain by what they
//! last heard. An elder answers at a socket of its own in the data directory, so that whatever road comes next finds it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use evenkeel_core::name::{InstanceId, LoadBalancerName};

use super::road::Place;
use super::{Count, Report};

const PREFIX: &str = "elder-";

/// Where an elder answers.
pub(super) fn socket_name(pid: u32) -> String {
    format!("{PREFIX}{pid}.sock")
}

/// The elders' sockets in a data directory, those of the dead among them.
pub(super) fn find(place: &Place) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(place.dir())? {
        if let Some(name) = entry?.file_name().to_str()
            && name.starts_with(PREFIX)
            && name.ends_with(".sock")
        {
            found.push(name.to_owned());
        }
    }
    Ok(found)
}

/// What is known of each.
#[derive(Debug, Default)]
pub(super) struct Elders(Mutex<BTreeMap<String, Elder>>);

#[derive(Debug, Default)]
struct Elder {
    applied: u64,
    departing: Vec<(LoadBalancerName, InstanceId, u32)>,
    called: Vec<LoadBalancerName>,
    counts: Vec<Count>,
}

impl Elders {
    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Elder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more, of whom nothing is known: it may be sending anything. False when it is there already.
    pub(super) fn add(&self, name: &str) -> bool {
        self.held().insert(name.to_owned(), Elder::default()).is_none()
    }

    pub(super) fn remove(&self, name: &str) {
        self.held().remove(name);
    }

    pub(super) fn is_there(&self, name: &str) -> bool {
        self.held().contains_key(name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held().is_empty()
    }

    /// One reports.
    pub(super) fn heard(&self, name: &str, report: Report) {
        if let Some(elder) = self.held().get_mut(name) {
            (elder.applied, elder.departing, elder.called) = (report.applied, report.departing, report.called);
            if report.road.is_some() {
                elder.counts = report.counts;
            }
        }
    }

    /// Adds to a report what the elders do.
    pub(super) fn complete(&self, report: &mut Report) {
        let held = self.held();
        if held.is_empty() {
            return;
        }
        let mut departing: BTreeMap<_, u32> = BTreeMap::new();
        let own = std::mem::take(&mut report.departing);
        let theirs = held.values().flat_map(|elder| elder.departing.iter().cloned());
        for (balancer, instance, count) in own.into_iter().chain(theirs) {
            *departing.entry((balancer, instance)).or_default() += count;
        }
        report.applied = held.values().map(|elder| elder.applied).fold(report.applied, u64::min);
        report.departing = departing.into_iter().map(|((lb, id), count)| (lb, id, count)).collect();
        report.called.extend(held.values().flat_map(|elder| elder.called.iter().cloned()));
        if report.road.is_some() {
            // What was counted elsewhere is past; what is in flight there is not.
            let theirs = held.values().flat_map(|elder| &elder.counts).filter(|count| count.in_flight > 0);
            for count in theirs {
                let is_it = |own: &&mut Count| own.balancer == count.balancer && own.instance == count.instance;
                match report.counts.iter_mut().find(is_it) {
                    Some(own) => own.in_flight += count.in_flight,
                    None => {
                        let (balancer, instance) = (count.balancer.clone(), count.instance.clone());
                        report.counts.push(Count {
                            balancer,
                            instance,
                            in_flight: count.in_flight,
                            ..Count::default()
                        });
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::RoadCount;
    use super::*;

    #[test]
    fn a_report_holds_back_what_any_elder_does_not_know_and_adds_what_it_does() {
        let (balancer, id) = (LoadBalancerName::new("test").unwrap(), InstanceId::new("i-00000001").unwrap());
        let report = |applied, count| Report {
            applied,
            departing: vec![(balancer.clone(), id.clone(), count)],
            ..Report::default()
        };
        let elders = Elders::default();
        let check = |own: Report, applied: u64, count: u32| {
            let mut whole = own;
            elders.complete(&mut whole);
            assert_eq!((whole.applied, whole.departing[0].2, whole.departing.len()), (applied, count, 1));
        };
        check(report(9, 1), 9, 1);
        assert!(elders.add("a") && !elders.add("a"));
        check(report(9, 1), 0, 1);
        elders.heard("a", report(9, 2));
        check(report(9, 1), 9, 3);
        // Who waits there waits, and what is in flight there is.
        let count =
            |in_flight| Count { balancer: "test".into(), instance: "i-1".into(), in_flight, ..Count::default() };
        let counted = |called: &[&LoadBalancerName], counts: &[u32]| Report {
            called: called.iter().map(|name| (*name).clone()).collect(),
            counts: counts.iter().map(|n| count(*n)).collect(),
            road: Some(RoadCount::default()),
            ..report(9, 2)
        };
        elders.heard("a", counted(&[&balancer], &[3]));
        for (own, expected) in [(&[4][..], 7), (&[], 3)] {
            let mut whole = counted(&[], own);
            elders.complete(&mut whole);
            assert_eq!((&whole.called[..], &whole.counts[..]), (&[balancer.clone()][..], &[count(expected)][..]));
        }
        elders.add("b");
        elders.heard("b", report(8, 0));
        check(report(9, 1), 8, 3);
        elders.remove("a");
        elders.remove("b");
        elders.heard("b", report(1, 5));
        assert!(elders.is_empty() && !elders.is_there("b"));
        check(report(9, 1), 9, 1);
    }
}
