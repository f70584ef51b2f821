//! Lines on stderr that stay whole.
//!
//! Several processes of ours may write to one log or pipe at once: two roads while one takes over from the other, a proxy
//! and its heir. `eprintln!` hands the system each piece of a line by itself, and ends the process where stderr was closed.

use std::io::Write as _;

/// Says a line in one write, so that no other process's comes between; goes on where nobody can hear it.
pub fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
