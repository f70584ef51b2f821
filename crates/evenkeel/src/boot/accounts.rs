//! `user NAME`: a user in an instance that has users of its own.
//!
//! Owns what is written to `/etc/passwd` and `/etc/group` of the instance, and nothing else there: what is to be the user's,
//! a further installer gives them (`sh chown NAME PATH`). Must never touch the node's own. Next: [`super::run`].

use std::path::Path;

use super::site::Site;
use crate::drivers::Isolation;
use crate::enclosures::who;

/// The first number of people's users and groups, and the last (login.defs(5)).
const NUMBERS: std::ops::RangeInclusive<u32> = 1000..=60_000;

/// Makes a user with a group of the same name and number; one that is there is left as it is.
///
/// # Errors
/// Completes "failed to …".
pub fn make(site: &Site, name: &str, uid: Option<u32>) -> Result<(), String> {
    let say = |why: &str| format!("make the user `{name}`: {why}");
    if !site.spec.manifest.rootfs && site.spec.isolation != Isolation::Docker {
        return Err(say("the users here are the node's; that takes an image with `rootfs = true`"));
    }
    let read = |path: &str, usual: &str| {
        let text = who::text(&*site.files, path)?;
        Ok::<_, String>(if text.is_empty() { usual.to_owned() } else { text })
    };
    let users = read("/etc/passwd", "root:x:0:0:root:/:/bin/sh\n")?;
    let groups = read("/etc/group", "root:x:0:\n")?;
    let Some((users, groups)) = with(users, groups, name, uid).map_err(|why| say(&why))? else { return Ok(()) };
    // A user whose group is not there yet would be worse than a group without a user.
    site.write(Path::new("/etc/group"), groups.as_bytes(), 0o644)?;
    site.write(Path::new("/etc/passwd"), users.as_bytes(), 0o644)
}

/// Both files with the user in them; `None` where they have it.
fn with(
    mut users: String,
    mut groups: String,
    name: &str,
    uid: Option<u32>,
) -> Result<Option<(String, String)>, String> {
    let number = |line: &str| line.split(':').nth(2).and_then(|text| text.parse::<u32>().ok());
    let named = |line: &&str| line.split(':').next() == Some(name);
    if let Some(line) = users.lines().find(named) {
        let own = number(line);
        return match uid {
            Some(uid) if own != Some(uid) => Err("there is one with another number".to_owned()),
            _ => Ok(None),
        };
    }
    let taken = |wanted: u32, text: &str| text.lines().any(|line| number(line) == Some(wanted));
    let uid = match uid {
        Some(uid) if taken(uid, &users) => return Err(format!("the number {uid} is another's")),
        Some(uid) => uid,
        None => {
            let free = |uid: &u32| !taken(*uid, &users) && !taken(*uid, &groups);
            NUMBERS.clone().find(free).ok_or("no number is free")?
        }
    };
    for text in [&mut users, &mut groups] {
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    let gid = match groups.lines().find(named) {
        Some(line) => number(line).ok_or("its group has no number")?,
        None => {
            groups.push_str(&format!("{name}:x:{uid}:\n"));
            uid
        }
    };
    users.push_str(&format!("{name}:x:{uid}:{gid}::/:/bin/sh\n"));
    Ok(Some((users, groups)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_added_once_with_a_number_of_its_own() {
        let (users, groups) =
            ("root:x:0:0::/:/bin/sh\nold:x:1000:1000::/:/bin/sh", "root:x:0:\nlogs:x:1001:\nold:x:1000:\n");
        let check = |name: &str, uid: Option<u32>, want: Result<Option<(&str, &str)>, &str>| {
            let done = with(users.to_owned(), groups.to_owned(), name, uid);
            let added = done.as_ref().map(|made| {
                made.as_ref().map(|(after, group)| {
                    let last = |text: &str| text.lines().last().unwrap_or_default().to_owned();
                    assert!(after.starts_with(&format!("{users}\n")) && group.starts_with(groups.trim_end()));
                    (last(after), last(group))
                })
            });
            let added = added.as_ref().map(|made| made.as_ref().map(|(a, b)| (a.as_str(), b.as_str())));
            assert_eq!(added.map_err(|why| why.as_str()), want, "{name} {uid:?}");
        };
        check("web", None, Ok(Some(("web:x:1002:1002::/:/bin/sh", "web:x:1002:"))));
        check("web", Some(7), Ok(Some(("web:x:7:7::/:/bin/sh", "web:x:7:"))));
        check("logs", None, Ok(Some(("logs:x:1002:1001::/:/bin/sh", "old:x:1000:"))));
        check("old", None, Ok(None));
        check("old", Some(1000), Ok(None));
        check("old", Some(1), Err("there is one with another number"));
        check("web", Some(1000), Err("the number 1000 is another's"));
    }
}
