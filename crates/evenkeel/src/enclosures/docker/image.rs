//! Images on a Docker Engine: an image's files as a layer, loaded once, never pulled.
//!
//! Owns the archive that is sent (Docker Image Specification v1.2, "Combined Image JSON + Filesystem Changeset Format"): a
//! layer with our init program, the same in all, and one with the image's files at `/`. An image stays on an engine as long
//! as an instance of it does. Must never hold an image in memory.

use std::io::{self, Write};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use bollard::Docker;
use bollard::query_parameters::{ImportImageOptions, RemoveImageOptions};
use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc::Sender;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::engine::{answered, told};
use crate::images::tree::Shape;
use crate::images::{pack, tree};

/// The program that every container begins with; empty where this build could not link it.
const INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));
/// The repository that our images are in.
const REPOSITORY: &str = "evenkeel";
/// How long a load may take: 8 GiB at 10 MB/s.
const LOAD: Duration = Duration::from_secs(900);
/// Bytes at a time.
const PIECE: usize = 256 * 1024;
/// A tar is made of blocks of so many bytes, and ends with two empty ones.
const BLOCK: usize = 512;
/// One load at a time, so that an image that many wait for is loaded once.
static LOADING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
/// SHA-256 of the init program, so that an image with another one has another name.
static INIT_SUM: LazyLock<String> = LazyLock::new(|| {
    let mut sum = Context::new(&SHA256);
    sum.update(INIT);
    hex(sum)
});

/// What an image of these files is called on an engine. The folder's name is their digest.
#[must_use]
pub fn name(files: &Path) -> String {
    let digest = files.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let part = |text: &str, length: usize| text.get(..length).unwrap_or(text).to_owned();
    format!("{REPOSITORY}:{}-{}", part(&digest, 32), part(&INIT_SUM, 8))
}

/// Loads an image that is not there.
///
/// # Errors
/// Completes "failed to …".
pub async fn load(docker: &Docker, files: &Path, shape: Shape) -> Result<String, String> {
    let name = name(files);
    let say = |why: &dyn std::fmt::Display| format!("load the image into Docker: {why}");
    if INIT.is_empty() {
        return Err(say(&"this build has no program for containers: it found no static C library (libc6-dev)"));
    }
    let _turn = LOADING.lock().await;
    match docker.inspect_image(&name).await {
        Ok(_) => return Ok(name),
        Err(error) if answered(&error, 404) => {}
        Err(error) => return Err(say(&told(&error))),
    }
    let (to, from) = tokio::sync::mpsc::channel(4);
    let (files, tag) = (files.to_owned(), name.clone());
    let packed = tokio::task::spawn_blocking(move || {
        let mut stream = Stream::to(to.clone());
        let written = archive(&files, shape, &tag, &mut stream).and_then(|()| stream.flush());
        if let Err(error) = &written {
            // An archive that is cut short is an error to the engine, too.
            let _ = to.blocking_send(Err(io::Error::new(error.kind(), error.to_string())));
        }
        written
    });
    // The answer begins when all is taken in.
    let docker = docker.clone().with_timeout(LOAD);
    let options = ImportImageOptions { quiet: true, ..ImportImageOptions::default() };
    let mut answers = Box::pin(docker.import_image_stream(options, ReceiverStream::new(from), None));
    let mut refused = None;
    while let Some(answer) = answers.next().await {
        if let Err(error) = answer {
            refused.get_or_insert(told(&error));
        }
    }
    drop(answers);
    match (packed.await.map_err(|error| say(&error))?, refused) {
        (Err(error), _) if error.kind() != io::ErrorKind::BrokenPipe => Err(say(&error)),
        (_, Some(why)) => Err(say(&why)),
        (Err(error), None) => Err(say(&error)),
        (Ok(()), None) => Ok(name),
    }
}

/// Removes an image, unless something else is made of it.
///
/// # Errors
/// Completes "failed to …".
pub async fn remove(docker: &Docker, name: &str) -> Result<(), String> {
    let options = RemoveImageOptions { force: false, noprune: false, ..RemoveImageOptions::default() };
    match docker.remove_image(name, Some(options), None).await {
        Err(error) if !(answered(&error, 404) || answered(&error, 409)) => {
            Err(format!("remove the image `{name}` from Docker: {}", told(&error)))
        }
        _ => Ok(()),
    }
}

/// The whole archive: layers, and what they make.
fn archive(files: &Path, shape: Shape, tag: &str, to: &mut dyn Write) -> io::Result<()> {
    // Each layer is made twice: to learn its size and digest, which stand before it and after, and to send it.
    let layers: [(&str, Layer<'_>); 2] =
        [("init.tar", Box::new(init)), ("files.tar", Box::new(|to| layer(files, shape, to)))];
    let mut sums = Vec::new();
    for (name, make) in &layers {
        let mut measured = Measured { sum: Context::new(&SHA256), size: 0 };
        make(&mut measured)?;
        to.write_all(head(name, measured.size)?.as_bytes())?;
        let mut sent = Counted { to: &mut *to, size: 0 };
        make(&mut sent)?;
        if sent.size != measured.size {
            return Err(io::Error::other("its files changed meanwhile"));
        }
        pad(measured.size, to)?;
        sums.push(format!("sha256:{}", hex(measured.sum)));
    }
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": sums },
    });
    let manifest =
        json!([{ "Config": "config.json", "RepoTags": [tag], "Layers": layers.each_ref().map(|(name, _)| name) }]);
    for (name, value) in [("config.json", config), ("manifest.json", manifest)] {
        let text = value.to_string();
        to.write_all(head(name, text.len() as u64)?.as_bytes())?;
        to.write_all(text.as_bytes())?;
        pad(text.len() as u64, to)?;
    }
    to.write_all(&[0; 2 * BLOCK])
}

type Layer<'a> = Box<dyn Fn(&mut dyn Write) -> io::Result<()> + 'a>;

/// Our own layer: the init program, and a `/tmp` for images that have none.
fn init(to: &mut dyn Write) -> io::Result<()> {
    let mut tar = tar::Builder::new(to);
    let folder = |path: &str, mode| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(mode);
        header.set_size(0);
        (path.to_owned(), header)
    };
    for (path, mut header) in [folder("tmp", 0o1777), folder(evenkeel_init::FOLDER, 0o755)] {
        tar.append_data(&mut header, path, io::empty())?;
    }
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(INIT.len() as u64);
    tar.append_data(&mut header, evenkeel_init::PROGRAM.trim_start_matches('/'), INIT)?;
    tar.into_inner().map(drop)
}

fn layer(files: &Path, shape: Shape, to: &mut dyn Write) -> io::Result<()> {
    let entries = tree::walk(files, shape).map_err(io::Error::other)?;
    pack::tar(files, &entries, to).map_err(io::Error::other)
}

fn head(name: &str, size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    Ok(header)
}

fn pad(size: u64, to: &mut dyn Write) -> io::Result<()> {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    to.write_all(&[0; BLOCK][..(BLOCK - over) % BLOCK])
}

fn hex(sum: Context) -> String {
    sum.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Learns what goes by.
struct Measured {
    sum: Context,
    size: u64,
}

impl Write for Measured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sum.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Counted<'a> {
    to: &'a mut dyn Write,
    size: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Bytes on their way to the engine.
pub(super) struct Stream {
    to: Sender<io::Result<Bytes>>,
    held: Vec<u8>,
}

impl Stream {
    pub(super) fn to(to: Sender<io::Result<Bytes>>) -> Self {
        Self { to, held: Vec::with_capacity(PIECE) }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.held));
        // Whoever does not take it any more has an error of its own.
        self.to.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_names_each_layer_by_what_it_holds() {
        let dir = tempfile::TempDir::new().unwrap();
        let files = dir.path().join("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        std::fs::create_dir(&files).unwrap();
        std::fs::write(files.join("app"), vec![7; 700]).unwrap();
        let tag = name(&files);
        assert!(tag.starts_with("evenkeel:0123456789abcdef0123456789abcdef-"), "{tag}");
        let mut bytes = Vec::new();
        archive(&files, Shape::Folder, &tag, &mut bytes).unwrap();
        assert_eq!(bytes.len() % BLOCK, 0);
        let mut found = std::collections::BTreeMap::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
            found.insert(entry.path().unwrap().display().to_string(), content);
        }
        let config: serde_json::Value = serde_json::from_slice(&found["config.json"]).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&found["manifest.json"]).unwrap();
        assert_eq!(manifest[0]["RepoTags"][0], tag);
        for (index, layer) in ["init.tar", "files.tar"].into_iter().enumerate() {
            assert_eq!(manifest[0]["Layers"][index], layer);
            let mut sum = Context::new(&SHA256);
            sum.update(&found[layer]);
            assert_eq!(config["rootfs"]["diff_ids"][index], format!("sha256:{}", hex(sum)), "{layer}");
        }
        let names = |layer: &str| -> Vec<String> {
            let mut archive = tar::Archive::new(found[layer].as_slice());
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
        };
        assert_eq!(names("files.tar"), ["app"]);
        assert_eq!(names("init.tar"), ["tmp", ".evenkeel", ".evenkeel/init"]);
    }
}
