//! Whom an application runs as in a root filesystem: `user` of its image, by the image's own `/etc/passwd` and `/etc/group`.
//!
//! Owns the reading of both, which is as Docker reads them: numbers need no entry, names do. Must never ask the node, whose
//! users are others.

use std::io::Read as _;
use std::path::Path;

use super::files::{Files, Kind};
use crate::sys::namespaces::Who;

/// The most bytes of either file that are read: 1 MiB.
const MOST: u64 = 1024 * 1024;
/// The most groups that somebody is in besides their own (what the kernel bears is 65,536).
const MOST_GROUPS: usize = 1024;

/// Finds out who `NAME`, `NAME:GROUP` and numbers in their place are.
///
/// # Errors
/// Completes "failed to …": there is no such user or group.
pub fn of(files: &dyn Files, user: &str) -> Result<Who, String> {
    let (name, group) = user.split_once(':').map_or((user, None), |(name, group)| (name, Some(group)));
    let (users, groups) = (text(files, "/etc/passwd")?, text(files, "/etc/group")?);
    found(&users, &groups, name, group)
}

fn found(users: &str, groups: &str, name: &str, group: Option<&str>) -> Result<Who, String> {
    let number = |text: &str| text.parse::<u32>().ok();
    // name:password:uid:gid:comment:home:shell (passwd(5)); name:password:gid:members (group(5)).
    let entries = |text: &'_ str, at: usize, wanted: &str| {
        let is_meant = |fields: &Vec<String>| {
            let by_number = number(wanted).is_some() && fields.get(at).map(String::as_str) == Some(wanted);
            fields.first().is_some_and(|first| first == wanted) || by_number
        };
        let mut lines = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<String>>());
        lines.find(is_meant)
    };
    let entry = entries(users, 2, name);
    let field = |at: usize| entry.as_ref().and_then(|fields| number(fields.get(at)?));
    let uid = field(2).or_else(|| number(name)).ok_or_else(|| format!("find the user `{name}` of the image"))?;
    let (gid, others) = match group {
        Some(group) => {
            let stated = entries(groups, 2, group).and_then(|fields| number(fields.get(2)?));
            let gid = stated.or_else(|| number(group));
            (gid.ok_or_else(|| format!("find the group `{group}` of the image"))?, Vec::new())
        }
        None => {
            let own = entry.as_ref().and_then(|fields| fields.first()).map(String::as_str);
            let is_member = |fields: &Vec<&str>| {
                let mut members = fields.get(3).unwrap_or(&"").split(',');
                own.is_some_and(|own| members.any(|member| member == own))
            };
            let lines = groups.lines().map(|line| line.split(':').collect::<Vec<&str>>());
            let others = lines.filter(is_member).filter_map(|fields| number(fields.get(2)?));
            (field(3).unwrap_or(0), others.take(MOST_GROUPS).collect())
        }
    };
    Ok(Who { uid, gid, groups: others })
}

/// What a file of the instance says, of its first MiB; nothing where there is none.
///
/// # Errors
/// Completes "failed to …".
pub fn text(files: &dyn Files, path: &str) -> Result<String, String> {
    let path = Path::new(path);
    if files.kind(path)? != Some(Kind::File) {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    let read = files.open(path)?.take(MOST).read_to_end(&mut bytes);
    read.map_err(|error| format!("read `{}`: {error}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_those_of_the_image() {
        let users = "root:x:0:0::/root:/bin/sh\nweb:x:1001:1002::/srv:/bin/sh\nbroken\n";
        let groups = "root:x:0:\nweb:x:1002:\nlogs:x:1003:other,web\nmore:x:1004:webs\n";
        let check = |user: &str, want: Option<(u32, u32, &[u32])>| {
            let (name, group) = user.split_once(':').map_or((user, None), |(name, group)| (name, Some(group)));
            let who = found(users, groups, name, group).ok();
            assert_eq!(who.as_ref().map(|who| (who.uid, who.gid, &who.groups[..])), want, "{user}");
        };
        check("web", Some((1001, 1002, &[1003])));
        check("1001", Some((1001, 1002, &[1003])));
        check("web:logs", Some((1001, 1003, &[])));
        check("web:7", Some((1001, 7, &[])));
        check("7", Some((7, 0, &[])));
        check("7:logs", Some((7, 1003, &[])));
        check("root", Some((0, 0, &[])));
        check("nobody", None);
        check("web:nobody", None);
        check("broken", None);
    }
}
