//! The fuzzer's corpora of the API, replayed without it: what `cargo fuzz` once found stays found (`fuzz/README.md`).

#[path = "../../../fuzz/checks/codec.rs"]
mod codec;

#[test]
fn the_fuzzers_corpora_hold() {
    for (target, check) in codec::TARGETS {
        replay(target, check);
    }
}

#[test]
fn the_corpora_of_signatures_verify() {
    for corpus in ["sigv4", "sigv2"] {
        let folder = format!("{}/../../fuzz/corpus/{corpus}", env!("CARGO_MANIFEST_DIR"));
        for entry in std::fs::read_dir(&folder).expect(&folder) {
            let path = entry.expect("an entry").path();
            assert!(codec::is_believed(&std::fs::read(&path).expect("an input")), "{}", path.display());
        }
    }
}

/// Every input of a corpus, and everything that is one cut or one changed byte away.
fn replay(corpus: &str, check: fn(&[u8])) {
    let folder = format!("{}/../../fuzz/corpus/{corpus}", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect(&folder) {
        let data = std::fs::read(entry.expect("an entry").path()).expect("an input");
        check(&data);
        for at in 0..data.len().min(400) {
            check(&data[..at]);
            let mut changed = data.clone();
            for byte in [0, b'\n', b'&', b'.', b'%', b'"', 0x9f, 0xff] {
                changed[at] = byte;
                check(&changed);
            }
        }
        count += 1;
    }
    assert!(count >= 5, "{folder}: {count}");
}
