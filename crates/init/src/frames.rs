//! Many connections over one stream of bytes.
//!
//! Owns the format: a kind (1 byte), a connection's number (4 bytes), a length (4 bytes), both big-endian, and that many
//! bytes. Must never hold more of a peer's than one frame, nor take a frame for another after a malformed one.

/// The most bytes that one frame carries: 32 KiB.
pub const MOST: usize = 32 * 1024;
const HEAD: usize = 9;

/// What is said of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Somebody connected at this door; doors are counted in the order in which they were named.
    Open {
        /// The connection, numbered by who accepted it.
        connection: u32,
        /// Where.
        door: u8,
    },
    /// Bytes of it.
    Bytes {
        /// The connection.
        connection: u32,
        /// At most [`MOST`].
        bytes: Vec<u8>,
    },
    /// Whoever says this has nothing more to say on it.
    End {
        /// The connection.
        connection: u32,
    },
    /// It is over in both directions, whatever was under way.
    Gone {
        /// The connection.
        connection: u32,
    },
}

impl Frame {
    /// The frame as it travels.
    #[must_use]
    pub fn encoded(&self) -> Vec<u8> {
        let door_byte;
        let (kind, connection, bytes): (u8, u32, &[u8]) = match self {
            Self::Open { connection, door } => {
                door_byte = [*door];
                (0, *connection, &door_byte)
            }
            Self::Bytes { connection, bytes } => (1, *connection, bytes),
            Self::End { connection } => (2, *connection, &[]),
            Self::Gone { connection } => (3, *connection, &[]),
        };
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let mut out = Vec::with_capacity(HEAD + bytes.len());
        out.push(kind);
        out.extend(connection.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend(bytes);
        out
    }
}

/// What cannot be a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Takes a stream apart, in whatever pieces it comes.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
}

impl Frames {
    /// Takes what was read. Every frame must be taken with [`Frames::next_frame`] before more is pushed.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, if all of it has come.
    ///
    /// # Errors
    /// The stream is no stream of frames; nothing after this point can be believed.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Malformed> {
        let Some((head, rest)) = self.buffer.split_first_chunk::<HEAD>() else { return Ok(None) };
        let [kind, c0, c1, c2, c3, l0, l1, l2, l3] = *head;
        let connection = u32::from_be_bytes([c0, c1, c2, c3]);
        let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).map_err(|_| Malformed)?;
        if length > MOST {
            return Err(Malformed);
        }
        let Some(bytes) = rest.get(..length) else { return Ok(None) };
        let frame = match (kind, bytes) {
            (0, [door]) => Frame::Open { connection, door: *door },
            (1, bytes) => Frame::Bytes { connection, bytes: bytes.to_vec() },
            (2, []) => Frame::End { connection },
            (3, []) => Frame::Gone { connection },
            _ => return Err(Malformed),
        };
        self.buffer.drain(..HEAD + length);
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_whatever_the_pieces() {
        let sent = [
            Frame::Open { connection: 7, door: 1 },
            Frame::Bytes { connection: 7, bytes: b"GET / HTTP/1.1\r\n".to_vec() },
            Frame::Bytes { connection: u32::MAX, bytes: vec![0; MOST] },
            Frame::End { connection: 7 },
            Frame::Gone { connection: 0 },
        ];
        let stream: Vec<u8> = sent.iter().flat_map(Frame::encoded).collect();
        for piece in [1, 8, 9, 10, 4096, stream.len()] {
            let (mut frames, mut heard) = (Frames::default(), Vec::new());
            for bytes in stream.chunks(piece) {
                frames.push(bytes);
                while let Some(frame) = frames.next_frame().unwrap() {
                    heard.push(frame);
                }
            }
            assert_eq!(heard, sent, "in pieces of {piece}");
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let check = |bytes: &[u8]| {
            let mut frames = Frames::default();
            frames.push(bytes);
            assert_eq!(frames.next_frame(), Err(Malformed), "{bytes:?}");
        };
        check(&[9, 0, 0, 0, 1, 0, 0, 0, 0]);
        check(&[1, 0, 0, 0, 1, 0, 0, 0x80, 1]);
        check(&[0, 0, 0, 0, 1, 0, 0, 0, 0]);
        check(&[2, 0, 0, 0, 1, 0, 0, 0, 1, b'x']);
    }
}
