//! A body, piece by piece.
//!
//! Owns where it ends. Must never hold bytes: it says which of those given are data, and which are trailers. Chunk
//! extensions are checked and dropped. Source: RFC 9112 §6, §7.1.

use super::field::value_len;
use super::scan::is_token_byte;

/// Bytes the extensions of one chunk may have.
pub const EXTENSION_LIMIT: u16 = 4096;
/// Bytes all trailers of a body may have.
pub const TRAILER_LIMIT: u16 = 16_384;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After that many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// When the connection ends; responses only.
    UntilClose,
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Data of the body, never empty.
    Data(&'a [u8]),
    /// Part of the trailers, lines with their ends; never empty. [`super::trailers`] says which may cross.
    Trailer(&'a [u8]),
    /// All bytes are taken and the body goes on.
    More,
    /// The body is complete; what follows is not part of it.
    End,
}

/// The body breaks the grammar of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadChunk;

/// Reads one body.
#[derive(Clone, Copy, Debug)]
pub struct BodyReader {
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Done,
    Length(u64),
    UntilClose,
    Size { value: u64, digits: u8 },
    Extension { value: u64, seen: u16, quote: Quote },
    SizeLf { value: u64 },
    Data(u64),
    DataCr,
    DataLf,
    TrailerStart { seen: u16 },
    TrailerName { seen: u16 },
    TrailerValue { seen: u16 },
    TrailerLf { seen: u16 },
    EndLf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quote {
    Outside,
    Inside,
    Escaped,
}

impl BodyReader {
    /// A reader at the beginning of a body.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(n) => State::Length(n),
            Framing::Chunked => State::Size { value: 0, digits: 0 },
            Framing::UntilClose => State::UntilClose,
        };
        Self { state }
    }

    /// Whether the body is complete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The connection ended: true when that is how this body was to end.
    pub fn finish(&mut self) -> bool {
        if matches!(self.state, State::UntilClose) {
            self.state = State::Done;
        }
        self.is_done()
    }

    /// Takes bytes from the front of `input` up to the end of the next piece.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Piece<'a>, BadChunk> {
        loop {
            match &mut self.state {
                State::Done => return Ok(Piece::End),
                _ if input.is_empty() => return Ok(Piece::More),
                State::UntilClose => return Ok(Piece::Data(std::mem::take(input))),
                State::Length(left) => {
                    let data = take(input, left);
                    if *left == 0 {
                        self.state = State::Done;
                    }
                    return Ok(Piece::Data(data));
                }
                State::Data(left) => {
                    let data = take(input, left);
                    if *left == 0 {
                        self.state = State::DataCr;
                        if let Some(rest) = input.strip_prefix(b"\r\n") {
                            *input = rest;
                            self.state = State::Size { value: 0, digits: 0 };
                        }
                    }
                    return Ok(Piece::Data(data));
                }
                State::Size { digits: 0, .. } if let Some((value, rest)) = size_line(input) => {
                    *input = rest;
                    self.state = State::sized(value);
                }
                State::TrailerStart { .. }
                | State::TrailerName { .. }
                | State::TrailerValue { .. }
                | State::TrailerLf { .. } => {
                    let lines = self.trailers(input)?;
                    if !lines.is_empty() {
                        return Ok(Piece::Trailer(lines));
                    }
                }
                _ => {
                    let byte = input[0];
                    *input = &input[1..];
                    self.state = self.state.step(byte)?;
                }
            }
        }
    }
}

impl BodyReader {
    /// Takes what is there of the trailers, and the byte that shows their end.
    fn trailers<'a>(&mut self, input: &mut &'a [u8]) -> Result<&'a [u8], BadChunk> {
        let all = *input;
        let mut at = 0;
        while at < all.len() {
            if let State::TrailerStart { seen } = self.state {
                if let Some(rest) = all[at..].strip_prefix(b"\r\n") {
                    *input = rest;
                    self.state = State::Done;
                    return Ok(&all[..at]);
                }
                if let Some(len) =
                    trailer_line(&all[at..]).filter(|len| usize::from(seen) + len <= usize::from(TRAILER_LIMIT))
                {
                    at += len;
                    self.state = State::TrailerStart { seen: seen + len as u16 };
                    continue;
                }
            }
            self.state = self.state.step(all[at])?;
            if matches!(self.state, State::EndLf) {
                *input = &all[at + 1..];
                return Ok(&all[..at]);
            }
            at += 1;
        }
        *input = &[];
        Ok(all)
    }
}

/// The size that a whole line without extensions says, and what follows the line. Whatever is not just that is for
/// [`State::step`] to take byte by byte, or to refuse: most lines are just that.
fn size_line(input: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    // So many digits are always a number that is not too great.
    for (at, byte) in input.iter().take(16).enumerate() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' | b'A'..=b'F' => (byte | 0x20) - b'a' + 10,
            _ => return (at > 0).then_some(value).zip(input[at..].strip_prefix(b"\r\n")),
        };
        value = value << 4 | u64::from(digit);
    }
    None
}

/// The length of a whole line of trailers, its end included. Whatever is not just that is for [`State::step`].
fn trailer_line(input: &[u8]) -> Option<usize> {
    let colon = input.iter().position(|byte| !is_token_byte(*byte)).filter(|at| *at > 0 && input[*at] == b':')?;
    let end = colon + 1 + value_len(&input[colon + 1..])?;
    input[end..].starts_with(b"\r\n").then_some(end + 2)
}

fn take<'a>(input: &mut &'a [u8], left: &mut u64) -> &'a [u8] {
    let len = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    let (data, rest) = input.split_at(len);
    *input = rest;
    *left -= len as u64;
    data
}

impl State {
    /// After the line that says a chunk's size.
    fn sized(value: u64) -> Self {
        if value == 0 { Self::TrailerStart { seen: 0 } } else { Self::Data(value) }
    }

    /// One byte between data.
    fn step(self, byte: u8) -> Result<Self, BadChunk> {
        Ok(match (self, byte) {
            // Sixteen digits at most, and nothing that is negative to whoever counts in signed numbers.
            (Self::Size { value, digits: 0..16 }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F')
                if value <= i64::MAX as u64 >> 4 =>
            {
                let digit = char::from(byte).to_digit(16).ok_or(BadChunk)?;
                let Self::Size { digits, .. } = self else { return Err(BadChunk) };
                Self::Size { value: value << 4 | u64::from(digit), digits: digits + 1 }
            }
            (Self::Size { value, digits: 1.. }, b'\r') => Self::SizeLf { value },
            (Self::Size { value, digits: 1.. }, b';') => Self::Extension { value, seen: 0, quote: Quote::Outside },
            (Self::Extension { seen: EXTENSION_LIMIT.., .. }, _) => return Err(BadChunk),
            (Self::Extension { value, quote: Quote::Outside, .. }, b'\r') => Self::SizeLf { value },
            (Self::Extension { value, seen, quote }, _) => {
                Self::Extension { value, seen: seen + 1, quote: quote.step(byte)? }
            }
            (Self::SizeLf { value }, b'\n') => Self::sized(value),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::Size { value: 0, digits: 0 },
            (Self::TrailerStart { .. }, b'\r') => Self::EndLf,
            (Self::EndLf, b'\n') => Self::Done,
            (Self::TrailerStart { seen } | Self::TrailerName { seen }, _)
                if seen < TRAILER_LIMIT && is_token_byte(byte) =>
            {
                Self::TrailerName { seen: seen + 1 }
            }
            (Self::TrailerName { seen }, b':') => Self::TrailerValue { seen },
            (Self::TrailerValue { seen }, b'\r') => Self::TrailerLf { seen },
            (Self::TrailerValue { seen }, b'\t' | b' '..=b'~' | 0x80..) if seen < TRAILER_LIMIT => {
                Self::TrailerValue { seen: seen + 1 }
            }
            // The colon and the line's end count as well.
            (Self::TrailerLf { seen }, b'\n') => Self::TrailerStart { seen: seen + 3 },
            _ => return Err(BadChunk),
        })
    }
}

impl Quote {
    /// One byte of an extension: a token, its value or a quoted string, which alone may hold anything visible.
    fn step(self, byte: u8) -> Result<Self, BadChunk> {
        let visible = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        match (self, byte) {
            (Self::Outside, b'"') => Ok(Self::Inside),
            (Self::Outside, b';' | b'=' | b' ' | b'\t') => Ok(Self::Outside),
            (Self::Outside, _) if is_token_byte(byte) => Ok(Self::Outside),
            (Self::Inside, b'"') => Ok(Self::Outside),
            (Self::Inside, b'\\') => Ok(Self::Escaped),
            (Self::Inside | Self::Escaped, _) if visible => Ok(Self::Inside),
            _ => Err(BadChunk),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(framing: Framing, input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), BadChunk> {
        read_all(framing, input, step).map(|(data, _, used, done)| (data, used, done))
    }

    /// Data, trailers, bytes used, and whether it is complete.
    fn read_all(framing: Framing, input: &[u8], step: usize) -> Result<(Vec<u8>, Vec<u8>, usize, bool), BadChunk> {
        let mut reader = BodyReader::new(framing);
        let (mut data, mut trailers, mut used) = (Vec::new(), Vec::new(), 0);
        for chunk in input.chunks(step.max(1)) {
            let mut rest = chunk;
            loop {
                match reader.next(&mut rest)? {
                    Piece::Data(piece) => data.extend_from_slice(piece),
                    Piece::Trailer(lines) => {
                        assert!(!lines.is_empty());
                        trailers.extend_from_slice(lines);
                    }
                    Piece::More => break,
                    Piece::End => return Ok((data, trailers, used + chunk.len() - rest.len(), true)),
                }
            }
            used += chunk.len();
        }
        Ok((data, trailers, used, reader.is_done()))
    }

    #[test]
    fn chunks_are_read_strictly() {
        let check = |input: &str, out: Option<&str>| {
            for step in [1, 2, 3, input.len()] {
                let read = read(Framing::Chunked, input.as_bytes(), step);
                let data = read.ok().filter(|(_, used, done)| *done && *used == input.len());
                let data = data.map(|(data, ..)| String::from_utf8_lossy(&data).into_owned());
                assert_eq!(data.as_deref(), out, "{input:?} by {step}");
            }
        };
        check("5\r\nhello\r\n0\r\n\r\n", Some("hello"));
        check("5\r\nhello\r\n001\r\n!\r\n000\r\n\r\n", Some("hello!"));
        check("0\r\n\r\n", Some(""));
        check("1;a=b;c=\"d;\\\"e\"\r\nx\r\n0;z\r\nContent-Length: 5\r\nB:\r\n\r\n", Some("x"));
        for bad in [
            "0x5\r\nhello\r\n0\r\n\r\n",
            "+5\r\nhello",
            "-5\r\n",
            "0_5\r\n",
            " 5\r\n",
            "5 \r\nhello",
            "G\r\n",
            "\r\n",
            "\0",
            ";\r\n",
            "00000000000000005\r\nhello",
            "FFFFFFFFFFFFFFFF\r\n",
            "8000000000000000\r\n",
            "5\nhello",
            "5\rhello",
            "5\r\nhello\n0",
            "5\r\nhelloXX0\r\n\r\n",
            "5\r\nhello!\r\n",
            "0\n\n",
            "0\r\n\n",
            "5;a\nhello",
            "5;a\r;\n",
            "5\r;a\n",
            "5;a=\"b\r\nhello",
            "5;a\0\r\n",
            "0\r\nA\r\n\r\n",
            "0\r\nA : b\r\n",
            "0\r\nA: \0\r\n",
            "0\r\nA: b\n\r\n",
            "0\r\n A: b\r\n",
            "0\r\n: b\r\n",
        ] {
            assert_eq!(read(Framing::Chunked, bad.as_bytes(), 1).map(|r| r.2), Err(BadChunk), "{bad:?}");
        }
        let long = format!("5;{}", "a".repeat(100_000));
        assert_eq!(read(Framing::Chunked, long.as_bytes(), 4096).map(|r| r.2), Err(BadChunk));
        let trailers = format!("0\r\n{}", "a: b\r\n".repeat(50_000));
        assert_eq!(read(Framing::Chunked, trailers.as_bytes(), 4096).map(|r| r.2), Err(BadChunk));
    }

    #[test]
    fn what_follows_a_body_is_left() {
        assert_eq!(read(Framing::Length(3), b"abcGET", 100), Ok((b"abc".to_vec(), 3, true)));
        assert_eq!(read(Framing::None, b"GET", 100), Ok((vec![], 0, true)));
        assert_eq!(read(Framing::Chunked, b"0\r\n\r\nGET", 100), Ok((vec![], 5, true)));
        let mut until_close = BodyReader::new(Framing::UntilClose);
        assert!(!until_close.is_done() && until_close.finish());
        assert!(!BodyReader::new(Framing::Length(1)).finish());
    }

    /// A whole line is taken at once where it is there, and byte by byte where it is not: the outcome is the same.
    fn split(input: &[u8], step: usize) {
        let whole = read_all(Framing::Chunked, input, input.len());
        for step in [1, step] {
            assert_eq!(read_all(Framing::Chunked, input, step), whole, "{} by {step}", input.escape_ascii());
        }
    }

    #[test]
    fn limits_hold_however_lines_are_split() {
        for digits in 1..20 {
            split(format!("{}\r\n\r\n", "0".repeat(digits)).as_bytes(), 3);
            split(format!("{}\r\n", "7".repeat(digits)).as_bytes(), 3);
            split(format!("{}\r\n", "f".repeat(digits)).as_bytes(), 3);
        }
        let limit = usize::from(TRAILER_LIMIT);
        for over in limit - 8..limit + 8 {
            split(format!("0\r\na: {}\r\n\r\n", "b".repeat(over)).as_bytes(), 5);
            split(format!("0\r\n{}c: d\r\n\r\n", "a: b\r\n".repeat(over / 6)).as_bytes(), 5);
            split(format!("0\r\na: {}\r\nc: d\r\n\r\n", "b".repeat(over - 10)).as_bytes(), 5);
        }
    }

    proptest! {
        #[test]
        fn splits_change_nothing(input in "[0-9a-f;\"=\r\n xG\0]{0,60}", step in 1usize..7) {
            split(input.as_bytes(), step);
        }

        #[test]
        fn splits_of_what_is_nearly_right_change_nothing(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "\r\n", "0\r\n", "5\r\nhello\r\n", "5;a=b\r\nhello\r\n", "a\r\n", "A: b\r\n", "c:\t\r\n", "\r", "\n", ":",
                    "5", ";", " ", "0000000000000000\r\n", "\u{e9}: b\r\n", "d: \u{e9}\r\n", "\0", "\x7f", "0\r\n\r\n",
                ]),
                0..12,
            ),
            step in 1usize..7,
        ) {
            split(parts.concat().as_bytes(), step);
        }

        #[test]
        fn emitted_chunks_read_back(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6), step in 1usize..50) {
            let mut wire = Vec::new();
            pieces.iter().for_each(|piece| super::super::emit::chunk(piece, &mut wire));
            super::super::emit::last_chunk(&[], &mut wire);
            let read = read(Framing::Chunked, &wire, step);
            prop_assert_eq!(read, Ok((pieces.concat(), wire.len(), true)));
        }
    }
}
