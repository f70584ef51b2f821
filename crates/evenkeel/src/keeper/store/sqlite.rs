//! The embedded Store: one SQLite file, write-ahead log, full sync.
//!
//! Owns the schema and its migrations (`PRAGMA user_version`). Must never be opened by two daemons: the data
//! directory's lock sees to that. Rows are JSON by kind and id; the audit record keeps the newest [`AUDIT_KEPT`].

use std::path::Path;

use evenkeel_core::time::Timestamp;
use evenkeel_core::world::{Row, Write};
use rusqlite::{Connection, ErrorCode, OpenFlags, params};

use super::{Batch, Loaded, Store, StoreError};

/// Audit records kept; older ones go.
pub const AUDIT_KEPT: i64 = 100_000;

/// "EvKl": tells our files from other SQLite files.
const APPLICATION_ID: i64 = 0x4576_4b6c;

/// Schema versions by number, from 1. A migration is never edited once released, only followed by another.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO meta VALUES ('generation', 0);
    CREATE TABLE record (kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, actor TEXT NOT NULL, change TEXT NOT NULL,
        body TEXT NOT NULL, outcome TEXT NOT NULL, generation INTEGER NOT NULL
    );
"];

/// The open database.
pub struct SqliteStore {
    connection: Connection,
}

/// One audit record.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AuditRecord {
    /// Counts up, without gaps in the order of decisions.
    pub number: i64,
    /// When it was decided.
    pub at: Timestamp,
    /// Who asked: an access key id or the name of a loop.
    pub actor: String,
    /// The Change's name.
    pub change: String,
    /// The whole Change as JSON.
    pub body: String,
    /// `done` or `refused: why`.
    pub outcome: String,
    /// The World's generation after it.
    pub generation: i64,
}

impl SqliteStore {
    /// Opens the database, makes it if it is not there, checks it and brings its schema up to date.
    ///
    /// # Errors
    /// A file that is not ours, is corrupt, is newer than this program, or cannot be written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(path).map_err(failed)?;
        let mut store = Self { connection };
        store.connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed)?;
        store.check()?;
        store.connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        store.connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        store.migrate()?;
        Ok(store)
    }

    /// The newest audit records, newest first, from a database that a daemon may be writing.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn audit(path: &Path, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
        let mut statement = connection
            .prepare(
                "SELECT number, at, actor, change, body, outcome, generation FROM audit ORDER BY number DESC LIMIT ?",
            )
            .map_err(failed)?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(AuditRecord {
                number: row.get(0)?,
                at: Timestamp(u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default()),
                actor: row.get(2)?,
                change: row.get(3)?,
                body: row.get(4)?,
                outcome: row.get(5)?,
                generation: row.get(6)?,
            })
        };
        let rows = statement.query_map([limit], read).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// Refuses a file that is another program's or that SQLite itself finds broken.
    fn check(&self) -> Result<(), StoreError> {
        let application: i64 = self.pragma("application_id")?;
        let tables: i64 =
            self.connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
        if tables > 0 && application != APPLICATION_ID {
            return Err(StoreError::Corrupt("the file is a database, but not one of evenkeel's".into()));
        }
        let verdict: String =
            self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
        if verdict == "ok" { Ok(()) } else { Err(StoreError::Corrupt(verdict)) }
    }

    fn migrate(&mut self) -> Result<(), StoreError> {
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        let found: i64 = self.pragma("user_version")?;
        if found > known {
            return Err(StoreError::TooNew { found, known });
        }
        for (version, migration) in (1i64..).zip(MIGRATIONS).skip_while(|(version, _)| *version <= found) {
            let transaction = self.connection.transaction().map_err(failed)?;
            transaction.execute_batch(migration).map_err(failed)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
            transaction.pragma_update(None, "user_version", version).map_err(failed)?;
            transaction.commit().map_err(failed)?;
        }
        Ok(())
    }

    fn pragma(&self, name: &str) -> Result<i64, StoreError> {
        self.connection.pragma_query_value(None, name, |row| row.get(0)).map_err(failed)
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        let generation: i64 = self
            .connection
            .query_row("SELECT value FROM meta WHERE name = 'generation'", [], |row| row.get(0))
            .map_err(failed)?;
        let mut statement = self.connection.prepare("SELECT kind, id, body FROM record").map_err(failed)?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        };
        let mut rows = Vec::new();
        for record in statement.query_map([], read).map_err(failed)? {
            let (kind, id, body) = record.map_err(failed)?;
            let row: Row = serde_json::from_str(&body)
                .map_err(|e| StoreError::Corrupt(format!("the record of {kind} `{id}` cannot be read: {e}")))?;
            rows.push(row);
        }
        let generation = u64::try_from(generation)
            .map_err(|_| StoreError::Corrupt(format!("generation {generation} is below zero")))?;
        Ok(Loaded { generation, rows })
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let json = |e: serde_json::Error| StoreError::Io(format!("write a record as JSON: {e}"));
        let transaction = self.connection.transaction().map_err(failed)?;
        {
            let mut put = transaction
                .prepare_cached("INSERT OR REPLACE INTO record (kind, id, body) VALUES (?, ?, ?)")
                .map_err(failed)?;
            let mut remove =
                transaction.prepare_cached("DELETE FROM record WHERE kind = ? AND id = ?").map_err(failed)?;
            let mut note = transaction
                .prepare_cached(
                    "INSERT INTO audit (at, actor, change, body, outcome, generation) VALUES (?, ?, ?, ?, ?, ?)",
                )
                .map_err(failed)?;
            for entry in &batch.entries {
                for write in &entry.writes {
                    match write {
                        Write::Put(row) => {
                            let key = row.key();
                            let body = serde_json::to_string(row).map_err(json)?;
                            put.execute(params![key.kind(), key.id(), body]).map_err(failed)?;
                        }
                        Write::Remove(key) => {
                            remove.execute(params![key.kind(), key.id()]).map_err(failed)?;
                        }
                    }
                }
                let body = serde_json::to_string(&entry.change).map_err(json)?;
                let (at, generation) = (signed(entry.at.0), signed(entry.generation));
                note.execute(params![at, entry.actor, entry.change.name(), body, entry.outcome, generation])
                    .map_err(failed)?;
            }
            transaction
                .prepare_cached("UPDATE meta SET value = ? WHERE name = 'generation'")
                .and_then(|mut s| s.execute([signed(batch.generation)]))
                .map_err(failed)?;
            transaction
                .prepare_cached("DELETE FROM audit WHERE number <= (SELECT max(number) FROM audit) - ?")
                .and_then(|mut s| s.execute([AUDIT_KEPT]))
                .map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }
}

/// SQLite's integers are signed; our counters never come near their end.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn failed(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(error.to_string()),
        Some(ErrorCode::DiskFull) => StoreError::Full(error.to_string()),
        _ => StoreError::Io(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::change::Change;

    fn entry(number: u64) -> Entry {
        Entry {
            at: Timestamp(number),
            actor: "AKIA".into(),
            change: Change::DeleteTags { resources: vec![], tags: vec![] },
            outcome: "done".into(),
            generation: number,
            writes: vec![],
        }
    }
    use super::super::Entry;

    #[test]
    fn what_was_committed_is_there_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let mut store = SqliteStore::open(&path).unwrap();
        store.commit(&Batch { generation: 7, entries: vec![entry(7)] }).unwrap();
        drop(store);
        assert_eq!(SqliteStore::open(&path).unwrap().load().unwrap().generation, 7);
        let audit = SqliteStore::audit(&path, 10).unwrap();
        assert_eq!((audit.len(), audit[0].actor.as_str(), audit[0].change.as_str()), (1, "AKIA", "DeleteTags"));
    }

    #[test]
    fn files_that_are_not_ours_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let garbage = dir.path().join("garbage.db");
        std::fs::write(&garbage, vec![b'x'; 8192]).unwrap();
        assert!(matches!(SqliteStore::open(&garbage), Err(StoreError::Corrupt(_))));
        let foreign = dir.path().join("foreign.db");
        Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        assert!(matches!(SqliteStore::open(&foreign), Err(StoreError::Corrupt(_))));
        let newer = dir.path().join("newer.db");
        drop(SqliteStore::open(&newer).unwrap());
        Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(SqliteStore::open(&newer), Err(StoreError::TooNew { found: 99, .. })));
    }

    #[test]
    fn a_broken_record_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        drop(SqliteStore::open(&path).unwrap());
        Connection::open(&path).unwrap().execute("INSERT INTO record VALUES ('instance', 'i-1', '{half')", []).unwrap();
        let error = SqliteStore::open(&path).unwrap().load().err().unwrap();
        assert!(error.to_string().contains("instance `i-1`"), "{error}");
    }

    #[test]
    fn a_full_disk_keeps_what_was_there_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let mut store = SqliteStore::open(&path).unwrap();
        store.commit(&Batch { generation: 1, entries: vec![entry(1)] }).unwrap();
        // SQLite's own page limit is the same error as the disk's.
        let pages: i64 = store.pragma("page_count").unwrap();
        store.connection.pragma_update(None, "max_page_count", pages).unwrap();
        let many = (2..2_000).map(entry).collect();
        assert!(matches!(store.commit(&Batch { generation: 2_000, entries: many }), Err(StoreError::Full(_))));
        assert_eq!(store.load().unwrap().generation, 1);
    }
}
