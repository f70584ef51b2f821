//! Ids that nobody can guess or meet twice. Must never be used for what has to come out the same.

use aws_lc_rs::rand;
use thiserror::Error;

/// Digits of a new id after its prefix, as EC2 has it since 2016.
const ID_DIGITS: usize = 17;

/// The system gives no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the system's random number generator failed")]
pub struct NoDice;

/// Random bytes.
///
/// # Errors
/// Where the system gives none.
pub fn bytes<const N: usize>() -> Result<[u8; N], NoDice> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| NoDice)?;
    Ok(bytes)
}

/// A new id: `prefix` and 17 hexadecimal digits.
///
/// # Errors
/// As [`bytes()`].
pub fn id(prefix: &str) -> Result<String, NoDice> {
    let mut hex = hex(&bytes::<9>()?);
    hex.truncate(ID_DIGITS);
    Ok(format!("{prefix}{hex}"))
}

/// A version 4 UUID (RFC 9562).
///
/// # Errors
/// As [`bytes()`].
pub fn uuid() -> Result<String, NoDice> {
    bytes::<16>().map(as_uuid)
}

/// These bytes as a version 4 UUID.
#[must_use]
pub fn as_uuid(mut b: [u8; 16]) -> String {
    b[6] = b[6] & 0x0f | 0x40;
    b[8] = b[8] & 0x3f | 0x80;
    let hex = hex(&b);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// In lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
