//! Compiles the program that runs inside containers (`crates/init`), which goes into this one's own file.
//!
//! It is linked statically, with nothing but std, so that it runs in any image. Where that cannot be done (no static C
//! library) this program is built all the same, and says so when it is to run containers.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let source = Path::new(&variable("CARGO_MANIFEST_DIR")).join("../init/src");
    let out = PathBuf::from(variable("OUT_DIR"));
    println!("cargo::rerun-if-changed={}", source.display());
    println!("cargo::rerun-if-changed=build.rs");
    let program = out.join("init");
    let library = out.join("libevenkeel_init.rlib");
    let compiled = compile(&source.join("lib.rs"), &library, &["--crate-type=rlib", "--crate-name=evenkeel_init"]);
    let known = format!("evenkeel_init={}", library.display());
    let compiled = compiled.and_then(|()| compile(&source.join("main.rs"), &program, &["--extern", &known]));
    if let Err(why) = compiled {
        println!("cargo::warning=containers cannot be run by this build: {why}");
        fs::write(&program, b"").expect("OUT_DIR can be written");
    }
}

fn compile(source: &Path, to: &Path, more: &[&str]) -> Result<(), String> {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args([
        "--edition=2024",
        "--target",
        &variable("TARGET"),
        "-Copt-level=2",
        "-Cpanic=abort",
        "-Cstrip=symbols",
    ]);
    rustc.args(["-Ctarget-feature=+crt-static"]).args(more).arg("-o").arg(to).arg(source);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut flag = std::ffi::OsString::from("-Clinker=");
        flag.push(linker);
        rustc.arg(flag);
    }
    let ran = rustc.output().map_err(|error| format!("failed to run rustc: {error}"))?;
    let said = String::from_utf8_lossy(&ran.stderr);
    let line = said.lines().find(|line| line.contains("error") || line.contains("cannot find")).unwrap_or_default();
    if ran.status.success() { Ok(()) } else { Err(format!("failed to compile `{}`: {line}", source.display())) }
}
