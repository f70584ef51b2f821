//! `evenkeel cert`: certificates for HTTPS and SSL listeners: requested, made for trying out, uploaded, listed, shown, deleted.
//!
//! Uploads to IAM, which gives a certificate the name that people call it by; lists Certificate Manager's as well. Must never
//! print a private key. Next: [`requested`] for those of ACME servers, [`made`] for those that sign themselves, [`found`] for what is there.

mod foresee;
pub mod found;
pub mod made;
pub mod requested;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use evenkeel_aws::{acm, iam};

use super::client::Client;
use super::failure::{Outcome, hinted};
use super::identity::Try;
use super::settings::Reach;
use super::streams::Streams;

/// Arguments of `evenkeel cert`.
#[derive(Debug, Clone, Args)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  evenkeel cert request www.example.com --wait\n  evenkeel cert self-signed www.example.test --upload www\n  evenkeel cert upload www --cert www.crt --key www.key\n  evenkeel cert list"
)]
pub struct Cert {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with certificates.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// Get a certificate from the daemon's ACME server, such as Let's Encrypt; prints its ARN
    Request(requested::Request),
    /// Get a new one in a requested certificate's place now, rather than in time
    Renew(requested::Renew),
    /// Make a certificate that signs itself, for trying out
    SelfSigned(SelfSigned),
    /// Upload a certificate with its key; prints its ARN
    Upload(Upload),
    /// List certificates: names, expiry, who shows them
    #[command(visible_alias = "ls")]
    List(List),
    /// Show one certificate
    Show(Show),
    /// Delete certificates that no listener shows
    Delete(Delete),
}

/// Arguments of `evenkeel cert self-signed`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel cert self-signed www.example.test\n  evenkeel cert self-signed www.example.test 127.80.0.1 --days 30 --upload www"
)]
pub struct SelfSigned {
    /// Names and addresses that it is for; the first one names the files
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// Days that it holds
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub days: u16,
    /// Folder for NAME.crt and NAME.key
    #[arg(long, value_name = "DIR", default_value = ".", conflicts_with = "upload")]
    pub out: PathBuf,
    /// Upload it under this name and write no files; prints its ARN
    #[arg(long, value_name = "NAME")]
    pub upload: Option<String>,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel cert upload`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel cert upload www --cert www.crt --key www.key\n  evenkeel cert upload www --cert www.crt --key www.key --chain ca.crt"
)]
pub struct Upload {
    /// Name to keep it under
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The certificate, in PEM
    #[arg(long, value_name = "FILE")]
    pub cert: PathBuf,
    /// Its private key, in PEM without a passphrase
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Those that lead from it to its root, in PEM, nearest first
    #[arg(long, value_name = "FILE")]
    pub chain: Option<PathBuf>,
    /// Whether to.
    #[command(flatten)]
    pub attempt: Try,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel cert list`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel cert list\n  evenkeel cert list --json")]
pub struct List {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel cert show`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel cert show www\n  evenkeel cert show arn:aws:acm:… --pem")]
pub struct Show {
    /// Name or ARN
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Print JSON
    #[arg(long, conflicts_with = "pem")]
    pub json: bool,
    /// Print the certificate and its chain, in PEM
    #[arg(long)]
    pub pem: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel cert delete`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel cert delete www --dry-run\n  evenkeel cert delete www")]
pub struct Delete {
    /// Names or ARNs
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// Whether to.
    #[command(flatten)]
    pub attempt: Try,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

impl Cert {
    /// How to reach the daemon; `None` for what needs none.
    pub fn reach(&self) -> Option<&Reach> {
        match &self.action {
            Action::SelfSigned(args) => args.upload.is_some().then_some(&args.reach),
            Action::Request(args) => Some(&args.reach),
            Action::Renew(args) => Some(&args.reach),
            Action::Upload(args) => Some(&args.reach),
            Action::List(args) => Some(&args.reach),
            Action::Show(args) => Some(&args.reach),
            Action::Delete(args) => Some(&args.reach),
        }
    }
}

/// Carries out what asks the daemon.
///
/// # Errors
/// Files that cannot be read, and those of the client.
pub fn run(args: &Cert, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<Outcome> {
    match &args.action {
        Action::Request(args) => return requested::request(args, client, streams),
        Action::Renew(args) => return requested::renew(args, client),
        Action::SelfSigned(args) => {
            let Some(name) = &args.upload else { return made::write(args, streams) };
            let made = made::make(&args.names, args.days)?;
            upload(client, name, made.certificate, made.key, None, streams)?;
        }
        Action::Upload(args) => {
            let chain = args.chain.as_deref().map(read).transpose()?;
            let (body, key) = (read(&args.cert)?, read(&args.key)?);
            if args.attempt.dry_run {
                let foretold = foresee::uploaded(client, &args.name, &body, &key, chain.as_deref())?;
                foretold.print(true, args.attempt.json, streams)?;
            } else {
                upload(client, &args.name, body, key, chain, streams)?;
            }
        }
        Action::List(args) => found::list(args, client, streams)?,
        Action::Show(args) => found::show(args, client, streams)?,
        Action::Delete(args) if args.attempt.dry_run => foresee::deleted(args, client, streams)?,
        Action::Delete(args) => {
            for name in &args.names {
                delete(client, name).with_context(|| format!("failed to delete the certificate `{name}`"))?;
            }
        }
    }
    Ok(Outcome::Done)
}

fn upload(
    client: &Client,
    name: &str,
    certificate_body: String,
    private_key: String,
    certificate_chain: Option<String>,
    streams: &mut Streams<'_>,
) -> anyhow::Result<()> {
    let input = iam::UploadServerCertificate {
        server_certificate_name: name.to_owned(),
        certificate_body,
        private_key,
        certificate_chain,
        ..Default::default()
    };
    let output = client.call(&input).with_context(|| format!("failed to upload the certificate `{name}`"))?;
    writeln!(streams.out, "{}", output.server_certificate_metadata.arn)?;
    Ok(())
}

fn delete(client: &Client, name: &str) -> anyhow::Result<()> {
    if is_managed(name) {
        client.call(&acm::DeleteCertificate { certificate_arn: name.to_owned() })?;
    } else {
        client.call(&iam::DeleteServerCertificate { server_certificate_name: own_name(name).to_owned() })?;
    }
    Ok(())
}

/// Whether a name is the ARN of one of Certificate Manager's.
fn is_managed(name: &str) -> bool {
    name.starts_with("arn:aws:acm:")
}

/// The name in an ARN of IAM's, or the name itself.
fn own_name(name: &str) -> &str {
    if name.starts_with("arn:aws:iam:") { name.rsplit('/').next().unwrap_or(name) } else { name }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        let what = format!("failed to read {}: {error}", path.display());
        hinted(what, "certificates and keys are files in PEM: `-----BEGIN …`")
    })
}

#[cfg(test)]
mod tests;
