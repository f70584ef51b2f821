//! What of this process is in memory. Owns giving back what is needed no more; must never touch what was written.

use std::fs;
use std::io;

use rustix::mm::{Advice, madvise};

/// One mapping, as proc(5) tells of it.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    start: usize,
    end: usize,
    /// Whether it is of a file, can only be read and run, and no page of it was ever written.
    is_clean: bool,
}

/// Gives back the pages of the program and its libraries that starting it has brought in: for a process that has begun its
/// work and waits most of its time. What it needs after all comes back from the kernel's cache of the file, a page fault each
/// 64 KiB. They are shared with every process of the same program, but count as resident in each.
///
/// # Errors
/// What reading `/proc/self/smaps` says; nothing is given back then.
pub fn give_back_code() -> io::Result<()> {
    for mapping in mappings(&fs::read_to_string("/proc/self/smaps")?).into_iter().filter(|mapping| mapping.is_clean) {
        let start = std::ptr::with_exposed_provenance_mut(mapping.start);
        // SAFETY: the mapping is a file's, cannot be written, and has no page of its own (`Anonymous` is zero): every page that
        // is dropped is read again from the same file as it was (madvise(2), MADV_DONTNEED), so nobody can tell but by time.
        // Relocated pages, which look read-only too, have been written and are not among them.
        #[expect(unsafe_code, reason = "std has no word for it")]
        // Pages that cannot be given back stay: nothing is lost by it.
        let _ = unsafe { madvise(start, mapping.end - mapping.start, Advice::LinuxDontNeed) };
    }
    Ok(())
}

fn mappings(smaps: &str) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in smaps.lines() {
        if let Some(mapping) = header(line) {
            mappings.push(mapping);
        } else if let (Some(rest), Some(last)) = (line.strip_prefix("Anonymous:"), mappings.last_mut()) {
            last.is_clean &= rest.split_whitespace().next() == Some("0");
        }
    }
    mappings
}

/// `start-end perms offset device inode path`.
fn header(line: &str) -> Option<Mapping> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    let perms = words.next()?;
    let path = words.nth(3).unwrap_or_default();
    Some(Mapping { start, end, is_clean: path.starts_with('/') && matches!(perms, "r-xp" | "r--p") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_file_has_just_so_is_clean() {
        let block =
            |header: &str, anonymous: u32| format!("{header}\nRss: 8 kB\nAnonymous:             {anonymous} kB\n");
        let text = [
            block("1000-2000 r-xp 00000000 fe:00 12                 /bin/a b", 0),
            block("2000-3000 r--p 00001000 fe:00 12                 /bin/a b", 4),
            block("3000-4000 rw-p 00002000 fe:00 12                 /bin/a b", 0),
            block("4000-5000 r-xp 00000000 00:00 0                  [vdso]", 0),
            block("5000-6000 r--p 00000000 00:00 0", 0),
            block("6000-7000 r--s 00000000 fe:00 12                 /bin/a b", 0),
        ];
        let found: Vec<(usize, bool)> = mappings(&text.concat()).iter().map(|m| (m.start, m.is_clean)).collect();
        let want =
            [(0x1000, true), (0x2000, false), (0x3000, false), (0x4000, false), (0x5000, false), (0x6000, false)];
        assert_eq!(found, want);
        give_back_code().unwrap();
        assert_eq!(format!("{:?}", mappings("")), "[]", "code still runs");
    }
}
