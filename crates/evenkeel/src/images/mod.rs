//! The images that instances are started from, kept by content. Owns `<data>/images/<digest>/`, `<data>/image-files/`, which
//! has what they have in common, and everything between a folder or tar as a user hands it over and there; must never know ids
//! or names of images: those are World's.
//!
//! An image is whole or not there: it is written beside its place and renamed into it, so `kill -9` or a full disk leave
//! only leftovers, which [`ImageStore::open`] sweeps. Read [`tree`] for what files may be in one, `unpack.rs` and [`pack`]
//! for tars, [`oci`] for images of Docker and its kin, [`difference`] for how two differ, [`shelf`] for what may go.

pub mod archive;
pub mod difference;
pub mod oci;
pub mod pack;
pub mod shelf;
pub mod tree;
mod unpack;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel_core::noun::Manifest;
use evenkeel_core::noun::image::{BadManifest, Size};
use tempfile::TempDir;
use thiserror::Error;

use oci::Choice;
use shelf::{Claim, Claims};
use tree::Shape;

/// The most files, folders and links in an image; ten times as many in a root filesystem.
pub const MAX_FILES: usize = 20_000;
/// The most bytes in an image's files: 2 GiB; four times as many in a root filesystem.
pub const MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// The most bytes in an `image.toml`: 64 KiB.
pub const MAX_MANIFEST: u64 = 64 * 1024;
/// The file at an image's root that says what it runs.
pub const MANIFEST: &str = "image.toml";

const PARTIAL: &str = ".partial-";
const GONE: &str = ".gone-";

/// Why an image cannot be taken in. Completes "failed to import image: …".
#[derive(Debug, Error)]
pub enum ImageError {
    /// The operating system said no.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, naming the file.
        what: String,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// Neither a folder nor a tar.
    #[error("read `{0}`: it is neither a folder nor a tar archive")]
    NotAnImage(PathBuf),
    /// A tar in a compression that is not read here.
    #[error("read `{path}`: it is compressed with {by}; unpack it first (`{command}`)")]
    Compressed {
        /// The file.
        path: PathBuf,
        /// The compression.
        by: &'static str,
        /// What unpacks it.
        command: String,
    },
    /// No `image.toml`, and no image of Docker's or OCI's either.
    #[error("find `{MANIFEST}` at the root of `{0}`, or an OCI image in it")]
    NoManifest(PathBuf),
    /// An `image.toml` that is not TOML or not a manifest.
    #[error("read `{MANIFEST}`: line {line}: {message}")]
    Toml {
        /// The line, from 1.
        line: usize,
        /// What is wrong, naming the key.
        message: String,
    },
    /// A manifest that breaks a rule.
    #[error("read `{MANIFEST}`: {0}")]
    Manifest(#[from] BadManifest),
    /// An `image.toml` above its limit.
    #[error("read `{MANIFEST}`: it is larger than the limit of {MAX_MANIFEST} bytes")]
    ManifestTooLarge,
    /// More than [`tree::Shape::most_files`].
    #[error("take in more than {0} files, the limit of such an image")]
    TooManyFiles(usize),
    /// More than [`tree::Shape::most_bytes`], in GiB.
    #[error("take in more than {0} GiB, the limit of such an image")]
    TooLarge(u64),
    /// More in names than in an image's files.
    #[error("take in more than 64 MiB of paths, the limit of an image")]
    Names,
    /// An OCI image that cannot be understood, or not run here.
    #[error("{0}")]
    Oci(String),
    /// An archive of several OCI images, none of which was chosen.
    #[error("choose one image of the archive: it has {0}")]
    SeveralImages(String),
    /// An OCI image that does not say where it listens.
    #[error("find the port: the image exposes none")]
    NoPort,
    /// A path or link that leads out of the image.
    #[error("take in `{path}`: {why}")]
    Outside {
        /// The path in the image.
        path: PathBuf,
        /// How it leads out.
        why: String,
    },
    /// A device, socket or pipe.
    #[error("take in `{path}`: it is {kind}, and an image holds only files, folders and links")]
    Kind {
        /// The path in the image.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
}

/// Says what was tried when the operating system said no.
pub(crate) fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> ImageError {
    let what = what.into();
    move |source| ImageError::Io { what, source }
}

/// An image that was taken in.
#[derive(Debug, PartialEq, Eq)]
pub struct Imported {
    /// SHA-256 over its files' paths, modes and contents, in lower-case hex.
    pub digest: String,
    /// What it runs, held against its rules.
    pub manifest: Manifest,
    /// How large it is.
    pub size: Size,
    /// Held until it is registered: nobody takes it away before.
    pub claim: Claim,
}

/// What went, or would go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// The digests of images.
    pub images: Vec<String>,
    /// Bytes of files that nothing else has.
    pub bytes: u64,
}

/// An image that is looked at without being kept: a folder where it lies, or a tar unpacked for as long as this lives.
#[derive(Debug)]
pub struct Opened {
    root: PathBuf,
    /// What it runs, held against its rules.
    pub manifest: Manifest,
    /// Its files, folders and links.
    pub entries: Vec<tree::Entry>,
    /// What an OCI image says that is not followed, for people.
    pub notes: Vec<String>,
    _unpacked: Option<TempDir>,
}

impl Opened {
    /// Opens a folder or tar with an `image.toml` at its root, or with an OCI image in it. Anything but a folder of an image
    /// is unpacked among the system's temporary files, and gone from there when this is dropped.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        Self::open_as(path, &Choice::default())
    }

    /// As [`Opened::open`], where an OCI image does not say everything.
    pub fn open_as(path: &Path, choice: &Choice) -> Result<Self, ImageError> {
        let about = fs::metadata(path).map_err(failed(format!("read `{}`", path.display())))?;
        if about.is_dir() && (has_manifest(path) || !oci::is_layout(path)) {
            let manifest = manifest_of(path, path)?;
            says_itself(choice)?;
            let entries = tree::walk(path, Shape::of(&manifest))?;
            return Ok(Self { root: path.to_owned(), manifest, entries, notes: Vec::new(), _unpacked: None });
        }
        let unpacked = tempfile::Builder::new().prefix("evenkeel-image-").tempdir();
        let unpacked = unpacked.map_err(failed("make a temporary folder"))?;
        let root = unpacked.path().join("image");
        let oci::Made { manifest, notes } = fill(path, &root, choice)?;
        let entries = tree::walk(&root, Shape::of(&manifest))?;
        Ok(Self { root, manifest, entries, notes, _unpacked: Some(unpacked) })
    }

    /// Where its files are.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How large it is.
    pub fn size(&self) -> Result<Size, ImageError> {
        tree::size(&self.root, &self.entries)
    }

    /// SHA-256 over its files, as [`Imported::digest`].
    pub fn digest(&self) -> Result<String, ImageError> {
        tree::digest(&self.root, &self.entries)
    }
}

/// Where a daemon with this data directory keeps the image whose digest begins so; `None` where there is none. Reads the
/// folder's names and nothing else, so it may be asked beside a daemon.
#[must_use]
pub fn kept(data_dir: &Path, beginning: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(data_dir.join("images")).ok()?;
    let begins = |name: &str| is_digest(name) && !beginning.is_empty() && name.starts_with(beginning);
    entries.flatten().find(|entry| entry.file_name().to_str().is_some_and(begins)).map(|entry| entry.path())
}

/// The images of one data directory. One process at a time may have it open: the daemon's lock sees to that.
#[derive(Debug)]
pub struct ImageStore {
    folder: PathBuf,
    /// Files that images have in common.
    files: PathBuf,
    /// Held by who makes names of such files, or removes them.
    sharing: Mutex<()>,
    /// Held by who takes images away.
    collecting: Mutex<()>,
    claims: Arc<Claims>,
    partials: AtomicU64,
}

impl ImageStore {
    /// Opens or makes `<data_dir>/images` and sweeps what interrupted imports and removals left.
    pub fn open(data_dir: &Path) -> Result<Self, ImageError> {
        let folder = data_dir.join("images");
        fs::create_dir_all(&folder).map_err(failed(format!("make `{}`", folder.display())))?;
        let what = || format!("sweep `{}`", folder.display());
        for entry in fs::read_dir(&folder).map_err(failed(what()))? {
            let entry = entry.map_err(failed(what()))?;
            let name = entry.file_name();
            if name.to_str().is_some_and(|n| n.starts_with(PARTIAL) || n.starts_with(GONE)) {
                fs::remove_dir_all(entry.path()).map_err(failed(what()))?;
            }
        }
        let files = data_dir.join("image-files");
        Ok(Self {
            folder,
            files,
            sharing: Mutex::default(),
            collecting: Mutex::default(),
            claims: Arc::default(),
            partials: AtomicU64::new(0),
        })
    }

    /// Takes in a folder or a tar, plain or in gzip or zstd, with an `image.toml` at its root, or with an OCI image in it. The
    /// same content twice is kept once. It copies and reads every byte: call it where blocking is allowed.
    pub fn import(&self, path: &Path, choice: &Choice) -> Result<Imported, ImageError> {
        self.through(|partial| Ok(fill(path, partial, choice)?.manifest))
    }

    /// Takes in an instance's files at `root` while its application may be using them: without what `manifest` names as
    /// state, and without the paths `but`. What the image runs is what the instance ran, so an `image.toml` that has come
    /// to say something else is written anew. Each file is as it was at some moment of the copy, not all at one moment.
    pub fn capture(&self, root: &Path, manifest: &Manifest, but: &[&str]) -> Result<Imported, ImageError> {
        self.through(|partial| {
            let state = manifest.state.iter().map(String::as_str);
            let but: Vec<PathBuf> = state.chain(but.iter().copied()).map(PathBuf::from).collect();
            fs::create_dir(partial).map_err(failed(format!("make `{}`", partial.display())))?;
            let shape = Shape::of(manifest);
            tree::copy_living(root, &tree::walk_living(root, shape, &but)?, partial, shape)?;
            if manifest_of(partial, root).is_ok_and(|held| held == *manifest) {
                return Ok(manifest.clone());
            }
            let path = partial.join(MANIFEST);
            let text = toml::to_string(manifest).map_err(io::Error::other);
            // Whatever is there by that name is not what the instance ran, and nobody's to follow.
            let removed = match fs::symlink_metadata(&path) {
                Ok(about) if about.is_dir() => fs::remove_dir_all(&path),
                Ok(_) => fs::remove_file(&path),
                Err(_) => Ok(()),
            };
            let written = removed.and(text).and_then(|text| fs::write(&path, text));
            written.map_err(failed(format!("write `{MANIFEST}`")))?;
            Ok(manifest.clone())
        })
    }

    /// Has a partial image filled, and settles it under its digest.
    fn through(&self, fill: impl FnOnce(&Path) -> Result<Manifest, ImageError>) -> Result<Imported, ImageError> {
        let number = self.partials.fetch_add(1, Ordering::Relaxed);
        let partial = self.folder.join(format!("{PARTIAL}{}-{number}", std::process::id()));
        let imported = fill(&partial).and_then(|manifest| self.finish(&partial, manifest));
        if imported.is_err() {
            // The error that counts is already in hand; what cannot be swept now is swept at the next open.
            let _ = fs::remove_dir_all(&partial);
        }
        imported
    }

    fn finish(&self, partial: &Path, manifest: Manifest) -> Result<Imported, ImageError> {
        let entries = tree::walk(partial, Shape::of(&manifest))?;
        let size = tree::size(partial, &entries)?;
        let digest = tree::digest(partial, &entries)?;
        tree::sync(partial, &entries)?;
        shelf::share(&self.files, &self.sharing, partial, &entries)?;
        let claim = self.claims.claim(&digest, || self.settle(partial, &digest))?;
        Ok(Imported { digest, manifest, size, claim })
    }

    /// Puts a finished image in its place; one of the same content that is there already stays.
    fn settle(&self, partial: &Path, digest: &str) -> Result<(), ImageError> {
        let place = self.path(digest);
        match fs::rename(partial, &place) {
            Ok(()) => {}
            Err(_) if place.is_dir() => {
                return fs::remove_dir_all(partial).map_err(failed(format!("sweep `{}`", partial.display())));
            }
            Err(e) => return Err(failed(format!("rename an image to `{}`", place.display()))(e)),
        }
        let folder = File::open(&self.folder).and_then(|f| f.sync_all());
        folder.map_err(failed(format!("sync `{}`", self.folder.display())))
    }

    /// Where the files of the image with this digest are; nothing is there for an unknown one.
    #[must_use]
    pub fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(digest)
    }

    /// Removes every image whose digest is not `wanted`, as far as nobody has just taken it in, and what of files nothing else
    /// has; with `dry` nothing, and says what would go. `wanted` is asked when it matters: who registers an image does so
    /// before the claim on it goes.
    pub fn collect(&self, wanted: &dyn Fn(&str) -> bool, dry: bool) -> Result<Collected, ImageError> {
        let _alone = self.collecting.lock().unwrap_or_else(PoisonError::into_inner);
        let what = || format!("sweep `{}`", self.folder.display());
        let mut going = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed(what()))? {
            let Ok(name) = entry.map_err(failed(what()))?.file_name().into_string() else { continue };
            if is_digest(&name) && self.claims.unless_claimed(&name, || !wanted(&name)) == Some(true) {
                going.push(name);
            }
        }
        going.sort();
        let folders: Vec<PathBuf> = going.iter().map(|name| self.path(name)).collect();
        let mut collected = Collected { images: Vec::new(), bytes: shelf::freed(&folders).map_err(failed(what()))? };
        if dry {
            collected.images = going;
            return Ok(collected);
        }
        for name in going {
            let gone = self.folder.join(format!("{GONE}{name}"));
            let put_aside =
                || if wanted(&name) { Ok(false) } else { fs::rename(self.path(&name), &gone).map(|()| true) };
            if self.claims.unless_claimed(&name, put_aside).transpose().map_err(failed(what()))? == Some(true) {
                fs::remove_dir_all(&gone).map_err(failed(what()))?;
                collected.images.push(name);
            }
        }
        shelf::tidy(&self.files, &self.sharing).map_err(failed(format!("sweep `{}`", self.files.display())))?;
        Ok(collected)
    }
}

/// Fills `to`, which is not there yet, from a folder or tar.
fn fill(path: &Path, to: &Path, choice: &Choice) -> Result<oci::Made, ImageError> {
    let about = fs::metadata(path).map_err(failed(format!("read `{}`", path.display())))?;
    let folder = about.is_dir();
    let make = || fs::create_dir(to).map_err(failed(format!("make `{}`", to.display())));
    if folder && !has_manifest(path) && oci::is_layout(path) {
        make()?;
        return oci::make(path, to, choice, path);
    } else if folder {
        // Before the long copy, so that a mistake in it is told at once.
        manifest_of(path, path)?;
        says_itself(choice)?;
    } else if !about.is_file() {
        return Err(ImageError::NotAnImage(path.to_owned()));
    }
    make()?;
    if folder {
        let shape = Shape::of(&manifest_of(path, path)?);
        tree::copy(path, &tree::walk(path, shape)?, to, shape)?;
    } else {
        unpack::unpack(path, to)?;
        if !has_manifest(to) && oci::is_layout(to) {
            let beside = oci::beside(to)?;
            let layout = beside.path().join("layout");
            fs::rename(to, &layout).map_err(failed(format!("move `{}`", to.display())))?;
            make()?;
            return oci::make(&layout, to, choice, path);
        }
        says_itself(choice)?;
    }
    Ok(oci::Made { manifest: manifest_of(to, path)?, notes: Vec::new() })
}

/// Whether there is anything by the name of a manifest.
fn has_manifest(folder: &Path) -> bool {
    fs::symlink_metadata(folder.join(MANIFEST)).is_ok()
}

/// An image with a manifest has said all of it.
fn says_itself(choice: &Choice) -> Result<(), ImageError> {
    if *choice == Choice::default() {
        return Ok(());
    }
    Err(ImageError::Oci(format!("choose a port or an image: this one is no OCI image, and its `{MANIFEST}` says both")))
}

fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Reads and checks the manifest in `folder`; `named` is what the user called the image.
fn manifest_of(folder: &Path, named: &Path) -> Result<Manifest, ImageError> {
    let path = folder.join(MANIFEST);
    match fs::symlink_metadata(&path) {
        Ok(about) if about.is_file() => {}
        Ok(_) => return Err(ImageError::NoManifest(named.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(ImageError::NoManifest(named.to_owned())),
        Err(e) => return Err(failed(format!("read `{MANIFEST}`"))(e)),
    }
    let mut text = String::new();
    let read = File::open(&path).and_then(|f| f.take(MAX_MANIFEST + 1).read_to_string(&mut text));
    read.map_err(failed(format!("read `{MANIFEST}`")))?;
    if text.len() as u64 > MAX_MANIFEST {
        return Err(ImageError::ManifestTooLarge);
    }
    let manifest: Manifest = toml::from_str(&text).map_err(|e| {
        let at = e.span().map_or(0, |span| span.start.min(text.len()));
        let line = 1 + text.as_bytes()[..at].iter().filter(|b| **b == b'\n').count();
        ImageError::Toml { line, message: e.message().to_owned() }
    })?;
    manifest.validate()?;
    Ok(manifest)
}

#[cfg(test)]
mod tests;
