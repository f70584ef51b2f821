//! The choice of an instance.
//!
//! Owns who is next, given who could be: each enabled zone its fair share, then round robin (TCP) or the fewest
//! outstanding requests (HTTP). Must never look anything up: candidates, their load and their standing are arguments.
//! Source: Elastic Load Balancing user guide, "How Elastic Load Balancing works" (routing algorithm, cross-zone).
//! What AWS does not have (weights, limits, other algorithms) is in [`weighed`]; what goes with it in [`hash`],
//! [`latency`], [`eject`] and [`budget`].

pub mod budget;
pub mod eject;
pub mod hash;
pub mod latency;
pub mod weighed;

/// How many turns a candidate that was passed over for its load may make up for. It makes them up among equals only, so
/// it is never given more in flight than the others; what it missed while it was out is not made up for at all.
const CATCH_UP: u64 = 1024;

/// What may be sent to a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Serving and in service.
    Live,
    /// Live, but a connection to it failed since its last good check.
    Suspect,
    /// Anything else: nothing is sent to it.
    Out,
}

/// One instance that could be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Its zone's number, below [`Rota`]'s count of zones.
    pub zone: usize,
    /// Requests or connections in flight on it.
    pub load: u32,
    /// What may be sent to it.
    pub standing: Standing,
}

/// Whose instances a node may choose among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of one zone: a zone's node without cross-zone balancing.
    Zone(usize),
    /// All: cross-zone balancing.
    Everyone,
    /// First a zone, each with a live instance in turn; then among its instances.
    EqualZones,
}

/// How instances of the same scope are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Each in turn.
    RoundRobin,
    /// The one with the fewest in flight; among equals each in turn.
    FewestOutstanding,
}

impl Rule {
    /// How many turns one may make up for.
    fn catch_up(self) -> u64 {
        match self {
            Self::RoundRobin => 1,
            Self::FewestOutstanding => CATCH_UP,
        }
    }
}

/// Whose turn it is: how often each candidate and each zone was chosen.
#[derive(Clone, Debug, Default)]
pub struct Rota {
    turns: Vec<u64>,
    zones: Vec<u64>,
}

impl Rota {
    /// A rota for that many candidates and zones.
    #[must_use]
    pub fn new(candidates: usize, zones: usize) -> Self {
        Self { turns: vec![0; candidates], zones: vec![0; zones] }
    }

    /// A rota for a changed list: `before` says where each candidate stood in this one. Whose turn it was stays, and
    /// older debts are forgotten, because they may stem from another scope; who is new comes last.
    #[must_use]
    pub fn changed(&self, before: &[Option<usize>], zones: usize) -> Self {
        let old = |place: &Option<usize>| place.and_then(|place| self.turns.get(place)).copied();
        let least = before.iter().filter_map(old).min().unwrap_or(0);
        let last = before.iter().filter_map(old).any(|turns| turns > least);
        let turns = before.iter().map(|place| u64::from(old(place).map_or(last, |turns| turns > least))).collect();
        Self { turns, zones: vec![0; zones] }
    }
}

/// Chooses a candidate and takes its turn; `None` when nobody in scope is live. Suspects are chosen only where nobody
/// else is live. `passed` names candidates already tried.
pub fn choose(
    rota: &mut Rota,
    scope: Scope,
    rule: Rule,
    candidates: &[Candidate],
    passed: impl Fn(usize) -> bool,
) -> Option<usize> {
    let (own, catch_up) = (if let Scope::Zone(own) = scope { Some(own) } else { None }, rule.catch_up());
    let standing = foremost(candidates, |index, c| own.is_none_or(|own| c.zone == own) && !passed(index))?;
    let open = |index: usize, c: &Candidate| c.standing == standing && !passed(index);
    let zone = match scope {
        Scope::EqualZones => {
            let live = |zone: usize| candidates.iter().enumerate().any(|(i, c)| c.zone == zone && open(i, c));
            let zones = rota.zones.len();
            Some(take_turn(&mut rota.zones, (0..zones).filter(|z| live(*z)), 1)?)
        }
        Scope::Zone(_) | Scope::Everyone => own,
    };
    // One look at each candidate: this is what a request costs more with a hundred of them than with two.
    let (mut most, mut mixed, mut first) = (0, false, None::<(u32, u64, usize)>);
    for (index, (c, turns)) in candidates.iter().zip(&rota.turns).enumerate() {
        mixed |= c.standing != standing;
        if zone.is_none_or(|zone| c.zone == zone) && open(index, c) {
            most = most.max(*turns);
            let load = if rule == Rule::FewestOutstanding { c.load } else { 0 };
            if first.is_none_or(|(least, fewest, _)| (load, *turns) < (least, fewest)) {
                first = Some((load, *turns, index));
            }
        }
    }
    let (least, fewest, mut chosen) = first?;
    let floor = most.saturating_sub(catch_up);
    if fewest < floor {
        // What it missed longer ago is forgotten: among those that missed so much, the lowest number is first.
        let equal = |(index, (c, turns)): &(usize, (&Candidate, &u64))| {
            let load = if rule == Rule::FewestOutstanding { c.load } else { 0 };
            zone.is_none_or(|zone| c.zone == zone) && open(*index, c) && load == least && **turns <= floor
        };
        chosen = candidates.iter().zip(&rota.turns).enumerate().find(equal).map_or(chosen, |(index, _)| index);
    }
    let turns = fewest.max(floor).saturating_add(1);
    *rota.turns.get_mut(chosen)? = turns;
    if mixed {
        for (missed, _) in rota.turns.iter_mut().zip(candidates).filter(|(_, c)| c.standing != standing) {
            *missed = (*missed).max(turns);
        }
    }
    Some(chosen)
}

/// The best standing among those: suspects count only where nobody else is live.
fn foremost(candidates: &[Candidate], among: impl Fn(usize, &Candidate) -> bool) -> Option<Standing> {
    let any = |standing| candidates.iter().enumerate().any(|(i, c)| c.standing == standing && among(i, c));
    [Standing::Live, Standing::Suspect].into_iter().find(|standing| any(*standing))
}

/// The seat with the fewest turns, then the lowest number; its turns are raised by one.
fn take_turn(turns: &mut [u64], seats: impl Iterator<Item = usize> + Clone, catch_up: u64) -> Option<usize> {
    let most = seats.clone().filter_map(|seat| turns.get(seat)).max().copied()?;
    let floor = most.saturating_sub(catch_up);
    let count = |seat: usize| turns.get(seat).map_or(u64::MAX, |t| (*t).max(floor));
    let seat = seats.min_by_key(|seat| (count(*seat), *seat))?;
    let next = count(seat).saturating_add(1);
    *turns.get_mut(seat)? = next;
    Some(seat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn live(zone: usize) -> Candidate {
        Candidate { zone, load: 0, standing: Standing::Live }
    }

    fn spread(scope: Scope, rule: Rule, candidates: &[Candidate], rounds: usize) -> Vec<usize> {
        let zones = candidates.iter().map(|c| c.zone + 1).max().unwrap_or(0);
        let mut rota = Rota::new(candidates.len(), zones);
        let mut counts = vec![0; candidates.len()];
        for _ in 0..rounds {
            if let Some(chosen) = choose(&mut rota, scope, rule, candidates, |_| false) {
                counts[chosen] += 1;
            }
        }
        counts
    }

    #[test]
    fn zones_share_equally_or_instances_do() {
        let four = [live(0), live(0), live(0), live(1)];
        for rule in [Rule::RoundRobin, Rule::FewestOutstanding] {
            assert_eq!(spread(Scope::EqualZones, rule, &four, 1200), [200, 200, 200, 600]);
            assert_eq!(spread(Scope::Everyone, rule, &four, 1200), [300, 300, 300, 300]);
            assert_eq!(spread(Scope::Zone(0), rule, &four, 1200), [400, 400, 400, 0]);
            assert_eq!(spread(Scope::Zone(1), rule, &four, 1200), [0, 0, 0, 1200]);
        }
        let dead_zone = [live(0), Candidate { standing: Standing::Out, ..live(1) }];
        assert_eq!(spread(Scope::EqualZones, Rule::RoundRobin, &dead_zone, 10), [10, 0]);
        assert_eq!(spread(Scope::Zone(1), Rule::RoundRobin, &dead_zone, 10), [0, 0]);
    }

    #[test]
    fn fewest_outstanding_is_exact_under_concurrency() {
        // 64 requests always in flight, the oldest of which ends before the next begins: 20,000 requests over 3 + 1.
        let mut candidates = [live(0), live(0), live(0), live(1)];
        let mut rota = Rota::new(4, 2);
        let (mut counts, mut flying) = ([0u32; 4], std::collections::VecDeque::new());
        for _ in 0..20_000 {
            if flying.len() == 64 {
                let done: usize = flying.pop_front().unwrap();
                candidates[done].load -= 1;
            }
            let chosen = choose(&mut rota, Scope::Everyone, Rule::FewestOutstanding, &candidates, |_| false).unwrap();
            candidates[chosen].load += 1;
            counts[chosen] += 1;
            flying.push_back(chosen);
        }
        assert!(counts.iter().all(|n| n.abs_diff(5000) <= 20), "{counts:?}");
    }

    #[test]
    fn load_decides_before_turns_for_http_only() {
        let busy = [Candidate { load: 3, ..live(0) }, live(0)];
        assert_eq!(spread(Scope::Everyone, Rule::FewestOutstanding, &busy, 10), [0, 10]);
        assert_eq!(spread(Scope::Everyone, Rule::RoundRobin, &busy, 10), [5, 5]);
    }

    #[test]
    fn suspects_wait_until_nobody_else_is_live() {
        let suspect = Candidate { standing: Standing::Suspect, ..live(0) };
        assert_eq!(spread(Scope::Everyone, Rule::RoundRobin, &[suspect, live(0)], 10), [0, 10]);
        assert_eq!(spread(Scope::Everyone, Rule::RoundRobin, &[suspect, suspect], 10), [5, 5]);
        // A zone of suspects only gets no share while another has a live instance.
        assert_eq!(spread(Scope::EqualZones, Rule::RoundRobin, &[suspect, live(1)], 10), [0, 10]);
    }

    #[test]
    fn one_that_comes_back_is_not_flooded() {
        let mut rota = Rota::new(2, 1);
        let away = [live(0), Candidate { standing: Standing::Out, ..live(0) }];
        for _ in 0..1000 {
            choose(&mut rota, Scope::Everyone, Rule::FewestOutstanding, &away, |_| false);
        }
        let back = [live(0), live(0)];
        let mut in_a_row = 0;
        while choose(&mut rota, Scope::Everyone, Rule::FewestOutstanding, &back, |_| false) == Some(1) {
            in_a_row += 1;
        }
        assert!(in_a_row <= 1, "{in_a_row}");
    }

    #[test]
    fn a_changed_list_keeps_whose_turn_it_was_and_no_older_debt() {
        let mut rota = Rota::new(3, 1);
        let next =
            |rota: &mut Rota, n: usize| choose(rota, Scope::Everyone, Rule::RoundRobin, &vec![live(0); n], |_| false);
        assert_eq!(next(&mut rota, 3), Some(0));
        // A fourth comes, and the list is published anew after every request.
        let mut rota = rota.changed(&[Some(0), Some(1), Some(2), None], 1);
        let mut order = Vec::new();
        for _ in 0..8 {
            order.extend(next(&mut rota, 4));
            rota = rota.changed(&[Some(0), Some(1), Some(2), Some(3)], 1);
        }
        assert_eq!(order, [1, 2, 0, 1, 2, 3, 0, 1]);
        let owing = Rota { turns: vec![5000, 3], zones: vec![0] }.changed(&[Some(0), Some(1)], 1);
        assert_eq!(owing.turns, [1, 0]);
    }

    /// The same rules, said as they are written above and not as they are quick.
    fn plainly(rota: &mut Rota, scope: Scope, rule: Rule, all: &[Candidate], passed: &[usize]) -> Option<usize> {
        let seats = |standing, zone: Option<usize>| -> Vec<usize> {
            let fits = |i: &usize| all[*i].standing == standing && zone.is_none_or(|zone| all[*i].zone == zone);
            (0..all.len()).filter(fits).filter(|i| !passed.contains(i)).collect()
        };
        let reach = if let Scope::Zone(own) = scope { Some(own) } else { None };
        let standing = [Standing::Live, Standing::Suspect].into_iter().find(|s| !seats(*s, reach).is_empty())?;
        let zone = match scope {
            Scope::EqualZones => {
                let zones: Vec<usize> =
                    (0..rota.zones.len()).filter(|z| !seats(standing, Some(*z)).is_empty()).collect();
                Some(take_turn(&mut rota.zones, zones.into_iter(), 1)?)
            }
            _ => reach,
        };
        let seats = seats(standing, zone);
        let floor = seats.iter().map(|i| rota.turns[*i]).max()?.saturating_sub(rule.catch_up());
        let load = |i: usize| if rule == Rule::FewestOutstanding { all[i].load } else { 0 };
        let chosen = seats.into_iter().min_by_key(|i| (load(*i), rota.turns[*i].max(floor), *i))?;
        rota.turns[chosen] = rota.turns[chosen].max(floor) + 1;
        let turns = rota.turns[chosen];
        for i in (0..all.len()).filter(|i| all[*i].standing != standing) {
            rota.turns[i] = rota.turns[i].max(turns);
        }
        Some(chosen)
    }

    proptest! {
        #[test]
        fn quickly_is_as_plainly(
            seats in prop::collection::vec((0usize..3, 0u32..3, 0u8..4, 0u64..3000), 0..8),
            rounds in prop::collection::vec((0usize..5, any::<bool>(), prop::collection::vec(0usize..8, 0..3)), 1..40),
        ) {
            let standing = |n| match n { 0 => Standing::Suspect, 1 => Standing::Out, _ => Standing::Live };
            let candidates: Vec<_> =
                seats.iter().map(|(zone, load, s, _)| Candidate { zone: *zone, load: *load, standing: standing(*s) }).collect();
            let mut quick = Rota { turns: seats.iter().map(|(_, _, _, turns)| *turns).collect(), zones: vec![0; 3] };
            let mut plain = quick.clone();
            for (scope, fewest, tried) in rounds {
                let scope = match scope { 3 => Scope::Everyone, 4 => Scope::EqualZones, zone => Scope::Zone(zone) };
                let rule = if fewest { Rule::FewestOutstanding } else { Rule::RoundRobin };
                let chosen = choose(&mut quick, scope, rule, &candidates, |i| tried.contains(&i));
                prop_assert_eq!(chosen, plainly(&mut plain, scope, rule, &candidates, &tried));
                prop_assert_eq!((&quick.turns, &quick.zones), (&plain.turns, &plain.zones));
            }
        }

        #[test]
        fn the_chosen_one_is_live_in_scope_and_untried(
            seats in prop::collection::vec((0usize..4, 0u32..5, 0u8..3), 0..12),
            scope in 0usize..6, fewest: bool, tried in prop::collection::vec(0usize..12, 0..4),
        ) {
            let standing = |n| match n { 0 => Standing::Live, 1 => Standing::Suspect, _ => Standing::Out };
            let candidates: Vec<_> =
                seats.iter().map(|(zone, load, s)| Candidate { zone: *zone, load: *load, standing: standing(*s) }).collect();
            let scope = match scope { 4 => Scope::Everyone, 5 => Scope::EqualZones, zone => Scope::Zone(zone) };
            let rule = if fewest { Rule::FewestOutstanding } else { Rule::RoundRobin };
            let mut rota = Rota::new(candidates.len(), 4);
            let chosen = choose(&mut rota, scope, rule, &candidates, |i| tried.contains(&i));
            let fits = |i: usize, c: &Candidate| {
                !tried.contains(&i) && c.standing != Standing::Out && !matches!(scope, Scope::Zone(z) if z != c.zone)
            };
            match chosen {
                Some(i) => prop_assert!(fits(i, &candidates[i])),
                None => prop_assert!(!candidates.iter().enumerate().any(|(i, c)| fits(i, c))),
            }
        }
    }
}
