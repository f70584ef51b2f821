//! `evenkeel boot install`: the queue, from the step it had come to.
//!
//! Owns the running of steps: each with its limit and its tries, each on disk as begun before it begins and as ended when
//! it has. Must never begin a step before the one ahead of it is done, nor go on after a failure. Next: [`super::finish`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use evenkeel_core::time::Timestamp;

use super::installer::{Installer, What};
use super::queue::queue;
use super::record::{Record, Step, StepState};
use super::site::Site;
use super::{accounts, built_in, command, cron, packages, say};
use crate::enclosures;

/// What the first step is called.
const CONFIGURATION: &str = "configuration";
/// How often a step that was cut short is begun again.
const CUT_SHORT: u32 = 3;
/// The longest wait between two tries of a step.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Runs what is left of the queue. False when it came to nothing, which the record then says.
///
/// # Errors
/// Completes "failed to …": the record cannot be written.
pub fn install(site: &mut Site, record: &mut Record) -> Result<bool, String> {
    if record.failure.is_some() {
        return Ok(false);
    }
    let in_image = |name: &str| site.has_file(name);
    let queue = match queue(&site.spec.manifest, &site.data, in_image) {
        Ok(queue) => queue,
        Err(bad) => return fail(site, record, &bad.to_string()),
    };
    for ignored in site.data.cloud.iter().flat_map(|cloud| &cloud.ignored) {
        say(&format!("`{ignored}` of the cloud-config is not followed here"));
    }
    if record.steps.is_empty() {
        if let Err(why) = cron::begin_anew(site) {
            return fail(site, record, &why);
        }
        record.steps.push(Step::waiting(CONFIGURATION));
        record.steps.extend(queue.iter().map(|installer| Step::waiting(&installer.name)));
    }
    if let Err(why) = site.configure() {
        let step = &mut record.steps[0];
        (step.state, step.said) = (StepState::Failed, Some(why.clone()));
        return fail(site, record, &why);
    }
    record.steps[0].state = StepState::Done;
    put(site, record)?;
    if let Err(why) = site.files.make_dir(&site.working_dir()) {
        return fail(site, record, &why);
    }
    for (index, installer) in (1..).zip(&queue) {
        let Some(step) = record.steps.get(index) else {
            return fail(site, record, "go on: the image or the user data have changed since the boot began");
        };
        if matches!(step.state, StepState::Done | StepState::Skipped) {
            continue;
        }
        let key = key(index, installer);
        if installer.once && record.done_once.contains(&key) {
            record.steps[index].state = StepState::Skipped;
            put(site, record)?;
            continue;
        }
        if let Err(why) = step_through(site, record, index, installer)? {
            return fail(site, record, &format!("do step {index}, `{}`: {why}", installer.name));
        }
        if installer.once {
            record.done_once.insert(key);
            put(site, record)?;
        }
    }
    Ok(true)
}

/// What a step that is done once is remembered by: where it stands and what it says.
fn key(index: usize, installer: &Installer) -> String {
    let text = format!("{index} {:?}", installer.what);
    digest(&SHA256, text.as_bytes()).as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// One step with its tries. The outer error is the record's, the inner the step's.
fn step_through(
    site: &mut Site,
    record: &mut Record,
    index: usize,
    installer: &Installer,
) -> Result<Result<(), String>, String> {
    let last = record.steps.len() - 1;
    let mut failed = 0;
    loop {
        let was_cut = record.steps[index].state == StepState::Running;
        let step = &mut record.steps[index];
        if was_cut && step.tries > installer.retries + CUT_SHORT {
            step.state = StepState::Failed;
            let why = format!("it was cut short {} times", step.tries);
            step.said = Some(why.clone());
            put(site, record)?;
            return Ok(Err(why));
        }
        step.tries += 1;
        (step.state, step.began) = (StepState::Running, Some(now()));
        put(site, record)?;
        super::mark_step(Some(index));
        say(&format!("step {index} of {last}: {}", installer.name));
        let begun = Instant::now();
        let done = perform(site, installer);
        let took = begun.elapsed();
        super::mark_step(None);
        let step = &mut record.steps[index];
        step.took_ms = Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        let Err(why) = done else {
            (step.state, step.said) = (StepState::Done, None);
            put(site, record)?;
            say(&format!("step {index} of {last} is done, after {:.1} s", took.as_secs_f64()));
            return Ok(Ok(()));
        };
        say(&format!("step {index} of {last} failed to {why}"));
        step.said = Some(why.clone());
        failed += 1;
        if failed > installer.retries {
            step.state = StepState::Failed;
            put(site, record)?;
            return Ok(Err(why));
        }
        // So that one that is cut short now is not taken for one that was cut short before.
        step.state = StepState::Waiting;
        put(site, record)?;
        let pause = Duration::from_secs(1 << failed.min(5)).min(LONGEST_PAUSE);
        std::thread::sleep(pause);
    }
}

fn perform(site: &mut Site, installer: &Installer) -> Result<(), String> {
    let limit = installer.timeout;
    match &installer.what {
        What::Shell(line) => command(site, &["sh", "-c", line], limit),
        What::Program(words) => run(site, words, limit),
        What::Python { module, class } => {
            let interpreter = python(site)?;
            command(site, &[&interpreter, "-c", PYTHON, module, class], limit)
        }
        What::PythonPackage(package) => {
            let interpreter = python(site)?;
            let target = site.working_dir().to_string_lossy().into_owned();
            let words = ["-m", "pip", "install", "--quiet", "--upgrade", "--target", &target, "--", package];
            command(site, &[&[interpreter.as_str()], words.as_slice()].concat(), limit)
        }
        What::Fetch { url, sha256, to, mode } => built_in::fetch(site, url, sha256.as_deref(), to, *mode, limit),
        What::Unpack { archive, into, strip } => built_in::unpack(site, archive, into, *strip),
        What::Env(pairs) => built_in::set_env(site, pairs),
        What::User { name, uid } => accounts::make(site, name, *uid),
        What::Cron { name, schedule, command } => {
            let (name, schedule, command) = (name.clone(), schedule.clone(), command.clone());
            cron::add(site, cron::Entry { name, schedule, command, once: installer.once })
        }
        What::Wait(awaited) => built_in::wait(site, awaited, limit),
        What::Write(file) => built_in::write(site, file),
        What::Script(number) => script(site, *number, limit),
        What::Packages(names) => packages::install(site, names, limit),
    }
}

/// Runs a command in the instance, within a limit.
///
/// # Errors
/// Completes "failed to …".
pub(super) fn command(site: &Site, words: &[&str], limit: Duration) -> Result<(), String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    run(site, &words, limit)
}

fn run(site: &Site, words: &[String], limit: Duration) -> Result<(), String> {
    let enclosure = enclosures::find(&site.folder, &site.spec)?;
    command::run(&*enclosure, &*site.files, words, &site.environment(), limit)
}

/// The script as a file of its own, so that its first line says what runs it.
fn script(site: &Site, number: usize, limit: Duration) -> Result<(), String> {
    let Some(script) = site.data.scripts.get(number) else { return Err("find it in the user data".into()) };
    let path = site.inside(&format!("var/lib/evenkeel/user-data-{number}"))?;
    site.write(&path, &script.text, 0o700)?;
    command(site, &[&path.to_string_lossy()], limit)
}

/// Python, under the names it goes by.
fn python(site: &Site) -> Result<String, String> {
    let env: BTreeMap<String, String> = site.environment();
    let search = env.get("PATH").map_or("", String::as_str);
    let names = ["python3", "python", "python2"];
    for name in names {
        if site.files.program(site.files.root(), name, search)?.is_some() {
            return Ok(name.to_owned());
        }
    }
    Err("run Python: there is none in the image or on PATH".into())
}

/// What boto's own start-up does with a class: it is imported, made without arguments, and told to begin. A `sys.exit` in it
/// is its exit status.
const PYTHON: &str = "\
import importlib, sys
module, name = sys.argv[1], sys.argv[2]
sys.argv = [module + '.' + name]
made = getattr(importlib.import_module(module), name)()
made.main()
";

/// Writes down that the boot came to nothing.
pub(super) fn fail(site: &Site, record: &mut Record, why: &str) -> Result<bool, String> {
    say(&format!("the boot failed to {why}"));
    record.failure = Some(why.to_owned());
    put(site, record)?;
    Ok(false)
}

pub(super) fn put(site: &Site, record: &Record) -> Result<(), String> {
    record.write(&site.folder).map_err(|error| format!("write `{}`: {error}", super::record::FILE))
}

pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
