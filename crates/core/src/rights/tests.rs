//! What policies allow, statement by statement, and against a plain model.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Context, Decider, Document, Request, Verdict, Written, counted_characters, judge};

fn read(policy: &Value) -> Result<Document, String> {
    let written: Written = serde_json::from_str(&policy.to_string()).map_err(|e| e.to_string())?;
    Document::read(&written).map_err(|e| e.to_string())
}

fn policy(statements: &Value) -> Document {
    read(&json!({"Version": "2012-10-17", "Statement": statements})).unwrap()
}

const ARN: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/shop";

fn context() -> Context {
    let mut context = Context::default();
    for (key, value) in [
        ("aws:username", "ann"),
        ("aws:SourceIp", "10.1.2.3"),
        ("aws:CurrentTime", "2026-11-27T12:00:00Z"),
        ("aws:SecureTransport", "false"),
        ("aws:PrincipalArn", "arn:aws:iam::123456789012:user/ops/ann"),
        ("aws:RequestTag/team", "web"),
        ("x:count", "7"),
        ("aws:TagKeys", "team"),
        ("aws:TagKeys", "cost"),
    ] {
        context.add(key, value);
    }
    context
}

fn verdict(statements: &Value, action: &str, resource: &str) -> Verdict {
    judge([&policy(statements)], Request { action, resource, context: &context() })
}

fn check(statements: Value, action: &str, resource: &str, expected: Option<bool>) {
    let found = match verdict(&statements, action, resource) {
        Verdict::Allowed(_) => Some(true),
        Verdict::ExplicitlyDenied(_) => Some(false),
        Verdict::ImplicitlyDenied => None,
    };
    assert_eq!(found, expected, "{action} on {resource} by {statements}");
}

#[test]
fn a_deny_beats_an_allow_and_silence_denies() {
    let all = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    let but = json!({"Sid": "NoEnd", "Effect": "Deny", "Action": "elasticloadbalancing:Delete*", "Resource": ARN});
    check(all.clone(), "ec2:RunInstances", "*", Some(true));
    for order in [json!([all, but]), json!([but, all])] {
        check(order.clone(), "elasticloadbalancing:DeleteLoadBalancer", ARN, Some(false));
        check(order, "elasticloadbalancing:CreateLoadBalancer", ARN, Some(true));
    }
    let named = verdict(&json!([all, but]), "ElasticLoadBalancing:deleteLOADbalancer", ARN);
    assert_eq!(named, Verdict::ExplicitlyDenied(Decider { policy: 0, statement: 1, sid: Some("NoEnd".to_owned()) }));
    assert_eq!(judge([], Request { action: "a:B", resource: "*", context: &context() }), Verdict::ImplicitlyDenied);
}

#[test]
fn actions_and_resources_in_all_their_forms() {
    let allow = |action: Value, resource: Value| json!({"Effect": "Allow", "Action": action, "Resource": resource});
    let (register, delete) = ("elasticloadbalancing:RegisterInstances", "elasticloadbalancing:DeleteLoadBalancer");
    check(allow(json!("elasticloadbalancing:R?gister*"), json!("*")), register, ARN, Some(true));
    check(allow(json!("elasticloadbalancing:R?gister"), json!("*")), register, ARN, None);
    check(allow(json!(["ec2:*", "ELASTICLOADBALANCING:register*"]), json!([ARN])), register, ARN, Some(true));
    check(allow(json!("*"), json!("arn:aws:elasticloadbalancing:*:*:loadbalancer/s*")), delete, ARN, Some(true));
    check(allow(json!("*"), json!("arn:aws:elasticloadbalancing:*:*:loadbalancer/S*")), delete, ARN, None);
    check(allow(json!("*"), json!("arn:aws:*")), delete, ARN, Some(true));
    check(allow(json!("*"), json!(ARN)), delete, "*", None);
    let but_delete =
        json!({"Effect": "Allow", "NotAction": "elasticloadbalancing:Delete*", "NotResource": "arn:aws:ec2:*"});
    check(but_delete.clone(), delete, ARN, None);
    check(but_delete.clone(), register, ARN, Some(true));
    check(but_delete, "ec2:StopInstances", "arn:aws:ec2:us-east-1:1:instance/i-1", None);
}

#[test]
fn variables_stand_for_what_the_request_says_and_open_ones_for_nothing() {
    let own = |resource: &str| json!({"Effect": "Allow", "Action": "iam:*", "Resource": resource});
    let user = "arn:aws:iam::1:user/ann";
    check(own("arn:aws:iam::1:user/${aws:UserName}"), "iam:GetUser", user, Some(true));
    check(own("arn:aws:iam::1:user/${aws:username}"), "iam:GetUser", "arn:aws:iam::1:user/bob", None);
    check(own("arn:aws:iam::1:user/${aws:userid}"), "iam:GetUser", user, None);
    check(own("arn:aws:iam::1:user/${aws:userid, 'ann'}"), "iam:GetUser", user, Some(true));
    check(own("arn:aws:iam::1:user/${*}"), "iam:GetUser", "arn:aws:iam::1:user/*", Some(true));
    check(own("arn:aws:iam::1:user/${*}"), "iam:GetUser", user, None);
    check(
        json!({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:iam::1:user/${aws:userid}"}),
        "a:B",
        "*",
        None,
    );
    let unlike = |effect: &str| {
        let condition = json!({"StringNotEquals": {"aws:username": "${aws:userid}"}});
        json!({"Effect": effect, "Action": "*", "Resource": "*", "Condition": condition})
    };
    check(unlike("Allow"), "a:B", "*", None);
    check(unlike("Deny"), "a:B", "*", Some(false));
    // A star that a user brings by its name is a star, not any name.
    let mut starred = Context::default();
    starred.add("aws:username", "*");
    let document = policy(&own("arn:aws:iam::1:user/${aws:username}"));
    let request = Request { action: "iam:GetUser", resource: user, context: &starred };
    assert_eq!(judge([&document], request), Verdict::ImplicitlyDenied);
    // Policies of 2008 have no variables.
    let old = read(&json!({"Statement": own("arn:aws:iam::1:user/${aws:username}")})).unwrap();
    let literal = Request { resource: "arn:aws:iam::1:user/${aws:username}", context: &context(), ..request };
    assert!(
        judge([&old], literal).is_allowed() && !judge([&old], Request { context: &context(), ..request }).is_allowed()
    );
}

#[test]
fn conditions_hold_as_aws_says() {
    for (operator, key, value, holds) in [
        ("StringEquals", "AWS:username", json!("ann"), true),
        ("StringEquals", "aws:username", json!("Ann"), false),
        ("StringEquals", "aws:username", json!("a*"), false),
        ("StringEquals", "aws:username", json!(["bob", "ann"]), true),
        ("StringNotEquals", "aws:username", json!(["bob", "ann"]), false),
        ("StringNotEquals", "aws:absent", json!("x"), true),
        ("StringEquals", "aws:absent", json!("x"), false),
        ("StringEqualsIfExists", "aws:absent", json!("x"), true),
        ("StringEqualsIfExists", "aws:username", json!("x"), false),
        ("StringEqualsIgnoreCase", "aws:username", json!("ANN"), true),
        ("StringNotEqualsIgnoreCase", "aws:username", json!("ANN"), false),
        ("StringLike", "aws:username", json!("?n*"), true),
        ("StringNotLike", "aws:username", json!("?n*"), false),
        ("StringEquals", "aws:RequestTag/team", json!("web"), true),
        ("NumericEquals", "x:count", json!(7), true),
        ("NumericNotEquals", "x:count", json!("7.0"), false),
        ("NumericLessThan", "x:count", json!("7"), false),
        ("NumericLessThanEquals", "x:count", json!("7"), true),
        ("NumericGreaterThan", "x:count", json!(["9", "6.5"]), true),
        ("NumericEquals", "aws:username", json!("7"), false),
        ("DateGreaterThan", "aws:CurrentTime", json!("2026-11-27"), true),
        ("DateLessThan", "aws:CurrentTime", json!("2026-11-27T12:00:00Z"), false),
        ("DateLessThanEquals", "aws:CurrentTime", json!("2026-11-27T13:00:00+01:00"), true),
        ("DateEquals", "aws:CurrentTime", json!("2026-11-27T12:00:00Z"), true),
        ("DateNotEquals", "aws:CurrentTime", json!("2026-11-27T12:00:00Z"), false),
        ("Bool", "aws:SecureTransport", json!(true), false),
        ("Bool", "aws:SecureTransport", json!("false"), true),
        ("IpAddress", "aws:SourceIp", json!(["192.168.0.0/16", "10.0.0.0/8"]), true),
        ("IpAddress", "aws:SourceIp", json!("10.1.2.4"), false),
        ("NotIpAddress", "aws:SourceIp", json!("10.0.0.0/8"), false),
        ("ArnLike", "aws:PrincipalArn", json!("arn:aws:iam::*:user/ops/*"), true),
        ("ArnEquals", "aws:PrincipalArn", json!("arn:aws:iam:*:user/ops/*"), false),
        ("ArnNotLike", "aws:PrincipalArn", json!("arn:aws:iam::*:user/*"), false),
        ("Null", "aws:username", json!("true"), false),
        ("Null", "aws:username", json!(false), true),
        ("Null", "aws:absent", json!(true), true),
        ("ForAllValues:StringEquals", "aws:TagKeys", json!(["team", "cost", "more"]), true),
        ("ForAllValues:StringEquals", "aws:TagKeys", json!("team"), false),
        ("ForAnyValue:StringEquals", "aws:TagKeys", json!("team"), true),
        ("ForAllValues:StringEquals", "aws:absent", json!("team"), true),
        ("ForAnyValue:StringNotEquals", "aws:absent", json!("team"), false),
    ] {
        let condition = json!({operator: {key: value}});
        let statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition});
        check(statement, "a:B", "*", holds.then_some(true));
    }
    let both = json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "Bool": {"aws:SecureTransport": "true"}});
    check(json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": both}), "a:B", "*", None);
}

#[test]
fn a_document_that_is_not_understood_is_refused_with_the_reason() {
    let with = |change: Value| {
        let mut statement = json!({"Effect": "Allow", "Action": "a:B", "Resource": "*"});
        for (key, value) in change.as_object().unwrap() {
            statement.as_object_mut().unwrap().insert(key.clone(), value.clone());
        }
        statement.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        json!({"Version": "2012-10-17", "Id": "x", "Statement": [statement]})
    };
    assert!(read(&with(json!({}))).is_ok());
    let condition = |operator: &str, key: &str, value: Value| with(json!({"Condition": {operator: {key: value}}}));
    for (policy, why) in [
        (json!({"Version": "2012-10-18", "Statement": []}), "must be version 2012-10-17 or greater"),
        (json!({"Version": "2012-10-17", "Statement": []}), "at least one statement"),
        (json!({"Version": "2012-10-17"}), "missing field `Statement`"),
        (json!([]), "invalid"),
        (json!({"Version": "2012-10-17", "Statement": "x"}), "invalid type"),
        (with(json!({"Effect": "allow"})), "an effect"),
        (with(json!({"Effect": null})), "an effect"),
        (with(json!({"Action": null})), "must contain actions"),
        (with(json!({"Action": []})), "must contain actions"),
        (with(json!({"NotAction": "a:B"})), "both Action and NotAction"),
        (with(json!({"Resource": null})), "must contain resources"),
        (with(json!({"Principal": "*"})), "should not specify a principal"),
        (with(json!({"NotPrincipal": {"AWS": "*"}})), "should not specify a principal"),
        (with(json!({"Sid": "a b"})), "must be alpha-numeric"),
        (with(json!({"Action": "B"})), "prefaced by a vendor"),
        (with(json!({"Action": "a:b:c"})), "only one colon"),
        (with(json!({"Action": "a*:B"})), "Vendor a* is not valid"),
        (with(json!({"Action": "a:"})), "Action a: is not valid"),
        (with(json!({"Resource": "shop"})), "Resource shop must be in ARN format"),
        (with(json!({"Resource": "arn:aws:ec2"})), "must be in ARN format"),
        (with(json!({"Resource": "arn:aws:iam::1:user/${aws:x"})), "variable is not valid"),
        (with(json!({"Resource": {"a": "*"}})), "invalid type"),
        (with(json!({"Resorce": "*"})), "unknown field `Resorce`"),
        (condition("StringEqual", "aws:x", json!("y")), "Invalid Condition type : StringEqual"),
        (condition("StrNotingEquals", "aws:x", json!("y")), "Invalid Condition type"),
        (condition("NumericNotLessThan", "aws:x", json!("1")), "Invalid Condition type"),
        (condition("NotNull", "aws:x", json!("true")), "Invalid Condition type"),
        (condition("NullIfExists", "aws:x", json!("true")), "Invalid Condition type"),
        (condition("ForSome:StringEquals", "aws:x", json!("1")), "Invalid Condition type"),
        (condition("StringEquals", "x", json!("y")), "prefaced by a vendor"),
        (condition("StringEquals", "aws:x", json!([])), "aws:x has no value"),
        (condition("NumericEquals", "aws:x", json!("inf")), "cannot be compared with inf"),
        (condition("DateEquals", "aws:x", json!("soon")), "cannot be compared with soon"),
        (condition("IpAddress", "aws:SourceIp", json!("10.0.0.0/33")), "cannot be compared with 10.0.0.0/33"),
        (condition("Bool", "aws:SecureTransport", json!("yes")), "cannot be compared with yes"),
    ] {
        let refused = read(&policy).unwrap_err();
        assert!(refused.contains(why), "{policy}: {refused}");
    }
    let twice = r#"{"Statement":{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}}"#;
    assert!(serde_json::from_str::<Written>(twice).unwrap_err().to_string().contains("duplicate field"));
    let twice = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{},"Bool":{}}}}"#;
    assert!(serde_json::from_str::<Written>(twice).unwrap_err().to_string().contains("`Bool` is there twice"));
    let same = json!({"Sid": "A", "Effect": "Allow", "Action": "*", "Resource": "*"});
    assert!(read(&json!({"Statement": [same, same]})).unwrap_err().contains("must be unique"));
    assert_eq!(counted_characters("{ \"é\":\n\t1 }"), 7);
}

#[test]
fn a_pattern_of_stars_takes_no_longer_than_pattern_times_text() {
    let resource = format!("arn:{}", "*a".repeat(3000));
    let document = policy(&json!({"Effect": "Allow", "Action": "*", "Resource": format!("{resource}*")}));
    let text = format!("arn:{}", "b".repeat(2000));
    let request = Request { action: "a:B", resource: &text, context: &context() };
    assert_eq!(judge([&document], request), Verdict::ImplicitlyDenied);
}

/// The plain model: a pattern is compared by its definition, a policy by the rule as AWS's page has it.
#[derive(Clone, Debug)]
struct Plain {
    deny: bool,
    not_action: bool,
    actions: Vec<String>,
    not_resource: bool,
    resources: Vec<String>,
    names: Option<(bool, Vec<String>)>,
}

fn like(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|taken| like(rest, &text[taken..])),
        ([b'?', rest @ ..], [_, text @ ..]) => like(rest, text),
        ([a, rest @ ..], [b, text @ ..]) => a == b && like(rest, text),
        _ => false,
    }
}

impl Plain {
    fn applies(&self, action: &str, resource: &str, name: &str) -> bool {
        let (lower, action) = (|p: &String| p.to_lowercase(), action.to_lowercase());
        let acts = self.actions.iter().any(|p| like(lower(p).as_bytes(), action.as_bytes()));
        let on = self.resources.iter().any(|p| like(p.as_bytes(), resource.as_bytes()));
        let named = self
            .names
            .as_ref()
            .is_none_or(|(not, names)| names.iter().any(|p| like(p.as_bytes(), name.as_bytes())) != *not);
        acts != self.not_action && on != self.not_resource && named
    }

    fn json(&self) -> Value {
        let mut statement = json!({
            "Effect": if self.deny { "Deny" } else { "Allow" },
            (if self.not_action { "NotAction" } else { "Action" }): self.actions,
            (if self.not_resource { "NotResource" } else { "Resource" }): self.resources,
        });
        if let Some((not, names)) = &self.names {
            let operator = if *not { "StringNotLike" } else { "StringLike" };
            statement["Condition"] = json!({operator: {"aws:username": names}});
        }
        statement
    }
}

fn plain() -> impl Strategy<Value = Plain> {
    let actions = prop::collection::vec("\\*|[ab]:[abAB*?]{1,4}", 1..3);
    let resources = prop::collection::vec("\\*|arn:[ab*?]{0,5}\\*", 1..3);
    let names = prop::option::of((any::<bool>(), prop::collection::vec("[ab*?]{0,3}", 1..3)));
    (any::<bool>(), any::<bool>(), actions, any::<bool>(), resources, names).prop_map(
        |(deny, not_action, actions, not_resource, resources, names)| Plain {
            deny,
            not_action,
            actions,
            not_resource,
            resources,
            names,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn judgements_are_those_of_the_plain_model(
        statements in prop::collection::vec(plain(), 1..5),
        action in "[ab]:[abAB]{1,3}",
        resource in "arn:[ab]{0,5}",
        name in "[ab]{0,3}",
    ) {
        let document = policy(&Value::Array(statements.iter().map(Plain::json).collect()));
        let mut context = Context::default();
        context.add("aws:username", name.as_str());
        let found = judge([&document], Request { action: &action, resource: &resource, context: &context });
        let first = |deny: bool| {
            statements.iter().position(|s| s.deny == deny && s.applies(&action, &resource, &name))
        };
        let decider = |statement| Decider { policy: 0, statement, sid: None };
        let expected = match (first(true), first(false)) {
            (Some(deny), _) => Verdict::ExplicitlyDenied(decider(deny)),
            (None, Some(allow)) => Verdict::Allowed(decider(allow)),
            (None, None) => Verdict::ImplicitlyDenied,
        };
        prop_assert_eq!(found, expected);
    }
}
