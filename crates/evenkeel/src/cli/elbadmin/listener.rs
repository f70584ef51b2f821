//! What `-l` takes: `in,out,proto[,certificate]`.
//!
//! Checks the grammar only; which ports and protocols are good is the daemon's to say. Next: [`super`].

use evenkeel_aws::elb::Listener;

/// The grammar, for hints.
pub const GRAMMAR: &str =
    "a listener is IN,OUT,PROTO, as in `80,8080,http`, or with a certificate `443,8080,https,ARN`";

/// Reads one listener. The protocol goes on as it was typed; a certificate counts for HTTPS and SSL, in any case.
///
/// # Errors
/// Which field is missing or malformed.
pub fn parse(text: &str) -> Result<Listener, String> {
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    let (load_balancer_port, instance_port, protocol, certificate) = match fields.as_slice() {
        [front, back, protocol] => (*front, *back, *protocol, None),
        [front, back, protocol, certificate] => (*front, *back, *protocol, Some(*certificate)),
        _ => return Err(format!("it has {} fields, not 3 or 4", fields.len())),
    };
    if protocol.is_empty() {
        return Err("its protocol is empty".into());
    }
    let certificate = certificate.filter(|certificate| !certificate.is_empty());
    let secure = protocol.eq_ignore_ascii_case("https") || protocol.eq_ignore_ascii_case("ssl");
    if secure && certificate.is_none() {
        return Err(format!("{protocol} needs a certificate as the fourth field"));
    }
    Ok(Listener {
        protocol: protocol.to_owned(),
        load_balancer_port: port(load_balancer_port)?,
        instance_protocol: None,
        instance_port: port(instance_port)?,
        ssl_certificate_id: certificate.filter(|_| secure).map(str::to_owned),
    })
}

fn port(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("port `{text}` is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_three_fields_and_a_certificate_where_it_is_used() {
        let check = |text: &str, expected: Option<(i64, i64, &str, Option<&str>)>| {
            let read = parse(text).ok();
            let read = read.map(|l| (l.load_balancer_port, l.instance_port, l.protocol, l.ssl_certificate_id));
            let expected = expected.map(|(i, o, p, c)| (i, o, p.to_owned(), c.map(str::to_owned)));
            assert_eq!(read, expected, "{text:?}");
        };
        check("80,8080,http", Some((80, 8080, "http", None)));
        check("80, 8080, HTTP", Some((80, 8080, "HTTP", None)));
        check("80,8080,tcp,arn:x", Some((80, 8080, "tcp", None)));
        check("0,99999,http", Some((0, 99999, "http", None)));
        for protocol in ["https", "HTTPS", "ssl", "SSL"] {
            let text = format!("443,80,{protocol},arn:aws:iam::1:server-certificate/x");
            check(&text, Some((443, 80, protocol, Some("arn:aws:iam::1:server-certificate/x"))));
            check(&format!("443,80,{protocol}"), None);
            check(&format!("443,80,{protocol},"), None);
        }
        for bad in ["", "80", "80,80", "80,80,", "a,80,http", "80,b,http", "80,80,http,arn,more", "8 0,80,http"] {
            check(bad, None);
        }
    }
}
