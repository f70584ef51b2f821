//! A Store in memory that can be told to crash: the simulator's and the tests'.
//!
//! Owns rows that outlive the Keeper that wrote them, as a disk would. Must never be used by the daemon.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel_core::world::{Key, Row, Write};

use super::{Batch, Loaded, Store, StoreError};

/// What a commit shall meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// It works.
    #[default]
    None,
    /// The process dies before anything is written.
    BeforeCommit,
    /// The process dies after everything is written, before anyone hears of it.
    AfterCommit,
    /// The disk is full.
    Full,
}

#[derive(Default)]
struct Disk {
    generation: u64,
    /// Rows as text: what is read back is what serialisation made of it.
    rows: BTreeMap<Key, String>,
    audit: Vec<String>,
    fault: Fault,
    dead: bool,
}

/// A shared disk; clones see the same rows.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Disk>>);

impl MemoryStore {
    /// What the next commit shall meet.
    pub fn arm(&self, fault: Fault) {
        self.disk(|disk| disk.fault = fault);
    }

    /// After a simulated death: the machine is up again.
    pub fn revive(&self) {
        self.disk(|disk| (disk.dead, disk.fault) = (false, Fault::None));
    }

    /// The audit records, oldest first, as `actor change outcome`.
    #[must_use]
    pub fn audit(&self) -> Vec<String> {
        self.disk(|disk| disk.audit.clone())
    }

    fn disk<T>(&self, f: impl FnOnce(&mut Disk) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store for MemoryStore {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        self.disk(|disk| {
            let read = |text: &String| serde_json::from_str::<Row>(text);
            let rows = disk.rows.values().map(read).collect::<Result<_, _>>();
            Ok(Loaded { generation: disk.generation, rows: rows.map_err(|e| StoreError::Corrupt(e.to_string()))? })
        })
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let died = || Err(StoreError::Io("the process died".into()));
        self.disk(|disk| {
            if disk.dead {
                return died();
            }
            match disk.fault {
                Fault::Full => return Err(StoreError::Full("database or disk is full".into())),
                Fault::BeforeCommit => {
                    disk.dead = true;
                    return died();
                }
                Fault::None | Fault::AfterCommit => {}
            }
            for entry in &batch.entries {
                disk.audit.push(format!("{} {} {}", entry.actor, entry.change.name(), entry.outcome));
                for write in &entry.writes {
                    match write {
                        Write::Put(row) => {
                            let text = serde_json::to_string(row).map_err(|e| StoreError::Io(e.to_string()))?;
                            disk.rows.insert(row.key(), text);
                        }
                        Write::Remove(key) => drop(disk.rows.remove(key)),
                    }
                }
            }
            disk.generation = batch.generation;
            if disk.fault == Fault::AfterCommit {
                disk.dead = true;
                return died();
            }
            Ok(())
        })
    }
}
