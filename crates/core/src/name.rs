//! Names and ids as types, so that an image id can never be passed where an instance id is meant.
//!
//! Owns what a well-formed name is (limits and alphabets are AWS's). Must never know whether the named thing exists:
//! that is [`crate::world`]'s to say.

use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text is not a name of its kind. Completes "failed to read …".
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{kind} `{text}`: {rule}")]
pub struct Malformed {
    /// What the text was meant to name, in AWS's words.
    pub kind: &'static str,
    /// The text as given, cut to 64 characters.
    pub text: String,
    /// The rule it breaks.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads a name; the error says which rule the text breaks.
            pub fn new(text: impl AsRef<str>) -> Result<Self, Malformed> {
                let text = text.as_ref();
                let check: fn(&str) -> Result<(), &'static str> = $check;
                match check(text) {
                    Ok(()) => Ok(Self(Arc::from(text))),
                    Err(rule) => Err(Malformed { kind: $kind, text: text.chars().take(64).collect(), rule }),
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Malformed;
            fn try_from(text: String) -> Result<Self, Malformed> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl std::str::FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A load balancer's name: 1–32 of `[A-Za-z0-9-]`, no hyphen at either end; case is kept.
    LoadBalancerName, "load balancer name", |t| {
        if t.is_empty() { return Err("must not be empty"); }
        if t.chars().count() > 32 { return Err("cannot be longer than 32 characters"); }
        if !t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') { return Err("may contain only characters A-Z, a-z, 0-9 and `-`"); }
        if t.starts_with('-') || t.ends_with('-') { return Err("must not begin or end with `-`"); }
        Ok(())
    }
);

name!(
    /// An availability zone's name, such as `us-east-1a`: 1–64 of `[a-z0-9-]`.
    ZoneName, "availability zone", |t| {
        if (1..=64).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') { Ok(()) }
        else { Err("must be 1 to 64 characters of a-z, 0-9 and `-`") }
    }
);

name!(
    /// An instance id: `i-` and 8 or 17 lower-case hexadecimal digits.
    InstanceId, "instance id", |t| prefixed_hex(t, "i-", "must be `i-` and 8 or 17 hexadecimal digits")
);

name!(
    /// An image id: `ami-` and 8 or 17 lower-case hexadecimal digits.
    ImageId, "image id", |t| prefixed_hex(t, "ami-", "must be `ami-` and 8 or 17 hexadecimal digits")
);

name!(
    /// A security group's id: `sg-` and 8 or 17 lower-case hexadecimal digits.
    GroupId, "security group id", |t| prefixed_hex(t, "sg-", "must be `sg-` and 8 or 17 hexadecimal digits")
);

name!(
    /// A reservation id: `r-` and 8 or 17 lower-case hexadecimal digits. One RunInstances call makes one reservation.
    ReservationId, "reservation id", |t| prefixed_hex(t, "r-", "must be `r-` and 8 or 17 hexadecimal digits")
);

name!(
    /// A launch template's id: `lt-` and 8 or 17 lower-case hexadecimal digits.
    LaunchTemplateId, "launch template id", |t| prefixed_hex(t, "lt-", "must be `lt-` and 8 or 17 hexadecimal digits")
);

name!(
    /// A launch template's name: 3–128 of `[A-Za-z0-9()./_-]`; case is kept.
    LaunchTemplateName, "launch template name", |t| {
        if (3..=128).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"()./_-".contains(&b)) { Ok(()) }
        else { Err("must be between 3 and 128 characters, and may contain letters, numbers, and - ( ) . / _") }
    }
);

name!(
    /// One version of a launch template: its id, `/`, and the version's number in ten digits, so that text sorts as numbers do.
    LaunchTemplateVersionId, "launch template version", |t| {
        let rule = "must be a launch template's id, `/` and ten digits";
        let (template, number) = t.split_once('/').ok_or(rule)?;
        prefixed_hex(template, "lt-", rule)?;
        if number.len() == 10 && number.bytes().all(|b| b.is_ascii_digit()) { Ok(()) } else { Err(rule) }
    }
);

name!(
    /// A policy's name: 1–128 of `[A-Za-z0-9-]`, unique within a load balancer; case is kept.
    PolicyName, "policy name", |t| {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if (1..=128).contains(&t.len()) && t.bytes().all(good) { Ok(()) }
        else { Err("must be 1 to 128 characters of A-Z, a-z, 0-9 and `-`") }
    }
);

name!(
    /// A certificate's Amazon Resource Name: `arn:aws:iam::…:server-certificate/…` or `arn:aws:acm:…:certificate/…`.
    CertificateArn, "certificate ARN", |t| {
        let good = t.starts_with("arn:aws:") && t.len() <= 2048 && t.bytes().all(|b| b.is_ascii_graphic());
        if good { Ok(()) } else { Err("must be an ARN of at most 2048 visible ASCII characters") }
    }
);

name!(
    /// A topic's Amazon Resource Name: `arn:aws:sns:…:NAME`, the name 1–256 of `[A-Za-z0-9_-]`.
    TopicArn, "topic ARN", |t| {
        if is_of_topic(t, 6) { Ok(()) } else { Err("must be arn:aws:sns:REGION:ACCOUNT:NAME, the name 1 to 256 of A-Z a-z 0-9 _ -") }
    }
);

name!(
    /// A subscription's Amazon Resource Name: its topic's and an id.
    SubscriptionArn, "subscription ARN", |t| {
        if is_of_topic(t, 7) { Ok(()) } else { Err("must be a topic's ARN, a colon and an id") }
    }
);

name!(
    /// An alarm's name: 1–255 characters, none of them a control character; case is kept.
    AlarmName, "alarm name", |t| {
        if !(1..=255).contains(&t.chars().count()) { return Err("must be 1 to 255 characters"); }
        if t.chars().any(|c| c.is_ascii_control()) { return Err("must not contain control characters"); }
        Ok(())
    }
);

name!(
    /// A user's name: 1–64 of `[A-Za-z0-9+=,.@_-]`; case is kept.
    UserName, "user name", |t| {
        if (1..=64).contains(&t.len()) && t.bytes().all(is_of_identity) { Ok(()) }
        else { Err("must contain only alphanumeric characters and/or the following: +=,.@_-, 1 to 64 of them") }
    }
);

name!(
    /// The name of a policy of users: 1–128 of `[A-Za-z0-9+=,.@_-]`; case is kept.
    IdentityPolicyName, "policy name", |t| {
        if (1..=128).contains(&t.len()) && t.bytes().all(is_of_identity) { Ok(()) }
        else { Err("must contain only alphanumeric characters and/or the following: +=,.@_-, 1 to 128 of them") }
    }
);

name!(
    /// An access key's id: 16–128 letters and digits.
    AccessKeyId, "access key id", |t| {
        if (16..=128).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric()) { Ok(()) }
        else { Err("must be 16 to 128 letters and digits") }
    }
);

name!(
    /// The ARN of a policy that can be attached to users: `arn:aws:iam::…:policy/…`.
    PolicyArn, "policy ARN", |t| {
        let rest = t.strip_prefix("arn:aws:iam::").and_then(|rest| rest.split_once(":policy/"));
        let good = rest.is_some_and(|(account, name)| !account.contains(':') && !name.is_empty());
        if good && t.len() <= 2048 && t.bytes().all(|b| b.is_ascii_graphic()) { Ok(()) }
        else { Err("must be an ARN of a policy, such as arn:aws:iam::aws:policy/ReadOnlyAccess") }
    }
);

name!(
    /// An auto scaling group's name: 1–255 visible characters and spaces, none of them `:` or `/`; case is kept.
    AutoScalingGroupName, "auto scaling group name", |t| {
        if t.contains([':', '/']) { return Err("cannot contain `:` or `/`"); }
        is_scaling_name(t)
    }
);

name!(
    /// A launch configuration's name: 1–255 visible characters and spaces; case is kept.
    LaunchConfigurationName, "launch configuration name", is_scaling_name
);

name!(
    /// The name of a policy, a scheduled action or a hook, unique within its group: 1–255 visible characters and spaces.
    ScalingName, "name", is_scaling_name
);

name!(
    /// A scaling activity's id: a UUID.
    ActivityId, "activity id", |t| {
        let good = |b: u8| b.is_ascii_hexdigit() || b == b'-';
        if t.len() == 36 && t.bytes().all(good) { Ok(()) } else { Err("must be a UUID") }
    }
);

fn is_scaling_name(text: &str) -> Result<(), &'static str> {
    if !(1..=255).contains(&text.chars().count()) {
        return Err("must be 1 to 255 characters");
    }
    if text.chars().any(char::is_control) {
        return Err("cannot contain control characters");
    }
    Ok(())
}

fn is_of_identity(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b)
}

/// `arn:aws:sns:REGION:ACCOUNT:NAME` in so many parts, each of letters, digits, `_` and `-`.
fn is_of_topic(text: &str, parts: usize) -> bool {
    let Some(rest) = text.strip_prefix("arn:aws:sns:") else { return false };
    let is_part = |part: &str| {
        (1..=256).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    };
    rest.split(':').count() + 3 == parts && rest.split(':').all(is_part)
}

fn prefixed_hex(text: &str, prefix: &str, rule: &'static str) -> Result<(), &'static str> {
    let hex = text.strip_prefix(prefix).ok_or(rule)?;
    let digits = hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if digits && matches!(hex.len(), 8 | 17) { Ok(()) } else { Err(rule) }
}

/// A TCP port, 1–65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Port(NonZeroU16);

impl Port {
    /// A port from its number; zero is refused, because nobody can connect to it.
    pub fn new(number: u16) -> Result<Self, Malformed> {
        NonZeroU16::new(number).map(Self).ok_or(Malformed {
            kind: "port",
            text: "0".into(),
            rule: "must be from 1 to 65535",
        })
    }

    /// The port's number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0.get()
    }
}

impl TryFrom<u16> for Port {
    type Error = Malformed;
    fn try_from(number: u16) -> Result<Self, Malformed> {
        Self::new(number)
    }
}

impl From<Port> for u16 {
    fn from(port: Port) -> Self {
        port.number()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_balancer_names_keep_awss_rules() {
        let check = |text: &str, good: bool| assert_eq!(LoadBalancerName::new(text).is_ok(), good, "{text}");
        check("test", true);
        check("My-Web-1", true);
        check(&"a".repeat(32), true);
        check(&"a".repeat(33), false);
        check("", false);
        check("-a", false);
        check("a-", false);
        check("a_b", false);
        check("é", false);
    }

    #[test]
    fn ids_keep_their_prefix_and_length() {
        let check = |text: &str, good: bool| assert_eq!(InstanceId::new(text).is_ok(), good, "{text}");
        check("i-0123456789abcdef0", true);
        check("i-2308974a", true);
        check("i-2308974A", false);
        check("ami-2308974a", false);
        check("i-", false);
        check("i-123456789", false);
    }

    #[test]
    fn a_name_survives_json_only_when_it_is_well_formed() {
        let port: Result<Port, _> = serde_json::from_str("0");
        assert!(port.is_err());
        let zone: ZoneName = serde_json::from_str("\"us-east-1a\"").unwrap();
        assert_eq!(zone.as_str(), "us-east-1a");
        assert!(serde_json::from_str::<InstanceId>("\"nonsense\"").is_err());
    }
}
