//! OCI images: what `docker save`, `podman save`, `skopeo copy` and `buildah push` write. Owns the reading of their documents:
//! which image of an archive is meant, what it consists of, and that each part is what its digest says; must never touch an
//! image's files: [`layers`] puts those down. [`config`] says what becomes of an image's configuration.
//!
//! An archive is a layout folder in a tar, so a layout is all that is known here. There are two: Docker's own, with a
//! `manifest.json`, and OCI's, with an `index.json` and blobs by digest; Docker writes both at once since its version 25.
//! Sources: OCI image-spec 1.1 (image-layout, image-index, manifest, config, layer), Docker's image specification 1.2.

pub(super) mod config;
pub(super) mod layers;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use evenkeel_core::name::Port;
use evenkeel_core::noun::Manifest;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{ImageError, MANIFEST, failed};
use layers::Target;

/// The most bytes of one document (OCI distribution-spec: what registries take at least).
const MOST_DOCUMENT: u64 = 4 * 1024 * 1024;
/// The most layers of an image; Docker makes no more than 127.
const MOST_LAYERS: usize = 512;
/// The most images in an archive, those of other platforms among them.
const MOST_IMAGES: usize = 1000;
/// How deep an index may name another.
const DEEPEST: usize = 4;

/// What is asked of an archive that it may not say itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Where the application listens, whatever the image says.
    pub port: Option<Port>,
    /// Which of several images is meant: its tag, the end of it, or its digest.
    pub image: Option<String>,
}

/// An image whose files are there.
#[derive(Debug)]
pub(super) struct Made {
    /// What it runs.
    pub(super) manifest: Manifest,
    /// What it says and is not followed, for people.
    pub(super) notes: Vec<String>,
}

/// Whether a folder is a layout, judging by its names.
pub(super) fn is_layout(folder: &Path) -> bool {
    let there = |name: &str| fs::symlink_metadata(folder.join(name)).is_ok_and(|about| about.is_file());
    there(INDEX) || there(DOCKER)
}

const INDEX: &str = "index.json";
const DOCKER: &str = "manifest.json";

/// Puts the files of a layout's image into `to`, which is empty, with an `image.toml` among them. `file` is what the user
/// calls it.
pub(super) fn make(layout: &Path, to: &Path, choice: &Choice, file: &Path) -> Result<Made, ImageError> {
    let layout = Layout { root: layout };
    let chosen = if layout.has(DOCKER) { layout.docker(choice)? } else { layout.index(choice)? };
    let config: config::Image = layout.document(&chosen.config)?;
    let stem = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut said = config::said(&config, chosen.reference.as_deref(), stem, choice.port)?;
    if let Some(wrong) = platform_of(&config.os, &config.architecture).filter(|platform| *platform != machine()) {
        return Err(ImageError::Oci(format!("run an image for {wrong}: this machine is {}", machine())));
    }
    let sums = config.rootfs.map(|rootfs| rootfs.diff_ids).unwrap_or_default();
    if sums.len() != chosen.layers.len() || sums.len() > MOST_LAYERS {
        let (layers, most) = (chosen.layers.len(), MOST_LAYERS);
        let why = format!("it has {layers} layers and sums of {}; there may be {most} of each", sums.len());
        return Err(ImageError::Oci(format!("read `{}`: {why}", chosen.config)));
    }
    let mut target = Target::new(to);
    for (name, sum) in chosen.layers.iter().zip(&sums) {
        let layer = layout.open(name)?;
        target.apply(layer, Path::new(name), hex_of(sum)?)?;
    }
    for place in said.manifest.working_dir.iter().chain(&said.volumes) {
        target.folder(Path::new(place))?;
    }
    said.notes.extend(target.notes());
    let text = toml::to_string(&said.manifest).map_err(io::Error::other);
    target.put(MANIFEST, text.map_err(failed(format!("write `{MANIFEST}`")))?.as_bytes())?;
    Ok(Made { manifest: said.manifest, notes: said.notes })
}

/// The parts of one image, as names in the layout.
struct Chosen {
    config: String,
    layers: Vec<String>,
    reference: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Docker {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    variant: Option<String>,
}

#[derive(Deserialize)]
struct Parts {
    config: Descriptor,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

struct Layout<'a> {
    root: &'a Path,
}

impl Layout<'_> {
    fn has(&self, name: &str) -> bool {
        fs::symlink_metadata(self.root.join(name)).is_ok_and(|about| about.is_file())
    }

    /// Docker's list of images.
    fn docker(&self, choice: &Choice) -> Result<Chosen, ImageError> {
        let images: Vec<Docker> = self.document(DOCKER)?;
        let mut found = Vec::new();
        for image in images.into_iter().take(MOST_IMAGES) {
            let tags = image.repo_tags.unwrap_or_default();
            let digest = format!("sha256:{}", stated_sum(&image.config).unwrap_or_default());
            let reference = match &choice.image {
                Some(wanted) if digest == *wanted => tags.first().cloned(),
                Some(wanted) => match tags.iter().find(|tag| is_meant(tag, wanted)) {
                    Some(tag) => Some(tag.clone()),
                    None => continue,
                },
                None => tags.first().cloned(),
            };
            let name = reference.clone().unwrap_or(digest);
            let layers = image.layers.unwrap_or_default();
            found.push((name, Chosen { config: image.config, layers, reference }));
        }
        // One of several platforms can only be told by what its configuration says.
        if found.len() > 1 {
            found.retain(|(_, chosen)| {
                let config = self.document::<config::Image>(&chosen.config);
                config.is_ok_and(|config| platform_of(&config.os, &config.architecture).is_none_or(|p| p == machine()))
            });
        }
        one_of(found, choice, DOCKER)
    }

    /// OCI's index, and those that it names.
    fn index(&self, choice: &Choice) -> Result<Chosen, ImageError> {
        let top: Index = self.document(INDEX)?;
        let (mut found, mut others) = (Vec::new(), Vec::new());
        let mut waiting: Vec<(Descriptor, Option<String>, usize)> = Vec::new();
        for descriptor in top.manifests {
            let reference = descriptor.annotations.as_ref().and_then(reference_of);
            let meant = |wanted: &String| {
                descriptor.digest == *wanted || reference.as_ref().is_some_and(|name| is_meant(name, wanted))
            };
            if choice.image.as_ref().is_none_or(meant) {
                waiting.push((descriptor, reference, 1));
            }
        }
        waiting.reverse();
        let mut seen = 0;
        while let Some((descriptor, reference, depth)) = waiting.pop() {
            seen += 1;
            if seen > MOST_IMAGES || depth > DEEPEST {
                let why = format!("it names more than {MOST_IMAGES} images, or indexes {DEEPEST} deep");
                return Err(ImageError::Oci(format!("read `{INDEX}`: {why}")));
            }
            let blob = blob(&descriptor.digest)?;
            if descriptor.media_type.contains("index") || descriptor.media_type.contains("manifest.list") {
                let index: Index = self.document(&blob)?;
                let below = index.manifests.into_iter().map(|below| (below, reference.clone(), depth + 1));
                waiting.extend(below.rev());
                continue;
            }
            if !descriptor.media_type.contains("manifest") {
                continue;
            }
            let platform = descriptor.platform.as_ref();
            match platform.and_then(|platform| platform_of(&platform.os, &platform.architecture)) {
                Some(platform) if platform != machine() => others.push(platform),
                _ => {
                    let plain = platform.is_none_or(|platform| is_plain(platform.variant.as_deref()));
                    found.push((descriptor.digest.clone(), reference, plain));
                }
            }
        }
        // Of several for this kind of machine, that for all of them.
        if found.iter().any(|(.., plain)| *plain) {
            found.retain(|(.., plain)| *plain);
        }
        found.dedup_by(|a, b| a.0 == b.0);
        if found.is_empty() && !others.is_empty() {
            others.sort();
            others.dedup();
            let why = format!("find an image for {} in `{INDEX}`: there is {}", machine(), others.join(", "));
            return Err(ImageError::Oci(why));
        }
        let named = found.into_iter().map(|(digest, reference, _)| {
            let name = reference.clone().unwrap_or_else(|| digest.clone());
            (name, (digest, reference))
        });
        let (digest, reference) = one_of(named.collect(), choice, INDEX)?;
        let parts: Parts = self.document(&blob(&digest)?)?;
        let layers = parts.layers.iter().map(|layer| blob(&layer.digest)).collect::<Result<_, _>>()?;
        Ok(Chosen { config: blob(&parts.config.digest)?, layers, reference })
    }

    fn document<T: DeserializeOwned>(&self, name: &str) -> Result<T, ImageError> {
        let mut bytes = Vec::new();
        let read = self.open(name)?.take(MOST_DOCUMENT + 1).read_to_end(&mut bytes);
        read.map_err(failed(format!("read `{name}`")))?;
        if bytes.len() as u64 > MOST_DOCUMENT {
            return Err(ImageError::Oci(format!(
                "read `{name}`: it is larger than the limit of {MOST_DOCUMENT} bytes"
            )));
        }
        serde_json::from_slice(&bytes).map_err(|error| ImageError::Oci(format!("read `{name}`: {error}")))
    }

    /// Opens a part, and holds it against the digest that its name says, where it says one.
    fn open(&self, name: &str) -> Result<File, ImageError> {
        let what = || format!("read `{name}`");
        // Docker before 25 names a layer that is there already by a link.
        let place = layers::below(self.root, Path::new(name), &mut 0).map_err(|why| {
            let why = format!("{}: {why}", what());
            ImageError::Oci(why)
        })?;
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        let plain = fs::symlink_metadata(self.root.join(&place)).map_err(failed(what()))?.is_file();
        if !plain {
            return Err(ImageError::Oci(format!("{}: it is no plain file", what())));
        }
        let open = || options.open(self.root.join(&place)).map_err(failed(what()));
        if let Some(stated) = stated_sum(name) {
            let found = super::tree::content(&mut open()?).map_err(failed(what()))?;
            if found != stated {
                return Err(ImageError::Oci(format!("{}: its SHA-256 is {found}", what())));
            }
        }
        open()
    }
}

/// The only one there is.
fn one_of<T>(mut found: Vec<(String, T)>, choice: &Choice, document: &str) -> Result<T, ImageError> {
    match (found.len(), &choice.image) {
        (1, _) => Ok(found.remove(0).1),
        (0, Some(wanted)) => Err(ImageError::Oci(format!("find the image `{wanted}` in `{document}`"))),
        (0, None) => Err(ImageError::Oci(format!("find an image in `{document}`"))),
        (_, _) => {
            let names: Vec<&str> = found.iter().take(20).map(|(name, _)| name.as_str()).collect();
            Err(ImageError::SeveralImages(names.join(", ")))
        }
    }
}

/// Where a blob is in a layout.
fn blob(digest: &str) -> Result<String, ImageError> {
    Ok(format!("blobs/sha256/{}", hex_of(digest)?))
}

fn hex_of(digest: &str) -> Result<&str, ImageError> {
    let hex = digest.strip_prefix("sha256:").filter(|hex| super::is_digest(hex));
    hex.ok_or_else(|| {
        let shown: String = digest.chars().take(80).collect();
        ImageError::Oci(format!("read the digest `{shown}`: it is none of SHA-256"))
    })
}

/// The SHA-256 that a part's name says: `blobs/sha256/HEX`, and `HEX.json` as Docker named configurations.
fn stated_sum(name: &str) -> Option<&str> {
    let hex = name.strip_prefix("blobs/sha256/").or_else(|| name.strip_suffix(".json"))?;
    super::is_digest(hex).then_some(hex)
}

/// What an image is called by whoever made the archive.
fn reference_of(annotations: &BTreeMap<String, String>) -> Option<String> {
    let names = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];
    names.into_iter().find_map(|name| annotations.get(name)).filter(|name| !name.is_empty()).cloned()
}

/// Whether a reference is the wanted one: all of it, or its end from a `/` or `:` on.
fn is_meant(reference: &str, wanted: &str) -> bool {
    let before = reference.strip_suffix(wanted);
    !wanted.is_empty() && before.is_some_and(|before| before.is_empty() || before.ends_with(['/', ':']))
}

/// `linux/amd64`; `None` where it does not say for what machine. What BuildKit adds to images says `unknown/unknown`.
fn platform_of(os: &str, architecture: &str) -> Option<String> {
    (!architecture.is_empty()).then(|| format!("{os}/{architecture}"))
}

fn is_plain(variant: Option<&str>) -> bool {
    matches!(variant, None | Some("" | "v1" | "v8"))
}

/// This machine, in Go's words.
pub(super) fn machine() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        other => other,
    };
    format!("linux/{architecture}")
}

/// Where a layout is kept while its image is made beside it.
pub(super) fn beside(to: &Path) -> Result<tempfile::TempDir, ImageError> {
    let folder = to.parent().unwrap_or(Path::new("."));
    let made = tempfile::Builder::new().prefix(super::PARTIAL).tempdir_in(folder);
    made.map_err(failed(format!("make a folder in `{}`", folder.display())))
}

#[cfg(test)]
mod tests;
