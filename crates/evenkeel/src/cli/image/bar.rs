//! How far something is that takes a while, on terminals alone.
//!
//! Writes nothing where standard error is a file or a pipe, and leaves nothing behind. Next: [`super::files`].

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often what has no end in sight shows that it goes on.
const TICK: Duration = Duration::from_millis(100);

/// A bar; gone when dropped.
#[derive(Debug)]
pub struct Bar(Option<ProgressBar>);

impl Bar {
    /// A bar for `total` bytes, where `live` says that there is a terminal.
    pub fn of_bytes(live: bool, what: &str, total: u64) -> Self {
        Self(live.then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.with_message(what.to_owned())
        }))
    }

    /// A sign that something goes on, which says how long it has.
    pub fn of_time(live: bool, what: &str) -> Self {
        Self(live.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                bar.set_style(style.tick_chars("-\\|/ "));
            }
            bar.enable_steady_tick(TICK);
            bar.with_message(what.to_owned())
        }))
    }

    /// So many more bytes are done.
    pub fn more(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(bytes);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Bytes for people, in units of 1,024.
pub fn human(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(shift, _)| bytes >> shift > 0) {
        Some((shift, unit)) => {
            let tenths = (u128::from(bytes) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_well() {
        let check = |bytes: u64, want: &str| assert_eq!(human(bytes), want);
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.0 KiB");
        check(5 << 20 | 1 << 19, "5.5 MiB");
        check(u64::MAX, "17179869183.9 GiB");
    }

    #[test]
    fn there_is_no_bar_where_there_is_no_terminal() {
        assert!(Bar::of_bytes(false, "packing", 1).0.is_none());
        assert!(Bar::of_time(false, "waiting").0.is_none());
    }
}
