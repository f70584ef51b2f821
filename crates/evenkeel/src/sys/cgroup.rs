//! Control groups: what a tree of processes may use, and who is in it. Owns finding a place where groups may be made,
//! making one, and removing it; must never touch a group that somebody else governs.
//!
//! Version 2 (kernel, "Control Group v2"): the place is our own group, or the one above it, when it was delegated to us.
//! Version 1: a controller is used only where we sit at its root, since nobody can delegate part of a v1 hierarchy.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The most processes and threads in one group.
pub const MAX_PROCESSES: u32 = 4096;
/// The period over which processor time is shared out, in microseconds: the kernel's default.
const PERIOD: u64 = 100_000;
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// Where groups may be made: for each controller its version and the folder above our groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    places: Vec<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    unified: bool,
    controllers: Vec<String>,
    folder: PathBuf,
}

/// One group: a folder in each hierarchy.
#[derive(Clone, Debug)]
pub struct Group {
    folders: Vec<PathBuf>,
}

impl Groups {
    /// Finds out where groups may be made. The second part says which limits cannot be held here, for the log.
    #[must_use]
    pub fn detect() -> (Self, Option<String>) {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let places = find(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
        let usable: Vec<Place> = places.into_iter().filter_map(usable).collect();
        let has = |name: &str| usable.iter().any(|p| p.controllers.iter().any(|c| c == name));
        let missing: Vec<&str> = CONTROLLERS.into_iter().filter(|name| !has(name)).collect();
        let note = (!missing.is_empty())
            .then(|| format!("no limits of {}: no control group was delegated to evenkeel for it", missing.join(", ")));
        (Self { places: usable }, note)
    }

    /// The group of this name, whether or not it was made.
    #[must_use]
    pub fn group(&self, name: &str) -> Group {
        Group { folders: self.places.iter().map(|p| p.folder.join(format!("evenkeel-{name}"))).collect() }
    }

    /// Makes a group. One that exists gets the new limits. Nothing to be made anywhere is no error.
    pub fn make(&self, name: &str, cpu_millis: Option<u32>, memory: Option<u64>) -> io::Result<Group> {
        let group = self.group(name);
        for (place, folder) in self.places.iter().zip(&group.folders) {
            match fs::create_dir(folder) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => {}
            }
            for controller in &place.controllers {
                for (file, value) in settings(controller, place.unified, cpu_millis, memory) {
                    fs::write(folder.join(file), value)?;
                }
            }
        }
        Ok(group)
    }
}

impl Group {
    /// The files that a process joins the group through, open for writing.
    pub fn doors(&self) -> io::Result<Vec<File>> {
        self.folders.iter().map(|f| OpenOptions::new().write(true).open(f.join("cgroup.procs"))).collect()
    }

    /// Who is in it.
    #[must_use]
    pub fn members(&self) -> Vec<i32> {
        let lists = self.folders.iter().filter_map(|f| fs::read_to_string(f.join("cgroup.procs")).ok());
        lists.flat_map(|list| list.lines().filter_map(|l| l.parse().ok()).collect::<Vec<i32>>()).collect()
    }

    /// Kills all that is in it at once, where the kernel can (version 2, Linux 5.14).
    pub fn kill(&self) {
        for folder in &self.folders {
            // Absent on version 1: there its members are killed one by one by whoever sweeps.
            let _ = OpenOptions::new().write(true).open(folder.join("cgroup.kill")).and_then(|mut door| {
                use std::io::Write;
                door.write_all(b"1")
            });
        }
    }

    /// Removes the group, which must be empty of processes; one never made is no error.
    pub fn remove(&self) -> io::Result<()> {
        for folder in &self.folders {
            match fs::remove_dir(folder) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
}

fn settings(
    controller: &str,
    unified: bool,
    cpu_millis: Option<u32>,
    memory: Option<u64>,
) -> Vec<(&'static str, String)> {
    let quota = cpu_millis.map(|millis| (u64::from(millis) * PERIOD / 1000).max(1000));
    match (controller, unified) {
        ("cpu", true) => vec![("cpu.max", quota.map_or("max".into(), |q| format!("{q} {PERIOD}")))],
        ("cpu", false) => vec![
            ("cpu.cfs_period_us", PERIOD.to_string()),
            ("cpu.cfs_quota_us", quota.map_or("-1".into(), |q| q.to_string())),
        ],
        ("memory", true) => vec![("memory.max", memory.map_or("max".into(), |m| m.to_string()))],
        ("memory", false) => vec![("memory.limit_in_bytes", memory.map_or("-1".into(), |m| m.to_string()))],
        ("pids", _) => vec![("pids.max", MAX_PROCESSES.to_string())],
        _ => Vec::new(),
    }
}

/// The places that our mounts and memberships suggest (proc(5), `mountinfo`; cgroups(7), `/proc/pid/cgroup`).
fn find(mountinfo: &str, memberships: &str) -> Vec<Place> {
    let mut places = Vec::new();
    for line in mountinfo.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let before: Vec<&str> = before.split(' ').collect();
        let after: Vec<&str> = after.split(' ').collect();
        let (&[_, _, _, root, mount, ..], &[kind, _, options, ..]) = (&before[..], &after[..]) else { continue };
        if kind != "cgroup" && kind != "cgroup2" {
            continue;
        }
        let unified = kind == "cgroup2";
        let options: Vec<&str> = options.split(',').collect();
        let controllers: Vec<String> =
            CONTROLLERS.iter().filter(|c| unified || options.contains(*c)).map(|c| (*c).to_owned()).collect();
        let own = memberships.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (listed, path) = (fields.next()?, fields.next()?);
            let ours =
                if unified { listed.is_empty() } else { listed.split(',').any(|l| controllers.iter().any(|c| c == l)) };
            ours.then_some(path)
        });
        let Some(own) = own else { continue };
        // A mount may show only part of a hierarchy, as in a container.
        let Ok(below) = Path::new(own).strip_prefix(root) else { continue };
        if !unified && own != "/" {
            continue;
        }
        places.push(Place { unified, controllers, folder: Path::new(mount).join(below) });
    }
    places
}

/// Whether groups can be made there, and with which controllers.
fn usable(place: Place) -> Option<Place> {
    if !place.unified {
        let writable = rustix::fs::access(&place.folder, rustix::fs::Access::WRITE_OK).is_ok();
        return (writable && !place.controllers.is_empty()).then_some(place);
    }
    let above = place.folder.parent().filter(|above| delegated(above)).map(Path::to_owned);
    [Some(place.folder), above].into_iter().flatten().find_map(|folder| {
        let offered = fs::read_to_string(folder.join("cgroup.controllers")).ok()?;
        let offered: Vec<&str> = offered.split_ascii_whitespace().collect();
        let controllers: Vec<String> =
            place.controllers.iter().filter(|c| offered.contains(&c.as_str())).cloned().collect();
        let enable: Vec<String> = controllers.iter().map(|c| format!("+{c}")).collect();
        // Refused by the kernel while the group itself has processes, and by permissions where it is not ours.
        fs::write(folder.join("cgroup.subtree_control"), enable.join(" ")).ok()?;
        (!controllers.is_empty()).then_some(Place { unified: true, controllers, folder })
    })
}

/// Whether the group was handed to us: systemd marks it, or it belongs to our user, who is not root.
fn delegated(folder: &Path) -> bool {
    let user = rustix::process::geteuid();
    let ours = !user.is_root() && fs::metadata(folder).is_ok_and(|about| about.uid() == user.as_raw());
    let mut mark = [0; 1];
    ours || (rustix::fs::getxattr(folder, "user.delegate", &mut mark).is_ok() && mark == *b"1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_in_both_versions_but_never_under_a_strangers_v1_group() {
        let v1 = "30 20 0:1 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                  31 20 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                  32 20 0:3 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let places = find(v1, "2:cpu:/\n1:memory:/somebody/else\n0::/\n");
        let folders: Vec<_> = places.iter().map(|p| p.folder.to_str().unwrap()).collect();
        assert_eq!(folders, ["/sys/fs/cgroup/cpu/", "/sys/fs/cgroup/unified/"]);
        let v2 = "30 20 0:1 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(find(v2, "0::/a/b\n")[0].folder, Path::new("/sys/fs/cgroup/b"));
        assert!(find(v2, "0::/elsewhere\n").is_empty());
        assert!(find("nonsense\n", "\n:\n").is_empty());
    }

    #[test]
    fn limits_are_written_in_each_versions_words() {
        let dir = tempfile::TempDir::new().unwrap();
        let all = CONTROLLERS.map(str::to_owned).to_vec();
        let place = |unified| Place { unified, controllers: all.clone(), folder: dir.path().join(unified.to_string()) };
        let groups = Groups { places: vec![place(true), place(false)] };
        groups.places.iter().for_each(|p| fs::create_dir(&p.folder).unwrap());
        groups.make("i-1", Some(500), Some(1 << 20)).unwrap();
        let check = |file: &str, want: &str| assert_eq!(fs::read_to_string(dir.path().join(file)).unwrap(), want);
        check("true/evenkeel-i-1/cpu.max", "50000 100000");
        check("true/evenkeel-i-1/memory.max", "1048576");
        check("true/evenkeel-i-1/pids.max", "4096");
        check("false/evenkeel-i-1/cpu.cfs_quota_us", "50000");
        check("false/evenkeel-i-1/memory.limit_in_bytes", "1048576");
        groups.make("i-1", None, None).unwrap();
        check("true/evenkeel-i-1/cpu.max", "max");
    }
}
