//! What the store counts of itself, and says in the log.
//!
//! Must never be asked to decide anything. Next: [`super::store`].

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        #[derive(Debug, Default)]
        pub(super) struct Tally {
            $($name: AtomicU64,)*
        }

        /// How the store fares.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Tally {
            pub fn counts(&self) -> Counts {
                Counts { $($name: self.$name.load(Relaxed),)* }
            }
        }
    };
}

counts! {
    /// Series that there are.
    series,
    /// Samples that were taken in since the start.
    samples,
    /// Samples that were refused since the start: no room for their series, or none in memory while the disk fails.
    refused,
    /// Samples that nobody took in since the start, because too many waited.
    overrun,
    /// Chunks and blocks that were found broken since the start.
    damaged,
    /// Bytes of journals and of the catalog that could not be read at the start.
    lost_bytes,
    /// Blocks that went before their time since the start, because all were larger than they may be.
    crowded_out,
    /// Blocks that there are.
    blocks,
    /// Bytes of all blocks.
    block_bytes,
    /// Bytes in memory that wait for a cut, about.
    memory_bytes,
    /// 1 while the disk cannot be written.
    failing,
}

impl Tally {
    pub fn opened(&self, series: usize) {
        self.series.store(series as u64, Relaxed);
    }

    pub fn took(&self, samples: usize, refused: usize, series: usize) {
        self.samples.fetch_add(samples as u64, Relaxed);
        self.series.store(series as u64, Relaxed);
        if refused > 0 && self.refused.fetch_add(refused as u64, Relaxed) == 0 {
            eprintln!(
                "metrics: samples are refused: there are {series} series, and no room for more; see `evenkeel_metrics_refused_total`"
            );
        }
    }

    pub fn overran(&self, samples: usize) {
        if self.overrun.fetch_add(samples as u64, Relaxed) == 0 {
            eprintln!("metrics: samples are dropped, because too many wait; see `evenkeel_metrics_overrun_total`");
        }
    }

    pub fn damaged(&self, what: &str) {
        self.damaged.fetch_add(1, Relaxed);
        eprintln!("metrics: broken data are passed over: {what}");
    }

    pub fn lost_bytes(&self, what: &str, bytes: u64) {
        if bytes > 0 {
            self.lost_bytes.fetch_add(bytes, Relaxed);
            eprintln!("metrics: {bytes} bytes of `{what}` cannot be read, and are passed over");
        }
    }

    pub fn crowded_out(&self, block: &str) {
        self.crowded_out.fetch_add(1, Relaxed);
        eprintln!("metrics: `{block}` goes before its time: all data are larger than they may be");
    }

    pub fn failed(&self, is_failing: bool) {
        self.failing.store(is_failing.into(), Relaxed);
    }

    pub fn measured(&self, series: usize, blocks: u64, bytes: u64, memory: usize) {
        self.series.store(series as u64, Relaxed);
        self.blocks.store(blocks, Relaxed);
        self.block_bytes.store(bytes, Relaxed);
        self.memory_bytes.store(memory as u64, Relaxed);
    }
}
