//! What people type for `evenkeel lb`, as the API has it: listeners, attributes, tags, types of policies.
//!
//! Checks the grammar only; what is good is the daemon's to say. Next: [`super::args`] for where each may stand.

use std::path::Path;

use anyhow::Context;
use evenkeel_aws::elb;
use evenkeel_aws::xml::Members;

use super::state::DESYNC;
use crate::cli::elbadmin::listener as old;
use crate::cli::failure::hinted;

const LISTENER: &str =
    "a listener is PROTO:PORT=[PROTO:]PORT[,CERTIFICATE], as in `http:80=8080` or `https:443=8080,www`";

const ATTRIBUTES: &str = "attributes are cross-zone=on|off, draining=on|off|SECONDS, idle-timeout=SECONDS, access-log=on|off|BUCKET[/PREFIX], \
                          access-log-interval=5|60, desync=monitor|defensive|strictest, and evenkeel.balance.…";

/// A listener: `http:80=8080`, `https:443=https:8443,www`, or elbadmin's `80,8080,http`. The certificate is as it was typed.
///
/// # Errors
/// Which part is missing or malformed, with the grammar as a hint.
pub fn listener(text: &str) -> anyhow::Result<elb::Listener> {
    let read = match text.split_once('=') {
        Some((front, rest)) => pair(front, rest),
        None => old::parse(text),
    };
    read.map_err(|why| hinted(format!("failed to read listener `{text}`: {why}"), LISTENER))
}

fn pair(front: &str, rest: &str) -> Result<elb::Listener, String> {
    let (back, certificate) = match rest.split_once(',') {
        Some((back, certificate)) => (back, Some(certificate)),
        None => (rest, None),
    };
    let (protocol, front_port) = front.split_once(':').ok_or("what clients speak is PROTO:PORT")?;
    let (instance_protocol, back_port) = match back.split_once(':') {
        Some((protocol, port)) => (Some(protocol), port),
        None => (None, back),
    };
    if certificate == Some("") {
        return Err("the certificate after `,` is missing".into());
    }
    if protocol.is_empty() || instance_protocol == Some("") {
        return Err("a protocol before `:` is missing".into());
    }
    let port = |text: &str| text.parse().map_err(|_| format!("port `{text}` is not a number"));
    Ok(elb::Listener {
        protocol: protocol.to_uppercase(),
        load_balancer_port: port(front_port)?,
        instance_protocol: instance_protocol.map(str::to_uppercase),
        instance_port: port(back_port)?,
        ssl_certificate_id: certificate.map(str::to_owned),
    })
}

/// `KEY=VALUE`; a value may hold `=` and be empty.
///
/// # Errors
/// No `=`, or nothing before it.
pub fn key_and_value(text: &str) -> anyhow::Result<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(hinted(format!("failed to read `{text}`"), "write it like `key=value`")),
    }
}

/// Tags as the API has them.
///
/// # Errors
/// Those of [`key_and_value`].
pub fn tags(texts: &[String]) -> anyhow::Result<Members<elb::Tag>> {
    let tag = |text: &String| {
        let (key, value) = key_and_value(text)?;
        Ok(elb::Tag { key, value: Some(value) })
    };
    texts.iter().map(tag).collect()
}

/// The full name of a type of policies, whose end may be left out and whose case does not count.
pub fn policy_type(text: &str) -> String {
    const END: &str = "PolicyType";
    let known = evenkeel_core::noun::PolicyType::ALL.map(evenkeel_core::noun::PolicyType::as_str);
    let is_it = |name: &&str| {
        name.eq_ignore_ascii_case(text) || name.strip_suffix(END).is_some_and(|short| short.eq_ignore_ascii_case(text))
    };
    known.into_iter().find(is_it).map_or_else(|| text.to_owned(), str::to_owned)
}

/// Attributes of a policy; a value that begins with `@` is the file's content.
///
/// # Errors
/// Those of [`key_and_value`], and a file that cannot be read.
pub fn policy_attributes(texts: &[String]) -> anyhow::Result<Members<elb::PolicyAttribute>> {
    let attribute = |text: &String| {
        let (attribute_name, value) = key_and_value(text)?;
        let attribute_value = match value.strip_prefix('@') {
            Some(file) => std::fs::read_to_string(Path::new(file)).with_context(|| format!("failed to read {file}"))?,
            None => value,
        };
        Ok(elb::PolicyAttribute { attribute_name, attribute_value })
    };
    texts.iter().map(attribute).collect()
}

/// Settings of `evenkeel lb attr` as blocks of the API.
///
/// # Errors
/// An unknown key, or a value that is none of its kind, with all keys as a hint.
pub fn attributes(texts: &[String]) -> anyhow::Result<elb::LoadBalancerAttributes> {
    let mut stated = elb::LoadBalancerAttributes::default();
    for text in texts {
        let (key, value) = key_and_value(text)?;
        set(&mut stated, &key, &value)
            .map_err(|why| hinted(format!("failed to read attribute `{text}`: {why}"), ATTRIBUTES))?;
    }
    Ok(stated)
}

fn set(stated: &mut elb::LoadBalancerAttributes, key: &str, value: &str) -> Result<(), String> {
    let number = || value.parse::<i64>().map_err(|_| format!("`{value}` is not a number"));
    match key {
        "cross-zone" => {
            let enabled = switch(value).ok_or("it is on or off")?;
            stated.cross_zone_load_balancing = Some(elb::CrossZoneLoadBalancing { enabled });
        }
        "draining" => {
            let (enabled, timeout) = match switch(value) {
                Some(enabled) => (enabled, None),
                None => (true, Some(number()?)),
            };
            stated.connection_draining = Some(elb::ConnectionDraining { enabled, timeout });
        }
        "idle-timeout" => {
            stated.connection_settings = Some(elb::ConnectionSettings { idle_timeout: number()? });
        }
        "access-log" => {
            let log = stated.access_log.get_or_insert_default();
            match switch(value) {
                Some(enabled) => log.enabled = enabled,
                None => {
                    let (bucket, prefix) = value.split_once('/').unwrap_or((value, ""));
                    log.enabled = true;
                    log.s3_bucket_name = Some(bucket.to_owned());
                    log.s3_bucket_prefix = Some(prefix.to_owned());
                }
            }
        }
        // How often goes with a log that is on: alone it is what one wants of it.
        "access-log-interval" => {
            let is_stated = stated.access_log.is_some();
            let log = stated.access_log.get_or_insert_default();
            log.emit_interval = Some(number()?);
            log.enabled |= !is_stated;
        }
        "desync" => additional(stated, DESYNC, value),
        _ if key.starts_with("elb.") || key.starts_with("evenkeel.") => additional(stated, key, value),
        _ => return Err(format!("there is no `{key}`")),
    }
    Ok(())
}

fn additional(stated: &mut elb::LoadBalancerAttributes, key: &str, value: &str) {
    let attribute = elb::AdditionalAttribute { key: key.to_owned(), value: value.to_owned() };
    stated.additional_attributes.get_or_insert_default().push(attribute);
}

fn switch(text: &str) -> Option<bool> {
    match text {
        "on" | "true" | "yes" => Some(true),
        "off" | "false" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Protocol and port, protocol and port to instances, certificate.
    type Parts<'a> = (&'a str, i64, Option<&'a str>, i64, Option<&'a str>);

    #[test]
    fn listeners_are_read_in_both_ways_of_writing() {
        let check = |text: &str, expected: Option<Parts<'_>>| {
            let read = listener(text).ok();
            let read = read.as_ref().map(|l| {
                let back = l.instance_protocol.as_deref();
                (&*l.protocol, l.load_balancer_port, back, l.instance_port, l.ssl_certificate_id.as_deref())
            });
            assert_eq!(read, expected, "{text}");
        };
        check("http:80=8080", Some(("HTTP", 80, None, 8080, None)));
        check("HTTPS:443=https:8443,www", Some(("HTTPS", 443, Some("HTTPS"), 8443, Some("www"))));
        check("ssl:993=tcp:143,arn:aws:acm:r:0:certificate/1", {
            Some(("SSL", 993, Some("TCP"), 143, Some("arn:aws:acm:r:0:certificate/1")))
        });
        check("80,8080,http", Some(("http", 80, None, 8080, None)));
        for bad in
            ["", "80=8080", "http:80", "http:80=", "http:=80", ":80=80", "http:80=:80", "http:80=80,", "http:a=1"]
        {
            check(bad, None);
        }
    }

    #[test]
    fn attributes_are_read_into_their_blocks() {
        let read = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
            attributes(&texts).map_err(|error| error.to_string())
        };
        let stated = read(&["cross-zone=on", "draining=30", "idle-timeout=10", "desync=strictest"]).unwrap();
        assert!(stated.cross_zone_load_balancing.unwrap().enabled);
        assert_eq!(stated.connection_draining, Some(elb::ConnectionDraining { enabled: true, timeout: Some(30) }));
        assert_eq!(stated.connection_settings.unwrap().idle_timeout, 10);
        assert_eq!(stated.additional_attributes.unwrap()[0].key, DESYNC);
        assert_eq!(stated.access_log, None);
        let log = |texts: &[&str]| read(texts).unwrap().access_log.unwrap();
        let on = log(&["access-log=logs/a/b", "access-log-interval=5"]);
        let bucket = (on.s3_bucket_name.as_deref(), on.s3_bucket_prefix.as_deref());
        assert_eq!((on.enabled, bucket, on.emit_interval), (true, (Some("logs"), Some("a/b")), Some(5)));
        assert_eq!(log(&["access-log=off"]), elb::AccessLog::default());
        assert!(!log(&["access-log=off", "access-log-interval=5"]).enabled);
        assert!(log(&["access-log-interval=5"]).enabled);
        for bad in ["nope=1", "idle-timeout=x", "cross-zone=maybe", "draining=soon", "=1", "draining"] {
            assert!(read(&[bad]).unwrap_err().starts_with("failed to read"), "{bad}");
        }
    }

    #[test]
    fn types_of_policies_may_be_short() {
        let check = |text: &str, expected: &str| assert_eq!(policy_type(text), expected);
        check("ProxyProtocol", "ProxyProtocolPolicyType");
        check("sslnegotiation", "SSLNegotiationPolicyType");
        check("PublicKeyPolicyType", "PublicKeyPolicyType");
        check("Nope", "Nope");
    }
}
