//! Security groups: named sets of rules on who may connect.
//!
//! Owns their shape and the rules that hold for one alone. Must never say who is a member: that is [`crate::world`]'s.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::GroupId;
use crate::routes::AddressRange;
use crate::time::Timestamp;

/// The group that everything is in which names none (AWS).
pub const DEFAULT: &str = "default";

/// The most rules of one direction (AWS: 60).
pub const MOST_RULES: usize = 60;

/// One security group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// Its id.
    pub id: GroupId,
    /// Its name, unique here.
    pub name: String,
    /// For people.
    pub description: String,
    /// Who may connect to its members; nobody else may.
    pub ingress: Vec<Rule>,
    /// Whom its members may connect to; recorded.
    pub egress: Vec<Rule>,
    /// When it was created.
    pub created: Timestamp,
    /// Tags by key, at most 50.
    pub tags: BTreeMap<String, String>,
}

/// One rule of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// `sgr-` and 17 hexadecimal digits.
    pub id: String,
    /// What it is about.
    pub reach: Reach,
    /// For people.
    pub description: Option<String>,
}

/// What a rule is about: two rules of one group never have the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// `tcp`, `udp`, `icmp`, `icmpv6`, a protocol number, or `-1` for all.
    pub protocol: String,
    /// First and last port, or ICMP type and code; `None` for all.
    pub ports: Option<(i32, i32)>,
    /// The other side.
    pub peer: Peer,
}

/// The other side of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Peer {
    /// Addresses.
    Range(AddressRange),
    /// Members of a group.
    Group(GroupId),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(range) => range.fmt(f),
            Self::Group(group) => group.fmt(f),
        }
    }
}

/// As EC2 shows a rule in its errors.
impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.protocol == "-1" { "ALL".to_owned() } else { self.protocol.to_uppercase() };
        write!(f, "peer: {}, {protocol}", self.peer)?;
        if let Some((from, to)) = self.ports {
            write!(f, ", from port: {from}, to port: {to}")?;
        }
        f.write_str(", ALLOW")
    }
}

impl Reach {
    /// Whether it is about TCP connections to this port.
    #[must_use]
    pub fn admits_tcp(&self, port: u16) -> bool {
        let tcp = matches!(self.protocol.as_str(), "tcp" | "6");
        let within = self.ports.is_none_or(|(from, to)| (from..=to).contains(&i32::from(port)));
        self.protocol == "-1" || (tcp && within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_admits_its_protocol_and_ports() {
        let check = |protocol: &str, ports: Option<(i32, i32)>, port: u16, admitted: bool| {
            let peer = Peer::Range("0.0.0.0/0".parse().unwrap());
            let reach = Reach { protocol: protocol.into(), ports, peer };
            assert_eq!(reach.admits_tcp(port), admitted, "{reach}");
        };
        check("tcp", Some((80, 90)), 80, true);
        check("tcp", Some((80, 90)), 90, true);
        check("tcp", Some((80, 90)), 91, false);
        check("6", None, 1, true);
        check("udp", Some((0, 65_535)), 80, false);
        check("-1", None, 80, true);
        let reach =
            Reach { protocol: "tcp".into(), ports: Some((80, 80)), peer: Peer::Range("10.0.0.0/8".parse().unwrap()) };
        assert_eq!(reach.to_string(), "peer: 10.0.0.0/8, TCP, from port: 80, to port: 80, ALLOW");
    }
}
