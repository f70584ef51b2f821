//! The files of an instance in a container, wherever its engine is: its root is `/`.
//!
//! Owns the way there and back. What is done there, our init program does, in the container: so no link can lead out of it.
//! Must never hold a file in memory. They can be asked while the container runs.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use bollard::query_parameters::UploadToContainerOptions;
use tokio_stream::wrappers::ReceiverStream;

use super::engine::told;
use super::exec::{act, answer};
use super::image::Stream;
use crate::drivers::Engine;
use crate::enclosures::files::{Files, Kind};

/// The longest answer of a small act.
const ANSWER: usize = 8 * 1024;

/// The files of one container.
#[derive(Clone, Debug)]
pub struct InContainer {
    engine: Engine,
    container: String,
    /// Where a file is that is read: it may be large, so not where temporary files usually are.
    beside: PathBuf,
}

impl InContainer {
    /// The files of this container; what is read of them is put in the folder `beside` meanwhile.
    #[must_use]
    pub fn new(engine: Engine, container: String, beside: PathBuf) -> Self {
        Self { engine, container, beside }
    }

    fn answer(&self, words: &[&str]) -> Result<String, String> {
        self.engine.wait(async |docker| answer(&docker, &self.container, words, ANSWER).await)
    }
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("use `{}`: it is no UTF-8", path.display()))
}

impl Files for InContainer {
    fn root(&self) -> &Path {
        Path::new("/")
    }

    fn kind(&self, path: &Path) -> Result<Option<Kind>, String> {
        Ok(match self.answer(&["kind", text(path)?])?.as_str() {
            "file" => Some(Kind::File),
            "folder" => Some(Kind::Folder),
            "none" => None,
            _ => Some(Kind::Other),
        })
    }

    fn open(&self, path: &Path) -> Result<File, String> {
        let say = |error: io::Error| format!("read `{}`: {error}", path.display());
        let mut file = tempfile::tempfile_in(&self.beside).map_err(say)?;
        let words = ["get", text(path)?];
        self.engine.wait(async |docker| {
            let mut keep = |piece: &[u8]| file.write_all(piece);
            act(&docker, &self.container, &words, None, &mut keep).await
        })?;
        file.rewind().map_err(say)?;
        Ok(file)
    }

    fn make_dir(&self, path: &Path) -> Result<(), String> {
        self.answer(&["mkdir", text(path)?]).map(drop)
    }

    fn place(&self, file: &Path, to: &Path, mode: u32) -> Result<(), String> {
        let say = |error: io::Error| format!("write `{}`: {error}", to.display());
        let from = File::open(file).map_err(say)?;
        let size = from.metadata().map_err(say)?.len().to_string();
        let mode = format!("{mode:o}");
        let words = ["put", size.as_str(), mode.as_str(), text(to)?];
        self.engine.wait(async |docker| {
            let from = tokio::fs::File::from_std(from);
            act(&docker, &self.container, &words, Some(from), &mut |_| Ok(())).await
        })?;
        // It is kept beside for nothing else.
        std::fs::remove_file(file).map_err(say)
    }

    fn place_all(&self, folder: &Path, into: &Path) -> Result<(), String> {
        let say = |why: &dyn std::fmt::Display| format!("write to `{}`: {why}", into.display());
        self.make_dir(into)?;
        let path = text(into)?.to_owned();
        self.engine.wait(async |docker| {
            let (to, from) = tokio::sync::mpsc::channel(4);
            let folder = folder.to_owned();
            let packed = tokio::task::spawn_blocking(move || pack(&folder, Stream::to(to)));
            let options = UploadToContainerOptions { path, ..UploadToContainerOptions::default() };
            let sent = docker
                .upload_to_container(
                    &self.container,
                    Some(options),
                    bollard::body_try_stream(ReceiverStream::new(from)),
                )
                .await;
            let packed = packed.await.map_err(|error| say(&error))?;
            sent.map_err(|error| say(&told(&error)))?;
            packed.map_err(|error| say(&error))
        })
    }

    fn program(&self, dir: &Path, name: &str, search: &str) -> Result<Option<PathBuf>, String> {
        let found = self.answer(&["which", name, text(dir)?, search])?;
        Ok((!found.is_empty()).then(|| found.into()))
    }
}

/// Everything in a folder as a tar; its owner is the container's root.
fn pack(folder: &Path, stream: Stream) -> io::Result<()> {
    let mut tar = tar::Builder::new(stream);
    append(&mut tar, folder, Path::new(""))?;
    tar.into_inner()?.flush()
}

fn append(tar: &mut tar::Builder<Stream>, folder: &Path, below: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, about) = (below.join(entry.file_name()), entry.metadata()?);
        let mut header = tar::Header::new_gnu();
        header.set_metadata(&about);
        header.set_uid(0);
        header.set_gid(0);
        if about.is_dir() {
            tar.append_data(&mut header, &path, io::empty())?;
            append(tar, &entry.path(), &path)?;
        } else if about.is_symlink() {
            tar.append_link(&mut header, &path, std::fs::read_link(entry.path())?)?;
        } else {
            tar.append_data(&mut header, &path, File::open(entry.path())?)?;
        }
    }
    Ok(())
}
