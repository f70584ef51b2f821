//! The API's dice: the house's ([`crate::dice`]), with AWS's error where there are none.

use evenkeel_aws::Error;

pub(super) use crate::dice::hex;
use crate::dice::{self, NoDice};

/// A new id: `prefix` and 17 hexadecimal digits.
pub(super) fn id(prefix: &str) -> Result<String, Error> {
    dice::id(prefix).map_err(failed)
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

/// A request's id: a UUID.
pub(super) fn request_id() -> String {
    // Without dice a request can still be answered; its id is then the nil UUID, all but.
    dice::as_uuid(dice::bytes().unwrap_or_default())
}

/// A new UUID.
pub(super) fn uuid() -> Result<String, Error> {
    dice::uuid().map_err(failed)
}

fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    dice::bytes().map_err(failed)
}

fn failed(no: NoDice) -> Error {
    Error::receiver("InternalFailure", format!("The request was not carried out: {no}"))
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
