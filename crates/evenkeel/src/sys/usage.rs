//! What trees of processes use: processor time, memory, disk, and how many of their tasks want to run. Owns one look at
//! `/proc` for any number of trees; must never act on a process.
//!
//! A tree is a process and all below it. Where its root takes in what its descendants leave behind (a child subreaper, as
//! agents are), nothing gets out of it, and the times and bytes of processes that ended stay with those that waited for them: so
//! sums only grow.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// Hundredths of a second: what the kernel counts time in towards programs, on every machine that we run on.
const TICK: Duration = Duration::from_millis(10);

/// Tasks of one process that are looked at; of those beyond it is taken that they sleep.
const TASKS: usize = 4096;

/// What a tree uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of all its processes, those that ended among them.
    pub cpu: Duration,
    /// Bytes of memory that are resident. What several of its processes share counts for each.
    pub memory: u64,
    /// Tasks that run, would run, or wait for the disk: what load averages count.
    pub active: u32,
    /// Processes.
    pub processes: u32,
    /// Bytes that were read from disks; `None` where we may not know.
    pub read: Option<u64>,
    /// Bytes that were written to disks; `None` where we may not know.
    pub written: Option<u64>,
}

struct Process {
    parent: i32,
    ticks: u64,
    threads: u32,
    is_active: bool,
}

/// What each tree uses, in the order of their roots. A root that is no more uses nothing.
#[must_use]
pub fn of_trees(roots: &[i32]) -> Vec<Usage> {
    if roots.is_empty() {
        return Vec::new();
    }
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // One that ends while we look uses nothing more.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
        all.extend(stat.ok().and_then(|text| parsed(&text)).map(|process| (pid, process)));
    }
    let mut children = BTreeMap::<i32, Vec<i32>>::new();
    for (pid, process) in &all {
        children.entry(process.parent).or_default().push(*pid);
    }
    roots.iter().map(|root| of_tree(*root, &all, &children)).collect()
}

fn of_tree(root: i32, all: &BTreeMap<i32, Process>, children: &BTreeMap<i32, Vec<i32>>) -> Usage {
    let mut usage = Usage { read: Some(0), written: Some(0), ..Usage::default() };
    let mut left = vec![root];
    while let Some(pid) = left.pop() {
        let Some(process) = all.get(&pid) else { continue };
        left.extend(children.get(&pid).into_iter().flatten());
        usage.processes += 1;
        usage.cpu += TICK.saturating_mul(u32::try_from(process.ticks).unwrap_or(u32::MAX));
        usage.memory += resident(pid);
        usage.active += if process.threads > 1 { active_tasks(pid) } else { u32::from(process.is_active) };
        let (read, written) = disk(pid);
        usage.read = usage.read.zip(read).map(|(sum, more)| sum + more);
        usage.written = usage.written.zip(written).map(|(sum, more)| sum + more);
    }
    usage
}

fn is_active(state: &str) -> bool {
    matches!(state, "R" | "D")
}

/// The command in the second field may hold anything, `)` and newlines too: fields count from its last `)`.
fn parsed(text: &str) -> Option<Process> {
    let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let ticks = (11..=14).map(number).sum::<Option<u64>>()?;
    Some(Process {
        parent: fields.get(1)?.parse().ok()?,
        ticks,
        threads: fields.get(17)?.parse().ok()?,
        is_active: is_active(fields.first()?),
    })
}

fn active_tasks(pid: i32) -> u32 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten().take(TASKS);
    let active = tasks.filter(|task| {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let state = stat.rfind(')').and_then(|end| stat[end + 1..].split_ascii_whitespace().next());
        state.is_some_and(is_active)
    });
    u32::try_from(active.count()).unwrap_or(u32::MAX)
}

/// The number after a name, in a file of such lines.
fn line(text: &str, name: &str) -> Option<u64> {
    let found = text.lines().find_map(|line| line.strip_prefix(name))?;
    found.split_ascii_whitespace().next()?.parse().ok()
}

fn resident(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    line(&status, "VmRSS:").unwrap_or(0) * 1024
}

fn disk(pid: i32) -> (Option<u64>, Option<u64>) {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    (line(&io, "read_bytes:"), line(&io, "write_bytes:"))
}

/// The machine's own load averages, of 1, 5 and 15 minutes.
#[must_use]
pub fn machine_load() -> Option<[f64; 3]> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let mut numbers = text.split_ascii_whitespace().map(|number| number.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

/// Bytes of memory that the machine has, and that are to be had.
#[must_use]
pub fn machine_memory() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    Some((line(&text, "MemTotal:")? * 1024, line(&text, "MemAvailable:")? * 1024))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_line_of_stat_is_read_past_any_command() {
        let zeros = |count: usize| vec!["0"; count].join(" ");
        let text = format!("7 (a) R (b) D 42 {} 10 20 30 40 20 0 3 {}", zeros(9), zeros(30));
        let process = parsed(&text).unwrap();
        assert_eq!((process.parent, process.ticks, process.threads, process.is_active), (42, 100, 3, true));
        assert!(parsed("7 (a").is_none() && parsed("7 (a) R").is_none());
    }

    /// A shell with two children, of which one is busy: seen as long as they live, and what the busy one used afterwards.
    #[test]
    fn a_tree_is_what_is_below_its_root_and_remembers_the_dead() {
        let mut shell = Command::new("/bin/sh")
            .args([
                "-c",
                "sleep 60 & a=$!; (while :; do :; done) & b=$!; read line; kill $b; wait $b; read line; kill $a",
            ])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let root = i32::try_from(shell.id()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let until = |wanted: &dyn Fn(&Usage) -> bool| loop {
            let usage = of_trees(&[root])[0];
            if wanted(&usage) {
                return usage;
            }
            assert!(Instant::now() < deadline, "{usage:?}");
            std::thread::sleep(Duration::from_millis(10));
        };
        let busy = until(&|usage| usage.processes == 3 && usage.cpu >= Duration::from_millis(100) && usage.active >= 1);
        assert!(busy.memory > 100_000, "{busy:?}");
        use std::io::Write;
        let input = shell.stdin.as_mut().unwrap();
        input.write_all(b"\n").unwrap();
        let calm = until(&|usage| usage.processes == 2);
        assert!(calm.cpu >= busy.cpu, "{calm:?} after {busy:?}");
        input.write_all(b"\n").unwrap();
        shell.wait().unwrap();
        assert_eq!(of_trees(&[root])[0].processes, 0);
        assert!(of_trees(&[]).is_empty());
    }

    #[test]
    fn the_machine_says_how_it_fares() {
        assert!(machine_load().unwrap().iter().all(|load| *load >= 0.0));
        let (total, available) = machine_memory().unwrap();
        assert!(available <= total && total > 1 << 20);
    }
}
