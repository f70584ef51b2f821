//! What is to be done about requested certificates: which are to be ordered, which orders are to be looked after.
//!
//! Owns the choice and its moments. Must never speak ACME: the house's loop carries this out.

use crate::name::CertificateArn;
use crate::noun::requested::{ORDER_TAKES, PATIENCE, renewal};
use crate::noun::{Certificate, Requested};
use crate::time::Timestamp;
use crate::world::World;
use crate::world::requests::MOST_CHALLENGES;

/// What is to be done about one certificate now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// An order is to be begun.
    Begin(CertificateArn),
    /// An order is under way.
    Pursue(CertificateArn),
    /// An order has taken too long: it is to be given up.
    Abandon(CertificateArn),
}

/// All errands: those under way before those that begin, of which there are no more than balancers can be given the
/// challenges of.
#[must_use]
pub fn errands(world: &World, now: Timestamp) -> Vec<Errand> {
    let requested = || world.certificates().filter_map(|certificate| Some((certificate, certificate.requested()?)));
    let mut errands = Vec::new();
    let mut pending = 0;
    for (certificate, requested) in requested() {
        let Some(order) = &requested.order else { continue };
        pending += requested.names.len();
        let arn = certificate.arn.clone();
        errands.push(if now.since(order.begun) < ORDER_TAKES { Errand::Pursue(arn) } else { Errand::Abandon(arn) });
    }
    for (certificate, requested) in requested().filter(|(_, requested)| requested.order.is_none()) {
        let names = requested.names.len();
        let fits = pending + names <= MOST_CHALLENGES;
        if fits && due(certificate, requested, now).is_some_and(|at| at <= now) {
            pending += names;
            errands.push(Errand::Begin(certificate.arn.clone()));
        }
    }
    errands
}

/// When an order is next to be begun, or to be given up; `None` if nothing is to come.
#[must_use]
pub fn next_moment(world: &World, now: Timestamp) -> Option<Timestamp> {
    let moments = world.certificates().filter_map(|certificate| {
        let requested = certificate.requested()?;
        match &requested.order {
            Some(order) => Some(order.begun.plus(ORDER_TAKES)),
            None => due(certificate, requested, now),
        }
    });
    moments.min()
}

/// When a certificate without an order is to be ordered, which may be past; `None` if it is left alone.
fn due(certificate: &Certificate, requested: &Requested, now: Timestamp) -> Option<Timestamp> {
    let not_before = requested.failure.as_ref().map_or(Timestamp(0), |failure| failure.again);
    match &certificate.material {
        Some(_) if requested.renew => Some(not_before),
        Some(material) => Some(renewal(&material.facts, &certificate.arn).max(not_before)),
        None if now.since(requested.asked) >= PATIENCE => None,
        None => Some(not_before),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::change::Change;
    use crate::noun::{CertificateOrigin, Facts, KeyType, Material, Order, Problem, Proof};
    use crate::refusal::Refusal;
    use crate::routes::Challenge;
    use crate::world::{Limits, Settings};

    const DAY: u64 = 86_400_000;

    fn world() -> World {
        World::empty(Settings {
            region: "us-east-1".into(),
            zones: Vec::new(),
            capacity: BTreeMap::new(),
            account: "000000000000".into(),
            dns_domain: "elb.evenkeel.test".into(),
            node_pool: "127.80.0.0/16".parse().unwrap(),
            instance_pool: "127.81.0.0/16".parse().unwrap(),
            instance_pools: Default::default(),
            lowest_port: 0,
            port_shift: 0,
            limits: Limits::default(),
        })
    }

    fn arn(n: usize) -> CertificateArn {
        CertificateArn::new(format!("arn:aws:acm:us-east-1:000000000000:certificate/{n}")).unwrap()
    }

    fn request(world: &mut World, n: usize, names: usize) {
        let names = (0..names).map(|name| format!("{name}.example.test")).collect();
        let requested = Requested::new(names, KeyType::P256, Proof::Http, Timestamp(0));
        let certificate = Certificate {
            arn: arn(n),
            origin: CertificateOrigin::Requested(Box::new(requested)),
            material: None,
            created: Timestamp(0),
            imported: Timestamp(0),
            tags: BTreeMap::new(),
        };
        world.apply(&Change::CreateCertificate(certificate), Timestamp(0)).unwrap();
    }

    fn order(begun: u64, challenges: usize) -> Order {
        let challenge = |n| Challenge::Http { token: format!("t{n}"), key_authorization: "t.x".into() };
        Order {
            directory: "https://acme.test/dir".into(),
            url: "https://acme.test/order/1".into(),
            begun: Timestamp(begun),
            sealed_key: "sealed".into(),
            challenges: (0..challenges).map(challenge).collect(),
        }
    }

    fn ordered(world: &mut World, n: usize, order: Order) {
        let change = Change::OrderCertificate { certificate: arn(n), order };
        world.apply(&change, Timestamp(0)).unwrap();
    }

    fn failed(world: &mut World, n: usize, now: u64, retry_after: Option<u64>) {
        let problem = Problem { kind: "connection".into(), detail: "refused".into(), name: None, judged: true };
        let retry_after = retry_after.map(Duration::from_secs);
        let change = Change::FailCertificate { certificate: arn(n), problem, retry_after };
        world.apply(&change, Timestamp(now)).unwrap();
    }

    #[test]
    fn a_request_is_ordered_pursued_and_given_up_in_time() {
        let mut world = world();
        request(&mut world, 1, 2);
        assert_eq!(errands(&world, Timestamp(5)), [Errand::Begin(arn(1))]);
        ordered(&mut world, 1, order(5, 2));
        assert_eq!(world.challenges().count(), 2);
        assert_eq!(errands(&world, Timestamp(6)), [Errand::Pursue(arn(1))]);
        let end = Timestamp(5).plus(ORDER_TAKES);
        assert_eq!(next_moment(&world, Timestamp(6)), Some(end));
        assert_eq!(errands(&world, end), [Errand::Abandon(arn(1))]);
        // The end of it, whichever, takes the challenges away.
        failed(&mut world, 1, end.0, None);
        assert_eq!(world.challenges().count(), 0);
        assert_eq!(errands(&world, end), []);
        let again = next_moment(&world, end).unwrap();
        assert!(again.since(end) >= Duration::from_secs(10), "{again}");
        assert_eq!(errands(&world, again), [Errand::Begin(arn(1))]);
        // A server that asks for more is given more; a wish for it now comes before both.
        failed(&mut world, 1, again.0, Some(5000));
        assert_eq!(next_moment(&world, again), Some(again.plus(Duration::from_secs(5000))));
        world.apply(&Change::RenewCertificate { certificate: arn(1) }, again).unwrap();
        assert_eq!(errands(&world, again), [Errand::Begin(arn(1))]);
        // After 72 hours it is left alone.
        let late = again.plus(PATIENCE);
        assert_eq!((errands(&world, late), next_moment(&world, late)), (Vec::new(), None));
        let foreign = Change::RenewCertificate { certificate: arn(9) };
        assert_eq!(world.apply(&foreign, late), Err(Refusal::NoSuchCertificate(arn(9))));
    }

    #[test]
    fn what_was_issued_is_renewed_in_time_or_by_hand_and_for_as_long_as_it_takes() {
        let mut world = world();
        request(&mut world, 1, 1);
        ordered(&mut world, 1, order(0, 1));
        let facts = Facts { not_before: Timestamp(0), not_after: Timestamp(90 * DAY), ..Default::default() };
        let material = Material { body_pem: "pem".into(), chain_pem: "".into(), sealed_key: "sealed".into(), facts };
        let issued = Change::ReplaceCertificate { certificate: arn(1), material };
        world.apply(&issued, Timestamp(1)).unwrap();
        assert_eq!((world.challenges().count(), errands(&world, Timestamp(60 * DAY - 1))), (0, Vec::new()));
        let at = next_moment(&world, Timestamp(2)).unwrap();
        assert!((60 * DAY..65 * DAY).contains(&at.0), "{at}");
        assert_eq!(errands(&world, at), [Errand::Begin(arn(1))]);
        for n in 0..50 {
            failed(&mut world, 1, at.0 + n * DAY, None);
        }
        assert_eq!(errands(&world, Timestamp(at.0 + 60 * DAY)), [Errand::Begin(arn(1))]);
        world.apply(&issued, Timestamp(2)).unwrap();
        world.apply(&Change::RenewCertificate { certificate: arn(1) }, Timestamp(3)).unwrap();
        assert_eq!(errands(&world, Timestamp(3)), [Errand::Begin(arn(1))]);
        world.apply(&issued, Timestamp(4)).unwrap();
        assert_eq!(errands(&world, Timestamp(5)), []);
    }

    #[test]
    fn no_more_challenges_are_pending_than_balancers_are_given() {
        let mut world = world();
        for n in 0..4 {
            request(&mut world, n, 30);
        }
        assert_eq!(errands(&world, Timestamp(1)).len(), 3);
        for n in 0..3 {
            ordered(&mut world, n, order(0, 30));
        }
        let all = errands(&world, Timestamp(1));
        assert!(all.iter().all(|errand| matches!(errand, Errand::Pursue(_))) && all.len() == 3, "{all:?}");
        let more = Change::OrderCertificate { certificate: arn(3), order: order(0, 11) };
        assert_eq!(world.apply(&more, Timestamp(1)), Err(Refusal::TooManyChallenges { limit: MOST_CHALLENGES }));
        // One certificate of as many names as there may be has its turn.
        let mut world = self::world();
        request(&mut world, 0, crate::noun::requested::MOST_NAMES);
        assert_eq!(errands(&world, Timestamp(1)), [Errand::Begin(arn(0))]);
    }
}
