//! The fuzzer's corpus of proxy files, replayed without it (`fuzz/README.md`).
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../../../fuzz/checks/file.rs"]
mod file;

#[test]
fn the_fuzzers_corpus_holds() {
    let folder = format!("{}/../../fuzz/corpus/proxy_file", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let data = std::fs::read(entry.unwrap().path()).unwrap();
        file::proxy_file(&data);
        (0..data.len()).for_each(|at| file::proxy_file(&data[..at]));
        count += 1;
    }
    assert!(count >= 5, "{folder}: {count}");
}
