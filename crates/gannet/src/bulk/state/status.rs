//! Looks at a state from outside, also while a run writes it: counts, and the rows for which a condition holds.
//! Reads only, so that what a user asks for can change nothing.

use std::collections::BTreeMap;
use std::path::Path;

use gannet_core::ErrorKind;
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use super::error::{Reason, StateError};
use super::journal::{Table, get};
use super::schema::{self, COLUMNS};
use super::{merge, path_of};
use crate::bulk::sink::Stats;

/// What a run has come to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// Rows of the input, once it was read to its end.
    pub rows: Option<u64>,
    /// Rows that are done.
    pub done: u64,
    /// Of them, ok.
    pub ok: u64,
    /// Of them, not ok.
    pub failed: u64,
    /// Rows that are left, where that is known.
    pub remaining: Option<u64>,
    /// Whether every row is done.
    pub complete: bool,
    /// Rows of a retry that is under way: asked again, and done so far.
    pub retry: Option<Again>,
    /// Rows between two attempts, at the last commit.
    pub waiting: u64,
    /// Requests that must not be sent twice, begun and not ended.
    pub started: u64,
    /// Failed rows by what went wrong.
    pub failed_by_kind: BTreeMap<String, u64>,
    /// Failed rows by host, the most first; at most twenty.
    pub failed_by_host: Vec<HostFailures>,
    /// Rows by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Hosts that asked to be left alone.
    pub held_hosts: Vec<String>,
}

/// Rows that are asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Again {
    /// How many.
    pub rows: u64,
    /// How many of them are done.
    pub done: u64,
}

/// The failures of one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostFailures {
    /// Its name, and its port where that is neither 80 nor 443.
    pub host: String,
    /// Its failed rows.
    pub failed: u64,
    /// By what went wrong.
    pub by_kind: BTreeMap<String, u64>,
}

type Sql<T> = rusqlite::Result<T>;

impl Status {
    /// Reads the state of this output.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn read(out: &Path) -> Result<Self, StateError> {
        let path = path_of(out);
        let db = open(&path)?;
        // One moment, whatever is written meanwhile.
        db.execute_batch("BEGIN").and_then(|()| read(&db)).map_err(|error| StateError::sqlite(&path, &error))
    }
}

pub(super) fn open(path: &Path) -> Result<Connection, StateError> {
    if path.symlink_metadata().is_err() {
        return Err(StateError::new(
            Reason::Alone,
            format!("{}: there is no such state; give the name that was given to -o", path.display()),
        ));
    }
    let failed = |error| StateError::sqlite(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(failed)?;
    db.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed)?;
    match schema::version(&db).map_err(failed)? {
        schema::VERSION => Ok(db),
        0 => Err(StateError::new(Reason::Alone, format!("{}: no run has begun in it yet", path.display()))),
        other => Err(StateError::new(
            Reason::Damaged,
            format!("{}: it is of another version ({other}, this one reads {})", path.display(), schema::VERSION),
        )),
    }
}

fn read(db: &Connection) -> Sql<Status> {
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, u64>(0));
    let stats = stats(db, Table::Outcome)?;
    let rows = get::<u64>(db, "input_rows")?;
    let asked = count("SELECT count(*) FROM again")?;
    let retry = if asked > 0 { Some(Again { rows: asked, done: count("SELECT count(*) FROM newer")? }) } else { None };
    let mut holds = db.prepare("SELECT host FROM hold WHERE until_ms > unixepoch('subsec') * 1000 ORDER BY host")?;
    let held_hosts = holds.query_map([], |row| row.get(0))?.collect::<Sql<Vec<String>>>()?;
    Ok(Status {
        rows,
        done: stats.rows,
        ok: stats.ok,
        failed: stats.failed(),
        remaining: rows.map(|rows| rows.saturating_sub(stats.rows)),
        complete: rows == Some(stats.rows) && retry.is_none() && get::<i64>(db, merge::MERGING)?.unwrap_or(0) == 0,
        retry,
        waiting: count("SELECT count(*) FROM pending WHERE NOT started")?,
        started: count("SELECT count(*) FROM pending WHERE started")?,
        failed_by_kind: stats.errors.iter().map(|(kind, count)| (kind.to_string(), *count)).collect(),
        failed_by_host: failed_by_host(db)?,
        statuses: stats.statuses,
        held_hosts,
    })
}

/// The figures of all rows of a table, as a run counts them. Added up here: grouped by SQLite, the rows would be sorted,
/// in memory.
pub(super) fn stats(db: &Connection, table: Table) -> Sql<Stats> {
    let mut stats = Stats::default();
    let mut statement = db.prepare(&format!("SELECT error_kind, status, bytes, attempts FROM {}", table.name()))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let kind = row.get_ref(0)?.as_str_or_null()?.map(known_kind);
        let attempts = row.get::<_, u64>(3)?;
        stats.rows += 1;
        match kind {
            None => stats.ok += 1,
            Some(kind) => *stats.errors.entry(kind).or_default() += 1,
        }
        if let Some(status) = row.get(1)? {
            *stats.statuses.entry(status).or_default() += 1;
        }
        stats.bytes += row.get::<_, Option<u64>>(2)?.unwrap_or_default();
        stats.attempts += attempts;
        stats.retries += attempts.saturating_sub(1);
    }
    Ok(stats)
}

/// A kind that a later version may have named counts as one of those there are.
fn known_kind(name: &str) -> ErrorKind {
    ErrorKind::ALL.into_iter().find(|kind| kind.as_str() == name).unwrap_or(ErrorKind::Protocol)
}

fn failed_by_host(db: &Connection) -> Sql<Vec<HostFailures>> {
    let mut statement = db.prepare(
        "WITH worst AS (SELECT host, count(*) AS failed FROM outcome WHERE error_kind IS NOT NULL GROUP BY host
            ORDER BY failed DESC, host LIMIT 20)
         SELECT outcome.host, worst.failed, error_kind, count(*) FROM outcome JOIN worst ON worst.host = outcome.host
            WHERE error_kind IS NOT NULL GROUP BY outcome.host, error_kind ORDER BY worst.failed DESC, outcome.host",
    )?;
    let mut hosts: Vec<HostFailures> = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let host: String = row.get(0)?;
        if hosts.last().is_none_or(|last| last.host != host) {
            hosts.push(HostFailures { host, failed: row.get(1)?, by_kind: BTreeMap::new() });
        }
        if let Some(last) = hosts.last_mut() {
            last.by_kind.insert(row.get(2)?, row.get(3)?);
        }
    }
    Ok(hosts)
}

/// The rows for which the condition holds.
pub(super) fn matching(path: &Path, condition: &str) -> Result<Vec<u64>, StateError> {
    let db = open(path)?;
    let refused = |error: rusqlite::Error| {
        let why = error.to_string();
        let why = why.split(" in SELECT").next().unwrap_or_default();
        StateError::new(
            Reason::Refused,
            format!("--where {condition}: {why}; it is an SQL condition over the columns {COLUMNS}"),
        )
    };
    // A line break ends a comment that would swallow the closing bracket.
    let sql = format!("SELECT idx FROM rows WHERE ({condition}\n) ORDER BY idx");
    let mut statement = db.prepare(&sql).map_err(refused)?;
    let rows = statement.query_map([], |row| row.get(0)).map_err(refused)?;
    rows.collect::<Sql<Vec<u64>>>().map_err(refused)
}
