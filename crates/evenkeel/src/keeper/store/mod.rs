//! The Store: where World's rows live.
//!
//! Owns the trait and its two implementations: [`sqlite`] (the embedded default) and [`memory`] (for the simulator,
//! which crashes it at chosen points). Must never interpret a row beyond reading and writing it.

pub mod memory;
pub mod sqlite;

use evenkeel_core::change::Change;
use evenkeel_core::time::Timestamp;
use evenkeel_core::world::{Row, Write};
use thiserror::Error;

/// Why the Store failed. Completes "failed to …" or stands alone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The database cannot be what we wrote.
    #[error("the database is corrupt: {0}")]
    Corrupt(String),
    /// Written by a newer Evenkeel.
    #[error("the database has schema version {found}, and this evenkeel knows versions up to {known}: use a newer one")]
    TooNew {
        /// What the file says.
        found: i64,
        /// What we know.
        known: i64,
    },
    /// No room.
    #[error("the disk is full: {0}")]
    Full(String),
    /// Anything else the system said.
    #[error("{0}")]
    Io(String),
}

/// What a Store holds.
pub struct Loaded {
    /// The generation of the last commit.
    pub generation: u64,
    /// Every row.
    pub rows: Vec<Row>,
}

/// Changes that are committed together: all of them or none.
pub struct Batch {
    /// The World's generation after them.
    pub generation: u64,
    /// Each with its audit record and its writes, in order.
    pub entries: Vec<Entry>,
}

/// One Change, accepted or refused: its audit record and its rows.
pub struct Entry {
    /// When it was decided.
    pub at: Timestamp,
    /// Who asked.
    pub actor: String,
    /// What was asked.
    pub change: Change,
    /// `done` or `refused: why`.
    pub outcome: String,
    /// The World's generation after it.
    pub generation: u64,
    /// What it writes.
    pub writes: Vec<Write>,
}

/// Where rows live. A commit that returned is on stable storage.
pub trait Store: Send {
    /// Everything there is.
    fn load(&mut self) -> Result<Loaded, StoreError>;
    /// Writes a batch, all or nothing.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError>;
}
