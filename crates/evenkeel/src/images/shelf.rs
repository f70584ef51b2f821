//! What the image store has of files and images, and what of it may go. Owns two things: that a file that several images have
//! in common is on the disk once (`<data>/image-files/`, hard links by content and mode), and that no image goes while somebody
//! who has just taken it in has not registered it yet ([`Claim`]). Must never be used on an instance's files: those are
//! written to, and a hard link would have all others see it.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tree::{Entry, Kind, content};
use super::{ImageError, failed};

/// The ending of a name on its way into an image.
const NEXT: &str = "next";

/// Files that are not worth a name of their own: what a block of a disk holds anyhow.
const SMALL: u64 = 4096;

/// Has each larger file of a tree be the one that is there already, if it is; else it is there from now on. The tree must be
/// on the disk: what is shared must never be something that a crash could take the content of.
pub(super) fn share(files: &Path, sharing: &Mutex<()>, root: &Path, entries: &[Entry]) -> Result<(), ImageError> {
    for entry in entries {
        let Kind::File(mode) = entry.kind else { continue };
        let place = root.join(&entry.path);
        let what = || format!("share `{}`", entry.path.display());
        let about = fs::symlink_metadata(&place).map_err(failed(what()))?;
        if about.len() <= SMALL {
            continue;
        }
        let sum = content(&mut File::open(&place).map_err(failed(what()))?).map_err(failed(what()))?;
        let shelf = files.join(&sum[..2]);
        let shared = shelf.join(format!("{sum}-{mode:o}"));
        let _held = sharing.lock().unwrap_or_else(PoisonError::into_inner);
        fs::create_dir_all(&shelf).map_err(failed(what()))?;
        join(&place, &shared, about.len()).map_err(failed(what()))?;
    }
    Ok(())
}

/// Makes two names one file, whichever is there.
fn join(place: &Path, shared: &Path, length: u64) -> io::Result<()> {
    match fs::symlink_metadata(shared) {
        // What has lost its content is nobody's to share.
        Ok(about) if about.is_file() && about.len() == length => {}
        Ok(_) => {
            fs::remove_file(shared)?;
            return fs::hard_link(place, shared);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match fs::hard_link(place, shared) {
                // A file system without hard links, or a file with as many as it can have, is as it was.
                Err(error) if !may_go_on(&error) => Err(error),
                _ => Ok(()),
            };
        }
        Err(error) => return Err(error),
    }
    let beside = shared.with_extension(NEXT);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match fs::hard_link(shared, &beside) {
        Ok(()) => {}
        Err(error) if may_go_on(&error) => return Ok(()),
        Err(error) => return Err(error),
    }
    fs::rename(&beside, place)?;
    // Of two names of the same file, a rename leaves both.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn may_go_on(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(error.kind(), AlreadyExists | CrossesDevices | PermissionDenied | TooManyLinks | Unsupported)
}

/// Removes the shared files that no image has any more.
pub(super) fn tidy(files: &Path, sharing: &Mutex<()>) -> io::Result<()> {
    let _held = sharing.lock().unwrap_or_else(PoisonError::into_inner);
    for shelf in folders(files)? {
        for file in fs::read_dir(&shelf)? {
            let file = file?;
            let left = file.path().extension().is_some_and(|ending| ending == NEXT);
            if left || file.metadata()?.nlink() <= 1 {
                fs::remove_file(file.path())?;
            }
        }
        // Only one that is empty can be removed.
        let _ = fs::remove_dir(&shelf);
    }
    Ok(())
}

fn folders(files: &Path) -> io::Result<Vec<PathBuf>> {
    let items = match fs::read_dir(files) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        items => items?,
    };
    items.map(|item| item.map(|item| item.path())).collect()
}

/// How many bytes of files would go with these images: those of files that nothing else has.
pub(super) fn freed(images: &[PathBuf]) -> io::Result<u64> {
    // By inode: how many of its names are in these images, how many there are, and its length.
    let mut files: HashMap<(u64, u64), (u64, u64, u64)> = HashMap::new();
    let mut folders: Vec<PathBuf> = images.to_vec();
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(&folder)? {
            let item = item?;
            let about = item.metadata()?;
            if about.is_dir() {
                folders.push(item.path());
            } else if about.is_file() {
                files.entry((about.dev(), about.ino())).or_insert((0, about.nlink(), about.len())).0 += 1;
            }
        }
    }
    // Of a shared file one name is that which it is shared by.
    let gone = files.into_values().filter(|(names, all, length)| names + u64::from(*length > SMALL) >= *all);
    Ok(gone.map(|(_, _, length)| length).sum())
}

/// The images that somebody has just taken in.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<BTreeMap<String, usize>>);

impl Claims {
    /// Claims an image that is put in its place meanwhile.
    pub(super) fn claim(
        self: &Arc<Self>,
        digest: &str,
        settle: impl FnOnce() -> Result<(), ImageError>,
    ) -> Result<Claim, ImageError> {
        let mut held = self.locked();
        settle()?;
        *held.entry(digest.to_owned()).or_default() += 1;
        Ok(Claim { claims: Arc::clone(self), digest: digest.to_owned() })
    }

    /// Does something with an image that nobody claims, unless somebody does.
    pub(super) fn unless_claimed<T>(&self, digest: &str, then: impl FnOnce() -> T) -> Option<T> {
        let held = self.locked();
        (!held.contains_key(digest)).then(then)
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it is held, an image stays, whether or not it is registered.
#[derive(Debug)]
pub struct Claim {
    claims: Arc<Claims>,
    digest: String,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut held = self.claims.locked();
        if let Some(count) = held.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.digest);
            }
        }
    }
}

impl PartialEq for Claim {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Claim {}
