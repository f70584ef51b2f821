//! What TLS suites and versions are called in logs, and why a handshake failed.
//!
//! Owns the names, which are OpenSSL's, as AWS's access logs have them. Must never be asked while bytes move: it is for
//! connections that are over.

use rustls::{CipherSuite, Error, PeerIncompatible, ProtocolVersion};

/// The suite's name; `-` for one that the road does not speak.
pub(crate) fn cipher(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => "-",
    }
}

/// The version's name; `-` for one that the road does not speak.
pub(crate) fn protocol(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        _ => "-",
    }
}

/// What the two ends of a handshake that failed do not have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// A version.
    Version,
    /// A suite, a group or a way to sign.
    Suite,
    /// A protocol to speak inside (ALPN).
    Protocol,
    /// Belief in the certificate that was shown.
    Trust,
}

impl Mismatch {
    /// Of the library's error; `None` where it is anything else, a connection that broke or junk.
    pub(crate) fn of(error: &Error) -> Option<Self> {
        use PeerIncompatible as Why;
        Some(match error {
            Error::InvalidCertificate(_) => Self::Trust,
            Error::NoApplicationProtocol => Self::Protocol,
            Error::PeerIncompatible(
                Why::NoCipherSuitesInCommon
                | Why::NoKxGroupsInCommon
                | Why::NoSignatureSchemesInCommon
                | Why::NoEcPointFormatsInCommon,
            ) => Self::Suite,
            Error::PeerIncompatible(
                Why::Tls12NotOffered
                | Why::Tls12NotOfferedOrEnabled
                | Why::SupportedVersionsExtensionRequired
                | Why::ServerDoesNotSupportTls12Or13
                | Why::ServerTlsVersionIsDisabledByOurConfig,
            ) => Self::Version,
            _ => return None,
        })
    }

    /// Said of a client; "it" is the listener.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Version => "the client offers no version that it speaks",
            Self::Suite => "the client offers no cipher, group or signature that it has",
            Self::Protocol => "the client offers no protocol that it speaks",
            Self::Trust => "the certificate is not believed",
        }
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_core::routes::{KeyKind, SUITES, TlsVersion};
    use rustls::SignatureAlgorithm;

    use super::*;

    #[test]
    fn everything_that_the_road_speaks_has_a_name() {
        let suites = &crate::tls::provider().cipher_suites;
        let names: std::collections::BTreeSet<_> = suites.iter().map(|suite| cipher(suite.suite())).collect();
        assert!(names.len() == suites.len() && !names.contains("-"), "{names:?}");
        // In the order of the table that everybody else reads, and with what it says of each.
        assert!(suites.iter().map(|suite| cipher(suite.suite())).eq(SUITES.iter().map(|suite| suite.name)));
        for (suite, known) in suites.iter().zip(&SUITES) {
            let of_1_3 = suite.version() == &rustls::version::TLS13;
            assert_eq!(of_1_3, known.version == TlsVersion::Tls13, "{}", known.name);
            let fits = |kind, algorithm| known.fits(kind) == suite.usable_for_signature_algorithm(algorithm);
            assert!(fits(KeyKind::Rsa, SignatureAlgorithm::RSA), "{}", known.name);
            assert!(fits(KeyKind::Ecdsa, SignatureAlgorithm::ECDSA), "{}", known.name);
            assert!(fits(KeyKind::Ecdsa, SignatureAlgorithm::ED25519), "{}", known.name);
        }
        assert!(rustls::ALL_VERSIONS.iter().all(|version| protocol(version.version) != "-"));
    }
}
