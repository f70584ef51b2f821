//! What is done with the files of an instance on behalf of its boot. Owns that a file is put in its place whole or not at
//! all; must never be more than one small act.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Writes what comes in, which is as long as was said, to a path with a mode.
pub fn put(size: &str, mode: &str, path: &str) -> io::Result<()> {
    let size: u64 = size.parse().map_err(io::Error::other)?;
    let mode = u32::from_str_radix(mode, 8).map_err(io::Error::other)?;
    let path = Path::new(path);
    if let Some(parent) = path.parent() {
        make_dir(parent)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".evenkeel-new");
    let beside = PathBuf::from(beside);
    // A leftover keeps its own mode.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        let copied = io::copy(&mut io::stdin().lock().take(size), &mut file)?;
        if copied != size {
            return Err(io::Error::other(format!("only {copied} of {size} bytes came")));
        }
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        // The error that counts is in hand.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Prints a file.
pub fn get(path: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    io::copy(&mut File::open(path)?, &mut out)?;
    out.flush()
}

/// Prints what a path leads to: `file`, `folder`, `other` or `none`.
pub fn kind(path: &str) -> io::Result<()> {
    let kind = match fs::metadata(path) {
        Ok(about) if about.is_file() => "file",
        Ok(about) if about.is_dir() => "folder",
        Ok(_) => "other",
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => "none",
        Err(error) => return Err(error),
    };
    writeln!(io::stdout(), "{kind}")
}

/// Makes a folder and those above it.
pub fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)
}

/// Prints where a program is, below the folder that commands start in or else on the search path; nothing where it is not.
pub fn which(name: &str, root: &str, search: &str) -> io::Result<()> {
    let is_file = |path: &Path| fs::metadata(path).is_ok_and(|about| about.is_file());
    let may_run =
        |path: &Path| fs::metadata(path).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0);
    // `join` of an absolute path is that path.
    let own = Path::new(root).join(name);
    let mut folders = search.split(':').filter(|folder| folder.starts_with('/'));
    let found = match is_file(&own) {
        true => Some(own),
        false if name.contains('/') => None,
        false => folders.by_ref().map(|folder| Path::new(folder).join(name)).find(|path| may_run(path)),
    };
    match found {
        Some(path) => writeln!(io::stdout(), "{}", path.display()),
        None => Ok(()),
    }
}
