//! The store: what is written down when, which blocks there are, and how it comes back after a crash.
//!
//! What comes in goes into a journal and into memory; every five minutes, or when memory is full, a *cut* makes blocks of it, at
//! every resolution, and the journal goes. Blocks are merged into larger ones and go when they are too old. Everything is a sum
//! of buckets, so late data and broken-off work need no care: a block holds what one journal held, and nobody reads both. Now is
//! an argument. Must never be used by two: the house holds the lock of the data directory. Next: [`super::read`], the other side.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use super::block::{self, Block, Damage, KEPT, STEPS};
use super::bucket::Bucket;
use super::catalog::{Catalog, SeriesId};
use super::codec::{self, State as Packing};
use super::frames::{self, Frames};
use super::head::Head;
use super::identity::{Metric, Unit};
use super::jobs::{Cut, Made, Merge};
use super::read::Reader;
use super::tally::Tally;

/// The bounds of a store.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Series at once.
    pub series: usize,
    /// Bytes of blocks on the disk; past it the oldest go before their time.
    pub disk: u64,
    /// Bytes in memory that wait for a cut. For as long as a cut takes there may be as many again.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { series: 50_000, disk: 4 << 30, memory: 16 << 20 }
    }
}

/// Seconds between two cuts.
const CUT_EVERY: i64 = 300;

/// Seconds between two waits for the disk.
const SYNC_EVERY: i64 = 5;

/// So many blocks of a level make one of the next.
const FAN: usize = 12;

/// The highest level of each tier: a block of 12 cuts, 144 and so on. No block holds much more than its tier keeps.
const LEVELS: [u8; STEPS.len()] = [0, 2, 3, 4];

/// The most bytes of the journal that are collected before they are written.
const MOST_PENDING: usize = 1 << 20;

/// One thing that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Of what.
    pub metric: Metric,
    /// In which unit.
    pub unit: Unit,
    /// In which second since the epoch.
    pub at: i64,
    /// What.
    pub bucket: Bucket,
}

/// What readers share with the writer.
#[derive(Debug)]
pub(super) struct Shared {
    pub state: RwLock<State>,
    pub tally: Tally,
}

#[derive(Debug)]
pub(super) struct State {
    pub catalog: Catalog,
    pub head: Head,
    /// What a cut is making blocks of.
    pub frozen: Option<Arc<Head>>,
    /// By tier, oldest first.
    pub blocks: Arc<[Vec<Arc<Block>>; STEPS.len()]>,
}

/// The only writer.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    limits: Limits,
    shared: Arc<Shared>,
    catalog_file: Frames,
    /// Lines of the catalog that are yet to be written.
    lines: Vec<u8>,
    journal: Journal,
    cut: Option<(u64, Cut)>,
    /// A head of which no cut could be begun.
    uncut: Option<(u64, Arc<Head>)>,
    merge: Option<Merge>,
    cut_at: i64,
    synced_at: i64,
    /// What last went wrong with the disk, so that it is said once.
    trouble: Option<String>,
}

/// The journal that is being written.
#[derive(Debug)]
struct Journal {
    number: u64,
    file: Frames,
    pending: Vec<u8>,
    packing: Packing,
}

fn journal_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("journal-{number:012}"))
}

impl Store {
    /// Opens the store in a folder, which is made if need be, and takes on what the last one left.
    ///
    /// # Errors
    /// A folder that cannot be read or written. What is broken in it is counted and said, and no error.
    pub fn open(dir: &Path, limits: Limits, now: i64) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let tally = Tally::default();
        let (mut catalog, catalog_file, lost) = Catalog::open(dir, limits.series)?;
        tally.lost_bytes("catalog", lost);
        let (journals, blocks) = found(dir)?;
        let blocks = opened(dir, blocks, &journals, &mut catalog, &tally)?;
        let newest =
            blocks.iter().flatten().map(|block| block.cuts.1).chain(journals.iter().copied()).max().unwrap_or(0);
        let journal = Journal::begin(dir, newest + 1)?;
        let state = State { catalog, head: Head::default(), frozen: None, blocks: Arc::new(blocks) };
        let mut store = Self {
            dir: dir.to_owned(),
            limits,
            shared: Arc::new(Shared { state: RwLock::new(state), tally }),
            catalog_file,
            lines: Vec::new(),
            journal,
            cut: None,
            uncut: None,
            merge: None,
            cut_at: now,
            synced_at: now,
            trouble: None,
        };
        store.take_on(&journals, now)?;
        store.shared.tally.opened(store.shared.state(|state| state.catalog.len()));
        Ok(store)
    }

    /// Makes blocks of the journals that the last one left, one by one: a block holds what one journal held, so that wherever this
    /// ends, each is there once. Where the disk has no room for them, the first is held in memory, and tried again; others
    /// wait for the next start.
    fn take_on(&mut self, journals: &[u64], now: i64) -> io::Result<()> {
        for number in journals {
            let path = journal_path(&self.dir, *number);
            let mut head = Head::default();
            let lost = self.state(|state| replay(&path, &mut state.catalog, &mut head))?;
            self.shared.tally.lost_bytes(&path.display().to_string(), lost);
            let head = Arc::new(head);
            if let Err(error) = self.cut_whole(*number, &head, now) {
                self.tell(Err(error));
                self.state(|state| state.frozen = Some(Arc::clone(&head)));
                self.uncut = Some((*number, head));
                break;
            }
        }
        Ok(())
    }

    fn cut_whole(&mut self, number: u64, head: &Arc<Head>, now: i64) -> io::Result<()> {
        let mut cut = Cut::begin(&self.dir, number, Arc::clone(head), now)?;
        while !cut.step(1000)? {}
        self.published(cut.finish().map_err(io::Error::other)?, number)
    }

    /// The other side of the store, for any number of readers.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared))
    }

    fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.shared.state.write().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Takes samples in. Returns how many were refused, because there is no room for their series, or none in memory.
    pub fn put(&mut self, samples: &[Sample], now: i64) -> usize {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut refused = 0;
        for sample in samples {
            match state.catalog.number(&sample.metric, sample.unit, now) {
                Some(id) if self.has_room(&state) => self.note(&mut state, id, sample.at, &sample.bucket),
                _ => refused += 1,
            }
        }
        shared.tally.took(samples.len() - refused, refused, state.catalog.len());
        refused
    }

    /// The number of a series, for who has many samples of it; `None` where there is no room.
    pub fn number(&mut self, metric: &Metric, unit: Unit, now: i64) -> Option<SeriesId> {
        self.state(|state| state.catalog.number(metric, unit, now))
    }

    /// Takes one sample of a series that has its number. Returns whether there was room for it.
    pub fn put_one(&mut self, series: SeriesId, at: i64, bucket: &Bucket) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let has_room = state.catalog.get(series).is_some() && self.has_room(&state);
        if has_room {
            self.note(&mut state, series, at, bucket);
        }
        shared.tally.took(usize::from(has_room), usize::from(!has_room), state.catalog.len());
        has_room
    }

    /// While the disk fails, what comes in stays in memory, and at twice its bound no more is taken.
    fn has_room(&self, state: &State) -> bool {
        state.head.bytes() < 2 * self.limits.memory && self.journal.pending.len() < 16 * MOST_PENDING
    }

    fn note(&mut self, state: &mut State, series: SeriesId, at: i64, bucket: &Bucket) {
        codec::put_varint(&mut self.journal.pending, series.into());
        codec::put(&mut self.journal.pending, &mut self.journal.packing, at, bucket);
        state.head.put(series, at, bucket);
        state.catalog.seen(series, at);
    }

    /// Writes down what came in, begins what is due, and lets go of what is too old. Once a second.
    pub fn tick(&mut self, now: i64) {
        let written = self.flush().and_then(|()| self.sync(now)).and_then(|()| self.begin(now));
        self.tell(written);
        self.retire(now);
        self.measure();
    }

    /// Writes down what came in since the last time; it survives the end of this process.
    ///
    /// # Errors
    /// The system's; what was not written is tried again the next time.
    pub fn flush(&mut self) -> io::Result<()> {
        let lines = self.state(|state| state.catalog.take_pending());
        self.lines.extend(lines);
        if !self.lines.is_empty() {
            self.catalog_file.append(&self.lines)?;
            self.lines.clear();
        }
        self.journal.flush()
    }

    /// Whether so much came in that it should be written before the next second.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.journal.pending.len() >= MOST_PENDING
    }

    fn sync(&mut self, now: i64) -> io::Result<()> {
        if (self.synced_at..self.synced_at + SYNC_EVERY).contains(&now) {
            return Ok(());
        }
        self.catalog_file.sync()?;
        self.journal.file.sync()?;
        self.synced_at = now;
        Ok(())
    }

    /// Begins a cut where one is due, and a merge where none runs.
    fn begin(&mut self, now: i64) -> io::Result<()> {
        if let Some((number, head)) = self.uncut.take() {
            match Cut::begin(&self.dir, number, Arc::clone(&head), now) {
                Ok(cut) => self.cut = Some((number, cut)),
                Err(error) => {
                    self.uncut = Some((number, head));
                    return Err(error);
                }
            }
        }
        let (bytes, is_empty) = self.shared.state(|state| (state.head.bytes(), state.head.is_empty()));
        let is_late = !(self.cut_at..self.cut_at + CUT_EVERY).contains(&now);
        let is_due = !is_empty && (bytes >= self.limits.memory || is_late);
        if is_due && self.cut.is_some() && bytes >= self.limits.memory {
            // Memory is full: the cut before must end first.
            while self.cut.is_some() {
                self.step(now)?;
            }
        }
        if is_due && self.cut.is_none() && self.uncut.is_none() {
            let number = self.journal.number;
            let next = Journal::begin(&self.dir, number + 1)?;
            self.journal.file.sync()?;
            self.journal = next;
            self.cut_at = now;
            let head = self.state(|state| {
                let head = Arc::new(std::mem::take(&mut state.head));
                state.frozen = Some(Arc::clone(&head));
                head
            });
            self.uncut = Some((number, head));
            return self.begin(now);
        }
        if is_empty && is_late {
            self.cut_at = now;
        }
        Ok(())
    }

    /// Goes on with what was begun, for some milliseconds at most. Returns whether there is more to do.
    ///
    /// # Errors
    /// The system's: what was begun is begun anew at the next tick.
    pub fn step(&mut self, now: i64) -> io::Result<bool> {
        const SERIES: usize = 100;
        if let Some((number, cut)) = self.cut.take() {
            match self.cut_on(number, cut, SERIES) {
                Ok(rest) => self.cut = rest.map(|cut| (number, cut)),
                Err(error) => {
                    self.uncut = self.shared.state(|state| state.frozen.clone()).map(|head| (number, head));
                    return Err(error);
                }
            }
            return Ok(true);
        }
        if self.merge.is_none() {
            self.merge = self.next_merge(now)?;
        }
        let Some(mut merge) = self.merge.take() else { return Ok(false) };
        let is_known = |id| self.shared.state(|state| state.catalog.get(id).is_some());
        if merge.step(SERIES, is_known)? {
            self.merged(merge)?;
        } else {
            self.merge = Some(merge);
        }
        Ok(true)
    }

    fn cut_on(&mut self, number: u64, mut cut: Cut, series: usize) -> io::Result<Option<Cut>> {
        if !cut.step(series)? {
            return Ok(Some(cut));
        }
        self.published(cut.finish().map_err(io::Error::other)?, number)?;
        Ok(None)
    }

    /// The oldest blocks of a level that are enough for one of the next.
    fn next_merge(&self, now: i64) -> io::Result<Option<Merge>> {
        let blocks = self.shared.state(|state| Arc::clone(&state.blocks));
        for (tier, blocks) in blocks.iter().enumerate() {
            for level in 0..LEVELS[tier] {
                let inputs: Vec<_> = blocks.iter().filter(|block| block.level == level).take(FAN).cloned().collect();
                if inputs.len() == FAN {
                    return Merge::begin(&self.dir, tier, inputs, now).map(Some);
                }
            }
        }
        Ok(None)
    }

    /// Shows the blocks of a cut, in place of the head that it was made of; its journal goes.
    fn published(&mut self, made: Made, journal: u64) -> io::Result<()> {
        std::fs::File::open(&self.dir)?.sync_all()?;
        remove(&journal_path(&self.dir, journal))?;
        self.state(|state| {
            let blocks = Arc::make_mut(&mut state.blocks);
            for (tier, block) in made.into_iter().enumerate() {
                blocks[tier].extend(block.map(Arc::new));
            }
            state.frozen = None;
        });
        Ok(())
    }

    fn merged(&mut self, mut merge: Merge) -> io::Result<()> {
        let (tier, inputs) = (merge.tier, std::mem::take(&mut merge.inputs));
        for why in merge.damaged.drain(..) {
            self.shared.tally.damaged(&why);
        }
        let made = merge.finish().map_err(io::Error::other)?.map(Arc::new);
        std::fs::File::open(&self.dir)?.sync_all()?;
        self.state(|state| {
            let blocks = &mut Arc::make_mut(&mut state.blocks)[tier];
            let is_input = |block: &Arc<Block>| inputs.iter().any(|input| Arc::ptr_eq(input, block));
            let at = blocks.iter().position(is_input).unwrap_or(blocks.len());
            blocks.retain(|block| !is_input(block));
            if let Some(made) = made {
                blocks.insert(at.min(blocks.len()), made);
            }
        });
        inputs.iter().try_for_each(|block| remove(&block.path))
    }

    /// Lets go of blocks that are too old, and of the oldest while all are too large.
    fn retire(&mut self, now: i64) {
        let blocks = self.shared.state(|state| Arc::clone(&state.blocks));
        let busy = |block: &Arc<Block>| {
            self.merge.as_ref().is_some_and(|merge| merge.inputs.iter().any(|input| Arc::ptr_eq(input, block)))
        };
        let mut going: Vec<(usize, Arc<Block>)> = Vec::new();
        for (tier, blocks) in blocks.iter().enumerate() {
            let is_old = |block: &&Arc<Block>| (block.span.1 + 1) * STEPS[tier] <= now - KEPT[tier] && !busy(block);
            going.extend(blocks.iter().filter(is_old).map(|block| (tier, Arc::clone(block))));
        }
        let is_going =
            |going: &[(usize, Arc<Block>)], block: &Arc<Block>| going.iter().any(|(_, b)| Arc::ptr_eq(b, block));
        loop {
            let sizes: [u64; STEPS.len()] = std::array::from_fn(|tier| {
                blocks[tier].iter().filter(|block| !is_going(&going, block)).map(|block| block.bytes).sum()
            });
            if sizes.iter().sum::<u64>() <= self.limits.disk {
                break;
            }
            let Some(tier) = (0..STEPS.len()).max_by_key(|tier| sizes[*tier]) else { break };
            let Some(block) = blocks[tier].iter().find(|block| !is_going(&going, block) && !busy(block)) else { break };
            self.shared.tally.crowded_out(&block.path.display().to_string());
            going.push((tier, Arc::clone(block)));
        }
        if going.is_empty() {
            return;
        }
        self.state(|state| {
            let blocks = Arc::make_mut(&mut state.blocks);
            blocks.iter_mut().for_each(|blocks| blocks.retain(|block| !is_going(&going, block)));
        });
        let removed = going.iter().try_for_each(|(_, block)| remove(&block.path));
        self.tell(removed);
    }

    fn measure(&self) {
        self.shared.state(|state| {
            let blocks = state.blocks.iter().flatten();
            let (count, bytes) = blocks.fold((0, 0), |(count, bytes), block| (count + 1, bytes + block.bytes));
            let frozen = state.frozen.as_ref().map_or(0, |head| head.bytes());
            self.shared.tally.measured(state.catalog.len(), count, bytes, state.head.bytes() + frozen);
        });
    }

    /// Says what went wrong, once, and that it is well again.
    pub(super) fn tell(&mut self, outcome: io::Result<()>) {
        let trouble = outcome.err().map(|error| error.to_string());
        if trouble != self.trouble {
            match &trouble {
                Some(why) => eprintln!("metrics: failed to write `{}`: {why}", self.dir.display()),
                None => eprintln!("metrics: `{}` can be written again", self.dir.display()),
            }
        }
        self.shared.tally.failed(trouble.is_some());
        self.trouble = trouble;
    }

    /// Does all that is due and begun, to the end.
    ///
    /// # Errors
    /// The system's.
    pub fn settle(&mut self, now: i64) -> io::Result<()> {
        self.flush()?;
        self.begin(now)?;
        while self.step(now)? {}
        Ok(())
    }

    /// Writes down what came in, and waits until it is on the disk.
    ///
    /// # Errors
    /// The system's.
    pub fn close(mut self) -> io::Result<()> {
        self.flush()?;
        self.catalog_file.sync()?;
        self.journal.file.sync()
    }
}

impl Shared {
    pub fn state<T>(&self, with: impl FnOnce(&State) -> T) -> T {
        with(&self.state.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Journal {
    fn begin(dir: &Path, number: u64) -> io::Result<Self> {
        let file = Frames::open(&journal_path(dir, number))?;
        Ok(Self { number, file, pending: Vec::new(), packing: Packing::default() })
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.file.append(&self.pending)?;
            self.pending.clear();
            self.packing = Packing::default();
        }
        Ok(())
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Blocks' files: tier and cuts.
type Names = Vec<(usize, (u64, u64))>;

/// The journals and the blocks in a folder, in order. Files that were never finished go.
fn found(dir: &Path) -> io::Result<(Vec<u64>, Names)> {
    let (mut journals, mut blocks) = (BTreeSet::new(), BTreeSet::new());
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(ToOwned::to_owned) else { continue };
        if name.ends_with(".new") {
            std::fs::remove_file(entry.path())?;
        } else if let Some(number) = name.strip_prefix("journal-").and_then(|number| number.parse().ok()) {
            journals.insert(number);
        } else if let Some((tier, cuts)) = block::named(&name) {
            blocks.insert((cuts, tier));
        }
    }
    let blocks = blocks.into_iter().map(|(cuts, tier)| (tier, cuts)).collect();
    Ok((journals.into_iter().collect(), blocks))
}

/// Opens blocks, but for those of which the journal is still there, and those that were merged into another: they go.
fn opened(
    dir: &Path,
    names: Names,
    journals: &[u64],
    catalog: &mut Catalog,
    tally: &Tally,
) -> io::Result<[Vec<Arc<Block>>; STEPS.len()]> {
    let mut blocks = [const { Vec::new() }; STEPS.len()];
    for (tier, cuts) in &names {
        let path = dir.join(block::name(*tier, *cuts));
        let is_unfinished = cuts.0 == cuts.1 && journals.contains(&cuts.0);
        let holds = |(t, c): &(usize, (u64, u64))| t == tier && c != cuts && c.0 <= cuts.0 && cuts.1 <= c.1;
        if is_unfinished || names.iter().any(holds) {
            remove(&path)?;
            continue;
        }
        let seen = |entry: block::Entry| catalog.seen(entry.series, (entry.last + 1) * STEPS[*tier] - 1);
        match Block::open(&path, *cuts, seen) {
            Ok(block) => blocks[*tier].push(Arc::new(block)),
            Err(Damage::Io(error)) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
            Err(damage) => {
                tally.damaged(&format!("`{}`: {damage}", path.display()));
                // It is kept for who wants to look, out of the way.
                std::fs::rename(&path, path.with_extension("broken"))?;
            }
        }
    }
    Ok(blocks)
}

/// Reads a journal back. Returns how many of its bytes were lost.
fn replay(path: &Path, catalog: &mut Catalog, head: &mut Head) -> io::Result<u64> {
    let mut strange = 0;
    let lost = frames::each(path, |mut content| {
        let mut packing = Packing::default();
        while !content.is_empty() {
            let before = content.len();
            let entry = codec::take_varint(&mut content)
                .and_then(|id| Some((SeriesId::try_from(id).ok()?, codec::take(&mut content, &mut packing)?)));
            match entry {
                Some((id, (at, bucket))) if catalog.get(id).is_some() => {
                    catalog.seen(id, at);
                    head.put(id, at, &bucket);
                }
                Some(_) => strange += (before - content.len()) as u64,
                None => {
                    strange += before as u64;
                    break;
                }
            }
        }
    })?;
    Ok(lost + strange)
}
