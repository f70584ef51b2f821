//! Launch templates over the wire: versions, names, what is launched from them, and AWS's words where they are refused.

use evenkeel_aws::blob::Blob;

use super::*;

fn data(kind: &str) -> Option<ec2::LaunchTemplateData> {
    Some(ec2::LaunchTemplateData { instance_type: Some(kind.into()), ..Default::default() })
}

fn create(name: &str, data: Option<ec2::LaunchTemplateData>) -> ec2::CreateLaunchTemplate {
    ec2::CreateLaunchTemplate {
        launch_template_name: Some(name.into()),
        launch_template_data: data,
        ..Default::default()
    }
}

fn version(name: &str, source: Option<&str>, kind: &str) -> ec2::CreateLaunchTemplateVersion {
    ec2::CreateLaunchTemplateVersion {
        launch_template_name: Some(name.into()),
        source_version: source.map(Into::into),
        launch_template_data: data(kind),
        ..Default::default()
    }
}

fn versions(name: &str, stated: &[&str]) -> ec2::DescribeLaunchTemplateVersions {
    ec2::DescribeLaunchTemplateVersions {
        launch_template_name: (!name.is_empty()).then(|| name.into()),
        versions: stated.iter().map(ToString::to_string).collect(),
        ..Default::default()
    }
}

fn numbers(output: &ec2::DescribeLaunchTemplateVersionsOutput) -> Vec<i64> {
    output.launch_template_version_set.iter().map(|v| v.version_number).collect()
}

fn from(name: &str, version: Option<&str>) -> ec2::RunInstances {
    ec2::RunInstances {
        min_count: 1,
        max_count: 1,
        launch_template: Some(ec2::LaunchTemplateSpecification {
            launch_template_name: Some(name.into()),
            version: version.map(Into::into),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn tagged(kind: &str, value: &str) -> Vec<ec2::TagSpecification> {
    let tags = vec![ec2::Tag { key: "Name".into(), value: Some(value.into()) }];
    vec![ec2::TagSpecification { resource_type: kind.into(), tags }]
}

#[tokio::test]
async fn versions_are_numbered_and_named_by_words() {
    let rig = Rig::start().await;
    let made = rig.ok(create("web", data("m1.small"))).await.launch_template;
    assert_eq!((made.default_version_number, made.latest_version_number), (1, 1));
    assert_eq!(made.created_by, format!("arn:aws:iam::{ACCOUNT}:root"));
    assert_eq!(rig.ok(version("web", None, "t2.micro")).await.launch_template_version.version_number, 2);
    assert_eq!(rig.ok(version("web", Some("$Latest"), "m1.large")).await.launch_template_version.version_number, 3);
    assert_eq!(numbers(&rig.ok(versions("web", &[])).await), [3, 2, 1]);
    assert_eq!(numbers(&rig.ok(versions("web", &["1", "$Latest", "$Default"])).await), [3, 1]);
    let between = ec2::DescribeLaunchTemplateVersions {
        min_version: Some("2".into()),
        max_version: Some("2".into()),
        ..versions("web", &[])
    };
    assert_eq!(numbers(&rig.ok(between).await), [2]);
    let page = ec2::DescribeLaunchTemplateVersions { max_results: Some(2), ..versions("web", &[]) };
    let first = rig.ok(page.clone()).await;
    let second = rig.ok(ec2::DescribeLaunchTemplateVersions { next_token: first.next_token.clone(), ..page }).await;
    assert_eq!((numbers(&first), numbers(&second), second.next_token), (vec![3, 2], vec![1], None));
    rig.ok(create("api", data("m1.small"))).await;
    assert_eq!(numbers(&rig.ok(versions("", &["$Default"])).await), [1, 1]);
    let sized = ec2::DescribeLaunchTemplateVersions {
        filters: vec![filter("instance-type", &["t2.*"]), filter("is-default-version", &["false"])],
        ..versions("web", &[])
    };
    assert_eq!(numbers(&rig.ok(sized).await), [2]);

    let default = ec2::ModifyLaunchTemplate {
        launch_template_id: Some(made.launch_template_id.clone()),
        default_version: Some("2".into()),
        ..Default::default()
    };
    assert_eq!(rig.ok(default).await.launch_template.default_version_number, 2);
    let delete = ec2::DeleteLaunchTemplateVersions {
        launch_template_name: Some("web".into()),
        versions: ["1", "2", "9"].map(ToOwned::to_owned).into(),
        ..Default::default()
    };
    let told = rig.ok(delete).await;
    let gone: Vec<i64> =
        told.successfully_deleted_launch_template_version_set.iter().map(|v| v.version_number).collect();
    let kept: Vec<(i64, &str)> = told
        .unsuccessfully_deleted_launch_template_version_set
        .iter()
        .map(|v| (v.version_number, v.response_error.code.as_str()))
        .collect();
    assert_eq!((gone, kept), (vec![1], vec![(2, "unexpectedError"), (9, "launchTemplateVersionDoesNotExist")]));
    let shown = rig.ok(ec2::DescribeLaunchTemplates::default()).await.launch_templates;
    assert_eq!(shown.iter().map(|t| t.launch_template_name.as_str()).collect::<Vec<_>>().len(), 2);
    let gone = ec2::DeleteLaunchTemplate { launch_template_name: Some("web".into()), ..Default::default() };
    assert_eq!(rig.ok(gone.clone()).await.launch_template.launch_template_id, made.launch_template_id);
    rig.no(gone, 400, "InvalidLaunchTemplateName.NotFoundException", "with template name web, does not exist.").await;
}

#[tokio::test]
async fn what_is_stated_is_shown_and_nothing_else() {
    let rig = Rig::start().await;
    let group = rig.ok(ec2::DescribeSecurityGroups::default()).await.security_group_info[0].group_id.clone();
    let image = rig.image().await;
    let stated = ec2::LaunchTemplateData {
        image_id: Some(image.clone()),
        instance_type: Some("m1.small".into()),
        key_name: Some("mine".into()),
        security_group_ids: vec![group.clone()],
        user_data: Some(Blob(b"#!/bin/sh\n".to_vec())),
        ebs_optimized: Some(false),
        disable_api_termination: Some(true),
        instance_initiated_shutdown_behavior: Some("terminate".into()),
        placement: Some(ec2::TemplatePlacement {
            availability_zone: Some("us-east-1b".into()),
            tenancy: Some("default".into()),
            ..Default::default()
        }),
        metadata_options: Some(ec2::TemplateMetadataOptions {
            http_tokens: Some("required".into()),
            http_put_response_hop_limit: Some(2),
            ..Default::default()
        }),
        block_device_mappings: vec![ec2::TemplateBlockDevice {
            device_name: Some("/dev/sda1".into()),
            ebs: Some(ec2::TemplateEbs { volume_size: Some(20), encrypted: Some(true), ..Default::default() }),
            ..Default::default()
        }],
        network_interfaces: vec![ec2::TemplateInterface {
            device_index: Some(0),
            groups: vec![group.clone()],
            ..Default::default()
        }],
        tag_specifications: [tagged("instance", "web"), tagged("volume", "disk")].concat(),
        ..Default::default()
    };
    let made = rig.ok(create("web", Some(stated))).await;
    assert_eq!(made.warning, None);
    let shown = rig.ok(versions("web", &["1"])).await.launch_template_version_set[0].launch_template_data.clone();
    let expected = ec2::LaunchTemplateDataShown {
        image_id: Some(image.clone()),
        instance_type: Some("m1.small".into()),
        key_name: Some("mine".into()),
        security_group_id_set: Some(vec![group.clone()].into()),
        user_data: Some("IyEvYmluL3NoCg==".into()),
        ebs_optimized: Some(false),
        disable_api_termination: Some(true),
        instance_initiated_shutdown_behavior: Some("terminate".into()),
        placement: Some(ec2::TemplatePlacementShown {
            availability_zone: Some("us-east-1b".into()),
            tenancy: Some("default".into()),
            ..Default::default()
        }),
        metadata_options: Some(ec2::TemplateMetadataOptionsShown {
            http_tokens: Some("required".into()),
            http_put_response_hop_limit: Some(2),
            ..Default::default()
        }),
        block_device_mapping_set: Some(
            vec![ec2::TemplateBlockDeviceShown {
                device_name: Some("/dev/sda1".into()),
                ebs: Some(ec2::TemplateEbsShown { volume_size: Some(20), encrypted: Some(true), ..Default::default() }),
                ..Default::default()
            }]
            .into(),
        ),
        network_interface_set: Some(
            vec![ec2::TemplateInterfaceShown {
                device_index: Some(0),
                group_set: Some(vec![group.clone()].into()),
                ..Default::default()
            }]
            .into(),
        ),
        tag_specification_set: Some(
            [("instance", "web"), ("volume", "disk")]
                .map(|(kind, value)| ec2::TemplateTagsShown {
                    resource_type: kind.into(),
                    tag_set: vec![ec2::TagShown { key: "Name".into(), value: value.into() }].into(),
                })
                .into_iter()
                .collect(),
        ),
        ..Default::default()
    };
    assert_eq!(shown, expected);

    // A launch from it, and what would launch the like of that.
    let one = rig.ok(from("web", None)).await.instances_set[0].clone();
    assert_eq!((one.instance_type.as_str(), one.key_name.as_str()), ("m1.small", "mine"));
    assert_eq!((one.placement.availability_zone.as_str(), one.tag_set[0].value.as_str()), ("us-east-1b", "web"));
    let held = rig.keeper.world().instance(&InstanceId::new(&one.instance_id).unwrap()).unwrap().clone();
    assert_eq!(held.user_data.as_deref(), Some("IyEvYmluL3NoCg=="));
    assert!(held.termination_protected);
    let like = ec2::GetLaunchTemplateData { instance_id: one.instance_id.clone(), ..Default::default() };
    let like = rig.ok(like).await.launch_template_data;
    assert_eq!((like.image_id, like.security_group_id_set), (Some(image), Some(vec![group].into())));
    assert_eq!((like.user_data, like.tag_specification_set.map(|tags| tags.len())), (expected.user_data, Some(1)));
}

#[tokio::test]
async fn a_call_counts_before_its_template() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let stated = ec2::LaunchTemplateData {
        image_id: Some(image.clone()),
        instance_type: Some("t2.micro".into()),
        tag_specifications: tagged("instance", "template"),
        ..Default::default()
    };
    rig.ok(create("web", Some(stated))).await;
    rig.ok(version("web", Some("1"), "m1.large")).await;
    let kind = |reservation: ec2::Reservation| {
        let one = &reservation.instances_set[0];
        (one.instance_type.clone(), one.tag_set[0].value.clone())
    };
    let shows = |kind: &str, tag: &str| (kind.to_owned(), tag.to_owned());
    assert_eq!(kind(rig.ok(from("web", None)).await), shows("t2.micro", "template"));
    assert_eq!(kind(rig.ok(from("web", Some("$Latest"))).await), shows("m1.large", "template"));
    let own = ec2::RunInstances {
        instance_type: Some("m1.small".into()),
        tag_specifications: tagged("instance", "own"),
        ..from("web", Some("2"))
    };
    assert_eq!(kind(rig.ok(own).await), shows("m1.small", "own"));
    // The same token finds the same launch, though the template goes on.
    let token = || ec2::RunInstances { client_token: Some("t".into()), ..from("web", Some("1")) };
    let first = rig.ok(token()).await;
    assert_eq!(rig.ok(token()).await.reservation_id, first.reservation_id);
    rig.ok(create("bare", data("m1.small"))).await;
    rig.no(from("bare", None), 400, "MissingParameter", "ImageId").await;
    let placed = ec2::RunInstances { image_id: Some(image), ..from("bare", None) };
    assert_eq!(rig.ok(placed).await.instances_set[0].instance_type, "m1.small");
}

#[tokio::test]
async fn templates_are_refused_in_awss_words() {
    let rig = Rig::start().await;
    rig.ok(create("web", data("m1.small"))).await;
    let taken = create("web", data("m1.small"));
    rig.no(taken, 400, "InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
        .await;
    rig.no(create("w b", data("m1.small")), 400, "InvalidLaunchTemplateName.MalformedException", "3 and 128").await;
    rig.no(create("api", None), 400, "MissingParameter", "LaunchTemplateData").await;
    rig.no(create("api", Some(Default::default())), 400, "MissingParameter", "LaunchTemplateData").await;
    rig.no(create("api", data("Huge!")), 400, "InvalidParameterValue", "Huge!").await;
    let profile = ec2::IamInstanceProfileSpecification { name: Some("role".into()), arn: None };
    let with_profile = ec2::LaunchTemplateData { iam_instance_profile: Some(profile), ..Default::default() };
    rig.no(create("api", Some(with_profile)), 400, "InvalidParameterValue", "iamInstanceProfile").await;
    let large = ec2::LaunchTemplateData {
        network_interfaces: vec![ec2::TemplateInterface {
            description: Some("x".repeat(20_000)),
            ..Default::default()
        }],
        ..Default::default()
    };
    rig.no(create("api", Some(large)), 400, "InvalidParameterValue", "16384 bytes").await;
    let nobody = "lt-00000000000000000";
    let by_id = |id: &str| ec2::DescribeLaunchTemplates { launch_template_ids: vec![id.into()], ..Default::default() };
    rig.no(by_id(nobody), 400, "InvalidLaunchTemplateId.NotFound", nobody).await;
    rig.no(by_id("web"), 400, "InvalidLaunchTemplateId.Malformed", "web").await;
    let by_name = ec2::DescribeLaunchTemplates { launch_template_names: vec!["api".into()], ..Default::default() };
    rig.no(by_name, 400, "InvalidLaunchTemplateName.NotFoundException", "At least one of the launch templates").await;
    let missing = "Could not find the specified version 3 for the launch template with ID lt-";
    rig.no(versions("web", &["3"]), 400, "InvalidLaunchTemplateId.VersionNotFound", missing).await;
    rig.no(version("web", Some("3"), "m1.small"), 400, "InvalidLaunchTemplateId.VersionNotFound", missing).await;
    rig.no(from("web", Some("3")), 400, "InvalidLaunchTemplateId.VersionNotFound", missing).await;
    rig.no(versions("", &[]), 400, "MissingParameter", "To describe the launch template data").await;
    rig.no(versions("", &["1"]), 400, "InvalidParameterValue", "To describe the launch template data").await;
    rig.no(from("api", None), 400, "InvalidLaunchTemplateName.NotFoundException", "api").await;
    let both = ec2::DeleteLaunchTemplate {
        launch_template_id: Some(nobody.into()),
        launch_template_name: Some("web".into()),
        ..Default::default()
    };
    rig.no(both, 400, "InvalidParameterCombination", "but not both").await;
    rig.no(ec2::DeleteLaunchTemplate::default(), 400, "MissingParameter", "launch template").await;
    let dry = ec2::CreateLaunchTemplate { dry_run: Some(true), ..create("api", data("m1.small")) };
    rig.no(dry, 412, "DryRunOperation", "DryRun").await;
    // What no launch would accept today is kept, and said.
    let odd = ec2::LaunchTemplateData {
        image_id: Some("ami-12345678".into()),
        security_groups: vec!["nobody".into()],
        ..Default::default()
    };
    let warning = rig.ok(create("odd", Some(odd))).await.warning.unwrap();
    let codes: Vec<&str> = warning.error_set.iter().map(|error| error.code.as_str()).collect();
    assert_eq!(codes, ["InvalidAMIID.NotFound", "InvalidGroup.NotFound"]);
    // Tags are as on anything else.
    let id = rig.ok(ec2::DescribeLaunchTemplates::default()).await.launch_templates[0].launch_template_id.clone();
    let tag = |resource_ids: Vec<String>| ec2::CreateTags {
        resource_ids,
        tags: vec![ec2::Tag { key: "team".into(), value: Some("web".into()) }],
        ..Default::default()
    };
    rig.ok(tag(vec![id.clone()])).await;
    rig.no(tag(vec![nobody.into()]), 400, "InvalidLaunchTemplateId.NotFound", nobody).await;
    let found =
        ec2::DescribeTags { filters: vec![filter("resource-type", &["launch-template"])], ..Default::default() };
    let found = rig.ok(found).await.tag_set;
    assert_eq!(found.iter().map(|tag| (&tag.resource_id, tag.value.as_str())).collect::<Vec<_>>(), [(&id, "web")]);
    let by_tag = ec2::DescribeLaunchTemplates { filters: vec![filter("tag:team", &["web"])], ..Default::default() };
    assert_eq!(rig.ok(by_tag).await.launch_templates.len(), 1);
}

#[tokio::test]
async fn a_token_makes_one_template_and_one_version() {
    let rig = Rig::start().await;
    let token = |kind: &str| ec2::CreateLaunchTemplate { client_token: Some("t".into()), ..create("web", data(kind)) };
    let first = rig.ok(token("m1.small")).await.launch_template;
    assert_eq!(rig.ok(token("m1.small")).await.launch_template, first);
    rig.no(token("m1.large"), 400, "IdempotentParameterMismatch", "t").await;
    let again =
        |kind: &str| ec2::CreateLaunchTemplateVersion { client_token: Some("v".into()), ..version("web", None, kind) };
    assert_eq!(rig.ok(again("m1.large")).await.launch_template_version.version_number, 2);
    assert_eq!(rig.ok(again("m1.large")).await.launch_template_version.version_number, 2);
    rig.no(again("t2.micro"), 400, "IdempotentParameterMismatch", "v").await;
}
