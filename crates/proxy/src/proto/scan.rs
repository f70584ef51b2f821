//! Where a head ends.
//!
//! Owns the search for the empty line, resumed where it stopped, so that a head that comes byte by byte costs no more
//! than one that comes whole. Must never look into fields: [`super::field`] does, once the head is complete.

/// Bytes a head may have, its empty line included; spans are 16 bits wide.
pub const HEAD_LIMIT: usize = 65_535;
/// Bytes a request or status line may have (AWS, "Quotas for Application Load Balancers": 16 K).
pub const LINE_LIMIT: usize = 16_384;

/// A search through bytes that grow at their end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scanner {
    at: usize,
    first_line_ended: bool,
}

/// What a search has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// Not the end yet.
    More,
    /// A head, from `start` (after a tolerated empty line) to before `end`.
    Head {
        /// Its first byte.
        start: usize,
        /// The byte after its empty line.
        end: usize,
    },
    /// A line not ended by CRLF, a second empty line before the head, or a first byte that begins no head.
    Broken,
    /// The first line is longer than [`LINE_LIMIT`].
    LineTooLong,
    /// The head is longer than [`HEAD_LIMIT`].
    TooLong,
}

impl Scanner {
    /// Searches on; `bytes` must begin with what was given before. Only a request may have an empty line before it
    /// (RFC 9112 §2.2).
    pub fn search(&mut self, bytes: &[u8], tolerate_empty_line: bool) -> Scan {
        let mut start = 0;
        if tolerate_empty_line && bytes.first() == Some(&b'\r') {
            match bytes.get(1) {
                None => return Scan::More,
                Some(b'\n') => start = 2,
                Some(_) => return Scan::Broken,
            }
        }
        match bytes.get(start) {
            None => return Scan::More,
            Some(first) if !is_token_byte(*first) => return Scan::Broken,
            Some(_) => {}
        }
        let mut at = self.at.max(start);
        while let Some(step) = find(&bytes[at..bytes.len().min(at + HEAD_LIMIT + 1)], b'\n') {
            let lf = at + step;
            if !self.first_line_ended && lf - start >= LINE_LIMIT {
                return Scan::LineTooLong;
            }
            if lf - start >= HEAD_LIMIT {
                return Scan::TooLong;
            }
            if lf == start || bytes[lf - 1] != b'\r' {
                return Scan::Broken;
            }
            self.first_line_ended = true;
            at = lf + 1;
            if lf >= start + 3 && bytes[lf - 3..lf] == *b"\r\n\r" {
                return Scan::Head { start, end: at };
            }
        }
        self.at = bytes.len();
        if !self.first_line_ended && bytes.len() - start > LINE_LIMIT {
            return Scan::LineTooLong;
        }
        if bytes.len() - start > HEAD_LIMIT {
            return Scan::TooLong;
        }
        Scan::More
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;

/// Where the first byte of `word` that is zero stands, as the top bit of it; bits above may be wrong.
fn zero(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & TOPS
}

/// Where the first byte stands that `hit` marks in a word of eight, or that `is` finds in what is left.
fn first(bytes: &[u8], hit: impl Fn(u64) -> u64, is: impl Fn(u8) -> bool) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let marks = hit(u64::from_le_bytes(*word));
        if marks != 0 {
            return Some(index * 8 + marks.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|b| is(*b)).map(|at| words.len() * 8 + at)
}

/// Where `byte` first stands.
pub(super) fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    first(bytes, |word| zero(word ^ (ONES * u64::from(byte))), |b| b == byte)
}

/// Where the first control stands: anything below a space, or DEL.
pub(super) fn find_control(bytes: &[u8]) -> Option<usize> {
    let below_space = |word: u64| word.wrapping_sub(ONES * 0x20) & !word & TOPS;
    first(bytes, |word| below_space(word) | zero(word ^ (ONES * 0x7f)), |b| b < 0x20 || b == 0x7f)
}

/// A byte of a token (RFC 9110 §5.6.2).
#[must_use]
pub fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let mark = matches!(
            b,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        );
        table[byte] = b.is_ascii_alphanumeric() || mark;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_where_a_plain_search_finds_them() {
        for byte in 0..=255u8 {
            for at in 0..20 {
                for filler in [b'a', 0x80, 0xff, b' ', byte.wrapping_sub(1), byte.wrapping_add(1)] {
                    let mut bytes = [filler; 20];
                    bytes[at] = byte;
                    assert_eq!(find(&bytes, byte), bytes.iter().position(|b| *b == byte), "{bytes:?}");
                    let control = bytes.iter().position(|b| *b < 0x20 || *b == 0x7f);
                    assert_eq!(find_control(&bytes), control, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn the_end_is_found_wherever_bytes_are_split() {
        let check = |text: &[u8], out: Scan| {
            assert_eq!(Scanner::default().search(text, true), out, "{}", text.escape_ascii());
            let mut scanner = Scanner::default();
            let mut last = Scan::More;
            for len in 0..=text.len() {
                last = scanner.search(&text[..len], true);
                if last != Scan::More {
                    break;
                }
            }
            assert_eq!(last, out, "byte by byte: {}", text.escape_ascii());
        };
        check(b"GET / HTTP/1.1\r\nA: b\r\n\r\n", Scan::Head { start: 0, end: 24 });
        check(b"\r\nGET /\r\n\r\nrest", Scan::Head { start: 2, end: 11 });
        check(b"\r\n\r\nGET /\r\n\r\n", Scan::Broken);
        check(b"GET /\r\nA: b\n\r\n", Scan::Broken);
        check(b"GET /\n\n", Scan::Broken);
        check(b"\nGET /", Scan::Broken);
        check(b"\rGET /", Scan::Broken);
        check(b"\x16\x03\x01", Scan::Broken);
        check(b" GET /", Scan::Broken);
        check(b"GET /\r\n", Scan::More);
        check(&[b'a'; LINE_LIMIT + 1], Scan::LineTooLong);
        let mut long = b"GET /\r\n".to_vec();
        long.resize(HEAD_LIMIT + 10, b'a');
        check(&long, Scan::TooLong);
    }
}
