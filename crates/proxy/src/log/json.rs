//! A record as a line of JSON.
//!
//! Owns its keys: every line has all of them, `null` where there is nothing to say. They are documented in
//! `docs/concepts.md`; one that is there keeps its meaning.

use std::fmt::Write;

use super::{Kind, Record, cause, text};

/// Appends a record as a line.
pub fn write(record: &Record, out: &mut String) {
    out.push_str("{\"time\":\"");
    text::moment(record.at, out);
    out.push_str(match record.kind {
        Kind::Http => "\",\"kind\":\"http\",\"balancer\":",
        Kind::Tcp => "\",\"kind\":\"tcp\",\"balancer\":",
    });
    text::json(record.side.balancer.as_bytes(), out);
    string("zone", record.side.zone.as_deref().map(str::as_bytes), out);
    let _ = write!(out, ",\"client\":\"{}\"", record.client);
    match &record.asked {
        Some(asked) => {
            string("instance", Some(asked.instance.as_bytes()), out);
            let _ = write!(out, ",\"instance_address\":\"{}\"", asked.address);
        }
        None => out.push_str(",\"instance\":null,\"instance_address\":null"),
    }
    number("status", record.status, out);
    number("instance_status", record.instance_status, out);
    let times = record.times.map(|times| [times.request, times.instance, times.response]);
    for (at, key) in ["request_time", "instance_time", "response_time"].into_iter().enumerate() {
        let _ = write!(out, ",\"{key}\":");
        match times {
            Some(times) => text::seconds(times[at], out),
            None => out.push_str("null"),
        }
    }
    out.push_str(",\"total_time\":");
    text::seconds(record.total, out);
    let _ = write!(out, ",\"received\":{},\"sent\":{}", record.received, record.sent);
    let said = record.said.as_deref();
    let word = |get: fn(&super::Said) -> &[u8]| said.map(get).filter(|word| !word.is_empty());
    string("request", word(super::Said::request), out);
    string("user_agent", word(super::Said::agent), out);
    string("trace", word(super::Said::trace), out);
    let _ = write!(out, ",\"retries\":{}", record.retries);
    string("fault", record.fault.map(|fault| cause::label(fault).as_bytes()), out);
    let words = cause::words(record);
    string("cause", (!words.is_empty()).then_some(words.as_bytes()), out);
    string("cipher", record.secured.as_ref().map(|s| s.cipher.as_bytes()), out);
    string("protocol", record.secured.as_ref().map(|s| s.protocol.as_bytes()), out);
    out.push_str("}\n");
}

fn string(key: &str, value: Option<&[u8]>, out: &mut String) {
    let _ = write!(out, ",\"{key}\":");
    match value {
        Some(value) => text::json(value, out),
        None => out.push_str("null"),
    }
}

fn number(key: &str, value: u16, out: &mut String) {
    match value {
        0 => _ = write!(out, ",\"{key}\":null"),
        value => _ = write!(out, ",\"{key}\":{value}"),
    }
}
