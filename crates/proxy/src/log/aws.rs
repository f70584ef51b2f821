//! The line of AWS's access logs (AWS, "Access logs for your Classic Load Balancer").
//!
//! Owns its grammar: `timestamp elb client:port backend:port request_processing_time backend_processing_time
//! response_processing_time elb_status_code backend_status_code received_bytes sent_bytes "request" "user_agent"
//! ssl_cipher ssl_protocol`. Must never break it: what a client chose is escaped.

use std::fmt::Write;

use super::{Kind, Record, text};

/// Appends a record as a line.
pub fn write(record: &Record, out: &mut String) {
    text::moment(record.at, out);
    let _ = write!(out, " {} {} ", record.side.balancer, record.client);
    // AWS: a dash where no instance could be sent the request, or it closed before it answered.
    match (&record.asked, record.times.is_some() || record.kind == Kind::Tcp && record.received + record.sent > 0) {
        (Some(asked), true) => _ = write!(out, "{}", asked.address),
        _ => out.push('-'),
    }
    match &record.times {
        Some(times) => {
            for span in [times.request, times.instance, times.response] {
                out.push(' ');
                text::seconds(span, out);
            }
        }
        None => out.push_str(" -1 -1 -1"),
    }
    match record.kind {
        Kind::Http => _ = write!(out, " {} {}", record.status, record.instance_status),
        Kind::Tcp => out.push_str(" - -"),
    }
    let _ = write!(out, " {} {} \"", record.received, record.sent);
    match &record.said {
        Some(said) if !said.request().is_empty() => text::quoted(said.request(), out),
        _ => out.push_str("- - - "),
    }
    out.push_str("\" \"");
    match &record.said {
        Some(said) if !said.agent().is_empty() => text::quoted(said.agent(), out),
        _ => out.push('-'),
    }
    out.push('"');
    match &record.secured {
        Some(secured) => _ = writeln!(out, " {} {}", secured.cipher, secured.protocol),
        None => out.push_str(" - -\n"),
    }
}

#[cfg(test)]
mod tests;
