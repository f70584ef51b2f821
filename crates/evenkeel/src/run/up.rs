//! The daemon's life, top to bottom: lock, load, adopt, reconcile, serve, and go.
//!
//! Going leaves the road driving and the instances running: the next daemon takes them on again.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use evenkeel_aws::Time;
use evenkeel_aws::Versions;
use evenkeel_core::change::Change;
use evenkeel_core::name::{LoadBalancerName, ZoneName};
use evenkeel_core::noun::Image;
use evenkeel_core::noun::image::ImageState;
use evenkeel_core::routes::AccessLogRoute;
use evenkeel_core::sightings::Sightings;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::house::{House, lowest_port};
use super::{Options, status};
use crate::api::keys::Keys;
use crate::api::{self, Api, Guard, Imported, Intake, Reports};
use crate::buckets::{BucketError, Buckets};
use crate::dns;
use crate::drivers::folder::{COVERED, TOLD};
use crate::drivers::process::{ProcessConfig, ProcessDriver};
use crate::drivers::{Driver, Isolation};
use crate::enclosures::docker;
use crate::images::oci::Choice;
use crate::images::{ImageError, ImageStore};
use crate::keeper::{self, store::sqlite::SqliteStore};
use crate::link::RoadOptions;
use crate::link::road::Place;
use crate::loops::{
    self, Statuses, acme, alarms, certificates, delivery, expiry, forecasts, groups, instances, measures, notices, road,
};
use crate::metrics::readings::Values;
use crate::metrics::{Limits, Metrics, watched};
use crate::notices::Outbox;
use crate::notices::letter::Server;
use crate::seal::Seal;
use crate::sys;

/// Runs a daemon until `shutdown`; `ready` is told the API's address once it answers.
///
/// # Errors
/// Whatever keeps it from starting: the text says what, and what to do where that is known.
pub async fn up(
    options: &Options,
    ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    sys::files::allow_many();
    let house = House::open(&options.data_dir)?;
    let settings = options.settings(lowest_port())?;
    let has_links = |zone: &&ZoneName| options.isolation.of(zone) != Isolation::None;
    let linked = settings.zones.iter().filter(has_links).cloned().collect();
    let database = house.database();
    let store = SqliteStore::open(&database)
        .with_context(|| format!("failed to open the database `{}`", database.display()))?;
    let keeper = keeper::start(settings, store, loops::now)
        .with_context(|| format!("failed to load the state from `{}`", database.display()))?;
    let keys = Keys::open(house.dir()).context("failed to open the access keys")?;
    api::ensure_default(&keeper, loops::now()).await.context("failed to make the default security group")?;
    let seal = Arc::new(Seal::open(house.dir()).context("failed to open what secrets are sealed with")?);
    let measured = Metrics::start(&house.dir().join("metrics"), Limits::default(), loops::seconds)
        .context("failed to open the metric store")?;
    let images = Arc::new(ImageStore::open(house.dir()).context("failed to open the image store")?);
    give_up_images(&keeper).await?;
    sweep_images(&keeper, &images);
    let program = match &options.program {
        Some(program) => program.clone(),
        None => std::env::current_exe().context("failed to find this program's own file")?,
    };
    let config = ProcessConfig {
        data_dir: house.dir().to_owned(),
        agent: program.clone(),
        limit: true,
        isolation: options.isolation.clone(),
    };
    let driver = ProcessDriver::open(&config).context("failed to open the process driver")?;
    if let Some(note) = driver.limits_note() {
        eprintln!("instances: {note}");
    }
    for engine in options.isolation.used_engines() {
        // It may come back, and everything else goes on without it.
        tokio::task::spawn_blocking(move || {
            if let Err(why) = docker::check(&engine) {
                eprintln!("instances: failed to {why}; until it answers none can be started there");
            }
        });
    }
    let driver: Arc<dyn Driver> = Arc::new(driver);

    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("failed to listen on {} for the API", options.listen))?;
    let address = listener.local_addr()?;

    let (sightings_out, sightings) = watch::channel(Arc::new(Sightings::default()));
    let (statuses, counts) = (Statuses::default(), road::Counts::default());
    let mut tasks = tokio::task::JoinSet::new();
    let road_crew = road::Crew {
        keeper: keeper.clone(),
        data_dir: house.dir().to_owned(),
        program,
        options: RoadOptions {
            workers: options.workers,
            access_log: options.access_log,
            trace_ids: options.trace_ids,
            spans: options.spans.clone(),
            drain: options.road_drain,
        },
        sightings: sightings_out,
        counts: counts.clone(),
    };
    tasks.spawn(road::run(road_crew, statuses.clone()));
    let (paths, sealer, place) = (Arc::clone(&images), Arc::clone(&seal), near(address));
    let crew = instances::Crew {
        keeper: keeper.clone(),
        driver: Arc::clone(&driver),
        image_path: Arc::new(move |digest| paths.path(digest)),
        metadata: Arc::new(move |id| api::metadata::endpoint(&place, &sealer, id).map_err(|error| error.to_string())),
        sightings: sightings.clone(),
    };
    tasks.spawn(instances::run(crew, statuses.clone()));
    let crew = Arc::new(measures::Crew {
        keeper: keeper.clone(),
        sightings: sightings.clone(),
        counts: counts.clone(),
        driver: Arc::clone(&driver),
        metrics: measured.clone(),
    });
    tasks.spawn(measures::run(Arc::clone(&crew), statuses.clone()));
    tasks.spawn(measures::containers::run(crew, statuses.clone()));
    let names = Arc::new(dns::server::Counts::default());
    if let Some(listen) = options.dns_listen {
        let crew = dns::Crew {
            keeper: keeper.clone(),
            sightings: sightings.clone(),
            listen,
            own_domain: options.own_domain.clone(),
            counts: Arc::clone(&names),
        };
        tasks.spawn(dns::run(crew, statuses.clone()));
    }
    tasks.spawn(certificates::run(keeper.clone(), sightings.clone(), statuses.clone()));
    let crew = acme::Crew {
        keeper: keeper.clone(),
        sightings: sightings.clone(),
        seal: Arc::clone(&seal),
        server: options.acme.clone(),
    };
    tasks.spawn(acme::run(crew, statuses.clone()));
    tasks.spawn(expiry::run(keeper.clone(), sightings.clone(), statuses.clone()));
    let buckets = Arc::new(Buckets::new(house.dir(), &options.log_buckets, options.bucket_keys.clone()));
    tasks.spawn(delivery::run(Place::new(house.dir()).spool(), Arc::clone(&buckets), statuses.clone()));

    let outbox = Arc::new(Outbox::open(house.dir()).context("failed to open what waits for subscribers")?);
    let mail =
        options.smtp_config.as_deref().map(Server::open).transpose().map_err(|why| anyhow!("failed to {why}"))?;
    let (mail, mails) = (mail.map(Arc::new), options.smtp_config.is_some());
    notices::sweep(&keeper, &outbox).await;
    let crew = groups::Crew {
        keeper: keeper.clone(),
        sightings: sightings.clone(),
        counts: counts.clone(),
        outbox: Arc::clone(&outbox),
        place: near(address),
    };
    tasks.spawn(groups::run(crew, statuses.clone()));
    tasks.spawn(notices::run(keeper.clone(), Arc::clone(&outbox), mail, statuses.clone()));
    let reader = measured.reader().clone();
    let values: Arc<Values> = Arc::new(move |wanted, window| watched::read(&reader, wanted, window, loops::seconds()));
    tasks.spawn(forecasts::run(keeper.clone(), sightings.clone(), Arc::clone(&values), statuses.clone()));
    let crew = alarms::Crew {
        keeper: keeper.clone(),
        sightings: sightings.clone(),
        values,
        outbox: Arc::clone(&outbox),
        place: near(address),
    };
    tasks.spawn(alarms::run(crew, statuses.clone()));

    let reporter = Arc::new(status::Reporter {
        keeper: keeper.clone(),
        sightings: sightings.clone(),
        statuses,
        counts,
        dns: names,
        outbox: Arc::clone(&outbox),
        measured: measured.clone(),
    });
    let (store, running) = (Arc::clone(&images), Arc::clone(&driver));
    let (kept, named) = (Arc::clone(&images), keeper.clone());
    let intake = Intake {
        import: Box::new(move |source| {
            let choice = Choice { port: source.port, image: source.image.clone() };
            told(images.import(&source.path, &choice))
        }),
        capture: Box::new(move |id, manifest| match running.files(id) {
            // It is written anew by every boot, with all that the instance was told in secret.
            Ok(files) if manifest.rootfs => {
                told(store.capture(files.root(), manifest, &[&TOLD[..], &COVERED[..]].concat()))
            }
            Ok(files) => told(store.capture(files.root(), manifest, &TOLD)),
            Err(why) => Err(why),
        }),
        collect: Box::new(move |dry| {
            let collected = kept.collect(&|digest| is_named(&named, digest), dry).map_err(|error| error.to_string())?;
            let page = json!({ "images": collected.images, "bytes": collected.bytes });
            Ok(page.to_string().into_bytes())
        }),
    };
    let shown = Arc::clone(&reporter);
    let status = move || serde_json::to_vec(&reporter.report()).unwrap_or_default();
    let metrics = move || shown.metrics().into_bytes();
    let console = move |id: &_| driver.console(id);
    let reports = Reports { status: Box::new(status), metrics: Box::new(metrics) };
    let api = Api::new(keeper, sightings, Arc::new(keys), seal, Arc::new(console), intake, reports);
    let versions = if options.sigv2 { Versions::TwoAndFour } else { Versions::Four };
    let api = api.behind(Guard::new(versions, options.api_rate.0, options.api_rate.1));
    let api =
        api.requesting(options.acme.is_some()).notifying(outbox, mails).measuring(measured.clone()).linking(linked);
    let api = api.logging_where(Arc::new(move |route, balancer| may_log(&buckets, route, balancer)));
    house.announce(&format!("http://{address}"))?;
    ready(address);
    api::serve(Arc::new(api), listener, shutdown).await;
    tasks.shutdown().await;
    tokio::task::spawn_blocking(move || measured.stop()).await.context("failed to close the metric store")?;
    drop(house);
    Ok(())
}

/// The API's URL for whoever is on this machine.
fn near(listening: SocketAddr) -> String {
    let mut address = listening;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("http://{address}")
}

/// Whether a balancer's access log can be written there; the World judges prefixes by itself.
fn may_log(buckets: &Buckets, route: &AccessLogRoute, balancer: &LoadBalancerName) -> Result<(), String> {
    match buckets.check(route, balancer, Time(loops::now().0.try_into().unwrap_or(i64::MAX))) {
        Ok(()) | Err(BucketError::Prefix(_)) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Images that were being made when the daemon ended: nobody makes them any more.
async fn give_up_images(keeper: &keeper::KeeperHandle) -> anyhow::Result<()> {
    let pending = |image: &&Arc<Image>| image.state == ImageState::Pending;
    let pending: Vec<_> = keeper.world().images().filter(pending).map(|image| image.id.clone()).collect();
    for image in pending {
        let outcome = Err("the daemon ended while it was being made; create it again".to_owned());
        let settled = keeper.submit("images", Change::SettleImage { image, outcome }).await;
        settled.context("failed to give up an image that was being made")?;
    }
    Ok(())
}

/// Image files that nobody names any more go when nobody can be using them: before the API answers.
fn sweep_images(keeper: &keeper::KeeperHandle, images: &ImageStore) {
    if let Err(error) = images.collect(&|digest| is_named(keeper, digest), false) {
        eprintln!("images: failed to remove what is not used: {error}");
    }
}

/// Whether an image or an instance has these files.
fn is_named(keeper: &keeper::KeeperHandle, digest: &str) -> bool {
    let world = keeper.world();
    world.images().any(|image| image.digest == digest) || world.instances().any(|instance| instance.digest == digest)
}

/// What the API is to know of what was taken in.
fn told(taken: Result<crate::images::Imported, ImageError>) -> Result<(Imported, api::Held), String> {
    let crate::images::Imported { digest, manifest, size, claim } = taken.map_err(|error| error.to_string())?;
    Ok((Imported { digest, manifest, size }, Box::new(claim)))
}
