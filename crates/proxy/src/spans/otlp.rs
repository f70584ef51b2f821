//! A record as a span of OTLP, in JSON.
//!
//! Owns the shape (OpenTelemetry, "OTLP Specification" 1.x, "JSON Protobuf Encoding": ids in hex, 64-bit numbers as text,
//! enums as numbers) and the names of attributes ("Semantic conventions for HTTP spans"; the road's own begin with
//! `evenkeel.`). Must never send.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::log::{Kind, Record, cause};

/// `SPAN_KIND_SERVER`.
const SERVER: u8 = 2;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Export<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: Vec<Attribute<'a>>,
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<Span<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    name: Cow<'a, str>,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

#[derive(Serialize)]
struct Status {
    code: u8,
    message: String,
}

#[derive(Serialize)]
struct Attribute<'a> {
    key: &'static str,
    value: Value<'a>,
}

#[derive(Serialize)]
enum Value<'a> {
    #[serde(rename = "stringValue")]
    Text(Cow<'a, str>),
    #[serde(rename = "intValue")]
    Whole(String),
    #[serde(rename = "doubleValue")]
    Real(f64),
}

/// The body of one export; records without a span are left out.
#[must_use]
pub fn body(service: &str, records: &[Record]) -> Vec<u8> {
    let spans = records.iter().filter_map(span).collect();
    let attributes = vec![Attribute { key: "service.name", value: Value::Text(service.into()) }];
    let scope = Scope { name: "evenkeel", version: env!("CARGO_PKG_VERSION") };
    let scope_spans = [ScopeSpans { scope, spans }];
    let export = Export { resource_spans: [ResourceSpans { resource: Resource { attributes }, scope_spans }] };
    // Every key is a string and there is no map: it cannot fail.
    serde_json::to_vec(&export).unwrap_or_default()
}

fn span(record: &Record) -> Option<Span<'_>> {
    let said = record.said.as_deref()?;
    let ids = said.span?;
    let request = String::from_utf8_lossy(said.request());
    let (method, rest) = cut(&request, ' ');
    let (url, version) = match rest.rsplit_once(" HTTP/") {
        Some((url, version)) => (url.to_owned(), version.to_owned()),
        None => (rest.to_owned(), String::new()),
    };
    let (scheme, after) = cut(&url, ':');
    let after = after.trim_start_matches('/');
    let (authority, target) = after.split_at(after.find('/').unwrap_or(after.len()));
    let (path, query) = cut(target, '?');
    let mut attributes = Vec::with_capacity(16);
    let mut text = |key, value: Cow<'_, str>| {
        if !value.is_empty() {
            attributes.push(Attribute { key, value: Value::Text(value.into_owned().into()) });
        }
    };
    text("http.request.method", method.into());
    text("url.scheme", scheme.into());
    text("server.address", authority.into());
    text("url.path", path.into());
    text("url.query", query.into());
    text("network.protocol.version", version.as_str().into());
    text("user_agent.original", String::from_utf8_lossy(said.agent()));
    text("client.address", record.client.ip().to_string().into());
    text("evenkeel.load_balancer", record.side.balancer.as_str().into());
    text("cloud.availability_zone", record.side.zone.as_deref().unwrap_or_default().into());
    if let Some(asked) = &record.asked {
        text("evenkeel.instance", asked.instance.as_ref().into());
        text("evenkeel.instance_address", asked.address.to_string().into());
    }
    if let Some(fault) = record.fault {
        text("error.type", cause::label(fault).into());
    }
    if let Some(secured) = &record.secured {
        text("tls.cipher", secured.cipher.into());
        text("tls.protocol.version", secured.protocol.trim_start_matches("TLSv").into());
    }
    let mut number = |key, value: u64| attributes.push(Attribute { key, value: Value::Whole(value.to_string()) });
    number("client.port", record.client.port().into());
    if record.kind == Kind::Http && record.status > 0 {
        number("http.response.status_code", record.status.into());
    }
    number("http.request.body.size", record.received);
    number("http.response.body.size", record.sent);
    if record.retries > 0 {
        number("evenkeel.retries", record.retries.into());
    }
    if let Some(times) = record.times {
        for (key, span) in [
            ("evenkeel.request_time", times.request),
            ("evenkeel.instance_time", times.instance),
            ("evenkeel.response_time", times.response),
        ] {
            attributes.push(Attribute { key, value: Value::Real(span.as_secs_f64()) });
        }
    }
    let failed = record.fault.is_some() || record.status >= 500;
    let end = record.at.checked_add(record.total).unwrap_or(record.at);
    Some(Span {
        trace_id: format!("{:032x}", ids.trace),
        span_id: format!("{:016x}", ids.span),
        parent_span_id: ids.parent.map(|parent| format!("{parent:016x}")),
        name: method.to_owned().into(),
        kind: SERVER,
        start_time_unix_nano: nanos(record.at),
        end_time_unix_nano: nanos(end),
        attributes,
        status: failed.then(|| Status { code: ERROR, message: cause::words(record) }),
    })
}

/// What is before the first `at`, and what is after it.
fn cut(text: &str, at: char) -> (&str, &str) {
    text.split_once(at).unwrap_or((text, ""))
}

fn nanos(at: SystemTime) -> String {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos().to_string()
}
