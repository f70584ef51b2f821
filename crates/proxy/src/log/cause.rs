//! Why the balancer answered by itself or cut a connection, in words with a place.
//!
//! Owns one sentence and one label for each [`Fault`]. Must never decide anything.

use std::fmt::Write;

use super::Record;
use super::record::Queued;
use crate::fault::Fault;
use crate::tls::words::Mismatch;

/// A short name that never changes, for metrics and filters.
#[must_use]
pub fn label(fault: Fault) -> &'static str {
    match fault {
        Fault::BadRequest => "bad_request",
        Fault::MethodTooLong => "method_too_long",
        Fault::RequestTimeout => "request_timeout",
        Fault::ExpectationFailed => "expectation_failed",
        Fault::HeadTooLarge => "head_too_large",
        Fault::UnknownCoding => "unknown_coding",
        Fault::UnknownVersion => "unknown_version",
        Fault::NoUpgrade => "no_upgrade",
        Fault::ClientGone => "client_gone",
        Fault::ClientStalled => "client_stalled",
        Fault::HandshakeFailed => "handshake_failed",
        Fault::NoTarget => "no_target",
        Fault::QueueFull => "queue_full",
        Fault::QueueTimeout => "queue_timeout",
        Fault::ConnectFailed => "connect_failed",
        Fault::NotTrusted => "not_trusted",
        Fault::ClosedBeforeAnswer => "closed_before_answer",
        Fault::SilentInstance => "silent_instance",
        Fault::BadAnswer => "bad_answer",
        Fault::TruncatedAnswer => "truncated_answer",
        Fault::Cut => "cut",
    }
}

/// The sentence for a record; empty when nothing failed. Never holds a byte that a client or an instance sent.
#[must_use]
pub fn words(record: &Record) -> String {
    let Some(fault) = record.fault else { return String::new() };
    let mut instance = match &record.asked {
        Some(asked) => format!("instance {} at {}", asked.instance, asked.address),
        None => "the instance".to_owned(),
    };
    if let Some(zone) = &record.side.zone {
        // The node's zone: where the client came in.
        let _ = write!(instance, ", asked from {zone}");
    }
    let mut again = match record.retries {
        0 => String::new(),
        1 => ", after 1 other try".to_owned(),
        n => format!(", after {n} other tries"),
    };
    if record.denied {
        again += "; not tried again, because too many requests are";
    }
    let idle = record.side.idle.as_secs();
    match fault {
        Fault::BadRequest => "client sent a request that breaks HTTP's grammar or is ambiguous".to_owned(),
        Fault::MethodTooLong => "client sent a method longer than 127 bytes".to_owned(),
        Fault::RequestTimeout => "client took too long to send its request".to_owned(),
        Fault::ExpectationFailed => "client expects something other than 100-continue".to_owned(),
        Fault::HeadTooLarge => "client sent a head that is too long, or has too many fields".to_owned(),
        Fault::UnknownCoding => "client sent a transfer coding other than chunked".to_owned(),
        Fault::UnknownVersion => "client speaks a version of HTTP other than 1".to_owned(),
        Fault::NoUpgrade => "client asks for a websocket, and instances are spoken to in http/2".to_owned(),
        Fault::ClientGone => "client left before it was answered".to_owned(),
        Fault::ClientStalled => "client took nothing of its answer for too long, or less than it has to".to_owned(),
        Fault::HandshakeFailed => {
            let why = record.mismatch.map_or("nothing in common", Mismatch::words);
            format!("client and listener could not agree on tls: {why}")
        }
        Fault::NoTarget => no_target(record),
        Fault::QueueFull => queued(record, |most, _| format!("queue full: {most} requests wait already")),
        Fault::QueueTimeout => queued(record, |_, wait| format!("waited in the queue for {wait}")),
        Fault::ConnectFailed => format!("{instance}, could not be connected to{again}"),
        Fault::NotTrusted => format!("{instance}, showed a certificate that is not to be believed{again}"),
        Fault::ClosedBeforeAnswer => format!("{instance}, closed early, before it answered{again}"),
        Fault::SilentInstance => format!("{instance}, said nothing for {idle} s"),
        Fault::BadAnswer => format!("{instance}, answered what is not valid HTTP"),
        Fault::TruncatedAnswer => format!("{instance}, ended before its answer was complete"),
        Fault::Cut => format!("{instance}, was cut off: it drained for longer than allowed, or the proxy was stopped"),
    }
}

fn no_target(record: &Record) -> String {
    let side = &record.side;
    let place = match &side.zone {
        Some(zone) if side.own_zone_only => format!(" in {zone}"),
        Some(zone) => format!(" in any zone, asked from {zone}"),
        None => " in any zone".to_owned(),
    };
    if side.has_instances {
        format!("no instance in service{place}")
    } else {
        format!("no instance is registered with {}", side.balancer)
    }
}

/// What kept a request in the queue, or out of it.
fn queued(record: &Record, what: impl Fn(u32, String) -> String) -> String {
    let Queued { most, wait, limit, boot } = record.side.queued;
    let seconds = |span: std::time::Duration| format!("{} s", span.as_secs());
    let busy = format!("every instance in service has {limit} in flight");
    let (wait, why) = match boot.map(|boot| boot.max(wait)) {
        None => (seconds(wait), busy),
        Some(boot) if limit == 0 => (seconds(boot), "no instance came in service".to_owned()),
        Some(boot) => (format!("{} or {}", seconds(wait), seconds(boot)), format!("{busy}, or none came in service")),
    };
    let place = record.side.zone.as_ref().map(|zone| format!(", asked from {zone}")).unwrap_or_default();
    format!("{}{place}: {why}", what(most, wait))
}
