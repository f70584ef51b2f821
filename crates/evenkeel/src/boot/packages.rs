//! `packages` of a cloud-config: what is installed with the package tool of an instance that has a system of its own.
//!
//! Owns which tools there are and how each is told. Must never install anything on the node.

use std::time::{Duration, Instant};

use super::run::command;
use super::site::Site;
use crate::drivers::Isolation;

/// A tool, what is run before it installs, and how it does; the packages follow.
struct Tool {
    name: &'static str,
    before: &'static [&'static str],
    install: &'static [&'static str],
}

/// In the order in which they are looked for.
const TOOLS: [Tool; 6] = [
    Tool {
        name: "apt-get",
        before: &["apt-get", "-q", "update"],
        install: &[
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "-q",
            "-y",
            "--no-install-recommends",
            "install",
        ],
    },
    Tool { name: "apk", before: &[], install: &["apk", "add", "--no-cache"] },
    Tool { name: "dnf", before: &[], install: &["dnf", "-y", "install"] },
    Tool { name: "microdnf", before: &[], install: &["microdnf", "-y", "install"] },
    Tool { name: "yum", before: &[], install: &["yum", "-y", "install"] },
    Tool { name: "zypper", before: &[], install: &["zypper", "-n", "install"] },
];

/// Installs packages, within a limit.
///
/// # Errors
/// Completes "failed to …": the instance has no system of its own or no tool, a name that is an option, or what the tool
/// says.
pub fn install(site: &Site, names: &[String], limit: Duration) -> Result<(), String> {
    if site.spec.isolation != Isolation::Docker && !site.spec.manifest.rootfs {
        return Err(
            "install packages: this instance has no system of its own to install them in; put them into its image"
                .into(),
        );
    }
    if let Some(option) = names.iter().find(|name| name.starts_with('-') || name.is_empty()) {
        return Err(format!("install the package `{option}`: that is no name of one"));
    }
    let env = site.environment();
    let search = env.get("PATH").map_or("", String::as_str);
    for tool in &TOOLS {
        if site.files.program(site.files.root(), tool.name, search)?.is_none() {
            continue;
        }
        let until = Instant::now() + limit;
        if !tool.before.is_empty() {
            command(site, tool.before, limit)?;
        }
        let words: Vec<&str> = tool.install.iter().copied().chain(names.iter().map(String::as_str)).collect();
        return command(site, &words, until.saturating_duration_since(Instant::now()));
    }
    let known = TOOLS.map(|tool| tool.name).join(", ");
    Err(format!("install packages: the image has none of {known}"))
}
