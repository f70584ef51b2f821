//! Tests of OCI images: both layouts are the same image, layers lie over each other as the specification says, and nothing
//! that a hostile one says is done outside its folder.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::{Value, json};
use tar::EntryType as T;
use tempfile::TempDir;

use super::*;
use crate::images::archive::{Coding, Encoder};
use crate::images::{ImageStore, Imported, Opened};

/// One entry of a layer: name, kind, content or link, mode.
type Item<'a> = (&'a str, T, &'a str, u32);

/// A tar whose entries may say anything, as a hostile one would.
fn layer(items: &[Item<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind, content, mode) in items {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_uid(0);
        header.set_gid(0);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        let mut data: &[u8] = b"";
        if matches!(kind, T::Symlink | T::Link) {
            header.as_mut_bytes()[157..157 + content.len()].copy_from_slice(content.as_bytes());
        } else {
            data = content.as_bytes();
        }
        header.set_size(data.len() as u64);
        header.set_cksum();
        tar.append(&header, data).unwrap();
    }
    tar.into_inner().unwrap()
}

fn sum_of(bytes: &[u8]) -> String {
    let mut sum = Context::new(&SHA256);
    sum.update(bytes);
    crate::images::tree::hex(sum)
}

fn coded(bytes: &[u8], coding: Coding) -> Vec<u8> {
    let mut to = Encoder::new(Vec::new(), coding);
    std::io::Write::write_all(&mut to, bytes).unwrap();
    to.finish().unwrap()
}

fn files(named: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in named {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn config(layers: &[Vec<u8>], more: &Value) -> Value {
    let sums: Vec<String> = layers.iter().map(|layer| format!("sha256:{}", sum_of(layer))).collect();
    let (os, architecture) = machine().split_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    json!({ "os": os, "architecture": architecture, "config": more, "rootfs": { "type": "layers", "diff_ids": sums } })
}

fn web() -> Value {
    json!({ "Cmd": ["/bin/serve"], "ExposedPorts": { "80/tcp": {} } })
}

/// As `docker save` wrote it before version 25.
fn docker(layers: &[Vec<u8>], config: &Value, tag: &str) -> Vec<(String, Vec<u8>)> {
    let config = serde_json::to_vec(config).unwrap();
    let name = format!("{}.json", sum_of(&config));
    let names: Vec<String> = (0..layers.len()).map(|n| format!("layer{n}/layer.tar")).collect();
    let list = json!([{ "Config": name, "RepoTags": [tag], "Layers": names }]);
    let mut all: Vec<_> = names.into_iter().zip(layers.iter().cloned()).collect();
    all.extend([(name, config), ("manifest.json".to_owned(), list.to_string().into_bytes())]);
    all
}

/// An OCI layout; also what an index says of the image in it.
fn oci(layers: &[Vec<u8>], config: &Value, coding: Coding) -> (Vec<(String, Vec<u8>)>, Value) {
    let blob = |bytes: &[u8]| (format!("blobs/sha256/{}", sum_of(bytes)), bytes.to_vec());
    let said = |kind: &str, bytes: &[u8]| {
        json!({ "mediaType": format!("application/vnd.oci.image.{kind}"), "size": bytes.len(),
            "digest": format!("sha256:{}", sum_of(bytes)) })
    };
    let packed: Vec<Vec<u8>> = layers.iter().map(|layer| coded(layer, coding)).collect();
    let config = serde_json::to_vec(config).unwrap();
    let of_layers: Vec<Value> = packed.iter().map(|layer| said("layer.v1.tar", layer)).collect();
    let parts = json!({ "schemaVersion": 2, "config": said("config.v1+json", &config), "layers": of_layers });
    let parts = parts.to_string().into_bytes();
    let mut descriptor = said("manifest.v1+json", &parts);
    descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": "1.2" });
    let mut all: Vec<_> = packed.iter().map(|layer| blob(layer)).collect();
    all.extend([blob(&config), blob(&parts), ("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())]);
    (all, descriptor)
}

fn indexed(mut all: Vec<(String, Vec<u8>)>, descriptors: &[Value]) -> Vec<(String, Vec<u8>)> {
    let index = json!({ "schemaVersion": 2, "manifests": descriptors });
    all.push(("index.json".to_owned(), index.to_string().into_bytes()));
    all
}

struct Site {
    dir: TempDir,
    store: ImageStore,
}

impl Site {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = ImageStore::open(dir.path()).unwrap();
        Self { dir, store }
    }

    fn take_as(&self, name: &str, bytes: &[u8], choice: &Choice) -> Result<Imported, ImageError> {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let taken = self.store.import(&path, choice);
        let left: Vec<_> = fs::read_dir(self.dir.path().join("images")).unwrap().flatten().collect();
        assert!(left.iter().all(|item| crate::images::is_digest(item.file_name().to_str().unwrap())), "{left:?}");
        taken
    }

    fn take(&self, bytes: &[u8]) -> Result<Imported, ImageError> {
        self.take_as("web.tar", bytes, &Choice::default())
    }

    /// The files of an image of these layers.
    fn made(&self, layers: &[Vec<u8>]) -> PathBuf {
        let imported = self.take(&files(&docker(layers, &config(layers, &web()), "web:1.2"))).unwrap();
        self.store.path(&imported.digest)
    }
}

fn base() -> Vec<u8> {
    layer(&[
        ("bin", T::Symlink, "usr/bin", 0o777),
        ("usr/bin/", T::Directory, "", 0o755),
        ("usr/bin/serve", T::Regular, "#!/bin/sh\n", 0o755),
        ("tmp/", T::Directory, "", 0o1777),
        ("etc/mtab", T::Symlink, "/proc/mounts", 0o777),
        ("etc/passwd", T::Regular, "root:x:0:0::/root:/bin/sh\n", 0o644),
    ])
}

#[test]
fn both_layouts_in_every_packing_are_the_same_image() {
    let site = Site::new();
    let layers = [base(), layer(&[("bin/more", T::Regular, "more", 0o755)]), vec![0; 1024]];
    let config = config(&layers, &web());
    let first = site.take(&files(&docker(&layers, &config, "registry.example/some/web:1.2"))).unwrap();
    assert_eq!((first.manifest.name.as_str(), first.manifest.version.as_deref()), ("web", Some("1.2")));
    assert!(first.manifest.rootfs);
    for (inner, outer, name) in [
        (Coding::Plain, Coding::Plain, "web.tar"),
        (Coding::Gzip, Coding::Gzip, "web.tar.gz"),
        (Coding::Zstd, Coding::Zstd, "web.tar.zst"),
    ] {
        let (all, descriptor) = oci(&layers, &config, inner);
        let whole = coded(&files(&indexed(all, &[descriptor])), outer);
        assert_eq!(site.take_as(name, &whole, &Choice::default()).unwrap(), first, "{name}");
        let opened = Opened::open(&site.dir.path().join(name)).unwrap();
        assert_eq!((opened.digest().unwrap(), opened.notes.len()), (first.digest.clone(), 0));
    }
    // Both at once, as Docker writes it now; and a folder.
    let (all, descriptor) = oci(&layers, &config, Coding::Plain);
    let blobs: Vec<String> = layers.iter().map(|layer| format!("blobs/sha256/{}", sum_of(layer))).collect();
    let own = format!("blobs/sha256/{}", sum_of(&serde_json::to_vec(&config).unwrap()));
    let list = json!([{ "Config": own, "RepoTags": ["web:1.2"], "Layers": blobs }]).to_string().into_bytes();
    let mut all = indexed(all, &[descriptor]);
    let folder = site.dir.path().join("web");
    for (name, content) in &all {
        fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        fs::write(folder.join(name), content).unwrap();
    }
    assert_eq!(site.store.import(&folder, &Choice::default()).unwrap(), first);
    all.push(("manifest.json".to_owned(), list));
    assert_eq!(site.take(&files(&all)).unwrap(), first);

    let kept = site.store.path(&first.digest);
    assert_eq!(fs::read_to_string(kept.join("usr/bin/more")).unwrap(), "more");
    assert_eq!(fs::read_link(kept.join("etc/mtab")).unwrap(), Path::new("/proc/mounts"));
    assert_eq!(fs::metadata(kept.join("tmp")).unwrap().permissions().mode() & 0o7777, 0o1777);
    // Packed as one of ours, it is the same too.
    let opened = Opened::open(&kept).unwrap();
    let packed = site.dir.path().join("ours.tar.zst");
    crate::images::pack::write(opened.root(), &opened.entries, &packed, Coding::Zstd, &mut |_| {}).unwrap();
    assert_eq!(site.store.import(&packed, &Choice::default()).unwrap().digest, first.digest);
}

#[test]
fn layers_lie_over_each_other() {
    let site = Site::new();
    let kept = site.made(&[
        layer(&[
            ("etc/gone", T::Regular, "x", 0o644),
            ("etc/changed", T::Regular, "old", 0o600),
            ("etc/deep/gone", T::Regular, "x", 0o644),
            ("opaque/old", T::Regular, "x", 0o644),
            ("opaque/sub/old", T::Regular, "x", 0o644),
            ("var/run", T::Symlink, "/run", 0o777),
            ("was-folder/in", T::Regular, "x", 0o644),
            ("was-link", T::Symlink, "etc", 0o777),
            ("hard", T::Regular, "linked", 0o755),
        ]),
        layer(&[
            ("etc/.wh.gone", T::Regular, "", 0o644),
            ("etc/.wh.deep", T::Regular, "", 0o644),
            ("etc/changed", T::Regular, "new", 0o640),
            // An opaque folder hides what is below, and not what its own layer brings before or after it.
            ("opaque/sub/", T::Directory, "", 0o755),
            ("opaque/sub/new", T::Regular, "y", 0o644),
            ("opaque/.wh..wh..opq", T::Regular, "", 0o644),
            ("opaque/new", T::Regular, "y", 0o644),
            ("opaque/.wh.new", T::Regular, "", 0o644),
            (".wh..wh.plnk/1", T::Regular, "", 0o644),
            (".wh.nothing", T::Regular, "", 0o644),
            ("var/run/pid", T::Regular, "1", 0o644),
            ("was-folder", T::Regular, "file", 0o644),
            ("was-link/", T::Directory, "", 0o700),
            ("twin", T::Link, "/hard", 0o755),
            ("./dot/./file", T::Regular, "z", 0o644),
        ]),
    ]);
    let read = |path: &str| fs::read_to_string(kept.join(path)).unwrap();
    let there = |path: &str| fs::symlink_metadata(kept.join(path)).is_ok();
    for gone in ["etc/gone", "etc/deep", "opaque/old", "opaque/sub/old", "nothing"] {
        assert!(!there(gone), "{gone}");
    }
    assert_eq!(
        (read("etc/changed"), read("opaque/sub/new"), read("opaque/new")),
        ("new".into(), "y".into(), "y".into())
    );
    assert_eq!(
        (read("run/pid"), read("was-folder"), read("twin"), read("dot/file")),
        ("1".into(), "file".into(), "linked".into(), "z".into())
    );
    assert!(fs::symlink_metadata(kept.join("was-link")).unwrap().is_dir());
    let names = fs::read_dir(&kept).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap());
    assert!(!names.into_iter().any(|name| name.starts_with(".wh.")));
}

#[test]
fn nothing_is_done_outside_of_the_image() {
    let site = Site::new();
    let outside = site.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "precious").unwrap();
    let real = outside.to_str().unwrap();
    let kept = site.made(&[
        layer(&[
            ("abs", T::Symlink, real, 0o777),
            ("up", T::Symlink, "../../../../../../../../..", 0o777),
            ("usr/self", T::Symlink, ".", 0o777),
        ]),
        layer(&[
            ("abs/evil", T::Regular, "x", 0o644),
            ("abs/.wh.precious", T::Regular, "", 0o644),
            ("abs/.wh..wh..opq", T::Regular, "", 0o644),
            ("up/evil", T::Regular, "x", 0o644),
            ("/etc/evil", T::Regular, "x", 0o644),
            ("usr/self/self/self/here", T::Regular, "x", 0o644),
            ("image.toml", T::Symlink, real, 0o777),
        ]),
    ]);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(outside.join("precious")).unwrap(), "precious");
    let inside = kept.join(real.trim_start_matches('/'));
    assert!(inside.join("evil").is_file(), "an opaque folder hides nothing of its own layer: {}", inside.display());
    for path in ["evil", "etc/evil", "usr/here"] {
        assert!(fs::symlink_metadata(kept.join(path)).unwrap().is_file(), "{path}");
    }
    assert!(fs::symlink_metadata(kept.join("image.toml")).unwrap().is_file(), "it is ours, whatever a layer says");

    let refused = |items: &[Item<'_>], want: &str| {
        let layers = [layer(items)];
        let error = site.take(&files(&docker(&layers, &config(&layers, &web()), "web:1"))).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    };
    refused(&[("../evil", T::Regular, "x", 0o644)], "`..`");
    refused(&[("a/../../evil", T::Regular, "x", 0o644)], "`..`");
    refused(&[("loop", T::Symlink, "loop", 0o777), ("loop/x", T::Regular, "x", 0o644)], "40 links");
    refused(&[("file", T::Regular, "x", 0o644), ("file/x", T::Regular, "x", 0o644)], "through a file");
    refused(&[("a", T::Link, "../outside/precious", 0o644)], "`..`");
    refused(&[("abs", T::Symlink, real, 0o777), ("a", T::Link, "abs/precious", 0o644)], "no file of the image");
    refused(&[("a", T::Link, "", 0o644)], "no file of the image");
    refused(&[("a", T::new(b'Z'), "", 0o644)], "unknown kind");
}

#[test]
fn what_no_image_holds_is_left_out_and_named() {
    let site = Site::new();
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind, mode, owner) in [
        ("dev/null", T::Char, 0o666, 0),
        ("dev/sda", T::Block, 0o600, 0),
        ("pipe", T::Fifo, 0o600, 0),
        ("su", T::Regular, 0o4755, 7),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(0);
        header.set_size(0);
        tar.append_data(&mut header, name, std::io::empty()).unwrap();
    }
    let layers = [tar.into_inner().unwrap()];
    let archive = files(&docker(&layers, &config(&layers, &web()), "web:1"));
    let path = site.dir.path().join("web.tar");
    fs::write(&path, &archive).unwrap();
    let opened = Opened::open(&path).unwrap();
    for (note, said) in
        ["2 devices", "1 named pipes", "1 files and folders of other owners", "1 set-user-id"].iter().zip(&opened.notes)
    {
        assert!(said.starts_with(note), "{said}");
    }
    assert_eq!(opened.notes.len(), 4, "{:?}", opened.notes);
    assert_eq!(fs::metadata(opened.root().join("su")).unwrap().permissions().mode() & 0o7777, 0o755);
    assert!(!opened.root().join("dev/null").exists());
}

#[test]
fn an_archive_that_is_not_what_it_says_is_refused() {
    let site = Site::new();
    let layers = [base()];
    let good = config(&layers, &web());
    let refused = |all: Vec<(String, Vec<u8>)>, want: &str| {
        let error = site.take(&files(&all)).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    };
    let bent = |name: &str, mut all: Vec<(String, Vec<u8>)>| {
        let content = &mut all.iter_mut().find(|(path, _)| path.contains(name)).unwrap().1;
        // In the midst of a file's padding, so that only sums can tell.
        content[1700] ^= 1;
        all
    };
    refused(bent("layer.tar", docker(&layers, &good, "web:1")), "SHA-256");
    let (all, descriptor) = oci(&layers, &good, Coding::Plain);
    refused(bent(&sum_of(&layers[0]), indexed(all.clone(), std::slice::from_ref(&descriptor))), "its SHA-256 is");
    let mut long = all.clone();
    long.retain(|(name, _)| !name.contains(&sum_of(&layers[0])));
    refused(indexed(long, std::slice::from_ref(&descriptor)), "read `blobs");
    let mut sha512 = descriptor.clone();
    sha512["digest"] = json!("sha512:00");
    refused(indexed(all.clone(), &[sha512]), "none of SHA-256");
    let mut deep = descriptor.clone();
    deep["mediaType"] = json!("application/vnd.oci.image.index.v1+json");
    refused(indexed(all, &[deep]), "find an image");
    let mut foreign = good.clone();
    foreign["architecture"] = json!("mips");
    refused(docker(&layers, &foreign, "web:1"), "linux/mips");
    let mut fewer = good.clone();
    fewer["rootfs"]["diff_ids"] = json!([]);
    refused(docker(&layers, &fewer, "web:1"), "1 layers and sums of 0");
    refused(docker(&layers, &config(&layers, &json!({ "Cmd": ["x"] })), "web:1"), "find the port");
    refused(docker(&layers, &config(&layers, &json!({})), "web:1"), "neither Entrypoint nor Cmd");
    refused(vec![("manifest.json".into(), b"[".to_vec())], "read `manifest.json`");
    refused(vec![("manifest.json".into(), vec![b' '; 5 << 20])], "4194304");
    refused(vec![("manifest.json".into(), b"[]".to_vec())], "find an image");
    // A layer that is a link out of the archive.
    let secret = site.dir.path().join("secret");
    fs::write(&secret, base()).unwrap();
    let folder = site.dir.path().join("linked");
    for (name, content) in docker(&layers, &good, "web:1") {
        fs::create_dir_all(folder.join(&name).parent().unwrap()).unwrap();
        fs::write(folder.join(name), content).unwrap();
    }
    fs::remove_file(folder.join("layer0/layer.tar")).unwrap();
    symlink(&secret, folder.join("layer0/layer.tar")).unwrap();
    site.store.import(&folder, &Choice::default()).unwrap_err();
    // Within it, it is what Docker did with layers that it had already.
    fs::create_dir(folder.join("first")).unwrap();
    fs::write(folder.join("first/layer.tar"), &layers[0]).unwrap();
    fs::remove_file(folder.join("layer0/layer.tar")).unwrap();
    symlink("../first/layer.tar", folder.join("layer0/layer.tar")).unwrap();
    site.store.import(&folder, &Choice::default()).unwrap();
    fs::write(folder.join(MANIFEST), "name = \"web\"\ncommand = [\"a\"]\nport = 1\n").unwrap();
    fs::remove_file(folder.join("layer0/layer.tar")).unwrap();
    let ours = site.store.import(&folder, &Choice::default()).unwrap();
    assert!(!ours.manifest.rootfs, "a folder with an image.toml is what that says");
    let choice = Choice { port: Port::new(80).ok(), image: None };
    assert!(site.store.import(&folder, &choice).unwrap_err().to_string().contains("no OCI image"));
}

#[test]
fn one_image_of_several_is_chosen() {
    let site = Site::new();
    let (first, second) = ([base()], [base(), layer(&[("two", T::Regular, "2", 0o644)])]);
    let mut all = docker(&first, &config(&first, &web()), "web:1");
    let other = docker(&second, &config(&second, &web()), "registry.example/web:2");
    let list = |all: &[(String, Vec<u8>)]| {
        let found = &all.iter().find(|(name, _)| name == "manifest.json").unwrap().1;
        serde_json::from_slice::<Vec<Value>>(found).unwrap()
    };
    let mut both = list(&all);
    both.extend(list(&other));
    both[1]["Layers"] = json!(["other0/layer.tar", "other1/layer.tar"]);
    all.retain(|(name, _)| name != "manifest.json");
    all.extend(
        other
            .into_iter()
            .filter(|(name, _)| name != "manifest.json")
            .map(|(name, content)| (name.replace("layer0/", "other0/").replace("layer1/", "other1/"), content)),
    );
    all.push(("manifest.json".into(), Value::from(both).to_string().into_bytes()));
    let bytes = files(&all);
    let error = site.take(&bytes).unwrap_err().to_string();
    assert!(error.contains("web:1, registry.example/web:2"), "{error}");
    let check = |image: &str, want: Option<&str>| {
        let choice = Choice { port: Port::new(8080).ok(), image: Some(image.to_owned()) };
        let version = site.take_as("web.tar", &bytes, &choice).ok().map(|taken| {
            assert_eq!(taken.manifest.port.number(), 8080);
            taken.manifest.version.unwrap()
        });
        assert_eq!(version.as_deref(), want, "{image}");
    };
    check("web:1", Some("1"));
    check("web:2", Some("2"));
    check("registry.example/web:2", Some("2"));
    check("2", Some("2"));
    check("eb:2", None);

    // Of an index of several platforms, the one of this machine; what BuildKit adds is none.
    let (mut all, mut own) = oci(&first, &config(&first, &web()), Coding::Gzip);
    let (os, architecture) = machine().split_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    own["platform"] = json!({ "os": os, "architecture": architecture });
    let (mut strange, mut added) = (own.clone(), own.clone());
    strange["platform"]["architecture"] = json!("mips");
    strange["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    added["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
    added["digest"] = json!(format!("sha256:{}", "1".repeat(64)));
    let nested = json!({ "schemaVersion": 2, "manifests": [strange, own, added] }).to_string().into_bytes();
    all.push((format!("blobs/sha256/{}", sum_of(&nested)), nested.clone()));
    let top = json!({ "mediaType": "application/vnd.oci.image.index.v1+json", "digest": format!("sha256:{}", sum_of(&nested)),
        "annotations": { "io.containerd.image.name": "docker.io/library/web:3" } });
    let taken = site.take(&files(&indexed(all.clone(), &[top]))).unwrap();
    assert_eq!((taken.manifest.name.as_str(), taken.manifest.version.as_deref()), ("web", Some("3")));
    let error = site.take(&files(&indexed(all, &[strange, added]))).unwrap_err().to_string();
    assert!(error.contains("linux/mips, unknown/unknown"), "{error}");
}

#[test]
fn layers_are_bounded() {
    let site = Site::new();
    let refused = |layer: Vec<u8>, want: &str| {
        let layers = [layer];
        let (all, descriptor) = oci(&layers, &config(&layers, &web()), Coding::Gzip);
        let error = site.take(&files(&indexed(all, &[descriptor]))).unwrap_err();
        let text = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
        assert!(text.contains(want), "{error:?}");
    };
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(T::GNULongName);
    header.set_size(1 << 40);
    header.as_mut_bytes()[..3].copy_from_slice(b"big");
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.resize(bytes.len() + (4 << 20), 0);
    refused(bytes, "1 MiB");
    // Hard links are as large as what they become in an instance.
    let content = "x".repeat(2 << 20);
    let names: Vec<String> = (0..4200).map(|n| format!("link{n}")).collect();
    let mut items: Vec<Item<'_>> = vec![("big", T::Regular, &content, 0o644)];
    items.extend(names.iter().map(|name| (name.as_str(), T::Link, "big", 0o644)));
    refused(layer(&items), "8 GiB");
    // Many links on the way are as good as one.
    let names: Vec<String> = (0..39).map(|n| format!("l{n}")).collect();
    let target = "./".repeat(40);
    let mut items: Vec<Item<'_>> =
        names.iter().map(|name| (name.as_str(), T::Symlink, target.as_str(), 0o777)).collect();
    let long = format!("{}/x", names[20..].join("/"));
    items.push((&long, T::Regular, "x", 0o644));
    let kept = site.made(&[layer(&items)]);
    assert!(kept.join("x").is_file());
}
