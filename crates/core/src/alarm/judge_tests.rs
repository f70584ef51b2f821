//! AWS's tables, row by row, and a plain model of the rules beside them.

use proptest::prelude::*;

use super::*;

const PERIOD: u64 = 300_000;

fn rule(to_alarm: usize, missing: MissingData) -> Rule {
    let comparison = Comparison::GreaterThanThreshold;
    Rule { periods: 3, to_alarm, comparison, threshold: 10.0, missing, fewest_samples: None }
}

/// `0`: within the threshold, `X`: beyond it, `-`: missing; the newest to the right.
fn range(text: &str) -> Vec<Option<Datapoint>> {
    let entries = text.split_whitespace().enumerate();
    let point = |(n, mark): (usize, &str)| {
        let at = Timestamp(n as u64 * PERIOD);
        match mark {
            "0" => Some(Datapoint { at, value: 10.0, samples: Some(1.0) }),
            "X" => Some(Datapoint { at, value: 11.0, samples: Some(1.0) }),
            _ => None,
        }
    };
    entries.map(point).collect()
}

/// One row: what is to be filled, and the states by `missing`, `ignore`, `breaching` and `notBreaching`.
fn check(to_alarm: usize, points: &str, fill: usize, row: [&str; 4]) {
    for (missing, wanted) in MissingData::ALL.into_iter().zip(row) {
        let found = judge(&rule(to_alarm, missing), &range(points));
        let state = found.state.map_or("retain", AlarmState::as_str);
        assert_eq!(state, wanted, "{to_alarm} of 3, {points}, {missing:?}");
        assert_eq!(found.lacking, fill, "{points}");
        assert_eq!(found.judged.len() + found.lacking, 3, "{points}");
    }
}

const OK: &str = "OK";
const ALARM: &str = "ALARM";
const UNKNOWN: &str = "INSUFFICIENT_DATA";
const RETAIN: &str = "retain";

#[test]
fn awss_table_of_three_out_of_three() {
    check(3, "0 - X - X", 0, [OK, OK, OK, OK]);
    check(3, "0 - - - -", 2, [OK, OK, OK, OK]);
    check(3, "- - - - -", 3, [UNKNOWN, RETAIN, ALARM, OK]);
    check(3, "0 X X - X", 0, [ALARM, ALARM, ALARM, ALARM]);
    check(3, "- - X - -", 2, [ALARM, RETAIN, ALARM, OK]);
}

#[test]
fn awss_table_of_two_out_of_three() {
    check(2, "0 - X - X", 0, [ALARM, ALARM, ALARM, ALARM]);
    check(2, "0 0 X 0 X", 0, [ALARM, ALARM, ALARM, ALARM]);
    check(2, "0 - X - -", 1, [OK, OK, ALARM, OK]);
    check(2, "- - - - 0", 2, [OK, OK, ALARM, OK]);
    check(2, "- - - X -", 2, [ALARM, RETAIN, ALARM, OK]);
}

#[test]
fn rows_of_earlier_editions_of_the_tables() {
    check(3, "- - - - X", 2, [UNKNOWN, RETAIN, ALARM, OK]);
    check(3, "X - - - -", 2, [ALARM, RETAIN, ALARM, OK]);
    check(2, "- - - - X", 2, [UNKNOWN, RETAIN, ALARM, OK]);
}

#[test]
fn what_the_text_beside_the_tables_says() {
    // "The alarm does not go immediately into ALARM state when the data is either …": the next may not breach.
    check(3, "- - - - X", 2, [UNKNOWN, RETAIN, ALARM, OK]);
    check(3, "- - - X -", 2, [UNKNOWN, RETAIN, ALARM, OK]);
    check(3, "- - - X 0", 1, [OK, OK, OK, OK]);
    check(3, "- - X - 0", 1, [OK, OK, OK, OK]);
    // "No matter the value of M".
    check(1, "- - - - X", 2, [ALARM, ALARM, ALARM, ALARM]);
    // "No data points missing": the newest three count.
    check(3, "0 0 X X X", 0, [ALARM, ALARM, ALARM, ALARM]);
    check(3, "X X X X 0", 0, [OK, OK, OK, OK]);
}

#[test]
fn comparisons_are_awss() {
    let check = |comparison: Comparison, below: bool, at: bool, above: bool| {
        for (value, breaches) in [(9.0, below), (10.0, at), (11.0, above)] {
            let rule = Rule { periods: 1, to_alarm: 1, comparison, ..rule(1, MissingData::Missing) };
            let point = Some(Datapoint { at: Timestamp(0), value, samples: None });
            let wanted = if breaches { AlarmState::Alarm } else { AlarmState::Ok };
            assert_eq!(judge(&rule, &[None, None, point]).state, Some(wanted), "{comparison:?} {value}");
        }
    };
    check(Comparison::GreaterThanOrEqualToThreshold, false, true, true);
    check(Comparison::GreaterThanThreshold, false, false, true);
    check(Comparison::LessThanThreshold, true, false, false);
    check(Comparison::LessThanOrEqualToThreshold, true, true, false);
}

#[test]
fn percentiles_need_as_many_samples_as_aws_says() {
    let check = |percentile: f64, wanted: Option<f64>| match (samples_for(percentile), wanted) {
        (None, None) => {}
        (Some(got), Some(wanted)) => assert!((got - wanted).abs() < 1e-6, "p{percentile}: {got}"),
        (got, _) => panic!("p{percentile}: {got:?}"),
    };
    check(99.0, Some(1000.0));
    check(50.0, Some(20.0));
    check(90.0, Some(100.0));
    check(10.0, Some(100.0));
    check(0.0, None);
    check(100.0, None);
}

#[test]
fn few_samples_leave_the_state_only_where_that_is_asked() {
    let check = |fewest: Option<f64>, samples: [f64; 3], wanted: Option<AlarmState>| {
        let rule = Rule { fewest_samples: fewest, ..rule(3, MissingData::Missing) };
        let point = |(n, samples): (usize, f64)| {
            Some(Datapoint { at: Timestamp(n as u64), value: 11.0, samples: Some(samples) })
        };
        let range: Vec<_> = [None, None].into_iter().chain(samples.into_iter().enumerate().map(point)).collect();
        assert_eq!(judge(&rule, &range).state, wanted, "{fewest:?} {samples:?}");
    };
    check(None, [1.0, 1.0, 1.0], Some(AlarmState::Alarm));
    check(Some(100.0), [100.0, 100.0, 100.0], Some(AlarmState::Alarm));
    check(Some(100.0), [100.0, 99.0, 100.0], None);
}

/// The rules as the guide tells them, word by word and without a thought for how it is done: on marks, the oldest first.
fn model(periods: usize, to_alarm: usize, missing: MissingData, marks: &[char]) -> Option<AlarmState> {
    let verdict = |evaluated: &[char]| {
        assert_eq!(evaluated.len(), periods, "the number of datapoints evaluated is always that of evaluation periods");
        let bad = evaluated.iter().filter(|mark| **mark == 'X').count();
        Some(if bad < to_alarm { AlarmState::Ok } else { AlarmState::Alarm })
    };
    let real: Vec<char> = marks.iter().copied().filter(|mark| *mark != '-').collect();
    // "No data points are missing": the most recent ones.
    if !marks.contains(&'-') {
        return verdict(&marks[marks.len() - periods..]);
    }
    // "The number of existing data points is equal to or more than": the most recent real ones.
    if real.len() >= periods {
        return verdict(&real[real.len() - periods..]);
    }
    // "CloudWatch fills in the missing data points", all real ones included.
    let filled = |with: char| {
        let mut evaluated = real.clone();
        while evaluated.len() < periods {
            evaluated.push(with);
        }
        evaluated
    };
    match missing {
        MissingData::Breaching => return verdict(&filled('X')),
        MissingData::NotBreaching => return verdict(&filled('0')),
        MissingData::Missing | MissingData::Ignore => {}
    }
    // The same, whatever the missing ones would have been.
    let (best, worst) = (verdict(&filled('0')), verdict(&filled('X')));
    if best == worst {
        return best;
    }
    // Judged on what there is, where some of it is good.
    if real.contains(&'0') {
        return best;
    }
    if missing == MissingData::Ignore {
        return None;
    }
    // "The oldest available breaching datapoint is at least as old as M, and all more recent ones are breaching or missing".
    for age in to_alarm..=marks.len() {
        if marks[marks.len() - age] == 'X' {
            return Some(AlarmState::Alarm);
        }
    }
    Some(AlarmState::InsufficientData)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_rules_agree_with_a_plain_model_of_them(
        periods in 1usize..7,
        to_alarm in 1usize..7,
        spare in 0usize..4,
        missing in prop::sample::select(MissingData::ALL.to_vec()),
        marks in prop::collection::vec(prop::sample::select(vec!['0', 'X', '-', '-']), 10),
    ) {
        let to_alarm = to_alarm.min(periods);
        let marks = &marks[..periods + spare];
        let text: Vec<String> = marks.iter().map(char::to_string).collect();
        let rule = Rule { periods, ..rule(to_alarm, missing) };
        let found = judge(&rule, &range(&text.join(" ")));
        prop_assert_eq!(found.state, model(periods, to_alarm, missing, marks), "{} of {} {:?} {:?}", to_alarm, periods, missing, marks);
        // Nothing that was there is made up, and nothing else is told of.
        prop_assert!(found.breaching <= found.judged.len());
        prop_assert!(found.judged.windows(2).all(|pair| pair[0].at > pair[1].at));
    }
}
