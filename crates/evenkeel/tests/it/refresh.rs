//! Instance refreshes of real instances behind a balancer: under load, from an image that is never well, whoever is killed.

use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use evenkeel_aws::{autoscaling as wire, ec2};

use crate::crash::Dice;
use crate::rig::{PROGRAM, Rig};
use crate::scaling::{PATIENCE, ZONES, accounted, end, members, settled};
use crate::steady::{RATE, Steady, let_flow};

/// How often the daemon is killed.
const KILLS: usize = 20;

/// A group by a numbered version of a launch template, as many as wanted in service.
fn group(rig: &mut Rig, image: &str, count: i64) -> Vec<String> {
    rig.balancer("web", &ZONES);
    let data = ec2::LaunchTemplateData { image_id: Some(image.into()), ..Default::default() };
    rig.call(&ec2::CreateLaunchTemplate {
        launch_template_name: Some("web".into()),
        launch_template_data: Some(data),
        ..Default::default()
    })
    .unwrap();
    rig.call(&wire::CreateAutoScalingGroup {
        auto_scaling_group_name: "web".into(),
        launch_template: Some(wire::LaunchTemplateSpecification {
            launch_template_name: Some("web".into()),
            version: Some("1".into()),
            ..Default::default()
        }),
        min_size: 1,
        max_size: count,
        desired_capacity: Some(count),
        availability_zones: Some(ZONES.map(str::to_owned).into_iter().collect()),
        load_balancer_names: vec!["web".to_owned()].into(),
        ..Default::default()
    })
    .unwrap();
    let first = settled(rig, usize::try_from(count).unwrap());
    rig.wait_in_service("web", &first);
    first
}

/// An image whose application is never well.
fn bad(rig: &Rig) -> String {
    rig.image_with("v3", &[], |_, manifest| {
        manifest.insert("health".into(), "/nowhere".into());
        manifest.insert("ready_within".into(), 1.into());
    })
}

fn last(rig: &Rig) -> wire::InstanceRefresh {
    let input = wire::DescribeInstanceRefreshes { auto_scaling_group_name: "web".into(), ..Default::default() };
    rig.call(&input).unwrap().instance_refreshes.0.into_iter().next().unwrap()
}

/// `evenkeel asg refresh web` with arguments.
fn refresh(rig: &Rig, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(["asg", "refresh", "web"]).args(arguments).arg("--data-dir").arg(rig.data_dir());
    command.stdin(Stdio::null()).output().unwrap()
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// How many the balancer sends requests to.
fn serving(rig: &Rig) -> usize {
    rig.health("web").iter().filter(|(_, state)| state.starts_with("InService")).count()
}

/// Waits until the last refresh is over; the fewest that served meanwhile.
fn over(rig: &mut Rig) -> (wire::InstanceRefresh, usize) {
    let mut fewest = usize::MAX;
    let held = rig.wait("the refresh to be over", PATIENCE, |rig| {
        fewest = fewest.min(serving(rig));
        let held = last(rig);
        held.end_time.is_some().then_some(held)
    });
    (held, fewest)
}

#[test]
fn six_are_refreshed_under_load_and_from_a_bad_image_rolled_back_without_losing_a_request() {
    let mut rig = Rig::start_alone();
    let old = rig.image("v1", &[]);
    let first = group(&mut rig, &old, 6);
    let new = rig.image("v2", &[]);
    let bad = bad(&rig);

    let steady = Steady::start(&rig, "web", RATE);
    let_flow(&mut rig, &steady, 2_000);
    done(&refresh(&rig, &["--image", &new, "--auto-rollback"]));
    let (held, fewest) = over(&mut rig);
    assert_eq!((held.status.as_deref(), held.percentage_complete), (Some("Successful"), Some(100)), "{held:?}");
    assert_eq!(fewest, 6, "90 % of six are six");
    let second = settled(&mut rig, 6);
    assert!(first.iter().all(|id| !second.contains(id)));
    assert_eq!(members(&rig).iter().filter(|member| member.availability_zone == ZONES[0]).count(), 3);
    let_flow(&mut rig, &steady, 2_000);

    let output = refresh(&rig, &["--image", &bad, "--auto-rollback"]);
    done(&output);
    let (held, fewest) = over(&mut rig);
    let why = held.rollback_details.clone().and_then(|details| details.rollback_reason).unwrap_or_default();
    assert_eq!(held.status.as_deref(), Some("RollbackSuccessful"), "{held:?}");
    assert!(why.contains("3 replacements in a row came to nothing"), "{why}");
    assert_eq!(fewest, 6, "{held:?}");
    assert_eq!(settled(&mut rig, 6).into_iter().collect::<BTreeSet<_>>(), second.iter().cloned().collect());
    let_flow(&mut rig, &steady, 1_000);
    let elapsed = steady.elapsed();
    let report = steady.end();
    let rate = report.sent as f64 / elapsed.as_secs_f64();
    println!("{} requests at {rate:.0}/s over {elapsed:?}, {} lost", report.sent, report.lost());
    assert_eq!(report.failures, vec![], "{} of {} requests were lost\n{}", report.lost(), report.sent, rig.log());
    assert!(report.versions.contains_key("v1") && report.versions.contains_key("v2"), "{:?}", report.versions);
    assert!(!report.versions.contains_key("v3"), "nobody was sent to one that was never well");

    // What a client waits for: how it ended, in words and in its exit code.
    let failed = refresh(&rig, &["--image", &bad, "--auto-rollback", "--wait"]);
    let text = String::from_utf8_lossy(&failed.stderr);
    assert!(failed.status.code() == Some(1) && text.contains("RollbackSuccessful"), "{text}");
    let shown = refresh(&rig, &["--status"]);
    let text = String::from_utf8_lossy(&shown.stdout);
    assert_eq!(text.matches("RollbackSuccessful").count(), 2, "{text}");
    end(&mut rig);
    rig.finish();
}

#[test]
fn an_image_is_brought_by_a_template_whatever_the_group_launches_with() {
    let mut rig = Rig::start();
    let (old, new) = (rig.image("v1", &[]), rig.image("v2", &[]));
    group(&mut rig, &old, 1);
    rig.call(&wire::CreateLaunchConfiguration {
        launch_configuration_name: "one".into(),
        image_id: Some(old),
        instance_type: Some("m1.small".into()),
        user_data: Some("Z3JlZXRpbmc9aGVsbG8=".into()),
        ..Default::default()
    })
    .unwrap();
    let launches_with = |rig: &Rig, configuration: Option<&str>, version: Option<&str>| {
        let template = version.map(|version| wire::LaunchTemplateSpecification {
            launch_template_name: Some("web".into()),
            version: Some(version.into()),
            ..Default::default()
        });
        rig.call(&wire::UpdateAutoScalingGroup {
            auto_scaling_group_name: "web".into(),
            launch_configuration_name: configuration.map(str::to_owned),
            launch_template: template,
            ..Default::default()
        })
        .unwrap();
    };
    for (configuration, version, now) in [(Some("one"), None, "1"), (None, Some("$Latest"), "2")] {
        launches_with(&rig, configuration, version);
        done(&refresh(&rig, &["--image", &new, "--auto-rollback", "--wait"]));
        let shown = rig.call(&wire::DescribeAutoScalingGroups::default()).unwrap().auto_scaling_groups.0.remove(0);
        let held = shown.launch_template.unwrap();
        assert_eq!(held.version.as_deref(), Some(now), "{held:?}");
        let member = settled(&mut rig, 1).remove(0);
        let input = ec2::DescribeInstances { instance_ids: vec![member], ..Default::default() };
        let instance = rig.call(&input).unwrap().reservation_set.0.remove(0).instances_set.0.remove(0);
        assert_eq!(instance.image_id, new);
        let versions = rig.call(&ec2::DescribeLaunchTemplateVersions {
            launch_template_id: held.launch_template_id,
            versions: vec![now.into()],
            ..Default::default()
        });
        let data = versions.unwrap().launch_template_version_set.0.remove(0).launch_template_data;
        let told = configuration.map(|_| "Z3JlZXRpbmc9aGVsbG8=");
        assert_eq!((data.image_id.as_deref(), data.user_data.as_deref()), (Some(new.as_str()), told));
    }
    // A template that was made for nothing is taken back.
    launches_with(&rig, Some("one"), None);
    let before = rig.call(&ec2::DescribeLaunchTemplates::default()).unwrap().launch_templates.len();
    let refused = refresh(&rig, &["--image", &new, "--alarm", "nobody"]);
    assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stderr));
    assert_eq!(rig.call(&ec2::DescribeLaunchTemplates::default()).unwrap().launch_templates.len(), before);
    end(&mut rig);
    rig.finish();
}

#[test]
fn explain_says_what_a_refresh_waits_for_and_who_for_which_hook() {
    let mut rig = Rig::start();
    let image = rig.image("v1", &[]);
    let old = group(&mut rig, &image, 1).remove(0);
    let hook = "warm".to_owned();
    rig.call(&wire::PutLifecycleHook {
        lifecycle_hook_name: hook.clone(),
        auto_scaling_group_name: "web".into(),
        lifecycle_transition: Some("autoscaling:EC2_INSTANCE_LAUNCHING".into()),
        heartbeat_timeout: Some(7_200),
        ..Default::default()
    })
    .unwrap();
    done(&refresh(&rig, &["--checkpoint", "50", "--checkpoint", "100"]));
    let (new, told) = rig.wait("a new one to wait for the hook", PATIENCE, |rig| {
        let waits = members(rig).into_iter().find(|member| member.lifecycle_state == "Pending:Wait")?;
        Some((waits.instance_id, rig.said(&["asg", "explain", "web"])))
    });
    let id = last(&rig).instance_refresh_id.unwrap();
    for part in [
        &format!("refresh {id} is InProgress: 0 % complete, 1 left"),
        &format!("Waiting for remaining instances to be available. For example: {new} is Pending:Wait."),
        "checkpoints: 50 %, 100 %\n",
        "meanwhile no other refresh can be started",
        &format!("{new} is Pending:Wait since "),
        "waiting for hook warm until ",
        ", then ABANDON",
    ] {
        assert!(told.contains(part), "`{part}` is not in {told}");
    }
    assert!(!told.contains(&format!("{old} is ")), "{told}");
    done(&refresh(&rig, &["--cancel"]));
    let told = rig.said(&["asg", "explain", "web"]);
    assert!(told.contains("is Cancelling") && told.contains("Waiting for in-flight instances."), "{told}");
    rig.call(&wire::CompleteLifecycleAction {
        lifecycle_hook_name: hook,
        auto_scaling_group_name: "web".into(),
        lifecycle_action_result: "CONTINUE".into(),
        instance_id: Some(new),
        ..Default::default()
    })
    .unwrap();
    assert_eq!(over(&mut rig).0.status.as_deref(), Some("Cancelled"));
    let told = rig.said(&["asg", "explain", "web"]);
    assert!(!told.contains("refresh") && !told.contains("hook"), "{told}");
    end(&mut rig);
    rig.finish();
}

#[test]
fn a_daemon_killed_at_twenty_points_of_refreshes_goes_on_and_doubles_nothing() {
    let mut rig = Rig::start();
    let good = rig.image("v1", &[]);
    let bad = bad(&rig);
    let images = [(good.clone(), "Successful"), (bad, "RollbackSuccessful")];
    group(&mut rig, &good, 3);
    let mut dice = Dice(0x4EF4E5);
    let mut kills = 0;
    for (image, wanted) in images.iter().cycle() {
        if kills >= KILLS {
            break;
        }
        done(&refresh(&rig, &["--image", image, "--auto-rollback", "--min-healthy", "100", "--max-healthy", "150"]));
        while kills < KILLS && last(&rig).end_time.is_none() {
            // Wherever it then is: before it begins, in the midst of launches, of drains, of ends.
            std::thread::sleep(Duration::from_millis(dice.below(700)));
            rig.kill_daemon();
            rig.up();
            kills += 1;
        }
        let (held, _) = over(&mut rig);
        assert_eq!(held.status.as_deref(), Some(*wanted), "{held:?}\n{}", rig.log());
    }
    let serving: BTreeSet<String> = settled(&mut rig, 3).into_iter().collect();
    accounted(&rig, &serving);
    end(&mut rig);
    rig.finish();
}
