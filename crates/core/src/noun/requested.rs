//! A certificate that is asked of an ACME server (RFC 8555): for which names, how they are proved to be ours, how far it is.
//!
//! Owns the record's shape and what follows from it alone: how long to wait after a failure, when to renew. Must never hold
//! a private key in the clear, nor speak ACME: an order stands here so that the next process can go on with it, and its
//! challenges so that balancers answer them. Next: [`crate::plan::requests`] for what is to be done when.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Facts;
use crate::name::CertificateArn;
use crate::routes::Challenge;
use crate::time::Timestamp;

/// The most names that one certificate may be asked for (Let's Encrypt: 100).
pub const MOST_NAMES: usize = 100;

/// How long a new certificate is asked for again and again (Certificate Manager: 72 hours); after that only by hand.
pub const PATIENCE: Duration = Duration::from_secs(72 * 3600);

/// How long a request that is made again with the same token is the same one (Certificate Manager: an hour).
pub const TOKEN_HOLDS: Duration = Duration::from_secs(3600);

/// How long an order may take from its beginning to the certificate.
pub const ORDER_TAKES: Duration = Duration::from_secs(600);

/// From one failure to the next try, the last one over and over. Let's Encrypt lets a name fail five times an hour.
pub const BACK_OFF: [Duration; 6] = [
    Duration::from_secs(10),
    Duration::from_secs(120),
    Duration::from_secs(15 * 60),
    Duration::from_secs(3600),
    Duration::from_secs(3 * 3600),
    Duration::from_secs(6 * 3600),
];

/// The longest wait that a server may ask for.
pub const LONGEST_ASKED: Duration = Duration::from_secs(86_400);

/// What was asked for, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// The names it is to be for, each once, in lower case; the first one is the domain name that listings show.
    pub names: Vec<String>,
    /// What kind of key it is to have.
    pub key: KeyType,
    /// How the names are proved.
    pub proof: Proof,
    /// By what a repeated request is known to be the same.
    pub token: Option<String>,
    /// When it was asked for, last: at first or by hand.
    pub asked: Timestamp,
    /// Whether a new one is wanted, though the one that is there is good.
    pub renew: bool,
    /// What is under way.
    pub order: Option<Order>,
    /// What went wrong last; none since it last went well.
    pub failure: Option<Failure>,
    /// When it was last renewed.
    pub renewed: Option<Timestamp>,
}

/// The kind of a certificate's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyType {
    /// ECDSA over P-256.
    #[default]
    P256,
    /// RSA of 2,048 bits.
    Rsa2048,
}

/// How names are proved to be ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    /// HTTP-01 (RFC 8555 §8.3): answered by HTTP listeners.
    #[default]
    Http,
    /// TLS-ALPN-01 (RFC 8737): answered by HTTPS and SSL listeners.
    TlsAlpn,
}

/// An order at an ACME server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The server's directory.
    pub directory: String,
    /// The order itself there.
    pub url: String,
    /// When it began.
    pub begun: Timestamp,
    /// The private key that the certificate is to be for, sealed.
    pub sealed_key: Arc<str>,
    /// What balancers answer the server, as long as the order stands.
    pub challenges: Vec<Challenge>,
}

/// Why an order came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What it was.
    pub problem: Problem,
    /// When.
    pub at: Timestamp,
    /// The how many-th in a row.
    pub number: u32,
    /// When it is tried again.
    pub again: Timestamp,
}

/// What an ACME server, or whoever looked at what it sent, has to say against a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Its type: of those that begin with `urn:ietf:params:acme:error:` (RFC 8555 §6.7) only what follows.
    pub kind: String,
    /// In words for people.
    pub detail: String,
    /// The name that it is about, if it is about one.
    pub name: Option<String>,
    /// Whether it is a judgement on what was asked for, rather than trouble on the way.
    pub judged: bool,
}

/// How far a request is, as Certificate Manager tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Being worked on, or waiting for its next try.
    Pending,
    /// There.
    Issued,
    /// The server judged against it; it is tried again all the same.
    Failed,
    /// Tried for [`PATIENCE`]: it is left alone.
    TimedOut,
}

impl Requested {
    /// A request of now, for these names.
    #[must_use]
    pub fn new(names: Vec<String>, key: KeyType, proof: Proof, now: Timestamp) -> Self {
        Self { names, key, proof, token: None, asked: now, renew: false, order: None, failure: None, renewed: None }
    }

    /// Whether it is the same as another one, made with the same token.
    #[must_use]
    pub fn repeats(&self, other: &Self) -> bool {
        let what = |r: &Self| (r.token.clone(), r.names.clone(), r.key, r.proof);
        self.token.is_some() && what(self) == what(other)
    }

    /// Notes that it was issued, or renewed at a moment.
    pub(crate) fn fulfilled(&mut self, renewed: Option<Timestamp>) {
        (self.renew, self.order, self.failure) = (false, None, None);
        self.renewed = renewed.or(self.renewed);
    }

    /// How far it is, by whether it ever was issued.
    #[must_use]
    pub fn progress(&self, is_issued: bool, now: Timestamp) -> Progress {
        match &self.failure {
            _ if is_issued => Progress::Issued,
            _ if self.order.is_none() && now.since(self.asked) >= PATIENCE => Progress::TimedOut,
            Some(failure) if failure.problem.judged => Progress::Failed,
            _ => Progress::Pending,
        }
    }
}

impl Problem {
    /// How long to wait after the `number`-th failure in a row, where the server asked for `asked`: never less than the
    /// table says, with up to a tenth more, so that what failed together does not come back together.
    #[must_use]
    pub fn wait(number: u32, asked: Option<Duration>, of: &CertificateArn) -> Duration {
        let step = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX).min(BACK_OFF.len() - 1);
        let least = BACK_OFF[step] + part(BACK_OFF[step] / 10, of);
        asked.map_or(least, |asked| least.max(asked.min(LONGEST_ASKED)))
    }
}

/// When a certificate is to be renewed: with a third of its life left, or up to a twentieth of it later, each at its own
/// moment.
#[must_use]
pub fn renewal(facts: &Facts, of: &CertificateArn) -> Timestamp {
    let life = facts.not_after.since(facts.not_before);
    facts.not_before.plus(life * 2 / 3).plus(part(life / 20, of))
}

/// A part of a span that is always the same for one certificate, and spread evenly over many (FNV-1a).
fn part(span: Duration, of: &CertificateArn) -> Duration {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    let hash = of.as_str().bytes().fold(2_166_136_261, step);
    span.mul_f64(f64::from(hash) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arn(n: u32) -> CertificateArn {
        CertificateArn::new(format!("arn:aws:acm:us-east-1:000000000000:certificate/{n}")).unwrap()
    }

    #[test]
    fn waits_grow_stay_apart_and_are_never_shorter_than_asked() {
        let check = |number: u32, asked: Option<u64>, least: u64, most: u64| {
            for n in 0..100 {
                let wait = Problem::wait(number, asked.map(Duration::from_secs), &arn(n)).as_secs_f64();
                assert!((least as f64..=most as f64).contains(&wait), "{number} {asked:?}: {wait}");
            }
        };
        check(1, None, 10, 11);
        check(2, None, 120, 132);
        check(4, None, 3600, 3960);
        check(6, None, 21_600, 23_760);
        check(u32::MAX, None, 21_600, 23_760);
        check(1, Some(3), 10, 11);
        check(1, Some(7200), 7200, 7200);
        check(1, Some(u64::MAX), 86_400, 86_400);
        // No name fails more often than Let's Encrypt lets it: five times an hour.
        let hour = Duration::from_secs(3600);
        let tries = BACK_OFF.iter().scan(Duration::ZERO, |at, wait| {
            *at += *wait;
            Some(*at)
        });
        assert!(1 + tries.filter(|at| *at < hour).count() < 5);
    }

    #[test]
    fn a_certificate_is_renewed_with_a_third_of_its_life_left_each_at_its_own_moment() {
        let day = 86_400_000;
        let facts = Facts { not_before: Timestamp(0), not_after: Timestamp(90 * day), ..Default::default() };
        let moments: std::collections::BTreeSet<_> = (0..100).map(|n| renewal(&facts, &arn(n))).collect();
        assert!(moments.len() > 90, "{}", moments.len());
        let (first, last) = (moments.first().unwrap().0, moments.last().unwrap().0);
        assert!(first >= 60 * day && last <= 60 * day + 90 * day / 20 && last - first > day, "{first} {last}");
        assert_eq!(renewal(&facts, &arn(1)), renewal(&facts, &arn(1)));
        // One whose times are the wrong way round does no harm.
        let facts = Facts { not_before: Timestamp(9), not_after: Timestamp(3), ..Default::default() };
        assert_eq!(renewal(&facts, &arn(1)), Timestamp(9));
    }

    #[test]
    fn progress_is_told_as_certificate_manager_tells_it() {
        let problem = |judged| Problem { kind: "dns".into(), detail: String::new(), name: None, judged };
        let failure = |judged| Failure { problem: problem(judged), at: Timestamp(0), number: 1, again: Timestamp(9) };
        let mut requested = Requested::new(vec!["a.test".into()], KeyType::P256, Proof::Http, Timestamp(0));
        let late = Timestamp(0).plus(PATIENCE);
        assert_eq!(requested.progress(false, Timestamp(1)), Progress::Pending);
        assert_eq!(requested.progress(false, late), Progress::TimedOut);
        assert_eq!(requested.progress(true, late), Progress::Issued);
        requested.failure = Some(failure(false));
        assert_eq!(requested.progress(false, Timestamp(1)), Progress::Pending);
        requested.failure = Some(failure(true));
        assert_eq!(requested.progress(false, Timestamp(1)), Progress::Failed);
        assert_eq!(requested.progress(false, late), Progress::TimedOut);
        let text = serde_json::to_string(&requested).unwrap();
        assert_eq!(serde_json::from_str::<Requested>(&text).unwrap(), requested);
    }
}
