//! A copy of a container's files on this machine, for an image that is made of them.
//!
//! Owns what of a container is the instance's: not our own program, not what the kernel and Docker show in it, not what is
//! temporary. Must never write outside of its folder. Ends where an image would ([`MAX_BYTES`]).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, Write as _};
use std::path::Path;

use bollard::query_parameters::DownloadFromContainerOptions;
use tar::EntryType;
use tempfile::TempDir;
use tokio_stream::StreamExt as _;

use super::engine::told;
use super::{Held, container};
use crate::drivers::folder::Spec;
use crate::images::{MAX_BYTES, MAX_FILES};

/// What is in every container and of no image: folders with what is in them, and files.
const NOT_OURS: [&str; 10] = [
    evenkeel_init::FOLDER,
    ".dockerenv",
    "dev",
    "proc",
    "sys",
    "tmp",
    "etc/hosts",
    "etc/hostname",
    "etc/mtab",
    "etc/resolv.conf",
];

/// Copies the files of an instance's container, whether it runs or not, into a new folder in `beside`, whose name begins
/// with `prefix`.
///
/// # Errors
/// Completes "failed to …".
pub fn copy(spec: &Spec, beside: &Path, prefix: &str) -> Result<TempDir, String> {
    let say = |why: &dyn std::fmt::Display| format!("copy the files of `{}`: {why}", spec.instance);
    let held = Held::by(spec).ok_or_else(|| say(&"it has no engine"))?;
    let to = tempfile::Builder::new().prefix(prefix).tempdir_in(beside).map_err(|error| say(&error))?;
    let mut archive = tempfile::tempfile_in(beside).map_err(|error| say(&error))?;
    held.engine.wait(async |docker| {
        let options = DownloadFromContainerOptions { path: "/".into() };
        let mut pieces = Box::pin(docker.download_from_container(&container::name(&held.instance), Some(options)));
        let mut size = 0;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| say(&told(&error)))?;
            size += piece.len() as u64;
            if size > 2 * MAX_BYTES {
                return Err(say(&"they are larger than an image may be"));
            }
            archive.write_all(&piece).map_err(|error| say(&error))?;
        }
        Ok(())
    })?;
    archive.rewind().map_err(|error| say(&error))?;
    unpack(archive, to.path()).map_err(|error| say(&error))?;
    Ok(to)
}

fn unpack(archive: File, to: &Path) -> io::Result<()> {
    let mut tar = tar::Archive::new(BufReader::with_capacity(64 * 1024, archive).take(2 * MAX_BYTES));
    let mut count = 0;
    for entry in tar.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let path = path.strip_prefix("./").or_else(|_| path.strip_prefix("/")).unwrap_or(&path);
        let is_kept = matches!(
            entry.header().entry_type(),
            EntryType::Regular
                | EntryType::Continuous
                | EntryType::GNUSparse
                | EntryType::Directory
                | EntryType::Symlink
                | EntryType::Link
        );
        if !is_kept || NOT_OURS.iter().any(|other| path.starts_with(other)) {
            continue;
        }
        count += 1;
        if count > MAX_FILES {
            return Err(io::Error::other(format!("they are more than {MAX_FILES}, the limit of an image")));
        }
        if !entry.unpack_in(to)? {
            return Err(io::Error::other(format!("`{}` leads out of them", path.display())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_instances_is_left_out() {
        let mut tar = tar::Builder::new(tempfile::tempfile().unwrap());
        for path in ["/.evenkeel/init", "./proc/1", "etc/hosts", "etc/hosts.d", "app/main", ".dockerenv", "tmp/x"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(2);
            header.set_mode(0o644);
            // As it is, absolute or not.
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            tar.append(&header, b"ok".as_slice()).unwrap();
        }
        let mut archive = tar.into_inner().unwrap();
        archive.rewind().unwrap();
        let dir = TempDir::new().unwrap();
        unpack(archive, dir.path()).unwrap();
        let there = |path: &str| dir.path().join(path).exists();
        assert!(there("app/main") && there("etc/hosts.d"));
        assert!(![".evenkeel", "proc", "etc/hosts", ".dockerenv", "tmp"].into_iter().any(there));
    }
}
