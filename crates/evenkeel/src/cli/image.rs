//! `evenkeel image`: registering folders and tar files as images, listing them, taking them away.
//!
//! Registering reads no image: that is the daemon's, which is told where it lies. Next: [`files`] for what is done with
//! the files of images, [`super::launch`].

mod bar;
mod files;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use evenkeel_aws::ec2::{DeregisterImage, Image, RegisterImage};
use evenkeel_core::name::Port;
use serde_json::json;

use super::client::Client;
use super::failure::{Outcome, hinted};
use super::settings::Reach;
use super::streams::Streams;
use crate::images::Opened;
use crate::images::archive::ENDINGS;
use bar::{Bar, human};

/// Arguments of `evenkeel image`.
#[derive(Debug, Clone, Args)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  evenkeel image register ./myapp\n  evenkeel image build ./myapp -o myapp.tar.zst\n  evenkeel image list"
)]
pub struct ImageCommand {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with images.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// Register a folder or tar file with an image.toml in it; prints the image's id
    Register(Register),
    /// List images
    #[command(visible_alias = "ls")]
    List(List),
    /// Show an image: what it runs, how large it is, its digest
    Show(Show),
    /// Show how two images differ, in their image.toml and file by file
    Diff(Diff),
    /// Check a folder and pack it as an archive that can be registered anywhere
    Build(Build),
    /// Pack a registered image's files as an archive
    Export(Export),
    /// Check an archive and register it under the name in its image.toml; prints the image's id
    Import(Import),
    /// Take images away; their instances stay
    Deregister(Deregister),
    /// Remove the files of images that neither an image nor an instance names any more
    Gc(Gc),
}

/// Said where an image's files are needed, for which AWS has no call.
const ON_THE_NODE: &str =
    "An image's files are read in the data directory: run it on the node, as somebody who may read it.";

/// Arguments of `evenkeel image show`.
#[derive(Debug, Clone, Args)]
#[command(after_help = format!("{ON_THE_NODE}\n\nExamples:\n  evenkeel image show ami-0123456789abcdef0\n  evenkeel image show myapp --json"))]
pub struct Show {
    /// Its id or name
    #[arg(value_name = "AMI")]
    pub image: String,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel image diff`.
#[derive(Debug, Clone, Args)]
#[command(after_help = format!("{ON_THE_NODE}\n\nExamples:\n  evenkeel image diff myapp-1 myapp-2\n  evenkeel image diff ami-0123456789abcdef0 ./myapp"))]
pub struct Diff {
    /// An image's id or name, a folder, or an archive
    #[arg(value_name = "OLD")]
    pub old: String,
    /// What it is compared with
    #[arg(value_name = "NEW")]
    pub new: String,
    /// Print the differences as JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel image build`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Needs no daemon. The same files give the same archive.\n\nExamples:\n  evenkeel image build ./myapp\n  evenkeel image build ./myapp -o myapp.tar.gz"
)]
pub struct Build {
    /// The folder, with an image.toml in it
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// The archive: .tar, .tar.gz, .tgz, .tar.zst or .tzst [default: NAME-VERSION.tar.zst]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print what was built as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `evenkeel image export`.
#[derive(Debug, Clone, Args)]
#[command(after_help = format!("{ON_THE_NODE}\n\nExamples:\n  evenkeel image export myapp\n  evenkeel image export ami-0123456789abcdef0 -o myapp.tar.gz"))]
pub struct Export {
    /// Its id or name
    #[arg(value_name = "AMI")]
    pub image: String,
    /// The archive: .tar, .tar.gz, .tgz, .tar.zst or .tzst [default: NAME-VERSION.tar.zst]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print what was packed as JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel image import`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "An OCI image is one too: what `docker save` writes, or a layout of OCI in a tar or folder.\n\nExamples:\n  evenkeel image import myapp-1.tar.zst\n  docker save web:1.2 -o web.tar && evenkeel image import web.tar --port 8080"
)]
pub struct Import {
    /// The archive, or a folder with an OCI layout, on the daemon's node
    #[arg(value_name = "FILE")]
    pub path: PathBuf,
    /// Name of the image [default: the one in its image.toml, or of its tag]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Of an OCI image: where its application listens [default: the lowest port that it exposes]
    #[arg(long, value_name = "PORT", value_parser = port)]
    pub port: Option<Port>,
    /// Of an archive of several OCI images: the tag or digest of one
    #[arg(long, value_name = "TAG")]
    pub image: Option<String>,
    /// Print the image's id and name as JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel image register`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  evenkeel image register ./myapp\n  evenkeel image register myapp.tar --name myapp-2"
)]
pub struct Register {
    /// The folder or tar file, which may be compressed with gzip or zstd
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Name of the image [default: the file name without its ending]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// What it is, for people
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Print the image's id and name as JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel image list`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Sizes are of the files in the data directory, where it can be read; else in whole GiB, as AWS says them.\n\nExamples:\n  evenkeel image list\n  evenkeel image list --json"
)]
pub struct List {
    /// Print the list as JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel image gc`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "The daemon does so by itself whenever it starts.\n\nExamples:\n  evenkeel image gc --dry-run\n  evenkeel image gc"
)]
pub struct Gc {
    /// Only say what would go
    #[arg(long)]
    pub dry_run: bool,
    /// Print the digests and bytes as JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel image deregister`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  evenkeel image deregister ami-0123456789abcdef0")]
pub struct Deregister {
    /// Images to take away
    #[arg(value_name = "AMI", required = true)]
    pub ids: Vec<String>,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

fn port(text: &str) -> Result<Port, String> {
    let number = text.parse().map_err(|_| "it must be 1 to 65535".to_owned())?;
    Port::new(number).map_err(|bad| bad.to_string())
}

/// Connects to a daemon.
pub type Connect<'a> = dyn Fn(&Reach) -> anyhow::Result<Client> + 'a;

/// Carries out an image command.
///
/// # Errors
/// A path that is not there or no image, and those of the client.
pub fn run(args: &ImageCommand, connect: &Connect<'_>, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    match &args.action {
        Action::Register(args) => register(args, &connect(&args.reach)?, streams),
        Action::List(args) => list(args, &connect(&args.reach)?, streams),
        Action::Show(args) => files::show(args, &connect(&args.reach)?, streams),
        Action::Diff(args) => files::diff(args, connect, streams),
        Action::Build(args) => files::build(args, streams),
        Action::Export(args) => files::export(args, &connect(&args.reach)?, streams),
        Action::Import(args) => files::import(args, &connect(&args.reach)?, streams),
        Action::Gc(args) => gc(args, &connect(&args.reach)?, streams),
        Action::Deregister(args) => {
            let client = connect(&args.reach)?;
            for id in &args.ids {
                client
                    .call(&DeregisterImage { image_id: id.clone(), dry_run: None })
                    .with_context(|| format!("failed to deregister {id}"))?;
            }
            Ok(Outcome::Done)
        }
    }
}

fn gc(args: &Gc, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let bar = Bar::of_time(streams.live, "looking for what nobody uses");
    let collected = client.collect_images(args.dry_run).context("failed to remove unused images")?;
    drop(bar);
    let collected: serde_json::Value = serde_json::from_slice(&collected).context("failed to read the answer")?;
    if args.json {
        writeln!(streams.out, "{collected:#}")?;
        return Ok(Outcome::Done);
    }
    let digests: Vec<&str> = collected["images"].as_array().into_iter().flatten().filter_map(|d| d.as_str()).collect();
    for digest in &digests {
        writeln!(streams.out, "{digest}")?;
    }
    let (done, bytes) = (if args.dry_run { "would free" } else { "freed" }, collected["bytes"].as_u64().unwrap_or(0));
    writeln!(
        streams.err,
        "{done} {}, the files of {} image{}",
        human(bytes),
        digests.len(),
        if digests.len() == 1 { "" } else { "s" }
    )?;
    Ok(Outcome::Done)
}

fn register(args: &Register, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let input = registration(args)?;
    let bar = Bar::of_time(streams.live, "registering");
    let output = client.call(&input).with_context(|| format!("failed to register {}", args.path.display()))?;
    drop(bar);
    if args.json {
        writeln!(streams.out, "{:#}", json!({ "image": output.image_id, "name": input.name }))?;
    } else {
        writeln!(streams.out, "{}", output.image_id)?;
    }
    Ok(Outcome::Done)
}

fn list(args: &List, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    let images = client.images().context("failed to list images")?;
    let sized = images.into_iter().map(|image| {
        let bytes = files::place(&image, &args.reach).and_then(|place| Opened::open(&place).ok()?.size().ok());
        (image, bytes.map(|size| size.bytes))
    });
    let sized: Vec<(Image, Option<u64>)> = sized.collect();
    if !args.json {
        write!(streams.out, "{}", table(&sized))?;
        return Ok(Outcome::Done);
    }
    let page: Vec<_> = sized
        .iter()
        .map(|(image, bytes)| {
            json!({
                "image": image.image_id, "name": image.name, "description": image.description,
                "state": image.image_state, "created": image.creation_date, "location": image.image_location,
                "bytes": bytes, "volume_gib": volume(image),
            })
        })
        .collect();
    writeln!(streams.out, "{:#}", serde_json::Value::from(page))?;
    Ok(Outcome::Done)
}

/// The GiB that the API says.
fn volume(image: &Image) -> Option<i64> {
    image.block_device_mapping.iter().find_map(|device| device.ebs.as_ref()?.volume_size)
}

fn registration(args: &Register) -> anyhow::Result<RegisterImage> {
    let path = std::fs::canonicalize(&args.path).with_context(|| format!("failed to find {}", args.path.display()))?;
    let unnamed = || hinted(format!("failed to name the image after {}", path.display()), "name it with `--name`");
    let name = match &args.name {
        Some(name) => name.clone(),
        None => default_name(&path).ok_or_else(unnamed)?,
    };
    let location = path.to_str().with_context(|| format!("failed to send the path {}: not UTF-8", path.display()))?;
    Ok(RegisterImage {
        name,
        image_location: Some(location.to_owned()),
        description: args.description.clone(),
        ..Default::default()
    })
}

/// `myapp` of `myapp/`, `myapp.tar` and `myapp.tar.zst`; of a folder the whole name, dots and all.
fn default_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    if path.is_dir() {
        return Some(name.to_owned());
    }
    let stem = ENDINGS.into_iter().find_map(|(end, _)| name.strip_suffix(end)).unwrap_or(name);
    (!stem.is_empty()).then(|| stem.to_owned())
}

fn table(images: &[(Image, Option<u64>)]) -> String {
    let heads = ["ID", "NAME", "STATE", "SIZE", "CREATED", "LOCATION"];
    let mut rows = vec![heads.map(str::to_owned)];
    rows.extend(images.iter().map(|(image, bytes)| {
        let at_most = || volume(image).map_or("-".to_owned(), |gib| format!("up to {gib} GiB"));
        let size = bytes.map_or_else(at_most, human);
        [&image.image_id, &image.name, &image.image_state, &size, &image.creation_date, &image.image_location]
            .map(String::clone)
    }));
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 6]| {
        let cells: String = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
        format!("{}\n", cells.trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_after_its_file() {
        let check = |name: &str, expected: &str| {
            assert_eq!(default_name(&Path::new("/nowhere").join(name)).as_deref(), Some(expected), "{name}");
        };
        check("myapp.tar", "myapp");
        check("myapp-1.2.tar.gz", "myapp-1.2");
        check("myapp.tar.zst", "myapp");
        check("myapp", "myapp");
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("app.v1");
        std::fs::create_dir(&folder).unwrap();
        assert_eq!(default_name(&folder).as_deref(), Some("app.v1"));
        assert_eq!(default_name(Path::new("/")), None);
    }

    #[test]
    fn images_are_a_table() {
        let image = Image {
            image_id: "ami-1".into(),
            name: "myapp".into(),
            image_state: "available".into(),
            creation_date: "2026-01-01T00:00:00.000Z".into(),
            image_location: "/srv/myapp".into(),
            ..Default::default()
        };
        let expected = "\
ID     NAME   STATE      SIZE     CREATED                   LOCATION
ami-1  myapp  available  2.0 KiB  2026-01-01T00:00:00.000Z  /srv/myapp
ami-1  myapp  available  -        2026-01-01T00:00:00.000Z  /srv/myapp
";
        assert_eq!(table(&[(image.clone(), Some(2048)), (image, None)]), expected);
    }
}
