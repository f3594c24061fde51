//! What many kills came to, for the assertions of the tests and for the page that the big matrix writes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;

use super::job::at_once;

/// Counted over many runs.
#[derive(Debug, Default)]
pub struct Figures {
    /// Datasets that were killed and brought to their end.
    pub datasets: u64,
    /// Starts of the command.
    pub starts: u64,
    /// Kills by where they fell.
    pub kills: BTreeMap<String, u64>,
    /// Requests asked again after each kill.
    pub again: Vec<u64>,
    /// Rows in all datasets.
    pub rows: u64,
    /// POSTs that were sent, and those that were sent twice.
    pub posts: u64,
    pub posts_twice: u64,
    /// Rows reported in-doubt.
    pub in_doubt: u64,
}

impl Figures {
    /// Of each of these, some at once.
    pub fn gather<T: Sync>(list: &[T], survive: impl Fn(&T) -> Figures + Sync) -> Figures {
        let all = Mutex::new(Figures::default());
        at_once(8, list, |one| {
            let figures = survive(one);
            all.lock().unwrap().add(figures);
        });
        all.into_inner().unwrap()
    }

    pub fn add(&mut self, other: Figures) {
        self.datasets += other.datasets;
        self.starts += other.starts;
        self.rows += other.rows;
        self.posts += other.posts;
        self.posts_twice += other.posts_twice;
        self.in_doubt += other.in_doubt;
        self.again.extend(other.again);
        for (place, count) in other.kills {
            *self.kills.entry(place).or_default() += count;
        }
    }

    pub fn on_kill(&mut self, place: &str) {
        *self.kills.entry(place.to_owned()).or_default() += 1;
    }

    pub fn all_kills(&self) -> u64 {
        self.kills.values().sum()
    }

    pub fn again_max(&self) -> u64 {
        self.again.iter().copied().max().unwrap_or(0)
    }

    pub fn again_mean(&self) -> f64 {
        self.again.iter().sum::<u64>() as f64 / self.again.len().max(1) as f64
    }

    /// A row of the table.
    pub fn row(&self, name: &str) -> String {
        let Figures { datasets, starts, rows, .. } = self;
        // A POST is never asked again: it is in doubt.
        let (mean, max) = match self.again.is_empty() {
            true => ("–".to_owned(), "–".to_owned()),
            false => (format!("{:.1}", self.again_mean()), self.again_max().to_string()),
        };
        format!("| {name} | {datasets} | {rows} | {starts} | {} | {mean} | {max} | 0 | 0 |\n", self.all_kills())
    }

    /// Kills by where they fell, one line each.
    pub fn places(&self) -> String {
        let mut text = String::new();
        for (place, count) in &self.kills {
            let _ = writeln!(text, "| {place} | {count} |");
        }
        text
    }
}
