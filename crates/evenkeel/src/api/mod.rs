//! The API: AWS's calls in, Changes out, answers back, over one HTTP port.
//!
//! Owns what every handler is given ([`Api`], `Asked`) and the doors to it ([`serve`], [`keys`]). A handler
//! reads its input, makes a [`Change`] or reads the World, and answers; it must never do I/O itself, nor know a driver or
//! the Store. A request goes `server` → `funnel` → one handler file a noun → `refusal` when the World says no.

mod access_keys;
mod alarms;
mod attributes;
mod balancers;
pub mod caller;
mod dice;
mod filter;
mod funnel;
mod groups;
pub mod guard;
mod health;
mod identity;
mod images;
mod instance_attributes;
mod instance_types;
mod instances;
pub mod keys;
mod launch;
mod launch_data;
mod launch_templates;
mod limits;
mod listeners;
mod managed_certificates;
mod managed_policies;
pub mod metadata;
mod metric_data;
mod metric_put;
mod metric_words;
mod network;
mod page;
mod places;
mod policies;
mod publish;
mod refusal;
mod registration;
mod requested_certificates;
mod rights;
mod scaling;
mod server;
mod server_certificates;
mod shown;
mod simulation;
mod status;
mod subnets;
mod subscriptions;
mod tags;
mod topics;
mod user_policies;
mod users;
mod vpcs;
mod wants;
mod words;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_aws::Error;
use evenkeel_core::change::{Change, Reply};
use evenkeel_core::name::{InstanceId, LoadBalancerName, Port, ZoneName};
use evenkeel_core::noun::Manifest;
use evenkeel_core::noun::image::Size;
use evenkeel_core::refusal::Refusal;
use evenkeel_core::routes::AccessLogRoute;
use evenkeel_core::sightings::Sightings;
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::World;
use tokio::sync::{Semaphore, watch};

pub use groups::ensure_default;
pub use guard::Guard;
pub use keys::{Keys, KeysError};
pub use server::serve;

use caller::Caller;

use crate::keeper::{KeeperHandle, Rejected};
use crate::metrics::Metrics;
use crate::notices::Outbox;
use crate::seal::Seal;

/// Imports that may run at once: each may copy gigabytes.
const IMPORTS: usize = 2;

/// How often ids are rolled anew when they are taken; 17 hexadecimal digits never are, in honest dice.
const ROLLS: usize = 8;

/// Reads an instance's console log, all of it or its end; blocking. `NotFound` means that it has said nothing yet.
pub type Console = dyn Fn(&InstanceId) -> std::io::Result<Vec<u8>> + Send + Sync;

/// Takes an image's files in from a folder or tar on this node; blocking. The error completes "failed to import
/// image: …".
pub type Import = dyn Fn(&Source) -> Result<(Imported, Held), String> + Send + Sync;

/// Keeps files that were taken in from being taken away: let go of once they are registered.
pub type Held = Box<dyn Send>;

/// Removes the files of images that nobody names any more, or with `true` only says which; blocking. The answer is JSON; the
/// error completes "failed to …".
pub type Collect = dyn Fn(bool) -> Result<Vec<u8>, String> + Send + Sync;

/// Where an image is taken in from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// A folder or tar.
    pub path: PathBuf,
    /// Where its application listens, for images that may not say it.
    pub port: Option<Port>,
    /// Which image is meant, of an archive of several.
    pub image: Option<String>,
}

/// Takes an image's files from an instance, which goes on, for what its manifest says; blocking. The error says why they
/// cannot be taken.
pub type Capture = dyn Fn(&InstanceId, &Manifest) -> Result<(Imported, Held), String> + Send + Sync;

/// Where images' files come from, and how they go.
pub struct Intake {
    /// Folders and tars.
    pub import: Box<Import>,
    /// Instances.
    pub capture: Box<Capture>,
    /// Away.
    pub collect: Box<Collect>,
}

/// Puts AWS's test object where a balancer's access log is to go; blocking. The error says why it cannot be put there.
pub type LogCheck = dyn Fn(&AccessLogRoute, &LoadBalancerName) -> Result<(), String> + Send + Sync;

/// Makes the daemon's page on itself.
pub type Page = dyn Fn() -> Vec<u8> + Send + Sync;

/// What the daemon says of itself.
pub struct Reports {
    /// How it fares, as JSON: the answer to a signed `GET /status`, for `evenkeel status`.
    pub status: Box<Page>,
    /// What was measured, for Prometheus: the answer to `GET /metrics`, signed or from this machine.
    pub metrics: Box<Page>,
}

/// What an import yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// SHA-256 of its files, in hex.
    pub digest: String,
    /// What it runs.
    pub manifest: Manifest,
    /// How large it is.
    pub size: Size,
}

/// What every call is answered from.
pub struct Api {
    keeper: KeeperHandle,
    sightings: watch::Receiver<Arc<Sightings>>,
    keys: Arc<Keys>,
    seal: Arc<Seal>,
    console: Arc<Console>,
    intake: Arc<Intake>,
    reports: Reports,
    guard: Guard,
    library: rights::Library,
    imports: Arc<Semaphore>,
    log_check: Option<Arc<LogCheck>>,
    requests: bool,
    outbox: Option<Arc<Outbox>>,
    mails: bool,
    metrics: Option<Metrics>,
    linked: BTreeSet<ZoneName>,
}

impl Api {
    /// An API over a keeper; `console` and what is in `intake` are called on threads that may block.
    #[must_use]
    pub fn new(
        keeper: KeeperHandle,
        sightings: watch::Receiver<Arc<Sightings>>,
        keys: Arc<Keys>,
        seal: Arc<Seal>,
        console: Arc<Console>,
        intake: Intake,
        reports: Reports,
    ) -> Self {
        Self {
            keeper,
            sightings,
            keys,
            seal,
            console,
            intake: Arc::new(intake),
            reports,
            guard: Guard::default(),
            library: rights::Library::default(),
            imports: Arc::new(Semaphore::new(IMPORTS)),
            log_check: None,
            requests: false,
            outbox: None,
            mails: false,
            metrics: None,
            linked: BTreeSet::new(),
        }
    }

    /// The same API, which lets an access log be switched on only where this succeeds.
    #[must_use]
    pub fn logging_where(self, check: Arc<LogCheck>) -> Self {
        Self { log_check: Some(check), ..self }
    }

    /// The same API, of which certificates can be requested, or cannot because there is no server to ask.
    #[must_use]
    pub fn requesting(self, requests: bool) -> Self {
        Self { requests, ..self }
    }

    /// The same API, which has where messages to subscribers wait; without it none can be published. `mails`: whether there is a
    /// server for e-mail.
    #[must_use]
    pub fn notifying(self, outbox: Arc<Outbox>, mails: bool) -> Self {
        Self { outbox: Some(outbox), mails, ..self }
    }

    /// The same API, which has where metrics are kept; without it none can be put or read.
    #[must_use]
    pub fn measuring(self, metrics: Metrics) -> Self {
        Self { metrics: Some(metrics), ..self }
    }

    /// The same API, which knows the zones whose instances have network links of their own: only there is what passes them counted.
    #[must_use]
    pub fn linking(self, linked: BTreeSet<ZoneName>) -> Self {
        Self { linked, ..self }
    }

    /// The same API behind another guard than the default one.
    #[must_use]
    pub fn behind(self, guard: Guard) -> Self {
        Self { guard, ..self }
    }
}

/// One verified call's surroundings: what a handler reads from and writes through.
struct Asked<'a> {
    api: &'a Api,
    /// The World as it was when the call came in.
    world: Arc<World>,
    /// Who asks.
    caller: Caller,
    /// Who asks, for the audit record: the access key, and whose it is.
    actor: String,
    /// When the call came in.
    now: Timestamp,
    /// The `Host` that the caller sent: where it reaches us.
    host: String,
}

impl Asked<'_> {
    async fn submit(&self, change: Change) -> Result<Reply, Rejected> {
        self.api.keeper.submit(&self.actor, change).await
    }

    /// Submits for an ELB call.
    async fn elb(&self, change: Change) -> Result<Reply, Error> {
        self.submit(change).await.map_err(refusal::elb)
    }

    /// Submits for an IAM call.
    async fn iam(&self, change: Change) -> Result<Reply, Error> {
        self.submit(change).await.map_err(refusal::iam)
    }

    /// Submits for an EC2 call; with `DryRun` only says what would have come of it.
    async fn ec2(&self, change: Change, dry_run: Option<bool>) -> Result<Reply, Error> {
        self.ec2_rolled(dry_run, || Ok(change.clone())).await
    }

    /// As [`Self::ec2`], for a Change with random ids: rolled again while they are taken.
    async fn ec2_rolled(
        &self,
        dry_run: Option<bool>,
        make: impl Fn() -> Result<Change, Error>,
    ) -> Result<Reply, Error> {
        if dry_run == Some(true) {
            let decision = self.world.decide(&make()?, self.now).map_err(|refusal| refusal::ec2(refusal.into()))?;
            return match decision.reply {
                // What would have been done in part would have failed.
                Reply::Protected { instance, wish, by } => {
                    Err(refusal::ec2(Refusal::Protected { instance, wish, by }.into()))
                }
                _ => Err(words::dry_run()),
            };
        }
        self.rolled(make).await?.map_err(refusal::ec2)
    }

    async fn rolled(&self, make: impl Fn() -> Result<Change, Error>) -> Result<Result<Reply, Rejected>, Error> {
        let mut result = self.submit(make()?).await;
        for _ in 1..ROLLS {
            if !matches!(result, Err(Rejected::Refused(Refusal::IdTaken(_)))) {
                break;
            }
            result = self.submit(make()?).await;
        }
        Ok(result)
    }
}

/// The answer where metrics are not kept.
fn unkept() -> Error {
    Error::receiver("InternalServiceError", "There is no store of metrics here.")
}

/// Work that may block, on a thread that may; it goes on even if the caller goes away.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::receiver("InternalError", "An internal error has occurred"))
}

#[cfg(test)]
mod coverage;
#[cfg(test)]
mod tests;
