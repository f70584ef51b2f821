//! What a certificate says of itself: its names, and from when until when it is valid.
//!
//! Owns as much of DER (X.690) and X.509 (RFC 5280 §4) as that takes. Must never decide whether a certificate is to be
//! believed: rustls does, and only for those of instances. Nothing in a certificate makes it panic.

/// What is read from a certificate.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// DNS names of its subject; `*.` may begin one.
    pub(super) names: Vec<String>,
    /// Seconds since 1970; `None` when not understood.
    pub(super) not_before: Option<u64>,
    /// Seconds since 1970; `None` when not understood.
    pub(super) not_after: Option<u64>,
}

const SEQUENCE: u8 = 0x30;
const OID: u8 = 0x06;
const BITS: u8 = 0x03;
const OCTETS: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const GENERAL_TIME: u8 = 0x18;
/// `[0]` of TBSCertificate: its version.
const VERSION: u8 = 0xa0;
/// `[3]` of TBSCertificate: its extensions.
const EXTENSIONS: u8 = 0xa3;
/// `[2]` of GeneralName: a DNS name.
const DNS_NAME: u8 = 0x82;
/// 2.5.29.17, subjectAltName.
const ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

/// `None` when it is no certificate.
pub(super) fn facts(certificate: &[u8]) -> Option<Facts> {
    let mut body = after_issuer(certificate)?;
    let mut validity = take(SEQUENCE, &mut body)?;
    let mut facts = Facts { not_before: time(any(&mut validity)?), ..Facts::default() };
    facts.not_after = time(any(&mut validity)?);
    // Subject, its key, and two identifiers nobody uses.
    while let Some((tag, content)) = any(&mut body) {
        if tag == EXTENSIONS {
            facts.names = names(content).unwrap_or_default();
        }
    }
    Some(facts)
}

/// A certificate's public key as it stands there: a SubjectPublicKeyInfo, whole. `None` when it is no certificate.
pub(super) fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    let mut body = after_issuer(certificate)?;
    // Validity, subject.
    for _ in 0..2 {
        any(&mut body)?;
    }
    whole(SEQUENCE, body)
}

/// The parts of a public key: the identifier of its algorithm, without its own tag, and its bits.
pub(super) fn key_parts(public_key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut parts, rest) = of(SEQUENCE, public_key)?;
    let algorithm = take(SEQUENCE, &mut parts)?;
    // No bit of its last byte is unused.
    let bits = take(BITS, &mut parts)?.strip_prefix(&[0])?;
    (rest.is_empty() && parts.is_empty()).then_some((algorithm, bits))
}

/// What follows a certificate's issuer.
fn after_issuer(certificate: &[u8]) -> Option<&[u8]> {
    let (mut whole, _) = of(SEQUENCE, certificate)?;
    let mut body = take(SEQUENCE, &mut whole)?;
    if body.first() == Some(&VERSION) {
        take(VERSION, &mut body)?;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        any(&mut body)?;
    }
    Some(body)
}

/// The element that begins here, its tag and length included.
fn whole(wanted: u8, bytes: &[u8]) -> Option<&[u8]> {
    let (_, rest) = of(wanted, bytes)?;
    bytes.get(..bytes.len() - rest.len())
}

fn names(content: &[u8]) -> Option<Vec<String>> {
    let (mut extensions, _) = of(SEQUENCE, content)?;
    while let Some((_, mut extension)) = any(&mut extensions) {
        if take(OID, &mut extension)? != ALT_NAME {
            continue;
        }
        // It may be marked critical.
        let value = loop {
            match any(&mut extension)? {
                (OCTETS, value) => break value,
                _ => continue,
            }
        };
        let (mut list, _) = of(SEQUENCE, value)?;
        let mut names = Vec::new();
        while let Some((tag, name)) = any(&mut list) {
            if tag == DNS_NAME
                && let Ok(name) = std::str::from_utf8(name)
            {
                names.push(name.to_owned());
            }
        }
        return Some(names);
    }
    None
}

/// The next element: its tag and its content.
fn any<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 3 {
            return None;
        }
        length = rest.get(..count)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        rest = &rest[count..];
    }
    let content = rest.get(..length)?;
    *bytes = &rest[length..];
    Some((tag, content))
}

fn take<'a>(wanted: u8, bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    any(bytes).filter(|(tag, _)| *tag == wanted).map(|(_, content)| content)
}

fn of(wanted: u8, mut bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let content = take(wanted, &mut bytes)?;
    Some((content, bytes))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280 §4.1.2.5).
fn time((tag, text): (u8, &[u8])) -> Option<u64> {
    let digits = text.strip_suffix(b"Z")?;
    let number = |at: std::ops::Range<usize>| {
        digits.get(at)?.iter().try_fold(0u64, |sum, c| c.is_ascii_digit().then(|| sum * 10 + u64::from(c - b'0')))
    };
    let (year, at) = match tag {
        UTC_TIME => (number(0..2).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?, 2),
        GENERAL_TIME => (number(0..4)?, 4),
        _ => return None,
    };
    let part = |n: usize| number(at + 2 * n..at + 2 * n + 2);
    let (month, day, hour, minute, second) = (part(0)?, part(1)?, part(2)?, part(3)?, part(4)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970-01-01, with years that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    Some(days.checked_sub(719_468)? * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(time((UTC_TIME, b"700101000000Z")), Some(0));
        assert_eq!(time((UTC_TIME, b"491231235959Z")), Some(2_524_607_999));
        assert_eq!(time((GENERAL_TIME, b"20000229120000Z")), Some(951_825_600));
        for bad in [&b""[..], b"Z", b"7001010000Z", b"70010100000xZ", b"701301000000Z", b"700101000000"] {
            assert_eq!(time((UTC_TIME, bad)), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn a_certificate_tells_its_names_and_times() {
        let names = ["a.example".to_owned(), "*.b.example".to_owned()];
        let made = rcgen::generate_simple_self_signed(names.clone()).unwrap();
        let facts = facts(made.cert.der()).unwrap();
        assert_eq!(facts.names, names);
        assert!(facts.not_before < facts.not_after && facts.not_before.is_some());
    }

    #[test]
    fn a_certificate_tells_its_public_key() {
        use rcgen::PublicKeyData as _;
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let key = made.signing_key.subject_public_key_info();
        assert_eq!(public_key(made.cert.der()), Some(key.as_slice()));
        let (_, bits) = key_parts(&key).unwrap();
        assert_eq!(bits, made.signing_key.public_key_raw());
        assert_eq!(key_parts(&[&key[..], b"x"].concat()), None);
        assert_eq!(key_parts(made.cert.der()), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, at: u16, byte: u8) {
            facts(&bytes);
            public_key(&bytes);
            key_parts(&bytes);
            let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
            let mut spoiled = made.cert.der().to_vec();
            let at = usize::from(at) % spoiled.len();
            spoiled[at] = byte;
            facts(&spoiled);
            facts(&spoiled[..at]);
            public_key(&spoiled).and_then(key_parts);
            public_key(&spoiled[..at]);
        }
    }
}
