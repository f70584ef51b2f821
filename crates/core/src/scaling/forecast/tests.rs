//! Forecasts of loads of known shapes, and against a plain model of their own.

use proptest::prelude::*;

use super::*;

/// A Monday.
const MONDAY: u64 = 491_232 + 96;

/// Dice that fall the same each time: from 0 to 1.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn hours(first: u64, count: usize, of: impl Fn(u64) -> f64) -> Hours {
    Hours { first, values: (0..count as u64).map(|place| Some(of(first + place))).collect() }
}

fn day(hour: u64) -> f64 {
    100.0 + 80.0 * (hour as f64 / 24.0 * std::f64::consts::TAU).sin()
}

/// Much less on Saturdays and Sundays.
fn week(hour: u64) -> f64 {
    let weekday = (hour - MONDAY) / 24 % 7;
    day(hour) * if weekday < 5 { 1.0 } else { 0.3 }
}

/// The error of a forecast against what comes.
fn error(forecast: &Forecast, of: impl Fn(u64) -> f64) -> f64 {
    let pairs = forecast.load.iter().enumerate().map(|(place, said)| (*said, of(forecast.first + place as u64)));
    let (off, load) = pairs.fold((0.0, 0.0), |(off, load), (said, was)| (off + (said - was).abs(), load + was));
    off / load
}

fn check(history: &Hours, of: impl Fn(u64) -> f64, most: f64) -> Forecast {
    let forecast = forecast(history).unwrap();
    assert_eq!((forecast.first, forecast.load.len()), (history.end(), AHEAD));
    let off = error(&forecast, of);
    assert!(off <= most, "off by {off}: {:?} {:?}", forecast.model, forecast.accuracy);
    forecast
}

#[test]
fn what_comes_back_each_day_is_foreseen() {
    let two_weeks = check(&hours(MONDAY, 336, day), day, 1e-9);
    let accuracy = two_weeks.accuracy.unwrap();
    assert_eq!((accuracy.hours, two_weeks.known), (168, 336));
    assert!(accuracy.error < 1e-9 && accuracy.day_before.unwrap().error < 1e-9, "{accuracy}");
    assert_eq!(two_weeks.model, Model::ALL[0], "the plainest of those that are right");
    let one_day = check(&hours(MONDAY + 5, 24, day), day, 1e-9);
    assert_eq!(one_day.accuracy, None, "there is no day to try it on");
    assert!(check(&hours(MONDAY, 50, day), day, 1e-9).accuracy.is_some());
}

#[test]
fn weekends_are_foreseen_once_there_was_one() {
    // Two weeks up to a Friday's noon: the forecast goes to Sunday's.
    let history = hours(MONDAY + 4 * 24 + 12, 335, week);
    let forecast = check(&history, week, 1e-9);
    assert_eq!(forecast.model.season, Season::Week);
    let accuracy = forecast.accuracy.unwrap();
    assert!(accuracy.error < accuracy.day_before.unwrap().error, "{accuracy}");
}

#[test]
fn a_weekend_comes_back_before_it_has_come_back() {
    // A week and four days, with some noise: of one weekend, nobody can know that it comes each week, and yet.
    let mut dice = Dice(5);
    let noise: Vec<f64> = (0..400).map(|_| 0.95 + 0.1 * dice.roll()).collect();
    let noisy = |hour: u64| week(hour) * noise[(hour - MONDAY) as usize];
    let forecast = check(&hours(MONDAY, 11 * 24, noisy), noisy, 0.08);
    assert_eq!(forecast.model.season, Season::Week);
    // Where there was nothing odd about it, the days say more.
    let noisy = |hour: u64| day(hour) * noise[(hour - MONDAY) as usize];
    let forecast = check(&hours(MONDAY, 11 * 24, noisy), noisy, 0.08);
    assert_eq!(forecast.model.season, Season::Day);
}

#[test]
fn growth_goes_on() {
    let growing = |hour: u64| day(hour) * (1.0 + (hour - MONDAY) as f64 / 24.0 * 0.05);
    let forecast = check(&hours(MONDAY, 336, growing), growing, 0.05);
    assert_eq!(forecast.model.level, Level::Trend);
    let weekly = |hour: u64| week(hour) * (1.0 + (hour - MONDAY) as f64 / 24.0 * 0.03);
    check(&hours(MONDAY, 336, weekly), weekly, 0.1);
    // Twice as much from one day to the next, five days ago.
    let stepped = |hour: u64| day(hour) * if hour < MONDAY + 9 * 24 { 1.0 } else { 2.0 };
    let forecast = check(&hours(MONDAY, 336, stepped), stepped, 0.02);
    assert_eq!(forecast.model.level, Level::Recent);
}

#[test]
fn a_day_like_no_other_is_not_believed() {
    for odd in [0, 3, 6, 12, 13] {
        for factor in [0.0, 5.0] {
            let odd_day = |hour: u64| week(hour) * if (hour - MONDAY) / 24 == odd { factor } else { 1.0 };
            check(&hours(MONDAY, 336, odd_day), week, 0.25);
            let odd_day = |hour: u64| day(hour) * if (hour - MONDAY) / 24 == odd { factor } else { 1.0 };
            check(&hours(MONDAY, 336, odd_day), day, 0.02);
        }
    }
}

#[test]
fn hours_that_nobody_knows_are_no_hours_of_nothing() {
    let mut dice = Dice(3);
    for share in [0.1, 0.3, 0.6] {
        let mut history = hours(MONDAY, 336, day);
        history.values.iter_mut().filter(|_| dice.roll() < share).for_each(|value| *value = None);
        check(&history, day, 0.02);
    }
    // The same hours of each day: on a line between their neighbours.
    let mut history = hours(MONDAY, 336, day);
    history.values.iter_mut().enumerate().filter(|(place, _)| place % 24 == 3).for_each(|(_, value)| *value = None);
    check(&history, day, 0.01);
    // A day that was not measured at all, the last one too.
    for gone in [5, 13] {
        let mut history = hours(MONDAY, 336, week);
        history.values.iter_mut().skip(gone * 24).take(24).for_each(|value| *value = None);
        check(&history, week, 0.02);
    }
}

#[test]
fn noise_is_evened_out_and_its_error_shown() {
    let mut dice = Dice(1);
    let noise: Vec<f64> = (0..400).map(|_| 0.8 + 0.4 * dice.roll()).collect();
    let noisy = |hour: u64| day(hour) * noise[(hour - MONDAY) as usize];
    let forecast = check(&hours(MONDAY, 336, noisy), noisy, 0.15);
    let accuracy = forecast.accuracy.unwrap();
    assert!((0.05..0.15).contains(&accuracy.error), "{accuracy}");
    assert!(accuracy.error < accuracy.day_before.unwrap().error * 0.9, "{accuracy}");
    assert!(accuracy.error < accuracy.week_before.unwrap().error * 0.95, "{accuracy}");
    assert!(accuracy.bias.abs() < 0.05 && (0.2..0.8).contains(&accuracy.under), "{accuracy}");
    let shown = Accuracy {
        hours: 48,
        error: 0.123,
        bias: -0.01,
        under: 0.5,
        day_before: Some(Beside { hours: 48, error: 0.2, own: 0.123 }),
        week_before: Some(Beside { hours: 24, error: 0.05, own: 0.1 }),
    };
    let text = "off by 12.3 % over 48 h, -1.0 % on the whole, too low in 50.0 % of them; as a day before: off by 20.0 %; \
                as a week before: off by 5.0 % over 24 h, where it was 10.0 %";
    assert_eq!(shown.to_string(), text);
}

#[test]
fn odd_numbers_come_to_sane_ones() {
    let check = |values: Vec<Option<f64>>, known: Result<(), usize>| {
        let history = Hours { first: MONDAY, values };
        match forecast(&history) {
            Ok(forecast) => {
                assert_eq!(known, Ok(()));
                assert!(forecast.load.iter().all(|load| load.is_finite() && *load >= 0.0), "{:?}", forecast.load);
            }
            Err(TooLittle { hours }) => assert_eq!(known, Err(hours)),
        }
    };
    check(vec![], Err(0));
    check(vec![Some(1.0); 23], Err(23));
    check(vec![None; 336], Err(0));
    check(vec![Some(f64::NAN); 336], Err(0));
    check(vec![Some(f64::INFINITY); 336], Err(0));
    check(vec![Some(1e308); 336], Ok(()));
    check(vec![Some(-5.0); 48], Ok(()));
    check(vec![Some(0.0); 336], Ok(()));
    let nothing = forecast(&Hours { first: 0, values: vec![Some(0.0); 336] }).unwrap();
    assert_eq!((nothing.load, nothing.accuracy), (vec![0.0; AHEAD], None));
    // Only the newest two weeks are looked at.
    let long = hours(MONDAY, 2000, |hour| if hour < MONDAY + 1000 { 1e9 } else { day(hour) });
    assert_eq!(forecast(&long).unwrap().known, MOST);
    assert!((capacity(LARGEST, 1e-300), capacity(f64::NAN, 1.0), capacity(5.0, 0.0)) == (u32::MAX, 0, u32::MAX));
}

#[test]
fn a_load_takes_so_many_members() {
    let check =
        |load: f64, of_each: f64, wanted: u32| assert_eq!(capacity(load, of_each), wanted, "{load} by {of_each}");
    check(0.0, 50.0, 0);
    check(0.1, 50.0, 1);
    check(50.0, 50.0, 1);
    check(50.1, 50.0, 2);
    check(0.3, 0.1, 3);
    check(470.0, 50.0, 10);
    // 60,000 requests in an hour are 1,000 a minute: at 300 a minute each, that takes four.
    check(60_000.0, Relation::known(1.0 / 60.0).of_each(300.0), 4);
    let held = Bounds { min: 1, max: 40 };
    assert_eq!(bounds(held, 50, None), held);
    assert_eq!(bounds(held, 50, Some(10)).max, 55);
    assert_eq!(bounds(held, 50, Some(0)).max, 50);
    assert_eq!(bounds(held, 38, Some(10)).max, 42, "close to the most");
    assert_eq!(bounds(held, 30, Some(10)).max, 40);
    assert_eq!(bounds(held, u32::MAX, Some(100)).max, i32::MAX.unsigned_abs());
}

#[test]
fn what_a_metric_has_to_do_with_the_load_is_learned_where_it_is_not_known() {
    // Requests in an hour, and per cent of a processor of each of some members: a request takes 0.002 per cent of an hour.
    let load = hours(MONDAY, 60, |hour| 1000.0 * day(hour));
    let capacity = hours(MONDAY, 60, |hour| 2.0 + (hour % 3) as f64);
    let metric = hours(MONDAY, 60, |hour| 0.002 * 1000.0 * day(hour) / (2.0 + (hour % 3) as f64));
    let seen = Relation::seen(&load, &metric, Some(&capacity)).unwrap();
    assert_eq!(seen.hours, 60);
    assert!((seen.each - 0.002).abs() < 1e-12, "{seen:?}");
    assert!((seen.of_each(50.0) - 25_000.0).abs() < 1e-6);
    let together = hours(MONDAY, 60, |hour| 0.002 * 1000.0 * day(hour));
    assert!((Relation::seen(&load, &together, None).unwrap().each - 0.002).abs() < 1e-12);
    let few = Hours { values: metric.values[..23].to_vec(), ..metric };
    assert_eq!(Relation::seen(&load, &few, Some(&capacity)), None);
}

/// The plainest forecast there is, written another way: of each hour of the day the middle of what it was.
fn plain(history: &[(u64, f64)], hour: u64) -> f64 {
    let mut same: Vec<f64> = history.iter().filter(|(at, _)| at % 24 == hour % 24).map(|(_, value)| *value).collect();
    while same.len() > 2 {
        let least = (0..same.len()).min_by(|a, b| same[*a].total_cmp(&same[*b])).unwrap();
        same.remove(least);
        let most = (0..same.len()).max_by(|a, b| same[*a].total_cmp(&same[*b])).unwrap();
        same.remove(most);
    }
    same.iter().sum::<f64>() / same.len() as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_day_s_profile_is_that_of_a_plain_model(
        first in 0_u64..1_000_000,
        values in prop::collection::vec(0.0_f64..1e6, 24..200),
    ) {
        let history = Hours { first, values: values.iter().copied().map(Some).collect() };
        let pairs: Vec<(u64, f64)> = (first..).zip(values).collect();
        let said = predicted(&history, Model::ALL[0], AHEAD);
        for (place, said) in said.iter().enumerate() {
            let wanted = plain(&pairs, history.end() + place as u64);
            prop_assert!((said - wanted).abs() <= 1e-9 * wanted.max(1.0), "{said} instead of {wanted}");
        }
    }

    #[test]
    fn forecasts_are_numbers_and_capacities_cover_them_within_bounds(
        first in 0_u64..1_000_000,
        values in prop::collection::vec(prop::option::weighted(0.8, prop_oneof![
            0.0_f64..1e4, Just(0.0), Just(f64::NAN), Just(1e300), -1e3_f64..0.0,
        ]), 0..400),
        of_each in 1e-3_f64..1e4,
        min in 0_u32..50,
        span in 0_u32..50,
        buffer in prop::option::of(0_u32..=100),
    ) {
        let history = Hours { first, values };
        let known = history.cleaned().known();
        let Ok(forecast) = forecast(&history) else {
            prop_assert!(known < LEAST);
            return Ok(());
        };
        prop_assert_eq!(forecast.load.len(), AHEAD);
        let held = Bounds { min, max: min + span };
        for load in &forecast.load {
            prop_assert!(load.is_finite() && (0.0..=LARGEST).contains(load), "{load}");
            let members = capacity(*load, of_each);
            if members < u32::MAX {
                prop_assert!(f64::from(members) * of_each >= load * (1.0 - 1e-6), "{members} for {load} by {of_each}");
                prop_assert!(members == 0 || f64::from(members - 1) * of_each < *load);
            }
            let allowed = bounds(held, members, buffer);
            let (wanted, _) = allowed.clamp(i64::from(members));
            prop_assert!(allowed.min == held.min && allowed.max >= held.max);
            prop_assert!((allowed.min..=allowed.max).contains(&wanted));
            if buffer.is_some() && members < i32::MAX.unsigned_abs() {
                prop_assert!(wanted >= members);
            }
        }
        if let Some(accuracy) = forecast.accuracy {
            prop_assert!(accuracy.error >= 0.0 && (0.0..=1.0).contains(&accuracy.under), "{accuracy:?}");
            prop_assert!(accuracy.bias.abs() <= accuracy.error * (1.0 + 1e-9), "{accuracy:?}");
        }
    }
}
