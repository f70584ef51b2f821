//! Both scripts for instances against a server, and their columns.

use clap::FromArgMatches;
use evenkeel_aws::{Call, ec2};

use super::*;
use crate::cli::kill_instance;
use crate::cli::stage::{Canned, Ran, Stage, reservation};

fn stage() -> Stage {
    Stage::of(Canned {
        reservations: vec![
            reservation("i-3", 30, "third"),
            reservation("i-0123456789abcdef0", 10, "first"),
            reservation("i-2", 20, "second"),
        ],
        ..Canned::default()
    })
}

fn list(stage: &Stage, line: &str) -> Ran {
    let matches = crate::cli::alone("list_instances").try_get_matches_from(line.split(' ')).unwrap();
    let args = ListInstances::from_arg_matches(&matches).unwrap();
    stage.run(|client, streams| run(&args, client, streams))
}

#[test]
fn the_newest_is_last_and_columns_stay_apart() {
    let ran = list(&stage(), "list_instances");
    // boto's widths are 15, 15, 30 and 50; the first is as wide as the longest id and a space.
    let row = |id: &str, zone: &str, groups: &str, host: &str| format!("{id:<20}{zone:<15}{groups:<30}{host:<50}\n");
    let mut expected = row("ID", "Zone", "Groups", "Hostname") + &"-".repeat(115) + "\n";
    for id in ["i-0123456789abcdef0", "i-2", "i-3"] {
        expected += &row(id, "us-east-1a", "default", &format!("{id}.example"));
    }
    assert_eq!(ran, Ran { outcome: Outcome::Done, out: expected, err: String::new() });
}

#[test]
fn widths_are_boto_s_where_they_suffice() {
    let columns: Vec<Column> = "ID,Zone,Groups,Hostname,PrivateHostname,State,Image,Type,IP,PrivateIP,Key,T:Name"
        .split(',')
        .map(|name| Column::parse(name).unwrap())
        .collect();
    let widths: Vec<usize> = columns.iter().map(Column::width).collect();
    assert_eq!(widths, [15, 15, 30, 50, 50, 15, 15, 15, 16, 16, 25, 30]);
    let text = table(&columns, &[]);
    assert_eq!(text.lines().nth(1), Some(&*"-".repeat(292)));
    assert!(text.starts_with("ID             Zone           Groups  "), "{text}");
}

#[test]
fn tabs_have_no_header() {
    let ran = list(&stage(), "list_instances -t -H ID,State,T:Name,T:none");
    assert_eq!(ran.out, "i-0123456789abcdef0\trunning\tfirst\t\ni-2\trunning\tsecond\t\ni-3\trunning\tthird\t\n");
}

#[test]
fn filters_are_sent_with_dashes_except_in_tags() {
    let stage = stage();
    list(&stage, "list_instances -f instance_state_name=running,tag:my_key=a=b");
    let calls = stage.calls();
    let Call::Ec2(ec2::Call::DescribeInstances(input)) = &calls[0] else { panic!("{calls:?}") };
    let sent: Vec<_> = input.filters.iter().map(|f| (&*f.name, &*f.values[0])).collect();
    assert_eq!(sent, [("instance-state-name", "running"), ("tag:my_key", "a=b")]);
}

#[test]
fn bad_columns_filters_and_regions_fail() {
    let check = |line: &str, out: &str, err: &str| {
        let ran = list(&stage(), line);
        assert_eq!((ran.outcome, &*ran.out), (Outcome::Failed, out), "{line}");
        assert!(ran.err.contains(err), "{line}: {}", ran.err);
    };
    check("list_instances -H ID,Nope", "", "error: failed to choose columns: there is no `Nope`\nhint: ");
    check("list_instances -f x", "", "error: failed to read filter `x`\nhint: ");
    check("list_instances -r mars-1", "Region mars-1 not found.\n", "");
}

#[test]
fn kill_instance_goes_one_by_one_and_stops_at_the_first_error() {
    let stage = stage();
    let ids = ["i-1", "i-bad", "i-3"].map(str::to_owned).into();
    let args = kill_instance::KillInstance { ids, ..Default::default() };
    let ran = stage.run(|client, streams| kill_instance::run(&args, client, streams));
    assert_eq!(ran.outcome, Outcome::Failed);
    assert_eq!(ran.out, "Stopping instance: i-1\nStopping instance: i-bad\n");
    assert!(ran.err.starts_with("error: failed to terminate i-bad: InvalidInstanceID.NotFound: "), "{}", ran.err);
    assert_eq!(stage.names(), ["TerminateInstances"; 2]);
}

#[test]
fn kill_instance_without_ids_is_help_and_a_failure() {
    let ran = stage().run(|_, streams| kill_instance::help(streams));
    assert_eq!(ran.outcome, Outcome::Failed);
    assert!(ran.out.contains("Usage: kill_instance [-r] id [id ...]"), "{}", ran.out);
}
