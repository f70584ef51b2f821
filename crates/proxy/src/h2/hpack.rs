//! Header compression (RFC 7541).
//!
//! Owns the decoder's table, which is as long as the road announces (4 KiB), and how fields are written: by the static
//! table, without a dynamic one of our own. So no secret of one request can be guessed from the size of another's, and
//! nothing of a peer's is kept for answers. Must never give out more than a [`List`] holds.

use std::collections::VecDeque;

use super::huffman;
use super::list::List;

/// Bytes of the decoder's table, counted as RFC 7541 §4.1 does.
pub const TABLE_LIMIT: usize = 4096;
const ENTRY_COST: usize = 32;

/// The compression is broken: the connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadBlock;

/// Reads header blocks of one connection, in their order.
#[derive(Debug)]
pub struct Decoder {
    /// The newest first: a name, a value.
    table: VecDeque<(Box<[u8]>, Box<[u8]>)>,
    size: usize,
    limit: usize,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { table: VecDeque::new(), size: 0, limit: TABLE_LIMIT, name: Vec::new(), value: Vec::new() }
    }
}

impl Decoder {
    /// Appends the fields of a whole block to `list`. A block that is too long for it is read to its end all the same:
    /// the table must follow.
    pub fn read(&mut self, mut block: &[u8], list: &mut List) -> Result<(), BadBlock> {
        let mut begun = false;
        while let Some(first) = block.first().copied() {
            match first {
                0x80.. => {
                    let index = integer(&mut block, 7)?;
                    let (name, value) = self.entry(index).ok_or(BadBlock)?;
                    list.push(name, value);
                }
                0x40.. => self.literal(&mut block, 6, true, list)?,
                0x20.. if begun => return Err(BadBlock),
                0x20.. => {
                    let limit = integer(&mut block, 5)?;
                    if limit > TABLE_LIMIT {
                        return Err(BadBlock);
                    }
                    self.limit = limit;
                    self.evict(0);
                    continue;
                }
                _ => self.literal(&mut block, 4, false, list)?,
            }
            begun = true;
        }
        Ok(())
    }

    fn literal(&mut self, block: &mut &[u8], prefix: u32, keep: bool, list: &mut List) -> Result<(), BadBlock> {
        let index = integer(block, prefix)?;
        let mut name = std::mem::take(&mut self.name);
        let mut value = std::mem::take(&mut self.value);
        name.clear();
        value.clear();
        if index == 0 {
            string(block, &mut name)?;
        } else {
            name.extend_from_slice(self.entry(index).ok_or(BadBlock)?.0);
        }
        string(block, &mut value)?;
        list.push(&name, &value);
        if keep {
            self.keep(&name, &value);
        }
        // What was long once is rarely long again.
        if name.capacity() + value.capacity() <= TABLE_LIMIT {
            (self.name, self.value) = (name, value);
        }
        Ok(())
    }

    fn entry(&self, index: usize) -> Option<(&[u8], &[u8])> {
        match index.checked_sub(STATIC.len() + 1) {
            None => STATIC.get(index.checked_sub(1)?).map(|(name, value)| (name.as_bytes(), value.as_bytes())),
            Some(index) => self.table.get(index).map(|(name, value)| (&**name, &**value)),
        }
    }

    fn keep(&mut self, name: &[u8], value: &[u8]) {
        let cost = name.len() + value.len() + ENTRY_COST;
        self.evict(cost);
        if cost <= self.limit {
            self.size += cost;
            self.table.push_front((name.into(), value.into()));
        }
    }

    fn evict(&mut self, room: usize) {
        while self.size + room > self.limit {
            let Some((name, value)) = self.table.pop_back() else { return };
            self.size -= name.len() + value.len() + ENTRY_COST;
        }
    }
}

/// An integer with a prefix of that many bits (RFC 7541 §5.1), of four bytes beyond it at most.
fn integer(block: &mut &[u8], prefix: u32) -> Result<usize, BadBlock> {
    let (first, mut rest) = block.split_first().ok_or(BadBlock)?;
    let mask = (1usize << prefix) - 1;
    let mut value = usize::from(*first) & mask;
    if value == mask {
        for shift in [0, 7, 14, 21, 28] {
            let (byte, more) = rest.split_first().ok_or(BadBlock)?;
            if shift == 28 {
                return Err(BadBlock);
            }
            rest = more;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *block = rest;
    Ok(value)
}

fn string(block: &mut &[u8], out: &mut Vec<u8>) -> Result<(), BadBlock> {
    let coded = block.first().ok_or(BadBlock)? & 0x80 != 0;
    let len = integer(block, 7)?;
    let text = block.get(..len).ok_or(BadBlock)?;
    *block = &block[len..];
    if coded {
        huffman::decode(text, out).map_err(|_| BadBlock)
    } else {
        out.extend_from_slice(text);
        Ok(())
    }
}

/// Appends the first word of a connection's first block: no dynamic table is used.
pub fn begin(out: &mut Vec<u8>) {
    out.push(0x20);
}

/// Appends `:status`.
pub fn status(status: u16, out: &mut Vec<u8>) {
    let digits = [b'0' + (status / 100 % 10) as u8, b'0' + (status / 10 % 10) as u8, b'0' + (status % 10) as u8];
    match STATIC[7..14].iter().position(|(_, known)| known.as_bytes() == digits) {
        Some(at) => out.push(0x80 | (8 + at) as u8),
        None => {
            out.extend_from_slice(&[0x08, 3]);
            out.extend_from_slice(&digits);
        }
    }
}

/// Appends a field; its name is written in lower case. Fields that hold secrets are marked, so that nobody on the way
/// puts them into a table (RFC 7541 §7.1.3).
pub fn field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let is = |text: &str| name.eq_ignore_ascii_case(text.as_bytes());
    let exact = |text: &str| text.as_bytes() == value;
    let known = STATIC.iter().position(|(known, _)| is(known));
    if let Some(from) = known {
        let mut same = STATIC[from..].iter().take_while(|(known, _)| is(known));
        if let Some(step) = same.position(|(_, known)| !known.is_empty() && exact(known)) {
            return out.push(0x80 | (from + step + 1) as u8);
        }
    }
    let secret = is("set-cookie") || is("cookie") || is("authorization") || is("proxy-authorization");
    let first = if secret { 0x10 } else { 0 };
    put_integer(known.map_or(0, |at| at + 1), 4, first, out);
    if known.is_none() {
        put_integer(name.len(), 7, 0, out);
        out.extend(name.iter().map(u8::to_ascii_lowercase));
    }
    put_integer(value.len(), 7, 0, out);
    out.extend_from_slice(value);
}

fn put_integer(value: usize, prefix: u32, first: u8, out: &mut Vec<u8>) {
    let mask = (1usize << prefix) - 1;
    if value < mask {
        return out.push(first | value as u8);
    }
    out.push(first | mask as u8);
    let mut rest = value - mask;
    while rest >= 128 {
        out.push((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    out.push(rest as u8);
}

/// RFC 7541 Appendix A.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, BadBlock> {
        let mut list = List::default();
        decoder.read(block, &mut list)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(list.iter().map(|(name, value)| (text(name), text(value))).collect())
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        digits.chunks(2).map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn the_examples_of_the_standard_are_read() {
        // RFC 7541 C.3 and C.4: the same three requests, plain and coded.
        for blocks in [
            [
                "828684410f7777772e6578616d706c652e636f6d",
                "828684be58086e6f2d6361636865",
                "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
            ],
            [
                "828684418cf1e3c2e5f23a6ba0ab90f4ff",
                "828684be5886a8eb10649cbf",
                "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
            ],
        ] {
            let mut decoder = Decoder::default();
            let first = read(&mut decoder, &hex(blocks[0])).unwrap();
            assert_eq!(first[3], (":authority".into(), "www.example.com".into()));
            let second = read(&mut decoder, &hex(blocks[1])).unwrap();
            assert_eq!(second[4], ("cache-control".into(), "no-cache".into()));
            let third = read(&mut decoder, &hex(blocks[2])).unwrap();
            assert_eq!(third[3], (":authority".into(), "www.example.com".into()));
            assert_eq!(third[4], ("custom-key".into(), "custom-value".into()));
            assert_eq!(decoder.size, 164);
        }
    }

    #[test]
    fn the_table_stays_within_its_limit() {
        let mut decoder = Decoder::default();
        for n in 0..1000 {
            let mut block = vec![0x40, 4];
            block.extend_from_slice(format!("{n:04}").as_bytes());
            block.extend_from_slice(&[1, b'v']);
            read(&mut decoder, &block).unwrap();
            assert!(decoder.size <= TABLE_LIMIT && decoder.table.len() <= TABLE_LIMIT / ENTRY_COST);
        }
        assert_eq!(read(&mut decoder, &[0xbe]).unwrap()[0].0, "0999");
        read(&mut decoder, &[0x20]).unwrap();
        assert!(decoder.table.is_empty() && decoder.size == 0);
        assert_eq!(read(&mut decoder, &[0xbe]), Err(BadBlock));
    }

    #[test]
    fn broken_blocks_are_refused() {
        for bad in [
            "80",
            "be",
            "ff",
            "ffffffffffff",
            "3fe21f",
            "8220",
            "40",
            "4001",
            "400161",
            "40016105",
            "418cf1e3",
            "00ff",
            "7f",
        ] {
            assert_eq!(read(&mut Decoder::default(), &hex(bad)), Err(BadBlock), "{bad}");
        }
        assert_eq!(read(&mut Decoder::default(), &hex("203fe11f82")).unwrap().len(), 1);
    }

    #[test]
    fn a_list_that_is_too_long_is_known_as_such() {
        let mut decoder = Decoder::default();
        let mut list = List::default();
        let mut block = vec![0x40, 1, b'a', 0x7f, 0x81, 0x1e];
        block.extend(std::iter::repeat_n(b'x', 4000));
        block.extend(std::iter::repeat_n(0xbe, 60_000));
        decoder.read(&block, &mut list).unwrap();
        assert!(list.is_too_long() && list.iter().count() < 1000);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(fields in prop::collection::vec(("[a-z-]{1,20}", "[ -~]{0,200}"), 0..20), code in 100u16..1000) {
            let mut block = Vec::new();
            begin(&mut block);
            status(code, &mut block);
            fields.iter().for_each(|(name, value)| field(name.as_bytes(), value.as_bytes(), &mut block));
            let mut all = vec![(":status".to_owned(), code.to_string())];
            all.extend(fields);
            prop_assert_eq!(read(&mut Decoder::default(), &block), Ok(all));
        }

        #[test]
        fn nothing_panics(block in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&mut Decoder::default(), &block);
        }
    }
}
