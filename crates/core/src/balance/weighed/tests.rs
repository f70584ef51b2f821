//! Shares, keys and ramps over many choices.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

fn seat(weight: u16) -> Seat {
    Seat {
        zone: 0,
        load: 0,
        standing: Standing::Live,
        weight: u32::from(weight) * UNIT,
        share: u32::from(weight) * UNIT,
        latency: 0,
        id: 0,
    }
}

fn seats(weights: &[u16]) -> Vec<Seat> {
    weights.iter().enumerate().map(|(at, weight)| Seat { id: hash::of(&[at as u8]), ..seat(*weight) }).collect()
}

/// Dice that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        hash::of(&self.0.to_le_bytes())
    }
}

/// Who gets how many of `rounds` requests, when `flying` are in flight at a time and the oldest ends first.
fn spread(by: impl Fn(u64) -> By, scope: Scope, seats: &mut [Seat], rounds: usize, flying: usize) -> Vec<usize> {
    let zones = seats.iter().map(|seat| seat.zone + 1).max().unwrap_or(0);
    let mut tally = Tally::new(seats.len(), (0..zones).map(|zone| hash::of(&[zone as u8, 1])));
    let (mut counts, mut air, mut dice) = (vec![0; seats.len()], VecDeque::new(), Dice(7));
    for _ in 0..rounds {
        if air.len() >= flying.max(1) {
            let done: usize = air.pop_front().unwrap();
            seats[done].load -= 1;
        }
        if let Picked::Seat(at) = pick(&mut tally, scope, by(dice.roll()), 0, seats, |_| false) {
            counts[at] += 1;
            if flying > 0 {
                seats[at].load += 1;
                air.push_back(at);
            }
        }
    }
    counts
}

fn assert_shares(counts: &[usize], wanted: &[f64], within: f64) {
    let total: usize = counts.iter().sum();
    for (count, wanted) in counts.iter().zip(wanted) {
        let share = *count as f64 / total as f64;
        assert!((share - wanted).abs() <= within, "{counts:?}, wanted {wanted}");
    }
}

#[test]
fn each_gets_what_its_weight_says() {
    let wanted = [0.1, 0.3, 0.6];
    for flying in [0, 1, 64] {
        for by in [By::Turns, By::Load] {
            let counts = spread(|_| by, Scope::Everyone, &mut seats(&[1, 3, 6]), 10_000, flying);
            // Of 64 in flight the light one has six or seven.
            let within = if by == By::Load && flying == 64 { 0.01 } else { 0.002 };
            assert_shares(&counts, &wanted, within);
        }
        let two = spread(|dice| By::TwoOf { dice }, Scope::Everyone, &mut seats(&[1, 3, 6]), 30_000, flying);
        assert_shares(&two, &wanted, 0.03);
        let hashed = spread(|key| By::Hash { key }, Scope::Everyone, &mut seats(&[1, 3, 6]), 30_000, flying);
        assert_shares(&hashed, &wanted, 0.03);
    }
    let known = |at: usize, seat: Seat| Seat { latency: 1000 + at as u32 % 2, ..seat };
    let mut equal: Vec<Seat> = seats(&[1, 3, 6]).into_iter().enumerate().map(|(at, seat)| known(at, seat)).collect();
    assert_shares(&spread(|_| By::Latency, Scope::Everyone, &mut equal, 20_000, 200), &wanted, 0.01);
}

#[test]
fn weights_alternate_instead_of_bunching() {
    let mut two = seats(&[2, 1]);
    let mut tally = Tally::new(2, []);
    let turns: Vec<_> = (0..9).map(|_| pick(&mut tally, Scope::Everyone, By::Turns, 0, &two, |_| false)).collect();
    let heavy = |picked: &[Picked]| picked.iter().filter(|picked| **picked == Picked::Seat(0)).count();
    assert!(turns.chunks(3).all(|three| heavy(three) == 2), "{turns:?}");
    // Nothing new for who has no weight; alone, it is as if nobody were there.
    two[0].weight = 0;
    assert_eq!(pick(&mut tally, Scope::Everyone, By::Load, 0, &two, |_| false), Picked::Seat(1));
    assert_eq!(pick(&mut tally, Scope::Everyone, By::Load, 0, &two[..1], |_| false), Picked::Nobody);
}

#[test]
fn zones_share_equally_whatever_the_weights() {
    for by in [|_| By::Turns, |_| By::Load, |dice| By::TwoOf { dice }, |key| By::Hash { key }] as [fn(u64) -> By; 4] {
        let mut four = seats(&[100, 100, 50, 1]);
        four[3].zone = 1;
        let counts = spread(by, Scope::EqualZones, &mut four, 20_000, 0);
        assert_shares(&counts, &[0.2, 0.2, 0.1, 0.5], 0.02);
        assert_eq!(spread(by, Scope::Zone(1), &mut four, 100, 0), [0, 0, 0, 100]);
    }
}

#[test]
fn the_fast_one_is_preferred() {
    // One is ten times as slow: what is in flight on it stays ten times as long.
    let run = |by: fn(u64) -> By| {
        let mut two = seats(&[1, 1]);
        let mut tally = Tally::new(2, []);
        let (mut known, mut counts, mut dice) = ([0u64; 2], [0u32; 2], Dice(3));
        let mut air: Vec<(u64, usize)> = Vec::new();
        for now in 0..40_000u64 {
            air.retain(|(ends, at)| {
                if *ends <= now {
                    two[*at].load -= 1;
                    known[*at] = latency::sampled(known[*at], [1000, 10_000][*at], now);
                }
                *ends > now
            });
            for at in 0..2 {
                two[at].latency = latency::at(known[at], now);
            }
            if now % 4 < 3 {
                let Picked::Seat(at) = pick(&mut tally, Scope::Everyone, by(dice.roll()), 0, &two, |_| false) else {
                    panic!("nobody")
                };
                counts[at] += 1;
                two[at].load += 1;
                air.push((now + [1, 10][at] + 1, at));
            }
        }
        f64::from(counts[0]) / f64::from(counts[0] + counts[1])
    };
    use super::super::latency;
    let (two, least) = (run(|dice| By::TwoOf { dice }), run(|_| By::Latency));
    assert!(two > 0.6 && least > 0.85, "{two} {least}");
}

#[test]
fn a_newcomer_is_neither_flooded_nor_starved() {
    for by in [|_| By::Turns, |_| By::Load, |_| By::Latency, |dice| By::TwoOf { dice }] as [fn(u64) -> By; 4] {
        for flying in [0, 1, 30] {
            for (age, wanted) in [(0, 0.05), (250, 0.25), (500, 0.5), (999, 1.0)] {
                let mut three = seats(&[1, 1, 1]);
                three.iter_mut().take(2).for_each(|seat| seat.latency = 1000);
                three[2].share = share(UNIT, age, 1000);
                three[2].latency = if flying == 0 { 1000 } else { 0 };
                let counts = spread(by, Scope::Everyone, &mut three, 6000, flying);
                let got = counts[2] as f64 / (counts[0] + counts[1]) as f64 * 2.0;
                assert!(got <= wanted * 1.2 + 0.02, "flooded at {age}: {counts:?}");
                let least = if flying == 0 { wanted * 0.8 - 0.01 } else { 0.0 };
                assert!(got >= least && counts[2] > 0, "starved at {age}: {counts:?}");
            }
        }
    }
    assert_eq!(
        [share(400, 1000, 1000), share(400, 0, 0), share(0, 5, 1000), share(400, 250, 1000)],
        [400, 400, 0, 100]
    );
    assert_eq!(share(1, 1, u64::MAX / 1000), 1);
    // Those that came together share as if they had been there for ever.
    let mut young = seats(&[1, 3]);
    for (seat, weight) in young.iter_mut().zip([1, 3]) {
        seat.share = share(weight * UNIT, 10, 1000);
    }
    assert_shares(&spread(|_| By::Turns, Scope::Everyone, &mut young, 4000, 0), &[0.25, 0.75], 0.02);
}

#[test]
fn a_limit_holds_and_full_is_not_nobody() {
    let mut two = seats(&[1, 1]);
    let mut tally = Tally::new(2, []);
    let mut ask = |seats: &[Seat], passed: Option<usize>| {
        pick(&mut tally, Scope::Everyone, By::Load, 2, seats, |at| Some(at) == passed)
    };
    two[0].load = 2;
    assert_eq!(ask(&two, None), Picked::Seat(1));
    two[1].load = 2;
    assert_eq!(ask(&two, None), Picked::Full);
    // A suspect with room does not stand in for live ones that are busy.
    let suspect = Seat { standing: Standing::Suspect, ..seat(1) };
    assert_eq!(ask(&[two[0], suspect], None), Picked::Full);
    assert_eq!(ask(&[two[0], suspect], Some(0)), Picked::Seat(1));
    assert_eq!(ask(&[Seat { standing: Standing::Out, ..seat(1) }], None), Picked::Nobody);
    assert_eq!(ask(&two, Some(0)), Picked::Full);
}

#[test]
fn few_keys_move_when_an_instance_comes_or_goes() {
    let homes = |seats: &[Seat]| -> Vec<u64> {
        let mut tally = Tally::new(seats.len(), []);
        let home = |key: u64| match pick(&mut tally, Scope::Everyone, By::Hash { key }, 0, seats, |_| false) {
            Picked::Seat(at) => seats[at].id,
            other => panic!("{other:?}"),
        };
        (0..20_000u64).map(|n| hash::of(&n.to_le_bytes())).map(home).collect()
    };
    let ten = seats(&[1; 10]);
    let before = homes(&ten);
    let gone = homes(&ten[..9]);
    // Only those of the one that went, and all of the others stay.
    assert!(before.iter().zip(&gone).all(|(b, g)| b == g || *b == ten[9].id));
    let moved = before.iter().zip(&gone).filter(|(b, g)| b != g).count();
    assert!((1700..2300).contains(&moved), "{moved}");
    let eleven = homes(&seats(&[1; 11]));
    let moved = before.iter().zip(&eleven).filter(|(b, e)| b != e).count();
    assert!(moved < 20_000 / 11 + 300, "{moved}");
    // In another order, nothing moves.
    let mut turned = ten.clone();
    turned.reverse();
    assert_eq!(homes(&turned), before);
}

#[test]
fn one_hot_key_does_not_drown_its_instance() {
    let mut ten = seats(&[1; 10]);
    let mut tally = Tally::new(10, []);
    for n in 1..=1000u32 {
        let Picked::Seat(at) = pick(&mut tally, Scope::Everyone, By::Hash { key: 42 }, 0, &ten, |_| false) else {
            panic!("nobody")
        };
        ten[at].load += 1;
        let most = (n * 5).div_ceil(40).max(TRICKLE as u32);
        assert!(ten.iter().all(|seat| seat.load <= most), "{n}: {ten:?}");
    }
    // A trickle stays where it is.
    let mut ten = seats(&[1; 10]);
    let home = pick(&mut tally, Scope::Everyone, By::Hash { key: 42 }, 0, &ten, |_| false);
    let Picked::Seat(at) = home else { panic!("nobody") };
    ten[at].load = 3;
    assert_eq!(pick(&mut tally, Scope::Everyone, By::Hash { key: 42 }, 0, &ten, |_| false), home);
}

#[test]
fn a_changed_list_keeps_debts_and_no_more() {
    let mut tally = Tally { paid: vec![STRIDE * 7, STRIDE * 7 + 5, STRIDE * 900], zones: vec![(3, 1)] };
    let after = tally.changed(&[Some(1), Some(0), Some(2), None], [9]);
    assert_eq!(after.paid, [5, 0, STRIDE, STRIDE]);
    assert_eq!(after.zones, [(0, 9)]);
    // Published anew after every request, weights still hold.
    let mut counts = [0; 2];
    tally = Tally::new(2, []);
    for _ in 0..4000 {
        if let Picked::Seat(at) = pick(&mut tally, Scope::Everyone, By::Turns, 0, &seats(&[1, 3]), |_| false) {
            counts[at] += 1;
        }
        tally = tally.changed(&[Some(0), Some(1)], []);
    }
    assert_shares(&counts, &[0.25, 0.75], 0.01);
}

fn any_seat() -> impl Strategy<Value = Seat> {
    (0usize..4, 0u32..5, 0u8..3, 0u32..4, 1u32..9, 0u32..3, any::<u64>()).prop_map(
        |(zone, load, standing, weight, part, latency, id)| Seat {
            zone,
            load,
            standing: [Standing::Live, Standing::Suspect, Standing::Out][usize::from(standing)],
            weight: weight * UNIT,
            share: weight * UNIT / part,
            latency,
            id,
        },
    )
}

proptest! {
    #[test]
    fn the_chosen_one_may_be_chosen(
        seats in prop::collection::vec(any_seat(), 0..12), scope in 0usize..6, by in 0u8..5, bits: u64,
        limit in 0u32..5, tried in prop::collection::vec(0usize..12, 0..4),
    ) {
        let scope = match scope { 4 => Scope::Everyone, 5 => Scope::EqualZones, zone => Scope::Zone(zone) };
        let by = match by {
            0 => By::Turns, 1 => By::Load, 2 => By::TwoOf { dice: bits }, 3 => By::Latency, _ => By::Hash { key: bits },
        };
        let mut tally = Tally::new(seats.len(), 0..4);
        let picked = pick(&mut tally, scope, by, limit, &seats, |at| tried.contains(&at));
        let reached = |at: usize, seat: &Seat| {
            seat.weight > 0 && !tried.contains(&at) && !matches!(scope, Scope::Zone(zone) if zone != seat.zone)
        };
        let room = |seat: &Seat| limit == 0 || seat.load < limit;
        let of = |standing: Standing| {
            let all = seats.iter().enumerate().filter(move |(at, seat)| seat.standing == standing && reached(*at, seat));
            (all.clone().count(), all.filter(|(_, seat)| room(seat)).count())
        };
        let (live, suspect) = (of(Standing::Live), of(Standing::Suspect));
        match picked {
            Picked::Seat(at) => {
                prop_assert!(reached(at, &seats[at]) && room(&seats[at]));
                let wanted = if live.0 > 0 { Standing::Live } else { Standing::Suspect };
                prop_assert_eq!(seats[at].standing, wanted);
            }
            Picked::Full => {
                let full = if live.0 > 0 { live } else { suspect };
                prop_assert!(full.0 > 0 && full.1 == 0);
            }
            Picked::Nobody => prop_assert!(live.0 == 0 && suspect.0 == 0),
        }
    }
}
