//! The tidy test: the arrows between rooms, the length of files, the header rule, and words that must not be names.
//!
//! Reads the tables in ARCHITECTURE.md, so that the page and the code say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The longest a file may be outside tests.
const LONGEST: usize = 800;
/// Words that say nothing, and so are never the name of a file.
const NEVER_NAMES: [&str; 7] = ["manager", "helper", "helpers", "util", "utils", "common", "misc"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every Rust file below a folder.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

fn all_sources() -> Vec<PathBuf> {
    let crates = ["core", "aws", "proxy", "init", "evenkeel"].map(|name| root().join("crates").join(name));
    crates.iter().flat_map(|dir| sources(dir)).collect()
}

fn is_test(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("/tests/") || text.ends_with("tests.rs") || text.ends_with("cli/stage.rs")
}

/// The table under a heading of ARCHITECTURE.md: name to what it may use.
fn table(heading: &str) -> BTreeMap<String, BTreeSet<String>> {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let section = page.split(&format!("## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no heading {heading}"));
    let section = section.split("\n## ").next().unwrap();
    let names = |cell: &str| -> BTreeSet<String> {
        cell.split('`').skip(1).step_by(2).map(|name| name.trim_start_matches("crates/").to_owned()).collect()
    };
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        assert_eq!(cells.len(), 3, "a row of three cells: {line}");
        (names(cells[0]).into_iter().next().unwrap(), names(cells[2]))
    })
    .collect()
}

/// The rooms that a text of the house names: `crate::room` and lists after `use crate::{…}`.
fn rooms_named(text: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let word = |s: &str| s.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    for part in text.split("crate::").skip(1) {
        if let Some(list) = part.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        named.insert(word(&item));
                        item.clear();
                        continue;
                    }
                    _ => {}
                }
                item.push(c);
            }
            named.insert(word(&item));
        } else {
            named.insert(word(part));
        }
    }
    named
}

/// A file without its comments and its tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn rooms_know_only_whom_architecture_md_says_they_may() {
    let allowed = table("The rooms of the house");
    let house = root().join("crates/evenkeel/src");
    let mut wrong = Vec::new();
    let mut met = BTreeSet::new();
    for path in sources(&house) {
        let inside = path.strip_prefix(&house).unwrap();
        let room = inside.components().next().unwrap().as_os_str().to_string_lossy();
        let room = room.trim_end_matches(".rs").to_owned();
        if matches!(room.as_str(), "lib" | "main") || is_test(&path) {
            continue;
        }
        met.insert(room.clone());
        let Some(may) = allowed.get(&room) else {
            wrong.push(format!("`{room}` has no row in ARCHITECTURE.md"));
            continue;
        };
        for named in rooms_named(&code(&std::fs::read_to_string(&path).unwrap())) {
            if named != room && allowed.contains_key(&named) && !may.contains(&named) {
                wrong.push(format!("{}: `{room}` may not use `{named}`", inside.display()));
            }
        }
    }
    let rows: BTreeSet<String> = allowed.into_keys().collect();
    wrong.extend(rows.difference(&met).map(|room| format!("`{room}` has a row in ARCHITECTURE.md, but no code")));
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_depend_only_on_whom_architecture_md_says_they_may() {
    for (name, may) in table("The crates") {
        let manifest = std::fs::read_to_string(root().join("crates").join(&name).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let dependencies = manifest["dependencies"].as_table().unwrap().keys();
        let ours: BTreeSet<String> =
            dependencies.filter_map(|d| d.strip_prefix("evenkeel-")).map(ToString::to_string).collect();
        assert_eq!(ours, may, "crates/{name}");
    }
}

#[test]
fn core_and_the_tongue_are_pure() {
    let impure =
        ["std::net::Tcp", "std::net::Udp", "std::fs", "std::thread", "tokio", "SystemTime::now", "Instant::now"];
    for name in ["core", "aws"] {
        for path in sources(&root().join("crates").join(name).join("src")) {
            let text = code(&std::fs::read_to_string(&path).unwrap());
            for word in impure {
                assert!(!text.contains(word) || is_test(&path), "{} names `{word}`", path.display());
            }
        }
    }
}

#[test]
fn every_file_says_what_it_owns_and_keeps_to_its_length_and_name() {
    for path in all_sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        let shown = path.display();
        assert!(text.starts_with("//!"), "{shown} does not begin with what it owns");
        if !is_test(&path) {
            let lines = text.split("#[cfg(test)]\nmod ").next().unwrap().lines().count();
            assert!(lines <= LONGEST, "{shown} has {lines} lines outside tests, and {LONGEST} are the most");
        }
        let stem = path.file_stem().unwrap().to_string_lossy();
        assert!(!NEVER_NAMES.contains(&stem.as_ref()), "{shown}: `{stem}` names nothing");
    }
}

#[test]
fn architecture_md_stays_a_page_and_every_dependency_has_its_reason() {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(page.lines().count() <= 250, "ARCHITECTURE.md has more than 250 lines");
    let reasons = std::fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    for name in manifest["workspace"]["dependencies"].as_table().unwrap().keys() {
        let known = name.starts_with("evenkeel-") || reasons.contains(&format!("| `{name}` |"));
        assert!(known, "docs/dependencies.md gives no reason for `{name}`");
    }
}

#[test]
fn unsafe_stands_only_in_sys() {
    for path in all_sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        let here = code(&text).lines().any(|line| line.contains("unsafe {") || line.contains("unsafe fn"));
        let path_text = path.to_string_lossy();
        let sys = path_text.contains("/evenkeel/src/sys/") || path_text.ends_with("/init/src/sys.rs");
        assert!(!here || sys || is_test(&path), "{} has unsafe code", path.display());
        assert!(!here || !sys || text.contains("// SAFETY:"), "{} has no SAFETY plea", path.display());
    }
}
