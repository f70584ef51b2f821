//! A new access key with its secret, printed: for people, as JSON, or as what a shell must know.
//!
//! Must never write one to a file. Next: [`crate::cli::env`].

use clap::Args;
use evenkeel_aws::{Credentials, iam};
use serde_json::json;

use crate::cli::client::Client;
use crate::cli::env::{Shell, script};
use crate::cli::settings::Settings;
use crate::cli::streams::Streams;

/// How to print a new pair.
#[derive(Debug, Clone, Default, Args)]
pub struct Print {
    /// Print JSON
    #[arg(long, conflicts_with = "env")]
    pub json: bool,
    /// Print settings for a shell, as `evenkeel env` does
    #[arg(long)]
    pub env: bool,
}

/// What signs with it.
pub(super) fn credentials(made: &iam::AccessKey) -> Credentials {
    Credentials {
        access_key_id: made.access_key_id.clone(),
        secret_access_key: made.secret_access_key.clone(),
        session_token: None,
    }
}

/// Prints it, the one time that there is.
///
/// # Errors
/// Those of writing.
pub(super) fn print(
    made: &iam::AccessKey,
    how: &Print,
    client: &Client,
    streams: &mut Streams<'_>,
) -> anyhow::Result<()> {
    let iam::AccessKey { user_name, access_key_id, secret_access_key, .. } = made;
    if how.env {
        let settings = Settings { credentials: credentials(made), ..client.settings().clone() };
        return Ok(write!(streams.out, "{}", script(&settings, None, Shell::Sh))?);
    }
    if how.json {
        let shown =
            json!({ "user": user_name, "access_key_id": access_key_id, "secret_access_key": secret_access_key });
        return Ok(writeln!(streams.out, "{}", serde_json::to_string_pretty(&shown)?)?);
    }
    writeln!(streams.out, "user               {user_name}")?;
    writeln!(streams.out, "access key id      {access_key_id}")?;
    writeln!(streams.out, "secret access key  {secret_access_key}")?;
    Ok(writeln!(streams.err, "keep the secret now: it is not shown again")?)
}
