//! The store's slow work, in steps: a cut makes blocks of what came in, a merge makes one block of many.
//!
//! Each is a value with a place in it, so that whoever drives it can do something else in between. Until it ends nothing of it can
//! be seen; where it is broken off, nothing came of it. Next: [`super::store`], which drives them.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::block::{Block, Damage, Entry, KEPT, STEPS, Writer};
use super::bucket::Bucket;
use super::catalog::SeriesId;
use super::codec::{self, Slot};
use super::head::{Head, rolled};

/// Blocks that a cut made, by tier.
pub(super) type Made = [Option<Block>; STEPS.len()];

/// Making blocks of a head: one a tier.
#[derive(Debug)]
pub(super) struct Cut {
    head: Arc<Head>,
    series: std::vec::IntoIter<SeriesId>,
    writers: [Writer; STEPS.len()],
    now: i64,
}

impl Cut {
    /// Begins a cut, which is called by the journal that holds the same.
    pub fn begin(dir: &Path, cut: u64, head: Arc<Head>, now: i64) -> io::Result<Self> {
        let writer = |tier| Writer::create(dir, tier, (cut, cut), 0);
        let writers = [writer(0)?, writer(1)?, writer(2)?, writer(3)?];
        Ok(Self { series: head.series().into_iter(), head, writers, now })
    }

    /// Goes on, by some series. Returns whether it is through.
    pub fn step(&mut self, count: usize) -> io::Result<bool> {
        for _ in 0..count {
            let Some(series) = self.series.next() else { return Ok(true) };
            let mut buckets = rolled(&self.head.of(series), 1);
            for (tier, writer) in self.writers.iter_mut().enumerate() {
                if tier > 0 {
                    buckets = rolled(&buckets, STEPS[tier] / STEPS[tier - 1]);
                }
                let oldest = (self.now - KEPT[tier]).div_euclid(STEPS[tier]);
                writer.put(series, &buckets[buckets.partition_point(|(slot, _)| *slot < oldest)..])?;
            }
        }
        Ok(self.series.len() == 0)
    }

    /// Ends it: the blocks are on the disk.
    pub fn finish(self) -> Result<Made, Damage> {
        let mut made = [const { None }; STEPS.len()];
        for (place, writer) in made.iter_mut().zip(self.writers) {
            *place = writer.finish()?;
        }
        Ok(made)
    }
}

/// Making one block of several of a tier.
#[derive(Debug)]
pub(super) struct Merge {
    pub tier: usize,
    pub inputs: Vec<Arc<Block>>,
    cursors: Vec<Cursor>,
    writer: Writer,
    oldest: Slot,
    /// Chunks that could not be read.
    pub damaged: Vec<String>,
}

/// A place in the index of an input.
#[derive(Debug, Default)]
struct Cursor {
    page: usize,
    /// The rest of the page, last first.
    entries: Vec<Entry>,
}

impl Cursor {
    /// The entry at the place, if any is left.
    fn peek(&mut self, block: &Block) -> io::Result<Option<Entry>> {
        if self.entries.is_empty() {
            self.entries = block.entries(self.page)?;
            self.entries.reverse();
            self.page += 1;
        }
        Ok(self.entries.last().copied())
    }
}

impl Merge {
    /// Begins a merge of neighbours, oldest first.
    pub fn begin(dir: &Path, tier: usize, inputs: Vec<Arc<Block>>, now: i64) -> io::Result<Self> {
        let from = inputs.iter().map(|block| block.cuts.0).min().unwrap_or_default();
        let to = inputs.iter().map(|block| block.cuts.1).max().unwrap_or_default();
        let level = inputs.iter().map(|block| block.level).max().unwrap_or_default().saturating_add(1);
        let writer = Writer::create(dir, tier, (from, to), level)?;
        let cursors = inputs.iter().map(|_| Cursor::default()).collect();
        let oldest = (now - KEPT[tier]).div_euclid(STEPS[tier]);
        Ok(Self { tier, inputs, cursors, writer, oldest, damaged: Vec::new() })
    }

    /// Goes on, by some series; those that nobody knows any more are left out. Returns whether it is through.
    pub fn step(&mut self, count: usize, is_known: impl Fn(SeriesId) -> bool) -> io::Result<bool> {
        for _ in 0..count {
            let mut least = None;
            for (cursor, block) in self.cursors.iter_mut().zip(&self.inputs) {
                if let Some(entry) = cursor.peek(block)? {
                    least = Some(least.map_or(entry.series, |least: SeriesId| least.min(entry.series)));
                }
            }
            let Some(series) = least else { return Ok(true) };
            let mut buckets: Vec<(Slot, Bucket)> = Vec::new();
            for (cursor, block) in self.cursors.iter_mut().zip(&self.inputs) {
                let Some(entry) = cursor.entries.pop_if(|entry| entry.series == series) else { continue };
                match block.chunk(&entry) {
                    Ok(chunk) => buckets.extend(codec::all(&chunk)),
                    Err(Damage::Io(error)) => return Err(error),
                    Err(damage) => self.damaged.push(format!("`{}`: {damage}", block.path.display())),
                }
            }
            if is_known(series) {
                let buckets = rolled(&buckets, 1);
                self.writer.put(series, &buckets[buckets.partition_point(|(slot, _)| *slot < self.oldest)..])?;
            }
        }
        Ok(false)
    }

    /// Ends it: the block is on the disk. `None` where everything in it was too old.
    pub fn finish(self) -> Result<Option<Block>, Damage> {
        self.writer.finish()
    }
}
