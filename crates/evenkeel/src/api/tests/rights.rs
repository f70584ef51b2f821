//! Rights in force: what users and instances may not, in each API's words.

use evenkeel_aws::{Api, acm, iam, sts};
use serde_json::json;

use super::identities::put;
use super::*;
use crate::api::caller::{INSTANCE_KEYS_LAST, instance_keys};

impl Rig {
    /// A new user with a key, and with one statement.
    async fn limited(&self, name: &str, statement: serde_json::Value) -> Credentials {
        let key = self.user(name).await;
        self.rule(name, statement).await;
        key
    }

    async fn rule(&self, name: &str, statement: serde_json::Value) {
        let document = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
        self.ok(put(name, "rule", &document)).await;
    }

    async fn denied<A: Action>(&self, key: &Credentials, input: A, text: &str) {
        let (status, code) = match A::API {
            Api::Ec2 => (403, "UnauthorizedOperation"),
            Api::Acm => (400, "AccessDeniedException"),
            Api::Sns => (403, "AuthorizationError"),
            Api::AutoScaling | Api::Cloudwatch | Api::Elb | Api::Iam | Api::Sts => (403, "AccessDenied"),
        };
        match self.call_as(key, input).await {
            Ok(_) => panic!("{} should be denied", A::NAME),
            Err(error) => {
                assert_eq!((error.status, &*error.code), (status, code), "{}: {error}", A::NAME);
                assert!(error.message.contains(text), "{}: `{}` should hold `{text}`", A::NAME, error.message);
            }
        }
    }
}

fn delete(name: &str) -> elb::DeleteLoadBalancer {
    elb::DeleteLoadBalancer { load_balancer_name: name.into() }
}

/// A value for every parameter that some action cannot do without; others take no notice of it.
const PARAMETERS: &str = "LoadBalancerName=web&LoadBalancerNames.member.1=web&LoadBalancerPort=80&InstancePort=80\
    &Listeners.member.1.Protocol=http&Listeners.member.1.LoadBalancerPort=1&Listeners.member.1.InstancePort=1\
    &Instances.member.1.InstanceId=i-00000001&Tags.member.1.Key=k&Tags.member.1.Value=v&TagKeys.member.1=k\
    &Subnets.member.1=s&AvailabilityZones.member.1=z&SecurityGroups.member.1=g&LoadBalancerPorts.member.1=80\
    &PolicyNames.member.1=p&PolicyName=p&PolicyTypeName=t&CookieName=c&SSLCertificateId=arn:aws:iam::1:x\
    &LoadBalancerAttributes.ConnectionSettings.IdleTimeout=1&HealthCheck.Target=TCP:1&HealthCheck.Interval=5\
    &HealthCheck.Timeout=2&HealthCheck.UnhealthyThreshold=2&HealthCheck.HealthyThreshold=2\
    &MinCount=1&MaxCount=1&Name=n&ResourceId.1=i-00000001&Tag.1.Key=k&Attribute=enableDnsSupport\
    &ServerCertificateName=c&CertificateBody=b&PrivateKey=Yg==&Certificate=Yg==&UserName=u&PolicyDocument=%7B%7D\
    &CertificateArn=arn:aws:acm:us-east-1:1:certificate/c&PolicyArn=arn:aws:iam::1:policy/p&VersionId=v1\
    &ActionNames.member.1=a:b&PolicySourceArn=arn:aws:iam::1:user/u&PolicyInputList.member.1=p\
    &Protocol=http&Endpoint=http://h.test/&Message=m&Token=t\
    &TopicArn=arn:aws:sns:us-east-1:1:t&ResourceArn=arn:aws:sns:us-east-1:1:t&SubscriptionArn=arn:aws:sns:us-east-1:1:t:s\
    &AccessKeyId=AKIAAAAAAAAAAAAAAAAA&Status=Active&DomainName=a.test\
    &AutoScalingGroupName=web&LaunchConfigurationName=one&MinSize=1&MaxSize=1&DesiredCapacity=1&Granularity=1Minute\
    &HealthStatus=Healthy&ShouldDecrementDesiredCapacity=true&ProtectedFromScaleIn=true&LifecycleHookName=warm\
    &ScheduledActionName=a&ScheduledActionNames.member.1=a&ScheduledUpdateGroupActions.member.1.ScheduledActionName=a\
    &TopicARN=arn:aws:sns:us-east-1:1:t&NotificationTypes.member.1=autoscaling:TEST_NOTIFICATION\
    &StartTime=2026-11-27T00:00:00Z&EndTime=2026-11-27T12:00:00Z&LifecycleActionResult=CONTINUE&InstanceIds.member.1=i-00000001";

#[tokio::test]
async fn a_user_without_policies_may_nothing_but_ask_who_it_is() {
    let rig = Rig::start().await;
    rig.balancer("web").await;
    let key = rig.user("ann").await;
    let before = rig.keeper.world();
    let actions = Api::ALL.into_iter().flat_map(|api| api.actions().iter().map(move |name| (api, *name)));
    for (api, name) in actions {
        // One here, where it is many elsewhere.
        let ids = match name {
            "CreateImage"
            | "GetConsoleOutput"
            | "DescribeInstanceAttribute"
            | "SetInstanceHealth"
            | "TerminateInstanceInAutoScalingGroup" => "InstanceId=i-00000001",
            "RunInstances" | "DeregisterImage" => "ImageId=ami-00000001",
            "DescribeVpcAttribute" => "VpcId=vpc-1",
            "SetTopicAttributes" | "SetSubscriptionAttributes" => "AttributeName=DisplayName",
            _ => "InstanceId.1=i-00000001",
        };
        let body = format!("Action={name}&Version={}&{ids}&{PARAMETERS}", api.version());
        let mut request = Request {
            method: "POST".into(),
            target: "/".into(),
            headers: vec![
                ("host".into(), rig.host.clone().into_bytes()),
                ("content-type".into(), b"application/x-www-form-urlencoded".into()),
            ],
            body: body.into_bytes(),
        };
        sigv4::sign(&mut request, &key, "us-east-1", api.signing_name(), now());
        let answer = rig.raw(&bytes(&request, true)).await;
        let text = answer.text();
        if name == "GetCallerIdentity" {
            assert_eq!(answer.status, 200, "{text}");
            continue;
        }
        let prefix = if api == Api::Cloudwatch { "cloudwatch" } else { api.signing_name() };
        let action = format!("{prefix}:{name} on resource: ");
        assert!(matches!(answer.status, 400 | 403) && text.contains(&action), "{name}: {} {text}", answer.status);
        assert!(text.contains("no identity-based policy allows"), "{name}: {text}");
    }
    assert_eq!(*rig.keeper.world(), *before);
    for (method, path, action) in [
        ("GET", "/status", "evenkeel:GetStatus"),
        ("GET", "/metrics?x", "evenkeel:GetMetrics"),
        ("GET", "/explain?web", "evenkeel:ExplainAutoScalingGroup"),
        ("POST", "/images/collect", "evenkeel:CollectImages"),
        ("POST", "/images/collect?dry-run", "evenkeel:CollectImages"),
    ] {
        let mut request = Request {
            method: method.into(),
            target: path.into(),
            headers: vec![("host".into(), rig.host.clone().into_bytes())],
            body: Vec::new(),
        };
        sigv4::sign(&mut request, &key, "us-east-1", "elasticloadbalancing", now());
        let answer = rig.raw(&bytes(&request, true)).await;
        // Numbers are for everybody on this machine.
        let wanted = if action == "evenkeel:GetMetrics" { 200 } else { 403 };
        assert_eq!(answer.status, wanted, "{action}: {}", answer.text());
        assert_eq!(answer.text().contains(action), wanted == 403);
    }
}

#[tokio::test]
async fn a_denial_names_who_what_and_on_which_resource() {
    let rig = Rig::start().await;
    rig.balancer("web").await;
    let all = json!([
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "elasticloadbalancing:Delete*", "Resource": "*"},
    ]);
    let key = rig.limited("ann", all).await;
    let (user, lb) = (
        format!("User: arn:aws:iam::{ACCOUNT}:user/ann is not authorized to perform: "),
        format!("arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:loadbalancer/web"),
    );
    let action = "elasticloadbalancing:DeleteLoadBalancer";
    let text = format!("{user}{action} on resource: {lb} with an explicit deny in an identity-based policy");
    rig.denied(&key, delete("web"), &text).await;
    rig.rule("ann", json!([{"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}])).await;
    let text = format!("{user}{action} on resource: {lb} because no identity-based policy allows the {action} action");
    rig.denied(&key, delete("web"), &text).await;
    rig.denied(&key, acm::ListCertificates::default(), "acm:ListCertificates on resource: *").await;
    let denied = "You are not authorized to perform this operation. User: arn:aws:iam::";
    rig.denied(&key, ec2::TerminateInstances { instance_ids: vec!["i-00000001".into()], ..Default::default() }, denied)
        .await;
    rig.call_as(&key, ec2::DescribeInstances::default()).await.unwrap();
    // With `DryRun`, a caller who may not is told that, rather than that it would have gone well.
    let dry = ec2::CreateSecurityGroup { group_name: Some("g".into()), dry_run: Some(true), ..Default::default() };
    rig.denied(&key, dry, "security-group/*").await;
}

#[tokio::test]
async fn rights_end_at_a_name_a_tag_or_an_address() {
    let rig = Rig::start().await;
    rig.balancer("web").await;
    rig.balancer("shop").await;
    let check = |name: &str| elb::DescribeLoadBalancers {
        load_balancer_names: vec![name.to_owned()].into(),
        ..Default::default()
    };
    let statement = |resource: &str, condition: serde_json::Value| json!([{"Effect": "Allow", "Action": "elasticloadbalancing:*", "Resource": resource, "Condition": condition}]);
    let key = rig.limited("ann", statement("arn:aws:elasticloadbalancing:*:*:loadbalancer/sh*", json!({}))).await;
    rig.denied(&key, delete("web"), "loadbalancer/web").await;
    // What AWS knows no resource for is on `*`.
    rig.denied(&key, check("shop"), "on resource: * ").await;
    rig.call_as(&key, delete("shop")).await.unwrap();

    let tagged = |value: &str| elb::AddTags {
        load_balancer_names: vec!["web".to_owned()].into(),
        tags: vec![elb::Tag { key: "team".into(), value: Some(value.into()) }].into(),
    };
    rig.rule("ann", statement("*", json!({"StringEquals": {"aws:ResourceTag/team": "${aws:username}"}}))).await;
    rig.denied(&key, delete("web"), "loadbalancer/web").await;
    rig.ok(tagged("bob")).await;
    rig.denied(&key, delete("web"), "loadbalancer/web").await;
    rig.ok(tagged("ann")).await;
    rig.call_as(&key, delete("web")).await.unwrap();

    let request_tag = json!({"StringEquals": {"aws:RequestTag/team": "ann"}});
    rig.rule("ann", statement("*", request_tag)).await;
    rig.denied(&key, balancer("web"), "elasticloadbalancing:CreateLoadBalancer").await;
    let create = |tag: &str| elb::CreateLoadBalancer { tags: tagged(tag).tags, ..balancer("web") };
    rig.denied(&key, create("bob"), "elasticloadbalancing:CreateLoadBalancer").await;
    rig.call_as(&key, create("ann")).await.unwrap();

    for (range, may) in [("127.0.0.0/8", true), ("10.0.0.0/8", false)] {
        rig.rule("ann", statement("*", json!({"IpAddress": {"aws:SourceIp": range}}))).await;
        assert_eq!(rig.call_as(&key, check("web")).await.is_ok(), may, "{range}");
    }
    for (end, may) in [("2200-01-01T00:00:00Z", true), ("2020-01-01T00:00:00Z", false)] {
        rig.rule("ann", statement("*", json!({"DateLessThan": {"aws:CurrentTime": end}}))).await;
        assert_eq!(rig.call_as(&key, check("web")).await.is_ok(), may, "{end}");
    }
}

#[tokio::test]
async fn a_name_without_end_is_denied_soon_and_in_few_words() {
    let rig = Rig::start().await;
    // The worst that a policy may hold: each star is tried at every place of the name.
    let hard = format!("arn:aws:elasticloadbalancing:*:*:loadbalancer/*{}b*", "a".repeat(1000));
    let key = rig.limited("ann", json!([{"Effect": "Allow", "Action": "*", "Resource": hard}])).await;
    let begun = std::time::Instant::now();
    let error = rig.call_as(&key, delete(&"a".repeat(900_000))).await.unwrap_err();
    assert_eq!((error.status, &*error.code), (403, "AccessDenied"));
    assert!(error.message.len() < 4096, "{} bytes", error.message.len());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn tags_with_a_new_thing_want_the_tagging_action_too() {
    let rig = Rig::start().await;
    let image = rig.image().await;
    let allow = |actions: &[&str]| json!([{"Effect": "Allow", "Action": actions, "Resource": "*"}]);
    let key = rig.limited("ann", allow(&["ec2:RunInstances"])).await;
    let tagged = || ec2::RunInstances {
        tag_specifications: vec![ec2::TagSpecification {
            resource_type: "instance".into(),
            tags: vec![ec2::Tag { key: "a".into(), value: Some("b".into()) }],
        }],
        ..launch(&image, 1)
    };
    rig.call_as(&key, launch(&image, 1)).await.unwrap();
    rig.denied(&key, tagged(), "ec2:CreateTags on resource: arn:aws:ec2:us-east-1:000000000000:instance/*").await;
    rig.rule("ann", allow(&["ec2:RunInstances", "ec2:CreateTags"])).await;
    rig.call_as(&key, tagged()).await.unwrap();
    let small = json!([
        {"Effect": "Allow", "Action": "ec2:RunInstances", "Resource": "arn:aws:ec2:*::image/*"},
        {"Effect": "Allow", "Action": "ec2:RunInstances", "Resource": "arn:aws:ec2:*:*:instance/*",
         "Condition": {"StringLike": {"ec2:InstanceType": "t3.*"}}},
    ]);
    rig.rule("ann", small).await;
    rig.denied(&key, launch(&image, 1), "instance/*").await;
    let sized = ec2::RunInstances { instance_type: Some("t3.micro".into()), ..launch(&image, 1) };
    rig.call_as(&key, sized).await.unwrap();
}

#[tokio::test]
async fn who_manages_itself_manages_nobody_else() {
    let rig = Rig::start().await;
    let own = json!([{
        "Effect": "Allow",
        "Action": ["iam:*AccessKey*", "iam:GetUser"],
        "Resource": "arn:aws:iam::*:user/${aws:username}",
    }]);
    let key = rig.limited("ann", own).await;
    rig.user("bob").await;
    let user = rig.call_as(&key, iam::GetUser::default()).await.unwrap().user;
    assert_eq!(user.user_name, "ann");
    let made = rig.call_as(&key, iam::CreateAccessKey::default()).await.unwrap().access_key;
    assert_eq!(made.user_name, "ann");
    let of_bob = iam::ListAccessKeys { user_name: Some("bob".into()), ..Default::default() };
    rig.denied(&key, of_bob, "iam:ListAccessKeys on resource: arn:aws:iam::000000000000:user/bob").await;
    let grant = put("ann", "more", super::identities::LOOK);
    rig.denied(&key, grant, "iam:PutUserPolicy on resource: arn:aws:iam::000000000000:user/ann").await;
    let record = format!("{} user/ann CreateAccessKey done", key.access_key_id);
    assert!(rig.store.audit().contains(&record), "{:?}", rig.store.audit());
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_denies_all() {
    let rig = Rig::start().await;
    let key = rig.limited("ann", json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}])).await;
    rig.call_as(&key, elb::DescribeLoadBalancers::default()).await.unwrap();
    let broken = Change::PutUserPolicy {
        user: evenkeel_core::name::UserName::new("ann").unwrap(),
        policy: evenkeel_core::name::IdentityPolicyName::new("later").unwrap(),
        document: "{".into(),
    };
    rig.keeper.submit("test", broken).await.unwrap();
    rig.denied(&key, elb::DescribeLoadBalancers::default(), "with an explicit deny").await;
}

#[tokio::test]
async fn an_instance_registers_and_deregisters_itself_and_nothing_else() {
    let rig = Rig::start().await;
    rig.balancer("web").await;
    let image = rig.image().await;
    let ids = rig.launch(&image, "us-east-1a", 2).await;
    for id in &ids {
        rig.report(id, WELL).await;
    }
    let instance = InstanceId::new(&ids[0]).unwrap();
    let keys = instance_keys(&rig.seal, &instance, clock()).unwrap();
    let key = keys.credentials;
    let who = rig.call_as(&key, sts::GetCallerIdentity {}).await.unwrap();
    assert_eq!(who.arn, format!("arn:aws:sts::{ACCOUNT}:assumed-role/evenkeel-instance/{}", ids[0]));
    let register = |ids: &[&str]| elb::RegisterInstancesWithLoadBalancer {
        load_balancer_name: "web".into(),
        instances: targets(ids),
    };
    let deregister = |ids: &[&str]| elb::DeregisterInstancesFromLoadBalancer {
        load_balancer_name: "web".into(),
        instances: targets(ids),
    };
    let [own, other] = [ids[0].as_str(), ids[1].as_str()];
    assert_eq!(rig.call_as(&key, register(&[own])).await.unwrap().instances.len(), 1);
    for ids in [&[other][..], &[own, other], &[]] {
        rig.denied(&key, register(ids), "RegisterInstancesWithLoadBalancer").await;
    }
    rig.ok(register(&[other])).await;
    rig.denied(&key, deregister(&[other]), "DeregisterInstancesFromLoadBalancer").await;
    rig.call_as(&key, elb::DescribeLoadBalancers::default()).await.unwrap();
    rig.call_as(&key, deregister(&[own])).await.unwrap();
    rig.denied(&key, ec2::TerminateInstances { instance_ids: vec![own.into()], ..Default::default() }, own).await;
    rig.denied(&key, delete("web"), "DeleteLoadBalancer").await;
    rig.denied(&key, iam::ListUsers::default(), "ListUsers").await;

    // Without its token, with another's, past its time, or when the instance is gone, the key is nobody's.
    let another = instance_keys(&rig.seal, &InstanceId::new(other).unwrap(), clock()).unwrap().credentials;
    let late = clock().0 - u64::try_from(INSTANCE_KEYS_LAST.as_millis()).unwrap();
    let late = instance_keys(&rig.seal, &instance, Timestamp(late)).unwrap().credentials;
    let token = |session_token| Credentials { session_token, ..key.clone() };
    rig.ok(ec2::TerminateInstances { instance_ids: vec![other.into()], ..Default::default() }).await;
    let seen = Seen::Ended { how: "gone".into(), orderly: true, never_started: false, by: EndedBy::Itself };
    rig.report(other, seen).await;
    for (key, why) in [
        (token(None), "no token"),
        (token(another.session_token.clone()), "another's token"),
        (token(Some("nonsense".into())), "nonsense"),
        (late, "expired"),
        (another, "terminated"),
    ] {
        let error = rig.call_as(&key, sts::GetCallerIdentity {}).await.unwrap_err();
        assert_eq!(error.code, "InvalidClientTokenId", "{why}");
    }
    rig.call_as(&key, sts::GetCallerIdentity {}).await.unwrap();
}
