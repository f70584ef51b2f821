//! What trees of processes use: processor time, memory, disk, and how long their tasks wanted to run; and what has passed this
//! machine's network links. Owns one look at `/proc` for any number of them; must never act on a process.
//!
//! How many tasks run or want to is not counted at the moment of a look: looks once a second would see work that comes once a
//! second always or never (the kernel counts every 5.004 s for that reason). The kernel tells how long each task has run and
//! waited, and from one look to the next that is exact.
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of all its processes, those that ended among them.
    pub cpu: Duration,
    /// Bytes of memory that are resident. What several of its processes share counts for each.
    pub memory: u64,
    /// How long each task has waited for a processor, of those that live. Nothing where the kernel does not account for it
    /// (`CONFIG_SCHED_INFO`, which all distributions have).
    pub waited: BTreeMap<i32, Duration>,
    /// Tasks that wait for the disk now.
    pub blocked: u32,
    /// Processes.
    pub processes: u32,
    /// Bytes that were read from disks; `None` where we may not know.
    pub read: Option<u64>,
    /// Bytes that were written to disks; `None` where we may not know.
    pub written: Option<u64>,
    /// What it received and sent over a network link of its own; `None` where it has none, or it is not known.
    pub traffic: Option<Traffic>,
}

/// What was received and sent over a network link since it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Packets received.
    pub packets_in: u64,
    /// Packets sent.
    pub packets_out: u64,
}

impl Traffic {
    /// The same as it is seen from the link's other end.
    #[must_use]
    pub fn from_afar(self) -> Self {
        Self {
            bytes_in: self.bytes_out,
            bytes_out: self.bytes_in,
            packets_in: self.packets_out,
            packets_out: self.packets_in,
        }
    }
}

impl Usage {
    /// How many tasks ran, would have run, or waited for the disk in the time since `before`: what load averages are means of.
    #[must_use]
    pub fn active_since(&self, before: &Self, span: Duration) -> f64 {
        if span.is_zero() {
            return 0.0;
        }
        let ran = self.cpu.saturating_sub(before.cpu);
        // One that is new has waited all its time since; its number may be an older one's that had waited longer.
        let waits = self.waited.iter().map(|(task, now)| match before.waited.get(task) {
            Some(before) if before <= now => *now - *before,
            _ => *now,
        });
        (ran + waits.sum::<Duration>()).as_secs_f64() / span.as_secs_f64() + f64::from(self.blocked)
    }
}

struct Process {
    parent: i32,
    ticks: u64,
    threads: u32,
    is_blocked: bool,
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
        if process.threads > 1 {
            tasks(pid, &mut usage);
        } else {
            usage.blocked += u32::from(process.is_blocked);
            usage.waited.extend(waited(&format!("/proc/{pid}")).map(|time| (pid, time)));
        }
        let (read, written) = disk(pid);
        usage.read = usage.read.zip(read).map(|(sum, more)| sum + more);
        usage.written = usage.written.zip(written).map(|(sum, more)| sum + more);
    }
    usage
}

/// How long a task has waited for a processor: the second of its `schedstat`, nanoseconds
/// (Documentation/scheduler/sched-stats.rst).
fn waited(folder: &str) -> Option<Duration> {
    let text = fs::read_to_string(format!("{folder}/schedstat")).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
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
        is_blocked: *fields.first()? == "D",
    })
}

fn tasks(pid: i32, usage: &mut Usage) {
    for entry in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten().take(TASKS) {
        let Some(task) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let folder = format!("/proc/{pid}/task/{task}");
        usage.waited.extend(waited(&folder).map(|time| (task, time)));
        let stat = fs::read_to_string(format!("{folder}/stat")).ok();
        usage.blocked += u32::from(stat.and_then(|text| parsed(&text)).is_some_and(|task| task.is_blocked));
    }
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

/// What has passed each of this machine's network links, by their names.
#[must_use]
pub fn links() -> BTreeMap<String, Traffic> {
    let text = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    text.lines().filter_map(link).collect()
}

/// A line of `/proc/net/dev` (proc(5)): a name, eight numbers of what was received, eight of what was sent.
fn link(line: &str) -> Option<(String, Traffic)> {
    let (name, numbers) = line.split_once(':')?;
    let numbers: Vec<u64> = numbers.split_ascii_whitespace().map_while(|number| number.parse().ok()).collect();
    let [bytes_in, packets_in, .., bytes_out, packets_out, _, _, _, _, _, _] = numbers[..] else { return None };
    Some((name.trim().to_owned(), Traffic { bytes_in, bytes_out, packets_in, packets_out }))
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
        assert_eq!((process.parent, process.ticks, process.threads, process.is_blocked), (42, 100, 3, true));
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
            let usage = of_trees(&[root]).remove(0);
            if wanted(&usage) {
                return usage;
            }
            assert!(Instant::now() < deadline, "{usage:?}");
            std::thread::sleep(Duration::from_millis(10));
        };
        let busy = until(&|usage| usage.processes == 3 && usage.cpu >= Duration::from_millis(100));
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

    /// Two that are busy on one processor: each wants to run all the time, though each runs for half of it.
    #[test]
    fn what_waits_for_a_processor_is_active_too() {
        let (one, before) = (Duration::from_secs(1), Usage::default());
        let usage =
            Usage { cpu: one, waited: BTreeMap::from([(7, one / 2), (8, one / 2)]), blocked: 1, ..Usage::default() };
        assert_eq!(usage.active_since(&before, one), 3.0);
        assert_eq!(usage.active_since(&before, Duration::ZERO), 0.0);
        let later = Usage {
            cpu: one * 2,
            waited: BTreeMap::from([(7, one), (8, Duration::from_millis(250))]),
            ..Usage::default()
        };
        assert_eq!(
            later.active_since(&usage, one),
            1.75,
            "8 is another than before, and what is no more counts no longer"
        );
        let own = of_trees(&[i32::try_from(std::process::id()).unwrap()]).remove(0);
        assert!(!own.waited.is_empty(), "the kernel tells how long tasks wait: {own:?}");
    }

    /// Work that comes once a second and is looked at once a second is seen for what it is, whenever the look is.
    #[test]
    fn a_look_sees_what_was_between_looks() {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", "read line; i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo; read line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let root = i32::try_from(shell.id()).unwrap();
        let (began, before) = (Instant::now(), of_trees(&[root]).remove(0));
        use std::io::{Read, Write};
        shell.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        shell.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let (span, after) = (began.elapsed(), of_trees(&[root]).remove(0));
        let active = after.active_since(&before, span);
        assert!(active > 0.5 && active < 1.5, "{active} in {span:?}: it was at work all the time");
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }

    #[test]
    fn a_line_of_a_link_has_what_came_and_what_went() {
        let heads = "Inter-|   Receive                                                |  Transmit\n \
                     face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed";
        assert!(heads.lines().all(|head| link(head).is_none()));
        let (name, traffic) = link("  eth0: 936 12 1 2 3 4 5 6 1042 15 1 2 3 4 5 6").unwrap();
        let expected = Traffic { bytes_in: 936, bytes_out: 1042, packets_in: 12, packets_out: 15 };
        assert_eq!((name.as_str(), traffic), ("eth0", expected));
        assert_eq!((traffic.from_afar().bytes_in, traffic.from_afar().packets_out), (1042, 12));
        assert_eq!(link("veth1:936 12"), None);
    }

    #[test]
    fn the_machine_says_how_it_fares() {
        assert!(machine_load().unwrap().iter().all(|load| *load >= 0.0));
        let (total, available) = machine_memory().unwrap();
        assert!(available <= total && total > 1 << 20);
        assert!(links().contains_key("lo"));
    }
}
