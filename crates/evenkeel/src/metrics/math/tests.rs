//! Expressions, by what they come down to.

use proptest::prelude::*;

use super::*;

fn line(points: &[(i64, f64)]) -> Value {
    Value::Line(Line { label: String::new(), period: 60, points: points.iter().map(|(at, v)| (at * 60, *v)).collect() })
}

fn eval(text: &str) -> Result<Value, BadExpression> {
    let named: BTreeMap<String, Value> = [
        ("m1", line(&[(0, 1.0), (1, 2.0), (2, 4.0), (4, 8.0)])),
        ("m2", line(&[(0, 10.0), (2, 0.0), (3, 30.0)])),
        ("e1", line(&[(0, -1.5)])),
        ("none", line(&[])),
    ]
    .map(|(id, value)| (id.to_owned(), value))
    .into();
    let metrics = ["m1".to_owned(), "m2".to_owned()];
    Expression::parse(text)?.eval(&Scope { named: &named, metrics: &metrics, from: 0, to: 300, period: 60 })
}

fn points(text: &str) -> Vec<(i64, f64)> {
    match eval(text) {
        Ok(Value::Line(line)) => line.points.into_iter().map(|(at, value)| (at / 60, value)).collect(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn numbers_bind_as_they_do_on_paper() {
    let check = |text: &str, wanted: f64| assert_eq!(eval(text), Ok(Value::Scalar(wanted)), "{text}");
    check("1 + 2 * 3", 7.0);
    check("(1 + 2) * 3", 9.0);
    check("8 / 4 / 2", 1.0);
    check("7 - 2 - 1", 4.0);
    check("2 ^ 3 ^ 2", 512.0);
    check("-2 ^ 2", -4.0);
    check("2 ^ -1", 0.5);
    check("- - 3", 3.0);
    check("1.5e2 + .5", 150.5);
    check("1 < 2", 1.0);
    check("2 <= 1", 0.0);
    check("1 + 1 == 2", 1.0);
    check("1 != 1", 0.0);
    check("1 < 2 AND 2 < 1 OR 3 > 2", 1.0);
    check("1 && 0 || 0", 0.0);
    check("IF(2 > 1, 5, 6)", 5.0);
    check("SUM(m1)", 15.0);
    check("AVG(m1)", 3.75);
    check("MIN(m1) + MAX(m1)", 9.0);
    check("STDDEV(m2) * STDDEV(m2)", 1400.0 / 9.0);
    check("PERIOD(m1)", 60.0);
    check("METRIC_COUNT(METRICS())", 2.0);
    check("LOG10(1000) + LOG(1)", 3.0);
}

#[test]
fn series_go_together_where_both_have_a_point() {
    let check = |text: &str, wanted: &[(i64, f64)]| assert_eq!(points(text), wanted, "{text}");
    check("m1 + m2", &[(0, 11.0), (2, 4.0)]);
    // A division by zero is no point.
    check("m1 / m2", &[(0, 0.1)]);
    check("100 * m1 - 1", &[(0, 99.0), (1, 199.0), (2, 399.0), (4, 799.0)]);
    check("m1 > 2", &[(0, 0.0), (1, 0.0), (2, 1.0), (4, 1.0)]);
    check("SUM(METRICS())", &[(0, 11.0), (1, 2.0), (2, 4.0), (3, 30.0), (4, 8.0)]);
    check("SUM(METRICS(\"m2\"))", &[(0, 10.0), (2, 0.0), (3, 30.0)]);
    check("AVG([m1, m2])", &[(0, 5.5), (1, 2.0), (2, 2.0), (3, 30.0), (4, 8.0)]);
    check("MAX([m1, m2, m1 * 5])", &[(0, 10.0), (1, 10.0), (2, 20.0), (3, 30.0), (4, 40.0)]);
    check("LAST([m1, m2])", &[(0, 10.0), (2, 0.0), (3, 30.0)]);
    check("SUM([m1, m2] * 2)", &[(0, 22.0), (1, 4.0), (2, 8.0), (3, 60.0), (4, 16.0)]);
    check("DIFF(m1)", &[(1, 1.0), (2, 2.0), (4, 4.0)]);
    check("RATE(m1) * 60", &[(1, 1.0), (2, 2.0), (4, 2.0)]);
    check("RUNNING_SUM(m1)", &[(0, 1.0), (1, 3.0), (2, 7.0), (4, 15.0)]);
    check("FILL(m2, 0)", &[(0, 10.0), (1, 0.0), (2, 0.0), (3, 30.0), (4, 0.0)]);
    check("FILL(m2, REPEAT)", &[(0, 10.0), (1, 10.0), (2, 0.0), (3, 30.0), (4, 30.0)]);
    check("FILL(m2, LINEAR)", &[(0, 10.0), (1, 5.0), (2, 0.0), (3, 30.0), (4, 30.0)]);
    check("FILL(m2, m1)", &[(0, 10.0), (1, 2.0), (2, 0.0), (3, 30.0), (4, 8.0)]);
    check("FILL(none, 7)", &[(0, 7.0), (1, 7.0), (2, 7.0), (3, 7.0), (4, 7.0)]);
    check("IF(m1 > 1, m2, -1)", &[(0, -1.0), (2, 0.0)]);
    check("IF(m1 > 1, m1)", &[(1, 2.0), (2, 4.0), (4, 8.0)]);
    check("IF(0, m1, m2)", &points("m2"));
    check("ABS(e1) + CEIL(e1) + FLOOR(e1)", &[(0, 1.5 - 1.0 - 2.0)]);
    check("TIME_SERIES(3)", &[(0, 3.0), (1, 3.0), (2, 3.0), (3, 3.0), (4, 3.0)]);
}

#[test]
fn what_is_wrong_is_told() {
    let check = |text: &str, wanted: &str| {
        let told = eval(text).unwrap_err().to_string();
        assert!(told.contains(wanted), "{text}: {told}");
    };
    check("", "Unexpected end");
    check("m1 +", "Unexpected end");
    check("m1 m2", "Unexpected 'm' at character 4");
    check("(m1", "Unexpected end");
    check("m1 § 2", "Unexpected '§' at character 4");
    check("gone", "Unknown id 'gone'");
    check("FOO(m1)", "Unknown function 'FOO'");
    check("SEARCH('{AWS/EC2}', 'Average')", "SEARCH is not supported here");
    check("SUM(m1, m2)", "SUM takes 1 argument, not 2");
    check("SUM(\"x\")", "SUM cannot be of a text");
    check("FILL(m1, \"x\")", "cannot be of a text");
    check("m1 + LINEAR", "cannot be of a way to fill");
    check("[m1, 2]", "not a scalar");
    check("RATE(1)", "RATE cannot be of a scalar");
    check("\"x", "A text has no end");
    check(&"(".repeat(1000), "levels deep");
    check(&"-".repeat(1000), "levels deep");
    check(&"1+".repeat(2000), "longer than 2048");
    check("1e999", "Unexpected");
}

proptest! {
    #[test]
    fn any_text_is_an_expression_or_refused(text in "[-+*/^()\\[\\],.<>=!&|a-zA-Z0-9\"' ]{0,80}|\\PC{0,40}") {
        let _ = eval(&text);
    }
}
