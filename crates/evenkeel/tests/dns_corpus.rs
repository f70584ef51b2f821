//! The fuzzer's corpus of DNS messages, replayed without it (`fuzz/README.md`), and a million of its mutants.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../../../fuzz/checks/dns.rs"]
mod dns;

/// Mutants of the corpus that are asked.
const MUTANTS: usize = 1_000_000;

fn corpus() -> Vec<Vec<u8>> {
    let folder = format!("{}/../../fuzz/corpus/dns_message", env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 5, "{folder}: {}", paths.len());
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn the_fuzzers_corpus_holds() {
    for data in corpus() {
        dns::dns_message(&data);
        for at in 0..data.len() {
            dns::dns_message(&data[..at]);
            for byte in [0, 1, 0x3f, 0x40, 0x80, 0xc0, 0xff] {
                let mut changed = data.clone();
                changed[at] = byte;
                dns::dns_message(&changed);
            }
        }
    }
}

#[test]
fn a_million_mutants_are_answered_or_passed_over() {
    let seeds = corpus();
    // xorshift64*: the same mutants every time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = move |below: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        usize::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % below
    };
    for _ in 0..MUTANTS {
        let mut data = seeds[roll(seeds.len())].clone();
        for _ in 0..=roll(4) {
            let at = roll(data.len().max(1));
            match roll(5) {
                _ if data.is_empty() => data.push(0),
                0 => data[at] ^= 1 << roll(8),
                1 => data[at] = u8::try_from(roll(256)).unwrap(),
                2 => data.truncate(at),
                3 => data.insert(at, u8::try_from(roll(256)).unwrap()),
                _ => data.extend_from_within(at..),
            }
        }
        dns::dns_message(&data);
    }
}
