//! `cron SCHEDULE PROGRAM`: what an instance does again and again.
//!
//! Owns the list in the instance's folder. Must never run anything: the agent does, as long as the instance runs
//! ([`crate::agent`]). Next: [`super::run`].

use evenkeel_core::scaling::Recurrence;
use serde::{Deserialize, Serialize};

use super::site::Site;
use crate::drivers::folder::Folder;

/// The list's file in the instance's folder.
const CRONTAB: &str = "cron.json";
/// The most entries of one instance.
const MOST: usize = 100;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is known by; another one of that name takes its place.
    pub name: String,
    /// When, in UTC.
    pub schedule: Recurrence,
    /// A program and its arguments.
    pub command: Vec<String>,
    /// Whether it was added by what is done in the first boot only, and so stays for later ones.
    pub once: bool,
}

/// Every entry of an instance. None where the list cannot be read: it is written whole or not at all.
pub fn entries(folder: &Folder) -> Vec<Entry> {
    folder.read(CRONTAB).ok().flatten().unwrap_or_default()
}

/// Adds an entry, in place of the one of its name.
///
/// # Errors
/// Completes "failed to …".
pub fn add(site: &Site, entry: Entry) -> Result<(), String> {
    let mut entries = entries(&site.folder);
    entries.retain(|held| held.name != entry.name);
    if entries.len() >= MOST {
        return Err(format!("add `{}` to what is done again and again: there are {MOST} entries already", entry.name));
    }
    entries.push(entry);
    write(site, &entries)
}

/// Takes out what installers of every boot have added: they are about to add it again.
///
/// # Errors
/// Completes "failed to …".
pub fn begin_anew(site: &Site) -> Result<(), String> {
    let entries = entries(&site.folder);
    let kept: Vec<Entry> = entries.iter().filter(|entry| entry.once).cloned().collect();
    if kept == entries { Ok(()) } else { write(site, &kept) }
}

fn write(site: &Site, entries: &[Entry]) -> Result<(), String> {
    site.folder.write(CRONTAB, &entries, true).map_err(|error| format!("keep what is done again and again: {error}"))
}
