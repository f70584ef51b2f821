//! The loop that warns of certificates in use before they end, in the log and in the status.
//!
//! Owns the words and that each step is logged once. Which steps there are is `plan::certificates`'s to say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenkeel_aws::Time;
use evenkeel_core::name::CertificateArn;
use evenkeel_core::plan::certificates::{Expiring, expiring};
use evenkeel_core::time::Timestamp;
use tokio::sync::Notify;

use super::{Outcome, SightingsWatch, Statuses, now, reconcile};
use crate::keeper::KeeperHandle;

/// The longest that a step is noticed late.
const LONGEST: Duration = Duration::from_secs(60);

/// Runs the loop; never returns.
pub async fn run(keeper: KeeperHandle, sightings: SightingsWatch, statuses: Statuses) {
    let generations = keeper.generations();
    let warned = Arc::new(Mutex::new(BTreeMap::new()));
    reconcile("certificates", statuses, Arc::new(Notify::new()), generations, sightings, LONGEST, || {
        let (keeper, warned) = (keeper.clone(), Arc::clone(&warned));
        async move {
            let found = expiring(&keeper.world(), now());
            let mut warned = warned.lock().unwrap_or_else(PoisonError::into_inner);
            for text in news(&mut warned, &found) {
                eprintln!("certificates: {text}");
            }
            Outcome { notes: found.iter().map(said).collect(), ..Outcome::default() }
        }
    })
    .await;
}

/// What has reached a step since the last look; a certificate that was renewed begins anew.
fn news(warned: &mut BTreeMap<CertificateArn, (Timestamp, u64)>, found: &[Expiring]) -> Vec<String> {
    let is = found.iter().map(|e| (e.certificate.clone(), (e.not_after, e.step))).collect::<BTreeMap<_, _>>();
    let new = found.iter().filter(|e| warned.get(&e.certificate) != is.get(&e.certificate)).map(said).collect();
    *warned = is;
    new
}

fn said(expiring: &Expiring) -> String {
    let listeners: Vec<String> = expiring.shown_by.iter().map(|(name, port)| format!("{name}:{port}")).collect();
    let when = Time(i64::try_from(expiring.not_after.0).unwrap_or(i64::MAX));
    let what = match expiring.step {
        0 => "has expired".to_owned(),
        1 => "expires within a day".to_owned(),
        days => format!("expires within {days} days"),
    };
    let (subject, arn) = (&expiring.subject, &expiring.certificate);
    format!("the certificate for `{subject}` on {} {what}, at {when}: {arn}", listeners.join(", "))
}

#[cfg(test)]
mod tests {
    use evenkeel_core::name::{LoadBalancerName, Port};

    use super::*;

    #[test]
    fn each_step_is_told_once_and_anew_after_a_renewal() {
        let expiring = |end: u64, step: u64| Expiring {
            certificate: CertificateArn::new("arn:aws:iam::000000000000:server-certificate/web").unwrap(),
            subject: "www.example.test".into(),
            not_after: Timestamp(end),
            step,
            shown_by: vec![(LoadBalancerName::new("web").unwrap(), Port::new(443).unwrap())],
        };
        let mut warned = BTreeMap::new();
        let first = news(&mut warned, &[expiring(1_000, 30)]);
        assert_eq!(first.len(), 1);
        assert!(first[0].contains("`www.example.test` on web:443 expires within 30 days"), "{first:?}");
        assert!(news(&mut warned, &[expiring(1_000, 30)]).is_empty());
        assert_eq!(news(&mut warned, &[expiring(1_000, 14)]).len(), 1);
        assert!(news(&mut warned, &[]).is_empty());
        assert_eq!(news(&mut warned, &[expiring(2_000, 30)]).len(), 1);
        assert!(said(&expiring(1_000, 0)).contains("has expired"));
        assert!(said(&expiring(1_000, 1)).contains("within a day"));
    }
}
