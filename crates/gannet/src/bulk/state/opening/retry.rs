//! Opens a state to ask rows again: the run's own output is brought together first, then which rows are asked again is
//! written down, and their new rows are gathered beside the output until all are there. Refuses a second retry while one
//! is under way, and a run whose rows still wait for their turn.

use super::file::remove;
use super::{ORDERED, Opened, Opening};
use crate::bulk::sink::Codec;
use crate::bulk::state::data::{DataFile, sync_dir};
use crate::bulk::state::error::{Reason, StateError};
use crate::bulk::state::journal::{Table, get, put};
use crate::bulk::state::recover::Known;
use crate::bulk::state::tail::{HAS_TAIL, Tail};
use crate::bulk::state::{beside, path_of, status};

impl Opening {
    /// Asks rows again: those for which `condition` holds (SQL over
    /// [`COLUMNS`](crate::bulk::state::COLUMNS)), or without one those of a retry that is not done yet. `None` where no
    /// row is asked again.
    ///
    /// # Errors
    /// The condition is not SQL; a retry is under way, or none is; the state is not of a run.
    pub fn retry(mut self, condition: Option<&str>) -> Result<Option<Opened>, StateError> {
        if self.known().is_none() {
            return Err(StateError::new(Reason::Alone, format!("{}: it has no run yet", self.given.display())));
        }
        self.mark_start()?;
        self.finish_merge()?;
        // The run's own output first: what a kill left in it is brought together.
        let mut known = self.known_rows(Table::Outcome)?;
        let mut data = self.data()?;
        let (_, tail) = self.recover(&mut data, Table::Outcome, &mut known)?;
        let is_ordered = get(&self.journal.db, ORDERED).map_err(|error| self.journal.error(&error))?.unwrap_or(true);
        if !is_ordered {
            self.release(&mut known.held, &mut data)?;
        }
        if let Some(tail) = tail {
            tail.remove().map_err(|error| StateError::io(&Tail::path_of(&self.out), &error))?;
            self.journal.transaction(|db| put(db, HAS_TAIL, &false))?;
        }
        self.choose(condition, &known)?;
        if self.count("again")? == 0 {
            return Ok(None);
        }
        let gathered = beside(&self.out, "retry");
        let data = DataFile::open_private(&gathered, Codec::Plain).and_then(|data| sync_dir(&gathered).map(|()| data));
        let data = data.map_err(|error| StateError::io(&gathered, &error))?;
        self.opened(data, Table::Newer, None).map(Some)
    }

    /// Writes down which rows are asked again.
    fn choose(&mut self, condition: Option<&str>, known: &Known) -> Result<(), StateError> {
        let under_way = self.count("again")?;
        let refused = |message: String| Err(StateError::new(Reason::Refused, message));
        let shown = self.given.display();
        let Some(condition) = condition else {
            if under_way == 0 {
                return refused(format!("{shown}: no retry is under way; say which rows with --where"));
            }
            return Ok(());
        };
        if under_way > 0 {
            return refused(format!("{shown}: a retry of {under_way} rows is under way; without --where it goes on"));
        }
        if known.held.len() > 0 {
            return refused(format!(
                "{shown}: rows wait for their turn in it; finish the run first, with the command that began it"
            ));
        }
        let wanted = status::matching(&path_of(&self.out), condition)?;
        remove(&beside(&self.out, "retry"))?;
        self.journal.transaction(|db| {
            let mut insert = db.prepare("INSERT INTO again VALUES (?)")?;
            wanted.iter().try_for_each(|index| insert.execute([index]).map(|_| ()))
        })
    }
}
