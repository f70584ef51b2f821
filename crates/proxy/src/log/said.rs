//! What a client asked, kept for the log: the request line, the user agent, the trace id.
//!
//! Owns their limits. Must never interpret them, and keeps them as they came: whoever writes them escapes them.

use crate::proto::emit::Forwarded;
use crate::proto::field::Field;
use crate::proto::parent::{self, SpanIds};
use crate::proto::{RequestHead, trace};

/// Bytes of a request line that are kept.
pub const REQUEST_LIMIT: usize = 8 * 1024;
/// Bytes of a user agent that are kept (AWS, "Access logs for your Classic Load Balancer").
pub const AGENT_LIMIT: usize = 8 * 1024;
/// Bytes of a trace id that are kept.
pub const TRACE_LIMIT: usize = 512;

/// A client's words, in one piece of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    bytes: Vec<u8>,
    agent_at: usize,
    trace_at: usize,
    /// The span that the request is to have.
    pub(crate) span: Option<SpanIds>,
}

impl Said {
    /// Of a request that was understood: `METHOD proto://host:port/path HTTP/x.y`, and the trace id as it goes to the
    /// instance.
    #[must_use]
    pub fn of(bytes: &[u8], head: &RequestHead, front: &Forwarded) -> Self {
        let is_agent = |field: &&Field| field.name.of(bytes).eq_ignore_ascii_case(b"user-agent");
        let agent = head.fields.iter().find(is_agent).map(|field| field.value.of(bytes)).unwrap_or_default();
        let agent = &agent[..agent.len().min(AGENT_LIMIT)];
        let sent = trace::of(bytes, head);
        let (host, path) = (head.host.map(|host| host.of(bytes)).unwrap_or_default(), head.path.of(bytes));
        let mut all = Vec::with_capacity(128 + host.len() + path.len() + agent.len());
        all.extend_from_slice(head.method.of(bytes));
        all.push(b' ');
        all.extend_from_slice(front.proto.as_bytes());
        all.extend_from_slice(b"://");
        all.extend_from_slice(host);
        if !has_port(host) {
            all.push(b':');
            crate::proto::emit::decimal(u64::from(front.port), &mut all);
        }
        all.extend_from_slice(head.prefix.as_bytes());
        all.extend_from_slice(path);
        all.truncate(REQUEST_LIMIT);
        all.extend_from_slice(if head.minor == 0 { b" HTTP/1.0" } else { b" HTTP/1.1" });
        let agent_at = all.len();
        all.extend_from_slice(agent);
        let trace_at = all.len();
        match front.trace {
            // The same as was emitted: it follows from the same two things.
            Some(new) => trace::value(sent, new, &mut all),
            None => all.extend_from_slice(sent.unwrap_or_default()),
        }
        all.truncate(trace_at + TRACE_LIMIT);
        let span = front.trace.and_then(|new| parent::of(bytes, head, new).1);
        Self { bytes: all, agent_at, trace_at, span }
    }

    /// The same, where the client spoke HTTP/2.
    #[must_use]
    pub fn over_http2(mut self) -> Self {
        if let Some(digits) = self.agent_at.checked_sub(3).and_then(|at| self.bytes.get_mut(at..self.agent_at)) {
            digits.copy_from_slice(b"2.0");
        }
        self
    }

    /// Of a request that was not understood: its first line, as far as it came. `None` when there is none.
    #[must_use]
    pub fn unclear(bytes: &[u8]) -> Option<Self> {
        let from = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n'))?;
        let line = &bytes[from..];
        let end = line.iter().take(REQUEST_LIMIT).position(|b| matches!(b, b'\r' | b'\n'));
        let line = &line[..end.unwrap_or(line.len().min(REQUEST_LIMIT))];
        Some(Self { bytes: line.to_vec(), agent_at: line.len(), trace_at: line.len(), span: None })
    }

    /// The request line.
    #[must_use]
    pub fn request(&self) -> &[u8] {
        &self.bytes[..self.agent_at]
    }

    /// The user agent; empty for none.
    #[must_use]
    pub fn agent(&self) -> &[u8] {
        &self.bytes[self.agent_at..self.trace_at]
    }

    /// The value of `X-Amzn-Trace-Id`; empty for none.
    #[must_use]
    pub fn trace(&self) -> &[u8] {
        &self.bytes[self.trace_at..]
    }

    /// Bytes held.
    pub(crate) fn len(&self) -> usize {
        self.bytes.capacity() + size_of::<Self>()
    }
}

/// Whether a host that was accepted names its port.
fn has_port(host: &[u8]) -> bool {
    let after = host.iter().rposition(|b| *b == b']').map_or(host, |end| &host[end..]);
    after.contains(&b':')
}
