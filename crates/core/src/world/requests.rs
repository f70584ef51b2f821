//! What may happen to requested certificates on their way: ordered, failed, wanted anew; and to accounts at ACME servers.
//!
//! Owns that an order's challenges come and go with it, and how many there may be. When to do what is
//! [`crate::plan::requests`]'s to say. A certificate's arrival is a replacement like any other ([`super::certificates`]).

use std::time::Duration;

use super::certificates::put;
use super::{Decision, Row, World, Write};
use crate::change::Reply;
use crate::name::CertificateArn;
use crate::noun::requested::TOKEN_HOLDS;
use crate::noun::{AcmeAccount, Certificate, CertificateOrigin, Failure, Order, Problem, Requested};
use crate::refusal::Refusal;
use crate::routes::Challenge;
use crate::time::Timestamp;

/// The most challenges that are answered at once: each balancer is given all of them.
pub const MOST_CHALLENGES: usize = 100;

impl World {
    /// The request that a new one repeats, with the token that it had.
    pub(super) fn repeated(&self, new: &Certificate, now: Timestamp) -> Option<&Certificate> {
        let wanted = new.requested()?;
        let lately = |held: &&Certificate| now.since(held.created) < TOKEN_HOLDS;
        let mut held = self.certificates().map(AsRef::as_ref).filter(lately);
        held.find(|held| held.requested().is_some_and(|requested| requested.repeats(wanted)))
    }

    pub(super) fn order_certificate(&self, arn: &CertificateArn, order: &Order) -> Result<Decision, Refusal> {
        let others = self.certificates().filter(|other| other.arn != *arn);
        let others = others.filter_map(|other| other.requested()?.order.as_ref());
        let pending: usize = others.map(|other| other.challenges.len()).sum();
        if pending + order.challenges.len() > MOST_CHALLENGES {
            return Err(Refusal::TooManyChallenges { limit: MOST_CHALLENGES });
        }
        self.altered(arn, |requested| requested.order = Some(order.clone()))
    }

    pub(super) fn fail_certificate(
        &self,
        arn: &CertificateArn,
        problem: &Problem,
        retry_after: Option<Duration>,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        self.altered(arn, |requested| {
            let number = requested.failure.as_ref().map_or(1, |failure| failure.number.saturating_add(1));
            let again = now.plus(Problem::wait(number, retry_after, arn));
            requested.order = None;
            requested.failure = Some(Failure { problem: problem.clone(), at: now, number, again });
        })
    }

    pub(super) fn renew_certificate(&self, arn: &CertificateArn, now: Timestamp) -> Result<Decision, Refusal> {
        self.altered(arn, |requested| {
            (requested.renew, requested.asked, requested.failure) = (true, now, None);
        })
    }

    pub(super) fn set_acme_account(&self, account: &AcmeAccount) -> Decision {
        let known = self.acme_account(&account.directory).is_some_and(|known| **known == *account);
        let put = (!known).then(|| Write::Put(Row::AcmeAccount(account.clone())));
        Decision { reply: Reply::Done, writes: put.into_iter().collect() }
    }

    /// What balancers are to answer ACME servers, of all orders that are under way.
    pub fn challenges(&self) -> impl Iterator<Item = &Challenge> {
        let orders = self.certificates().filter_map(|certificate| certificate.requested()?.order.as_ref());
        orders.flat_map(|order| &order.challenges)
    }

    fn altered(&self, arn: &CertificateArn, alter: impl FnOnce(&mut Requested)) -> Result<Decision, Refusal> {
        let mut certificate: Certificate = self.existing_certificate(arn)?.as_ref().clone();
        let CertificateOrigin::Requested(requested) = &mut certificate.origin else {
            return Err(Refusal::NotRequested(arn.clone()));
        };
        alter(requested);
        Ok(put(certificate))
    }
}
