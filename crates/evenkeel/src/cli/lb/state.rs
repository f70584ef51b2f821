//! What a load balancer is, as far as calls can change it: read from the daemon, told in lines and in JSON.
//!
//! Owns the words in which people are told of it; a line of an attribute, a listener or a tag is what the command that sets it
//! takes. Must never change anything. Next: [`super::foresee`] for what comes of a change.

use std::collections::BTreeMap;

use anyhow::Context;
use evenkeel_aws::elb;
use evenkeel_core::noun::tls_policy;
use serde_json::{Map, Value, json};

use crate::cli::client::Client;
use crate::cli::difference::Line;

/// Values of policies longer than this are cut where people read them.
const LONGEST_VALUE: usize = 48;

/// AWS's name for how strictly HTTP is read.
pub const DESYNC: &str = "elb.http.desyncmitigationmode";

/// Attributes as a new load balancer has them.
const DEFAULTS: [(&str, &str); 5] = [
    ("cross-zone", "off"),
    ("draining", "off"),
    ("idle-timeout", "60"),
    ("access-log", "off"),
    ("desync", "defensive"),
];

/// All that calls can change of a load balancer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// DescribeLoadBalancers; its summary of policies is not kept.
    pub described: elb::LoadBalancerDescription,
    /// DescribeLoadBalancerAttributes, in full.
    pub attributes: elb::LoadBalancerAttributes,
    /// DescribeTags.
    pub tags: BTreeMap<String, String>,
    /// DescribeLoadBalancerPolicies, by name.
    pub policies: BTreeMap<String, elb::PolicyDescription>,
}

impl State {
    /// The load balancer of exactly this name, or `None`.
    ///
    /// # Errors
    /// Those of the client.
    pub fn read(client: &Client, name: &str) -> anyhow::Result<Option<Self>> {
        let failed = || format!("failed to read load balancer `{name}`");
        let Some(described) = client.load_balancer(name).with_context(failed)? else { return Ok(None) };
        let load_balancer_name = name.to_owned();
        let attributes = client
            .call(&elb::DescribeLoadBalancerAttributes { load_balancer_name: load_balancer_name.clone() })
            .with_context(failed)?
            .load_balancer_attributes;
        let input = elb::DescribeTags { load_balancer_names: vec![load_balancer_name.clone()].into() };
        let tags = client.call(&input).with_context(failed)?.tag_descriptions;
        let tags = tags.into_iter().flat_map(|shown| shown.tags).map(|tag| (tag.key, tag.value.unwrap_or_default()));
        let input = elb::DescribeLoadBalancerPolicies {
            load_balancer_name: Some(load_balancer_name),
            ..elb::DescribeLoadBalancerPolicies::default()
        };
        let policies = client.call(&input).with_context(failed)?.policy_descriptions;
        let policies = policies.into_iter().map(|policy| (policy.policy_name.clone(), policy));
        Ok(Some(Self { described, attributes, tags: tags.collect(), policies: policies.collect() }))
    }

    /// Whether it was made for subnets rather than zones.
    pub fn is_in_vpc(&self) -> bool {
        !self.described.subnets.is_empty()
    }

    /// Everything, each thing on a line of its own, in one order.
    pub fn lines(&self) -> Vec<Line> {
        let described = &self.described;
        let mut lines = vec![Line::new("scheme", described.scheme.as_str())];
        let mut add = |what, texts: &mut dyn Iterator<Item = String>| {
            lines.extend(texts.map(|text| Line { what, text }));
        };
        add("zone", &mut described.availability_zones.iter().cloned());
        add("subnet", &mut described.subnets.iter().cloned());
        let mut listeners: Vec<&elb::ListenerDescription> = described.listener_descriptions.iter().collect();
        listeners.sort_by_key(|shown| shown.listener.load_balancer_port);
        add("listener", &mut listeners.into_iter().map(listener));
        add(
            "backend",
            &mut described
                .backend_server_descriptions
                .iter()
                .map(|shown| format!("{} {}", shown.instance_port, shown.policy_names.join(" "))),
        );
        add("policy", &mut self.policies.values().map(policy));
        add("check", &mut [check(&described.health_check)].into_iter());
        add("instance", &mut described.instances.iter().map(|instance| instance.instance_id.clone()));
        add("group", &mut described.security_groups.iter().cloned());
        add("attribute", &mut settings(&self.attributes).into_iter().map(|(key, value)| format!("{key}={value}")));
        add("tag", &mut self.tags.iter().map(|(key, value)| format!("{key}={value}")));
        lines
    }

    /// What it has beyond a new load balancer's attributes: what comes when it is made, and goes when it is deleted.
    pub fn lines_of_its_own(&self) -> Vec<Line> {
        let is_default = |held: &Line| {
            held.what == "attribute" && DEFAULTS.iter().any(|(key, value)| held.text == format!("{key}={value}"))
        };
        self.lines().into_iter().filter(|held| !is_default(held)).collect()
    }

    /// Everything as JSON.
    pub fn json(&self) -> Value {
        let described = &self.described;
        let listeners: Vec<Value> = described.listener_descriptions.iter().map(listener_json).collect();
        let backends = described.backend_server_descriptions.iter();
        let backends: Map<String, Value> =
            backends.map(|shown| (shown.instance_port.to_string(), json!(*shown.policy_names))).collect();
        let policies: Map<String, Value> =
            self.policies.iter().map(|(name, policy)| (name.clone(), policy_json(policy))).collect();
        let instances: Vec<&String> = described.instances.iter().map(|instance| &instance.instance_id).collect();
        json!({
            "name": described.load_balancer_name,
            "dns_name": described.dns_name,
            "scheme": described.scheme,
            "created": described.created_time.to_string(),
            "zones": *described.availability_zones,
            "subnets": *described.subnets,
            "listeners": listeners,
            "backends": backends,
            "policies": policies,
            "check": check_json(&described.health_check),
            "instances": instances,
            "groups": *described.security_groups,
            "attributes": settings(&self.attributes).into_iter().collect::<BTreeMap<_, _>>(),
            "tags": self.tags,
        })
    }
}

/// `HTTPS:443=HTTP:8080,arn:…`, then its policies.
fn listener(shown: &elb::ListenerDescription) -> String {
    let spec = spec(&shown.listener);
    if shown.policy_names.is_empty() { spec } else { format!("{spec} {}", shown.policy_names.join(" ")) }
}

/// A listener as it is stated: `HTTP:80=HTTP:8080`.
pub fn spec(listener: &elb::Listener) -> String {
    let elb::Listener { protocol, load_balancer_port, instance_port, .. } = listener;
    let back = listener.instance_protocol.as_deref().unwrap_or_default();
    let certificate = listener.ssl_certificate_id.as_ref().map(|arn| format!(",{arn}")).unwrap_or_default();
    format!("{protocol}:{load_balancer_port}={back}:{instance_port}{certificate}")
}

fn listener_json(shown: &elb::ListenerDescription) -> Value {
    let listener = &shown.listener;
    json!({
        "protocol": listener.protocol,
        "port": listener.load_balancer_port,
        "instance_protocol": listener.instance_protocol,
        "instance_port": listener.instance_port,
        "certificate": listener.ssl_certificate_id,
        "policies": *shown.policy_names,
    })
}

fn policy(policy: &elb::PolicyDescription) -> String {
    let summary = summary(policy);
    format!("{} {}{}{summary}", policy.policy_name, policy.policy_type_name, if summary.is_empty() { "" } else { " " })
}

/// What a policy says, as far as it is worth a line: of SSL negotiation the policy that it refers to, else what is on.
pub fn summary(policy: &elb::PolicyDescription) -> String {
    let all = &policy.policy_attribute_descriptions;
    let reference = all.iter().find(|attribute| attribute.attribute_name == tls_policy::REFERENCE);
    let is_on = |attribute: &&elb::PolicyAttribute| attribute.attribute_value == "true";
    let of_ssl = policy.policy_type_name == "SSLNegotiationPolicyType";
    let shown: Vec<String> = match reference {
        Some(reference) => vec![attribute(reference)],
        None if of_ssl => all.iter().filter(is_on).map(|on| on.attribute_name.clone()).collect(),
        None => all.iter().map(attribute).collect(),
    };
    shown.join(" ")
}

fn attribute(shown: &elb::PolicyAttribute) -> String {
    let value = &shown.attribute_value;
    let cut = value.chars().count() > LONGEST_VALUE;
    let value: String = value.chars().take(LONGEST_VALUE).collect();
    format!("{}={value}{}", shown.attribute_name, if cut { "…" } else { "" })
}

/// A policy with all its attributes; those that are stated more than once are lists.
pub fn policy_json(policy: &elb::PolicyDescription) -> Value {
    let mut attributes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for shown in &policy.policy_attribute_descriptions {
        attributes.entry(&shown.attribute_name).or_default().push(&shown.attribute_value);
    }
    let value = |values: Vec<&str>| if let [one] = values[..] { json!(one) } else { json!(values) };
    let attributes: Map<String, Value> =
        attributes.into_iter().map(|(name, values)| (name.to_owned(), value(values))).collect();
    json!({ "type": policy.policy_type_name, "attributes": attributes })
}

/// `HTTP:8080/health every 30 s, within 5 s, out after 2, in after 10`.
pub fn check(check: &elb::HealthCheck) -> String {
    let elb::HealthCheck { target, interval, timeout, unhealthy_threshold, healthy_threshold } = check;
    format!(
        "{target} every {interval} s, within {timeout} s, out after {unhealthy_threshold}, in after {healthy_threshold}"
    )
}

/// The health check as JSON, by the names of the flags.
pub fn check_json(check: &elb::HealthCheck) -> Value {
    json!({
        "target": check.target,
        "interval": check.interval,
        "timeout": check.timeout,
        "unhealthy": check.unhealthy_threshold,
        "healthy": check.healthy_threshold,
    })
}

/// Attributes as `evenkeel lb attr` takes them. Where the log goes and how often is told while it is on.
pub fn settings(attributes: &elb::LoadBalancerAttributes) -> Vec<(String, String)> {
    let word = |is_on: bool| if is_on { "on" } else { "off" }.to_owned();
    let mut settings = Vec::new();
    let mut add = |key: &str, value: String| settings.push((key.to_owned(), value));
    if let Some(block) = &attributes.cross_zone_load_balancing {
        add("cross-zone", word(block.enabled));
    }
    if let Some(block) = &attributes.connection_draining {
        let seconds = block.timeout.map_or_else(|| word(true), |seconds| seconds.to_string());
        add("draining", if block.enabled { seconds } else { word(false) });
    }
    if let Some(block) = &attributes.connection_settings {
        add("idle-timeout", block.idle_timeout.to_string());
    }
    match &attributes.access_log {
        Some(log) if log.enabled => {
            let bucket = log.s3_bucket_name.clone().unwrap_or_default();
            let prefix = log.s3_bucket_prefix.as_ref().filter(|prefix| !prefix.is_empty());
            add("access-log", prefix.map_or_else(|| bucket.clone(), |prefix| format!("{bucket}/{prefix}")));
            add("access-log-interval", log.emit_interval.unwrap_or(60).to_string());
        }
        Some(_) => add("access-log", word(false)),
        None => {}
    }
    for additional in attributes.additional_attributes.iter().flatten() {
        let key = if additional.key == DESYNC { "desync" } else { &additional.key };
        add(key, additional.value.clone());
    }
    settings
}

/// A new load balancer's attributes.
pub fn default_attributes() -> elb::LoadBalancerAttributes {
    let desync = elb::AdditionalAttribute { key: DESYNC.into(), value: "defensive".into() };
    elb::LoadBalancerAttributes {
        cross_zone_load_balancing: Some(elb::CrossZoneLoadBalancing { enabled: false }),
        access_log: Some(elb::AccessLog { emit_interval: Some(60), ..elb::AccessLog::default() }),
        connection_draining: Some(elb::ConnectionDraining { enabled: false, timeout: Some(300) }),
        connection_settings: Some(elb::ConnectionSettings { idle_timeout: 60 }),
        additional_attributes: Some(vec![desync].into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_load_balancers_attributes_are_the_defaults() {
        let settings = settings(&default_attributes());
        let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(settings, DEFAULTS);
    }

    #[test]
    fn a_policy_is_told_in_a_line_and_whole_in_json() {
        let described = |kind: &str, attributes: &[(&str, &str)]| elb::PolicyDescription {
            policy_name: "p".into(),
            policy_type_name: kind.into(),
            policy_attribute_descriptions: attributes
                .iter()
                .map(|(name, value)| elb::PolicyAttribute {
                    attribute_name: (*name).into(),
                    attribute_value: (*value).into(),
                })
                .collect(),
        };
        let check = |kind: &str, attributes: &[(&str, &str)], line: &str| {
            assert_eq!(policy(&described(kind, attributes)), line);
        };
        check("LBCookieStickinessPolicyType", &[], "p LBCookieStickinessPolicyType");
        check("ProxyProtocolPolicyType", &[("ProxyProtocol", "true")], "p ProxyProtocolPolicyType ProxyProtocol=true");
        let ssl = "SSLNegotiationPolicyType";
        check(ssl, &[("A", "true"), ("B", "false"), ("C", "true")], "p SSLNegotiationPolicyType A C");
        let named = [("Reference-Security-Policy", "ELBSample-X"), ("A", "true")];
        check(ssl, &named, "p SSLNegotiationPolicyType Reference-Security-Policy=ELBSample-X");
        let key = "k".repeat(49);
        let expected = format!("p PublicKeyPolicyType PublicKey={}…", "k".repeat(48));
        check("PublicKeyPolicyType", &[("PublicKey", &key)], &expected);
        let two = described("B", &[("PublicKeyPolicyName", "a"), ("PublicKeyPolicyName", "b")]);
        assert_eq!(policy_json(&two)["attributes"], json!({ "PublicKeyPolicyName": ["a", "b"] }));
    }
}
