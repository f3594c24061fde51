//! What was written at once, on its way into the tables: finished rows, marks of those under way, those that wait, holds
//! of hosts. Called by the journal within one transaction.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use gannet_core::ErrorKind;
use rusqlite::{Connection, params};

use super::{Kept, Sql, Table};
use crate::bulk::prior::Bits;
use crate::bulk::sink::{Batch, Done, Entry};
use crate::bulk::state::clock::Clock;

/// What was written at once, to be committed.
#[derive(Debug)]
pub(in crate::bulk::state) struct Page {
    /// Its entries and names; its rows are in the output already.
    pub(in crate::bulk::state) batch: Batch,
    /// Rows that wait for their turn.
    pub(in crate::bulk::state) held: Vec<(u64, Vec<u8>)>,
    /// Rows below this one have had their turn.
    pub(in crate::bulk::state) forget_held_before: Option<u64>,
    /// Whether rows came to be in the output.
    pub(in crate::bulk::state) has_rows: bool,
    /// How long the output is, in whole rows.
    pub(in crate::bulk::state) end: u64,
    /// The number of the batch.
    pub(in crate::bulk::state) number: u64,
}

type Followed<'a> = (&'a Clock, &'a mut HashSet<u64>, &'a mut Bits);

/// Writes all of a page but its finished rows, which are gathered.
pub(super) fn write_page<'a>(
    db: &Connection,
    page: &'a Page,
    followed: Followed<'_>,
    finished: &mut Vec<(&'a Done, &'a str)>,
) -> Sql<()> {
    let (clock, pending, lost) = followed;
    let mut names = page.batch.names.as_str();
    for entry in &page.batch.entries {
        match entry {
            Entry::Done(done) => {
                let (host, rest) = names.split_at(done.host);
                names = rest;
                finished.push((done, host));
                if pending.remove(&done.index) {
                    delete_pending(db, done.index)?;
                }
                if lost.remove(done.index) {
                    delete_lost(db, done.index)?;
                }
            }
            Entry::Started(index) => {
                pending.insert(*index);
                put_started(db, *index)?;
            }
            Entry::Waiting(index, 0) => {
                pending.remove(index);
                delete_pending(db, *index)?;
            }
            Entry::Waiting(index, attempts) => {
                if lost.remove(*index) {
                    delete_lost(db, *index)?;
                }
                pending.insert(*index);
                put_waiting(db, *index, *attempts)?;
            }
            Entry::Hold(host, delay, since) => put_hold(db, clock, host, *delay, *since)?,
            // A run over the first rows alone knows less than one before it.
            Entry::End(rows) => {
                db.execute(
                    "INSERT OR REPLACE INTO run SELECT 'input_rows', ?1 WHERE ?1 >= (SELECT count(*) FROM outcome)",
                    [rows],
                )?;
            }
        }
    }
    for (index, row) in &page.held {
        put_held(db, *index, row)?;
    }
    if let Some(next) = page.forget_held_before {
        db.prepare_cached(r#"DELETE FROM held WHERE "index" < ?"#)?.execute([next])?;
    }
    Ok(())
}

/// Inserts rows, sorted by index: most then go to the end of the table, which is where SQLite is fastest.
pub(super) fn insert_done(db: &Connection, table: Table, finished: &mut [(&Done, &str)]) -> Sql<()> {
    finished.sort_unstable_by_key(|(done, _)| done.index);
    let mut insert = db.prepare_cached(table.insert())?;
    for &mut (done, host) in finished {
        let micros = u64::try_from(done.elapsed.as_micros()).unwrap_or(u64::MAX >> 1);
        insert.execute(params![
            done.index,
            done.status,
            done.error.map(ErrorKind::as_str),
            done.attempts,
            micros,
            done.bytes,
            host
        ])?;
    }
    Ok(())
}

pub(super) fn insert_kept(db: &Connection, table: Table, kept: &Kept) -> Sql<()> {
    let micros = u64::try_from(kept.elapsed.as_micros()).unwrap_or(u64::MAX >> 1);
    let values = params![kept.index, kept.status, kept.error, kept.attempts, micros, kept.bytes, kept.host];
    db.prepare_cached(table.insert())?.execute(values)?;
    Ok(())
}

pub(super) fn delete_pending(db: &Connection, index: u64) -> Sql<()> {
    db.prepare_cached(r#"DELETE FROM pending WHERE "index" = ?"#)?.execute([index])?;
    Ok(())
}

pub(super) fn delete_lost(db: &Connection, index: u64) -> Sql<()> {
    db.prepare_cached(r#"DELETE FROM lost WHERE "index" = ?"#)?.execute([index])?;
    Ok(())
}

pub(super) fn put_held(db: &Connection, index: u64, row: &[u8]) -> Sql<()> {
    db.prepare_cached(r#"INSERT OR REPLACE INTO held ("index", row) VALUES (?, ?)"#)?.execute(params![index, row])?;
    Ok(())
}

fn put_started(db: &Connection, index: u64) -> Sql<()> {
    db.prepare_cached(r#"INSERT INTO pending VALUES (?, 0, 1) ON CONFLICT ("index") DO UPDATE SET started = 1"#)?
        .execute([index])?;
    Ok(())
}

fn put_waiting(db: &Connection, index: u64, attempts: u32) -> Sql<()> {
    db.prepare_cached("INSERT OR REPLACE INTO pending VALUES (?, ?, 0)")?.execute(params![index, attempts])?;
    Ok(())
}

fn put_hold(db: &Connection, clock: &Clock, host: &str, delay: Duration, since: SystemTime) -> Sql<()> {
    let (asked, until, until_boot) = clock.until(delay, since);
    // The longest stands: a hold is extended, never shortened.
    db.prepare_cached(
        "INSERT INTO hold VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (host) DO UPDATE SET asked_ms = ?2, until_ms = ?3,
         boot = ?4, until_boot_ms = ?5 WHERE boot <> ?4 OR until_boot_ms < ?5",
    )?
    .execute(params![host, asked, until, clock.boot(), until_boot])?;
    Ok(())
}
