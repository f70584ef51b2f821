//! What the thresholds, the quick pace and suspicion promise, by table and by random histories.

use proptest::prelude::*;

use super::*;

const RULES: Rules = Rules { interval: Duration::from_secs(10), unhealthy: 2, healthy: 3 };

fn at(ms: u64) -> Timestamp {
    Timestamp(1_000_000 + ms)
}

/// Plays one history: each step is a moment in ms, what happens, and the verdict after it.
/// `ok`, `refused`, `503`: a check that starts and ends there. `suspect`, `moved`, `configure`: told so.
fn check(name: &str, rules: Rules, steps: &[(u64, &str, Health)]) -> Tracker {
    let mut tracker = Tracker::new(rules, u16::MAX, at(0));
    for &(ms, what, wanted) in steps {
        let before = tracker.health();
        let result = match what {
            "ok" => Some(Ok(())),
            "refused" => Some(Err(Cause::Refused)),
            "503" => Some(Err(Cause::Status { status: 503 })),
            _ => None,
        };
        let transition = match (what, result) {
            ("suspect", _) => {
                tracker.suspect(at(ms));
                None
            }
            ("configure", _) => {
                tracker.configure(rules, at(ms));
                None
            }
            ("moved", _) => tracker.moved(at(ms)),
            (_, result) => {
                tracker.started(at(ms));
                tracker.finished(result.expect("a known step"), at(ms))
            }
        };
        assert_eq!(tracker.health(), wanted, "{name}: after {what} at {ms}");
        assert_eq!(transition.is_some(), before != wanted, "{name}: a record for each change, {what} at {ms}");
        if let Some(record) = transition {
            assert_eq!((record.from, record.to, record.at), (before, wanted, at(ms)), "{name}");
            assert_eq!(tracker.since(), at(ms), "{name}");
        }
    }
    tracker
}

#[test]
fn verdicts_follow_the_thresholds() {
    use Health::{Failing, InService, Initial, Recovering};
    check("one success is enough for a new target", RULES, &[(0, "ok", InService)]);
    check("a slow starter", RULES, &[(0, "refused", Initial), (9_000, "503", Initial), (19_000, "ok", InService)]);
    check(
        "a new target that never answers",
        RULES,
        &[
            (0, "refused", Initial),
            (100, "refused", Initial),
            (19_999, "refused", Initial),
            (20_000, "refused", Failing),
        ],
    );
    check(
        "out after two in a row",
        RULES,
        &[
            (0, "ok", InService),
            (10_000, "503", InService),
            (20_000, "ok", InService),
            (30_000, "503", InService),
            (40_000, "503", Failing),
        ],
    );
    check(
        "back after three in a row",
        RULES,
        &[
            (0, "ok", InService),
            (10_000, "503", InService),
            (20_000, "503", Failing),
            (30_000, "ok", Recovering),
            (40_000, "ok", Recovering),
            (50_000, "503", Failing),
            (60_000, "ok", Recovering),
            (70_000, "ok", Recovering),
            (80_000, "ok", InService),
        ],
    );
    check(
        "refusals without suspicion wait for the threshold",
        Rules { unhealthy: 3, ..RULES },
        &[
            (0, "ok", InService),
            (10_000, "refused", InService),
            (20_000, "refused", InService),
            (30_000, "refused", Failing),
        ],
    );
    check(
        "a configured check keeps the verdict and counts anew",
        RULES,
        &[
            (0, "ok", InService),
            (10_000, "503", InService),
            (11_000, "configure", InService),
            (11_000, "503", InService),
            (21_000, "503", Failing),
            (31_000, "ok", Recovering),
            (32_000, "configure", Recovering),
            (32_000, "ok", Recovering),
            (33_000, "ok", Recovering),
            (34_000, "ok", InService),
        ],
    );
    check(
        "a moved target is new",
        RULES,
        &[(0, "ok", InService), (1_000, "moved", Initial), (1_000, "refused", Initial), (1_100, "ok", InService)],
    );
}

#[test]
fn suspicion_is_settled_quickly_and_undone_quickly() {
    use Health::{Failing, InService, Recovering};
    let rules = Rules { unhealthy: 10, healthy: 10, ..RULES };
    check(
        "two refused in a row",
        rules,
        &[
            (0, "ok", InService),
            (5_000, "suspect", InService),
            (5_000, "refused", InService),
            (5_100, "refused", Failing),
        ],
    );
    check(
        "refused, another failure, refused: not in a row",
        rules,
        &[
            (0, "ok", InService),
            (5_000, "suspect", InService),
            (5_000, "refused", InService),
            (5_100, "503", InService),
            (5_300, "refused", InService),
            (5_700, "refused", Failing),
        ],
    );
    check(
        "a good check clears it",
        rules,
        &[
            (0, "ok", InService),
            (5_000, "suspect", InService),
            (5_000, "ok", InService),
            (6_000, "refused", InService),
            (7_000, "refused", InService),
        ],
    );
    check(
        "back by one success while AWS would not have noticed",
        rules,
        &[
            (0, "ok", InService),
            (5_000, "suspect", InService),
            (5_000, "refused", InService),
            (5_100, "refused", Failing),
            (104_999, "ok", InService),
        ],
    );
    check(
        "afterwards only by the threshold",
        rules,
        &[
            (0, "ok", InService),
            (5_000, "suspect", InService),
            (5_000, "refused", InService),
            (5_100, "refused", Failing),
            (105_000, "ok", Recovering),
            (106_000, "ok", Recovering),
        ],
    );
    let tracker = check(
        "only what serves can be suspect",
        rules,
        &[(0, "refused", Health::Initial), (1, "suspect", Health::Initial)],
    );
    assert!(!tracker.is_suspect());
    let steps = [
        (0, "ok", InService),
        (5_000, "suspect", InService),
        (5_000, "refused", InService),
        (5_100, "refused", Failing),
    ];
    let tracker = check("provisional", rules, &steps);
    assert_eq!(tracker.provisional_for(at(5_100)), Some(Duration::from_millis(99_900)));
    assert_eq!(tracker.provisional_for(at(105_000)), None);
}

#[test]
fn a_check_that_began_before_the_suspicion_does_not_clear_it() {
    let mut tracker = check("in service", RULES, &[(0, "ok", Health::InService)]);
    tracker.started(at(10_000));
    tracker.suspect(at(10_500));
    assert_eq!(tracker.finished(Ok(()), at(11_000)), None);
    assert!(tracker.is_suspect());
    assert_eq!(tracker.due(), at(10_500), "asked again at once");
    tracker.started(at(11_000));
    assert_eq!(tracker.finished(Ok(()), at(11_001)), None);
    assert!(!tracker.is_suspect());
}

#[test]
fn the_pace_is_quick_until_the_first_success_and_then_steady_from_start_to_start() {
    let gaps = |tracker: &mut Tracker, result: Result<(), Cause>, count: usize| -> Vec<u64> {
        (0..count)
            .map(|_| {
                let start = tracker.due();
                tracker.started(start);
                tracker.finished(result.clone(), start.plus(Duration::from_millis(70)));
                tracker.due().0 - start.0
            })
            .collect()
    };
    let mut tracker = Tracker::new(RULES, u16::MAX / 2, at(0));
    assert_eq!(tracker.due(), at(0), "a new target is asked at once");
    let quick = [100, 200, 400, 800, 1_600, 3_200, 6_400, 7_499, 10_000, 10_000];
    assert_eq!(gaps(&mut tracker, Err(Cause::Refused), 10), quick, "spread once, then steady");
    let mut tracker = Tracker::new(RULES, u16::MAX / 2, at(0));
    assert_eq!(gaps(&mut tracker, Err(Cause::Refused), 3), quick[..3]);
    assert_eq!(gaps(&mut tracker, Ok(()), 3), [7_499, 10_000, 10_000], "spread once, then steady");
    assert_eq!(gaps(&mut tracker, Err(Cause::Refused), 1), [10_000], "a failure does not change the pace");

    let mut tracker = Tracker::new(RULES, u16::MAX, at(0));
    assert_eq!(gaps(&mut tracker, Ok(()), 2), [10_000, 10_000]);
    let last = Timestamp(tracker.due().0 - 10_000);
    tracker.suspect(last.plus(Duration::from_millis(30)));
    assert_eq!(tracker.due(), last.plus(QUICK), "never two checks within 100 ms");
    tracker.suspect(last.plus(Duration::from_secs(60)));
    assert_eq!(tracker.due(), last.plus(QUICK), "a second suspicion adds nothing");
    assert_eq!(gaps(&mut tracker, Err(Cause::Closed), 1), [100]);
    assert_eq!(gaps(&mut tracker, Err(Cause::Closed), 1), [200]);

    let mut tracker = Tracker::new(RULES, 0, at(0));
    gaps(&mut tracker, Ok(()), 1);
    tracker.configure(Rules { interval: Duration::from_secs(60), ..RULES }, at(4_000));
    assert_eq!(tracker.due(), at(4_000), "what is asked changed: asked at once");
    assert_eq!(gaps(&mut tracker, Err(Cause::Refused), 2), [30_000, 60_000], "then at the new interval");
}

#[test]
fn causes_are_words() {
    let check = |cause: Cause, text: &str| assert_eq!(cause.to_string(), text);
    check(Cause::Passed { in_a_row: 1 }, "passed a check");
    check(Cause::Passed { in_a_row: 3 }, "passed 3 checks in a row");
    check(Cause::Refused, "connection refused");
    check(Cause::NoAnswer { within: Duration::from_secs(5) }, "no answer within 5 s");
    check(Cause::NoConnection { within: Duration::from_millis(2_500) }, "no connection within 2.5 s");
    check(Cause::Status { status: 503 }, "status 503, 200 wanted");
    check(Cause::Handshake { error: "bad record".into() }, "TLS handshake failed: bad record");
}

#[derive(Clone, Debug)]
enum Event {
    Check { wait: u64, takes: u64, result: Result<(), Cause> },
    Suspect,
    Configure(Rules),
    Moved,
}

fn rules() -> impl Strategy<Value = Rules> {
    (5u64..=300, 2u32..=10, 2u32..=10).prop_map(|(interval, unhealthy, healthy)| Rules {
        interval: Duration::from_secs(interval),
        unhealthy,
        healthy,
    })
}

fn event() -> impl Strategy<Value = Event> {
    let result = prop_oneof![
        3 => Just(Ok(())),
        2 => Just(Err(Cause::Refused)),
        1 => Just(Err(Cause::Status { status: 500 })),
    ];
    prop_oneof![
        12 => (0u64..2_000, 0u64..4_000, result).prop_map(|(wait, takes, result)| Event::Check { wait, takes, result }),
        2 => Just(Event::Suspect),
        1 => rules().prop_map(Event::Configure),
        1 => Just(Event::Moved),
    ]
}

proptest! {
    #[test]
    fn random_histories_keep_the_promises(first in rules(), place: u16, events in prop::collection::vec(event(), 1..200)) {
        let mut rules = first;
        let mut now = at(0);
        let mut tracker = Tracker::new(rules, place, now);
        // The results since registration, the last move or the last configuration, newest last.
        let mut run: Vec<bool> = Vec::new();
        let mut ever_passed = false;
        for event in events {
            let before = tracker.health();
            let transition = match event {
                Event::Suspect => { tracker.suspect(now); None }
                Event::Configure(next) => { rules = next; run.clear(); tracker.configure(next, now); None }
                Event::Moved => { run.clear(); ever_passed = false; tracker.moved(now) }
                Event::Check { wait, takes, result } => {
                    now = tracker.due().max(now).plus(Duration::from_millis(wait));
                    tracker.started(now);
                    let start = now;
                    prop_assert!(tracker.due() >= start.plus(QUICK));
                    prop_assert!(tracker.due() <= start.plus(rules.interval));
                    now = now.plus(Duration::from_millis(takes));
                    run.push(result.is_ok());
                    ever_passed |= result.is_ok();
                    let turned = tracker.finished(result, now);
                    prop_assert!(tracker.due() <= start.plus(rules.interval).max(now));
                    turned
                }
            };
            let in_a_row = |good: bool| run.iter().rev().take_while(|&&r| r == good).count();
            prop_assert_eq!(transition.is_some(), before != tracker.health());
            if let Some(record) = &transition {
                prop_assert_eq!(record.from, before);
                prop_assert_eq!(record.to, tracker.health());
                match (record.from, record.to) {
                    (Health::Initial, Health::InService) | (Health::Failing, Health::Recovering) => prop_assert!(in_a_row(true) >= 1),
                    // By the threshold, or by one success that undoes a verdict by suspicion.
                    (Health::Failing, Health::InService) => prop_assert!(in_a_row(true) >= 1),
                    (Health::Recovering, Health::InService) => prop_assert!(in_a_row(true) >= rules.healthy as usize),
                    (Health::InService | Health::Initial, Health::Failing) => prop_assert!(in_a_row(false) >= 2),
                    (Health::Recovering, Health::Failing) => prop_assert!(in_a_row(false) == 1),
                    (_, Health::Initial) => prop_assert_eq!(&record.why, &Cause::Moved),
                    (from, to) => prop_assert!(false, "{} became {}", from, to),
                }
            }
            if tracker.health() == Health::InService {
                prop_assert!(ever_passed);
            }
            if in_a_row(false) >= rules.unhealthy as usize && before != Health::Initial {
                prop_assert_eq!(tracker.health(), Health::Failing);
            }
            if in_a_row(true) >= rules.healthy as usize && !tracker.is_suspect() {
                prop_assert_eq!(tracker.health(), Health::InService);
            }
            prop_assert!(!tracker.is_suspect() || tracker.health() == Health::InService);
        }
    }
}
