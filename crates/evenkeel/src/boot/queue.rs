//! The queue of a boot: everything that is done before the application starts, in order.
//!
//! Owns that order: what the image wants at every boot; then, once in an instance's life, what a cloud-config and scripts in
//! the user data say; then `[Pyami]`, at every boot as boto does it. The registration with balancers is never in it: it comes
//! after all, in [`super::finish`]. Must never do anything. Next: [`super::run`].

use evenkeel_core::noun::Manifest;

use super::cloud::{Cloud, Command};
use super::installer::{BadInstaller, Installer, What, is_variable};
use super::userdata::{Script, UserData};

/// The section that names boot code.
pub const PYAMI: &str = "Pyami";

/// Why there is no queue. Completes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum BadQueue {
    /// A line that is no installer.
    #[error("read the queue: {0}")]
    Installer(#[from] BadInstaller),
    /// A variable that no process can carry, or that Evenkeel sets.
    #[error("read `env` of the cloud-config: `{0}` is no name for a variable")]
    Variable(String),
}

/// All installers of an instance, in order. `in_image` says whether there is such a file in the image.
///
/// # Errors
/// What of it is no installer.
pub fn queue(
    manifest: &Manifest,
    data: &UserData,
    in_image: impl Fn(&str) -> bool,
) -> Result<Vec<Installer>, BadQueue> {
    let read = |lines: &[String]| -> Result<Vec<Installer>, BadInstaller> {
        lines.iter().filter_map(|line| Installer::read(line, &in_image).transpose()).collect()
    };
    let mut queue = read(&manifest.installers)?;
    for cloud in &data.cloud {
        queue.extend(of_cloud(cloud)?);
    }
    queue.extend(data.scripts.iter().enumerate().map(|(number, script)| of_script(number, script)));
    queue.extend(data.config.list(PYAMI, "packages").iter().map(|package| of_package(package)));
    queue.extend(read(&data.config.list(PYAMI, "scripts"))?);
    Ok(queue)
}

fn of_cloud(cloud: &Cloud) -> Result<Vec<Installer>, BadQueue> {
    let mut queue = Vec::new();
    if let Some(bad) = cloud.env.keys().find(|name| !is_variable(name)) {
        return Err(BadQueue::Variable(bad.clone()));
    }
    if !cloud.env.is_empty() {
        let pairs = cloud.env.clone().into_iter().collect();
        queue.push(Installer::new("env of the cloud-config", What::Env(pairs)));
    }
    let mut once = |name: String, what| queue.push(Installer { once: true, ..Installer::new(&name, what) });
    for file in &cloud.files {
        once(format!("write {}", file.path), What::Write(file.clone()));
    }
    if !cloud.packages.is_empty() {
        once(format!("install {}", cloud.packages.join(" ")), What::Packages(cloud.packages.clone()));
    }
    for command in &cloud.commands {
        match command {
            Command::Line(line) => once(format!("sh {line}"), What::Shell(line.clone())),
            Command::Words(words) => once(words.join(" "), What::Program(words.clone())),
        }
    }
    Ok(queue)
}

fn of_script(number: usize, script: &Script) -> Installer {
    Installer { once: true, ..Installer::new(&script.name, What::Script(number)) }
}

/// As boto: a Python package, for the boot code that comes after.
fn of_package(package: &str) -> Installer {
    Installer::new(&format!("install {package} for Python"), What::PythonPackage(package.to_owned()))
}

#[cfg(test)]
mod tests {
    use evenkeel_core::name::Port;

    use super::*;

    #[test]
    fn the_order_is_image_cloud_scripts_pyami() {
        let mut manifest = Manifest::new("app", vec!["./serve".into()], Port::new(80).unwrap());
        manifest.installers = vec!["./from-image".into(), "ELBRegister".into()];
        let mut data = UserData::read(b"[Pyami]\nscripts = a.B, ELBRegister, c.D\npackages = requests\n").unwrap();
        data.cloud.push(Cloud::read("#cloud-config\nenv: {A: b}\nwrite_files: [{path: f}]\nruncmd: [ls]").unwrap());
        data.scripts.push(Script { name: "setup.sh".into(), text: b"#!/bin/sh".to_vec() });
        let queue = queue(&manifest, &data, |_| false).unwrap();
        let names: Vec<(&str, bool)> = queue.iter().map(|i| (i.name.as_str(), i.once)).collect();
        let expected = [
            ("./from-image", false),
            ("env of the cloud-config", false),
            ("write f", true),
            ("sh ls", true),
            ("setup.sh", true),
            ("install requests for Python", false),
            ("a.B", false),
            ("c.D", false),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn what_is_no_installer_stops_all() {
        let manifest = Manifest::new("app", vec!["./serve".into()], Port::new(80).unwrap());
        let check = |text: &str, part: &str| {
            let data = UserData::read(text.as_bytes()).unwrap();
            let error = queue(&manifest, &data, |_| false).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check("[Pyami]\nscripts = a.B, nonsense", "`nonsense`");
        check("#cloud-config\nenv: {PORT: '1'}", "`PORT`");
    }
}
