//! The command line as a whole: its flags are sound, its names are answered to, its help has examples.

use super::*;
use crate::cli::streams::Screen;

fn parsed(line: &str) -> Result<Command, clap::Error> {
    parse(line.split(' ').map(OsString::from).collect())
}

#[test]
fn flags_are_sound() {
    Cli::command().debug_assert();
    for name in links::NAMES {
        alone(name).debug_assert();
    }
}

#[test]
fn every_command_has_help_with_examples() {
    fn check(command: &clap::Command) {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(after.contains("Examples:"), "{}", command.get_name());
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.is_empty() && !help.ends_with('.'), "{} {}: `{help}`", command.get_name(), argument.get_id());
        }
        command.get_subcommands().for_each(check);
    }
    check(&Cli::command());
}

#[test]
fn linked_names_are_sub_commands_without_the_program() {
    for line in [
        "/usr/bin/elbadmin get web -r eu-west-1",
        "evenkeel elbadmin -r eu-west-1 get web",
        "elbadmin --reg eu-west-1 get web",
    ] {
        let Command::Elbadmin(args) = parsed(line).unwrap() else { panic!("{line}") };
        assert_eq!((args.command.as_deref(), args.region.as_deref()), (Some("get"), Some("eu-west-1")), "{line}");
        assert_eq!(args.operands, ["web"]);
    }
    assert!(matches!(parsed("./list_instances -t"), Ok(Command::ListInstances(args)) if args.tab));
    assert!(matches!(parsed("kill_instance i-1"), Ok(Command::KillInstance(args)) if args.ids == ["i-1"]));
    assert!(matches!(parsed("any-other-name kill_instance i-1"), Ok(Command::KillInstance(_))));
}

#[test]
fn usage_is_code_2_and_versions_name_the_program() {
    for line in ["evenkeel", "evenkeel frobnicate", "elbadmin --frobnicate", "evenkeel run", "evenkeel run a --count 0"]
    {
        assert_eq!(parsed(line).unwrap_err().exit_code(), 2, "{line}");
    }
    let check = |line: &str, expected: &str| {
        let error = parsed(line).unwrap_err();
        assert_eq!((error.exit_code(), error.use_stderr()), (0, false));
        assert!(error.to_string().contains(expected), "{line}: {error}");
    };
    check("elbadmin --version", concat!("elbadmin 0.2 (evenkeel ", env!("CARGO_PKG_VERSION"), ")"));
    check("evenkeel --version", concat!("evenkeel ", env!("CARGO_PKG_VERSION")));
    check("elbadmin --help", "Usage: elbadmin [options] [command]");
    check("evenkeel --help", "Exit codes:");
}

#[test]
fn a_daemon_that_is_not_there_is_said_plainly() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let line = format!(
        "list_instances --endpoint-url http://{address} --access-key-id a --secret-access-key b --data-dir /nowhere"
    );
    let command = parsed(&line).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let error = run(&command, &mut Streams { out: &mut out, err: &mut err, live: false, screen: Screen::default() })
        .unwrap_err();
    failure::report(&error, &mut err);
    let err = String::from_utf8(err).unwrap();
    let start = format!(
        "error: failed to list instances: no connection to http://{address}: Connection refused (os error 111)\n"
    );
    assert!(err.starts_with(&start), "{err}");
    assert!(err.contains("\nhint: start the daemon with `evenkeel up`"), "{err}");
}
