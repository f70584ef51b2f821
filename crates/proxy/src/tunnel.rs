//! Bytes one way through a TCP connection, without I/O.
//!
//! Owns what was read and not yet written, and how the end of one side reaches the other. Must never hold more than
//! [`PIPE_LIMIT`]: a side whose peer does not read is not read either. A tunnel is two of these.

/// Bytes read ahead of a slow reader.
pub const PIPE_LIMIT: usize = 64 * 1024;

/// One direction. While nothing waits it holds no buffer.
#[derive(Debug, Default)]
pub struct Pipe {
    waiting: Vec<u8>,
    at: usize,
    eof: bool,
    closed: bool,
}

impl Pipe {
    /// Whether its source may be read: only when everything read before was written.
    #[must_use]
    pub fn wants(&self) -> bool {
        !self.eof && self.waiting.is_empty()
    }

    /// Keeps what its sink did not take of the bytes just read.
    pub fn keep(&mut self, rest: &[u8]) {
        self.waiting.extend_from_slice(rest);
    }

    /// Bytes for the sink.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        &self.waiting[self.at..]
    }

    /// The sink took that many of them.
    pub fn sent(&mut self, count: usize) {
        self.at = (self.at + count).min(self.waiting.len());
        if self.at == self.waiting.len() {
            self.waiting = Vec::new();
            self.at = 0;
        }
    }

    /// The source has ended.
    pub fn end(&mut self) {
        self.eof = true;
    }

    /// True once, when the source has ended and all its bytes were written: the sink is to be told.
    pub fn closes(&mut self) -> bool {
        let now = self.eof && self.waiting.is_empty() && !self.closed;
        self.closed |= now;
        now
    }

    /// Whether the end was passed on.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_follows_the_last_byte_and_a_full_pipe_is_not_fed() {
        let mut pipe = Pipe::default();
        assert!(pipe.wants());
        pipe.keep(b"hello");
        assert!(!pipe.wants());
        pipe.sent(2);
        assert_eq!(pipe.unsent(), b"llo");
        pipe.end();
        assert!(!pipe.closes());
        pipe.sent(3);
        assert!(pipe.closes() && !pipe.closes() && pipe.is_closed());
        assert!(!pipe.wants());
    }
}
