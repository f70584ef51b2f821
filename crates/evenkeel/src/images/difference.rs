//! How two trees differ. Owns what counts as a difference: what an image's digest is over, and nothing else; must never
//! write. Next: [`super::tree`].

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::tree::{Entry, Kind};
use super::{ImageError, failed};

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where, below the root.
    pub path: PathBuf,
    /// What.
    pub how: How,
}

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Only the second tree has it.
    Added,
    /// Only the first tree has it.
    Removed,
    /// A file of other contents, and perhaps another mode; or a link to somewhere else.
    Contents,
    /// A folder, or a file of the same contents, of another mode.
    Mode(u32, u32),
    /// Not even of the same kind.
    Kind,
}

/// What is different in `new`, by path. Both lists are sorted, as [`super::tree::walk`] gives them.
pub fn between(old: (&Path, &[Entry]), new: (&Path, &[Entry])) -> Result<Vec<Difference>, ImageError> {
    let (mut before, mut after) = (old.1.iter().peekable(), new.1.iter().peekable());
    let mut found = Vec::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return Ok(found),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.path.cmp(&b.path),
        };
        let a = if order.is_le() { before.next() } else { None };
        let b = if order.is_ge() { after.next() } else { None };
        let how = match (a, b) {
            (Some(_), None) => Some(How::Removed),
            (None, Some(_)) => Some(How::Added),
            (Some(a), Some(b)) => how(old.0, a, new.0, b)?,
            (None, None) => None,
        };
        if let (Some(how), Some(entry)) = (how, a.or(b)) {
            found.push(Difference { path: entry.path.clone(), how });
        }
    }
}

fn how(old: &Path, a: &Entry, new: &Path, b: &Entry) -> Result<Option<How>, ImageError> {
    Ok(match (&a.kind, &b.kind) {
        (Kind::Folder(mode), Kind::Folder(other)) => (mode != other).then_some(How::Mode(*mode, *other)),
        (Kind::Link(a), Kind::Link(b)) => (a != b).then_some(How::Contents),
        (Kind::File(mode), Kind::File(other)) => {
            let same = same(&old.join(&a.path), &new.join(&b.path));
            match same.map_err(failed(format!("read `{}`", a.path.display())))? {
                false => Some(How::Contents),
                true => (mode != other).then_some(How::Mode(*mode, *other)),
            }
        }
        _ => Some(How::Kind),
    })
}

fn same(a: &Path, b: &Path) -> io::Result<bool> {
    let (a, b) = (File::open(a)?, File::open(b)?);
    if a.metadata()?.len() != b.metadata()?.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (BufReader::with_capacity(64 * 1024, a), BufReader::with_capacity(64 * 1024, b));
    let (mut left, mut right) = ([0; 16 * 1024], [0; 16 * 1024]);
    loop {
        let read = a.read(&mut left)?;
        if read == 0 {
            return Ok(b.read(&mut right)? == 0);
        }
        match b.read_exact(&mut right[..read]) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(e) => return Err(e),
            Ok(()) if left[..read] != right[..read] => return Ok(false),
            Ok(()) => {}
        }
    }
}
