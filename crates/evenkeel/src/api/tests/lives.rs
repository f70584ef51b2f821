//! Instances' attributes, what protects them, what they are ended for, and zones that are full.

use evenkeel_aws::blob::Blob;
use evenkeel_core::noun::Capacity;

use super::*;

fn modify(id: &str, change: impl FnOnce(&mut ec2::ModifyInstanceAttribute)) -> ec2::ModifyInstanceAttribute {
    let mut input = ec2::ModifyInstanceAttribute { instance_id: id.into(), ..Default::default() };
    change(&mut input);
    input
}

fn yes() -> Option<ec2::BooleanStated> {
    Some(ec2::BooleanStated { value: Some(true) })
}

fn no() -> Option<ec2::BooleanStated> {
    Some(ec2::BooleanStated { value: Some(false) })
}

fn text(value: &str) -> Option<ec2::TextStated> {
    Some(ec2::TextStated { value: Some(value.into()) })
}

fn stop(ids: &[&str]) -> ec2::StopInstances {
    ec2::StopInstances { instance_ids: ids.iter().map(ToString::to_string).collect(), ..Default::default() }
}

fn start(ids: &[&str]) -> ec2::StartInstances {
    ec2::StartInstances { instance_ids: ids.iter().map(ToString::to_string).collect(), ..Default::default() }
}

fn terminate(ids: &[&str]) -> ec2::TerminateInstances {
    ec2::TerminateInstances { instance_ids: ids.iter().map(ToString::to_string).collect(), ..Default::default() }
}

fn ended(by: EndedBy, never_started: bool) -> Seen {
    Seen::Ended { how: "it broke".into(), orderly: false, never_started, by }
}

impl Rig {
    async fn attribute(&self, id: &str, name: &str) -> ec2::DescribeInstanceAttributeOutput {
        let attribute = Some(name.to_owned());
        self.ok(ec2::DescribeInstanceAttribute { instance_id: id.into(), attribute, dry_run: None }).await
    }

    async fn instance(&self, id: &str) -> ec2::Instance {
        let input = ec2::DescribeInstances { instance_ids: vec![id.into()], ..Default::default() };
        self.ok(input).await.reservation_set[0].instances_set[0].clone()
    }

    async fn stopped(&self, id: &str) {
        self.ok(stop(&[id])).await;
        self.report(id, Seen::Ended { how: "done".into(), orderly: true, never_started: false, by: EndedBy::Itself })
            .await;
    }
}

#[tokio::test]
async fn attributes_are_set_one_at_a_time_and_set_back() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let id = rig.launch(&image, "us-east-1a", 1).await.remove(0);
    rig.report(&id, WELL).await;
    rig.ok(modify(&id, |i| i.disable_api_termination = yes())).await;
    assert!(rig.attribute(&id, "disableApiTermination").await.disable_api_termination.unwrap().value);
    rig.ok(modify(&id, |i| i.instance_initiated_shutdown_behavior = text("terminate"))).await;
    let held = rig.attribute(&id, "instanceInitiatedShutdownBehavior").await.instance_initiated_shutdown_behavior;
    assert_eq!(held.unwrap().value.as_deref(), Some("terminate"));
    rig.ok(modify(&id, |i| i.source_dest_check = no())).await;
    assert!(!rig.attribute(&id, "sourceDestCheck").await.source_dest_check.unwrap().value);
    assert_eq!(rig.instance(&id).await.source_dest_check, Some(false));
    let reset = |attribute: &str| ec2::ResetInstanceAttribute {
        instance_id: id.clone(),
        attribute: Some(attribute.into()),
        dry_run: None,
    };
    for attribute in ["sourceDestCheck", "kernel", "ramdisk"] {
        rig.ok(reset(attribute)).await;
    }
    assert!(rig.attribute(&id, "sourceDestCheck").await.source_dest_check.unwrap().value);
    rig.no(reset("userData"), 400, "InvalidParameterValue", "kernel, ramdisk or sourceDestCheck").await;
    rig.no(ec2::ResetInstanceAttribute { attribute: None, ..reset("") }, 400, "MissingParameter", "attribute").await;

    // What a start brings is changed while it is stopped, and brought by the next one.
    let running = "is not in the 'stopped' state.";
    let larger = || modify(&id, |i| i.instance_type = text("m1.large"));
    let told = || modify(&id, |i| i.user_data = Some(ec2::BlobStated { value: Some(Blob(b"#!/bin/sh".to_vec())) }));
    rig.no(larger(), 400, "IncorrectInstanceState", running).await;
    rig.no(told(), 400, "IncorrectInstanceState", running).await;
    rig.stopped(&id).await;
    rig.ok(larger()).await;
    rig.ok(told()).await;
    assert_eq!(rig.instance(&id).await.instance_type, "m1.large");
    assert_eq!(rig.attribute(&id, "userData").await.user_data.unwrap().value, Some(Blob(b"#!/bin/sh".to_vec())));
    let untold = modify(&id, |i| i.user_data = Some(ec2::BlobStated { value: Some(Blob(Vec::new())) }));
    rig.ok(untold).await;
    assert_eq!(rig.attribute(&id, "userData").await.user_data.unwrap().value, None);
    let large = modify(&id, |i| i.user_data = Some(ec2::BlobStated { value: Some(Blob(vec![0; 16_385])) }));
    rig.no(large, 400, "InvalidParameterValue", "16384").await;
    rig.no(modify(&id, |i| i.instance_type = text("Huge!")), 400, "InvalidParameterValue", "Huge!").await;

    let group = ec2::CreateSecurityGroup {
        group_name: Some("web".into()),
        group_description: Some("d".into()),
        ..Default::default()
    };
    let group = rig.ok(group).await.group_id;
    rig.ok(modify(&id, |i| i.group_ids = vec![group.clone()])).await;
    assert_eq!(rig.attribute(&id, "groupSet").await.group_set.unwrap()[0].group_id, group);
    rig.no(modify(&id, |i| i.group_ids = vec!["sg-12345678".into()]), 400, "InvalidGroup.NotFound", "sg-12345678")
        .await;
}

#[tokio::test]
async fn attributes_are_set_by_name_too_and_refused_in_awss_words() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let id = rig.launch(&image, "us-east-1a", 1).await.remove(0);
    let named =
        |name: &str, value: &str| modify(&id, |i| (i.attribute, i.value) = (Some(name.into()), Some(value.into())));
    rig.ok(named("disableApiStop", "True")).await;
    assert!(rig.attribute(&id, "disableApiStop").await.disable_api_stop.unwrap().value);
    rig.ok(named("disableApiStop", "false")).await;
    rig.stopped(&id).await;
    rig.ok(named("userData", "aGVsbG8=")).await;
    assert_eq!(rig.attribute(&id, "userData").await.user_data.unwrap().value, Some(Blob(b"hello".to_vec())));
    rig.ok(named("instanceType", "t2.micro")).await;
    rig.no(named("userData", "?"), 400, "InvalidParameterValue", "BASE64").await;
    rig.no(named("disableApiStop", "maybe"), 400, "InvalidParameterValue", "maybe").await;
    rig.no(named("rootDeviceName", "x"), 400, "InvalidParameterValue", "rootDeviceName").await;
    rig.no(modify(&id, |_| ()), 400, "InvalidParameterCombination", "No attributes specified.").await;
    let two = modify(&id, |i| (i.disable_api_stop, i.instance_type) = (yes(), text("t2.nano")));
    let both = "Fields for multiple attribute types specified: disableApiStop, instanceType";
    rig.no(two, 400, "InvalidParameterCombination", both).await;
    rig.no(modify("x", |i| i.disable_api_stop = yes()), 400, "InvalidInstanceID.Malformed", "x").await;
    let unknown = "i-00000000000000001";
    rig.no(modify(unknown, |i| i.disable_api_stop = yes()), 400, "InvalidInstanceID.NotFound", unknown).await;
    rig.no(modify(unknown, |i| i.ebs_optimized = no()), 400, "InvalidInstanceID.NotFound", unknown).await;
    let dry = modify(&id, |i| (i.disable_api_stop, i.dry_run) = (yes(), Some(true)));
    rig.no(dry, 412, "DryRunOperation", "").await;
    assert!(!rig.attribute(&id, "disableApiStop").await.disable_api_stop.unwrap().value);
    // What is not there cannot be had; that it is not to be had changes nothing.
    rig.ok(modify(&id, |i| i.ebs_optimized = no())).await;
    rig.no(modify(&id, |i| i.ebs_optimized = yes()), 400, "UnsupportedOperation", "").await;
    rig.no(modify(&id, |i| i.kernel = text("aki-1")), 400, "UnsupportedOperation", "kernel").await;
    rig.no(modify(&id, |i| i.sriov_net_support = text("simple")), 400, "UnsupportedOperation", "adapters").await;
    let volume = modify(&id, |i| i.block_device_mappings = vec![ec2::InstanceBlockDeviceStated::default()]);
    rig.no(volume, 400, "UnsupportedOperation", "volumes").await;
    rig.ok(terminate(&[&id])).await;
    rig.no(modify(&id, |i| i.disable_api_stop = yes()), 400, "IncorrectInstanceState", "modified").await;
}

#[tokio::test]
async fn what_is_protected_is_neither_stopped_nor_terminated() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let guarded = ec2::RunInstances {
        disable_api_termination: Some(true),
        placement: Some(ec2::Placement { availability_zone: Some("us-east-1a".into()), ..Default::default() }),
        ..launch(&image, 1)
    };
    let one = rig.ok(guarded).await.instances_set[0].instance_id.clone();
    let two = rig.launch(&image, "us-east-1a", 1).await.remove(0);
    let three = rig.launch(&image, "us-east-1b", 1).await.remove(0);
    for id in [&one, &two, &three] {
        rig.report(id, WELL).await;
    }
    let text = format!(
        "The instance '{one}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again."
    );
    rig.no(terminate(&[&one]), 400, "OperationNotPermitted", &text).await;
    let all = || terminate(&[&two, &one, &three]);
    rig.no(ec2::TerminateInstances { dry_run: Some(true), ..all() }, 400, "OperationNotPermitted", &text).await;
    assert_eq!(rig.instance(&three).await.instance_state.name, "running");
    rig.no(all(), 400, "OperationNotPermitted", &text).await;
    let states = [rig.instance(&one).await, rig.instance(&two).await, rig.instance(&three).await];
    assert_eq!(states.map(|i| i.instance_state.name), ["running", "running", "shutting-down"]);
    // Its owner may stop it, and may lift what protects it.
    rig.stopped(&one).await;
    rig.ok(modify(&one, |i| i.disable_api_termination = no())).await;
    assert_eq!(rig.ok(terminate(&[&one])).await.instances_set[0].current_state.name, "terminated");
    rig.ok(modify(&two, |i| i.disable_api_stop = yes())).await;
    let text = "may not be stopped. Modify its 'disableApiStop' instance attribute and try again.";
    rig.no(stop(&[&two]), 400, "OperationNotPermitted", text).await;
    rig.no(terminate(&[&two]), 400, "OperationNotPermitted", "'disableApiStop'").await;
    rig.ok(ec2::RebootInstances { instance_ids: vec![two.clone()], dry_run: None }).await;
}

#[tokio::test]
async fn a_reason_says_whose_doing_an_end_was_and_when_it_was_asked_for() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let launched = rig.launch(&image, "us-east-1a", 4).await;
    let pending = rig.instance(&launched[0]).await;
    assert_eq!(pending.state_reason.map(|r| (r.code, r.message)), Some(("pending".into(), "pending".into())));
    let check = async |id: &str, seen: Seen, state: &str, code: &str| {
        rig.report(id, seen).await;
        let shown = rig.instance(id).await;
        let reason = shown.state_reason.unwrap();
        assert_eq!((shown.instance_state.name.as_str(), reason.code.as_str()), (state, code));
        assert_eq!((reason.message, shown.reason), (format!("{code}: it broke"), format!("{code}: it broke")));
    };
    check(&launched[0], ended(EndedBy::WantOfRoom, true), "terminated", "Server.InsufficientInstanceCapacity").await;
    check(&launched[1], ended(EndedBy::Node, true), "terminated", "Server.InternalError").await;
    check(&launched[2], ended(EndedBy::Itself, true), "terminated", "Client.InternalError").await;
    rig.report(&launched[3], WELL).await;
    assert_eq!(rig.instance(&launched[3]).await.state_reason, None);
    check(&launched[3], ended(EndedBy::Node, false), "stopped", "Server.InternalError").await;
    // A later start that comes to nothing leaves it stopped, with all that it had.
    rig.ok(start(&[&launched[3]])).await;
    let instance = InstanceId::new(&launched[3]).unwrap();
    let change = Change::Report { instance, boot: 2, seen: ended(EndedBy::WantOfRoom, true) };
    rig.keeper.submit("driver", change).await.unwrap();
    let shown = rig.instance(&launched[3]).await;
    let code = shown.state_reason.unwrap().code;
    assert_eq!((shown.instance_state.name.as_str(), &*code), ("stopped", "Server.InsufficientInstanceCapacity"));
    let filters = vec![filter("state-reason-code", &["Server.*"])];
    let found = rig.ok(ec2::DescribeInstances { filters, ..Default::default() }).await;
    assert_eq!(found.reservation_set[0].instances_set.len(), 3);
}

#[tokio::test]
async fn a_full_zone_refuses_launches_and_starts_with_awss_code_and_status() {
    let capacity = |cpus: Option<u64>, memory_mib| Capacity { cpu_millis: cpus.map(|n| n * 1000), memory_mib };
    let zone = |name: &str| ZoneName::new(name).unwrap();
    let capacity = BTreeMap::from([
        (zone("us-east-1a"), capacity(Some(2), None)),
        (zone("us-east-1b"), capacity(None, Some(2000))),
    ]);
    let rig = Rig::with(Limits::default(), Settings { capacity, ..settings() }).await;
    let image = rig.image().await;
    let within = |zone: &str, kind: &str, least: i64, most: i64| ec2::RunInstances {
        placement: Some(ec2::Placement { availability_zone: Some(zone.into()), ..Default::default() }),
        instance_type: Some(kind.into()),
        max_count: most,
        ..launch(&image, least)
    };
    let full = "sufficient m1.small capacity in the Availability Zone you requested (us-east-1a)";
    rig.no(within("us-east-1a", "m1.small", 3, 3), 500, "InsufficientInstanceCapacity", full).await;
    let dry = ec2::RunInstances { dry_run: Some(true), ..within("us-east-1a", "m1.small", 3, 3) };
    rig.no(dry, 500, "InsufficientInstanceCapacity", "choosing us-east-1c.").await;
    let made = rig.ok(within("us-east-1a", "m1.small", 1, 9)).await.instances_set;
    assert_eq!(made.len(), 2);
    rig.report(&made[0].instance_id, WELL).await;
    rig.stopped(&made[0].instance_id).await;
    rig.ok(within("us-east-1a", "m1.small", 1, 1)).await;
    rig.no(start(&[&made[0].instance_id]), 500, "InsufficientInstanceCapacity", full).await;
    let unknown = "instance type (x9.huge) is not supported in your requested Availability Zone (us-east-1b)";
    rig.no(within("us-east-1b", "x9.huge", 1, 1), 400, "Unsupported", unknown).await;
    rig.ok(within("us-east-1c", "x9.huge", 1, 1)).await;
    let anywhere = ec2::RunInstances { instance_type: Some("m1.xlarge".into()), ..launch(&image, 1) };
    assert_eq!(rig.ok(anywhere).await.instances_set[0].placement.availability_zone, "us-east-1c");
}

#[tokio::test]
async fn types_are_told_by_names_filters_and_pages_and_offered_by_place() {
    let zone = |name: &str| ZoneName::new(name).unwrap();
    let full = Capacity { cpu_millis: Some(1), memory_mib: None };
    let settings = Settings { capacity: BTreeMap::from([(zone("us-east-1a"), full)]), ..settings() };
    let rig = Rig::with(Limits::default(), settings).await;
    let of = |filters: Vec<ec2::Filter>| ec2::DescribeInstanceTypes { filters, ..Default::default() };
    let names = async |input: ec2::DescribeInstanceTypes| {
        rig.ok(input).await.instance_type_set.iter().map(|t| t.instance_type.clone()).collect::<Vec<_>>()
    };
    let two = ec2::DescribeInstanceTypes { instance_types: vec!["t2.micro".into(), "m1.small".into()], ..of(vec![]) };
    let told = rig.ok(two.clone()).await.instance_type_set;
    let shown: Vec<_> =
        told.iter().map(|t| (&*t.instance_type, t.v_cpu_info.default_v_cpus, t.memory_info.size_in_mib)).collect();
    assert_eq!(shown, [("m1.small", 1, 1740), ("t2.micro", 1, 1024)]);
    assert!(told[1].current_generation && !told[0].current_generation);
    assert_eq!(names(of(vec![filter("instance-type", &["t2.n*", "t3.n*"])])).await, ["t2.nano", "t3.nano"]);
    let sized = vec![filter("vcpu-info.default-vcpus", &["2"]), filter("memory-info.size-in-mib", &["8192"])];
    assert!(names(of(sized.clone())).await.contains(&"m5.large".to_owned()));
    let old = [sized, vec![filter("current-generation", &["false"])]].concat();
    assert_eq!(names(of(old)).await, Vec::<String>::new());
    rig.no(of(vec![filter("gpu", &["1"])]), 400, "InvalidParameterValue", "The filter 'gpu' is invalid").await;
    let unknown = ec2::DescribeInstanceTypes { instance_types: vec!["x9.huge".into()], ..of(vec![]) };
    let text = "The following supplied instance types do not exist: [x9.huge]";
    rig.no(unknown, 400, "InvalidInstanceType", text).await;
    let mixed = ec2::DescribeInstanceTypes { max_results: Some(5), ..two.clone() };
    rig.no(mixed, 400, "InvalidParameterCombination", "MaxResults").await;
    let many = ec2::DescribeInstanceTypes { max_results: Some(101), ..of(vec![]) };
    rig.no(many, 400, "InvalidParameterValue", "100").await;
    rig.no(ec2::DescribeInstanceTypes { dry_run: Some(true), ..two }, 412, "DryRunOperation", "").await;
    let (mut all, mut token) = (Vec::new(), None);
    loop {
        let page = ec2::DescribeInstanceTypes { max_results: Some(20), next_token: token, ..of(vec![]) };
        let page = rig.ok(page).await;
        all.extend(page.instance_type_set.iter().map(|t| t.instance_type.clone()));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(all, names(of(vec![])).await);

    let offered = |kind: Option<&str>, filters: Vec<ec2::Filter>| ec2::DescribeInstanceTypeOfferings {
        location_type: kind.map(Into::into),
        filters,
        ..Default::default()
    };
    let small = || filter("instance-type", &["m1.small"]);
    let places = async |kind: Option<&str>, filters: Vec<ec2::Filter>| {
        let found = rig.ok(offered(kind, filters)).await.instance_type_offering_set;
        found.iter().map(|o| (o.location_type.clone(), o.location.clone())).collect::<Vec<_>>()
    };
    let at = |kind: &str, place: &str| (kind.to_owned(), place.to_owned());
    assert_eq!(places(None, vec![small()]).await, [at("region", "us-east-1")]);
    let zones = places(Some("availability-zone"), vec![small()]).await;
    assert_eq!(zones, ["us-east-1a", "us-east-1b", "us-east-1c"].map(|zone| at("availability-zone", zone)));
    let one = vec![small(), filter("location", &["use1-az2"])];
    assert_eq!(places(Some("availability-zone-id"), one).await, [at("availability-zone-id", "use1-az2")]);
    rig.no(offered(Some("outpost"), vec![]), 400, "InvalidParameterValue", "outpost").await;
    let first = ec2::DescribeInstanceTypeOfferings { max_results: Some(5), ..offered(None, vec![]) };
    let first = rig.ok(first).await;
    assert!(first.instance_type_offering_set.len() == 5 && first.next_token.is_some());
}

#[tokio::test]
async fn a_token_goes_with_all_that_was_asked_for_then() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let with = |change: fn(&mut ec2::RunInstances)| {
        let mut input = ec2::RunInstances { client_token: Some("t1".into()), ..launch(&image, 1) };
        change(&mut input);
        input
    };
    let first = rig.ok(with(|_| ())).await;
    let id = first.instances_set[0].instance_id.clone();
    assert_eq!(rig.ok(with(|_| ())).await, first);
    let others: [fn(&mut ec2::RunInstances); 6] = [
        |i| i.max_count = 2,
        |i| i.disable_api_termination = Some(true),
        |i| i.instance_initiated_shutdown_behavior = Some("terminate".into()),
        |i| i.key_name = Some("mine".into()),
        |i| i.user_data = Some(Blob(b"x".to_vec())),
        |i| {
            let tags = vec![ec2::Tag { key: "a".into(), value: None }];
            i.tag_specifications = vec![ec2::TagSpecification { resource_type: "instance".into(), tags }];
        },
    ];
    for other in others {
        rig.no(with(other), 400, "IdempotentParameterMismatch", "t1").await;
    }
    rig.no(with(|i| i.dry_run = Some(true)), 412, "DryRunOperation", "").await;
    // The instance may be another since; the call is the same.
    rig.report(&id, WELL).await;
    rig.stopped(&id).await;
    rig.ok(modify(&id, |i| i.instance_type = text("m1.large"))).await;
    assert_eq!(rig.ok(with(|_| ())).await.instances_set[0].instance_id, id);
    assert_eq!(rig.keeper.world().instances().count(), 1);
}
