//! Tests of the image store: what is kept, what is refused, and what interrupted work leaves.

use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

const TOML: &str = "name = \"my app\"\nversion = \"1\"\ncommand = [\"./serve\"]\nport = 8080\n";

fn none() -> Choice {
    Choice::default()
}

fn app(dir: &Path) -> PathBuf {
    let app = dir.join("app");
    fs::create_dir_all(app.join("static/deep")).unwrap();
    fs::write(app.join(MANIFEST), TOML).unwrap();
    fs::write(app.join("serve"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(app.join("serve"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(app.join("static/deep/page"), "hello").unwrap();
    symlink("deep/page", app.join("static/link")).unwrap();
    app
}

fn refused(change: impl FnOnce(&Path)) -> String {
    let dir = TempDir::new().unwrap();
    let store = ImageStore::open(dir.path()).unwrap();
    let app = app(dir.path());
    change(&app);
    let error = store.import(&app, &none()).unwrap_err().to_string();
    assert_eq!(fs::read_dir(dir.path().join("images")).unwrap().count(), 0, "no half image is left");
    error
}

/// Builds a tar whose entries may say anything, as a hostile one would.
fn tar_of(path: &Path, entries: &[(&str, tar::EntryType, &str)]) {
    let mut tar = tar::Builder::new(File::create(path).unwrap());
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        let mut data: &[u8] = b"";
        if matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link) {
            header.as_mut_bytes()[157..157 + content.len()].copy_from_slice(content.as_bytes());
        } else {
            data = content.as_bytes();
        }
        header.set_size(data.len() as u64);
        header.set_cksum();
        tar.append(&header, data).unwrap();
    }
    tar.finish().unwrap();
}

fn tar_refused(entries: &[(&str, tar::EntryType, &str)]) -> String {
    let dir = TempDir::new().unwrap();
    let store = ImageStore::open(dir.path()).unwrap();
    let path = dir.path().join("app.tar");
    let all: Vec<_> = [(MANIFEST, tar::EntryType::Regular, TOML)].iter().chain(entries).copied().collect();
    tar_of(&path, &all);
    let error = store.import(&path, &none()).unwrap_err().to_string();
    assert_eq!(fs::read_dir(dir.path().join("images")).unwrap().count(), 0, "no half image is left");
    assert!(!dir.path().join("evil").exists());
    error
}

#[test]
fn a_folder_and_its_tar_are_the_same_image() {
    let dir = TempDir::new().unwrap();
    let store = ImageStore::open(dir.path()).unwrap();
    let app = app(dir.path());
    let first = store.import(&app, &none()).unwrap();
    assert_eq!(first.manifest.name, "my app");
    assert_eq!(store.import(&app, &none()).unwrap(), first);

    let path = dir.path().join("app.tar");
    let mut tar = tar::Builder::new(File::create(&path).unwrap());
    tar.follow_symlinks(false);
    tar.append_dir_all(".", &app).unwrap();
    tar.finish().unwrap();
    assert_eq!(store.import(&path, &none()).unwrap(), first);

    let kept = store.path(&first.digest);
    assert_eq!(fs::read_to_string(kept.join("static/link")).unwrap(), "hello");
    assert!(fs::symlink_metadata(kept.join("static/link")).unwrap().is_symlink());
    assert_eq!(fs::metadata(kept.join("serve")).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::read_dir(dir.path().join("images")).unwrap().count(), 1);

    fs::set_permissions(app.join("serve"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_ne!(store.import(&app, &none()).unwrap().digest, first.digest, "a mode is content");
}

#[test]
fn manifests_are_refused_by_file_line_and_key() {
    let check = |toml: &str, want: &str| {
        let error = refused(|app| fs::write(app.join(MANIFEST), toml).unwrap());
        assert!(error.contains(MANIFEST) && error.contains(want), "{error}");
    };
    check("name = \"app\"\nport = 1\n", "command");
    check("name = \"app\"\ncommand = [\"a\"]\nport = 0\n", "line 3");
    check("name = \"app\"\ncommand = [\"a\"]\nport = 1\ncolour = 2\n", "colour");
    check("name = \"app\"\ncommand = [\"a\"]\nport = 1\nstop_grace = 999\n", "stop_grace");
    check("name = \"a\"\ncommand = [\"a\"]\nport = 1\n", "name");
    check("name = ", "line 1");
    check(&"#".repeat(70_000), "65536");
    assert!(refused(|app| fs::remove_file(app.join(MANIFEST)).unwrap()).contains("find `image.toml`"));
}

#[test]
fn folders_with_what_no_image_may_hold_are_refused() {
    let linked = |target: &'static str| refused(move |app| symlink(target, app.join("evil")).unwrap());
    assert!(linked("/etc/passwd").contains("absolute"));
    assert!(linked("../secret").contains("leads out"));
    let socket = refused(|app| drop(std::os::unix::net::UnixListener::bind(app.join("sock")).unwrap()));
    assert!(socket.contains("`sock`: it is a socket"), "{socket}");
    let large = refused(|app| File::create(app.join("big")).unwrap().set_len(MAX_BYTES + 1).unwrap());
    assert!(large.contains("2 GiB"), "{large}");
    let many = refused(|app| (0..=MAX_FILES).for_each(|n| drop(File::create(app.join(n.to_string())).unwrap())));
    assert!(many.contains("20000 files"), "{many}");
}

#[test]
fn tars_that_lead_out_are_refused() {
    use tar::EntryType as T;
    assert!(tar_refused(&[("../evil", T::Regular, "x")]).contains("`..`"));
    assert!(tar_refused(&[("/tmp/evil", T::Regular, "x")]).contains("absolute"));
    assert!(tar_refused(&[("a", T::Symlink, "/tmp")]).contains("absolute"));
    assert!(tar_refused(&[("a", T::Symlink, "..")]).contains("leads out"));
    assert!(tar_refused(&[("d", T::Directory, ""), ("a", T::Symlink, "d"), ("a/b", T::Regular, "x")]).contains("link"));
    assert!(tar_refused(&[("a", T::Link, "../app.tar")]).contains("`..`"));
    assert!(tar_refused(&[("a", T::Link, "missing")]).contains("no file of the image"));
    assert!(tar_refused(&[("a", T::Char, "")]).contains("a device"));
    assert!(tar_refused(&[("a", T::Fifo, "")]).contains("a named pipe"));
    assert!(tar_refused(&[("a", T::Regular, "x"), ("a", T::Regular, "y")]).contains("unpack `a`"));
}

#[test]
fn what_is_not_a_tar_is_named() {
    let check = |content: &[u8], want: &str| {
        let dir = TempDir::new().unwrap();
        let store = ImageStore::open(dir.path()).unwrap();
        let path = dir.path().join("x");
        fs::write(&path, content).unwrap();
        let error = store.import(&path, &none()).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    };
    check(b"\xfd7zXZ\0rest", "unxz");
    check(b"BZh9rest", "bunzip2");
    check(b"\x1f\x8b\x08rest", "read");
    check(b"\x28\xb5\x2f\xfdrest", "read");
    check(b"hello", "neither a folder nor a tar");
    check(&[0; 2048], "neither a folder nor a tar");
    let dir = TempDir::new().unwrap();
    let missing = ImageStore::open(dir.path()).unwrap().import(&dir.path().join("nowhere"), &none()).unwrap_err();
    assert!(missing.to_string().contains("nowhere"));

    let app = app(dir.path());
    let path = dir.path().join("cut.tar");
    let mut tar = tar::Builder::new(File::create(&path).unwrap());
    tar.append_dir_all(".", &app).unwrap();
    tar.finish().unwrap();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    ImageStore::open(dir.path()).unwrap().import(&path, &none()).unwrap_err();
}

/// A tar of `app` in this compression.
fn packed(dir: &Path, app: &Path, name: &str) -> PathBuf {
    let opened = Opened::open(app).unwrap();
    let path = dir.join(name);
    let mut bytes = 0;
    let coding = archive::Coding::of_name(&path).unwrap();
    pack::write(opened.root(), &opened.entries, &path, coding, &mut |more| bytes += more).unwrap();
    assert_eq!(bytes, opened.size().unwrap().bytes);
    path
}

#[test]
fn compressed_archives_are_the_same_image() {
    let dir = TempDir::new().unwrap();
    let store = ImageStore::open(dir.path()).unwrap();
    let app = app(dir.path());
    // A name that takes more than one header, and a file that takes more than one frame.
    fs::write(app.join("n".repeat(200)), vec![7; 5 << 20]).unwrap();
    let first = store.import(&app, &none()).unwrap();
    assert_eq!(first.size, Size { entries: 7, bytes: (5 << 20) + TOML.len() as u64 + 10 + 5 });
    for name in ["a.tar", "a.tar.gz", "a.tgz", "a.tar.zst", "a.tzst"] {
        let path = packed(dir.path(), &app, name);
        let whole = fs::read(&path).unwrap();
        assert!(
            whole == fs::read(packed(dir.path(), &app, &format!("again-{name}"))).unwrap(),
            "{name} is reproducible"
        );
        assert_eq!(store.import(&path, &none()).unwrap(), first, "{name}");
        assert_eq!(Opened::open(&path).unwrap().digest().unwrap(), first.digest);
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        store.import(&path, &none()).unwrap_err();
    }
    assert_eq!(kept(dir.path(), &first.digest[..17]), Some(store.path(&first.digest)));
    assert_eq!(kept(dir.path(), ""), None);
    assert_eq!(kept(dir.path(), "zz"), None);
}

#[test]
fn what_comes_out_of_a_compression_is_bounded() {
    let check = |coding: archive::Coding, claim: u64, kind: tar::EntryType, want: &str| {
        let dir = TempDir::new().unwrap();
        let store = ImageStore::open(dir.path()).unwrap();
        let path = dir.path().join("bomb");
        let mut to = archive::Encoder::new(File::create(&path).unwrap(), coding);
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(claim);
        header.as_mut_bytes()[..3].copy_from_slice(b"big");
        header.set_mode(0o644);
        header.set_cksum();
        std::io::Write::write_all(&mut to, header.as_bytes()).unwrap();
        io::copy(&mut io::repeat(0).take(16 << 20), &mut to).unwrap();
        to.finish().unwrap();
        let error = store.import(&path, &none()).unwrap_err();
        let text = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
        assert!(text.contains(want), "{kind:?}: {error:?}");
        assert_eq!(fs::read_dir(dir.path().join("images")).unwrap().count(), 0, "no half image is left");
    };
    use archive::Coding::{Gzip, Zstd};
    for coding in [Gzip, Zstd] {
        check(coding, 1 << 40, tar::EntryType::GNULongName, "1 MiB");
        check(coding, 12 << 20, tar::EntryType::XHeader, "1 MiB");
    }
}

#[test]
fn an_instance_in_use_is_taken_without_its_state() {
    let dir = TempDir::new().unwrap();
    let store = ImageStore::open(dir.path()).unwrap();
    let root = app(dir.path());
    let first = store.import(&root, &none()).unwrap();
    let manifest = Manifest { state: vec!["var/db".into(), "log".into()], ..first.manifest.clone() };
    for folder in ["var/db/deep", "var/kept", "etc"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for file in ["var/db/deep/row", "var/kept/row", "log", "etc/boto.cfg", "etc/other"] {
        fs::write(root.join(file), file).unwrap();
    }
    let _socket = std::os::unix::net::UnixListener::bind(root.join("sock")).unwrap();
    symlink("/elsewhere", root.join("var/db/out")).unwrap();
    let taken = store.capture(&root, &manifest, &["etc/boto.cfg"]).unwrap();
    assert_eq!(taken.manifest, manifest);
    let kept = store.path(&taken.digest);
    let there = |path: &str| kept.join(path).symlink_metadata().is_ok();
    assert!(["var/kept/row", "etc/other", "serve", "static/link"].into_iter().all(there));
    assert!(!["var/db", "log", "etc/boto.cfg", "sock"].into_iter().any(there));
    // Its own file says less than it ran.
    assert_eq!(manifest_of(&kept, &kept).unwrap(), manifest);
    assert_eq!(fs::read_to_string(root.join(MANIFEST)).unwrap(), TOML, "the instance's own is left alone");

    symlink("/etc/passwd", root.join("evil")).unwrap();
    assert!(store.capture(&root, &manifest, &[]).unwrap_err().to_string().contains("absolute"));
    fs::remove_file(root.join("evil")).unwrap();
    // An instance that made its manifest a link has no say in where anything is written.
    fs::write(dir.path().join("outside"), "untouched").unwrap();
    fs::remove_file(root.join(MANIFEST)).unwrap();
    symlink("log", root.join(MANIFEST)).unwrap();
    let again = store.capture(&root, &manifest, &["etc/boto.cfg"]).unwrap();
    assert_eq!(again.digest, taken.digest);
    assert_eq!(fs::read_to_string(root.join("log")).unwrap(), "log");
    store.capture(&dir.path().join("nowhere"), &manifest, &[]).unwrap_err();
    let left = fs::read_dir(dir.path().join("images")).unwrap().count();
    assert_eq!(left, 2, "no half image is left");
}

#[test]
fn trees_differ_in_what_a_digest_is_over() {
    let dir = TempDir::new().unwrap();
    let old = app(dir.path());
    let opened = Opened::open(&old).unwrap();
    let other = TempDir::new().unwrap();
    let new = app(other.path());
    let check = |want: &[(&str, difference::How)]| {
        let after = Opened::open(&new).unwrap();
        let found = difference::between((&old, &opened.entries), (&new, &after.entries)).unwrap();
        let found: Vec<_> = found.iter().map(|d| (d.path.to_str().unwrap(), d.how)).collect();
        assert_eq!(found, want);
    };
    check(&[]);
    fs::set_permissions(new.join("serve"), fs::Permissions::from_mode(0o700)).unwrap();
    check(&[("serve", difference::How::Mode(0o755, 0o700))]);
    fs::write(new.join("a"), "").unwrap();
    fs::write(new.join("static/deep/page"), "hullo").unwrap();
    fs::remove_file(new.join("static/link")).unwrap();
    fs::remove_file(new.join("serve")).unwrap();
    fs::create_dir(new.join("serve")).unwrap();
    check(&[
        ("a", difference::How::Added),
        ("serve", difference::How::Kind),
        ("static/deep/page", difference::How::Contents),
        ("static/link", difference::How::Removed),
    ]);
}

#[test]
fn leftovers_are_swept_and_unused_images_removed() {
    let dir = TempDir::new().unwrap();
    let images = dir.path().join("images");
    fs::create_dir_all(images.join(".partial-1-0/sub")).unwrap();
    fs::create_dir_all(images.join(".gone-x")).unwrap();
    let store = ImageStore::open(dir.path()).unwrap();
    assert_eq!(fs::read_dir(&images).unwrap().count(), 0);

    let app = app(dir.path());
    let Imported { digest, claim, size, .. } = store.import(&app, &none()).unwrap();
    let again = store.import(&app, &none()).unwrap().claim;
    let nothing = Collected::default();
    assert_eq!(store.collect(&|_| false, false).unwrap(), nothing, "just imported, not yet registered");
    drop(claim);
    assert_eq!(store.collect(&|_| false, false).unwrap(), nothing, "imported twice, and registered once");
    drop(again);
    assert_eq!(store.collect(&|wanted| wanted == digest, false).unwrap(), nothing);
    let all = Collected { images: vec![digest.clone()], bytes: size.bytes };
    assert_eq!(store.collect(&|_| false, true).unwrap(), all);
    assert!(store.path(&digest).exists(), "nothing goes in a dry run");
    assert_eq!(store.collect(&|_| false, false).unwrap(), all);
    assert!(!store.path(&digest).exists());
}

#[test]
fn a_root_filesystem_is_an_image_by_hand_too() {
    let dir = TempDir::new().unwrap();
    let store = ImageStore::open(dir.path()).unwrap();
    let root = app(dir.path());
    let usual = store.import(&root, &none()).unwrap();
    fs::write(root.join(MANIFEST), format!("{TOML}rootfs = true\nuser = \"web\"\nworking_dir = \"/srv\"\n")).unwrap();
    symlink("/proc/mounts", root.join("mtab")).unwrap();
    fs::create_dir(root.join("tmp")).unwrap();
    let with_mode = |mode| {
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(mode)).unwrap();
        store.import(&root, &none()).unwrap()
    };
    let (first, second) = (with_mode(0o1777), with_mode(0o750));
    assert_ne!(first.digest, second.digest, "in a root filesystem the mode of a folder is content");
    assert_eq!((first.manifest.user.as_deref(), first.manifest.working_dir.as_deref()), (Some("web"), Some("/srv")));
    let kept = store.path(&first.digest);
    assert_eq!(fs::metadata(kept.join("tmp")).unwrap().permissions().mode() & 0o7777, 0o1777);
    assert_eq!(fs::read_link(kept.join("mtab")).unwrap(), Path::new("/proc/mounts"));
    for name in ["root.tar", "root.tar.zst"] {
        with_mode(0o1777);
        assert_eq!(store.import(&packed(dir.path(), &root, name), &none()).unwrap(), first, "{name}");
    }
    // Elsewhere it is not, and has the digest that it always had.
    fs::remove_file(root.join("mtab")).unwrap();
    fs::write(root.join(MANIFEST), TOML).unwrap();
    fs::remove_dir(root.join("tmp")).unwrap();
    fs::set_permissions(root.join("static"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(store.import(&root, &none()).unwrap(), usual);
}

#[test]
fn what_images_have_in_common_is_kept_once() {
    let dir = TempDir::new().unwrap();
    let store = ImageStore::open(dir.path()).unwrap();
    let app = app(dir.path());
    let large = "x".repeat(100_000);
    fs::write(app.join("large"), &large).unwrap();
    fs::write(app.join("twin"), &large).unwrap();
    let first = store.import(&app, &none()).unwrap();
    fs::write(app.join("serve"), "#!/bin/sh\n# the next\n").unwrap();
    fs::write(app.join("own"), "y".repeat(50_000)).unwrap();
    let second = store.import(&app, &none()).unwrap();
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let places = [&first, &second].map(|image| store.path(&image.digest));
    let names: Vec<u64> = places.iter().flat_map(|at| [inode(&at.join("large")), inode(&at.join("twin"))]).collect();
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    // The same content with other rights is another file.
    fs::set_permissions(app.join("twin"), fs::Permissions::from_mode(0o755)).unwrap();
    let third = store.import(&app, &none()).unwrap();
    assert_ne!(inode(&store.path(&third.digest).join("twin")), names[0]);
    assert_eq!(fs::metadata(places[0].join("twin")).unwrap().permissions().mode() & 0o777, 0o644);

    let (kept, small) = (first.digest.clone(), TOML.len() as u64 + 20 + 5);
    let own = 50_000 + 100_000;
    let digests = [first, second, third].map(|image| image.digest);
    let gone = store.collect(&|digest| digest == kept, true).unwrap();
    assert_eq!((gone.images.len(), gone.bytes), (2, own + 2 * (small + 1)), "what the kept one has is not freed");
    assert_eq!(store.collect(&|digest| digest == kept, false).unwrap(), gone);
    assert_eq!(fs::read_to_string(places[0].join("twin")).unwrap(), large);
    let left = || {
        let shelves = fs::read_dir(dir.path().join("image-files")).unwrap().flatten();
        shelves.flat_map(|shelf| fs::read_dir(shelf.path()).unwrap()).count()
    };
    assert_eq!(left(), 1);
    store.collect(&|_| false, false).unwrap();
    assert_eq!(left(), 0);
    assert!(digests.iter().all(|digest| !store.path(digest).exists()));
    // A shared file that lost its content is not shared on.
    let again = store.import(&app, &none()).unwrap();
    let place = store.path(&again.digest).join("large");
    File::create(&place).unwrap();
    fs::write(app.join("more"), "1").unwrap();
    let mended = store.import(&app, &none()).unwrap();
    assert_eq!(fs::read_to_string(store.path(&mended.digest).join("large")).unwrap(), large);
}

#[test]
fn an_image_that_comes_while_others_go_stays() {
    let dir = TempDir::new().unwrap();
    let store = ImageStore::open(dir.path()).unwrap();
    let app = app(dir.path());
    fs::write(app.join("large"), "x".repeat(10_000)).unwrap();
    // Whoever has taken it in registers it, and only then lets go of it.
    let registered = Mutex::new(std::collections::BTreeSet::new());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let mut gone = 0;
            while !done.load(Ordering::Relaxed) {
                let wanted = |digest: &str| registered.lock().unwrap().contains(digest);
                gone += store.collect(&wanted, false).unwrap().images.len();
            }
            gone
        });
        for n in 0..200 {
            let imported = store.import(&app, &none()).unwrap();
            assert!(registered.lock().unwrap().insert(imported.digest.clone()));
            drop(imported.claim);
            let place = store.path(&imported.digest);
            assert_eq!(fs::metadata(place.join("large")).unwrap().len(), 10_000, "round {n}");
            registered.lock().unwrap().clear();
        }
        done.store(true, Ordering::Relaxed);
        collector.join().unwrap();
    });
}
