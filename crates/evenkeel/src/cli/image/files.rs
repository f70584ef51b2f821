//! What is done with the files of images: building, exporting, importing, showing and comparing them.
//!
//! Over the API an image is a row: AWS has no call for its files. They are read where the daemon keeps them, with the
//! eyes of whoever may read the data directory; nothing there is ever written. Next: [`crate::images`].

use std::path::{Path, PathBuf};

use anyhow::Context;
use evenkeel_aws::ec2::{Image, RegisterImage};
use evenkeel_core::noun::Manifest;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::bar::{Bar, human};
use super::{Build, Connect, Diff, Export, Import, Show};
use crate::cli::client::Client;
use crate::cli::failure::{Outcome, hinted};
use crate::cli::settings::{Reach, data_dir, process_environment};
use crate::cli::streams::Streams;
use crate::images::archive::{Coding, ENDINGS};
use crate::images::difference::{self, How};
use crate::images::oci::Choice;
use crate::images::{self, ImageError, Opened, pack};

/// Holds a folder against the rules of images, and packs it.
pub(super) fn build(args: &Build, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let opened =
        Opened::open(&args.folder).with_context(|| format!("failed to build an image of {}", args.folder.display()))?;
    let to = args.output.clone().unwrap_or_else(|| file_name(&opened.manifest));
    if lies_in(&to, &args.folder) {
        return Err(hinted(
            format!(
                "failed to build {}: it lies in the folder that is packed, and the next one would hold it",
                to.display()
            ),
            "give a place elsewhere with `-o`",
        ));
    }
    written(&opened, &to, args.json, streams)
}

/// Packs the files of a registered image.
pub(super) fn export(args: &Export, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let image = registered(client, &args.image)?;
    let opened = kept(&image, &args.reach)?;
    let to = args.output.clone().unwrap_or_else(|| file_name(&opened.manifest));
    written(&opened, &to, args.json, streams)
}

fn written(opened: &Opened, to: &Path, json: bool, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let endings = || ENDINGS.map(|(ending, _)| ending).join(", ");
    let unnamed = || hinted(format!("failed to write {}: its name says no archive", to.display()), endings());
    let coding = Coding::of_name(to).ok_or_else(unnamed)?;
    let size = opened.size()?;
    let bar = Bar::of_bytes(streams.live, "packing", size.bytes);
    let packed = pack::write(opened.root(), &opened.entries, to, coding, &mut |bytes| bar.more(bytes))
        .context("failed to write the archive")?;
    drop(bar);
    if json {
        let page = json!({
            "path": to, "bytes": packed, "digest": opened.digest()?,
            "name": opened.manifest.name, "version": opened.manifest.version,
            "files": { "entries": size.entries, "bytes": size.bytes },
        });
        writeln!(streams.out, "{page:#}")?;
    } else {
        writeln!(streams.out, "{}", to.display())?;
        let (whole, packed) = (human(size.bytes), human(packed));
        writeln!(streams.err, "{} files, folders and links, {whole}, packed {packed}", size.entries)?;
    }
    Ok(Outcome::Done)
}

/// Registers an archive under the name that its own manifest gives.
pub(super) fn import(args: &Import, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let failed = || format!("failed to import {}", args.path.display());
    let path = std::fs::canonicalize(&args.path).with_context(failed)?;
    let bar = Bar::of_time(streams.live, "reading");
    let choice = Choice { port: args.port, image: args.image.clone() };
    let Opened { manifest, notes, .. } = Opened::open_as(&path, &choice).map_err(|error| hint_of(error, &failed()))?;
    drop(bar);
    let location = path.to_str().with_context(|| format!("failed to send the path {}: not UTF-8", path.display()))?;
    let location = location_of(location, &choice);
    let input = RegisterImage {
        name: args.name.clone().unwrap_or(manifest.name),
        image_location: Some(location),
        description: Some(manifest.description).filter(|text| !text.is_empty()),
        ..Default::default()
    };
    let bar = Bar::of_time(streams.live, "registering");
    let id = client.call(&input).with_context(failed)?.image_id;
    drop(bar);
    if args.json {
        writeln!(streams.out, "{:#}", json!({ "image": id, "name": input.name, "not_followed": notes }))?;
    } else {
        writeln!(streams.out, "{id}")?;
        for note in notes {
            writeln!(streams.err, "not followed: {note}")?;
        }
    }
    Ok(Outcome::Done)
}

/// A path, or a URL where there is more to say.
fn location_of(path: &str, choice: &Choice) -> String {
    let port = choice.port.map(|port| format!("port={port}"));
    let image = choice.image.as_ref().map(|image| format!("image={}", utf8_percent_encode(image, NON_ALPHANUMERIC)));
    let query: Vec<String> = port.into_iter().chain(image).collect();
    if query.is_empty() {
        return path.to_owned();
    }
    format!("file://{}?{}", utf8_percent_encode(path, PATH), query.join("&"))
}

/// What is left of a path in a URL.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn hint_of(error: ImageError, failed: &str) -> anyhow::Error {
    let hint = match &error {
        ImageError::NoPort => "say where its application listens with `--port`",
        ImageError::SeveralImages(_) => "choose one with `--image`",
        _ => return anyhow::Error::new(error).context(failed.to_owned()),
    };
    hinted(format!("{failed}: failed to {error}"), hint)
}

/// Shows everything there is to know of an image.
pub(super) fn show(args: &Show, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let image = registered(client, &args.image)?;
    let opened = kept(&image, &args.reach);
    let mut page = json!({
        "image": image.image_id, "name": image.name, "description": image.description, "state": image.image_state,
        "created": image.creation_date, "location": image.image_location, "architecture": image.architecture,
        "tags": image.tag_set.iter().map(|tag| (tag.key.clone(), tag.value.clone().into())).collect::<serde_json::Map<_, _>>(),
    });
    match &opened {
        Ok(opened) => {
            let size = opened.size()?;
            page["digest"] = opened.digest()?.into();
            page["files"] = json!({ "entries": size.entries, "bytes": size.bytes });
            page["manifest"] = serde_json::to_value(&opened.manifest)?;
        }
        Err(why) => writeln!(streams.err, "only what the API says: {why:#}")?,
    }
    if args.json {
        writeln!(streams.out, "{page:#}")?;
        return Ok(Outcome::Done);
    }
    for (key, value) in rows("", &page) {
        let value = match (key.as_str(), value.as_u64()) {
            ("files.bytes", Some(bytes)) => format!("{bytes} ({})", human(bytes)),
            _ => plain(&value),
        };
        writeln!(streams.out, "{key:<22} {value}")?;
    }
    Ok(Outcome::Done)
}

/// Shows how two images differ: in what their manifests say, and in their files.
pub(super) fn diff(args: &Diff, connect: &Connect<'_>, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let bar = Bar::of_time(streams.live, "comparing");
    let open = |text: &str| -> anyhow::Result<Opened> {
        let path = Path::new(text);
        if !text.starts_with("ami-") && path.exists() {
            return Opened::open(path).with_context(|| format!("failed to open {text}"));
        }
        kept(&registered(&connect(&args.reach)?, text)?, &args.reach)
    };
    let (old, new) = (open(&args.old)?, open(&args.new)?);
    let files = difference::between((old.root(), &old.entries), (new.root(), &new.entries));
    let files = files.context("failed to compare the files")?;
    drop(bar);
    let said = |opened: &Opened| Ok::<_, serde_json::Error>(rows("", &serde_json::to_value(&opened.manifest)?));
    let (before, after) = (said(&old)?, said(&new)?);
    let value = |rows: &[(String, Value)], key: &str| rows.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
    let mut keys: Vec<&String> = before.iter().chain(&after).map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    let changed: Vec<_> = keys
        .into_iter()
        .map(|key| (key, value(&before, key), value(&after, key)))
        .filter(|(_, before, after)| before != after)
        .collect();
    if args.json {
        let manifest: Vec<_> =
            changed.iter().map(|(key, before, after)| json!({ "key": key, "old": before, "new": after })).collect();
        let files: Vec<_> = files.iter().map(|d| json!({ "path": d.path, "how": word(d.how) })).collect();
        writeln!(streams.out, "{:#}", json!({ "manifest": manifest, "files": files }))?;
        return Ok(Outcome::Done);
    }
    let shown = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), plain);
    for (key, before, after) in &changed {
        writeln!(streams.out, "image.toml: {key}: {} -> {}", shown(before), shown(after))?;
    }
    for difference in &files {
        let sign = match difference.how {
            How::Added => '+',
            How::Removed => '-',
            How::Contents | How::Mode(..) | How::Kind => '~',
        };
        // A file's name is nobody's word that a terminal should obey.
        let path: String = difference.path.to_string_lossy().chars().flat_map(tame).collect();
        writeln!(
            streams.out,
            "{sign} {path}{}",
            match difference.how {
                How::Mode(before, after) => format!(" (mode {before:o} -> {after:o})"),
                How::Kind => " (another kind of file)".to_owned(),
                _ => String::new(),
            }
        )?;
    }
    if changed.is_empty() && files.is_empty() {
        writeln!(streams.err, "no difference")?;
    }
    Ok(Outcome::Done)
}

fn word(how: How) -> &'static str {
    match how {
        How::Added => "added",
        How::Removed => "removed",
        How::Contents => "contents",
        How::Mode(..) => "mode",
        How::Kind => "kind",
    }
}

fn tame(c: char) -> impl Iterator<Item = char> {
    let (escaped, kept) = if c.is_control() { (Some(c.escape_unicode()), None) } else { (None, Some(c)) };
    escaped.into_iter().flatten().chain(kept)
}

/// The registered image of this id or name.
fn registered(client: &Client, wanted: &str) -> anyhow::Result<Image> {
    let images = client.images().context("failed to list images")?;
    let found = images.into_iter().find(|image| image.image_id == wanted || image.name == wanted);
    found.ok_or_else(|| hinted(format!("failed to find the image `{wanted}`"), "see `evenkeel image list`"))
}

/// Where a registered image's files are on this machine.
pub(super) fn place(image: &Image, reach: &Reach) -> Option<PathBuf> {
    let dir = data_dir(reach.data_dir.as_deref(), &process_environment)?;
    let device = image.block_device_mapping.iter().find_map(|device| device.ebs.as_ref())?;
    images::kept(&dir, device.snapshot_id.as_deref()?.strip_prefix("snap-")?)
}

fn kept(image: &Image, reach: &Reach) -> anyhow::Result<Opened> {
    let elsewhere = || {
        hinted(
            format!("failed to find the files of {} on this machine", image.image_id),
            "run it on the node, as somebody who may read the data directory, or give `--data-dir`",
        )
    };
    let place = place(image, reach).ok_or_else(elsewhere)?;
    Opened::open(&place).with_context(|| format!("failed to read the files of {}", image.image_id))
}

/// `app-1.2.tar.zst`, in the folder one is in.
fn file_name(manifest: &Manifest) -> PathBuf {
    let version = manifest.version.as_ref().map(|version| format!("-{version}")).unwrap_or_default();
    let good = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let stem: String = format!("{}{version}", manifest.name).chars().map(good).collect();
    // A name may begin with dots, and a file that hides is not what anybody looks for.
    format!("{}.tar.zst", stem.trim_start_matches('.')).into()
}

fn lies_in(file: &Path, folder: &Path) -> bool {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (parent.canonicalize(), folder.canonicalize()) {
        (Ok(parent), Ok(folder)) => folder.is_dir() && parent.starts_with(folder),
        _ => false,
    }
}

/// A JSON object as lines: nested keys with dots between.
fn rows(above: &str, value: &Value) -> Vec<(String, Value)> {
    let Value::Object(members) = value else { return vec![(above.to_owned(), value.clone())] };
    let key = |name: &String| if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
    members.iter().flat_map(|(name, value)| rows(&key(name), value)).collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.chars().flat_map(tame).collect(),
        Value::Null => "-".to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_core::name::Port;

    use super::*;

    #[test]
    fn an_archive_is_named_after_its_manifest() {
        let check = |name: &str, version: Option<&str>, want: &str| {
            let mut manifest = Manifest::new(name, vec!["./a".into()], Port::new(80).unwrap());
            manifest.version = version.map(str::to_owned);
            assert_eq!(file_name(&manifest), Path::new(want));
        };
        check("app", None, "app.tar.zst");
        check("my app", Some("1.2/beta"), "my-app-1.2-beta.tar.zst");
        check("../app", Some("1"), "-app-1.tar.zst");
    }

    #[test]
    fn an_archive_does_not_go_into_what_it_is_made_of() {
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path().join("app");
        std::fs::create_dir_all(app.join("deep")).unwrap();
        assert!(lies_in(&app.join("a.tar"), &app));
        assert!(lies_in(&app.join("deep/a.tar"), &app));
        assert!(!lies_in(&dir.path().join("a.tar"), &app));
    }

    #[test]
    fn nested_values_are_lines() {
        let page = json!({ "a": { "b": 1, "c": [1, 2] }, "d": "x" });
        let lines: Vec<String> = rows("", &page).iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
        assert_eq!(lines, ["a.b=1", "a.c=[1,2]", "d=x"]);
    }
}
