//! The application's start. Owns its environment and its command line with the variables filled in; must never watch what
//! it started: that is `life.rs`'s.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command};

use crate::boot::{ENVIRONMENT, MARKS, Role};
use crate::drivers::Isolation;
use crate::drivers::folder::{Folder, MARK, Spec};
use crate::enclosures::files::Files;
use crate::enclosures::{Enclosure, Start, plain};

/// The search path of an application when the daemon itself has none.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts the application, or another command as it is started, in the instance's files, with its output going to `output`.
/// Returns its pid; an error completes "failed to …".
pub fn start(
    enclosure: &dyn Enclosure,
    files: &dyn Files,
    (folder, spec): (&Folder, &Spec),
    command: &[String],
    output: &OwnedFd,
    doors: &[File],
) -> Result<i32, String> {
    let env = environment(folder, spec, files.root());
    let words: Vec<String> = command.iter().map(|word| expand(word, &env)).collect::<Result<_, String>>()?;
    let Some((name, args)) = words.split_first() else { return Err("exec: `command` is empty".into()) };
    let search = env.get("PATH").map_or("", String::as_str);
    // Where it is to start, where its image says so.
    let dir = spec.manifest.working_dir.as_deref().map_or(files.root(), Path::new);
    let program = files.program(dir, name, search)?;
    let program = program.ok_or_else(|| format!("exec `{name}`: not found in the image or on PATH"))?;
    let command = Start { program: &program, args, env: &env, user: spec.manifest.user.as_deref(), dir, output, doors };
    pid(enclosure.start(&command)).map_err(|e| format!("exec `{name}`: {}", reason(&e)))
}

/// Starts a process of the boot on the node, which prints what the instance prints and counts against its limits.
pub fn play(
    folder: &Folder,
    boot: u32,
    role: Role,
    secret: Option<&str>,
    output: &OwnedFd,
    doors: &[File],
) -> Result<i32, String> {
    let say = |e: io::Error| format!("start the boot's `{}`: {e}", role.as_str());
    let mut command = Command::new(std::env::current_exe().map_err(say)?);
    command.args(["boot", role.as_str(), "--dir"]).arg(folder.path()).args(["--boot", &boot.to_string()]);
    command.envs(secret.map(|secret| (MARKS, secret))).current_dir("/");
    pid(plain::tied(command, output, doors)).map_err(say)
}

/// Whoever reaps everything needs no more of a child.
fn pid(started: io::Result<Child>) -> io::Result<i32> {
    i32::try_from(started?.id()).map_err(io::Error::other)
}

/// Most "not found" of a program that is there means its interpreter, which the kernel does not say.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "its interpreter or loader was not found".into(),
        _ => error.to_string(),
    }
}

/// The manifest's variables over the basics, those of installers over both, and what Evenkeel itself sets over all.
#[must_use]
pub fn environment(folder: &Folder, spec: &Spec, root: &Path) -> BTreeMap<String, String> {
    let path = match spec.isolation {
        Isolation::None | Isolation::Namespaces => std::env::var("PATH").ok(),
        // A container has programs of its own.
        Isolation::Docker => None,
    };
    let mut env = BTreeMap::from([
        ("PATH".to_owned(), path.unwrap_or_else(|| DEFAULT_PATH.to_owned())),
        ("HOME".to_owned(), root.to_string_lossy().into_owned()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
    ]);
    env.extend(spec.manifest.env.clone());
    // What installers have set. A file that cannot be read is one that never was: it is written whole or not at all.
    env.extend(folder.read::<BTreeMap<String, String>>(ENVIRONMENT).ok().flatten().unwrap_or_default());
    env.insert("HOST".into(), spec.address.to_string());
    env.insert("PORT".into(), spec.manifest.port.to_string());
    env.insert(MARK.into(), spec.instance.to_string());
    env.insert("EVENKEEL_ZONE".into(), spec.zone.to_string());
    if let Some(endpoint) = &spec.metadata {
        env.insert("AWS_EC2_METADATA_SERVICE_ENDPOINT".into(), endpoint.clone());
    }
    env
}

/// Fills in `${NAME}`; `$${` stands for a plain `${`.
fn expand(word: &str, env: &BTreeMap<String, String>) -> Result<String, String> {
    let mut done = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find("${") {
        let (before, after) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            done.push_str(before);
            done.push_str("${");
            rest = &after[2..];
            continue;
        }
        done.push_str(before);
        let end = after.find('}').ok_or_else(|| format!("read `command`: `{word}` has a `${{` without its `}}`"))?;
        let name = &after[2..end];
        let value = env.get(name).ok_or_else(|| format!("read `command`: `${{{name}}}` is not set"))?;
        done.push_str(value);
        rest = &after[end + 1..];
    }
    done.push_str(rest);
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in() {
        let env = BTreeMap::from([("HOST".to_owned(), "127.81.0.1".to_owned()), ("PORT".to_owned(), "80".to_owned())]);
        let check = |word: &str, want: Result<&str, &str>| {
            let done = expand(word, &env);
            match want {
                Ok(want) => assert_eq!(done.as_deref(), Ok(want)),
                Err(part) => assert!(done.unwrap_err().contains(part), "{word}"),
            }
        };
        check("--bind=${HOST}:${PORT}", Ok("--bind=127.81.0.1:80"));
        check("$HOST $ {} }", Ok("$HOST $ {} }"));
        check("a$${HOST}", Ok("a${HOST}"));
        check("${NOPE}", Err("`${NOPE}` is not set"));
        check("${HOST", Err("without its `}`"));
        check("${}", Err("not set"));
    }
}
