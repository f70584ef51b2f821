//! The fuzzer's corpora, replayed without it: what `cargo fuzz` once found stays found (`fuzz/README.md`).
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../../../fuzz/checks/wire.rs"]
mod wire;

#[test]
fn the_fuzzers_corpora_hold() {
    for (target, check) in wire::TARGETS {
        let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let mut count = 0;
        for entry in std::fs::read_dir(&folder).unwrap() {
            let data = std::fs::read(entry.unwrap().path()).unwrap();
            check(&data);
            // And everything that is one cut or one changed byte away.
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
}
