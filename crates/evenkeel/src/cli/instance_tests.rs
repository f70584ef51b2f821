//! Commands on instances and images against a server: what is sent and what is printed.

use std::ffi::OsString;

use evenkeel_aws::blob::Blob;
use evenkeel_aws::{Call, Error, Response, ec2};

use crate::cli::failure::Outcome;
use crate::cli::stage::{Ran, Stage, answered};
use crate::cli::{Command, image, instance, parse};

fn changes(ids: &[String], state: &str) -> ec2::StateChanges {
    let change = |id: &String| ec2::StateChange {
        instance_id: id.clone(),
        current_state: ec2::State { code: 0, name: state.into() },
        ..Default::default()
    };
    ec2::StateChanges { instances_set: ids.iter().map(change).collect() }
}

fn image_called(id: &str, name: &str) -> ec2::Image {
    ec2::Image {
        image_id: id.into(),
        name: name.into(),
        image_state: "available".into(),
        creation_date: "2026-01-01T00:00:00.000Z".into(),
        image_location: format!("/srv/{name}"),
        ..Default::default()
    }
}

fn answer(call: &Call) -> Result<Response, Error> {
    let Call::Ec2(call) = call else { return Err(Error::invalid_action("elb")) };
    match call {
        ec2::Call::StopInstances(input) => answered::<ec2::StopInstances>(changes(&input.instance_ids, "stopping")),
        ec2::Call::StartInstances(input) => answered::<ec2::StartInstances>(changes(&input.instance_ids, "pending")),
        ec2::Call::TerminateInstances(input) => {
            answered::<ec2::TerminateInstances>(changes(&input.instance_ids, "shutting-down"))
        }
        ec2::Call::RebootInstances(_) => answered::<ec2::RebootInstances>(ec2::Done::default()),
        ec2::Call::GetConsoleOutput(_) => {
            let output = Blob("no newline: é".into());
            answered::<ec2::GetConsoleOutput>(ec2::ConsoleOutput { output, ..Default::default() })
        }
        ec2::Call::RegisterImage(input) if input.name == "taken" => {
            Err(Error::sender("InvalidAMIName.Duplicate", "AMI name taken is already in use by AMI ami-1"))
        }
        ec2::Call::RegisterImage(_) => {
            answered::<ec2::RegisterImage>(ec2::RegisterImageOutput { image_id: "ami-9".into() })
        }
        ec2::Call::DescribeImages(input) if input.next_token.is_none() => {
            let images_set = vec![image_called("ami-1", "a")].into();
            answered::<ec2::DescribeImages>(ec2::DescribeImagesOutput { images_set, next_token: Some("t".into()) })
        }
        ec2::Call::DescribeImages(_) => {
            let images_set = vec![image_called("ami-2", "longer")].into();
            answered::<ec2::DescribeImages>(ec2::DescribeImagesOutput { images_set, next_token: None })
        }
        ec2::Call::DeregisterImage(_) => answered::<ec2::DeregisterImage>(ec2::Done::default()),
        other => Err(Error::invalid_action(other.name())),
    }
}

fn ran(stage: &Stage, words: &[&str]) -> Ran {
    let command = parse(["evenkeel"].iter().chain(words).map(OsString::from).collect()).unwrap();
    stage.run(|client, streams| match &command {
        Command::Console(args) => instance::console(args, client, streams),
        Command::Stop(args) => instance::stop(args, client, streams),
        Command::Start(args) => instance::start(args, client, streams),
        Command::Reboot(args) => instance::reboot(args, client),
        Command::Terminate(args) => instance::terminate(args, client, streams),
        Command::Image(args) => image::run(args, &|_| Ok(client.clone()), streams),
        other => panic!("{other:?}"),
    })
}

#[track_caller]
fn check(words: &[&str], out: &str, calls: &[&str]) {
    let stage = Stage::new(answer);
    let expected = Ran { outcome: Outcome::Done, out: out.into(), err: String::new() };
    assert_eq!(ran(&stage, words), expected, "{words:?}");
    assert_eq!(stage.names(), calls, "{words:?}");
}

#[test]
fn instances_change_in_one_call_and_show_their_new_states() {
    check(&["stop", "i-1", "i-2"], "i-1 stopping\ni-2 stopping\n", &["StopInstances"]);
    check(&["start", "i-1"], "i-1 pending\n", &["StartInstances"]);
    check(&["terminate", "i-1"], "i-1 shutting-down\n", &["TerminateInstances"]);
    check(&["reboot", "i-1"], "", &["RebootInstances"]);
    check(&["console", "i-1"], "no newline: é", &["GetConsoleOutput"]);
}

#[test]
fn images_are_registered_by_absolute_path_listed_and_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("my.app");
    std::fs::create_dir(&folder).unwrap();
    let roundabout = folder.join("..").join("my.app");
    let stage = Stage::new(answer);
    let registered = ran(&stage, &["image", "register", roundabout.to_str().unwrap()]);
    assert_eq!(registered, Ran { outcome: Outcome::Done, out: "ami-9\n".into(), err: String::new() });
    let calls = stage.calls();
    let [Call::Ec2(ec2::Call::RegisterImage(sent))] = calls.as_slice() else { panic!("{calls:?}") };
    let location = std::fs::canonicalize(&folder).unwrap();
    assert_eq!((&*sent.name, sent.image_location.as_deref()), ("my.app", location.to_str()));

    let taken = ran(&stage, &["image", "register", "--name", "taken", folder.to_str().unwrap()]);
    assert_eq!(taken.outcome, Outcome::Failed);
    assert!(taken.err.ends_with("\nhint: give the image another name with `--name`\n"), "{}", taken.err);
    let missing = ran(&stage, &["image", "register", "/no/such/thing"]);
    assert!(missing.err.starts_with("error: failed to find /no/such/thing: "), "{}", missing.err);

    let list = "\
ID     NAME    STATE      SIZE  CREATED                   LOCATION
ami-1  a       available  -     2026-01-01T00:00:00.000Z  /srv/a
ami-2  longer  available  -     2026-01-01T00:00:00.000Z  /srv/longer
";
    check(&["image", "list"], list, &["DescribeImages"; 2]);
    check(&["image", "deregister", "ami-1", "ami-2"], "", &["DeregisterImage"; 2]);
}

#[test]
fn a_console_that_is_followed_shows_each_byte_once() {
    let check = |seen: &str, output: &str, want: &str| {
        assert_eq!(instance::news(seen.as_bytes(), output.as_bytes()), want.as_bytes(), "{seen:?} {output:?}");
    };
    check("", "", "");
    check("", "ab", "ab");
    check("ab", "ab", "");
    check("ab", "abc", "c");
    // The console has moved on: its beginning is gone.
    check("abcd", "cdabcde", "e");
    check("abcd", "xy", "xy");
}
