//! `up`, `down`, `status`, `audit` and the hidden `road`: the commands that begin, end and look at a daemon.
//!
//! Owns what they print. Must never hold what they do: that is [`crate::run`]'s. `audit` is the one command that reads
//! the data directory's database: the record is for whoever may read that directory, not for every API key.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use evenkeel_core::name::ZoneName;
use evenkeel_core::world::Pool;
use evenkeel_proxy::spans::Endpoint;
use tokio::signal::unix::{SignalKind, signal};

use super::client::Client;
use super::daemon;
use super::failure::{Outcome, hinted};
use super::settings::{Reach, Settings, data_dir, process_environment};
use super::streams::Streams;
use super::wait;
use crate::buckets::BucketKeys;
use crate::config::BadFile;
use crate::config::daemon_file::{self, DaemonFile, ZoneDriver};
use crate::drivers::{Engine, Isolation, Isolations};
use crate::enclosures;
use crate::keeper::store::sqlite::SqliteStore;
use crate::link::RoadOptions;
use crate::link::road::Place;
use crate::run::status::Report;
use crate::run::{self, Options, house};

/// How long the road may take to finish what is in flight when it is told to leave.
const DRAIN: Duration = Duration::from_secs(5);

/// Arguments of `evenkeel audit`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  evenkeel audit\n  evenkeel audit -n 1000 --json | jq .")]
pub struct Audit {
    /// How many records, the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    pub count: u32,
    /// Print JSON, one record a line
    #[arg(long)]
    pub json: bool,
    /// The daemon's state [default: EVENKEEL_DATA_DIR, else $XDG_DATA_HOME/evenkeel, else ~/.local/share/evenkeel]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Arguments of the hidden `evenkeel road`, which the daemon starts.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  evenkeel road --data-dir ./state     what `evenkeel up` starts by itself")]
pub struct Road {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Worker threads; 0 for one a core
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub workers: usize,
    /// How the access log is written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = daemon::AccessLog::Off)]
    pub access_log: daemon::AccessLog,
    /// Give requests an X-Amzn-Trace-Id
    #[arg(long)]
    pub trace_ids: bool,
    /// Send spans to this collector
    #[arg(long, value_name = "URL")]
    pub spans_to: Option<Endpoint>,
    /// The share of requests that have a span
    #[arg(long, value_name = "0.0-1.0", default_value = "0.01", value_parser = daemon::share)]
    pub spans_share: u32,
    /// Seconds for what is in flight once another process has taken over
    #[arg(long, value_name = "SECONDS", default_value_t = crate::link::DRAIN.as_secs())]
    pub drain: u64,
    /// Take over from the road that runs there
    #[arg(long)]
    pub replace: bool,
}

/// Arguments of `evenkeel replace-road`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  evenkeel replace-road                        with the settings that it has\n  \
    evenkeel replace-road --data-dir ./state")]
pub struct ReplaceRoad {
    /// The daemon's state [default: EVENKEEL_DATA_DIR, else $XDG_DATA_HOME/evenkeel, else ~/.local/share/evenkeel]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Runs a daemon until INT or TERM.
///
/// # Errors
/// What keeps it from starting.
pub fn up(args: &daemon::Up, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let options = options(args)?;
    privilege_notice(&options, streams)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let shutdown = async move {
            tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
        };
        let dir = options.data_dir.display().to_string();
        let ready = |address| {
            eprintln!("evenkeel {} answers at http://{address}", env!("CARGO_PKG_VERSION"));
            eprintln!("state: {dir}");
            eprintln!("next:  eval \"$(evenkeel env)\"   and   evenkeel --help");
        };
        run::up::up(&options, ready, shutdown).await
    })?;
    writeln!(
        streams.err,
        "the daemon has ended; load balancers and instances go on: `evenkeel up` takes them on again, `evenkeel down` ends the load balancers"
    )?;
    Ok(Outcome::Done)
}

fn options(args: &daemon::Up) -> anyhow::Result<Options> {
    let data_dir = args.data_dir().ok_or_else(|| {
        hinted("nothing says where to keep state", "give `--data-dir`, or set HOME or EVENKEEL_DATA_DIR")
    })?;
    let zones: Vec<_> =
        args.zones().iter().map(ZoneName::new).collect::<Result<_, _>>().context("failed to read `--zones`")?;
    let pool = |text: &str, flag: &str| text.parse().map_err(|e| anyhow!("failed to read `{flag}`: {e}"));
    let instance_pool = pool(&args.instance_pool, "--instance-pool")?;
    let file = daemon_file(args, &data_dir, &zones)?;
    let isolation = isolations(args, &file, instance_pool);
    let pools = instance_pools(&file);
    for zone in zones.iter().map(Some).chain([None]) {
        let pool = zone.and_then(|zone| pools.get(zone)).unwrap_or(&instance_pool);
        match zone.map_or(isolation.elsewhere, |zone| isolation.of(zone)) {
            Isolation::None => Ok(()),
            Isolation::Namespaces => enclosures::namespaces::can_enclose(pool),
            Isolation::Docker => enclosures::docker::container::can_connect(pool),
        }
        .map_err(|(why, hint)| hinted(why, hint))?;
    }
    Ok(Options {
        data_dir,
        listen: args.listen,
        region: args.region.clone(),
        zones,
        account: args.account.clone(),
        dns_domain: args.dns_domain.clone(),
        dns_listen: args.dns_listen.0,
        own_domain: args.dns_alias.clone(),
        node_pool: pool(&args.node_pool, "--node-pool")?,
        instance_pool,
        isolation,
        instance_pools: pools,
        capacity: file.zones.iter().map(|(zone, entry)| (zone.clone(), entry.capacity)).collect(),
        port_shift: args.port_shift,
        workers: args.workers.map_or(0, usize::from),
        access_log: args.access_log.format(),
        trace_ids: args.trace_ids,
        spans: args.spans_to.clone().map(|to| (to, args.spans_share)),
        log_buckets: args.log_bucket.clone(),
        smtp_config: args.smtp_config.clone(),
        bucket_keys: BucketKeys::find(args.log_bucket_keys.as_deref(), &args.region, |name| std::env::var(name).ok())
            .context("failed to read the keys for buckets")?,
        acme: args.acme.server()?,
        road_drain: Duration::from_secs(args.road_drain),
        sigv2: !args.no_sigv2,
        api_rate: (args.api_rate, args.api_burst),
        program: None,
    })
}

/// What the configuration file says: the one that is named, else the data directory's, where there is one.
fn daemon_file(args: &daemon::Up, data_dir: &Path, zones: &[ZoneName]) -> anyhow::Result<DaemonFile> {
    let path = args.config.clone().unwrap_or_else(|| data_dir.join(daemon_file::NAME));
    match daemon_file::read(&path, zones) {
        Err(BadFile::Io(error)) if error.kind() == ErrorKind::NotFound && args.config.is_none() => {
            Ok(DaemonFile::default())
        }
        read => read.with_context(|| format!("failed to read `{}`", path.display())),
    }
}

fn isolations(args: &daemon::Up, file: &DaemonFile, instance_pool: Pool) -> Isolations {
    let engine = |host: Option<&String>, certs: Option<&PathBuf>, pool: Pool| Engine {
        host: host.unwrap_or(&args.docker_host).clone(),
        certs: certs.or(args.docker_certs.as_ref().filter(|_| host.is_none())).cloned(),
        network: pool.to_string(),
    };
    let mut isolations = Isolations::from(args.isolation);
    isolations.engine = Some(engine(None, None, instance_pool));
    for (zone, entry) in &file.zones {
        let isolation = match &entry.driver {
            None => args.isolation,
            Some(ZoneDriver::Process) => Isolation::None,
            Some(ZoneDriver::Namespaces) => Isolation::Namespaces,
            Some(ZoneDriver::Docker { .. }) => Isolation::Docker,
        };
        let (host, certs) = match &entry.driver {
            Some(ZoneDriver::Docker { host, certs }) => (host.as_ref(), certs.as_ref()),
            _ => (None, None),
        };
        isolations.zones.insert(zone.clone(), isolation);
        isolations.engines.insert(zone.clone(), engine(host, certs, entry.instance_pool.unwrap_or(instance_pool)));
    }
    isolations
}

fn instance_pools(file: &DaemonFile) -> BTreeMap<ZoneName, Pool> {
    file.zones.iter().filter_map(|(zone, entry)| Some((zone.clone(), entry.instance_pool?))).collect()
}

fn privilege_notice(options: &Options, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let lowest = house::lowest_port();
    if lowest > 0 && options.port_shift == 0 {
        let program = std::env::current_exe()?;
        writeln!(
            streams.err,
            "note: ports below {lowest} need a privilege: `sudo setcap cap_net_bind_service=+ep {}`, or start with `--port-shift 8000`",
            program.display()
        )?;
    } else if lowest > 0 {
        writeln!(streams.err, "note: listeners on ports below {lowest} are reached {} higher", options.port_shift)?;
    }
    Ok(())
}

/// Ends the daemon and the road; with `--instances`, the instances first.
///
/// # Errors
/// What does not end.
pub fn down(args: &daemon::Down, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let dir = data_dir(args.reach.data_dir.as_deref(), &process_environment)
        .ok_or_else(|| hinted("nothing says whose daemon to end", "give `--data-dir`"))?;
    if args.instances {
        let client = Client::new(Settings::resolve(&args.reach, None, &process_environment)?);
        end_instances(&client, streams)?;
    }
    let ended = run::down::down(&dir, DRAIN)?;
    let word = |was: bool| if was { "ended" } else { "did not run" };
    writeln!(streams.out, "daemon: {}", word(ended.daemon))?;
    writeln!(streams.out, "road:   {}", word(ended.road))?;
    Ok(Outcome::Done)
}

fn end_instances(client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let living = || -> anyhow::Result<Vec<String>> {
        let all = client.reservations(Vec::new(), Vec::new())?;
        let instances = all.iter().flat_map(|r| r.instances_set.iter());
        Ok(instances.filter(|i| i.instance_state.name != "terminated").map(|i| i.instance_id.clone()).collect())
    };
    let ids = living()?;
    if ids.is_empty() {
        return Ok(());
    }
    client.call(&evenkeel_aws::ec2::TerminateInstances { instance_ids: ids.clone(), ..Default::default() })?;
    let gone = wait::until(Duration::from_secs(360), || Ok(living()?.is_empty().then_some(())))?;
    gone.ok_or_else(|| anyhow!("failed to see all instances end within 360 s"))?;
    writeln!(streams.out, "instances: {} terminated", ids.len())?;
    Ok(())
}

/// Prints how the daemon fares. Exit code 1 when something needs a look.
///
/// # Errors
/// A daemon that cannot be asked.
pub fn status(args: &daemon::Status, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let reach: &Reach = &args.reach;
    let client = Client::new(Settings::resolve(reach, None, &process_environment)?);
    let text = client.status()?;
    let report: Report = serde_json::from_slice(&text).context("failed to read the daemon's status")?;
    if args.json {
        writeln!(streams.out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        print(&report, streams)?;
    }
    let well = report.road.is_some() && report.bind_faults.is_empty();
    Ok(if well { Outcome::Done } else { Outcome::Failed })
}

fn print(report: &Report, streams: &mut Streams<'_>) -> std::io::Result<()> {
    let out = &mut streams.out;
    writeln!(out, "evenkeel {} (process {}), region {}", report.version, report.pid, report.region)?;
    match report.road {
        Some(applied) if applied == report.generation => writeln!(out, "road       drives by generation {applied}")?,
        Some(applied) => writeln!(out, "road       drives by generation {applied}, {} comes", report.generation)?,
        None => writeln!(out, "road       out of reach")?,
    }
    for fault in &report.bind_faults {
        writeln!(out, "           {fault}")?;
    }
    let states: Vec<String> = report.instances.iter().map(|(state, count)| format!("{count} {state}")).collect();
    writeln!(out, "instances  {}", if states.is_empty() { "none".into() } else { states.join(", ") })?;
    for (zone, told) in &report.zones {
        let cpus = share(told.used_cpu_millis, told.declared_cpu_millis, |millis| millis as f64 / 1000.0);
        let memory = share(told.used_memory_mib, told.declared_memory_mib, |mib| mib as f64);
        writeln!(out, "zone       {zone}: {} instances, {cpus} processors, {memory} MiB", told.instances)?;
    }
    for (name, (registered, serving)) in &report.balancers {
        let of = |count: &&crate::link::Count| count.balancer == *name;
        let requests: u64 = report.counts.iter().filter(of).map(|c| c.requests).sum();
        writeln!(out, "balancer   {name}: {serving} of {registered} in service, {requests} requests")?;
    }
    for (name, status) in &report.loops {
        writeln!(out, "loop       {name}: {} runs, {} failures", status.runs, status.failures)?;
        if let Some(why) = &status.last_failure {
            writeln!(out, "           last failure: {why}")?;
        }
        for note in &status.notes {
            writeln!(out, "           {note}")?;
        }
    }
    Ok(())
}

/// `2 of 4`, or `2` where nothing is declared.
fn share(used: u64, declared: Option<u64>, unit: fn(u64) -> f64) -> String {
    match declared {
        Some(most) => format!("{} of {}", unit(used), unit(most)),
        None => unit(used).to_string(),
    }
}

/// Prints the newest audit records, newest first.
///
/// # Errors
/// A database that cannot be read.
pub fn audit(args: &Audit, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let dir = data_dir(args.data_dir.as_deref(), &process_environment)
        .ok_or_else(|| hinted("nothing says whose record to read", "give `--data-dir`"))?;
    let path = house::database_path(&dir);
    let records = SqliteStore::audit(&path, args.count)
        .with_context(|| format!("failed to read the audit record in `{}`", path.display()))?;
    for record in records {
        if args.json {
            writeln!(streams.out, "{}", serde_json::to_string(&record)?)?;
        } else {
            let at = i64::try_from(record.at.0).unwrap_or(i64::MAX);
            let (when, outcome) = (evenkeel_aws::Time(at), &record.outcome);
            writeln!(streams.out, "{when}  {:<20}  {:<22}  {outcome}", record.actor, record.change)?;
        }
    }
    Ok(Outcome::Done)
}

/// Hands the load balancers' process over to a new one of this program, which goes on with the settings of the old one.
///
/// # Errors
/// No road, or one that goes on; it does so as if nothing had happened.
pub fn replace_road(args: &ReplaceRoad, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let dir = data_dir(args.data_dir.as_deref(), &process_environment)
        .ok_or_else(|| hinted("nothing says whose road to replace", "give `--data-dir`"))?;
    let dir = dir.canonicalize().with_context(|| format!("failed to open `{}`", dir.display()))?;
    let options = crate::link::look::options(&Place::new(&dir)).context("failed to ask the road for its settings")?;
    let program = std::env::current_exe().context("failed to find this program's own file")?;
    let pid = crate::link::start::replace(&program, &dir, &options)?;
    writeln!(streams.out, "process {pid} serves; the one before finishes what it has in flight")?;
    Ok(Outcome::Done)
}

/// Runs the road of a data directory; the daemon starts this.
///
/// # Errors
/// What keeps it from starting.
pub fn road(args: &Road) -> anyhow::Result<Outcome> {
    let access_log = args.access_log.format();
    let spans = args.spans_to.clone().map(|to| (to, args.spans_share));
    let drain = Duration::from_secs(args.drain);
    let options = RoadOptions { workers: args.workers, access_log, trace_ids: args.trace_ids, spans, drain };
    match args.replace {
        false => crate::link::road::run(&args.data_dir, options)?,
        true => crate::link::road::replace(&args.data_dir, options)?,
    }
    Ok(Outcome::Done)
}
