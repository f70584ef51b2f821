//! The command line: every flag once, every sub-command one file, and the names it answers to.
//!
//! Talks to the daemon as an ordinary signed client and must never touch its state on disk. `elbadmin`,
//! `list_instances` and `kill_instance` are sub-commands and programs of their own, by the name the binary is called
//! with. Next: [`client`] and [`settings`] for how the daemon is reached, [`failure`] for exit codes, then a command.

pub mod acme;
pub mod alarm;
mod asg;
pub mod balancer;
mod boot_log;
pub mod cert;
pub mod client;
pub mod connections;
pub mod daemon;
pub mod demo;
mod difference;
pub mod elbadmin;
pub mod env;
mod exec;
pub mod failure;
pub mod house;
pub mod http;
mod identity;
pub mod image;
pub mod instance;
pub mod key;
pub mod kill_instance;
pub mod launch;
pub mod lb;
pub mod links;
pub mod list_instances;
pub mod manual;
pub mod metadata;
pub mod metric;
mod plot;
pub mod policy;
pub mod proxy;
pub mod reference;
pub mod replace;
pub mod settings;
pub mod streams;
pub mod table;
pub mod tail;
pub mod user;
mod wait;

#[cfg(test)]
mod stage;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use client::Client;
use failure::Outcome;
use settings::{Reach, Settings, process_environment};
use streams::Streams;

/// Load balancers, instances and auto scaling groups behind the AWS APIs, on your own machines
#[derive(Debug, Parser)]
#[command(name = "evenkeel", version, disable_help_subcommand = true, after_help = EXAMPLES, after_long_help = LONG)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A literal, so that both help texts can hold it.
macro_rules! examples {
    () => {
        "\
Examples:
  eval \"$(evenkeel env)\"                                 aim boto3, the AWS CLI, Terraform here
  evenkeel image register ./myapp                        make an image; prints ami-…
  evenkeel run ami-… --count 2 --wait                    launch two instances of it
  evenkeel elbadmin -l 80,80,http -z us-east-1a create web
  evenkeel elbadmin add web i-…                          put an instance behind it
  evenkeel wait web                                      wait until all are in service"
    };
}

const EXAMPLES: &str = examples!();

const LONG: &str = concat!(
    examples!(),
    "

Exit codes:
  0  done
  1  failed; standard error says why
  2  not understood: see the usage

Environment:
  AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_DEFAULT_REGION
  EVENKEEL_DATA_DIR, XDG_DATA_HOME"
);

/// The sub-commands.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "made once a process; a box buys nothing")]
pub enum Command {
    /// Create, change and show load balancers, as boto's elbadmin does
    Elbadmin(elbadmin::Elbadmin),
    /// List instances by launch time, newest last, as boto's list_instances does
    #[command(name = "list_instances", visible_alias = "list-instances")]
    ListInstances(list_instances::ListInstances),
    /// Terminate instances, as boto's kill_instance does
    #[command(name = "kill_instance", visible_alias = "kill-instance")]
    KillInstance(kill_instance::KillInstance),
    /// Print the settings that aim AWS clients at the daemon
    Env(env::Env),
    /// Build, register, list, show, compare and pack images
    Image(image::ImageCommand),
    /// Make, change and show load balancers, with `--dry-run`
    Lb(lb::args::Lb),
    /// Make, scale, change and show auto scaling groups
    Asg(asg::Asg),
    /// Make, upload, list, show and delete certificates
    Cert(cert::Cert),
    /// Make, show, exchange and delete access keys, and try out what they allow
    Key(key::Key),
    /// List, show and delete users
    User(user::User),
    /// Keep, show, attach and detach policies: what users may do
    Policy(policy::Policy),
    /// List, read, put and draw what is measured
    Metric(metric::Metric),
    /// Put, list, show and delete alarms, and what they went through
    Alarm(alarm::Alarm),
    /// Launch instances of an image
    Run(launch::Run),
    /// Print what an instance wrote to its console
    #[command(visible_alias = "logs")]
    Console(instance::Console),
    /// Show how the boot of an instance goes, step by step
    BootLog(boot_log::BootLog),
    /// Run a command inside an instance
    Exec(exec::Exec),
    /// Stop instances; they keep their addresses and their folders
    Stop(instance::Stop),
    /// Start stopped instances
    Start(instance::Start),
    /// Restart what runs inside instances
    Reboot(instance::Reboot),
    /// End instances for good
    Terminate(instance::Terminate),
    /// Print zone and address of each node of a load balancer
    Addresses(balancer::Addresses),
    /// Wait until instances behind a load balancer are in service
    Wait(balancer::Wait),
    /// Replace all instances behind a load balancer by new ones, one by one or more at a time
    Replace(replace::Replace),
    /// Run the daemon: the APIs, the load balancers, the instances
    Up(daemon::Up),
    /// End the daemon and its load balancers; instances go on unless told otherwise
    Down(daemon::Down),
    /// Show how the daemon fares
    Status(daemon::Status),
    /// Show who changed what, and when
    Audit(house::Audit),
    /// Follow the requests through the load balancers as they are answered
    Tail(tail::Tail),
    /// Show who is connected to the load balancers now
    Connections(connections::Show),
    /// Play the main job on throw-away state, under real traffic
    Demo(demo::Demo),
    /// Run the proxy alone, from a file
    Proxy(proxy::Args),
    /// The data plane's own process
    #[command(hide = true)]
    Road(house::Road),
    /// Hand the load balancers over to a new process of this program, without losing a connection
    ReplaceRoad(house::ReplaceRoad),
    /// Make links, so that elbadmin, list_instances and kill_instance are programs of their own
    InstallLinks(links::InstallLinks),
    /// Print a completion script for a shell
    Completions(manual::Completions),
    /// Print the manual page, or write all pages to a directory
    Man(manual::Man),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(main) = inner_main(&arguments) {
        return main;
    }
    let command = match parse(arguments) {
        Ok(command) => command,
        Err(error) => {
            // Help and version come this way too, and go to standard output with code 0.
            let _ = error.print();
            return if error.use_stderr() { Outcome::Usage } else { Outcome::Done }.into();
        }
    };
    streams::with_process(|streams| match run(&command, streams) {
        Ok(outcome) => outcome,
        Err(error) => failure::report(&error, streams.err),
    })
    .into()
}

/// The programs that are started by Evenkeel itself inside instances, not by people: no command line to parse.
fn inner_main(arguments: &[OsString]) -> Option<ExitCode> {
    let rest = || arguments.iter().skip(2).map(|a| a.to_string_lossy().into_owned()).collect::<Vec<_>>();
    match arguments.get(1)?.to_str()? {
        "agent" => Some(crate::agent::main(&rest())),
        "boot" => Some(crate::boot::main(&rest())),
        "enclosure" => Some(crate::enclosures::main(&rest())),
        "sample-app" => Some(crate::sample::main(&rest())),
        _ => None,
    }
}

/// Reads arguments, the first of which is the name that the program was called by.
///
/// # Errors
/// clap's, which also carry help and version texts.
pub fn parse(arguments: Vec<OsString>) -> Result<Command, clap::Error> {
    let called = arguments.first().and_then(|name| Path::new(name).file_name()?.to_str()).unwrap_or_default();
    let Some(name) = links::NAMES.into_iter().find(|name| *name == called) else {
        return Ok(Cli::try_parse_from(arguments)?.command);
    };
    let matches = alone(name).try_get_matches_from(arguments)?;
    Ok(match name {
        "elbadmin" => Command::Elbadmin(FromArgMatches::from_arg_matches(&matches)?),
        "list_instances" => Command::ListInstances(FromArgMatches::from_arg_matches(&matches)?),
        _ => Command::KillInstance(FromArgMatches::from_arg_matches(&matches)?),
    })
}

/// The sub-command `name` as a program of its own.
pub(crate) fn alone(name: &'static str) -> clap::Command {
    let all = Cli::command();
    let found = all.find_subcommand(name).cloned().unwrap_or_else(|| clap::Command::new(name));
    found.bin_name(name)
}

/// Carries out a command.
///
/// # Errors
/// Whatever keeps it from ending; what a command can say by itself is in its [`Outcome`].
pub fn run(command: &Command, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    match command {
        Command::Elbadmin(args) if args.command.is_none() => elbadmin::help(streams),
        Command::Elbadmin(args) => elbadmin::run(args, &connect(&args.reach, args.region.as_deref())?, streams),
        Command::ListInstances(args) => {
            list_instances::run(args, &connect(&args.reach, args.region.as_deref())?, streams)
        }
        Command::KillInstance(args) if args.ids.is_empty() => kill_instance::help(streams),
        Command::KillInstance(args) => {
            kill_instance::run(args, &connect(&args.reach, args.region.as_deref())?, streams)
        }
        Command::Env(args) => env::run(args, streams),
        Command::Image(args) => image::run(args, &|reach| connect(reach, None), streams),
        Command::Lb(args) => lb::run(args, &connect(args.reach(), None)?, streams),
        Command::Asg(asg::Asg { action: asg::Action::Simulate(args) }) => {
            asg::simulate::run(args, &|reach| connect(reach, None), streams)
        }
        Command::Asg(args) => asg::run(args, &connect(args.reach(), None)?, streams),
        Command::Cert(args) => match (args.reach(), &args.action) {
            (Some(reach), _) => cert::run(args, &connect(reach, None)?, streams),
            (None, cert::Action::SelfSigned(args)) => cert::made::write(args, streams),
            (None, _) => Ok(Outcome::Usage),
        },
        Command::Key(args) => key::run(args, &connect(args.reach(), None)?, streams),
        Command::User(args) => user::run(args, &connect(args.reach(), None)?, streams),
        Command::Policy(args) => policy::run(args, &connect(args.reach(), None)?, streams),
        Command::Metric(args) => metric::run(args, &connect(args.reach(), None)?, streams),
        Command::Alarm(args) => alarm::run(args, &connect(args.reach(), None)?, streams),
        Command::Run(args) => launch::run(args, &connect(&args.reach, None)?, streams),
        Command::BootLog(args) => boot_log::run(args, streams),
        Command::Exec(args) => exec::run(args),
        Command::Console(args) => instance::console(args, &connect(&args.reach, None)?, streams),
        Command::Stop(args) => instance::stop(args, &connect(&args.on.reach, None)?, streams),
        Command::Start(args) => instance::start(args, &connect(&args.on.reach, None)?, streams),
        Command::Reboot(args) => instance::reboot(args, &connect(&args.on.reach, None)?),
        Command::Terminate(args) => instance::terminate(args, &connect(&args.on.reach, None)?, streams),
        Command::Addresses(args) => balancer::addresses(args, &connect(&args.reach, None)?, streams),
        Command::Wait(args) => balancer::wait(args, &connect(&args.reach, None)?, streams),
        Command::Replace(args) => replace::run(args, &connect(&args.reach, None)?, streams),
        Command::Up(args) => house::up(args, streams),
        Command::Down(args) => house::down(args, streams),
        Command::Status(args) => house::status(args, streams),
        Command::Audit(args) => house::audit(args, streams),
        Command::Tail(args) => tail::run(args, streams),
        Command::Connections(args) => connections::run(args, streams),
        Command::Demo(args) => demo::run(args, streams),
        Command::Proxy(args) => proxy::run(args.clone()).map(|()| Outcome::Done),
        Command::Road(args) => house::road(args),
        Command::ReplaceRoad(args) => house::replace_road(args, streams),
        Command::InstallLinks(args) => links::run(args, streams),
        Command::Completions(args) => manual::completions(args, streams),
        Command::Man(args) => manual::man(args, streams),
    }
}

fn connect(reach: &Reach, region: Option<&str>) -> anyhow::Result<Client> {
    Ok(Client::new(Settings::resolve(reach, region, &process_environment)?))
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
