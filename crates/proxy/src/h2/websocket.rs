//! WebSocket over HTTP/2 (RFC 8441), for instances that know it as HTTP/1.1 has it (RFC 6455).
//!
//! Owns the key that HTTP/1.1 wants and HTTP/2 has not, and what an instance has to make of it: there the road is the client.
//! Must never carry on a key of the client's own. What becomes of an instance that answers another one:
//! `request/switch.rs`.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::proto::ResponseHead;
use crate::proto::field::Fields;

/// What `Sec-WebSocket-Key` is answered with (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Whether a field belongs to the handshake of HTTP/1.1, which HTTP/2 has not (RFC 8441 §5).
pub(super) fn is_of_http1(name: &[u8]) -> bool {
    [&b"sec-websocket-key"[..], b"sec-websocket-accept"].iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// A value for `Sec-WebSocket-Key`; nothing without randomness.
pub(super) fn key() -> Option<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(STANDARD.encode(bytes))
}

/// What `Sec-WebSocket-Accept` has to be for a request that asks with a key.
pub(crate) fn wanted(bytes: &[u8], fields: &Fields) -> Option<String> {
    let is_key = |name: &[u8]| name.eq_ignore_ascii_case(b"sec-websocket-key");
    fields.iter().find(|field| is_key(field.name.of(bytes))).map(|field| accept(field.value.of(bytes)))
}

fn accept(key: &[u8]) -> String {
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(key);
    digest.update(GUID);
    STANDARD.encode(digest.finish())
}

/// Whether an instance's 101 answers the key.
pub(crate) fn is_accepted(bytes: &[u8], head: &ResponseHead, accept: &str) -> bool {
    let said = |name: &[u8]| name.eq_ignore_ascii_case(b"sec-websocket-accept");
    let mut all = head.fields.iter().filter(|field| said(field.name.of(bytes)));
    all.next().is_some_and(|field| field.value.of(bytes) == accept.as_bytes()) && all.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_answered_as_the_standard_shows() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let (one, other) = (key().unwrap(), key().unwrap());
        assert!(one != other && one.len() == 24 && one.ends_with("=="), "{one} {other}");
    }
}
