//! Which certificates that listeners show are about to expire, and how urgent that is.
//!
//! Owns the steps of the warning. Must never judge a certificate that nobody shows: what is not in use does no harm.

use std::time::Duration;

use crate::name::{CertificateArn, LoadBalancerName, Port};
use crate::time::Timestamp;
use crate::world::World;

/// Days before the end at which a warning is given again, the last one when it has come.
pub const STEPS: [u64; 5] = [30, 14, 7, 1, 0];

const DAY: Duration = Duration::from_secs(86_400);

/// A certificate in use that ends soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiring {
    /// Which.
    pub certificate: CertificateArn,
    /// What it is for: its first name, or its subject where it has none.
    pub subject: String,
    /// When it ends.
    pub not_after: Timestamp,
    /// The step that it has reached, of [`STEPS`].
    pub step: u64,
    /// Who shows it.
    pub shown_by: Vec<(LoadBalancerName, Port)>,
}

/// Those that have reached a step, the nearest to their end first.
#[must_use]
pub fn expiring(world: &World, now: Timestamp) -> Vec<Expiring> {
    let mut found: Vec<Expiring> = world
        .certificates()
        .filter_map(|certificate| {
            let facts = &certificate.material.as_ref()?.facts;
            let step = step(facts.not_after, now)?;
            let shown_by = world.load_balancers().flat_map(|lb| {
                let showing = lb.listeners.iter().filter(|l| l.certificate.as_ref() == Some(&certificate.arn));
                showing.map(|listener| (lb.name.clone(), listener.port))
            });
            let shown_by: Vec<_> = shown_by.collect();
            (!shown_by.is_empty()).then(|| Expiring {
                certificate: certificate.arn.clone(),
                subject: facts.names.first().unwrap_or(&facts.subject).clone(),
                not_after: facts.not_after,
                step,
                shown_by,
            })
        })
        .collect();
    found.sort_by_key(|expiring| expiring.not_after);
    found
}

/// The least step that is at least as far from the end as now is.
fn step(not_after: Timestamp, now: Timestamp) -> Option<u64> {
    if now >= not_after {
        return Some(0);
    }
    let left = not_after.since(now);
    STEPS.into_iter().rev().find(|days| left <= DAY * u32::try_from(*days).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_reached_to_the_millisecond() {
        let day = 86_400_000;
        let end = Timestamp(100 * day);
        let at = |left: u64| step(end, Timestamp(end.0 - left));
        assert_eq!([at(31 * day), at(30 * day + 1)], [None, None]);
        assert_eq!([at(30 * day), at(14 * day + 1)], [Some(30), Some(30)]);
        assert_eq!([at(14 * day), at(7 * day + 1), at(7 * day)], [Some(14), Some(14), Some(7)]);
        assert_eq!([at(day + 1), at(day), at(1), at(0)], [Some(7), Some(1), Some(1), Some(0)]);
        assert_eq!(step(end, Timestamp(end.0 + day)), Some(0));
    }
}
