//! The sentences of a scaling activity's cause, in AWS's words (aws-doc: Auto Scaling User Guide, "Verify a scaling activity").
//!
//! Owns their wording and how they are put together. Must never decide anything.

use crate::noun::activity::CAUSE_LENGTH;
use crate::scaling::replacement::Cause;
use crate::time::Timestamp;

/// How many sentences a group keeps of what changed its wish.
const KEPT: usize = 5;

/// `At TIME WHAT.`
pub(super) fn sentence(now: Timestamp, what: &str) -> String {
    format!("At {} {what}.", now.iso())
}

/// Adds a sentence to those a group keeps.
pub(super) fn keep(why: &mut Vec<String>, sentence: String) {
    why.push(sentence);
    if why.len() > KEPT {
        // The first says what it all began with.
        why.remove(1);
    }
}

/// A cause of what is kept and a last sentence, cut to AWS's length at a sentence's end.
pub(super) fn told(why: &[String], last: &[String]) -> String {
    let mut sentences: Vec<&String> = why.iter().chain(last).collect();
    while sentences.iter().map(|s| s.chars().count() + 2).sum::<usize>() > CAUSE_LENGTH && sentences.len() > 1 {
        sentences.remove(0);
    }
    let text = sentences.into_iter().map(String::as_str).collect::<Vec<_>>().join("  ");
    text.chars().take(CAUSE_LENGTH).collect()
}

/// How the wish changed.
pub(super) fn wish(from: u32, to: u32) -> String {
    format!("changing the desired capacity from {from} to {to}")
}

/// How a group was given other bounds.
pub(super) fn bounds(by: &str, min: u32, max: u32, desired: u32, from: u32) -> String {
    let constraints =
        format!("{by} update of AutoScalingGroup constraints to min: {min}, max: {max}, desired: {desired}");
    format!("{constraints} {}", wish(from, desired))
}

/// One more, because there are to be more.
pub(super) fn started(from: u32, to: u32) -> String {
    let difference = "an instance was started in response to a difference between desired and actual capacity";
    format!("{difference}, increasing the capacity from {from} to {to}")
}

/// One more, in place of one that ended ill.
pub(super) const REPLACED: &str =
    "an instance was launched in response to an unhealthy instance needing to be replaced";

/// One more, so that zones have as many as each other.
pub(super) const BALANCED: &str = "an instance was launched to aid in balancing the group's zones";

/// One more, so that another one can go.
pub(super) const REFRESHED: &str = "an instance was launched in response to an instance refresh";

/// One fewer, because another one takes its place.
pub(super) const REFRESHES: &str = "an instance was taken out of service in response to an instance refresh";

/// One fewer, because there are to be fewer.
pub(super) fn ended(from: u32, to: u32) -> String {
    let difference =
        "an instance was taken out of service in response to a difference between desired and actual capacity";
    format!("{difference}, shrinking the capacity from {from} to {to}")
}

/// One more that is ready.
pub(super) fn pooled(have: u32) -> String {
    let difference = "an instance was started in response to a difference between desired and actual capacity";
    format!("{difference}, increasing the warm pool capacity from {have} to {}", have + 1)
}

/// One fewer that is ready.
pub(super) fn unpooled(have: u32, illness: Option<Cause>) -> String {
    let why = match illness {
        Some(illness) => ill(illness).to_owned(),
        None => "an instance was taken out of the warm pool, which had no more use for it".to_owned(),
    };
    format!("{why}, shrinking the warm pool capacity from {have} to {}", have.saturating_sub(1))
}

/// One fewer, because it is ill.
pub(super) fn ill(illness: Cause) -> &'static str {
    match illness {
        Cause::NotRunning => {
            "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped"
        }
        Cause::StatusCheck => "an instance was taken out of service in response to EC2 instance status checks failure",
        Cause::Balancer => "an instance was taken out of service in response to an ELB system health check failure",
        Cause::SetByUser => "an instance was taken out of service in response to a user health-check",
    }
}

/// What was found of one that is ill.
pub(super) fn found(illness: Cause) -> &'static str {
    match illness {
        Cause::NotRunning => "it does not run",
        Cause::StatusCheck => "its status checks fail",
        Cause::Balancer => "its load balancer's health checks fail",
        Cause::SetByUser => "it was set unhealthy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_cut_at_a_sentence_and_begins_with_the_newest_that_fit() {
        let one = sentence(Timestamp(0), &wish(0, 3));
        assert_eq!(one, "At 1970-01-01T00:00:00Z changing the desired capacity from 0 to 3.");
        assert_eq!(told(std::slice::from_ref(&one), &["At last.".into()]), format!("{one}  At last."));
        let long = vec![format!("At {}.", "x".repeat(600)), format!("At {}.", "y".repeat(600))];
        assert_eq!(told(&long, &["At last.".into()]), format!("{}  At last.", long[1]));
        assert_eq!(told(&["z".repeat(2_000)], &[]).len(), CAUSE_LENGTH);
        let mut why = Vec::new();
        for n in 0..7 {
            keep(&mut why, n.to_string());
        }
        assert_eq!(why, ["0", "3", "4", "5", "6"]);
    }
}
