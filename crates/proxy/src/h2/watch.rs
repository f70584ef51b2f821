//! Frames counted as they come: what `h2` does not limit.
//!
//! Owns the budgets for frames that move nothing and for streams that are ended early, and whether the peer began with its
//! settings (RFC 9113 §3.4). Must never look beyond the nine bytes of a frame's head (§4.1): what frames mean is `h2`'s.

use h2::Reason;

use super::PREFACE;
use super::mux::Role;

/// Streams that the peer ends, or that are ended for its mistakes: so many at once, and so many a second (CVE-2023-44487).
pub const RESETS: (u32, u32) = (200, 20);
/// Frames that move nothing (PING, SETTINGS, PRIORITY, those of no known kind): at once, and a second (CVE-2019-9512, 9515).
pub const IDLE_FRAMES: (u32, u32) = (1000, 200);

const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

/// Something that may happen so often at once, and so often a second.
#[derive(Clone, Copy, Debug)]
struct Budget {
    left: u32,
    most: u32,
    per_second: u32,
    at: u64,
}

impl Budget {
    fn new((most, per_second): (u32, u32)) -> Self {
        Self { left: most, most, per_second, at: 0 }
    }

    fn pass(&mut self, now: u64) {
        let grown = now.saturating_sub(self.at).saturating_mul(u64::from(self.per_second)) / 1000;
        if grown > 0 {
            self.left = u32::try_from(grown.saturating_add(u64::from(self.left))).unwrap_or(u32::MAX).min(self.most);
            self.at = now;
        }
    }

    fn spend(&mut self) -> Result<(), Reason> {
        self.left = self.left.checked_sub(1).ok_or(Reason::ENHANCE_YOUR_CALM)?;
        Ok(())
    }
}

/// The heads of a connection's frames.
#[derive(Debug)]
pub(super) struct Watch {
    is_server: bool,
    /// Bytes that are no head of a frame.
    skip: usize,
    head: [u8; 9],
    have: usize,
    /// The first frame's head is here.
    begun: bool,
    /// The first frame is here.
    pub(super) greeted: bool,
    /// The peer has said that it goes.
    pub(super) leaves: bool,
    resets: Budget,
    idle: Budget,
}

impl Watch {
    pub(super) fn new(role: Role) -> Self {
        let is_server = role == Role::Server;
        Self {
            is_server,
            skip: if is_server { PREFACE.len() } else { 0 },
            head: [0; 9],
            have: 0,
            begun: false,
            greeted: false,
            leaves: false,
            resets: Budget::new(RESETS),
            idle: Budget::new(IDLE_FRAMES),
        }
    }

    /// Goes through what was received at `now`. In error: how many of the bytes are before the frame that is too much.
    pub(super) fn pass(&mut self, bytes: &[u8], now: u64) -> Result<(), (usize, Reason)> {
        self.resets.pass(now);
        self.idle.pass(now);
        let mut at = 0;
        while at < bytes.len() {
            if self.skip > 0 {
                let count = self.skip.min(bytes.len() - at);
                self.skip -= count;
                at += count;
            } else {
                let count = (self.head.len() - self.have).min(bytes.len() - at);
                self.head[self.have..self.have + count].copy_from_slice(&bytes[at..at + count]);
                self.have += count;
                at += count;
                if self.have == self.head.len() {
                    self.have = 0;
                    let [l0, l1, l2, kind, flags, ..] = self.head;
                    self.skip = u32::from_be_bytes([0, l0, l1, l2]) as usize;
                    self.count(kind, flags).map_err(|reason| (at.saturating_sub(self.head.len()), reason))?;
                }
            }
            self.greeted |= self.begun && self.skip == 0 && self.have == 0;
        }
        Ok(())
    }

    /// A stream was ended for a mistake of the peer's.
    pub(super) fn mistake(&mut self) -> Result<(), Reason> {
        self.resets.spend()
    }

    fn count(&mut self, kind: u8, flags: u8) -> Result<(), Reason> {
        if !std::mem::replace(&mut self.begun, true) && (kind != SETTINGS || flags & ACK != 0) {
            return Err(Reason::PROTOCOL_ERROR);
        }
        self.leaves |= kind == GOAWAY;
        match kind {
            RST_STREAM if self.is_server => self.resets.spend(),
            // DATA, HEADERS, pushes, WINDOW_UPDATE and CONTINUATION are what the protocol is for: h2 limits them.
            0 | 1 | 3 | 5 | 8 | 9 => Ok(()),
            _ => self.idle.spend(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, len: u8) -> Vec<u8> {
        let mut all = vec![0, 0, len, kind, flags, 0, 0, 0, 0];
        all.resize(9 + usize::from(len), 0);
        all
    }

    #[test]
    fn heads_are_found_wherever_bytes_are_split() {
        let all = [PREFACE.to_vec(), frame(SETTINGS, 0, 6), frame(1, 4, 30), frame(GOAWAY, 0, 8)].concat();
        for step in 1..all.len() {
            let mut watch = Watch::new(Role::Server);
            for part in all.chunks(step) {
                watch.pass(part, 1).unwrap();
            }
            assert!(watch.greeted && watch.leaves, "{step}");
        }
    }

    #[test]
    fn settings_come_first() {
        for (first, out) in [(frame(SETTINGS, 0, 0), true), (frame(SETTINGS, ACK, 0), false), (frame(6, 0, 8), false)] {
            let passed = Watch::new(Role::Client { scheme: "http" }).pass(&first, 1);
            assert_eq!(passed, if out { Ok(()) } else { Err((0, Reason::PROTOCOL_ERROR)) });
        }
    }

    #[test]
    fn budgets_grow_again() {
        let mut watch = Watch::new(Role::Client { scheme: "http" });
        watch.pass(&frame(SETTINGS, 0, 0), 1).unwrap();
        let ping = frame(6, 0, 8);
        assert_eq!(watch.pass(&ping.repeat(5000), 1), Err((999 * 17, Reason::ENHANCE_YOUR_CALM)));
        let mut watch = Watch::new(Role::Client { scheme: "http" });
        watch.pass(&frame(SETTINGS, 0, 0), 1).unwrap();
        for second in 0..100 {
            watch.pass(&ping.repeat(200), 1000 * second).unwrap();
        }
    }
}
