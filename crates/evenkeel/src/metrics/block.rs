//! Blocks: files that are written once, hold the buckets of many series at one resolution, and are then only read.
//!
//! A chunk a series, each with a checksum, then an index in the order of series, then a foot. In memory is every 64th entry of
//! the index. What is broken costs one chunk, or the block where it is the index; it is told, never served. Must never know what
//! is newest or too old. Next: [`super::store`].

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::bucket::Bucket;
use super::catalog::SeriesId;
use super::codec::{self, Slot, State};

/// Seconds of a step of each tier.
pub(super) const STEPS: [i64; 4] = [1, 60, 300, 3600];

/// How many seconds each tier's buckets are kept: 3 hours, 15, 63 and 455 days, AWS's.
pub(super) const KEPT: [i64; 4] = [3 * 3600, 15 * 86_400, 63 * 86_400, 455 * 86_400];

/// At the beginning and the end of a block.
const MARK: [u8; 8] = *b"EKblock1";

/// Bytes of an entry of the index: series, length, offset, newest step.
const ENTRY: usize = 24;

/// Bytes of the foot: index's offset, entries, oldest and newest step, level, checksum of the index, checksum of the foot, mark.
const FOOT: usize = 8 + 4 + 8 + 8 + 1 + 4 + 4 + 8;

/// Every so many entries of an index, one is in memory.
const FENCE: usize = 64;

/// The largest chunk that is believed: a year of minutes, each a full sketch, is far below.
const MOST_CHUNK: u32 = 256 * 1024 * 1024;

/// A block that can be read.
#[derive(Debug)]
pub(super) struct Block {
    file: File,
    pub path: PathBuf,
    /// The cuts of the journal that are in it.
    pub cuts: (u64, u64),
    /// How often its buckets were merged with those of other blocks.
    pub level: u8,
    /// The oldest and the newest step in it.
    pub span: (Slot, Slot),
    /// Its size.
    pub bytes: u64,
    entries: u32,
    index: u64,
    fence: Vec<SeriesId>,
}

/// A place in the index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub series: SeriesId,
    length: u32,
    offset: u64,
    /// The newest step of the series.
    pub last: Slot,
}

/// Why something of a block cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}")]
    Broken(&'static str),
}

/// The name of a block's file.
pub(super) fn name(tier: usize, cuts: (u64, u64)) -> String {
    format!("t{tier}-{:012}-{:012}.block", cuts.0, cuts.1)
}

/// Tier and cuts by a file's name; `None` of one that is no block's.
pub(super) fn named(name: &str) -> Option<(usize, (u64, u64))> {
    let (tier, cuts) = name.strip_suffix(".block")?.strip_prefix('t')?.split_once('-')?;
    let (from, to) = cuts.split_once('-')?;
    let tier = tier.parse().ok().filter(|tier| *tier < STEPS.len())?;
    Some((tier, (from.parse().ok()?, to.parse().ok()?)))
}

impl Entry {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (series, bytes) = bytes.split_first_chunk()?;
        let (length, bytes) = bytes.split_first_chunk()?;
        let (offset, bytes) = bytes.split_first_chunk()?;
        let (last, _) = bytes.split_first_chunk()?;
        Some(Self {
            series: u32::from_le_bytes(*series),
            length: u32::from_le_bytes(*length),
            offset: u64::from_le_bytes(*offset),
            last: i64::from_le_bytes(*last),
        })
    }
}

impl Block {
    /// Opens a block and shows every entry of its index, which is read to its end once.
    pub fn open(path: &Path, cuts: (u64, u64), mut see: impl FnMut(Entry)) -> Result<Self, Damage> {
        const SHORT: Damage = Damage::Broken("it is cut off");
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut foot = [0; FOOT];
        file.read_exact_at(&mut foot, bytes.checked_sub(FOOT as u64).ok_or(SHORT)?)?;
        let (body, rest) = foot.split_at(FOOT - 12);
        if rest[4..] != MARK || rest[..4] != crc32fast::hash(body).to_le_bytes() {
            return Err(Damage::Broken("its foot is broken"));
        }
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| body[at + n]));
        let (index, span) = (number(0), (number(12) as i64, number(20) as i64));
        let entries = u32::from_le_bytes(std::array::from_fn(|n| body[8 + n]));
        let (level, checksum) = (body[28], u32::from_le_bytes(std::array::from_fn(|n| body[29 + n])));
        let mut block =
            Self { file, path: path.to_owned(), cuts, level, span, bytes, entries, index, fence: Vec::new() };
        let mut hash = crc32fast::Hasher::new();
        let mut fence = Vec::new();
        for page in 0..block.pages() {
            let bytes = block.page(page)?;
            hash.update(&bytes);
            let mut found = bytes.chunks_exact(ENTRY).filter_map(Entry::read).peekable();
            fence.extend(found.peek().map(|entry| entry.series));
            found.for_each(&mut see);
        }
        if hash.finalize() != checksum {
            return Err(Damage::Broken("its index is broken"));
        }
        block.fence = fence;
        Ok(block)
    }

    /// How many pages its index has.
    fn pages(&self) -> usize {
        (self.entries as usize).div_ceil(FENCE)
    }

    fn page(&self, page: usize) -> io::Result<Vec<u8>> {
        let first = page * FENCE;
        let count = (self.entries as usize - first).min(FENCE);
        let mut bytes = vec![0; count * ENTRY];
        self.file.read_exact_at(&mut bytes, self.index.saturating_add((first * ENTRY) as u64))?;
        Ok(bytes)
    }

    /// The entries of a page; empty past the last.
    pub fn entries(&self, page: usize) -> io::Result<Vec<Entry>> {
        if page >= self.pages() {
            return Ok(Vec::new());
        }
        Ok(self.page(page)?.chunks_exact(ENTRY).filter_map(Entry::read).collect())
    }

    /// The chunk of a series, if it has one here.
    pub fn chunk_of(&self, series: SeriesId) -> Result<Option<Vec<u8>>, Damage> {
        let Some(page) = self.fence.partition_point(|first| *first <= series).checked_sub(1) else { return Ok(None) };
        let entries = self.entries(page)?;
        match entries.binary_search_by_key(&series, |entry| entry.series) {
            Ok(at) => self.chunk(&entries[at]).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The chunk of an entry, held against its checksum.
    pub fn chunk(&self, entry: &Entry) -> Result<Vec<u8>, Damage> {
        if entry.length > MOST_CHUNK
            || entry.length < 4
            || entry.offset.saturating_add(entry.length.into()) > self.bytes
        {
            return Err(Damage::Broken("a chunk is outside of it"));
        }
        let mut bytes = vec![0; entry.length as usize];
        self.file.read_exact_at(&mut bytes, entry.offset)?;
        let chunk = bytes.split_off(4);
        if bytes != checksum(entry.series, &chunk).to_le_bytes() {
            return Err(Damage::Broken("a chunk is broken"));
        }
        Ok(chunk)
    }
}

/// Of a series' number as well: a chunk that an index leads to by mistake is another's.
fn checksum(series: SeriesId, chunk: &[u8]) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(&series.to_le_bytes());
    hash.update(chunk);
    hash.finalize()
}

/// A block in the making, under another name until it is whole.
#[derive(Debug)]
pub(super) struct Writer {
    out: BufWriter<File>,
    path: PathBuf,
    beside: PathBuf,
    cuts: (u64, u64),
    level: u8,
    at: u64,
    span: (Slot, Slot),
    index: Vec<u8>,
    last_series: Option<SeriesId>,
    chunk: Vec<u8>,
}

impl Writer {
    /// Begins a block.
    pub fn create(dir: &Path, tier: usize, cuts: (u64, u64), level: u8) -> io::Result<Self> {
        let path = dir.join(name(tier, cuts));
        let beside = path.with_extension("new");
        let mut out = BufWriter::new(File::create(&beside)?);
        out.write_all(&MARK)?;
        let span = (Slot::MAX, Slot::MIN);
        let (index, chunk) = (Vec::new(), Vec::new());
        Ok(Self { out, path, beside, cuts, level, at: MARK.len() as u64, span, index, last_series: None, chunk })
    }

    /// Writes the buckets of a series, which are in order. Series come in order too. None are no chunk.
    pub fn put(&mut self, series: SeriesId, buckets: &[(Slot, Bucket)]) -> io::Result<()> {
        let (Some((first, _)), Some((last, _))) = (buckets.first(), buckets.last()) else { return Ok(()) };
        if self.last_series.is_some_and(|last| last >= series) {
            return Err(io::Error::other("series are not in order"));
        }
        self.last_series = Some(series);
        self.chunk.clear();
        let mut state = State::default();
        buckets.iter().for_each(|(slot, bucket)| codec::put(&mut self.chunk, &mut state, *slot, bucket));
        self.span = (self.span.0.min(*first), self.span.1.max(*last));
        let length = u32::try_from(self.chunk.len() + 4).map_err(|_| io::Error::other("a chunk is too large"))?;
        self.out.write_all(&checksum(series, &self.chunk).to_le_bytes())?;
        self.out.write_all(&self.chunk)?;
        self.index.extend_from_slice(&series.to_le_bytes());
        self.index.extend_from_slice(&length.to_le_bytes());
        self.index.extend_from_slice(&self.at.to_le_bytes());
        self.index.extend_from_slice(&last.to_le_bytes());
        self.at += u64::from(length);
        Ok(())
    }

    /// Ends it: once this returns it is on the disk, under its name. `None` of one that holds nothing.
    pub fn finish(mut self) -> Result<Option<Block>, Damage> {
        if self.index.is_empty() {
            drop(self.out);
            std::fs::remove_file(&self.beside)?;
            return Ok(None);
        }
        let mut foot = Vec::with_capacity(FOOT);
        foot.extend_from_slice(&self.at.to_le_bytes());
        foot.extend_from_slice(&((self.index.len() / ENTRY) as u32).to_le_bytes());
        foot.extend_from_slice(&self.span.0.to_le_bytes());
        foot.extend_from_slice(&self.span.1.to_le_bytes());
        foot.push(self.level);
        foot.extend_from_slice(&crc32fast::hash(&self.index).to_le_bytes());
        let checksum = crc32fast::hash(&foot);
        foot.extend_from_slice(&checksum.to_le_bytes());
        foot.extend_from_slice(&MARK);
        self.out.write_all(&self.index)?;
        self.out.write_all(&foot)?;
        self.out.flush()?;
        self.out.get_ref().sync_data()?;
        std::fs::rename(&self.beside, &self.path)?;
        Block::open(&self.path, self.cuts, |_| {}).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(of: u32) -> Vec<(Slot, Bucket)> {
        (0..50).map(|n| (1000 + n, Bucket::of(f64::from(of) + n as f64 / 3.0))).collect()
    }

    fn written(dir: &Path, series: impl Iterator<Item = u32>) -> Block {
        let mut writer = Writer::create(dir, 0, (3, 3), 2).unwrap();
        series.for_each(|series| writer.put(series, &buckets(series)).unwrap());
        writer.finish().unwrap().unwrap()
    }

    #[test]
    fn each_series_is_found_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let block = written(dir.path(), (0..1000).map(|n| n * 2 + 1));
        assert_eq!((block.span, block.level), ((1000, 1049), 2));
        for series in 0..2002 {
            let found = block.chunk_of(series).unwrap().map(|chunk| codec::all(&chunk).collect::<Vec<_>>());
            assert_eq!(found, (series % 2 == 1 && series < 2000).then(|| buckets(series)), "{series}");
        }
        let mut seen = 0;
        Block::open(&block.path, (3, 3), |entry| {
            assert_eq!((entry.series, entry.last), (seen * 2 + 1, 1049));
            seen += 1;
        })
        .unwrap();
        assert_eq!(seen, 1000);
        assert_eq!(named(block.path.file_name().unwrap().to_str().unwrap()), Some((0, (3, 3))));
    }

    #[test]
    fn nothing_is_no_block() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(dir.path(), 0, (1, 1), 0).unwrap();
        writer.put(7, &[]).unwrap();
        assert!(writer.finish().unwrap().is_none());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    /// Each byte of a block is broken in turn: what is read then is what was written, or nothing.
    #[test]
    fn what_is_broken_is_never_served() {
        let dir = tempfile::tempdir().unwrap();
        let block = written(dir.path(), [4, 5, 9].into_iter());
        let whole = std::fs::read(&block.path).unwrap();
        let path = dir.path().join("broken");
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0x10;
            std::fs::write(&path, broken).unwrap();
            let Ok(block) = Block::open(&path, (3, 3), |_| {}) else { continue };
            let read = [4, 5, 9].map(|series| block.chunk_of(series).ok().flatten());
            let lost = read.iter().filter(|chunk| chunk.is_none()).count();
            assert!(lost <= 1, "byte {at} cost {lost} chunks");
            for (series, chunk) in [4, 5, 9].into_iter().zip(read) {
                let Some(chunk) = chunk else { continue };
                assert_eq!(codec::all(&chunk).collect::<Vec<_>>(), buckets(series), "byte {at}");
            }
        }
        for length in [0, 1, FOOT, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(Block::open(&path, (3, 3), |_| {}).is_err(), "{length} bytes");
        }
    }
}
