//! `evenkeel image`: registering folders and tar files as images, listing them, taking them away.
//!
//! Reads no image: that is the daemon's, which is told where it lies. Next: [`super::launch`].

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use evenkeel_aws::ec2::{DeregisterImage, Image, RegisterImage};

use super::client::Client;
use super::failure::{Outcome, hinted};
use super::settings::Reach;
use super::streams::Streams;

/// Arguments of `evenkeel image`.
#[derive(Debug, Clone, Args)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  evenkeel image register ./myapp\n  evenkeel image list"
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
    /// Take images away; their instances stay
    Deregister(Deregister),
}

/// Arguments of `evenkeel image register`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  evenkeel image register ./myapp\n  evenkeel image register myapp.tar --name myapp-2"
)]
pub struct Register {
    /// The folder or tar file
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Name of the image [default: the file name without its ending]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// What it is, for people
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel image list`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  evenkeel image list")]
pub struct List {
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

impl ImageCommand {
    /// How to reach the daemon.
    pub fn reach(&self) -> &Reach {
        match &self.action {
            Action::Register(args) => &args.reach,
            Action::List(args) => &args.reach,
            Action::Deregister(args) => &args.reach,
        }
    }
}

/// Carries out an image command.
///
/// # Errors
/// A path that is not there, and those of the client.
pub fn run(args: &ImageCommand, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    match &args.action {
        Action::Register(args) => {
            let output = client.call(&registration(args)?);
            let output = output.with_context(|| format!("failed to register {}", args.path.display()))?;
            writeln!(streams.out, "{}", output.image_id)?;
        }
        Action::List(_) => write!(streams.out, "{}", table(&client.images().context("failed to list images")?))?,
        Action::Deregister(args) => {
            for id in &args.ids {
                client
                    .call(&DeregisterImage { image_id: id.clone(), dry_run: None })
                    .with_context(|| format!("failed to deregister {id}"))?;
            }
        }
    }
    Ok(Outcome::Done)
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

/// `myapp` of `myapp/`, `myapp.tar` and `myapp.tar.gz`; of a folder the whole name, dots and all.
fn default_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    if path.is_dir() {
        return Some(name.to_owned());
    }
    let stem = [".tar.gz", ".tgz", ".tar"].into_iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    (!stem.is_empty()).then(|| stem.to_owned())
}

fn table(images: &[Image]) -> String {
    let heads = ["ID", "NAME", "STATE", "CREATED", "LOCATION"];
    let mut rows = vec![heads.map(str::to_owned)];
    rows.extend(images.iter().map(|image| {
        [&image.image_id, &image.name, &image.image_state, &image.creation_date, &image.image_location]
            .map(String::clone)
    }));
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 5]| {
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
ID     NAME   STATE      CREATED                   LOCATION
ami-1  myapp  available  2026-01-01T00:00:00.000Z  /srv/myapp
";
        assert_eq!(table(&[image]), expected);
    }
}
