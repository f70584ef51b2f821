//! The cipher suites that the road can speak, by the names that people and AWS's policies use: OpenSSL's.
//!
//! Owns the table and what of it remains under a listener's settings, so that whoever shows an offer shows what is really
//! served. Must never speak TLS: the road does, and a test there holds it to this table.

use super::{TlsFront, TlsVersion};

/// The kind of a certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// RSA.
    Rsa,
    /// ECDSA; Ed25519 keys are used with the same suites (RFC 8422 §5.1.1).
    Ecdsa,
}

/// One suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    /// OpenSSL's name, as AWS's policies and access logs have it.
    pub name: &'static str,
    /// The version of TLS it belongs to: suites of 1.2 are none of 1.3, and the other way round.
    pub version: TlsVersion,
    /// The kind of key that the certificate must have. `None` in TLS 1.3, where the suite does not say.
    pub key: Option<KeyKind>,
}

impl Suite {
    const fn new(name: &'static str, key: KeyKind) -> Self {
        Self { name, version: TlsVersion::Tls12, key: Some(key) }
    }

    const fn of_1_3(name: &'static str) -> Self {
        Self { name, version: TlsVersion::Tls13, key: None }
    }

    /// Whether a certificate whose key is of that kind can be shown with it.
    #[must_use]
    pub fn fits(&self, key: KeyKind) -> bool {
        self.key.is_none_or(|needed| needed == key)
    }
}

/// Every suite that the road has, the most wanted first.
pub const SUITES: [Suite; 9] = [
    Suite::of_1_3("TLS_AES_128_GCM_SHA256"),
    Suite::of_1_3("TLS_AES_256_GCM_SHA384"),
    Suite::of_1_3("TLS_CHACHA20_POLY1305_SHA256"),
    Suite::new("ECDHE-ECDSA-AES128-GCM-SHA256", KeyKind::Ecdsa),
    Suite::new("ECDHE-RSA-AES128-GCM-SHA256", KeyKind::Rsa),
    Suite::new("ECDHE-ECDSA-AES256-GCM-SHA384", KeyKind::Ecdsa),
    Suite::new("ECDHE-RSA-AES256-GCM-SHA384", KeyKind::Rsa),
    Suite::new("ECDHE-ECDSA-CHACHA20-POLY1305", KeyKind::Ecdsa),
    Suite::new("ECDHE-RSA-CHACHA20-POLY1305", KeyKind::Rsa),
];

/// The suite of that name, if the road has it.
#[must_use]
pub fn suite(name: &str) -> Option<&'static Suite> {
    SUITES.iter().find(|suite| suite.name == name)
}

impl TlsFront {
    /// The suites that are really offered, in the listener's order: of those that are listed (or all) the ones that the
    /// road has, each once, whose version is neither too old nor too new. Whether a certificate fits is not looked at.
    pub fn suites(&self) -> impl Iterator<Item = &'static Suite> + '_ {
        let listed = self.ciphers.as_deref();
        let all = SUITES.iter().filter(move |_| listed.is_none());
        let listed = listed.unwrap_or_default();
        let chosen = listed.iter().enumerate().filter_map(move |(at, name)| {
            let again = listed.get(..at).is_some_and(|before| before.contains(name));
            suite(name).filter(|_| !again)
        });
        all.chain(chosen).filter(|suite| (self.oldest..=self.newest).contains(&suite.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_remains_is_what_both_know_in_the_order_stated() {
        let check = |ciphers: Option<&[&str]>, oldest, newest, wanted: &[&str]| {
            let ciphers = ciphers.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
            let front = TlsFront { oldest, newest, ciphers, ..TlsFront::default() };
            assert_eq!(front.suites().map(|suite| suite.name).collect::<Vec<_>>(), wanted, "{front:?}");
        };
        let (old, new) = (TlsVersion::Tls12, TlsVersion::Tls13);
        let names: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
        check(None, old, new, &names);
        check(None, new, new, &names[..3]);
        check(None, old, old, &names[3..]);
        let listed =
            ["ECDHE-RSA-AES256-GCM-SHA384", "RC4-MD5", "TLS_AES_256_GCM_SHA384", "ECDHE-RSA-AES128-GCM-SHA256"];
        check(Some(&listed), old, new, &[listed[0], listed[2], listed[3]]);
        check(Some(&listed), new, new, &[listed[2]]);
        check(Some(&[listed[0], listed[0]]), old, new, &[listed[0]]);
        check(Some(&["RC4-MD5", ""]), old, new, &[]);
        check(Some(&[]), old, new, &[]);
        // Nothing is between the two.
        check(None, new, old, &[]);
    }

    #[test]
    fn keys_fit_their_suites() {
        let fits = |name: &str, key| suite(name).unwrap().fits(key);
        assert!(fits("ECDHE-RSA-AES128-GCM-SHA256", KeyKind::Rsa));
        assert!(!fits("ECDHE-RSA-AES128-GCM-SHA256", KeyKind::Ecdsa));
        assert!(fits("TLS_AES_128_GCM_SHA256", KeyKind::Rsa) && fits("TLS_AES_128_GCM_SHA256", KeyKind::Ecdsa));
    }
}
