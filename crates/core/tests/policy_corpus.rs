//! The fuzzer's corpus of policy documents, replayed without it (`fuzz/README.md`).
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../../../fuzz/checks/policy.rs"]
mod policy;

#[test]
fn the_fuzzers_corpus_holds() {
    let folder = format!("{}/../../fuzz/corpus/policy_json", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let data = std::fs::read(entry.unwrap().path()).unwrap();
        policy::policy_json(&data);
        for at in 0..data.len() {
            let mut changed = data.clone();
            for byte in [0, b'"', b'*', b'}', b':', b'$', b'0', 0xff] {
                changed[at] = byte;
                policy::policy_json(&changed);
            }
        }
        count += 1;
    }
    assert!(count >= 5, "{folder}: {count}");
}
