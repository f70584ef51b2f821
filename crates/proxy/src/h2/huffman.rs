//! The Huffman code of header compression (RFC 7541 Appendix B).
//!
//! Owns decoding. Encoding is never done: what is sent goes out as it is, which costs bytes and saves time. The code is
//! canonical, so that the lengths of its words are all there is to know.

/// Bits of each symbol's word; the last one is the end, which must not be sent.
const BITS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
    22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
    22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26, 30,
];
const LONGEST: usize = 30;
const END: u16 = 256;

/// The words of one length: the first of them, and where its symbol stands in `ORDER`.
#[derive(Clone, Copy)]
struct Rank {
    first: u32,
    count: u32,
    at: usize,
}

struct Code {
    order: [u16; 257],
    ranks: [Rank; LONGEST + 1],
    /// By the next eight bits: the symbol and its bits; zero bits where the word is longer.
    short: [(u8, u8); 256],
}

static CODE: Code = build();

const fn build() -> Code {
    let mut code =
        Code { order: [0; 257], ranks: [Rank { first: 0, count: 0, at: 0 }; LONGEST + 1], short: [(0, 0); 256] };
    let (mut bits, mut word, mut at) = (1, 0u32, 0);
    while bits <= LONGEST {
        word <<= 1;
        code.ranks[bits] = Rank { first: word, count: 0, at };
        let mut symbol = 0;
        while symbol < BITS.len() {
            if BITS[symbol] as usize == bits {
                code.order[at] = symbol as u16;
                at += 1;
                code.ranks[bits].count += 1;
                if bits <= 8 {
                    let from = (word << (8 - bits)) as usize;
                    let mut fill = 0;
                    while fill < 1 << (8 - bits) {
                        code.short[from + fill] = (symbol as u8, bits as u8);
                        fill += 1;
                    }
                }
                word += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    code
}

/// The text is not well coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadCode;

/// Appends the text that `coded` stands for: at most 1.6 times its length.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), BadCode> {
    let (mut held, mut count) = (0u64, 0u32);
    let mut input = coded.iter();
    loop {
        while count <= 48 {
            let Some(byte) = input.next() else { break };
            held = held << 8 | u64::from(*byte);
            count += 8;
        }
        if count == 0 {
            return Ok(());
        }
        // The words at hand, from the top bit on; ones follow, as in the padding.
        let window = held << (64 - count) | (u64::MAX >> count) * u64::from(count < 64);
        let (symbol, bits) = CODE.short[(window >> 56) as usize];
        if bits > 0 && u32::from(bits) <= count {
            out.push(symbol);
            count -= u32::from(bits);
        } else if let Some((symbol, bits)) = long(window).filter(|(_, bits)| *bits <= count) {
            // The end itself must not be there.
            out.push(u8::try_from(symbol).map_err(|_| BadCode)?);
            count -= bits;
        } else {
            // Padding is shorter than a byte, and all ones.
            let ones = (1u64 << count) - 1;
            return if count < 8 && held & ones == ones { Ok(()) } else { Err(BadCode) };
        }
        held &= (1u64 << count) - 1;
    }
}

fn long(window: u64) -> Option<(u16, u32)> {
    for bits in 5..=LONGEST {
        let rank = CODE.ranks[bits];
        let word = (window >> (64 - bits)) as u32;
        if let Some(step) = word.checked_sub(rank.first)
            && step < rank.count
        {
            let symbol = CODE.order[rank.at + step as usize];
            debug_assert!(symbol <= END);
            return Some((symbol, bits as u32));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits = String::new();
        for byte in text {
            let len = usize::from(BITS[usize::from(*byte)]);
            let at = CODE.order.iter().position(|symbol| *symbol == u16::from(*byte)).unwrap();
            let word = CODE.ranks[len].first as usize + at - CODE.ranks[len].at;
            bits.push_str(&format!("{word:0len$b}"));
        }
        while !bits.len().is_multiple_of(8) {
            bits.push('1');
        }
        bits.as_bytes().chunks(8).map(|c| u8::from_str_radix(std::str::from_utf8(c).unwrap(), 2).unwrap()).collect()
    }

    #[test]
    fn every_text_reads_back() {
        let all: Vec<u8> = (0..=255).collect();
        for from in 0..all.len() {
            for len in [1, 2, 3, 7, 40] {
                let text = &all[from..(from + len).min(256)];
                let mut out = Vec::new();
                assert_eq!(decode(&encode(text), &mut out), Ok(()));
                assert_eq!(out, text);
            }
        }
        // RFC 7541 C.4.1.
        let mut out = Vec::new();
        decode(&[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff], &mut out).unwrap();
        assert_eq!(out, b"www.example.com");
    }

    #[test]
    fn bad_padding_and_the_end_are_refused() {
        for bad in [&[0xff][..], &[0xff, 0xff, 0xff, 0xff], &[0x00], &[0x07, 0xff], &[0xff, 0xff, 0xff, 0xfc]] {
            assert_eq!(decode(bad, &mut Vec::new()), Err(BadCode), "{bad:x?}");
        }
        assert_eq!(decode(&[0x07], &mut Vec::new()), Ok(()));
        assert_eq!(decode(&[], &mut Vec::new()), Ok(()));
    }
}
