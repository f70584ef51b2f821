//! EC2 and STS: launching, describing, ending, images, places; and every error row of AWS's behaviour.

use evenkeel_aws::blob::Blob;
use evenkeel_aws::sts::GetCallerIdentity;
use evenkeel_core::change::NewImage;
use evenkeel_core::name::ImageId;

use super::*;

fn instances(ids: &[&str]) -> ec2::DescribeInstances {
    ec2::DescribeInstances { instance_ids: ids.iter().map(ToString::to_string).collect(), ..Default::default() }
}

fn filtered(filters: &[ec2::Filter]) -> ec2::DescribeInstances {
    ec2::DescribeInstances { filters: filters.to_vec(), ..Default::default() }
}

fn terminate(id: &str) -> ec2::TerminateInstances {
    ec2::TerminateInstances { instance_ids: vec![id.into()], ..Default::default() }
}

fn ids(output: &ec2::DescribeInstancesOutput) -> Vec<&str> {
    output.reservation_set.iter().flat_map(|r| &r.instances_set).map(|i| i.instance_id.as_str()).collect()
}

fn ended() -> Seen {
    Seen::Ended { how: "stopped".into(), orderly: true, never_started: false, by: EndedBy::Itself }
}

#[tokio::test]
async fn a_launch_shows_what_old_tools_read() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let input = ec2::RunInstances {
        key_name: Some("mine".into()),
        security_groups: vec!["default".into()],
        user_data: Some(Blob(b"[Boto]\n".to_vec())),
        instance_initiated_shutdown_behavior: Some("save".into()),
        tag_specifications: vec![ec2::TagSpecification {
            resource_type: "instance".into(),
            tags: vec![ec2::Tag { key: "Name".into(), value: Some("web".into()) }],
        }],
        ..launch(&image, 2)
    };
    let reservation = rig.ok(input).await;
    assert_eq!(reservation.owner_id, ACCOUNT);
    assert_eq!(reservation.group_set[0].group_name, "default");
    let indices: Vec<i64> = reservation.instances_set.iter().map(|i| i.ami_launch_index).collect();
    assert_eq!(indices, [0, 1]);
    let one = &reservation.instances_set[0];
    assert_eq!((one.instance_state.code, one.instance_state.name.as_str()), (0, "pending"));
    assert_eq!((one.instance_type.as_str(), one.key_name.as_str()), ("m1.small", "mine"));
    assert_eq!(one.dns_name, format!("ip-{}.internal", one.private_ip_address.replace('.', "-")));
    assert_eq!((&one.dns_name, &one.private_ip_address), (&one.private_dns_name, &one.ip_address));
    assert_eq!(one.tag_set[0].value, "web");
    let held = rig.keeper.world().instance(&InstanceId::new(&one.instance_id).unwrap()).unwrap().clone();
    assert_eq!(held.user_data.as_deref(), Some("W0JvdG9dCg=="));
    // boto 2's `list_instances -t` needs every element as text, be it empty.
    rig.launch(&image, "us-east-1b", 1).await;
    let mut request = rig.signed(&filtered(&[filter("availability-zone", &["us-east-1b"])]));
    let text = rig.raw(&bytes(&request, true)).await;
    assert!(text.text().contains("<keyName></keyName>") || text.text().contains("<keyName/>"), "{}", text.text());
    assert!(text.text().contains("http://ec2.amazonaws.com/doc/2016-11-15/"), "{}", text.text());
    // Whatever version is stated is answered.
    let body = String::from_utf8(request.body).unwrap().replace("2016-11-15", "2014-10-01");
    request.body = body.into_bytes();
    sigv4::sign(&mut request, &rig.credentials, "127", "0", now());
    let text = rig.raw(&bytes(&request, true)).await;
    assert!(text.text().contains("http://ec2.amazonaws.com/doc/2014-10-01/"), "{}", text.text());
}

#[tokio::test]
async fn launches_are_refused_in_awss_words() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let with = |change: fn(&mut ec2::RunInstances)| {
        let mut input = launch(&image, 1);
        change(&mut input);
        input
    };
    rig.no(with(|i| i.image_id = None), 400, "MissingParameter", "ImageId").await;
    rig.no(with(|i| i.image_id = Some("image".into())), 400, "InvalidAMIID.Malformed", "Invalid id: \"image\"").await;
    rig.no(
        with(|i| i.image_id = Some("ami-12345678".into())),
        400,
        "InvalidAMIID.NotFound",
        "The image id '[ami-12345678]' does not exist",
    )
    .await;
    rig.no(with(|i| i.min_count = 0), 400, "InvalidParameterValue", "minCount").await;
    rig.no(with(|i| i.max_count = -1), 400, "InvalidParameterValue", "maxCount").await;
    rig.no(with(|i| i.min_count = 2), 400, "InvalidParameterCombination", "minCount (2)").await;
    rig.no(with(|i| (i.min_count, i.max_count) = (i64::MAX, i64::MAX)), 400, "InstanceLimitExceeded", "10000").await;
    rig.no(
        with(|i| i.user_data = Some(Blob(vec![0; 16_385]))),
        400,
        "InvalidParameterValue",
        "User data is limited to 16384 bytes",
    )
    .await;
    rig.no(
        with(|i| i.security_groups = vec!["web".into()]),
        400,
        "InvalidGroup.NotFound",
        "The security group 'web' does not exist",
    )
    .await;
    rig.no(with(|i| i.security_group_ids = vec!["sg-12345678".into()]), 400, "InvalidGroup.NotFound", "sg-12345678")
        .await;
    let placed = |i: &mut ec2::RunInstances| {
        i.placement = Some(ec2::Placement { availability_zone: Some("us-east-1z".into()), ..Default::default() });
    };
    rig.no(with(placed), 400, "InvalidParameterValue", "Invalid availability zone: [us-east-1z]").await;
    rig.no(
        with(|i| i.instance_initiated_shutdown_behavior = Some("explode".into())),
        400,
        "InvalidParameterValue",
        "explode",
    )
    .await;
    rig.no(with(|i| i.instance_type = Some("Huge!".into())), 400, "InvalidParameterValue", "Huge!").await;
    rig.no(with(|i| i.subnet_id = Some("subnet-1".into())), 400, "InvalidSubnetID.NotFound", "subnet-1").await;
    rig.no(with(|i| i.launch_template = Some(Default::default())), 400, "MissingParameter", "launch template ID or")
        .await;
    rig.no(with(|i| i.client_token = Some("t".repeat(65))), 400, "InvalidParameterValue", "64").await;
    let volume = |i: &mut ec2::RunInstances| {
        i.tag_specifications = vec![ec2::TagSpecification { resource_type: "volume".into(), tags: Vec::new() }];
    };
    rig.no(with(volume), 400, "InvalidParameterValue", "'volume'").await;
    rig.no(
        with(|i| i.dry_run = Some(true)),
        412,
        "DryRunOperation",
        "Request would have succeeded, but DryRun flag is set.",
    )
    .await;
    assert!(rig.ok(instances(&[])).await.reservation_set.is_empty());
    // The id of the default group is good, and so is an empty zone.
    let group = rig.ok(ec2::DescribeSecurityGroups::default()).await.security_group_info[0].group_id.clone();
    let input = ec2::RunInstances {
        security_group_ids: vec![group],
        placement: Some(ec2::Placement { availability_zone: Some(String::new()), ..Default::default() }),
        ..launch(&image, 1)
    };
    rig.ok(input).await;
}

#[tokio::test]
async fn counts_and_tokens_are_kept() {
    let mut settings = settings();
    settings.limits.instances = 4;
    settings.instance_pool = "127.81.0.0/30".parse().unwrap();
    let rig = Rig::with(Limits::default(), settings).await;
    let image = rig.image().await;
    let upto = |max_count| ec2::RunInstances { max_count, client_token: Some("t1".into()), ..launch(&image, 1) };
    let first = rig.ok(upto(2)).await;
    assert_eq!(first.instances_set.len(), 2);
    assert_eq!(rig.ok(upto(2)).await, first);
    let other = ec2::RunInstances { instance_type: Some("m1.large".into()), ..upto(2) };
    rig.no(other, 400, "IdempotentParameterMismatch", "t1").await;
    rig.no(launch(&image, 3), 400, "InstanceLimitExceeded", "4").await;
    rig.no(launch(&image, 2), 400, "InsufficientFreeAddressesInSubnet", "127.81.0.0/30").await;
    rig.ok(launch(&image, 1)).await;
}

#[tokio::test]
async fn as_many_as_there_is_room_for_are_launched() {
    let mut settings = settings();
    settings.limits.instances = 3;
    let rig = Rig::with(Limits::default(), settings).await;
    let image = rig.image().await;
    rig.launch(&image, "us-east-1a", 1).await;
    let most = ec2::RunInstances { max_count: i64::MAX, ..launch(&image, 1) };
    assert_eq!(rig.ok(most).await.instances_set.len(), 2);
}

#[tokio::test]
async fn instances_end_stop_start_and_reboot() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let launched = rig.launch(&image, "us-east-1a", 2).await;
    let (one, two) = (launched[0].as_str(), launched[1].as_str());
    rig.report(one, WELL).await;
    let unknown = "i-00000000000000001";
    rig.no(
        terminate(unknown),
        400,
        "InvalidInstanceID.NotFound",
        "The instance ID 'i-00000000000000001' does not exist",
    )
    .await;
    rig.no(terminate("nonsense"), 400, "InvalidInstanceID.Malformed", "Invalid id: \"nonsense\"").await;
    rig.no(ec2::TerminateInstances::default(), 400, "MissingParameter", "InstanceId").await;
    let both = ec2::TerminateInstances { instance_ids: vec![one.into(), unknown.into()], ..Default::default() };
    rig.no(both, 400, "InvalidInstanceID.NotFound", unknown).await;
    let dry = ec2::TerminateInstances { dry_run: Some(true), ..terminate(one) };
    rig.no(dry, 412, "DryRunOperation", "would have succeeded").await;
    let dry = ec2::TerminateInstances { dry_run: Some(true), ..terminate(unknown) };
    rig.no(dry, 400, "InvalidInstanceID.NotFound", unknown).await;
    let stop = |id: &str| ec2::StopInstances { instance_ids: vec![id.into()], ..Default::default() };
    let start = |id: &str| ec2::StartInstances { instance_ids: vec![id.into()], ..Default::default() };
    let changed = &rig.ok(stop(one)).await.instances_set[0];
    assert_eq!((changed.previous_state.name.as_str(), changed.current_state.name.as_str()), ("running", "stopping"));
    rig.no(start(one), 400, "IncorrectInstanceState", "stopping").await;
    rig.report(one, ended()).await;
    let stopped = &rig.ok(instances(&[one])).await.reservation_set[0].instances_set[0];
    assert_eq!((stopped.ip_address.as_str(), stopped.dns_name.as_str()), ("", ""));
    assert!(
        stopped.reason.starts_with("User initiated (20") && stopped.reason.ends_with(" GMT)"),
        "{}",
        stopped.reason
    );
    assert_eq!(stopped.state_reason.as_ref().unwrap().code, "Client.UserInitiatedShutdown");
    rig.no(
        ec2::RebootInstances { instance_ids: vec![one.into()], dry_run: None },
        400,
        "IncorrectInstanceState",
        "stopped",
    )
    .await;
    assert_eq!(rig.ok(start(one)).await.instances_set[0].current_state.name, "pending");
    let ending = &rig.ok(terminate(two)).await.instances_set[0];
    assert_eq!((ending.previous_state.code, ending.current_state.code), (0, 32));
    rig.report(two, ended()).await;
    assert_eq!(rig.ok(terminate(two)).await.instances_set[0].current_state.name, "terminated");
    rig.no(start(two), 400, "IncorrectInstanceState", "terminated").await;
    rig.ok(ec2::RebootInstances { instance_ids: vec![one.into()], dry_run: None }).await;
}

#[tokio::test]
async fn instances_are_described_in_launch_order_by_filters_and_pages() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let mut launched = Vec::new();
    for zone in ["us-east-1a", "us-east-1b", "us-east-1a", "us-east-1c"] {
        launched.extend(rig.launch(&image, zone, 2).await);
        let at = now();
        while now() == at {
            tokio::task::yield_now().await;
        }
    }
    let all = rig.ok(instances(&[])).await;
    assert_eq!(ids(&all), launched);
    assert_eq!(all.reservation_set.len(), 4);
    rig.report(&launched[3], WELL).await;
    let check = async |filters: &[ec2::Filter], want: &[usize]| {
        let want: Vec<&str> = want.iter().map(|n| launched[*n].as_str()).collect();
        assert_eq!(ids(&rig.ok(filtered(filters)).await), want, "{filters:?}");
    };
    check(&[filter("availability-zone", &["us-east-1b", "us-east-1c"])], &[2, 3, 6, 7]).await;
    check(&[filter("availability-zone", &["*b"]), filter("instance-state-name", &["running"])], &[3]).await;
    check(&[filter("instance-id", &[&launched[5]])], &[5]).await;
    check(&[filter("image-id", &["ami-none"])], &[]).await;
    check(&[filter("vpc-id", &["vpc-0"])], &[]).await;
    let tags = ec2::CreateTags {
        resource_ids: vec![launched[0].clone(), launched[7].clone()],
        tags: vec![ec2::Tag { key: "Name".into(), value: Some("web*1".into()) }],
        dry_run: None,
    };
    rig.ok(tags).await;
    check(&[filter("tag:Name", &[r"web\*1"])], &[0, 7]).await;
    check(&[filter("tag-key", &["Name"]), filter("instance-id", &[&launched[7], &launched[6]])], &[7]).await;
    rig.no(filtered(&[filter("colour", &["red"])]), 400, "InvalidParameterValue", "The filter 'colour' is invalid")
        .await;
    rig.no(instances(&["i-00000000000000001"]), 400, "InvalidInstanceID.NotFound", "").await;
    rig.no(instances(&["x"]), 400, "InvalidInstanceID.Malformed", "").await;
    let paged = |next_token| ec2::DescribeInstances { max_results: Some(5), next_token, ..Default::default() };
    let first = rig.ok(paged(None)).await;
    assert_eq!(ids(&first), launched[..5]);
    let rest = rig.ok(paged(first.next_token)).await;
    assert_eq!((ids(&rest), &rest.next_token), (launched[5..].iter().map(String::as_str).collect(), &None));
    let few = ec2::DescribeInstances { max_results: Some(4), ..Default::default() };
    rig.no(few, 400, "InvalidParameterValue", "greater than or equal to 5").await;
    let mixed = ec2::DescribeInstances { max_results: Some(5), ..instances(&[&launched[0]]) };
    rig.no(mixed, 400, "InvalidParameterCombination", "maxResults").await;
    rig.no(paged(Some("x".into())), 400, "InvalidParameterValue", "NextToken").await;
}

#[tokio::test]
async fn status_and_console_tell_how_an_instance_fares() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let launched = rig.launch(&image, "us-east-1a", 8).await;
    rig.report(&launched[0], WELL).await;
    let running = rig.ok(ec2::DescribeInstanceStatus::default()).await.instance_status_set;
    assert_eq!(running.len(), 1);
    assert_eq!(
        (running[0].instance_status.status.as_str(), running[0].system_status.details[0].status.as_str()),
        ("ok", "passed")
    );
    let all = ec2::DescribeInstanceStatus { include_all_instances: Some(true), ..Default::default() };
    let all = rig.ok(all).await.instance_status_set;
    assert_eq!((all.len(), all[1].instance_status.status.as_str()), (8, "initializing"));
    let console = |id: &str| ec2::GetConsoleOutput { instance_id: id.into(), ..Default::default() };
    rig.no(console("x"), 400, "InvalidInstanceID.Malformed", "").await;
    rig.no(console("i-00000001"), 400, "InvalidInstanceID.NotFound", "").await;
    for id in &launched {
        let output = rig.ok(console(id)).await.output.0;
        if id.starts_with("i-0") {
            assert!(output.is_empty());
        } else {
            assert_eq!((output.len(), output.ends_with(b"ready\n")), (65_536, true));
        }
    }
}

#[tokio::test]
async fn images_are_registered_described_and_taken_away() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let register = |name: &str, location: &str| ec2::RegisterImage {
        name: name.into(),
        image_location: Some(location.into()),
        ..Default::default()
    };
    rig.no(register("app", "/images/app"), 400, "InvalidAMIName.Duplicate", &image).await;
    rig.no(register("a", "/images/app"), 400, "InvalidAMIName.Malformed", "3 to 128").await;
    rig.no(register("two", "images/app"), 400, "InvalidParameterValue", "absolute path").await;
    rig.no(register("two", "/images/none"), 400, "InvalidManifest", "read `/images/none`: no such file").await;
    rig.no(
        ec2::RegisterImage { image_location: None, ..register("two", "") },
        400,
        "MissingParameter",
        "ImageLocation",
    )
    .await;
    rig.no(ec2::RegisterImage { dry_run: Some(true), ..register("two", "/images/app") }, 412, "DryRunOperation", "")
        .await;
    rig.no(
        ec2::RegisterImage { description: Some("d".repeat(256)), ..register("two", "/images/app") },
        400,
        "InvalidParameterValue",
        "255",
    )
    .await;
    let two = rig.ok(register("two", "/images/app")).await.image_id;
    let describe = |image_ids: &[&str], owners: &[&str], filters: &[ec2::Filter]| ec2::DescribeImages {
        image_ids: image_ids.iter().map(ToString::to_string).collect(),
        owners: owners.iter().map(ToString::to_string).collect(),
        filters: filters.to_vec(),
        ..Default::default()
    };
    let found = async |input: ec2::DescribeImages| {
        rig.ok(input).await.images_set.iter().map(|i| i.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(found(describe(&[], &["self"], &[])).await.len(), 2);
    assert_eq!(found(describe(&[&two], &[], &[])).await, ["two"]);
    assert_eq!(found(describe(&[], &[ACCOUNT], &[filter("name", &["t*"])])).await, ["two"]);
    assert!(found(describe(&[], &["amazon"], &[])).await.is_empty());
    rig.no(describe(&["ami-12345678"], &[], &[]), 400, "InvalidAMIID.NotFound", "ami-12345678").await;
    rig.no(describe(&["x"], &[], &[]), 400, "InvalidAMIID.Malformed", "x").await;
    let deregister = |id: &str| ec2::DeregisterImage { image_id: id.into(), dry_run: None };
    rig.ok(deregister(&two)).await;
    rig.no(deregister(&two), 400, "InvalidAMIID.NotFound", &two).await;
    rig.no(deregister("x"), 400, "InvalidAMIID.Malformed", "x").await;
}

/// Waits until an image is no longer pending.
async fn settled(rig: &Rig, id: &str) -> ec2::Image {
    let wait = async {
        loop {
            let found = rig.ok(ec2::DescribeImages { image_ids: vec![id.into()], ..Default::default() }).await;
            let image = found.images_set.0.into_iter().next().unwrap();
            if image.image_state != "pending" {
                return image;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, wait).await.unwrap()
}

#[tokio::test]
#[allow(clippy::await_holding_lock, reason = "the gate is what holds the capture up; nobody awaits it")]
async fn an_image_of_an_instance_is_pending_then_available() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let id = rig.launch(&image, "us-east-1a", 1).await.remove(0);
    let create = |name: &str, instance: &str| ec2::CreateImage {
        instance_id: instance.into(),
        name: name.into(),
        tag_specifications: vec![ec2::TagSpecification {
            resource_type: "image".into(),
            tags: vec![ec2::Tag { key: "a".into(), value: Some("b".into()) }],
        }],
        ..Default::default()
    };
    rig.no(create("two", &id), 400, "IncorrectInstanceState", "imaged").await;
    rig.report(&id, WELL).await;
    rig.no(create("two", "i-12345678"), 400, "InvalidInstanceID.NotFound", "i-12345678").await;
    rig.no(create("two", "x"), 400, "InvalidInstanceID.Malformed", "x").await;
    rig.no(create("app", &id), 400, "InvalidAMIName.Duplicate", &image).await;
    rig.no(create("a", &id), 400, "InvalidAMIName.Malformed", "3 to 128").await;
    rig.no(ec2::CreateImage { dry_run: Some(true), ..create("two", &id) }, 412, "DryRunOperation", "").await;

    let gate = GATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let two = rig.ok(create("two", &id)).await.image_id;
    let described = rig.ok(ec2::DescribeImages { image_ids: vec![two.clone()], ..Default::default() }).await;
    let pending = &described.images_set[0];
    assert_eq!((&*pending.image_state, pending.source_instance_id.as_deref()), ("pending", Some(&*id)));
    assert!(pending.block_device_mapping.is_empty());
    rig.no(launch(&two, 1), 400, "InvalidAMIID.Unavailable", &two).await;
    drop(gate);
    let made = settled(&rig, &two).await;
    assert_eq!((&*made.image_state, &*made.tag_set[0].value), ("available", "b"));
    let volume = made.block_device_mapping[0].ebs.clone().unwrap();
    assert_eq!((volume.volume_size, volume.snapshot_id.as_deref()), (Some(1), Some("snap-11111111111111111")));
    rig.ok(launch(&two, 1)).await;
    let state = rig.ok(ec2::DescribeInstances { instance_ids: vec![id], ..Default::default() }).await;
    assert_eq!(state.reservation_set[0].instances_set[0].instance_state.name, "running", "it goes on");
}

#[tokio::test]
async fn an_image_whose_files_cannot_be_taken_has_failed_and_says_why() {
    let rig = Rig::start().await;
    let manifest = Manifest::new("broken", vec!["./serve".into()], Port::new(1).unwrap());
    let new = NewImage {
        id: ImageId::new("ami-00000009").unwrap(),
        name: "broken".into(),
        description: String::new(),
        manifest,
        location: "/broken".into(),
        digest: "22".repeat(32),
        size: None,
        tags: BTreeMap::new(),
    };
    rig.keeper.submit("test", Change::RegisterImage(new)).await.unwrap();
    let id = rig.launch("ami-00000009", "us-east-1a", 1).await.remove(0);
    rig.report(&id, WELL).await;
    let create = ec2::CreateImage { instance_id: id, name: "two".into(), ..Default::default() };
    let two = rig.ok(create).await.image_id;
    let failed = settled(&rig, &two).await;
    assert_eq!(failed.image_state, "failed");
    assert!(failed.state_reason.unwrap().message.contains("no space left on device"));
    rig.no(launch(&two, 1), 400, "InvalidAMIID.Unavailable", &two).await;
    let filters = vec![filter("state", &["failed"])];
    assert_eq!(rig.ok(ec2::DescribeImages { filters, ..Default::default() }).await.images_set.len(), 1);
    rig.ok(ec2::DeregisterImage { image_id: two, dry_run: None }).await;
}

#[tokio::test]
async fn tags_are_set_shown_and_removed() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let id = rig.launch(&image, "us-east-1a", 1).await.remove(0);
    let tag = |key: &str, value: Option<&str>| ec2::Tag { key: key.into(), value: value.map(Into::into) };
    let create = |on: &[&str], tags: Vec<ec2::Tag>| ec2::CreateTags {
        resource_ids: on.iter().map(ToString::to_string).collect(),
        tags,
        dry_run: None,
    };
    rig.ok(create(&[&id, &image], vec![tag("a", Some("1")), tag("b", None)])).await;
    let shown =
        rig.ok(ec2::DescribeTags { filters: vec![filter("resource-type", &["image"])], ..Default::default() }).await;
    assert_eq!(
        shown.tag_set.iter().map(|t| (t.key.as_str(), t.value.as_str())).collect::<Vec<_>>(),
        [("a", "1"), ("b", "")]
    );
    let delete = |tags: Vec<ec2::Tag>| ec2::DeleteTags { resource_ids: vec![id.clone()], tags, dry_run: None };
    rig.ok(delete(vec![tag("a", Some("2")), tag("b", None)])).await;
    let left = rig.ok(ec2::DescribeTags { filters: vec![filter("resource-id", &[&id])], ..Default::default() }).await;
    assert_eq!((left.tag_set.len(), left.tag_set[0].key.as_str()), (1, "a"));
    rig.no(
        create(&["i-00000001"], vec![tag("a", None)]),
        400,
        "InvalidInstanceID.NotFound",
        "The instance ID 'i-00000001' does not exist",
    )
    .await;
    rig.no(create(&["ami-00000001"], vec![tag("a", None)]), 400, "InvalidAMIID.NotFound", "ami-00000001").await;
    rig.no(create(&["vol-1"], vec![tag("a", None)]), 400, "InvalidID", "vol-1").await;
    rig.no(create(&[&id], vec![tag("aws:a", None)]), 400, "InvalidParameterValue", "reserved").await;
    rig.no(delete(vec![tag("aws:a", None)]), 400, "InvalidParameterValue", "reserved").await;
    rig.no(create(&[&id], vec![tag("a", None), tag("a", None)]), 400, "InvalidParameterValue", "Duplicate tag key 'a'")
        .await;
    let many = (0..51).map(|n| tag(&n.to_string(), None)).collect();
    rig.no(create(&[&id], many), 400, "TagLimitExceeded", "50").await;
}

#[tokio::test]
async fn places_and_networks_are_described() {
    let rig = Rig::start().await;
    let zones = rig.ok(ec2::DescribeAvailabilityZones::default()).await.availability_zone_info;
    let shown: Vec<_> =
        zones.iter().map(|z| (z.zone_name.as_str(), z.zone_state.as_str(), z.zone_id.as_deref())).collect();
    assert_eq!(shown[1], ("us-east-1b", "available", Some("use1-az2")));
    let named = |name: &str| ec2::DescribeAvailabilityZones { zone_names: vec![name.into()], ..Default::default() };
    assert_eq!(rig.ok(named("us-east-1c")).await.availability_zone_info.len(), 1);
    rig.no(named("us-east-1z"), 400, "InvalidParameterValue", "Invalid availability zone: [us-east-1z]").await;
    let regions = rig.ok(ec2::DescribeRegions::default()).await.region_info;
    assert_eq!((regions[0].region_name.as_str(), &regions[0].region_endpoint), ("us-east-1", &rig.host));
    rig.no(
        ec2::DescribeRegions { region_names: vec!["mars-1".into()], ..Default::default() },
        400,
        "InvalidParameterValue",
        "mars-1",
    )
    .await;
    let groups = |name: &str| ec2::DescribeSecurityGroups { group_names: vec![name.into()], ..Default::default() };
    assert_eq!(rig.ok(groups("default")).await.security_group_info.len(), 1);
    rig.no(groups("web"), 400, "InvalidGroup.NotFound", "web").await;
    assert!(rig.ok(ec2::DescribeKeyPairs::default()).await.key_set.is_empty());
    rig.no(
        ec2::DescribeKeyPairs { key_names: vec!["k".into()], ..Default::default() },
        400,
        "InvalidKeyPair.NotFound",
        "The key pair 'k' does not exist",
    )
    .await;
    rig.balancer("web").await;
    rig.balancer("web2").await;
    let enable = elb::EnableAvailabilityZonesForLoadBalancer {
        load_balancer_name: "web".into(),
        availability_zones: vec!["us-east-1b".to_owned()].into(),
    };
    rig.ok(enable).await;
    let nodes = |filters: Vec<ec2::Filter>| ec2::DescribeNetworkInterfaces { filters, ..Default::default() };
    let owned = filter("attachment.instance-owner-id", &["amazon-elb"]);
    let found = rig.ok(nodes(vec![owned, filter("description", &["ELB web"])])).await.network_interface_set;
    let zones: Vec<_> = found.iter().map(|n| n.availability_zone.as_deref().unwrap()).collect();
    assert_eq!(zones, ["us-east-1a", "us-east-1b"]);
    let world = rig.keeper.world();
    let addresses: Vec<String> =
        world.load_balancers().next().unwrap().zones.values().map(ToString::to_string).collect();
    assert_eq!(found.iter().map(|n| n.private_ip_address.clone()).collect::<Vec<_>>(), addresses);
    assert_eq!(rig.ok(nodes(Vec::new())).await.network_interface_set.len(), 3);
    assert!(rig.ok(nodes(vec![filter("description", &["ELB gone"])])).await.network_interface_set.is_empty());
}

#[tokio::test]
async fn a_caller_learns_who_it_is() {
    let rig = Rig::start().await;
    let caller = rig.ok(GetCallerIdentity {}).await;
    assert_eq!((caller.account.as_str(), caller.arn.as_str()), (ACCOUNT, "arn:aws:iam::000000000000:root"));
    rig.balancer("web").await;
    let audit = rig.store.audit();
    let wanted = format!("{} CreateLoadBalancer done", rig.credentials.access_key_id);
    assert_eq!(audit.last(), Some(&wanted));
}

#[tokio::test]
async fn attributes_are_told_one_at_a_time_and_user_data_nowhere_else() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let input = ec2::RunInstances {
        user_data: Some(Blob(b"#!/bin/sh\n\xff".to_vec())),
        instance_initiated_shutdown_behavior: Some("terminate".into()),
        ..launch(&image, 1)
    };
    let told = rig.ok(input).await.instances_set[0].instance_id.clone();
    let untold = rig.ok(launch(&image, 1)).await.instances_set[0].instance_id.clone();
    let of = |id: &str, attribute: &str| ec2::DescribeInstanceAttribute {
        instance_id: id.into(),
        attribute: Some(attribute.into()),
        dry_run: None,
    };
    let data = rig.ok(of(&told, "userData")).await.user_data.unwrap();
    assert_eq!(data.value, Some(Blob(b"#!/bin/sh\n\xff".to_vec())));
    // An empty element: what boto and the AWS CLI take for none.
    assert_eq!(rig.ok(of(&untold, "userData")).await.user_data, Some(ec2::BlobValue { value: None }));
    let behaviour = rig.ok(of(&told, "instanceInitiatedShutdownBehavior")).await;
    assert_eq!(behaviour.instance_initiated_shutdown_behavior.unwrap().value.as_deref(), Some("terminate"));
    let kind = rig.ok(of(&told, "instanceType")).await;
    assert_eq!(kind.instance_type.unwrap().value.as_deref(), Some("m1.small"));
    assert_eq!(rig.ok(of(&told, "groupSet")).await.group_set.unwrap()[0].group_name, "default");
    assert!(!rig.ok(of(&told, "disableApiTermination")).await.disable_api_termination.unwrap().value);
    rig.no(of(&told, "shoeSize"), 400, "InvalidParameterValue", "shoeSize").await;
    rig.no(of("i-00000001", "userData"), 400, "InvalidInstanceID.NotFound", "").await;
    let nothing = ec2::DescribeInstanceAttribute { attribute: None, ..of(&told, "") };
    rig.no(nothing, 400, "MissingParameter", "attribute").await;
}
