//! SSL negotiation policies: which versions and ciphers of TLS a listener offers.
//!
//! Owns AWS's table of switches and predefined policies (Elastic Load Balancing user guide, "Predefined SSL security policies
//! for Classic Load Balancers"; DescribeLoadBalancerPolicies), and what of them is really served: TLS 1.2 and 1.3 with
//! ciphers that keep secrets forward and authenticate (RFC 9325 §4.2). Must never speak TLS: the road does.

use crate::routes::TlsVersion;
use crate::routes::suites::SUITES;

/// The attribute that names a predefined policy.
pub const REFERENCE: &str = "Reference-Security-Policy";

/// The policy of listeners that state none.
pub const DEFAULT: &str = "ELBSecurityPolicy-2016-08";

const SERVER_ORDER: &str = "Server-Defined-Cipher-Order";

const TLS_1_2: &str = "Protocol-TLSv1.2";

/// Not AWS's: a policy that names its versions gets this one only if it asks for it.
const TLS_1_3: &str = "Protocol-TLSv1.3";

/// What is really served, beside what was asked for. Not AWS's.
const EFFECTIVE_PROTOCOLS: &str = "Evenkeel-Effective-Protocols";
const EFFECTIVE_CIPHERS: &str = "Evenkeel-Effective-Ciphers";

const PROTOCOLS: [&str; 6] =
    ["Protocol-SSLv2", "Protocol-SSLv3", "Protocol-TLSv1", "Protocol-TLSv1.1", TLS_1_2, TLS_1_3];

/// Ciphers that AWS's policies have switches for, and two of ours at the end; separated by blanks.
const CIPHERS: &str = "\
    ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES128-SHA256 ECDHE-RSA-AES128-SHA256 \
    ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES128-SHA DHE-RSA-AES128-SHA ECDHE-ECDSA-AES256-GCM-SHA384 \
    ECDHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-AES256-SHA384 ECDHE-RSA-AES256-SHA384 ECDHE-RSA-AES256-SHA \
    ECDHE-ECDSA-AES256-SHA AES128-GCM-SHA256 AES128-SHA256 AES128-SHA AES256-GCM-SHA384 AES256-SHA256 AES256-SHA \
    DHE-DSS-AES128-SHA CAMELLIA128-SHA EDH-RSA-DES-CBC3-SHA DES-CBC3-SHA ECDHE-RSA-RC4-SHA RC4-SHA \
    ECDHE-ECDSA-RC4-SHA DHE-DSS-AES256-GCM-SHA384 DHE-RSA-AES256-GCM-SHA384 DHE-RSA-AES256-SHA256 \
    DHE-DSS-AES256-SHA256 DHE-RSA-AES256-SHA DHE-DSS-AES256-SHA DHE-RSA-CAMELLIA256-SHA DHE-DSS-CAMELLIA256-SHA \
    CAMELLIA256-SHA EDH-DSS-DES-CBC3-SHA DHE-DSS-AES128-GCM-SHA256 DHE-RSA-AES128-GCM-SHA256 \
    DHE-RSA-AES128-SHA256 DHE-DSS-AES128-SHA256 DHE-RSA-CAMELLIA128-SHA DHE-DSS-CAMELLIA128-SHA \
    ADH-AES128-GCM-SHA256 ADH-AES128-SHA ADH-AES128-SHA256 ADH-AES256-GCM-SHA384 ADH-AES256-SHA \
    ADH-AES256-SHA256 ADH-CAMELLIA128-SHA ADH-CAMELLIA256-SHA ADH-DES-CBC3-SHA ADH-DES-CBC-SHA ADH-RC4-MD5 \
    ADH-SEED-SHA DES-CBC-SHA DHE-DSS-SEED-SHA DHE-RSA-SEED-SHA EDH-DSS-DES-CBC-SHA EDH-RSA-DES-CBC-SHA \
    IDEA-CBC-SHA RC4-MD5 SEED-SHA DES-CBC3-MD5 DES-CBC-MD5 RC2-CBC-MD5 PSK-AES256-CBC-SHA PSK-3DES-EDE-CBC-SHA \
    KRB5-DES-CBC3-SHA KRB5-DES-CBC3-MD5 PSK-AES128-CBC-SHA PSK-RC4-SHA KRB5-RC4-SHA KRB5-RC4-MD5 \
    KRB5-DES-CBC-SHA KRB5-DES-CBC-MD5 EXP-EDH-RSA-DES-CBC-SHA EXP-EDH-DSS-DES-CBC-SHA EXP-ADH-DES-CBC-SHA \
    EXP-DES-CBC-SHA EXP-RC2-CBC-MD5 EXP-KRB5-RC2-CBC-SHA EXP-KRB5-DES-CBC-SHA EXP-KRB5-RC2-CBC-MD5 \
    EXP-KRB5-DES-CBC-MD5 EXP-ADH-RC4-MD5 EXP-RC4-MD5 EXP-KRB5-RC4-SHA EXP-KRB5-RC4-MD5 \
    ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305";

/// What AWS calls a security policy, ready-made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predefined {
    /// Its name.
    pub name: &'static str,
    protocols: &'static [&'static str],
    /// Lists of ciphers, each separated by blanks.
    ciphers: &'static [&'static str],
    server_order: bool,
}

impl Predefined {
    fn ciphers(&self) -> impl Iterator<Item = &'static str> {
        self.ciphers.iter().flat_map(|list| list.split(' '))
    }
}

const FROM_1_0: &[&str] = &["Protocol-TLSv1", "Protocol-TLSv1.1", TLS_1_2];

/// The eighteen of 2016-08, in its order.
const MODERN: &str = "\
    ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES128-SHA256 ECDHE-RSA-AES128-SHA256 \
    ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES128-SHA ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384 \
    ECDHE-ECDSA-AES256-SHA384 ECDHE-RSA-AES256-SHA384 ECDHE-RSA-AES256-SHA ECDHE-ECDSA-AES256-SHA \
    AES128-GCM-SHA256 AES128-SHA256 AES128-SHA AES256-GCM-SHA384 AES256-SHA256 AES256-SHA";

const ONLY_1_2: &str = "\
    ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES128-SHA256 ECDHE-RSA-AES128-SHA256 \
    ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-AES256-SHA384 ECDHE-RSA-AES256-SHA384 \
    AES128-GCM-SHA256 AES128-SHA256 AES256-GCM-SHA384 AES256-SHA256";

/// What policies of before 2016 have besides.
const DHE: &str = "DHE-RSA-AES128-SHA DHE-DSS-AES128-SHA";
const TRIPLE_DES: &str = "DES-CBC3-SHA";
const RC4: &str = "ECDHE-RSA-RC4-SHA RC4-SHA";

const OF_2011: &str = "\
    DHE-RSA-AES128-SHA AES128-SHA AES256-SHA DHE-DSS-AES128-SHA CAMELLIA128-SHA EDH-RSA-DES-CBC3-SHA \
    DES-CBC3-SHA RC4-SHA";

/// Every predefined policy, in the order in which they are listed.
pub const PREDEFINED: [Predefined; 11] = [
    predefined_as("ELBSecurityPolicy-2016-08", FROM_1_0, &[MODERN]),
    predefined_as("ELBSecurityPolicy-TLS-1-2-2017-01", &[TLS_1_2], &[ONLY_1_2]),
    predefined_as("ELBSecurityPolicy-TLS-1-1-2017-01", &["Protocol-TLSv1.1", TLS_1_2], &[MODERN]),
    predefined_as("ELBSecurityPolicy-2015-05", FROM_1_0, &[MODERN, TRIPLE_DES]),
    predefined_as("ELBSecurityPolicy-2015-03", FROM_1_0, &[MODERN, DHE, TRIPLE_DES]),
    predefined_as("ELBSecurityPolicy-2015-02", FROM_1_0, &[MODERN, DHE]),
    predefined_as("ELBSecurityPolicy-2014-10", FROM_1_0, &[MODERN, DHE, RC4]),
    predefined_as(
        "ELBSecurityPolicy-2014-01",
        &["Protocol-SSLv3", "Protocol-TLSv1", "Protocol-TLSv1.1", TLS_1_2],
        &[MODERN, DHE, RC4],
    ),
    Predefined {
        name: "ELBSecurityPolicy-2011-08",
        protocols: &["Protocol-SSLv3", "Protocol-TLSv1"],
        ciphers: &[OF_2011],
        server_order: false,
    },
    Predefined {
        name: "ELBSample-ELBDefaultNegotiationPolicy",
        protocols: &["Protocol-SSLv3", "Protocol-TLSv1"],
        ciphers: &[OF_2011],
        server_order: false,
    },
    Predefined {
        name: "ELBSample-OpenSSLDefaultNegotiationPolicy",
        protocols: &["Protocol-SSLv3", "Protocol-TLSv1"],
        ciphers: &[OF_2011],
        server_order: false,
    },
];

const fn predefined_as(
    name: &'static str,
    protocols: &'static [&'static str],
    ciphers: &'static [&'static str],
) -> Predefined {
    Predefined { name, protocols, ciphers, server_order: true }
}

/// The predefined policy of that name.
#[must_use]
pub fn predefined(name: &str) -> Option<&'static Predefined> {
    PREDEFINED.iter().find(|known| known.name == name)
}

/// Whether a name begins as only predefined policies' do.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    ["ELBSecurityPolicy-", "ELBSample-"].iter().any(|prefix| name.starts_with(prefix))
}

/// What a listener offers its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The oldest version.
    pub oldest: TlsVersion,
    /// The newest.
    pub newest: TlsVersion,
    /// Ciphers for TLS 1.2, in the balancer's order; those of TLS 1.3 come with the version.
    pub ciphers: Vec<&'static str>,
    /// Whether that order decides, rather than the client's.
    pub server_order: bool,
}

impl Offer {
    /// Everything that may be agreed on, by OpenSSL's names: what TLS 1.3 has, where it is offered, then the rest.
    #[must_use]
    pub fn suites(&self) -> Vec<&'static str> {
        let newest = served(TlsVersion::Tls13).filter(|_| self.newest == TlsVersion::Tls13);
        newest.chain(self.ciphers.iter().copied()).collect()
    }
}

/// The suites of a version that the road has, the most wanted first.
fn served(version: TlsVersion) -> impl Iterator<Item = &'static str> {
    SUITES.iter().filter(move |suite| suite.version == version).map(|suite| suite.name)
}

impl Default for Offer {
    /// What listeners without a policy offer: that of [`DEFAULT`].
    fn default() -> Self {
        offer(&[(REFERENCE.to_owned(), DEFAULT.to_owned())])
    }
}

/// Names of all attributes that are true or false.
pub(super) fn switches() -> impl Iterator<Item = &'static str> {
    PROTOCOLS.into_iter().chain([SERVER_ORDER]).chain(CIPHERS.split(' '))
}

/// Whether something can be offered by what a policy states, or why not.
pub(super) fn check(attributes: &[(String, String)]) -> Result<(), String> {
    if let Some((_, name)) = attributes.iter().find(|(held, _)| held == REFERENCE) {
        return match predefined(name) {
            Some(_) if attributes.len() == 1 => Ok(()),
            Some(_) => Err(format!("{REFERENCE} excludes all other attributes")),
            None => {
                Err(format!("there is no predefined security policy '{}'", name.chars().take(64).collect::<String>()))
            }
        };
    }
    if !PROTOCOLS.into_iter().any(|protocol| is_on(attributes, protocol)) {
        return Err("an SSL negotiation policy needs at least one protocol".into());
    }
    let (old, new) = (is_on(attributes, TLS_1_2), is_on(attributes, TLS_1_3));
    if !old && !new {
        return Err(format!("none of the protocols of this policy is served here: state {TLS_1_2} or {TLS_1_3}"));
    }
    if old && !new && !served(TlsVersion::Tls12).any(|cipher| is_on(attributes, cipher)) {
        return Err(format!(
            "none of the ciphers of this policy is served here: state at least one of {}",
            served(TlsVersion::Tls12).collect::<Vec<_>>().join(", ")
        ));
    }
    Ok(())
}

/// What a policy that passed [`check`] offers.
pub(super) fn offer(attributes: &[(String, String)]) -> Offer {
    let reference = attributes.iter().find(|(held, _)| held == REFERENCE).and_then(|(_, name)| predefined(name));
    if let Some(known) = reference {
        let served: Vec<&'static str> =
            known.ciphers().filter(|c| served(TlsVersion::Tls12).any(|served| served == *c)).collect();
        // The oldest have none that is safe to serve: their clients get what is.
        let ciphers = if served.is_empty() { self::served(TlsVersion::Tls12).collect() } else { served };
        return Offer {
            oldest: TlsVersion::Tls12,
            newest: TlsVersion::Tls13,
            ciphers,
            server_order: known.server_order,
        };
    }
    let ciphers: Vec<&'static str> = served(TlsVersion::Tls12).filter(|cipher| is_on(attributes, cipher)).collect();
    let old = is_on(attributes, TLS_1_2) && !ciphers.is_empty();
    Offer {
        oldest: if old { TlsVersion::Tls12 } else { TlsVersion::Tls13 },
        newest: if is_on(attributes, TLS_1_3) { TlsVersion::Tls13 } else { TlsVersion::Tls12 },
        ciphers: if old { ciphers } else { Vec::new() },
        server_order: is_on(attributes, SERVER_ORDER),
    }
}

/// Each switch and whether it is on, then what is really served.
pub(super) fn described(attributes: &[(String, String)]) -> Vec<(String, String)> {
    let reference = attributes.iter().find(|(held, _)| held == REFERENCE);
    let known = reference.and_then(|(_, name)| predefined(name));
    let on = |switch: &str| match known {
        Some(known) if switch == SERVER_ORDER => known.server_order,
        Some(known) => known.protocols.contains(&switch) || known.ciphers().any(|cipher| cipher == switch),
        None => is_on(attributes, switch),
    };
    let offered = offer(attributes);
    let protocols = match (offered.oldest, offered.newest) {
        (TlsVersion::Tls12, TlsVersion::Tls12) => "TLSv1.2",
        (TlsVersion::Tls12, TlsVersion::Tls13) => "TLSv1.2,TLSv1.3",
        (TlsVersion::Tls13, _) => "TLSv1.3",
    };
    let effective = [(EFFECTIVE_PROTOCOLS, protocols.to_owned()), (EFFECTIVE_CIPHERS, offered.suites().join(","))];
    reference
        .cloned()
        .into_iter()
        .chain(switches().map(|switch| (switch.to_owned(), on(switch).to_string())))
        .chain(effective.map(|(name, value)| (name.to_owned(), value)))
        .collect()
}

fn is_on(attributes: &[(String, String)], switch: &str) -> bool {
    attributes.iter().any(|(name, value)| name == switch && value == "true")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn on(switches: &[&str]) -> Vec<(String, String)> {
        switches.iter().map(|switch| ((*switch).to_owned(), "true".to_owned())).collect()
    }

    #[test]
    fn the_table_is_in_itself_sound() {
        let all: BTreeSet<&str> = switches().collect();
        assert_eq!(all.len(), switches().count(), "a switch stands there twice");
        for known in PREDEFINED {
            assert!(is_reserved(known.name));
            for switch in known.protocols.iter().copied().chain(known.ciphers()) {
                assert!(all.contains(switch), "{}: {switch}", known.name);
            }
        }
        assert!(served(TlsVersion::Tls12).all(|cipher| all.contains(cipher)));
        assert!(predefined(DEFAULT).is_some() && predefined("ELBSecurityPolicy-2099-01").is_none());
    }

    #[test]
    fn what_is_offered_is_what_is_asked_for_and_served() {
        let check = |switches: &[&str], wanted: Result<(TlsVersion, TlsVersion, usize), &str>| {
            let attributes = on(switches);
            match (check(&attributes), wanted) {
                (Ok(()), Ok(wanted)) => {
                    let got = offer(&attributes);
                    assert_eq!((got.oldest, got.newest, got.ciphers.len()), wanted, "{switches:?}");
                }
                (Err(why), Err(words)) => assert!(why.contains(words), "{switches:?}: {why}"),
                (got, wanted) => panic!("{switches:?}: {got:?}, not {wanted:?}"),
            }
        };
        let (old, new) = (TlsVersion::Tls12, TlsVersion::Tls13);
        let [one, two] = ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"];
        check(&[TLS_1_2, one, "AES128-SHA"], Ok((old, old, 1)));
        check(&[TLS_1_2, TLS_1_3, one, two], Ok((old, new, 2)));
        check(&[TLS_1_3, one], Ok((new, new, 0)));
        // Nothing is left of TLS 1.2 without a cipher.
        check(&[TLS_1_2, TLS_1_3, "AES128-SHA"], Ok((new, new, 0)));
        check(&["AES128-SHA"], Err("at least one protocol"));
        check(&["Protocol-TLSv1", "AES128-SHA"], Err("none of the protocols"));
        check(&[TLS_1_2, "AES128-SHA"], Err("none of the ciphers"));
        check(&[TLS_1_2], Err("none of the ciphers"));
    }

    #[test]
    fn a_predefined_policy_is_described_as_aws_does_with_what_is_served_besides() {
        let attributes = [(REFERENCE.to_owned(), DEFAULT.to_owned())];
        let all = described(&attributes);
        let value = |name: &str| all.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str());
        assert_eq!(value(REFERENCE), Some(DEFAULT));
        assert_eq!(value("Protocol-TLSv1"), Some("true"));
        assert_eq!(value("Protocol-SSLv3"), Some("false"));
        assert_eq!(value(SERVER_ORDER), Some("true"));
        assert_eq!(value("AES256-SHA"), Some("true"));
        assert_eq!(value("DES-CBC3-SHA"), Some("false"));
        assert_eq!(value(EFFECTIVE_PROTOCOLS), Some("TLSv1.2,TLSv1.3"));
        assert!(value(EFFECTIVE_CIPHERS).unwrap().ends_with("ECDHE-RSA-AES256-GCM-SHA384"));
        let oldest = [(REFERENCE.to_owned(), "ELBSecurityPolicy-2011-08".to_owned())];
        assert_eq!(offer(&oldest).ciphers, served(TlsVersion::Tls12).collect::<Vec<_>>());
        assert!(!offer(&oldest).server_order);
        let both = [attributes[0].clone(), on(&[TLS_1_2])[0].clone()];
        assert!(super::check(&both).unwrap_err().contains("excludes"));
    }
}
