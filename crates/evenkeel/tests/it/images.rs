//! Images with the whole product: built, packed, registered, compared and exported by the command line, and run.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use evenkeel_aws::ec2;
use serde_json::Value;

use crate::rig::{PROGRAM, Rig};

fn evenkeel(words: &[&str]) -> Output {
    Command::new(PROGRAM).args(words).env_clear().output().unwrap()
}

/// Runs a command that is to do what it is told; what it printed.
fn done(words: &[&str]) -> String {
    let output = evenkeel(words);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
    assert!(!output.stderr.contains(&b'\x1b'), "{words:?}: no bar without a terminal");
    text(&output.stdout)
}

fn json(words: &[&str]) -> Value {
    serde_json::from_str(&done(words)).unwrap()
}

#[test]
fn an_image_goes_through_every_archive_and_stays_the_same() {
    let mut rig = Rig::start();
    // Something that can be packed.
    let text = "the same again\n".repeat(5000);
    let first = rig.image_with("v1", &[], |dir, _| std::fs::write(dir.join("text"), &text).unwrap());
    let (data, folder) = (rig.data_dir().display().to_string(), rig.file("image-v1").display().to_string());
    let shown = json(&["image", "show", &first, "--json", "--data-dir", &data]);
    assert_eq!(shown["manifest"]["version"], "v1", "{shown}");
    let bytes = shown["files"]["bytes"].as_u64().unwrap();
    assert!(bytes > 0);

    for ending in ["tar", "tar.gz", "tar.zst"] {
        let built = rig.file(&format!("built.{ending}")).display().to_string();
        let said = json(&["image", "build", &folder, "-o", &built, "--json"]);
        assert_eq!(said["digest"], shown["digest"], "{ending}");
        let packed = std::fs::metadata(&built).unwrap().len();
        assert_eq!(said["bytes"], packed);
        assert!(if ending == "tar" { packed > bytes } else { packed < bytes }, "{ending}: {packed} of {bytes}");

        let name = format!("from {ending}");
        let id = done(&["image", "import", &built, "--name", &name, "--data-dir", &data]).trim().to_owned();
        assert_eq!(json(&["image", "show", &name, "--json", "--data-dir", &data])["digest"], shown["digest"]);
        assert_eq!(done(&["image", "diff", &first, &id, "--data-dir", &data]), "");
        let exported = rig.file(&format!("exported.{ending}")).display().to_string();
        done(&["image", "export", &id, "-o", &exported, "--data-dir", &data]);
        assert!(
            std::fs::read(&exported).unwrap() == std::fs::read(&built).unwrap(),
            "the same files, the same archive"
        );
        assert_eq!(done(&["image", "diff", &folder, &exported, "--data-dir", &data]), "");
    }
    let kept = std::fs::read_dir(rig.file("images")).unwrap().count();
    assert_eq!(kept, 1, "the same content is kept once");

    let listed = json(&["image", "list", "--json", "--data-dir", &data]);
    assert_eq!(listed.as_array().unwrap().len(), 4);
    assert!(listed.as_array().unwrap().iter().all(|image| image["bytes"] == bytes), "{listed}");
    let last = listed[3]["image"].as_str().unwrap().to_owned();
    rig.run(&last, "us-east-1a", 1);
}

#[test]
fn an_image_of_a_running_instance_has_what_was_made_in_it_and_not_its_state() {
    let mut rig = Rig::start();
    let image = rig.image_with("v1", &[], |_, manifest| {
        manifest.insert("state".into(), vec!["data"].into());
    });
    let id = rig.run(&image, "us-east-1a", 1).remove(0);
    let root = rig.file("instances").join(&id).join("root");
    std::fs::create_dir(root.join("data")).unwrap();
    std::fs::write(root.join("data/row"), "mine").unwrap();
    std::fs::write(root.join("installed"), "by hand").unwrap();
    let input = ec2::CreateImage { instance_id: id.clone(), name: "golden".into(), ..Default::default() };
    let golden = rig.call(&input).unwrap().image_id;
    rig.wait("the image to be available", Duration::from_secs(30), |rig| {
        let input = ec2::DescribeImages { image_ids: vec![golden.clone()], ..Default::default() };
        let found = rig.call(&input).unwrap().images_set.0.remove(0);
        assert_ne!(found.image_state, "failed", "{found:?}");
        (found.image_state == "available").then_some(())
    });
    assert_eq!(rig.state(&id).0, "running");
    let data = rig.data_dir().display().to_string();
    let told = done(&["image", "diff", &image, &golden, "--data-dir", &data]);
    assert_eq!(told, "+ installed\n");
    let second = rig.run(&golden, "us-east-1a", 1).remove(0);
    let root = rig.file("instances").join(&second).join("root");
    assert_eq!(std::fs::read_to_string(root.join("installed")).unwrap(), "by hand");
    assert!(!root.join("data").exists());
}

#[test]
fn an_image_that_was_being_made_when_the_daemon_was_killed_has_failed_or_is_whole() {
    let mut rig = Rig::start();
    let image = rig.image("v1", &[]);
    let id = rig.run(&image, "us-east-1a", 1).remove(0);
    let root = rig.file("instances").join(&id).join("root");
    for n in 0..16 {
        std::fs::write(root.join(format!("large-{n}")), vec![n; 4 << 20]).unwrap();
    }
    let input = ec2::CreateImage { instance_id: id.clone(), name: "golden".into(), ..Default::default() };
    let golden = rig.call(&input).unwrap().image_id;
    rig.kill_daemon();
    rig.up();
    let input = ec2::DescribeImages { image_ids: vec![golden.clone()], ..Default::default() };
    let found = rig.call(&input).unwrap().images_set.0.remove(0);
    let kept = std::fs::read_dir(rig.file("images")).unwrap().count();
    match &*found.image_state {
        "failed" => assert_eq!((found.state_reason.unwrap().code.as_str(), kept), ("Server.InternalError", 1)),
        "available" => assert_eq!(kept, 2),
        state => panic!("{state}"),
    }
    assert_eq!(rig.state(&id).0, "running");
}

#[test]
fn what_differs_is_named() {
    let rig = Rig::start();
    let (first, second) = (
        rig.image("v1", &[]),
        rig.image_with("v2", &[("COLOUR", "blue")], |dir, _| {
            std::fs::write(dir.join("extra"), "x").unwrap();
        }),
    );
    let data = rig.data_dir().display().to_string();
    let told = done(&["image", "diff", &first, &second, "--data-dir", &data]);
    for line in ["image.toml: env.COLOUR: - -> blue", "image.toml: version: v1 -> v2", "+ extra", "~ image.toml"] {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }
    let told = json(&["image", "diff", &second, &first, "--json", "--data-dir", &data]);
    let files = told["files"].as_array().unwrap();
    assert!(files.iter().any(|file| file["path"] == "extra" && file["how"] == "removed"), "{told}");
}

#[test]
fn what_is_no_image_is_refused_by_the_daemon_and_leaves_nothing() {
    let rig = Rig::start();
    let path = rig.file("bomb.tar.gz");
    bomb(&path);
    let before = std::fs::metadata(&path).unwrap().len();
    assert!(before < 8 * 1024 * 1024, "{before}");
    let input = ec2::RegisterImage {
        name: "bomb".into(),
        image_location: Some(path.display().to_string()),
        ..Default::default()
    };
    let error = rig.call(&input).unwrap_err();
    assert_eq!(error.code, "InvalidManifest");
    assert!(error.message.contains("1 MiB"), "{}", error.message);
    assert_eq!(std::fs::read_dir(rig.file("images")).unwrap().count(), 0);
    let folder = rig.file("empty");
    std::fs::create_dir(&folder).unwrap();
    let output = evenkeel(&["image", "build", &folder.display().to_string()]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("image.toml"));
}

/// A few kilobytes of gzip whose first entry claims a name of 1 GiB.
fn bomb(path: &Path) {
    let file = std::fs::File::create(path).unwrap();
    let mut to = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(1 << 30);
    header.set_cksum();
    std::io::Write::write_all(&mut to, header.as_bytes()).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(b'a'), 64 << 20), &mut to).unwrap();
    to.finish().unwrap();
}

/// What `docker save` writes for an image of one layer with one file.
fn docker_archive(path: &Path) {
    let append = |tar: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, name, content).unwrap();
    };
    let mut layer = tar::Builder::new(Vec::new());
    append(&mut layer, "bin/serve", b"#!/bin/sh\n");
    let layer = layer.into_inner().unwrap();
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &layer);
    let sum: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let config = serde_json::json!({
        "os": "linux",
        "config": { "Cmd": ["/bin/serve"], "WorkingDir": "/srv", "User": "web", "Healthcheck": { "Test": ["NONE"] } },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{sum}")] },
    });
    let list = serde_json::json!([{ "Config": "config.json", "RepoTags": ["docker.io/my/web:1.2"], "Layers": ["l/layer.tar"] }]);
    let mut whole = tar::Builder::new(Vec::new());
    append(&mut whole, "config.json", config.to_string().as_bytes());
    append(&mut whole, "l/layer.tar", &layer);
    append(&mut whole, "manifest.json", list.to_string().as_bytes());
    std::fs::write(path, whole.into_inner().unwrap()).unwrap();
}

#[test]
fn an_image_of_docker_is_one_too_and_says_what_cannot_run_it() {
    let mut rig = Rig::start();
    let data = rig.data_dir().display().to_string();
    let archive = rig.file("web image.tar");
    docker_archive(&archive);
    let archive = archive.display().to_string();
    let output = evenkeel(&["image", "import", &archive, "--data-dir", &data]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("`--port`"), "{said}");
    let told = json(&["image", "import", &archive, "--port", "8080", "--json", "--data-dir", &data]);
    assert!(told["not_followed"][0].as_str().unwrap().starts_with("Healthcheck"), "{told}");
    let shown = json(&["image", "show", "web", "--json", "--data-dir", &data]);
    let manifest = &shown["manifest"];
    assert_eq!(
        (&manifest["rootfs"], &manifest["user"], &manifest["working_dir"], &manifest["port"], &manifest["version"]),
        (&true.into(), &"web".into(), &"/srv".into(), &8080.into(), &"1.2".into()),
        "{shown}"
    );
    assert_eq!(shown["files"]["entries"], 4, "bin, bin/serve, srv and image.toml: {shown}");
    let image = told["image"].as_str().unwrap().to_owned();
    let id = rig.launch(&image, "us-east-1a", 1).remove(0);
    rig.wait("the instance to be refused", Duration::from_secs(30), |rig| {
        let (state, reason) = rig.state(&id);
        assert_ne!(state, "running");
        (state == "terminated" || state == "stopped").then(|| assert!(reason.contains("rootfs = true"), "{reason}"))
    });
}

#[test]
fn what_neither_an_image_nor_an_instance_names_goes_when_it_is_told_to() {
    let mut rig = Rig::start();
    let data = rig.data_dir().display().to_string();
    let large = |dir: &Path| std::fs::write(dir.join("large"), "x".repeat(100_000)).unwrap();
    let (used, unused, kept) = (
        rig.image_with("v1", &[], |dir, _| large(dir)),
        rig.image_with("v2", &[], |dir, _| {
            large(dir);
            std::fs::write(dir.join("own"), "y".repeat(50_000)).unwrap();
        }),
        rig.image("v3", &[]),
    );
    let id = rig.run(&used, "us-east-1a", 1).remove(0);
    done(&["image", "deregister", &used, &unused, "--data-dir", &data]);
    let folders = |rig: &Rig| std::fs::read_dir(rig.file("images")).unwrap().count();
    assert_eq!(folders(&rig), 3);
    let told = json(&["image", "gc", "--dry-run", "--json", "--data-dir", &data]);
    let bytes = told["bytes"].as_u64().unwrap();
    assert_eq!(told["images"].as_array().unwrap().len(), 1, "{told}");
    assert!((50_000..100_000).contains(&bytes), "what the instance's image has too is not freed: {told}");
    assert_eq!(folders(&rig), 3);
    let output = evenkeel(&["image", "gc", "--data-dir", &data]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("freed ") && said.contains("the files of 1 image"), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), told["images"][0].as_str().unwrap());
    assert_eq!(folders(&rig), 2);
    assert_eq!(json(&["image", "gc", "--json", "--data-dir", &data])["bytes"], 0);
    rig.run(&kept, "us-east-1a", 1);
    assert_eq!(rig.state(&id).0, "running");
}
