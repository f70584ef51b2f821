//! Which series there are: their numbers, by which everything else knows them, and when each last had data.
//!
//! Bounded: a series too many takes the place of one that was idle for two weeks, or is refused. Numbers are never given
//! again, so that what blocks hold of a forgotten series is nobody's. Next: [`super::store`].

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::frames::{self, Frames};
use super::identity::{Metric, Unit};

/// The number of a series.
pub type SeriesId = u32;

/// After how many seconds without data a series is no longer listed, and may give up its place: two weeks, AWS's.
pub const IDLE: i64 = 14 * 24 * 3600;

/// One series.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it is of.
    pub metric: Arc<Metric>,
    /// In which unit.
    pub unit: Unit,
    /// The newest second that it has data of.
    pub last: i64,
}

/// A line of the catalog's file.
#[derive(Serialize, Deserialize)]
enum Line {
    New { id: SeriesId, metric: Metric, unit: Unit },
    Forgotten { id: SeriesId },
}

/// All series.
#[derive(Debug)]
pub(super) struct Catalog {
    series: BTreeMap<SeriesId, Series>,
    by_metric: HashMap<Arc<Metric>, Vec<SeriesId>>,
    next: SeriesId,
    most: usize,
    /// When it was last seen that there is no room.
    full_at: i64,
    /// Lines that are not in the file yet.
    pending: Vec<u8>,
}

impl Catalog {
    /// Reads what is in a folder. Returns with it the file that new lines go to, and how many of its bytes could not be read.
    pub fn open(dir: &Path, most: usize) -> io::Result<(Self, Frames, u64)> {
        let path = dir.join("catalog");
        let mut file = Frames::open(&path)?;
        let mut catalog = Self {
            series: BTreeMap::new(),
            by_metric: HashMap::new(),
            next: 1,
            most,
            full_at: i64::MIN,
            pending: Vec::new(),
        };
        let (mut lines, mut strange) = (0, 0);
        let lost = frames::each(&path, |content| {
            for line in content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                lines += 1;
                match serde_json::from_slice(line) {
                    Ok(line) => catalog.read(line),
                    Err(_) => strange += line.len() as u64,
                }
            }
        })?;
        if lines > 2 * catalog.series.len() + 1000 {
            file = catalog.rewrite(&path)?;
        }
        Ok((catalog, file, lost + strange))
    }

    fn read(&mut self, line: Line) {
        match line {
            Line::New { id, metric, unit } => {
                self.next = self.next.max(id.saturating_add(1));
                self.insert(id, Arc::new(metric), unit, i64::MIN);
            }
            Line::Forgotten { id } => self.remove(id),
        }
    }

    fn insert(&mut self, id: SeriesId, metric: Arc<Metric>, unit: Unit, last: i64) {
        self.by_metric.entry(Arc::clone(&metric)).or_default().push(id);
        self.series.insert(id, Series { metric, unit, last });
    }

    fn remove(&mut self, id: SeriesId) {
        let Some(series) = self.series.remove(&id) else { return };
        if let Some(ids) = self.by_metric.get_mut(&series.metric) {
            ids.retain(|held| *held != id);
            if ids.is_empty() {
                self.by_metric.remove(&series.metric);
            }
        }
    }

    /// Writes the file anew, with what is still there.
    fn rewrite(&self, path: &Path) -> io::Result<Frames> {
        let beside = path.with_extension("new");
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = Frames::open(&beside)?;
        let mut lines = Vec::new();
        // The highest number that was given must stay known, though its series may be gone.
        let last = self.next.saturating_sub(1);
        if last > 0 && !self.series.contains_key(&last) {
            put_line(&mut lines, &Line::New { id: last, metric: Metric::default(), unit: Unit::None });
            put_line(&mut lines, &Line::Forgotten { id: last });
        }
        for (id, series) in &self.series {
            put_line(&mut lines, &Line::New { id: *id, metric: (*series.metric).clone(), unit: series.unit });
        }
        file.append(&lines)?;
        file.sync()?;
        std::fs::rename(&beside, path)?;
        Ok(file)
    }

    /// The number of a series; a new one where there is none yet. `None` where there is no room for it.
    pub fn number(&mut self, metric: &Metric, unit: Unit, now: i64) -> Option<SeriesId> {
        if let Some(id) = self.find(metric).iter().find(|id| self.series[id].unit == unit) {
            return Some(*id);
        }
        if self.series.len() >= self.most {
            self.make_room(now)?;
        }
        let id = self.next;
        self.next = self.next.checked_add(1)?;
        put_line(&mut self.pending, &Line::New { id, metric: metric.clone(), unit });
        self.insert(id, Arc::new(metric.clone()), unit, i64::MIN);
        Some(id)
    }

    /// Forgets the series that was idle for longest, if that was long enough.
    fn make_room(&mut self, now: i64) -> Option<()> {
        // Looking through all of them again for each sample would cost more than the sample.
        if (self.full_at..self.full_at.saturating_add(60)).contains(&now) {
            return None;
        }
        let (id, series) = self.series.iter().min_by_key(|(_, series)| series.last)?;
        if series.last > now - IDLE {
            self.full_at = now;
            return None;
        }
        let id = *id;
        put_line(&mut self.pending, &Line::Forgotten { id });
        self.remove(id);
        Some(())
    }

    /// The series of a metric: one a unit.
    pub fn find(&self, metric: &Metric) -> &[SeriesId] {
        self.by_metric.get(metric).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn get(&self, id: SeriesId) -> Option<&Series> {
        self.series.get(&id)
    }

    /// Remembers that a series had data.
    pub fn seen(&mut self, id: SeriesId, at: i64) {
        if let Some(series) = self.series.get_mut(&id) {
            series.last = series.last.max(at);
        }
    }

    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Series with numbers above one, in order.
    pub fn after(&self, id: SeriesId) -> impl Iterator<Item = (SeriesId, &Series)> {
        self.series.range(id.saturating_add(1)..).map(|(id, series)| (*id, series))
    }

    /// Takes the lines that are yet to be written.
    pub fn take_pending(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }
}

fn put_line(lines: &mut Vec<u8>, line: &Line) {
    // Texts and numbers always have a form in JSON.
    lines.extend(serde_json::to_vec(line).unwrap_or_default());
    lines.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &str) -> Metric {
        Metric::new("n", name, [("d", name)])
    }

    fn opened(dir: &Path, most: usize) -> Catalog {
        let (catalog, _, lost) = Catalog::open(dir, most).unwrap();
        assert_eq!(lost, 0);
        catalog
    }

    fn flushed(dir: &Path, catalog: &mut Catalog) {
        Frames::open(&dir.join("catalog")).unwrap().append(&catalog.take_pending()).unwrap();
    }

    #[test]
    fn numbers_stay_and_are_never_given_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut catalog = opened(dir.path(), 2);
        let a = catalog.number(&metric("a"), Unit::Count, 0).unwrap();
        let other_unit = catalog.number(&metric("a"), Unit::Bytes, 0).unwrap();
        assert_ne!(a, other_unit);
        catalog.seen(a, 100);
        catalog.seen(other_unit, 50);
        assert_eq!(catalog.number(&metric("b"), Unit::Count, 100), None, "there is no room");
        // Two weeks later there is.
        let b = catalog.number(&metric("b"), Unit::Count, 50 + IDLE).unwrap();
        assert_eq!(catalog.find(&metric("a")), [a], "what was idle for longest is gone");
        assert!(b > other_unit);
        flushed(dir.path(), &mut catalog);
        let mut catalog = opened(dir.path(), 2);
        assert_eq!((catalog.find(&metric("a")), catalog.find(&metric("b"))), (&[a][..], &[b][..]));
        assert_eq!(catalog.number(&metric("a"), Unit::Count, 0), Some(a));
    }

    #[test]
    fn a_file_of_many_forgotten_series_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut catalog = opened(dir.path(), 1);
        let mut last = 0;
        for n in 0..2000 {
            last = catalog.number(&metric(&n.to_string()), Unit::Count, n * IDLE * 2).unwrap();
            catalog.seen(last, n * IDLE * 2);
        }
        flushed(dir.path(), &mut catalog);
        let before = std::fs::metadata(dir.path().join("catalog")).unwrap().len();
        let catalog = opened(dir.path(), 1);
        assert_eq!(catalog.find(&metric("1999")), [last]);
        let after = std::fs::metadata(dir.path().join("catalog")).unwrap().len();
        assert!(after < before / 100, "{after} of {before} bytes");
        assert_eq!(opened(dir.path(), 2).number(&metric("x"), Unit::Count, 0), Some(last + 1));
    }
}
