//! The choice of an instance on a worker: what it knows of each place, put before [`evenkeel_core::balance`].
//!
//! Owns the seats it is chosen from and the dice. Must never cost a balancer without weights, limits or another algorithm
//! more than AWS's own choice does. Who asks: `queue.rs`.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use evenkeel_core::balance::weighed::{self, By, Picked, Seat, Tally, UNIT};
use evenkeel_core::balance::{self, Candidate, Rule, Scope, hash};
use evenkeel_core::name::ZoneName;
use evenkeel_core::noun::{Algorithm, HashOn};
use evenkeel_core::routes::BalancerRoutes;

use super::client::millis;
use super::view::{Lane, Place};
use crate::surge::Reach;

/// What a worker chooses with; kept so that a choice allocates nothing.
pub(super) struct Chooser {
    plain: Vec<Candidate>,
    weighed: Vec<Seat>,
    dice: u64,
}

impl Chooser {
    /// `seed` must not be the same for every worker.
    pub(super) fn new(seed: u64) -> Self {
        Self { plain: Vec::new(), weighed: Vec::new(), dice: seed | 1 }
    }

    /// Xorshift64: who would guess the next number gains nothing.
    fn roll(&mut self) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice
    }
}

/// What came of a choice.
pub(super) enum Chosen {
    At(Rc<Place>),
    /// There are live ones, each at its limit.
    Full,
    /// Nobody is in service.
    Nobody,
}

/// What a balancer's instances are weighed by, where they are not all alike.
pub(super) struct Weighed {
    tally: RefCell<Tally>,
    ids: Vec<u64>,
    weights: Vec<u32>,
    ramp_ms: u64,
    limit: u32,
    algorithm: Algorithm,
}

impl Weighed {
    /// Nothing where AWS's own choice does. `before` says where each place stood in the old list.
    pub(super) fn of(
        routes: &BalancerRoutes,
        zones: &[ZoneName],
        old: Option<&Self>,
        before: &[Option<usize>],
    ) -> Option<Self> {
        let balancing = &routes.balancing;
        let weight = routes.targets.first().map_or(0, |target| target.weight);
        let alike = weight > 0 && routes.targets.iter().all(|target| target.weight == weight);
        let simple =
            [Algorithm::Aws, Algorithm::RoundRobin, Algorithm::LeastOutstanding].contains(&balancing.algorithm);
        if alike && simple && balancing.slow_start.is_zero() && balancing.max_in_flight == 0 {
            return None;
        }
        let zone_ids = || zones.iter().map(|zone| hash::of(zone.as_str().as_bytes()));
        let tally = match old {
            Some(old) => old.tally.borrow().changed(before, zone_ids()),
            None => Tally::new(routes.targets.len(), zone_ids()),
        };
        Some(Self {
            tally: RefCell::new(tally),
            ids: routes.targets.iter().map(|target| hash::of(target.instance.as_str().as_bytes())).collect(),
            weights: routes.targets.iter().map(|target| u32::from(target.weight) * UNIT).collect(),
            ramp_ms: millis(balancing.slow_start),
            limit: balancing.max_in_flight,
            algorithm: balancing.algorithm,
        })
    }
}

impl Lane {
    /// Whether a key decides who is chosen.
    pub(super) fn hashes(&self) -> Option<&HashOn> {
        let balancing = self.balancer.balancing();
        (balancing.algorithm == Algorithm::ConsistentHash).then_some(&balancing.hash_on)
    }

    /// Whether answers are to be timed for the choice.
    pub(super) fn times(&self) -> bool {
        self.balancer.balancing().algorithm == Algorithm::LeastLatency
    }

    /// Chooses an instance that `passed` does not name. Where instances come for those who wait, they do not come to every
    /// zone: a node without one in its own sends to the others'.
    pub(super) fn choose(&self, with: &mut Chooser, key: u64, now: u64, passed: impl Fn(&Rc<Place>) -> bool) -> Chosen {
        match self.choose_within(self.scope, with, key, now, &passed) {
            Chosen::Nobody if self.balancer.wakes() => self.choose_within(Scope::Everyone, with, key, now, &passed),
            chosen => chosen,
        }
    }

    fn choose_within(
        &self,
        scope: Scope,
        with: &mut Chooser,
        key: u64,
        now: u64,
        passed: impl Fn(&Rc<Place>) -> bool,
    ) -> Chosen {
        let balancer = &self.balancer;
        if let Some(weighed) = &balancer.weighed {
            return self.weigh(weighed, (scope, key, now), with, passed);
        }
        with.plain.clear();
        with.plain.extend(balancer.candidates());
        let rule = match balancer.balancing().algorithm {
            Algorithm::LeastOutstanding => Rule::FewestOutstanding,
            Algorithm::RoundRobin => Rule::RoundRobin,
            _ if self.sees_requests() => Rule::FewestOutstanding,
            _ => Rule::RoundRobin,
        };
        let mut rota = balancer.rota.borrow_mut();
        let index =
            balance::choose(&mut rota, scope, rule, &with.plain, |i| balancer.places.get(i).is_none_or(&passed));
        index.and_then(|index| balancer.places.get(index)).map_or(Chosen::Nobody, |place| Chosen::At(Rc::clone(place)))
    }

    fn weigh(
        &self,
        weighed: &Weighed,
        (scope, key, now): (Scope, u64, u64),
        with: &mut Chooser,
        passed: impl Fn(&Rc<Place>) -> bool,
    ) -> Chosen {
        let balancer = &self.balancer;
        let by = match weighed.algorithm {
            Algorithm::Aws if self.sees_requests() => By::Load,
            Algorithm::Aws | Algorithm::RoundRobin => By::Turns,
            Algorithm::LeastOutstanding => By::Load,
            Algorithm::PowerOfTwo => By::TwoOf { dice: with.roll() },
            Algorithm::LeastLatency => By::Latency,
            Algorithm::ConsistentHash => By::Hash { key },
        };
        with.weighed.clear();
        let known = weighed.weights.iter().zip(&weighed.ids);
        let all = balancer.places.iter().zip(&balancer.zone_of).zip(known);
        with.weighed.extend(all.map(|((place, zone), (weight, id))| Seat {
            zone: *zone,
            load: place.state.outstanding(),
            standing: place.standing(),
            weight: *weight,
            share: match weighed.ramp_ms {
                0 => *weight,
                ramp => weighed::share(*weight, place.state.serves_for(now), ramp),
            },
            latency: if by == By::Latency { place.state.latency(now) } else { 0 },
            id: *id,
        }));
        let mut tally = weighed.tally.borrow_mut();
        let passed = |at: usize| balancer.places.get(at).is_none_or(&passed);
        match weighed::pick(&mut tally, scope, by, weighed.limit, &with.weighed, passed) {
            Picked::Seat(at) => balancer.places.get(at).map_or(Chosen::Nobody, |place| Chosen::At(Rc::clone(place))),
            Picked::Full => Chosen::Full,
            Picked::Nobody => Chosen::Nobody,
        }
    }

    /// The instances that new clients may be sent to, whatever their health.
    pub(super) fn within(&self) -> impl Iterator<Item = &Rc<Place>> {
        self.within_scope(self.scope)
    }

    fn within_scope(&self, scope: Scope) -> impl Iterator<Item = &Rc<Place>> {
        let in_scope = move |zone: usize| match scope {
            Scope::Zone(own) => own == zone,
            Scope::Everyone | Scope::EqualZones => true,
        };
        let weight =
            move |at: usize| self.balancer.weighed.as_ref().and_then(|w| w.weights.get(at)).is_none_or(|w| *w > 0);
        let all = self.balancer.places.iter().zip(&self.balancer.zone_of).enumerate();
        all.filter(move |(at, (_, zone))| in_scope(**zone) && weight(*at)).map(|(_, (place, _))| place)
    }

    /// The instances that would do for one who waits and passes over those that `passed` names.
    pub(super) fn reach(&self, passed: impl Fn(&Rc<Place>) -> bool) -> Reach {
        let of = |scope| self.within_scope(scope).filter(|place| !passed(place)).map(|place| Arc::clone(&place.state));
        let own: Reach = of(self.scope).collect();
        if self.balancer.wakes() && !own.iter().any(|state| state.takes_requests()) {
            return of(Scope::Everyone).collect();
        }
        own
    }
}

/// A client's key where nothing else makes one: its address without the port, the same however it came.
pub(super) fn key_of(client: IpAddr) -> u64 {
    match client.to_canonical() {
        IpAddr::V4(four) => hash::of(&four.octets()),
        IpAddr::V6(six) => hash::of(&six.octets()),
    }
}
