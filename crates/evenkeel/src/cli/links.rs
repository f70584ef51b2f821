//! `evenkeel install-links`: the names that the binary also answers to, as links beside it or elsewhere.
//!
//! Must never overwrite what is not such a link. Next: [`super::parse`], which reads the name.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::failure::{Outcome, hinted};
use super::streams::Streams;

/// The names.
pub const NAMES: [&str; 3] = ["elbadmin", "list_instances", "kill_instance"];

/// Arguments of `evenkeel install-links`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  evenkeel install-links ~/.local/bin")]
pub struct InstallLinks {
    /// Directory for the links, preferably one on the PATH
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// Makes the links and prints each.
///
/// # Errors
/// One of the names is taken by something else; then none is made.
pub fn run(args: &InstallLinks, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let target = std::env::current_exe().context("failed to find this program's own file")?;
    for (path, made) in install(&args.dir, &target)? {
        let note = if made { "" } else { " (already there)" };
        writeln!(streams.out, "{} -> {}{note}", path.display(), target.display())?;
    }
    Ok(Outcome::Done)
}

/// Every link, and whether it had to be made.
fn install(dir: &Path, target: &Path) -> anyhow::Result<Vec<(PathBuf, bool)>> {
    if !dir.is_dir() {
        anyhow::bail!("failed to make links in {}: there is no such directory", dir.display());
    }
    let mut links = Vec::new();
    for name in NAMES {
        let path = dir.join(name);
        let exists = match fs::symlink_metadata(&path) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error).with_context(|| format!("failed to look at {}", path.display())),
        };
        let points_at = fs::read_link(&path).ok();
        if exists && !points_at.as_deref().is_some_and(|old| is_own(old, target)) {
            return Err(hinted(
                format!("failed to make {}: something else has that name", path.display()),
                "remove it first, or choose another directory",
            ));
        }
        links.push((path, points_at.as_deref() != Some(target)));
    }
    for (path, _) in links.iter().filter(|(_, missing)| *missing) {
        link(path, target).with_context(|| format!("failed to make {}", path.display()))?;
    }
    Ok(links)
}

/// A link to this program, wherever an older one of it lay.
fn is_own(old: &Path, target: &Path) -> bool {
    old.file_name().is_some() && old.file_name() == target.file_name()
}

/// Makes or replaces a link in one step, so that the name is never missing.
fn link(path: &Path, target: &Path) -> std::io::Result<()> {
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    symlink(target, &aside)?;
    fs::rename(&aside, path).inspect_err(|_| {
        // The error that is told is the one of the rename.
        let _ = fs::remove_file(&aside);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_made_once_and_follow_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let made = install(dir.path(), Path::new("/old/evenkeel")).unwrap();
        assert_eq!(made.len(), 3);
        assert!(made.iter().all(|(_, made)| *made));
        assert!(install(dir.path(), Path::new("/old/evenkeel")).unwrap().iter().all(|(_, made)| !made));
        install(dir.path(), Path::new("/new/evenkeel")).unwrap();
        for name in NAMES {
            assert_eq!(fs::read_link(dir.path().join(name)).unwrap(), Path::new("/new/evenkeel"));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn what_is_not_ours_stays_and_nothing_is_made() {
        let check = |place: fn(&Path)| {
            let dir = tempfile::tempdir().unwrap();
            place(&dir.path().join("kill_instance"));
            let error = install(dir.path(), Path::new("/new/evenkeel")).unwrap_err();
            assert!(error.to_string().contains("kill_instance"), "{error}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        };
        check(|path| fs::write(path, "mine").unwrap());
        check(|path| fs::create_dir(path).unwrap());
        check(|path| symlink("/usr/bin/boto-kill", path).unwrap());
        assert!(install(Path::new("/nowhere"), Path::new("/evenkeel")).is_err());
    }
}
