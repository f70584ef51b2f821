//! The fuzzer's corpora, replayed without it: what `cargo fuzz` once found stays found (`fuzz/README.md`).
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../../../fuzz/checks/differ.rs"]
mod differ;
#[path = "../../../fuzz/checks/wire.rs"]
mod wire;

#[test]
fn the_fuzzers_corpora_hold() {
    for (target, check) in wire::TARGETS {
        replay(target, check);
    }
}

#[test]
fn a_second_reader_understands_the_same() {
    let mut compared = 0;
    for corpus in ["request_head", "request_meaning"] {
        replay(corpus, |data| compared += differ::request_meaning(data));
    }
    assert!(compared > 4_000, "only {compared} comparisons were made");
}

/// Every input of a corpus, and everything that is one cut or one changed byte away.
fn replay(corpus: &str, mut check: impl FnMut(&[u8])) {
    let folder = format!("{}/../../fuzz/corpus/{corpus}", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let data = std::fs::read(entry.unwrap().path()).unwrap();
        check(&data);
        for at in 0..data.len().min(400) {
            check(&data[..at]);
            let mut changed = data.clone();
            for byte in [0, b'\n', b'\r', b' ', b':', 0xff] {
                changed[at] = byte;
                check(&changed);
            }
        }
        count += 1;
    }
    assert!(count >= 5, "{folder}: {count}");
}
