//! Containers in tests: whether an engine is there, what an image needs that has no machine around it, a look inside, and
//! what is left.
//!
//! The engine is the one at `DOCKER_HOST`, else Docker's own socket; nothing here starts one (`.ci/docker` does). It is
//! asked by Docker's own command line.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::rig::PROGRAM;

/// Python's modules that are libraries and need others, which is much; asking over HTTP needs none of them.
const LARGE: [&str; 9] =
    ["_tkinter", "_ssl", "_hashlib", "_sqlite3", "_curses", "readline", "_test", "_gdbm", "_codecs_"];
/// Where an image has the program under test.
const WITHIN: &str = "/bin/evenkeel";

/// Whether an engine answers.
pub fn answers() -> Result<(), String> {
    static ANSWERS: OnceLock<Result<(), String>> = OnceLock::new();
    let ask = || {
        let asked = Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).output();
        let asked = asked.map_err(|error| format!("docker: {error}"))?;
        let said = String::from_utf8_lossy(&asked.stderr).trim().to_owned();
        if asked.status.success() { Ok(()) } else { Err(format!("no Docker Engine answers: {said}")) }
    };
    ANSWERS.get_or_init(ask).clone()
}

/// Runs a command in an instance; what it printed, if it went well.
pub fn within(id: &str, words: &[&str], input: &str) -> Option<String> {
    let mut command = Command::new("docker");
    command.args(["exec", "-i", &format!("evenkeel-{id}")]).args(words);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// Whether the engine holds containers to their limits of memory.
pub fn limits_memory() -> bool {
    let asked = Command::new("docker").args(["info", "--format", "{{.MemoryLimit}}"]).output().unwrap();
    String::from_utf8_lossy(&asked.stdout).trim() == "true"
}

/// Whether an instance's container runs.
pub fn runs(id: &str) -> bool {
    let name = format!("evenkeel-{id}");
    let asked = Command::new("docker").args(["inspect", "--format", "{{.State.Running}}", &name]).output().unwrap();
    String::from_utf8_lossy(&asked.stdout).trim() == "true"
}

/// Gives an image the programs that it would find on the machine otherwise: a shell, Python, and the one under test.
pub fn furnish(dir: &Path, manifest: &mut toml::Table) {
    let copied = Command::new("cp").arg("-al").arg(base().join(".")).arg(dir).status().unwrap();
    assert!(copied.success());
    let command = manifest["command"].as_array_mut().unwrap();
    for word in command.iter_mut().filter(|word| word.as_str() == Some(PROGRAM)) {
        *word = WITHIN.into();
    }
}

/// What instances of this Evenkeel have left, which would go when they are forgotten: exactly their containers, stopped.
pub fn clear(data_dir: &Path, network: &str) {
    let engine = |words: &[&str]| {
        let output = Command::new("docker").args(words).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let ids = std::fs::read_dir(data_dir.join("instances")).unwrap().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name.starts_with("i-"));
    let mut images = BTreeSet::new();
    for id in ids {
        let name = format!("evenkeel-{id}");
        let (is_there, about) = engine(&["inspect", "--format", "{{.State.Running}} {{.Config.Image}}", &name]);
        if !is_there {
            continue;
        }
        let (running, image) = about.trim().split_once(' ').unwrap();
        assert_eq!(running, "false", "{name} goes on");
        images.insert(image.to_owned());
        assert!(engine(&["rm", &name]).0);
    }
    for image in images {
        // Another test may have instances of the same files.
        engine(&["rmi", &image]);
    }
    let name = format!("evenkeel-{}", network.replace('/', "-"));
    let (_, networks) = engine(&["network", "ls", "--quiet", "--filter", &format!("name={name}")]);
    if !networks.trim().is_empty() {
        assert!(engine(&["network", "rm", &name]).0, "{name} is still in use");
    }
}

/// The files of a small machine, made once.
fn base() -> &'static Path {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    BASE.get_or_init(|| {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("docker-base");
        // Of a run before, with another program.
        drop(std::fs::remove_dir_all(&base));
        for folder in ["bin", "usr/bin", "usr/lib"] {
            std::fs::create_dir_all(base.join(folder)).unwrap();
        }
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
        std::fs::copy(busybox.expect("a static busybox"), base.join("bin/busybox")).unwrap();
        for applet in String::from_utf8(run(&base.join("bin/busybox"), &["--list"])).unwrap().lines() {
            if applet != "busybox" {
                std::os::unix::fs::symlink("busybox", base.join("bin").join(applet)).unwrap();
            }
        }
        std::os::unix::fs::symlink("../../bin/busybox", base.join("usr/bin/env")).unwrap();
        // What only a debugger reads would be most of it.
        run(Path::new("strip"), &["-o", base.join("bin/evenkeel").to_str().unwrap(), PROGRAM]);
        let python = "import sys, sysconfig; print(sys.base_prefix + '/bin/python' + sysconfig.get_python_version()); \
                      print(sysconfig.get_path('stdlib'))";
        let python = String::from_utf8(run(Path::new("python3"), &["-c", python])).unwrap();
        let (program, library) = python.trim().split_once('\n').unwrap();
        std::fs::copy(program, base.join("usr/bin/python3")).unwrap();
        copy_modules(Path::new(library), &base.join("usr/lib").join(Path::new(library).file_name().unwrap()));
        let modules =
            std::fs::read_dir(base.join("usr/lib").join(Path::new(library).file_name().unwrap()).join("lib-dynload"));
        let modules = modules.into_iter().flatten().flatten().map(|entry| entry.path().display().to_string());
        let needed = modules.chain([PROGRAM.to_owned(), program.to_owned()]).flat_map(|path| libraries(&path));
        for path in needed.collect::<BTreeSet<_>>() {
            let to = base.join(path.strip_prefix("/").unwrap());
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(&path, to).unwrap();
        }
        base
    })
}

fn run(program: &Path, words: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(words).output().unwrap();
    assert!(output.status.success(), "{program:?} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The shared libraries of a program, and what loads them.
fn libraries(program: &str) -> BTreeSet<PathBuf> {
    let listed = String::from_utf8(run(Path::new("ldd"), &[program])).unwrap();
    listed.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

/// Python's own modules, as far as they are Python and few need them not.
fn copy_modules(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (name, about) = (entry.file_name(), entry.metadata().unwrap());
        let name = name.to_str().unwrap();
        let is_needed =
            ["encodings", "importlib", "collections", "re", "json", "urllib", "http", "email", "lib-dynload"]
                .contains(&name);
        if about.is_dir() && is_needed {
            copy_modules(&entry.path(), &to.join(name));
        } else if about.is_file()
            && (name.ends_with(".py") || name.ends_with(".so") && !LARGE.iter().any(|module| name.starts_with(module)))
        {
            std::fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}
