//! What is handed to the writing thread at once: whole rows and, for a run that keeps state, what is to be known
//! of the run beside them. Entries stand in the order of the events; each finished row's bytes stand in `rows` in
//! the same order.

use std::time::{Duration, SystemTime};

use gannet_core::ErrorKind;

use super::hosts::host;
use crate::bulk::{Outcome, Share};

/// Rows and entries that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Whole rows, one after another.
    pub(crate) rows: Vec<u8>,
    /// What happened, in order.
    pub(crate) entries: Vec<Entry>,
    /// The hosts of the rows, one after another.
    pub(crate) names: String,
    /// Somebody waits for it.
    pub(crate) is_urgent: bool,
    /// What rows beyond the bound take of the run's memory, until they are written.
    pub(crate) shares: Vec<Share>,
}

/// Something a run's state must know.
#[cfg_attr(not(feature = "state"), expect(dead_code, reason = "read by the state only"))]
#[derive(Debug)]
pub(crate) enum Entry {
    /// A row is finished.
    Done(Done),
    /// A row whose request must not be sent twice is about to be sent.
    Started(u64),
    /// A row waits for another attempt, after so many.
    Waiting(u64, u32),
    /// A host has asked to be left alone for so long, from then on.
    Hold(Box<str>, Duration, SystemTime),
    /// The input has so many rows.
    End(u64),
}

/// A finished row.
#[cfg_attr(not(feature = "state"), expect(dead_code, reason = "read by the state only"))]
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) index: u64,
    /// How many bytes its row takes.
    pub(crate) row: usize,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<ErrorKind>,
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
    pub(crate) bytes: u64,
    /// How many bytes its host takes in `names`.
    pub(crate) host: usize,
}

impl Batch {
    /// Adds a finished row.
    pub(crate) fn push_row(&mut self, outcome: &Outcome, row: &[u8]) {
        self.rows.extend_from_slice(row);
        let name = host(&outcome.url).unwrap_or_default();
        let before = self.names.len();
        self.names.push_str(name);
        self.names[before..].make_ascii_lowercase();
        self.entries.push(Entry::Done(Done {
            index: outcome.index,
            row: row.len(),
            status: outcome.status().map(|status| status.as_u16()),
            error: outcome.error_kind(),
            attempts: outcome.attempts,
            elapsed: outcome.elapsed,
            bytes: outcome.response.as_ref().map_or(0, |response| response.body.len() as u64),
            host: name.len(),
        }));
    }

    /// The row added last, of so many bytes, counts until it is written.
    pub(crate) fn hold(&mut self, mut share: Share, row: usize) {
        share.resize(row as u64);
        self.shares.push(share);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.entries.is_empty()
    }

    /// Empties it, keeping no more room than `most` bytes of rows.
    pub(crate) fn clear(&mut self, most: usize) {
        self.rows.clear();
        self.rows.shrink_to(most);
        self.entries.clear();
        self.entries.shrink_to(most / size_of::<Entry>());
        self.is_urgent = false;
        self.shares = Vec::new();
        self.names.clear();
        self.names.shrink_to(most);
    }
}
