//! The road's instructions in user space, held to committed counts: find, pick and parse may not become dearer unseen.
//!
//! Owns the counts (`counts.txt`) and how far they may be off. Times are never measured here: instructions are the same
//! on a loaded machine. `EVENKEEL_COUNT=update` writes the counts anew, `EVENKEEL_COUNT=must` fails where valgrind is
//! missing instead of skipping. What is counted: `examples/instructions.rs`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How far a count may be off, in either direction: the libc's way to copy bytes depends on the machine, and what has
/// become cheaper is to be written down, so that it stays so.
const TOLERANCE: f64 = 0.05;
const UPDATE: &str = "EVENKEEL_COUNT=update cargo test -p evenkeel-proxy --test instructions";

#[test]
fn find_pick_and_parse_cost_what_they_did() {
    let wish = std::env::var("EVENKEEL_COUNT").unwrap_or_default();
    if let Err(why) = can_count() {
        assert_ne!(wish, "must", "instructions cannot be counted: {why}");
        eprintln!("\n*** SKIPPED: instructions are not counted: {why} ***\n");
        return;
    }
    let program = build();
    let names = run(Command::new(&program));
    let counts: BTreeMap<&str, u64> = names.lines().map(|name| (name, count(&program, name))).collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/instructions/counts.txt");
    if wish == "update" {
        let lines = counts.iter().map(|(name, count)| format!("{name} {count}\n"));
        std::fs::write(&file, lines.collect::<String>()).unwrap();
        return;
    }
    let text = std::fs::read_to_string(&file).unwrap();
    let kept: BTreeMap<&str, u64> =
        text.lines().map(|line| line.split_once(' ').unwrap()).map(|(name, n)| (name, n.parse().unwrap())).collect();
    println!("{:15} {:>10} {:>10}", "instructions", "now", "kept");
    counts.iter().for_each(|(name, now)| println!("{name:15} {now:>10} {:>10}", kept.get(name).unwrap_or(&0)));
    let far = |now: u64, kept: u64| (now as f64 / kept as f64 - 1.0).abs() > TOLERANCE;
    let off: Vec<_> =
        counts.iter().filter(|(name, now)| kept.get(*name).is_none_or(|kept| far(**now, *kept))).collect();
    assert!(off.is_empty() && kept.len() == counts.len(), "off: {off:?}; if that is meant: {UPDATE}");
}

fn can_count() -> Result<(), String> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Err("the counts are of x86-64".into());
    }
    match Command::new("valgrind").arg("--version").output() {
        Ok(out) if out.status.success() => Ok(()),
        _ => Err("there is no valgrind (apt-get install valgrind)".into()),
    }
}

/// Builds the program with optimisation. Only the two crates that are measured: their dependencies are those of the
/// tests.
fn build() -> PathBuf {
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--quiet", "--locked", "--workspace", "--example", "instructions", "--message-format=json"]);
    for name in ["evenkeel-core", "evenkeel-proxy"] {
        for setting in ["opt-level=3", "codegen-units=1", "debug-assertions=false", "overflow-checks=false"] {
            command.arg("--config").arg(format!("profile.dev.package.{name}.{setting}"));
        }
    }
    // Each part of a crate that is compiled by itself would be optimised by itself, and flags of whoever runs the tests
    // (a processor to compile for, coverage) would be counted too.
    command.env("CARGO_INCREMENTAL", "0").env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let said = run(command);
    let line = said.lines().rfind(|line| line.contains(r#""kind":["example"]"#)).expect("what was built");
    let built: serde_json::Value = serde_json::from_str(line).unwrap();
    built["executable"].as_str().unwrap().into()
}

fn count(program: &Path, name: &str) -> u64 {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measured*"]);
    // The libc's plain ways to copy: the others depend on the machine.
    command.env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2,-AVX512F,-AVX512VL,-ERMS,-FSRM");
    let out = command.arg(program).arg(name).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")).expect(&said).1;
    collected.trim().parse().unwrap()
}

fn run(mut command: Command) -> String {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}
