//! The API's dice: ids that nobody can guess or meet twice. Must never be used for what has to come out the same.

use aws_lc_rs::rand;
use evenkeel_aws::Error;

/// Digits of a new id after its prefix, as EC2 has it since 2016.
const ID_DIGITS: usize = 17;

/// A new id: `prefix` and 17 hexadecimal digits.
pub(super) fn id(prefix: &str) -> Result<String, Error> {
    let mut hex = hex(&bytes::<9>()?);
    hex.truncate(ID_DIGITS);
    Ok(format!("{prefix}{hex}"))
}

/// The number in a balancer's DNS name: 8 to 10 digits.
pub(super) fn dns_number() -> Result<u32, Error> {
    const LEAST: u32 = 10_000_000;
    let number = u32::from_be_bytes(bytes::<4>()?);
    Ok(if number < LEAST { number + LEAST } else { number })
}

/// An id of IAM's: four letters for the kind (`ASCA` a server certificate, `AIDA` a user, `ANPA` a policy) and 17 of base 32.
pub(super) fn identity_id(kind: &str) -> Result<String, Error> {
    const BASE_32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let letters: String = bytes::<17>()?.iter().map(|b| char::from(BASE_32[usize::from(b & 31)])).collect();
    Ok(format!("{kind}{letters}"))
}

/// What confirms a subscription: 256 bits, in hex.
pub(super) fn token() -> Result<String, Error> {
    Ok(hex(&bytes::<32>()?))
}

/// A request's id: a version 4 UUID (RFC 9562).
pub(super) fn request_id() -> String {
    // Without dice a request can still be answered; its id is then the nil UUID.
    let mut b = bytes::<16>().unwrap_or_default();
    b[6] = b[6] & 0x0f | 0x40;
    b[8] = b[8] & 0x3f | 0x80;
    let hex = hex(&b);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes)
        .map_err(|_| Error::receiver("InternalFailure", "The system's random number generator failed"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_awss_form() {
        for _ in 0..100 {
            let id = id("i-").unwrap();
            assert!(evenkeel_core::name::InstanceId::new(&id).is_ok(), "{id}");
            assert!((8..=10).contains(&dns_number().unwrap().to_string().len()));
        }
        let uuid = request_id();
        assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"), "{uuid}");
        assert_ne!(uuid, request_id());
    }
}
