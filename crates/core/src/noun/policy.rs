//! Policies of a load balancer: named settings that listeners and instance ports are given.
//!
//! Owns the types there are, their attributes as AWS tables them (DescribeLoadBalancerPolicyTypes), what a policy must state,
//! where its type belongs, and what each means. Which listeners there are is [`crate::world`]'s. Next:
//! [`super::tls_policy`] for what SSL negotiation policies offer.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Protocol;
use super::tls_policy::{self, Offer};
use crate::name::PolicyName;
use crate::routes::{ProxyProtocol, Stickiness};

/// The longest value of an attribute, in bytes: a public key of 16,384 bits in base64 takes less.
pub const LONGEST_VALUE: usize = 4096;

/// The most attributes one policy may state.
pub const MOST_ATTRIBUTES: usize = 200;

/// A kind of policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PolicyType {
    /// Clients stick to an instance by the application's cookie.
    #[serde(rename = "AppCookieStickinessPolicyType")]
    AppCookieStickiness,
    /// Whose public keys instances must have.
    #[serde(rename = "BackendServerAuthenticationPolicyType")]
    BackendServerAuthentication,
    /// Clients stick to an instance by the balancer's own cookie.
    #[serde(rename = "LBCookieStickinessPolicyType")]
    LbCookieStickiness,
    /// Instances of a TCP or SSL listener are told who the client is.
    #[serde(rename = "ProxyProtocolPolicyType")]
    ProxyProtocol,
    /// A public key, for [`Self::BackendServerAuthentication`].
    #[serde(rename = "PublicKeyPolicyType")]
    PublicKey,
    /// Versions and ciphers of TLS that clients are offered.
    #[serde(rename = "SSLNegotiationPolicyType")]
    SslNegotiation,
}

/// What an attribute's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`, in any case.
    Boolean,
    /// A whole number from 0.
    Long,
    /// Text.
    String,
}

impl Value {
    /// As AWS writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "Boolean",
            Self::Long => "Long",
            Self::String => "String",
        }
    }
}

/// How often an attribute may be stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// Exactly once.
    One,
    /// Once, or not at all.
    ZeroOrOne,
    /// At least once.
    OneOrMore,
}

impl Cardinality {
    /// As AWS writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::One => "ONE",
            Self::ZeroOrOne => "ZERO_OR_ONE",
            Self::OneOrMore => "ONE_OR_MORE",
        }
    }
}

/// One attribute of a policy type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name; case counts.
    pub name: &'static str,
    /// What its value is.
    pub value: Value,
    /// How often it may be stated.
    pub cardinality: Cardinality,
}

impl PolicyType {
    /// All of them, by name.
    pub const ALL: [Self; 6] = [
        Self::AppCookieStickiness,
        Self::BackendServerAuthentication,
        Self::LbCookieStickiness,
        Self::ProxyProtocol,
        Self::PublicKey,
        Self::SslNegotiation,
    ];

    /// As AWS writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AppCookieStickiness => "AppCookieStickinessPolicyType",
            Self::BackendServerAuthentication => "BackendServerAuthenticationPolicyType",
            Self::LbCookieStickiness => "LBCookieStickinessPolicyType",
            Self::ProxyProtocol => "ProxyProtocolPolicyType",
            Self::PublicKey => "PublicKeyPolicyType",
            Self::SslNegotiation => "SSLNegotiationPolicyType",
        }
    }

    /// The type of that exact name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What it is for, in AWS's sense.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::AppCookieStickiness => {
                "Stickiness policy with session lifetimes controlled by the lifetime of the application-generated cookie. This policy can be associated only with HTTP/HTTPS listeners."
            }
            Self::BackendServerAuthentication => {
                "Policy that controls authentication to back-end server(s) and contains one or more policies, such as an instance of a PublicKeyPolicyType. This policy can be associated only with back-end servers that are using HTTPS/SSL."
            }
            Self::LbCookieStickiness => {
                "Stickiness policy with session lifetimes controlled by the browser (user-agent) or a specified expiration period. This policy can be associated only with HTTP/HTTPS listeners."
            }
            Self::ProxyProtocol => {
                "Policy that controls whether to include the IP address and port of the originating request for TCP messages. This policy operates on TCP/SSL listeners only"
            }
            Self::PublicKey => {
                "Policy containing a list of public keys to accept when authenticating the back-end server(s). This policy cannot be applied directly to back-end servers or listeners but must be part of a BackendServerAuthenticationPolicyType."
            }
            Self::SslNegotiation => {
                "Listener policy that defines the ciphers and protocols that will be accepted by the load balancer. This policy can be associated only with HTTPS/SSL listeners."
            }
        }
    }

    /// Whether it may be set on a listener of this protocol, or why not.
    pub fn fits_listener(self, front: Protocol) -> Result<(), &'static str> {
        match self {
            Self::AppCookieStickiness | Self::LbCookieStickiness if !front.sees_requests() => {
                Err("stickiness goes with HTTP and HTTPS listeners only")
            }
            Self::SslNegotiation if !front.is_secure() => Err("SSL negotiation goes with HTTPS and SSL listeners only"),
            Self::AppCookieStickiness | Self::LbCookieStickiness | Self::SslNegotiation => Ok(()),
            Self::ProxyProtocol | Self::BackendServerAuthentication => {
                Err("it is for instances: SetLoadBalancerPoliciesForBackendServer takes it")
            }
            Self::PublicKey => Err("it goes into a BackendServerAuthenticationPolicyType"),
        }
    }

    /// Whether it may be set on an instance port, of listeners with these protocols to clients and to instances; or why not.
    pub fn fits_instance_port(self, listeners: &[(Protocol, Protocol)]) -> Result<(), &'static str> {
        match self {
            Self::ProxyProtocol if listeners.iter().all(|(front, _)| front.sees_requests()) => {
                Err("the PROXY protocol goes with TCP and SSL listeners only")
            }
            Self::BackendServerAuthentication if !listeners.iter().any(|(_, back)| back.is_secure()) => {
                Err("authentication goes with instances that are spoken to in HTTPS or SSL only")
            }
            Self::ProxyProtocol | Self::BackendServerAuthentication => Ok(()),
            Self::PublicKey => Err("it goes into a BackendServerAuthenticationPolicyType"),
            Self::AppCookieStickiness | Self::LbCookieStickiness | Self::SslNegotiation => {
                Err("it is for listeners: SetLoadBalancerPoliciesOfListener takes it")
            }
        }
    }

    /// Its attributes, in the order in which they are described.
    #[must_use]
    pub fn attributes(self) -> Vec<Attribute> {
        let one = |name, value, cardinality| vec![Attribute { name, value, cardinality }];
        match self {
            Self::AppCookieStickiness => one("CookieName", Value::String, Cardinality::One),
            Self::BackendServerAuthentication => one("PublicKeyPolicyName", Value::String, Cardinality::OneOrMore),
            Self::LbCookieStickiness => one("CookieExpirationPeriod", Value::Long, Cardinality::ZeroOrOne),
            Self::ProxyProtocol => one("ProxyProtocol", Value::Boolean, Cardinality::One),
            Self::PublicKey => one("PublicKey", Value::String, Cardinality::One),
            Self::SslNegotiation => {
                let reference = Attribute {
                    name: tls_policy::REFERENCE,
                    value: Value::String,
                    cardinality: Cardinality::ZeroOrOne,
                };
                let switch = |name| Attribute { name, value: Value::Boolean, cardinality: Cardinality::ZeroOrOne };
                [reference].into_iter().chain(tls_policy::switches().map(switch)).collect()
            }
        }
    }
}

/// Why no policy can be made of what was stated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadPolicy {
    /// An attribute that the type does not have.
    #[error("policy type {kind} has no attribute '{name}'")]
    UnknownAttribute {
        /// The type.
        kind: &'static str,
        /// The attribute, cut to 128 characters.
        name: String,
    },
    /// One that must be stated and is not.
    #[error("policy type {kind} needs the attribute '{name}'")]
    Missing {
        /// The type.
        kind: &'static str,
        /// The attribute.
        name: &'static str,
    },
    /// One that is stated too often.
    #[error("the attribute '{0}' may be stated only once")]
    Repeated(&'static str),
    /// A value that is not of its kind.
    #[error("the attribute '{name}' must be {rule}, and is '{value}'")]
    Value {
        /// The attribute.
        name: &'static str,
        /// What it must be.
        rule: &'static str,
        /// What was stated, cut to 128 characters.
        value: String,
    },
    /// Too much of it.
    #[error("a policy may state at most {MOST_ATTRIBUTES} attributes of at most {LONGEST_VALUE} bytes")]
    TooLarge,
    /// Nothing that the road could offer.
    #[error("{0}")]
    Tls(String),
}

/// One policy of one load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its type.
    pub kind: PolicyType,
    /// What was stated: names of the type's attributes and their values, in one spelling each, in the order stated.
    pub attributes: Vec<(String, String)>,
}

impl Policy {
    /// A policy of what a caller states, or what is wrong with it.
    pub fn new(kind: PolicyType, stated: &[(String, String)]) -> Result<Self, BadPolicy> {
        if stated.len() > MOST_ATTRIBUTES || stated.iter().any(|(_, value)| value.len() > LONGEST_VALUE) {
            return Err(BadPolicy::TooLarge);
        }
        let table = kind.attributes();
        let mut attributes: Vec<(String, String)> = Vec::with_capacity(stated.len());
        for (name, value) in stated {
            let Some(row) = table.iter().find(|row| row.name == name) else {
                return Err(BadPolicy::UnknownAttribute { kind: kind.as_str(), name: cut(name) });
            };
            if row.cardinality != Cardinality::OneOrMore && attributes.iter().any(|(held, _)| held == name) {
                return Err(BadPolicy::Repeated(row.name));
            }
            attributes.push((name.clone(), normal(row, value)?));
        }
        for row in &table {
            let needed = row.cardinality != Cardinality::ZeroOrOne;
            if needed && !attributes.iter().any(|(held, _)| held == row.name) {
                return Err(BadPolicy::Missing { kind: kind.as_str(), name: row.name });
            }
        }
        if kind == PolicyType::SslNegotiation {
            tls_policy::check(&attributes).map_err(BadPolicy::Tls)?;
        }
        Ok(Self { kind, attributes })
    }

    /// The predefined SSL negotiation policy of that name, as a balancer has it.
    #[must_use]
    pub fn predefined(name: &str) -> Option<Self> {
        let known = tls_policy::predefined(name)?;
        let attributes = vec![(tls_policy::REFERENCE.to_owned(), known.name.to_owned())];
        Some(Self { kind: PolicyType::SslNegotiation, attributes })
    }

    /// Every attribute as it is described: for SSL negotiation each switch there is, for others what was stated.
    #[must_use]
    pub fn described(&self) -> Vec<(String, String)> {
        match self.kind {
            PolicyType::SslNegotiation => tls_policy::described(&self.attributes),
            _ => self.attributes.clone(),
        }
    }

    /// How clients stick, if this says so.
    #[must_use]
    pub fn stickiness(&self) -> Option<Stickiness> {
        match self.kind {
            PolicyType::LbCookieStickiness => Some(Stickiness::Duration(self.expiration().map(Duration::from_secs))),
            PolicyType::AppCookieStickiness => Some(Stickiness::Application(self.first("CookieName")?.into())),
            _ => None,
        }
    }

    /// Seconds for which browsers keep the balancer's cookie; `None` until they close.
    #[must_use]
    pub fn expiration(&self) -> Option<u64> {
        self.first("CookieExpirationPeriod")?.parse().ok().filter(|seconds| *seconds > 0)
    }

    /// The application's cookie.
    #[must_use]
    pub fn cookie(&self) -> Option<&str> {
        self.first("CookieName")
    }

    /// What clients are offered, if this says so.
    #[must_use]
    pub fn offer(&self) -> Option<Offer> {
        (self.kind == PolicyType::SslNegotiation).then(|| tls_policy::offer(&self.attributes))
    }

    /// The header that instances are sent, if this says so.
    #[must_use]
    pub fn proxy_protocol(&self) -> Option<ProxyProtocol> {
        let on = self.kind == PolicyType::ProxyProtocol && self.first("ProxyProtocol") == Some("true");
        on.then_some(ProxyProtocol::V1)
    }

    /// The public key, as base64 without white space.
    #[must_use]
    pub fn public_key(&self) -> Option<&str> {
        self.first("PublicKey")
    }

    /// The policies that hold the keys of [`PolicyType::BackendServerAuthentication`].
    pub fn public_key_policies(&self) -> impl Iterator<Item = PolicyName> + '_ {
        let named = self.attributes.iter().filter(|(name, _)| name == "PublicKeyPolicyName");
        named.filter_map(|(_, value)| PolicyName::new(value).ok())
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }
}

fn cut(text: &str) -> String {
    text.chars().take(128).collect()
}

/// A value in its one spelling.
fn normal(row: &Attribute, value: &str) -> Result<String, BadPolicy> {
    let bad = |rule| BadPolicy::Value { name: row.name, rule, value: cut(value) };
    match (row.value, row.name) {
        (Value::Boolean, _) if value.eq_ignore_ascii_case("true") => Ok("true".into()),
        (Value::Boolean, _) if value.eq_ignore_ascii_case("false") => Ok("false".into()),
        (Value::Boolean, _) => Err(bad("true or false")),
        // A century is no session any more; browsers cap what they are told anyway.
        (Value::Long, _) => match value.trim().parse::<u64>().ok().filter(|seconds| *seconds <= 3_155_760_000) {
            Some(number) => Ok(number.to_string()),
            None => Err(bad("a whole number of seconds from 0 to 3155760000")),
        },
        (Value::String, "CookieName") => {
            // RFC 6265 §4.1.1: a token. AWSELB is the balancer's own.
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            let good = (1..=255).contains(&value.len()) && value.bytes().all(token);
            if good && !value.eq_ignore_ascii_case("AWSELB") && !value.eq_ignore_ascii_case("AWSELBCORS") {
                Ok(value.to_owned())
            } else {
                Err(bad("the name of a cookie (RFC 6265) other than AWSELB, of at most 255 characters"))
            }
        }
        (Value::String, "PublicKey") => {
            let body: String = value.lines().filter(|line| !line.starts_with("-----")).collect();
            let body: String = body.split_whitespace().collect();
            let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
            if body.len() >= 40 && body.len().is_multiple_of(4) && body.bytes().all(base64) {
                Ok(body)
            } else {
                Err(bad("a public key: what stands between the lines of a PEM file, in base64"))
            }
        }
        (Value::String, "PublicKeyPolicyName") => {
            PolicyName::new(value).map(String::from).map_err(|_| bad("the name of a policy"))
        }
        (Value::String, _) => Ok(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(kind: PolicyType, stated: &[(&str, &str)]) -> Result<Policy, BadPolicy> {
        let stated: Vec<_> = stated.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Policy::new(kind, &stated)
    }

    #[test]
    fn types_are_known_by_their_exact_names() {
        for kind in PolicyType::ALL {
            assert_eq!(PolicyType::parse(kind.as_str()), Some(kind));
            assert!(!kind.attributes().is_empty());
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{}\"", kind.as_str()));
        }
        assert_eq!(PolicyType::parse("proxyprotocolpolicytype"), None);
    }

    #[test]
    fn what_is_stated_is_held_against_the_table() {
        use PolicyType as T;
        let check = |kind, stated: &[(&str, &str)], wanted: Result<&str, &str>| match (policy(kind, stated), wanted) {
            (Ok(made), Ok(value)) => assert_eq!(made.attributes[0].1, value, "{stated:?}"),
            (Err(bad), Err(words)) => assert!(bad.to_string().contains(words), "{stated:?}: {bad}"),
            (got, wanted) => panic!("{stated:?}: {got:?}, not {wanted:?}"),
        };
        check(T::ProxyProtocol, &[("ProxyProtocol", "True")], Ok("true"));
        check(T::ProxyProtocol, &[("ProxyProtocol", "yes")], Err("must be true or false"));
        check(T::ProxyProtocol, &[], Err("needs the attribute 'ProxyProtocol'"));
        check(T::ProxyProtocol, &[("ProxyProtocol", "true"), ("ProxyProtocol", "true")], Err("only once"));
        check(T::ProxyProtocol, &[("Version", "2")], Err("has no attribute 'Version'"));
        check(T::LbCookieStickiness, &[("CookieExpirationPeriod", "60")], Ok("60"));
        check(T::LbCookieStickiness, &[("CookieExpirationPeriod", "-1")], Err("whole number"));
        check(T::AppCookieStickiness, &[("CookieName", "SESSION")], Ok("SESSION"));
        check(T::AppCookieStickiness, &[("CookieName", "a b")], Err("name of a cookie"));
        check(T::AppCookieStickiness, &[("CookieName", "AWSELB")], Err("other than AWSELB"));
        let key =
            "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\r\n AAAA\n-----END PUBLIC KEY-----\n";
        check(T::PublicKey, &[("PublicKey", key)], Ok("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAAAA"));
        check(T::PublicKey, &[("PublicKey", "nonsense")], Err("a public key"));
        check(
            T::BackendServerAuthentication,
            &[("PublicKeyPolicyName", "k1"), ("PublicKeyPolicyName", "k2")],
            Ok("k1"),
        );
        check(T::BackendServerAuthentication, &[("PublicKeyPolicyName", "a b")], Err("name of a policy"));
        check(T::SslNegotiation, &[("Reference-Security-Policy", "nope")], Err("nope"));
        let long = "x".repeat(LONGEST_VALUE + 1);
        check(T::PublicKey, &[("PublicKey", &long)], Err("at most"));
    }

    #[test]
    fn a_policy_says_what_it_means() {
        let sticky = policy(PolicyType::LbCookieStickiness, &[("CookieExpirationPeriod", "0")]).unwrap();
        assert_eq!(sticky.stickiness(), Some(Stickiness::Duration(None)));
        let sticky = policy(PolicyType::LbCookieStickiness, &[]).unwrap();
        assert_eq!(sticky.stickiness(), Some(Stickiness::Duration(None)));
        let sticky = policy(PolicyType::AppCookieStickiness, &[("CookieName", "S")]).unwrap();
        assert_eq!(sticky.stickiness(), Some(Stickiness::Application("S".into())));
        let off = policy(PolicyType::ProxyProtocol, &[("ProxyProtocol", "false")]).unwrap();
        assert_eq!((off.proxy_protocol(), off.stickiness(), off.offer()), (None, None, None));
        let on = policy(PolicyType::ProxyProtocol, &[("ProxyProtocol", "true")]).unwrap();
        assert_eq!(on.proxy_protocol(), Some(ProxyProtocol::V1));
    }
}
