//! The state's tables, written and read. Every commit is one transaction: the rows that are finished, the marks and
//! holds beside them, and how far the output went, so that none of it is ever known without the rest.

mod figures;
mod page;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use self::page::{delete_lost, delete_pending, insert_done, insert_kept, put_held, write_page};
use super::clock::Clock;
use super::identity::Identity;
use super::schema;
use super::{Durability, StateError};
use crate::bulk::prior::{Bits, Pending};

pub(super) use self::figures::{codec, get, put, put_codec, put_identity};
pub(super) use self::page::Page;

/// The connection of the one process that writes.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) db: Connection,
    path: PathBuf,
    clock: Clock,
    /// The rows that `pending` has.
    pending: HashSet<u64>,
    /// The rows that `lost` has.
    lost: Bits,
}

/// A row as the state keeps it.
#[derive(Debug, PartialEq)]
pub(super) struct Kept {
    pub(super) index: u64,
    pub(super) status: Option<u16>,
    pub(super) error: Option<String>,
    pub(super) attempts: u32,
    pub(super) elapsed: Duration,
    pub(super) bytes: Option<u64>,
    pub(super) host: String,
}

/// Which outcomes are written: a run's, or those of a retry, which stand aside until it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Outcome,
    Newer,
}

type Sql<T> = rusqlite::Result<T>;

impl Journal {
    /// Opens or makes the file.
    pub(super) fn open(path: &Path, durability: Durability) -> Result<Self, StateError> {
        let failed = |error| StateError::sqlite(path, &error);
        let db = Connection::open(path).map_err(failed)?;
        let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(failed)?;
        if !mode.eq_ignore_ascii_case("wal") {
            return Err(super::error::cannot_lock(path, "no shared memory for its write-ahead log"));
        }
        // Deleted bytes are overwritten: rows that waited for their turn hold URLs.
        db.execute_batch(
            "PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -8000; PRAGMA temp_store = MEMORY;
             PRAGMA secure_delete = ON;",
        )
        .map_err(failed)?;
        db.set_prepared_statement_cache_capacity(32);
        let (pending, lost) = (HashSet::new(), Bits::default());
        let journal = Journal { db, path: path.to_owned(), clock: Clock::default(), pending, lost };
        journal.survive(durability)?;
        Ok(journal)
    }

    /// What the next commits survive. NORMAL never corrupts, but syncs at checkpoints only
    /// (sqlite.org/pragma.html#pragma_synchronous).
    pub(super) fn survive(&self, durability: Durability) -> Result<(), StateError> {
        let synchronous = if durability == Durability::Os { "NORMAL" } else { "FULL" };
        let set = self.db.execute_batch(&format!("PRAGMA synchronous = {synchronous}"));
        set.map_err(|error| self.error(&error))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn error(&self, error: &rusqlite::Error) -> StateError {
        StateError::sqlite(&self.path, error)
    }

    /// Does `work` as one transaction.
    pub(super) fn transaction(&mut self, work: impl FnOnce(&Connection) -> Sql<()>) -> Result<(), StateError> {
        let path = &self.path;
        let done = self.db.transaction().and_then(|transaction| {
            work(&transaction)?;
            transaction.commit()
        });
        done.map_err(|error| StateError::sqlite(path, &error))
    }

    /// Writes what happened, and the other figures with it, as one transaction.
    pub(super) fn commit(&mut self, table: Table, pages: &[Page], cookies: Option<&str>) -> Sql<()> {
        let transaction = self.db.transaction()?;
        let mut finished = Vec::new();
        for page in pages {
            write_page(&transaction, page, (&self.clock, &mut self.pending, &mut self.lost), &mut finished)?;
        }
        insert_done(&transaction, table, &mut finished)?;
        if let Some(cookies) = cookies {
            put(&transaction, "cookies", &cookies)?;
        }
        if let Some(page) = pages.last() {
            put(&transaction, table.end(), &page.end)?;
        }
        transaction.commit()
    }

    /// Whether every row of the input is done.
    pub(super) fn is_complete(&self) -> Sql<bool> {
        let rows: Option<u64> = get(&self.db, "input_rows")?;
        let done: u64 = self.db.query_row("SELECT count(*) FROM outcome", [], |row| row.get(0))?;
        Ok(rows == Some(done))
    }

    /// Everything committed so far is in the file itself.
    pub(super) fn checkpoint(&self) -> Result<(), StateError> {
        let done = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        done.map_err(|error| self.error(&error))
    }

    /// Rows that were read back from the output, with how far it goes; those of `turned` have had their turn.
    pub(super) fn adopt(&mut self, table: Table, rows: &[Kept], turned: &[u64], end: u64) -> Result<(), StateError> {
        self.transaction(|db| {
            for row in rows {
                insert_kept(db, table, row)?;
                delete_pending(db, row.index)?;
                delete_lost(db, row.index)?;
            }
            let mut forget = db.prepare_cached(r#"DELETE FROM held WHERE "index" = ?"#)?;
            turned.iter().try_for_each(|index| forget.execute([index]).map(|_| ()))?;
            put(db, table.end(), &end)
        })
    }

    /// Rows that are finished and stand in no output yet: they wait for their turn from now on.
    pub(super) fn adopt_held(&mut self, rows: &[(Kept, Vec<u8>)]) -> Result<(), StateError> {
        self.transaction(|db| {
            for (kept, row) in rows {
                insert_kept(db, Table::Outcome, kept)?;
                delete_pending(db, kept.index)?;
                delete_lost(db, kept.index)?;
                put_held(db, kept.index, row)?;
            }
            Ok(())
        })
    }

    /// The indices of a table's rows.
    pub(super) fn indices(&self, table: &str) -> Sql<Bits> {
        let mut bits = Bits::default();
        let mut statement = self.db.prepare(&format!(r#"SELECT "index" FROM {table}"#))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            bits.insert(row.get(0)?);
        }
        Ok(bits)
    }

    /// Rows between attempts, or under way at the end of an earlier run.
    pub(super) fn load_pending(&mut self) -> Sql<HashMap<u64, Pending>> {
        let mut statement = self.db.prepare(r#"SELECT "index", attempts, started FROM pending"#)?;
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, Pending { attempts: row.get(1)?, in_doubt: row.get(2)? })))?;
        let pending = rows.collect::<Sql<HashMap<u64, Pending>>>()?;
        self.pending = pending.keys().copied().collect();
        Ok(pending)
    }

    /// Rows that were done and that the output has lost.
    pub(super) fn load_lost(&mut self) -> Sql<Bits> {
        self.lost = self.indices("lost")?;
        Ok(self.lost.clone())
    }

    /// Hosts that asked to be left alone, and for how long they still do.
    pub(super) fn load_holds(&self) -> Sql<Vec<(String, Duration)>> {
        let mut statement = self.db.prepare("SELECT host, asked_ms, until_ms, boot, until_boot_ms FROM hold")?;
        let rows = statement.query_map([], |row| {
            let (asked, until, boot, until_boot): (u64, u64, String, u64) =
                (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
            Ok((row.get(0)?, self.clock.left(asked, until, (&boot, until_boot))))
        })?;
        let all = rows.collect::<Sql<Vec<(String, Duration)>>>()?;
        Ok(all.into_iter().filter(|(_, left)| !left.is_zero()).collect())
    }
}

impl Table {
    /// The name under which the length of its output is kept.
    pub(super) fn end(self) -> &'static str {
        match self {
            Table::Outcome => "end",
            Table::Newer => "newer_end",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Table::Outcome => "outcome",
            Table::Newer => "newer",
        }
    }

    /// Under this name it is said that its output may not be what the state believes: all of it is read next time.
    pub(super) fn suspect(self) -> &'static str {
        match self {
            Table::Outcome => "suspect",
            Table::Newer => "newer_suspect",
        }
    }

    fn insert(self) -> &'static str {
        match self {
            Table::Outcome => "INSERT INTO outcome VALUES (?, ?, ?, ?, ?, ?, ?)",
            Table::Newer => "INSERT INTO newer VALUES (?, ?, ?, ?, ?, ?, ?)",
        }
    }
}

/// A new state's tables and first figures.
pub(super) fn create(db: &Connection, identity: &Identity, empty_output: bool) -> Sql<()> {
    db.execute_batch(schema::DROP)?;
    schema::create(db)?;
    put_identity(db, identity)?;
    put(db, "end", &0)?;
    put(db, "empty_output", &empty_output)
}

/// A finished row that waits for its turn.
pub(super) fn held_row(db: &Connection, index: u64) -> Sql<Vec<u8>> {
    db.prepare_cached(r#"SELECT row FROM held WHERE "index" = ?"#)?.query_row([index], |row| row.get(0))
}
