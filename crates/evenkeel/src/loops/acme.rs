//! The loop that gets requested certificates from an ACME server, and renews them.
//!
//! Owns what is done next about each: an order is begun, its challenges are published as a Change, the server is told once the
//! road drives by them, the certificate is fetched, held against key and names, and put in the old one's place. What is
//! under way stands in the World, so a restart goes on where it was. What is remembered here besides is only how soon to ask
//! again. When what is due, `plan::requests` says; what is said to the server, `crate::acme`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_aws::Time;
use evenkeel_core::change::Change;
use evenkeel_core::name::CertificateArn;
use evenkeel_core::noun::{AcmeAccount, Certificate, Material, Order, Problem, Proof, Requested};
use evenkeel_core::plan::requests::{Errand, errands, next_moment};
use evenkeel_core::routes::{self, Challenge};
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::World;
use tokio::sync::{Mutex, Notify};

use super::{Outcome, SightingsWatch, Statuses, now, reconcile};
use crate::acme::session::{Session, Step};
use crate::acme::{Server, Trouble, proof};
use crate::certificates;
use crate::keeper::{KeeperHandle, Rejected};
use crate::seal::{self, Seal};

/// Under this name its Changes stand in the audit record.
const NAME: &str = "acme";
/// The longest that a moment is noticed late.
const LONGEST: Duration = Duration::from_secs(60);
/// From one question about an order to the next: the first, and the longest unless the server asks for more.
const FIRST_POLL: Duration = Duration::from_millis(500);
const LAST_POLL: Duration = Duration::from_secs(10);
/// How long a server is left alone after trouble on the way: the first time, and the longest unless it asks for more.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The same where it only wanted another nonce, as it may at any time (RFC 8555 §6.5).
const NONCE_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(3600);
/// The longest that a server is left alone because it asks for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);
/// How long a server that limits the rate is left alone about a certificate, if it does not say.
const RATE_LIMITED: Duration = Duration::from_secs(3600);
/// By how much our clock may be behind the server's.
const CLOCKS_DIFFER: Duration = Duration::from_secs(300);

/// What the loop works with.
pub struct Crew {
    /// Intent.
    pub keeper: KeeperHandle,
    /// What was seen: which Routes the road drives by.
    pub sightings: SightingsWatch,
    /// What keys are sealed with.
    pub seal: Arc<Seal>,
    /// The server that is asked; none, and nothing is.
    pub server: Option<Server>,
}

/// What is remembered from one run to the next, and does no harm when it is forgotten.
#[derive(Default)]
struct Memory {
    /// The account, once the server was greeted.
    session: Option<Session>,
    /// From which generation on the road answers the challenges of an order.
    published: BTreeMap<CertificateArn, u64>,
    /// When an order is next asked about, and how long that was since the last time.
    polls: BTreeMap<CertificateArn, (Instant, Duration)>,
    /// Until when the server is left alone, and how long that is in all.
    pause: Option<(Instant, Duration)>,
    /// What it was that last went wrong with it.
    trouble: Option<Trouble>,
}

/// Runs the loop; never returns.
pub async fn run(crew: Crew, statuses: Statuses) {
    let (generations, sightings) = (crew.keeper.generations(), crew.sightings.clone());
    let (crew, memory) = (Arc::new(crew), Arc::new(Mutex::new(Memory::default())));
    reconcile(NAME, statuses, Arc::new(Notify::new()), generations, sightings, LONGEST, || {
        let (crew, memory) = (Arc::clone(&crew), Arc::clone(&memory));
        async move { crew.look(&mut *memory.lock().await).await }
    })
    .await;
}

/// What keeps a run from going on with a certificate.
enum Stopped {
    /// The server, or what it said.
    Trouble(Trouble),
    /// The Keeper; the certificate may have been deleted meanwhile.
    Rejected(Rejected),
}

impl From<Trouble> for Stopped {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<Rejected> for Stopped {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

impl Crew {
    async fn look(&self, memory: &mut Memory) -> Outcome {
        let mut outcome = Outcome::default();
        let world = self.keeper.world();
        let ordered = |arn: &CertificateArn| world.certificate(arn).is_some_and(|held| order(held).is_some());
        memory.published.retain(|arn, _| ordered(arn));
        memory.polls.retain(|arn, _| ordered(arn));
        for errand in errands(&world, now()) {
            let arn = match &errand {
                Errand::Begin(arn) | Errand::Pursue(arn) | Errand::Abandon(arn) => arn.clone(),
            };
            let done = self.run_errand(errand, memory).await;
            match done {
                Ok(()) | Err(Stopped::Rejected(Rejected::Refused(_))) => {}
                Err(Stopped::Rejected(rejected)) => outcome.failure = Some(rejected.to_string()),
                Err(Stopped::Trouble(trouble)) => {
                    outcome.failure = Some(format!("failed to get `{}`: {trouble}", self.first_name(&arn)));
                    if let Err(rejected) = self.suffer(&arn, trouble, memory).await {
                        outcome.failure = Some(rejected.to_string());
                    }
                }
            }
        }
        let world = self.keeper.world();
        outcome.again = self.next(&world, memory);
        outcome.notes = notes(&world, self.server.as_ref(), memory, now());
        outcome
    }

    async fn run_errand(&self, errand: Errand, memory: &mut Memory) -> Result<(), Stopped> {
        let world = self.keeper.world();
        let (Errand::Begin(arn) | Errand::Pursue(arn) | Errand::Abandon(arn)) = &errand;
        let Some(certificate) = world.certificate(arn) else { return Ok(()) };
        let Some(requested) = certificate.requested() else { return Ok(()) };
        let Some(server) = &self.server else {
            // Nobody is there to ask: what balancers would be asked for nothing is withdrawn.
            let trouble = Trouble::new("noServer", "the daemon was started without --acme-directory");
            return if order(certificate).is_some() { self.fail(arn, trouble).await } else { Ok(()) };
        };
        if let Some(order) = order(certificate) {
            if matches!(errand, Errand::Abandon(_)) {
                let why = memory.trouble.as_ref().map(|trouble| format!(": {trouble}")).unwrap_or_default();
                return self.fail(arn, Trouble::new("timeout", format!("the order took too long{why}"))).await;
            }
            if order.directory != server.directory {
                let text = format!("the order was begun at another server, {}", order.directory);
                return self.fail(arn, Trouble::new("noServer", text)).await;
            }
            if !self.is_answered(arn, order, &world, memory) || !memory.is_free_for(arn) {
                return Ok(());
            }
            let session = self.session(server, memory).await?;
            let key = self.key(order)?;
            let step =
                session.pursue(&order.url, requested.proof, || proof::signing_request(&requested.names, &key)).await?;
            memory.well();
            return match step {
                Step::Wait(asked) => {
                    memory.poll_later(arn, asked);
                    Ok(())
                }
                Step::Issued(pem) => self.take(arn, requested, order, &pem, &key).await,
            };
        }
        if memory.is_paused() {
            return Ok(());
        }
        let session = self.session(server, memory).await?;
        let begun = session.begin(&requested.names, requested.proof).await?;
        memory.well();
        let kind = requested.key;
        let key = tokio::task::spawn_blocking(move || proof::new_key(kind)).await;
        let key = key.map_err(|_| Trouble::new("key", "no key could be made"))??;
        let challenges = begun.asked.into_iter().map(|asked| {
            Ok(match requested.proof {
                Proof::Http => {
                    Challenge::Http { token: asked.token, key_authorization: asked.key_authorization.into() }
                }
                Proof::TlsAlpn => {
                    let shown = proof::of_name(&asked.name, &asked.key_authorization)?;
                    let certificate = routes::Certificate {
                        chain_pem: shown.certificate_pem.into(),
                        key_pem: self.sealed(seal::CERTIFICATE_KEY, shown.key_pem.as_bytes())?,
                    };
                    Challenge::Tls { name: asked.name, certificate }
                }
            })
        });
        let order = Order {
            directory: server.directory.clone(),
            url: begun.url,
            begun: now(),
            sealed_key: self.sealed(seal::CERTIFICATE_KEY, key.as_bytes())?,
            challenges: challenges.collect::<Result<_, Trouble>>()?,
        };
        let change = Change::OrderCertificate { certificate: arn.clone(), order };
        self.keeper.submit(NAME, change).await?;
        Ok(())
    }

    /// Whether the road answers what the server will ask.
    fn is_answered(&self, arn: &CertificateArn, order: &Order, world: &World, memory: &mut Memory) -> bool {
        if order.challenges.is_empty() {
            return true;
        }
        // What was put when is not known any more after a restart; that it was put by now is.
        let since = *memory.published.entry(arn.clone()).or_insert(world.generation());
        self.sightings.borrow().road.as_ref().is_some_and(|road| road.applied >= since)
    }

    /// The account at the server: its key is kept before the server hears of it, so that there is never a second one.
    async fn session<'m>(&self, server: &Server, memory: &'m mut Memory) -> Result<&'m Session, Stopped> {
        if memory.session.is_none() {
            let about = format!("the key of the ACME account at {}", server.directory);
            let held = self.keeper.world().acme_account(&server.directory).cloned();
            let opened = held.and_then(|account| match self.seal.unseal(&about, &account.sealed_key) {
                Ok(key) => Some((account.as_ref().clone(), key)),
                Err(error) => {
                    // A key that is lost does not come back: the server gets to know us anew.
                    eprintln!("{NAME}: failed to {error}; another account is made");
                    None
                }
            });
            let (account, key) = match opened {
                Some(opened) => opened,
                None => {
                    let key = proof::new_account_key()?;
                    let (directory, sealed_key) = (server.directory.clone(), self.sealed(&about, &key)?);
                    let account = AcmeAccount { directory, sealed_key, contact: Vec::new() };
                    self.keeper.submit(NAME, Change::SetAcmeAccount(account.clone())).await?;
                    (account, key)
                }
            };
            let session = Session::open(server, &key).await?;
            if account.contact != server.contact {
                session.tell_contact(&server.contact).await?;
                let account = AcmeAccount { contact: server.contact.clone(), ..account };
                self.keeper.submit(NAME, Change::SetAcmeAccount(account)).await?;
            }
            memory.session = Some(session);
        }
        memory.session.as_ref().ok_or_else(|| Trouble::new("connection", "no session").into())
    }

    /// Takes a certificate in, if it is what was asked for.
    async fn take(
        &self,
        arn: &CertificateArn,
        requested: &Requested,
        order: &Order,
        pem: &str,
        key: &str,
    ) -> Result<(), Stopped> {
        let (body, chain) = split(pem);
        let examined = |at: Timestamp| certificates::examine(&body, Some(&chain), key, at);
        let facts = match examined(now()).or_else(|bad| examined(now().plus(CLOCKS_DIFFER)).map_err(|_| bad)) {
            Ok(facts) => facts,
            Err(bad) => {
                let text = format!("what the server issued is refused: {bad}");
                return Err(Trouble::judged("badCertificate", text, None).into());
            }
        };
        let is_for = |name: &&String| facts.names.iter().any(|held| held.eq_ignore_ascii_case(name));
        if let Some(name) = requested.names.iter().find(|name| !is_for(name)) {
            let text = format!("what the server issued is refused: it is not for `{name}`");
            return Err(Trouble::judged("badCertificate", text, Some(name.clone())).into());
        }
        let material = Material {
            body_pem: body.into(),
            chain_pem: chain.into(),
            sealed_key: Arc::clone(&order.sealed_key),
            facts,
        };
        self.keeper.submit(NAME, Change::ReplaceCertificate { certificate: arn.clone(), material }).await?;
        Ok(())
    }

    /// What trouble means: for this certificate, or for all because the server is not to be had.
    async fn suffer(&self, arn: &CertificateArn, trouble: Trouble, memory: &mut Memory) -> Result<(), Rejected> {
        let world = self.keeper.world();
        let is_ordered = world.certificate(arn).is_some_and(|held| order(held).is_some());
        if trouble.problem.kind == "accountDoesNotExist" {
            memory.session = None;
        }
        let passes = match trouble.problem.kind.as_str() {
            // Nothing was said about the order, or nothing that anybody could read.
            "connection" | "answer" | "serverInternal" | "badNonce" => true,
            "rateLimited" => is_ordered,
            // Without an account there is no order.
            _ => memory.session.is_none(),
        };
        if passes && !trouble.problem.judged {
            memory.suffer(trouble);
            return Ok(());
        }
        match self.fail(arn, trouble).await {
            Err(Stopped::Rejected(rejected @ (Rejected::NotStored(_) | Rejected::Closed))) => Err(rejected),
            _ => Ok(()),
        }
    }

    async fn fail(&self, arn: &CertificateArn, trouble: Trouble) -> Result<(), Stopped> {
        let Trouble { problem, retry_after } = trouble;
        let retry_after = retry_after.or((problem.kind == "rateLimited").then_some(RATE_LIMITED));
        let change = Change::FailCertificate { certificate: arn.clone(), problem, retry_after };
        self.keeper.submit(NAME, change).await?;
        Ok(())
    }

    fn sealed(&self, about: &str, secret: &[u8]) -> Result<Arc<str>, Trouble> {
        self.seal.seal(about, secret).map(Arc::from).map_err(|error| Trouble::new("key", error))
    }

    fn key(&self, order: &Order) -> Result<String, Trouble> {
        let opened = self.seal.unseal(seal::CERTIFICATE_KEY, &order.sealed_key);
        let opened = opened.map_err(|error| Trouble::new("key", error))?;
        String::from_utf8(opened).map_err(|_| Trouble::new("key", "the private key cannot be read"))
    }

    fn first_name(&self, arn: &CertificateArn) -> String {
        let world = self.keeper.world();
        let names = world.certificate(arn).and_then(|held| held.requested()?.names.first().cloned());
        names.unwrap_or_else(|| arn.to_string())
    }

    /// When there is something to do, if nothing happens before.
    fn next(&self, world: &World, memory: &Memory) -> Option<Duration> {
        self.server.as_ref()?;
        let is_ordered = world.certificates().any(|certificate| order(certificate).is_some());
        memory.next(next_moment(world, now()).map(|at| at.since(now())), is_ordered)
    }
}

impl Memory {
    fn is_paused(&self) -> bool {
        self.pause.is_some_and(|(until, _)| Instant::now() < until)
    }

    /// Whether an order may be asked about now.
    fn is_free_for(&self, arn: &CertificateArn) -> bool {
        !self.is_paused() && self.polls.get(arn).is_none_or(|(at, _)| Instant::now() >= *at)
    }

    /// How long until there is something to do: by the plan, about an order, or because a pause ends in which an order was to
    /// be asked about.
    fn next(&self, planned: Option<Duration>, is_ordered: bool) -> Option<Duration> {
        let instant = Instant::now();
        let until = |at: &Instant| at.saturating_duration_since(instant);
        let pause = self.pause.as_ref().map(|(at, _)| until(at)).filter(|left| !left.is_zero());
        // What is due but must wait its turn is looked for now and then.
        let planned = planned.map(|left| left.max(pause.unwrap_or(Duration::from_secs(1))));
        let polls = self.polls.values().map(|(at, _)| until(at).max(pause.unwrap_or(Duration::from_millis(10))));
        polls.chain(planned).chain(pause.filter(|_| is_ordered)).min()
    }

    fn poll_later(&mut self, arn: &CertificateArn, asked: Option<Duration>) {
        let own = self.polls.get(arn).map_or(FIRST_POLL, |(_, wait)| (*wait).mul_f32(1.5).min(LAST_POLL));
        let wait = own.max(asked.unwrap_or_default()).min(LONGEST_PAUSE);
        self.polls.insert(arn.clone(), (Instant::now() + wait, own));
    }

    fn suffer(&mut self, trouble: Trouble) {
        let first = if trouble.problem.kind == "badNonce" { NONCE_PAUSE } else { FIRST_PAUSE };
        let own = self.pause.map_or(first, |(_, pause)| (pause * 2).min(LAST_PAUSE));
        let wait = own.max(trouble.retry_after.unwrap_or_default()).min(LONGEST_PAUSE);
        (self.pause, self.trouble) = (Some((Instant::now() + wait, own)), Some(trouble));
    }

    fn well(&mut self) {
        (self.pause, self.trouble) = (None, None);
    }
}

fn order(certificate: &Certificate) -> Option<&Order> {
    certificate.requested()?.order.as_ref()
}

/// The certificate itself, and those that lead from it.
fn split(pem: &str) -> (String, String) {
    const END: &str = "-----END CERTIFICATE-----";
    let end = pem.find(END).map_or(pem.len(), |at| at + END.len());
    let (body, chain) = pem.split_at(end);
    let line = |text: &str| if text.trim().is_empty() { String::new() } else { format!("{}\n", text.trim()) };
    (line(body), line(chain))
}

/// A line for each certificate that is wanted, and one for a server that is left alone.
fn notes(world: &World, server: Option<&Server>, memory: &Memory, now: Timestamp) -> Vec<String> {
    let mut notes = Vec::new();
    if let (Some(server), Some(trouble), true) = (server, &memory.trouble, memory.is_paused()) {
        notes.push(format!("the server {} is left alone for a while: {trouble}", server.directory));
    }
    for certificate in world.certificates() {
        let Some(requested) = certificate.requested() else { continue };
        let first = requested.names.first().map(String::as_str).unwrap_or_default();
        let what = match (&requested.order, &requested.failure) {
            (Some(_), _) => "is being proved and issued".to_owned(),
            (None, Some(failure)) => told(&failure.problem, failure.again),
            (None, None) if certificate.material.is_none() || requested.renew => match server {
                Some(_) => "is about to be ordered".to_owned(),
                None => "waits for a daemon that is started with --acme-directory".to_owned(),
            },
            (None, None) => continue,
        };
        let given_up =
            requested.progress(certificate.material.is_some(), now) == evenkeel_core::noun::Progress::TimedOut;
        let end = if given_up { "; no longer tried: ask for it with `evenkeel cert renew`" } else { "" };
        notes.push(format!("the certificate for `{first}` {what}{end}: {}", certificate.arn));
    }
    notes
}

fn told(problem: &Problem, again: Timestamp) -> String {
    let again = Time(i64::try_from(again.0).unwrap_or(i64::MAX));
    let about = problem.name.as_ref().map(|name| format!("`{name}`: ")).unwrap_or_default();
    format!("failed: {about}{} ({}), next try at {again}", problem.detail, problem.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_told_from_its_certificate() {
        let check = |pem: &str, body: &str, chain: &str| {
            assert_eq!(split(pem), (body.to_owned(), chain.to_owned()), "{pem:?}");
        };
        let one = "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n";
        check(one, one, "");
        check(&format!("{one}\n{one}{one}"), one, &format!("{one}{one}"));
        check("nonsense", "nonsense\n", "");
        check("", "", "");
    }

    #[test]
    fn a_server_in_trouble_is_left_alone_longer_each_time_and_as_long_as_it_asks() {
        let mut memory = Memory::default();
        let left = |memory: &Memory| memory.pause.unwrap().0.saturating_duration_since(Instant::now()).as_secs();
        let mut waits = Vec::new();
        for _ in 0..12 {
            memory.suffer(Trouble::new("connection", "refused"));
            waits.push(left(&memory));
        }
        assert!((4..=5).contains(&waits[0]) && (9..=10).contains(&waits[1]) && waits[11] >= 3598, "{waits:?}");
        assert!(memory.is_paused());
        memory.suffer(Trouble { retry_after: Some(Duration::from_secs(9_000)), ..Trouble::new("answer", "busy") });
        assert!((8_998..=9_000).contains(&left(&memory)));
        memory.suffer(Trouble { retry_after: Some(Duration::MAX), ..Trouble::new("answer", "busy") });
        assert!(left(&memory) <= 86_400);
        memory.well();
        assert!(!memory.is_paused());
        memory.suffer(Trouble::new("badNonce", "another"));
        assert_eq!(memory.pause.unwrap().1, NONCE_PAUSE);
    }

    #[test]
    fn an_order_is_asked_about_again_when_a_pause_ends() {
        let mut memory = Memory::default();
        let far = Some(Duration::from_secs(600));
        assert_eq!(memory.next(far, true), far);
        // It was not asked about before: nothing but the pause's end is there to wake for it.
        memory.suffer(Trouble::new("badNonce", "another"));
        assert!(memory.next(far, true).unwrap() <= NONCE_PAUSE);
        assert_eq!(memory.next(far, false), far);
        memory.well();
        assert_eq!(memory.next(far, true), far);
    }

    #[test]
    fn an_order_is_asked_about_less_and_less_often_and_as_the_server_asks() {
        let arn = CertificateArn::new("arn:aws:acm:us-east-1:000000000000:certificate/1").unwrap();
        let mut memory = Memory::default();
        assert!(memory.is_free_for(&arn));
        memory.poll_later(&arn, None);
        assert!(!memory.is_free_for(&arn) && memory.polls[&arn].1 == FIRST_POLL);
        for _ in 0..20 {
            memory.poll_later(&arn, None);
        }
        assert_eq!(memory.polls[&arn].1, LAST_POLL);
        memory.poll_later(&arn, Some(Duration::from_secs(30)));
        assert!(memory.polls[&arn].0 > Instant::now() + Duration::from_secs(29));
    }
}
