//! `evenkeel key rotate`: a new access key in place of an old one, with no moment in which none works.
//!
//! The new one must have signed a call before the old one goes; where it cannot, it goes itself. Next: [`super::pair`].

use anyhow::Context;
use evenkeel_aws::{iam, sts};

use super::pair::{self, credentials};
use super::{Rotate, foresee, set};
use crate::cli::client::Client;
use crate::cli::failure::hinted;
use crate::cli::identity;
use crate::cli::settings::process_environment;
use crate::cli::streams::Streams;

/// Exchanges a key and prints the new one.
///
/// # Errors
/// What the daemon refuses, a new key that does not work, and those of the client; the old key then still counts.
pub(super) fn run(args: &Rotate, client: &Client, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let user = args.user.as_deref();
    let whose = user.map_or_else(|| "your access key".to_owned(), |user| format!("the access key of `{user}`"));
    let failed = || format!("failed to exchange {whose}");
    let held = identity::keys(client, user).with_context(failed)?;
    let old = which(args, client, &held, &failed())?;
    if args.dry_run {
        return foresee::exchanged(user, &old, &held, client)?.print(true, args.print.json, streams);
    }
    let expected = match user {
        Some(name) => client.call(&iam::GetUser { user_name: Some(name.to_owned()) }).with_context(failed)?.user.arn,
        None => identity_of(client).with_context(failed)?,
    };
    let user_name = user.map(str::to_owned);
    let made = client.call(&iam::CreateAccessKey { user_name: user_name.clone() }).with_context(failed)?.access_key;
    let fresh = client.with_credentials(credentials(&made));
    let proven = identity_of(&fresh).and_then(|got| {
        anyhow::ensure!(got == expected, "it speaks for {got}, not for {expected}");
        Ok(())
    });
    if let Err(error) = proven {
        let access_key_id = made.access_key_id.clone();
        // The old key still counts; that the new one stays is less than that it is not told why.
        let _ = client.call(&iam::DeleteAccessKey { user_name, access_key_id });
        return Err(error).with_context(|| format!("{}: the new one does not work, so the old one stays", failed()));
    }
    // From here on the new pair is all that there may be: it is told before anything can fail.
    pair::print(&made, &args.print, client, streams)?;
    let hand = if user.is_some() { client } else { &fresh };
    let gone = set(hand, old.clone(), user_name.clone(), "Inactive")
        .and_then(|()| hand.call(&iam::DeleteAccessKey { user_name, access_key_id: old.clone() }));
    gone.with_context(|| format!("failed to delete the old access key {old}: the new one is made and works"))?;
    if process_environment("AWS_ACCESS_KEY_ID").is_some_and(|id| id == old) {
        writeln!(
            streams.err,
            "AWS_ACCESS_KEY_ID in the environment still names the old one: `eval \"$(evenkeel env)\"`"
        )?;
    }
    Ok(())
}

/// The key that is to go.
fn which(args: &Rotate, client: &Client, held: &[iam::AccessKeyMetadata], failed: &str) -> anyhow::Result<String> {
    let is_held = |id: &str| held.iter().any(|key| key.access_key_id == id);
    let signing = client.settings().credentials.access_key_id.as_str();
    match (&args.key, &args.user, held) {
        (Some(id), ..) if is_held(id) => Ok(id.clone()),
        (Some(id), ..) => Err(hinted(format!("{failed}: it is not {id}"), "`evenkeel key list` shows all")),
        (None, None, _) if is_held(signing) => Ok(signing.to_owned()),
        (None, _, [only]) => Ok(only.access_key_id.clone()),
        (None, _, []) => Err(hinted(format!("{failed}: there is none"), "`evenkeel key create USER` makes one")),
        (None, _, _) => Err(hinted(format!("{failed}: there are two"), "say which is to go: `--key ID`")),
    }
}

/// Whom a client speaks for.
fn identity_of(client: &Client) -> anyhow::Result<String> {
    Ok(client.call(&sts::GetCallerIdentity {})?.arn)
}
