//! Texts and data as CloudWatch's own: the samples are from notifications and histories that AWS sent.

use super::*;
use crate::alarm::judge;
use crate::noun::alarm::Comparison;

/// 2023-10-26 16:42:00 UTC.
const AT: u64 = 1_698_338_520_000;

struct Case {
    periods: usize,
    /// M, if the alarm states it.
    stated: Option<usize>,
    comparison: Comparison,
    threshold: f64,
    missing: MissingData,
}

const CASE: Case = Case {
    periods: 1,
    stated: None,
    comparison: Comparison::GreaterThanThreshold,
    threshold: 2.0,
    missing: MissingData::Missing,
};

impl Case {
    fn rule(&self) -> Rule {
        let Self { periods, comparison, threshold, missing, .. } = *self;
        let to_alarm = self.stated.unwrap_or(periods);
        Rule { periods, to_alarm, comparison, threshold, missing, fewest_samples: None }
    }

    /// Values a minute apart, the last of them at [`AT`].
    fn range(&self, values: &[Option<f64>]) -> Vec<Option<Datapoint>> {
        let last = values.len() as u64 - 1;
        let point = |(n, value): (usize, &Option<f64>)| {
            let at = Timestamp(AT - (last - n as u64) * 60_000);
            value.map(|value| Datapoint { at, value, samples: Some(2.0) })
        };
        values.iter().enumerate().map(point).collect()
    }

    fn check(&self, values: &[Option<f64>], state: AlarmState, wanted: &str) {
        let rule = self.rule();
        let found = judge(&rule, &self.range(values));
        assert_eq!(found.state, Some(state), "{values:?}");
        let text = text(&rule, &found, state, self.stated.is_some());
        assert_eq!(text, wanted);
        assert!(text.chars().count() <= MOST_REASON);
    }
}

const NONE: Option<f64> = None;

#[test]
fn alarms_that_do_not_state_m() {
    let alarm = AlarmState::Alarm;
    CASE.check(
        &[NONE, NONE, Some(21.5)],
        alarm,
        "Threshold Crossed: 1 datapoint [21.5 (26/10/23 16:42:00)] was greater than the threshold (2.0).",
    );
    CASE.check(
        &[NONE, NONE, Some(0.25)],
        AlarmState::Ok,
        "Threshold Crossed: 1 datapoint [0.25 (26/10/23 16:42:00)] was not greater than the threshold (2.0).",
    );
    Case { periods: 2, ..CASE }.check(
        &[NONE, NONE, Some(3.0), Some(4.0)],
        alarm,
        "Threshold Crossed: 2 datapoints [4.0 (26/10/23 16:42:00), 3.0 (26/10/23 16:41:00)] were greater than the threshold (2.0).",
    );
    Case { periods: 2, comparison: Comparison::LessThanThreshold, threshold: 1.0, missing: MissingData::Breaching, ..CASE }
        .check(
            &[NONE, NONE, NONE, Some(0.0)],
            alarm,
            "Threshold Crossed: 1 datapoint [0.0 (26/10/23 16:42:00)] was less than the threshold (1.0) and 1 missing datapoint was treated as [Breaching].",
        );
    let least = Comparison::GreaterThanOrEqualToThreshold;
    Case { periods: 2, comparison: least, threshold: 1.0, missing: MissingData::Breaching, ..CASE }.check(
        &[NONE, NONE, NONE, Some(0.0)],
        AlarmState::Ok,
        "Threshold Crossed: 1 datapoint [0.0 (26/10/23 16:42:00)] was not greater than or equal to the threshold (1.0) and 1 missing datapoint was treated as [Breaching].",
    );
    let values: Vec<_> = (0..7).map(|_| Some(27.5)).collect();
    Case { periods: 5, threshold: 10.0, ..CASE }.check(
        &values,
        alarm,
        "Threshold Crossed: 5 datapoints were greater than the threshold (10.0). The most recent datapoints which crossed the threshold: [27.5 (26/10/23 16:42:00), 27.5 (26/10/23 16:41:00), 27.5 (26/10/23 16:40:00), 27.5 (26/10/23 16:39:00), 27.5 (26/10/23 16:38:00)].",
    );
}

#[test]
fn alarms_that_state_m() {
    Case { stated: Some(1), comparison: Comparison::LessThanOrEqualToThreshold, threshold: 0.0, ..CASE }.check(
        &[NONE, NONE, Some(0.0)],
        AlarmState::Alarm,
        "Threshold Crossed: 1 out of the last 1 datapoints [0.0 (26/10/23 16:42:00)] was less than or equal to the threshold (0.0) (minimum 1 datapoint for OK -> ALARM transition).",
    );
    Case { periods: 5, stated: Some(3), threshold: 0.0, ..CASE }.check(
        &[NONE, NONE, Some(1.0), Some(0.0), Some(1.0), Some(0.0), Some(0.0)],
        AlarmState::Ok,
        "Threshold Crossed: 3 out of the last 5 datapoints [0.0 (26/10/23 16:42:00), 0.0 (26/10/23 16:41:00), 0.0 (26/10/23 16:39:00)] were not greater than the threshold (0.0) (minimum 3 datapoints for ALARM -> OK transition).",
    );
    // What was there for M periods is enough, though it is fewer than M.
    Case { periods: 3, stated: Some(3), comparison: Comparison::LessThanThreshold, ..CASE }.check(
        &[NONE, NONE, Some(0.0), NONE, NONE],
        AlarmState::Alarm,
        "Threshold Crossed: 1 out of the last 3 datapoints [0.0 (26/10/23 16:40:00)] was less than the threshold (2.0) (minimum 3 datapoints for OK -> ALARM transition).",
    );
    let values: Vec<_> = (0..32).map(|_| Some(60.0)).collect();
    Case { periods: 30, stated: Some(30), threshold: 20.0, ..CASE }.check(
        &values,
        AlarmState::Alarm,
        "Threshold Crossed: 30 out of the last 30 datapoints were greater than the threshold (20.0). The most recent datapoints which crossed the threshold: [60.0 (26/10/23 16:42:00), 60.0 (26/10/23 16:41:00), 60.0 (26/10/23 16:40:00), 60.0 (26/10/23 16:39:00), 60.0 (26/10/23 16:38:00)] (minimum 30 datapoints for OK -> ALARM transition).",
    );
}

#[test]
fn what_is_missing_is_told_of() {
    let breaching = |periods, stated| Case { periods, stated, missing: MissingData::Breaching, ..CASE };
    breaching(2, None).check(
        &[NONE; 4],
        AlarmState::Alarm,
        "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as [Breaching].",
    );
    Case { missing: MissingData::NotBreaching, ..CASE }.check(
        &[NONE; 3],
        AlarmState::Ok,
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [NonBreaching].",
    );
    breaching(3, Some(2)).check(
        &[NONE, NONE, NONE, NONE, Some(0.0)],
        AlarmState::Alarm,
        "Threshold Crossed: 1 datapoint was received for 3 periods and 2 missing datapoints were treated as [Breaching].",
    );
    CASE.check(&[NONE; 3], AlarmState::InsufficientData, "Insufficient Data: 1 datapoint was unknown.");
    Case { periods: 3, ..CASE }.check(
        &[NONE; 5],
        AlarmState::InsufficientData,
        "Insufficient Data: 3 datapoints were unknown.",
    );
}

#[test]
fn numbers_are_written_as_java_writes_them() {
    let check = |value: f64, wanted: &str| assert_eq!(double(value), wanted);
    check(81.0, "81.0");
    check(0.0, "0.0");
    check(-0.5, "-0.5");
    check(0.19726775956284198, "0.19726775956284198");
    check(9_999_999.0, "9999999.0");
    check(10_000_000.0, "1.0E7");
    check(15_000_000.0, "1.5E7");
    check(1_073_741_824.0, "1.073741824E9");
    check(0.001, "0.001");
    check(0.0005, "5.0E-4");
    check(f64::MAX, "1.7976931348623157E308");
}

#[test]
fn data_has_awss_fields_in_awss_order() {
    let case = Case { periods: 2, ..CASE };
    let window = Window { start: Timestamp(AT - 3 * 60_000), period: 60, buckets: 4 };
    let of = |values: &[Option<f64>]| {
        let found = judge(&case.rule(), &case.range(values));
        let data = data(&case.rule(), &found, &window, Some("Average"), Some("Seconds"), Timestamp(AT + 60_937));
        serde_json::to_string(&data).unwrap()
    };
    assert_eq!(
        of(&[NONE, NONE, Some(21.5), Some(3.0)]),
        r#"{"version":"1.0","queryDate":"2023-10-26T16:43:00.937+0000","startDate":"2023-10-26T16:41:00.000+0000","unit":"Seconds","statistic":"Average","period":60,"recentDatapoints":[21.5,3.0],"threshold":2.0,"evaluatedDatapoints":[{"timestamp":"2023-10-26T16:42:00.000+0000","sampleCount":2.0,"value":3.0},{"timestamp":"2023-10-26T16:41:00.000+0000","sampleCount":2.0,"value":21.5}]}"#
    );
    assert_eq!(
        of(&[NONE, NONE, NONE, NONE]),
        r#"{"version":"1.0","queryDate":"2023-10-26T16:43:00.937+0000","unit":"Seconds","statistic":"Average","period":60,"recentDatapoints":[],"threshold":2.0,"evaluatedDatapoints":[{"timestamp":"2023-10-26T16:42:00.000+0000"},{"timestamp":"2023-10-26T16:41:00.000+0000"}]}"#
    );
    // A datapoint among what is missing keeps its place.
    assert!(of(&[NONE, NONE, Some(1.0), NONE]).ends_with(
        r#""recentDatapoints":[1.0],"threshold":2.0,"evaluatedDatapoints":[{"timestamp":"2023-10-26T16:42:00.000+0000"},{"timestamp":"2023-10-26T16:41:00.000+0000","sampleCount":2.0,"value":1.0}]}"#
    ));
}

#[test]
fn the_longest_data_keeps_to_awss_limit() {
    let case = Case { periods: 1440, threshold: -f64::MAX / 3.0, ..CASE };
    let range: Vec<_> = case.range(&vec![Some(-f64::MAX / 7.0); 1442]);
    let range: Vec<_> =
        range.into_iter().map(|p| p.map(|p| Datapoint { samples: Some(f64::MAX / 3.0), ..p })).collect();
    let (rule, window) = (case.rule(), Window { start: Timestamp(0), period: 86_400, buckets: 1442 });
    let found = judge(&rule, &range);
    let data = data(&rule, &found, &window, Some("p99.9999999999"), Some("Kilobytes/Second"), Timestamp(AT));
    let text = serde_json::to_string(&data).unwrap();
    assert!(text.len() <= MOST_DATA, "{}", text.len());
    assert!(super::text(&rule, &found, AlarmState::Alarm, true).len() <= MOST_REASON);
}
