//! Cookies, as far as sticky sessions need them: what a client shows, what an instance sets, and the balancer's own.
//!
//! Owns the spelling of `AWSELB` (Elastic Load Balancing user guide, "Configure sticky sessions for your Classic Load
//! Balancer"). Must never decide who sticks to whom: [`crate::request`] and its driver do. What a value means is not
//! read here either; it is compared.

use std::time::Duration;

use super::emit::decimal;
use super::field::Fields;

/// The balancer's cookie, and the one beside it for pages of other sites (CORS).
const OWN: [&str; 2] = ["AWSELB", "AWSELBCORS"];

/// What of the application's cookie the balancer's takes over.
const TAKEN_OVER: [&[u8]; 12] = [
    b"path",
    b"port",
    b"domain",
    b"secure",
    b"httponly",
    b"discard",
    b"max-age",
    b"expires",
    b"version",
    b"comment",
    b"commenturl",
    b"samesite",
];

/// What the client shows of the balancer's cookie.
#[must_use]
pub fn own<'a>(bytes: &'a [u8], fields: &Fields) -> Option<&'a [u8]> {
    OWN.iter().find_map(|name| shown(bytes, fields, name))
}

/// The value of a cookie that the client shows; of several, the one it names first (RFC 6265 §5.4).
#[must_use]
pub fn shown<'a>(bytes: &'a [u8], fields: &Fields, name: &str) -> Option<&'a [u8]> {
    let all = fields.iter().filter(|field| field.name.of(bytes).eq_ignore_ascii_case(b"cookie"));
    all.flat_map(|field| field.value.of(bytes).split(|byte| *byte == b';'))
        .find_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// The attributes with which an answer sets a cookie; of several, those of the last. One that ends in `;` does not count.
#[must_use]
pub fn set_anew<'a>(bytes: &'a [u8], fields: &Fields, name: &str) -> Option<&'a [u8]> {
    let sets = |field: &super::field::Field| {
        let value = field.value.of(bytes);
        let rest = value.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        let end = rest.iter().position(|byte| *byte == b';').unwrap_or(rest.len());
        (!value.ends_with(b";")).then_some(&rest[end..])
    };
    let all = fields.iter().filter(|field| field.name.of(bytes).eq_ignore_ascii_case(b"set-cookie"));
    all.filter_map(sets).last()
}

/// Appends the field lines that make a client stick to `tag`: for `period`, or until its browser closes.
pub fn for_a_while(tag: &[u8], period: Option<Duration>, out: &mut Vec<u8>) {
    write(tag, out, |out| {
        out.extend_from_slice(b";PATH=/");
        if let Some(period) = period {
            out.extend_from_slice(b";MAX-AGE=");
            decimal(period.as_secs(), out);
        }
    });
}

/// Appends the field lines that make a client stick to `tag` for as long as it keeps the application's cookie, whose
/// `attributes` these are.
pub fn as_the_application(tag: &[u8], attributes: &[u8], out: &mut Vec<u8>) {
    write(tag, out, |out| {
        for attribute in attributes.split(|byte| *byte == b';').map(<[u8]>::trim_ascii) {
            let name = attribute.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
            if !TAKEN_OVER.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                continue;
            }
            out.push(b';');
            for byte in attribute {
                match byte {
                    b'_' if name.eq_ignore_ascii_case(b"path") => out.extend_from_slice(b"%5F"),
                    byte => out.push(*byte),
                }
            }
        }
    });
}

/// Both of the balancer's cookies with these attributes, and the word that keeps them out of caches.
fn write(tag: &[u8], out: &mut Vec<u8>, attributes: impl Fn(&mut Vec<u8>)) {
    for name in OWN {
        out.extend_from_slice(b"Set-Cookie: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(tag);
        if name == OWN[0] {
            attributes(out);
        } else {
            let mut all = Vec::new();
            attributes(&mut all);
            for attribute in all.split(|byte| *byte == b';').filter(|attribute| !attribute.is_empty()) {
                let says = |name: &[u8]| attribute.get(..name.len()).is_some_and(|a| a.eq_ignore_ascii_case(name));
                if !says(b"secure") && !says(b"samesite") {
                    out.push(b';');
                    out.extend_from_slice(attribute);
                }
            }
            out.extend_from_slice(b";SECURE;SAMESITE=None");
        }
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Cache-control: no-cache=\"set-cookie\"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Parsed, RequestHead, ResponseHead, Scanner};

    fn request(fields: &str) -> (Vec<u8>, RequestHead) {
        let wire = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes();
        match RequestHead::read(&wire, &mut Scanner::default()) {
            Parsed::Head(head) => (wire, head),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_client_shows_what_it_names_first() {
        let check = |fields: &str, wanted: Option<&str>| {
            let (wire, head) = request(fields);
            assert_eq!(own(&wire, &head.fields), wanted.map(str::as_bytes), "{fields}");
        };
        check("Cookie: a=1; AWSELB=X; AWSELB=Y\r\n", Some("X"));
        check("cookie: AWSELBCORS=Z\r\n", Some("Z"));
        check("Cookie: AWSELBCORS=Z; AWSELB=X\r\n", Some("X"));
        check("Cookie: a=1\r\nCookie: AWSELB=X\r\n", Some("X"));
        check("Cookie: xAWSELB=X; awselb=Y; AWSELB\r\n", None);
        check("X-Cookie: AWSELB=X\r\n", None);
        check("Cookie: AWSELB=;\r\n", Some(""));
    }

    #[test]
    fn an_instance_sets_a_cookie_unless_a_semicolon_ends_it() {
        let check = |fields: &str, wanted: Option<&str>| {
            let wire = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n").into_bytes();
            let head = ResponseHead::read(&wire, &mut Scanner::default(), false).unwrap().unwrap();
            assert_eq!(set_anew(&wire, &head.fields, "SID"), wanted.map(str::as_bytes), "{fields}");
        };
        check("Set-Cookie: SID=1; Path=/a\r\n", Some("; Path=/a"));
        check("set-cookie: SID=1\r\n", Some(""));
        check("Set-Cookie: SID=1; Path=/a;\r\n", None);
        check("Set-Cookie: SID=1; A\r\nSet-Cookie: SIDE=2\r\nSet-Cookie: SID=3; B\r\n", Some("; B"));
        check("Set-Cookie: sid=1\r\n", None);
    }

    #[test]
    fn the_lines_are_spelled_as_elastic_load_balancing_spells_them() {
        let spelled = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            spelled(&|out| for_a_while(b"AB", Some(Duration::from_secs(60)), out)),
            "Set-Cookie: AWSELB=AB;PATH=/;MAX-AGE=60\r\n\
             Set-Cookie: AWSELBCORS=AB;PATH=/;MAX-AGE=60;SECURE;SAMESITE=None\r\n\
             Cache-control: no-cache=\"set-cookie\"\r\n"
        );
        assert!(spelled(&|out| for_a_while(b"AB", None, out)).starts_with("Set-Cookie: AWSELB=AB;PATH=/\r\n"));
        assert_eq!(
            spelled(&|out| as_the_application(
                b"AB",
                b"; Path=/a_b; Max-Age=5; Secure; HttpOnly; X=y; SameSite=Lax",
                out
            )),
            "Set-Cookie: AWSELB=AB;Path=/a%5Fb;Max-Age=5;Secure;HttpOnly;SameSite=Lax\r\n\
             Set-Cookie: AWSELBCORS=AB;Path=/a%5Fb;Max-Age=5;HttpOnly;SECURE;SAMESITE=None\r\n\
             Cache-control: no-cache=\"set-cookie\"\r\n"
        );
    }
}
