//! A client whose request ended in another protocol.
//!
//! Owns how its connection and its instance's become a tunnel, which holds no session and, while it idles, no buffer. Must
//! never lose a byte in between, or count one twice. When that happens: [`crate::request`]; what follows: `pipe.rs`.

use super::client::Client;
use super::greet;
use super::pipe::Tunnel;
use super::worker::Worker;

impl Worker {
    /// Leaves a client, and the instance whose connection it holds, to each other.
    pub(super) fn switch(&mut self, key: u64, client: Client) {
        let ends = greet::ends(&client.lane, client.peer);
        let unsent = client.unsent().len() as u64;
        client.lane.meter.bytes_out.add(unsent);
        client.counted.carried(0, unsent);
        let tunnel = Tunnel::switched(client, ends, self.now);
        self.arm(key, tunnel.deadline(self.connect_ms));
        self.drive_tunnel(key, Box::new(tunnel));
    }
}
