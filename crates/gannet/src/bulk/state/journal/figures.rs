//! Figures of a run that have a name, one value each, and what the run is known by. Read and written by whoever needs
//! one, within the transaction that it belongs to.

use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::{Journal, Sql};
use crate::bulk::sink::Codec;
use crate::bulk::state::identity::{Identity, Setting};

impl Journal {
    /// What the run is known by.
    pub(in crate::bulk::state) fn identity(&self) -> Sql<Identity> {
        let mut statement = self.db.prepare("SELECT name, value, digest, fixed FROM setting ORDER BY name")?;
        let settings = statement.query_map([], |row| {
            let values: Option<String> = row.get(1)?;
            let values = values.map(|text| serde_json::from_str(&text).map_err(unreadable)).transpose()?;
            Ok(Setting { name: row.get(0)?, values, digest: row.get(2)?, fixed: row.get(3)? })
        })?;
        let settings = settings.collect::<Sql<Vec<Setting>>>()?;
        let inputs: Option<String> = get(&self.db, "inputs")?;
        let inputs = inputs.map_or_else(|| Ok(Vec::new()), |text| serde_json::from_str(&text).map_err(unreadable))?;
        Ok(Identity { settings, inputs })
    }
}

/// A figure of the run.
pub(in crate::bulk::state) fn get<T: rusqlite::types::FromSql>(db: &Connection, name: &str) -> Sql<Option<T>> {
    db.prepare_cached("SELECT value FROM run WHERE name = ?")?.query_row([name], |row| row.get(0)).optional()
}

/// Sets a figure of the run.
pub(in crate::bulk::state) fn put(db: &Connection, name: &str, value: &dyn ToSql) -> Sql<()> {
    db.prepare_cached("INSERT OR REPLACE INTO run VALUES (?, ?)")?.execute(params![name, value])?;
    Ok(())
}

/// How the output's rows are packed, where that was written down.
pub(in crate::bulk::state) fn codec(db: &Connection) -> Sql<Option<Codec>> {
    let name: Option<String> = get(db, CODEC)?;
    Ok(name.and_then(|name| [Codec::Plain, Codec::Gzip, Codec::Zstd].into_iter().find(|codec| codec.name() == name)))
}

/// Writes down how the output's rows are packed.
pub(in crate::bulk::state) fn put_codec(db: &Connection, codec: Codec) -> Sql<()> {
    put(db, CODEC, &codec.name())
}

/// Replaces what the run is known by.
pub(in crate::bulk::state) fn put_identity(db: &Connection, identity: &Identity) -> Sql<()> {
    db.execute("DELETE FROM setting", [])?;
    let mut statement = db.prepare("INSERT INTO setting VALUES (?, ?, ?, ?)")?;
    for Setting { name, values, digest, fixed } in &identity.settings {
        let values = values.as_ref().map(|values| serde_json::to_string(values).unwrap_or_default());
        statement.execute(params![name, values, digest, fixed])?;
    }
    put(db, "inputs", &serde_json::to_string(&identity.inputs).unwrap_or_default())
}

/// Text that was written as JSON and is none any more.
fn unreadable(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error))
}

/// The name of the figure that says how rows are packed.
const CODEC: &str = "codec";
