//! The choice of an instance where more than load and turns counts: weights, slow start, limits, latency, hashes.
//!
//! Owns every algorithm but AWS's own, and those too where instances are weighed; what is plain goes by
//! [`super::choose`], which costs less. Must never look anything up, read a clock or roll dice: they are arguments. One
//! pass over the seats for most algorithms, two for hashes; nothing is allocated.

use std::cmp::Ordering;

use super::{CATCH_UP, Scope, Standing, hash};

/// What one turn costs a seat of the least weight; others pay less.
const STRIDE: u64 = 1 << 32;
/// Units of effective weight in one unit of weight, so that a ramp has steps.
pub const UNIT: u32 = 256;
/// A seat that ramps up gets at least this fraction of its weight, so that it is not starved.
const LEAST_RAMP: u32 = 20;
/// Under a hash, a seat that holds fewer than this is never passed over for its load: a trickle keeps its instance.
const TRICKLE: u64 = 4;

/// One instance that could be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Seat {
    /// Its zone's number, below [`Tally`]'s count of zones.
    pub zone: usize,
    /// Requests or connections in flight on it.
    pub load: u32,
    /// What may be sent to it.
    pub standing: Standing,
    /// Its weight in [`UNIT`]s; with 0 it is never chosen.
    pub weight: u32,
    /// As much of its weight as counts by now, see [`share`].
    pub share: u32,
    /// Its latency of late in microseconds, 0 where nothing is known.
    pub latency: u32,
    /// Its own hash.
    pub id: u64,
}

/// How seats are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Each in turn.
    Turns,
    /// The least load for its weight; among equals each in turn.
    Load,
    /// The less loaded of two that these dice pick.
    TwoOf {
        /// 64 random bits.
        dice: u64,
    },
    /// The least latency times what it would then have in flight.
    Latency,
    /// The nearest to this key that is not overloaded.
    Hash {
        /// What is hashed.
        key: u64,
    },
}

/// What came of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picked {
    /// This one.
    Seat(usize),
    /// There are live ones in reach, but each is at its limit.
    Full,
    /// Nobody in reach is live.
    Nobody,
}

/// As much of a `weight` (in [`UNIT`]s) as counts by now: all of it, or, while a seat ramps up, a part that grows with its
/// `age`. Ages are in any unit, the same for both.
#[must_use]
pub fn share(weight: u32, age: u64, ramp: u64) -> u32 {
    if age >= ramp || weight == 0 {
        return weight;
    }
    let grown = u64::from(weight) * age / ramp;
    u32::try_from(grown).unwrap_or(weight).max(weight / LEAST_RAMP).max(1)
}

impl Seat {
    /// Ramping up, it may not get ahead of its turn, whatever its load.
    fn is_ramping(&self) -> bool {
        self.share < self.weight
    }

    /// What a turn costs it.
    fn stride(&self) -> u64 {
        STRIDE / u64::from(self.share.max(1))
    }
}

/// Whose turn it is: what each seat has paid for its turns, and how often each zone was chosen.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    paid: Vec<u64>,
    /// Turns, and the zone's own hash.
    zones: Vec<(u64, u64)>,
}

impl Tally {
    /// A tally for that many seats and the zones of these hashes.
    #[must_use]
    pub fn new(seats: usize, zones: impl IntoIterator<Item = u64>) -> Self {
        Self { paid: vec![0; seats], zones: zones.into_iter().map(|id| (0, id)).collect() }
    }

    /// A tally for a changed list: `before` says where each seat stood in this one. Debts stay, up to one turn of the
    /// least weight; who is new comes last.
    #[must_use]
    pub fn changed(&self, before: &[Option<usize>], zones: impl IntoIterator<Item = u64>) -> Self {
        let old = |place: &Option<usize>| place.and_then(|place| self.paid.get(place)).copied();
        let least = before.iter().filter_map(old).min().unwrap_or(0);
        let most = before.iter().filter_map(old).max().unwrap_or(0);
        let kept = |paid: u64| (paid - least).min(STRIDE);
        let paid = before.iter().map(|place| kept(old(place).unwrap_or(most))).collect();
        Self { paid, zones: zones.into_iter().map(|id| (0, id)).collect() }
    }

    fn paid(&self, seat: usize, floor: u64) -> u64 {
        self.paid.get(seat).map_or(u64::MAX, |paid| (*paid).max(floor))
    }
}

/// Chooses a seat and takes its turn. Suspects are chosen only where nobody else is live. `limit` is what a seat may
/// hold at most (0: no limit), `passed` names seats already tried.
pub fn pick(
    tally: &mut Tally,
    scope: Scope,
    by: By,
    limit: u32,
    seats: &[Seat],
    passed: impl Fn(usize) -> bool,
) -> Picked {
    let has_room = |seat: &Seat| limit == 0 || seat.load < limit;
    let in_reach = |seat: &Seat| match scope {
        Scope::Zone(own) => seat.zone == own,
        Scope::Everyone | Scope::EqualZones => true,
    };
    // Whether there are live ones, and whether one of them has room; then the same of suspects.
    let (mut live, mut suspect) = ((false, false), (false, false));
    for (at, seat) in seats.iter().enumerate() {
        let of = match seat.standing {
            Standing::Live => &mut live,
            Standing::Suspect => &mut suspect,
            Standing::Out => continue,
        };
        if (!of.0 || !of.1) && seat.weight > 0 && in_reach(seat) && !passed(at) {
            of.0 = true;
            of.1 |= has_room(seat);
        }
    }
    let standing = match (live, suspect) {
        ((true, true), _) => Standing::Live,
        ((false, _), (true, true)) => Standing::Suspect,
        ((false, _), (false, _)) => return Picked::Nobody,
        _ => return Picked::Full,
    };
    let fits = |at: usize, seat: &Seat| {
        seat.standing == standing && seat.weight > 0 && has_room(seat) && in_reach(seat) && !passed(at)
    };
    let zone = match scope {
        Scope::EqualZones => zone_of(tally, by, seats, fits),
        Scope::Zone(_) | Scope::Everyone => None,
    };
    let here = |at: usize, seat: &Seat| fits(at, seat) && zone.is_none_or(|zone| seat.zone == zone);
    let open = || seats.iter().enumerate().filter(|(at, seat)| here(*at, seat));
    let chosen = match by {
        By::TwoOf { dice } => less_of_two(tally, dice, open),
        By::Hash { key } => {
            nearest(key, seats, |seat| zone.is_none_or(|zone| seat.zone == zone) && in_reach(seat), open)
        }
        By::Turns | By::Load | By::Latency => by_turns(tally, by, open),
    };
    let Some(chosen) = chosen else { return Picked::Nobody };
    // What was missed while nobody could choose it is not made up for.
    let now = tally.paid(chosen, 0);
    let missed = |seat: &Seat| seat.standing != standing || seat.weight == 0;
    for (paid, _) in tally.paid.iter_mut().zip(seats).filter(|(_, seat)| missed(seat)) {
        *paid = (*paid).max(now);
    }
    Picked::Seat(chosen)
}

/// The zone whose turn it is; under a hash the one nearest to the key, so that a key keeps its zone.
fn zone_of(tally: &mut Tally, by: By, seats: &[Seat], fits: impl Fn(usize, &Seat) -> bool) -> Option<usize> {
    let open = |zone: usize| seats.iter().enumerate().any(|(at, seat)| seat.zone == zone && fits(at, seat));
    let zones = (0..tally.zones.len()).filter(|zone| open(*zone));
    if let By::Hash { key } = by {
        let near = |zone: &usize| tally.zones.get(*zone).map_or(f64::MIN, |(_, id)| hash::nearness(key, *id, 1));
        return zones.max_by(|a, b| near(a).total_cmp(&near(b)));
    }
    let open: Option<(u64, u64)> =
        zones.clone().filter_map(|zone| tally.zones.get(zone).copied()).reduce(|a, b| a.max(b));
    let floor = open?.0.saturating_sub(1);
    let turns = |zone: usize| tally.zones.get(zone).map_or(u64::MAX, |(turns, _)| (*turns).max(floor));
    let zone = zones.min_by_key(|zone| (turns(*zone), *zone))?;
    let next = turns(zone).saturating_add(1);
    tally.zones.get_mut(zone)?.0 = next;
    Some(zone)
}

/// What turns look like among those who are open: none is owed more than this floor leaves, and a seat that ramps up may
/// not be ahead of those that do not.
struct Turns {
    floor: u64,
    settled: Option<u64>,
}

impl Turns {
    fn of<'a, I>(tally: &Tally, strides: u64, open: impl Fn() -> I) -> Option<Self>
    where
        I: Iterator<Item = (usize, &'a Seat)>,
    {
        let dearest = open().map(|(_, seat)| seat.stride()).max()?;
        let most = open().map(|(at, _)| tally.paid(at, 0)).max()?;
        let floor = most.saturating_sub(dearest.saturating_mul(strides));
        let settled = open().filter(|(_, seat)| !seat.is_ramping()).map(|(at, _)| tally.paid(at, floor)).max();
        Some(Self { floor, settled })
    }

    fn allow(&self, tally: &Tally, at: usize, seat: &Seat) -> bool {
        !seat.is_ramping() || self.settled.is_none_or(|settled| tally.paid(at, self.floor) <= settled)
    }

    fn take(&self, tally: &mut Tally, at: usize, seat: &Seat) {
        let next = tally.paid(at, self.floor).saturating_add(seat.stride());
        if let Some(paid) = tally.paid.get_mut(at) {
            *paid = next;
        }
    }
}

/// The seat of the least score, then of the fewest turns for its weight; it pays for its turn.
fn by_turns<'a, I>(tally: &mut Tally, by: By, open: impl Fn() -> I) -> Option<usize>
where
    I: Iterator<Item = (usize, &'a Seat)>,
{
    let turns = Turns::of(tally, if by == By::Turns { 1 } else { CATCH_UP }, &open)?;
    let mut best: Option<(Score, u64, (usize, &Seat))> = None;
    for (at, seat) in open().filter(|(at, seat)| turns.allow(tally, *at, seat)) {
        let (score, paid) = (Score::of(by, seat), tally.paid(at, turns.floor));
        let better = best.as_ref().is_none_or(|(held, least, _)| match score.cmp(held) {
            Ordering::Less => true,
            Ordering::Equal => paid < *least,
            Ordering::Greater => false,
        });
        if better {
            best = Some((score, paid, (at, seat)));
        }
    }
    let (_, _, (at, seat)) = best?;
    turns.take(tally, at, seat);
    Some(at)
}

/// What is wanted least, for a weight; compared without a division.
struct Score {
    cost: u64,
    weight: u32,
}

impl Score {
    fn of(by: By, seat: &Seat) -> Self {
        let cost = match by {
            By::Load | By::TwoOf { .. } => u64::from(seat.load),
            // One that is unknown is asked at once, but by one request at a time.
            By::Latency if seat.latency == 0 && seat.load > 0 => u64::MAX >> 20,
            By::Latency => u64::from(seat.latency) * (u64::from(seat.load) + 1),
            By::Turns | By::Hash { .. } => 0,
        };
        Self { cost, weight: seat.weight }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let scaled = |cost: u64, weight: u32| u128::from(cost) * u128::from(weight);
        scaled(self.cost, other.weight).cmp(&scaled(other.cost, self.weight))
    }
}

/// The less loaded of two different seats, each picked as often as its weight says.
fn less_of_two<'a, I>(tally: &mut Tally, dice: u64, open: impl Fn() -> I) -> Option<usize>
where
    I: Iterator<Item = (usize, &'a Seat)>,
{
    let turns = Turns::of(tally, CATCH_UP, &open)?;
    let open = || open().filter(|(at, seat)| turns.allow(tally, *at, seat));
    let total: u64 = open().map(|(_, seat)| u64::from(seat.weight)).sum();
    let drawn = |dice: u64, total: u64, but: Option<usize>| {
        let mut left = ((dice & 0xffff_ffff) * total) >> 32;
        open().filter(|(at, _)| Some(*at) != but).find(|(_, seat)| match left.checked_sub(u64::from(seat.weight)) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        })
    };
    let first = drawn(dice, total, None)?;
    let second = drawn(dice >> 32, total - u64::from(first.1.weight), Some(first.0));
    let load = |seat: &Seat| Score::of(By::Load, seat);
    let (at, seat) = second.filter(|(_, seat)| load(seat).cmp(&load(first.1)).is_lt()).unwrap_or(first);
    turns.take(tally, at, seat);
    Some(at)
}

/// The seat nearest to the key (weighted rendezvous: when a seat goes, only its own keys move, and when one comes, only
/// those that become its own) that does not hold more than a quarter above its share.
fn nearest<'a, I>(key: u64, seats: &[Seat], shares: impl Fn(&Seat) -> bool, open: impl Fn() -> I) -> Option<usize>
where
    I: Iterator<Item = (usize, &'a Seat)>,
{
    let (mut load, mut weight) = (0u64, 0u64);
    for seat in seats.iter().filter(|seat| seat.standing == Standing::Live && shares(seat)) {
        load += u64::from(seat.load);
        weight += u64::from(seat.share);
    }
    // ⌈5/4 × (load + 1) × its share⌉
    let most = |seat: &Seat| ((load + 1) * 5 * u64::from(seat.share)).div_ceil((weight * 4).max(1)).max(TRICKLE);
    let near = |seat: &Seat| hash::nearness(key, seat.id, seat.share);
    let mut best: Option<(bool, f64, usize)> = None;
    for (at, seat) in open() {
        let (free, near) = (u64::from(seat.load) < most(seat), near(seat));
        if best.is_none_or(|(held, nearest, _)| (free && !held) || (free == held && near > nearest)) {
            best = Some((free, near, at));
        }
    }
    best.map(|(_, _, at)| at)
}

#[cfg(test)]
mod tests;
