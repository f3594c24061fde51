//! The tables of a run's state, their version, and the columns that are promised to whoever queries them.
//! No table holds a URL, a header or a body of a request; `held` holds finished rows that wait for their turn, and
//! `run` the cookies that servers set, which is why the file is its owner's alone.

use rusqlite::Connection;

/// The version of these tables; another is refused.
pub(super) const VERSION: i64 = 1;

/// Marks the file as Gannet's (`PRAGMA application_id`): "Gnnt".
pub(super) const APPLICATION: i64 = 0x476e_6e74;

/// Everything, in one transaction. `rows` is what `--where` is asked of.
pub(super) const CREATE: &str = r#"
CREATE TABLE run (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT, digest TEXT NOT NULL, fixed INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE outcome ("index" INTEGER PRIMARY KEY, status INTEGER, error_kind TEXT, attempts INTEGER NOT NULL,
    elapsed_us INTEGER NOT NULL, bytes INTEGER, host TEXT);
CREATE TABLE newer ("index" INTEGER PRIMARY KEY, status INTEGER, error_kind TEXT, attempts INTEGER NOT NULL,
    elapsed_us INTEGER NOT NULL, bytes INTEGER, host TEXT);
CREATE TABLE again ("index" INTEGER PRIMARY KEY);
CREATE TABLE lost ("index" INTEGER PRIMARY KEY);
CREATE TABLE pending ("index" INTEGER PRIMARY KEY, attempts INTEGER NOT NULL, started INTEGER NOT NULL);
CREATE TABLE hold (host TEXT PRIMARY KEY, asked_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, boot TEXT NOT NULL,
    until_boot_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE held ("index" INTEGER PRIMARY KEY, row BLOB NOT NULL);
CREATE VIEW rows AS SELECT "index" AS idx, error_kind IS NULL AS ok, status, error_kind, attempts,
    elapsed_us / 1000.0 AS elapsed_ms, bytes, host FROM outcome;
"#;

/// All of it goes, for a run that starts over.
pub(super) const DROP: &str = "
DROP VIEW IF EXISTS rows; DROP TABLE IF EXISTS run; DROP TABLE IF EXISTS setting; DROP TABLE IF EXISTS outcome;
DROP TABLE IF EXISTS newer; DROP TABLE IF EXISTS again; DROP TABLE IF EXISTS pending; DROP TABLE IF EXISTS hold;
DROP TABLE IF EXISTS held; DROP TABLE IF EXISTS lost;
";

/// The columns of `rows`, for messages and help.
pub const COLUMNS: &str = "idx, ok, status, error_kind, attempts, elapsed_ms, bytes, host";

/// What `user_version` says; 0 for a file without tables.
pub(super) fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Makes the tables. To be called within a transaction.
pub(super) fn create(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(CREATE)?;
    db.execute_batch(&format!("PRAGMA user_version = {VERSION}; PRAGMA application_id = {APPLICATION}"))
}
