//! Whom a command runs as: a user of the container by name or number, and perhaps a group (Docker, `--user`).
//!
//! Owns the reading of `/etc/passwd` and `/etc/group` (passwd(5), group(5)). A number need not be in them.

use std::fs;
use std::io;

/// A user as the kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub id: u32,
    /// Its group's.
    pub group: u32,
}

/// Finds `NAME`, `NUMBER`, or either with `:GROUP`.
pub fn find(text: &str) -> io::Result<User> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    look(text, &read("/etc/passwd"), &read("/etc/group"))
        .ok_or_else(|| io::Error::other(format!("`{text}` is nobody in this image")))
}

fn look(text: &str, passwd: &str, group: &str) -> Option<User> {
    let (name, wanted) = text.split_once(':').map_or((text, None), |(name, group)| (name, Some(group)));
    let entry = |file: &str, name: &str| -> Option<Vec<String>> {
        let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        file.lines().map(fields).find(|fields| fields.first().is_some_and(|own| own == name))
    };
    let number = |fields: &Vec<String>, index: usize| fields.get(index)?.parse::<u32>().ok();
    let by_number = |id: u32| {
        passwd.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            (fields.get(2)?.parse() == Ok(id)).then(|| fields.get(3)?.parse().ok())?
        })
    };
    let (id, own) = match entry(passwd, name) {
        Some(fields) => (number(&fields, 2)?, number(&fields, 3)?),
        None => {
            let id = name.parse().ok()?;
            (id, by_number(id).unwrap_or(0))
        }
    };
    let group = match wanted {
        None => own,
        Some(name) => entry(group, name).and_then(|fields| number(&fields, 2)).or_else(|| name.parse().ok())?,
    };
    Some(User { id, group })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv:/bin/false\n";
        let group = "root:x:0:\nstaff:x:50:web\n";
        let check = |text: &str, want: Option<(u32, u32)>| {
            let found = look(text, passwd, group).map(|user| (user.id, user.group));
            assert_eq!(found, want, "{text}");
        };
        check("web", Some((33, 34)));
        check("33", Some((33, 34)));
        check("1000", Some((1000, 0)));
        check("web:staff", Some((33, 50)));
        check("1000:7", Some((1000, 7)));
        check("nobody", None);
        check("web:nobody", None);
    }
}
