//! The demo from outside, as people run it: every promise kept, one document on standard output, nothing left behind.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::rig::{self, PROGRAM, processes_of};

/// A demo on a data directory that tells its processes apart from others'.
struct Demo {
    folder: tempfile::TempDir,
    child: Child,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("demo-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let file = |name: &str| std::fs::File::create(folder.path().join(name)).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["demo", "--fast"]).args(arguments).arg("--data-dir").arg(folder.path().join("data"));
        command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
        Self { child: command.spawn().unwrap(), folder }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Waits until something holds.
    #[track_caller]
    fn wait<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        let until = Instant::now() + Duration::from_secs(90);
        loop {
            if let Some(seen) = look(self) {
                return seen;
            }
            assert!(Instant::now() < until, "waited in vain for {what}:\n{}", self.read("err"));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for its end: exit code, and the document if it printed one.
    fn end(&mut self) -> (Option<i32>, serde_json::Value) {
        let status = self.wait("the demo to end", |demo| demo.child.try_wait().unwrap());
        let text = self.read("out");
        let document = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}\n{}", self.read("err")));
        (status.code(), document)
    }

    fn interrupt(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It ends what it started by itself; after a failed test whatever is left is ended by its data directory.
        drop(self.child.kill());
        drop(self.child.wait());
        processes_of(&self.data_dir()).into_iter().for_each(rig::kill9);
    }
}

#[test]
fn the_fast_demo_keeps_every_promise_and_leaves_nothing() {
    let _floor = rig::floor();
    let mut demo = Demo::start(&["--json"]);
    let (code, document) = demo.end();
    assert_eq!((code, &document["ok"]), (Some(0), &true.into()), "{document:#}\n{}", demo.read("err"));
    assert_eq!((document["lost_planned"].as_u64(), document["lost_unplanned"].as_u64()), (Some(0), Some(0)));
    assert!(document["sent"].as_u64().unwrap() >= 2_000, "{document:#}");
    assert!(document["duration_ms"].as_f64().unwrap() < 15_000.0, "{document:#}");
    for told in ["kill", "disabled", "restart"] {
        assert!(document[told].is_object(), "{told}: {document:#}");
    }
    assert_eq!(document["versions"].as_object().unwrap().len(), 2);
    assert_eq!(document["registered"].as_array().unwrap().len(), 2);
    assert!(document["promises"].as_array().unwrap().len() >= 10);
    assert!(!demo.data_dir().exists());
    assert_eq!(processes_of(&demo.data_dir()), Vec::<i32>::new());
}

#[test]
fn a_demo_that_is_interrupted_says_so_and_leaves_nothing() {
    let _floor = rig::floor();
    let mut demo = Demo::start(&["--json"]);
    demo.wait("a replacement to begin", |demo| demo.read("err").contains("] replace ").then_some(()));
    demo.interrupt();
    let (code, document) = demo.end();
    assert_eq!((code, &document["ok"]), (Some(1), &false.into()));
    assert_eq!((&document["stopped"], &document["left_over"]), (&"it was interrupted".into(), &0.into()));
    assert!(document["sent"].as_u64().unwrap() > 0);
    assert!(!demo.data_dir().exists());
    assert_eq!(processes_of(&demo.data_dir()), Vec::<i32>::new());
}

#[test]
fn a_demo_that_is_kept_goes_on_until_it_is_told_to_end() {
    let _floor = rig::floor();
    let mut demo = Demo::start(&["--json", "--keep"]);
    let (code, document) = demo.end();
    assert_eq!(code, Some(0), "{document:#}\n{}", demo.read("err"));
    let dir = demo.data_dir().canonicalize().unwrap();
    assert_eq!(document["data_dir"].as_str(), dir.to_str());
    let evenkeel = |arguments: &[&str]| {
        let done = Command::new(PROGRAM).args(arguments).arg("--data-dir").arg(&dir).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    assert!(evenkeel(&["elbadmin", "get", "test"]).contains("Name: test"));
    evenkeel(&["down", "--instances"]);
    demo.wait("everything to end", |_| processes_of(&dir).is_empty().then_some(()));
}

#[test]
fn a_directory_with_something_in_it_is_refused_and_left_alone() {
    let folder = tempfile::Builder::new().prefix("demo-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::write(folder.path().join("mine"), "mine").unwrap();
    let ended = Command::new(PROGRAM).args(["demo", "--data-dir"]).arg(folder.path()).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let text = String::from_utf8(ended.stdout).unwrap();
    assert!(text.contains("is not empty"), "{text}");
    assert_eq!(std::fs::read_to_string(folder.path().join("mine")).unwrap(), "mine");
}
