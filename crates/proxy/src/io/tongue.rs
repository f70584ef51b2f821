//! Which version of HTTP a client speaks.
//!
//! Owns a connection between its first byte and that answer. Must never guess: inside TLS both sides have agreed (ALPN,
//! RFC 9113 §3.2), and without it the preface is what it is (§3.3). Where HTTP/2 is not served, nobody asks.

use super::client::Client;
use super::counted::Counted;
use super::h2::Bundle;
use super::worker::Worker;
use crate::h2::PREFACE;

impl Worker {
    /// The first bytes of a client that may speak HTTP/2: `count` in the scratch buffer.
    pub(super) fn hear_first(&mut self, c: &mut Client, count: usize) -> bool {
        let Some(mut first) = c.first.take() else { return false };
        c.last = self.now;
        first.extend_from_slice(&self.scratch[..count]);
        let agreed = c.stream.spoken().map(|name| name == b"h2");
        let known = &first[..first.len().min(PREFACE.len())];
        if agreed == Some(true) || (!c.lane.listener.protocol.is_secure() && known == PREFACE) {
            c.turned = true;
            c.first = Some(first);
            return true;
        }
        if !c.lane.listener.protocol.is_secure() && PREFACE.starts_with(known) {
            if c.since == 0 {
                c.since = self.now.max(1);
            }
            c.first = Some(first);
            return true;
        }
        c.lane.meter.bytes_in.add(first.len() as u64);
        self.enter(c);
        let front = self.front(c);
        c.session.client_bytes(&first, &front, &mut self.out);
        self.note_head(c);
        true
    }

    /// The client has been found to speak HTTP/2.
    pub(super) fn turn_client(&mut self, key: u64, mut client: Client) {
        let first = client.first.take().unwrap_or_default();
        let Counted::Connection(presence) = client.counted.leave() else {
            self.slots.remove(key);
            return;
        };
        let bundle = Bundle::front(client.stream, client.peer, client.gate, presence, &self.bells, (key, self.now));
        bundle.hear(&first, self.now);
        self.arm(key, bundle.deadline(self.connect_ms));
        self.drive_bundle(key, Box::new(bundle));
    }
}
