//! Trailers: fields after a body.
//!
//! Owns which of them may cross. Must never let one through that whoever merges trailers into the head would take for
//! something that head decided: framing, routing, credentials, conditions, or what the balancer itself says. Source: RFC
//! 9110 §6.5.1.

use super::field::{Fields, Name};

/// Fields that may not be trailers, or that say something which must be known before a body: with those of
/// [`Name`] other than [`Name::Other`], which the road acts on or removes, all of them.
const FORBIDDEN: [&str; 35] = [
    "accept-ranges",
    "age",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expires",
    "forwarded",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "range",
    "retry-after",
    "set-cookie",
    "trailer",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-amzn-trace-id",
    "x-forwarded-host",
    "x-forwarded-scheme",
    "x-http-method-override",
    "x-real-ip",
];

/// Appends those of `lines` that may cross, as the road writes fields. Lines are as [`super::BodyReader`] gave them, each
/// with its end; with what cannot be read, nothing is appended.
pub fn keep(lines: &[u8], out: &mut Vec<u8>) {
    if lines.is_empty() {
        return;
    }
    let mut block = Vec::with_capacity(lines.len() + 2);
    block.extend_from_slice(lines);
    block.extend_from_slice(b"\r\n");
    let Ok(fields) = Fields::read(&block, 0, block.len()) else { return };
    for field in fields.iter().filter(|field| field.kind == Name::Other) {
        let name = field.name.of(&block);
        if !FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden.as_bytes())) {
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(field.value.of(&block));
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_follow_a_body_crosses() {
        let check = |lines: &str, out: &str| {
            let mut kept = Vec::new();
            keep(lines.as_bytes(), &mut kept);
            assert_eq!(String::from_utf8(kept).unwrap(), out, "{lines:?}");
        };
        check("", "");
        check("grpc-status: 0\r\ngrpc-message:\r\n", "grpc-status: 0\r\ngrpc-message: \r\n");
        check("X-Sum:\t1 2 \r\n", "X-Sum: 1 2\r\n");
        for name in [
            "Content-Length",
            "Transfer-Encoding",
            "Host",
            "Connection",
            "TE",
            "Trailer",
            "Upgrade",
            "Keep-Alive",
            "Expect",
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "X-Forwarded-Port",
            "Forwarded",
            "Authorization",
            "Cookie",
            "Set-Cookie",
            "Content-Type",
            "Content-Encoding",
            "Cache-Control",
            "If-Match",
            "Range",
            "Content_Length",
            "X-Amzn-Trace-Id",
        ] {
            check(&format!("{name}: 1\r\na: b\r\n"), "a: b\r\n");
            check(&format!("{}: 1\r\n", name.to_ascii_lowercase()), "");
        }
    }
}
