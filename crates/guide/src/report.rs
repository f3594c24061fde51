//! What came of an exercise's checks, and the error that an unfinished one gives. Every check is run and told,
//! also behind one that failed; a solution that never returns fails the check that it ends.

use std::fmt;
use std::time::Duration;

/// What the functions of the exercises return.
pub type Answer<T> = Result<T, Problem>;

/// Why an exercise has no answer.
#[derive(Debug)]
pub enum Problem {
    /// It is still a skeleton.
    NotDone,
    /// A request failed, and the function passed its error on.
    Gannet(gannet::Error),
    /// Anything else.
    Other(String),
}

/// The error of a skeleton: replace the line that returns it.
pub fn not_done() -> Problem {
    Problem::NotDone
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NotDone => f.write_str("not done yet: it still returns not_done()"),
            Problem::Gannet(error) => write!(f, "it returned an error: {}: {error}", error.kind()),
            Problem::Other(message) => write!(f, "it returned an error: {message}"),
        }
    }
}

impl std::error::Error for Problem {}

impl From<gannet::Error> for Problem {
    fn from(error: gannet::Error) -> Self {
        Problem::Gannet(error)
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Problem::Other(error.to_string())
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Problem::Other(error.to_string())
    }
}

impl From<gannet::bulk::state::StateError> for Problem {
    fn from(error: gannet::bulk::state::StateError) -> Self {
        Problem::Other(error.to_string())
    }
}

/// One check.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What ought to hold.
    pub what: &'static str,
    /// Nothing if it does, else a hint.
    pub hint: Option<String>,
}

/// All checks of one exercise.
#[derive(Clone, Debug, Default)]
pub struct Report {
    checked: Vec<Checked>,
}

impl Report {
    /// The report that these checks write. What ends them early, an answer that is an error, is noted too.
    pub(crate) fn of(checks: impl FnOnce(&mut Report) -> Answer<()>) -> Report {
        let mut report = Report::default();
        if let Err(problem) = checks(&mut report) {
            report.check("it comes to an answer", false, problem);
        }
        report
    }

    /// Whether there was something to check and all of it holds.
    pub fn passed(&self) -> bool {
        !self.checked.is_empty() && self.checked.iter().all(|checked| checked.hint.is_none())
    }

    /// The checks, in the order they were made.
    pub fn checked(&self) -> &[Checked] {
        &self.checked
    }

    /// Notes whether `what` holds; the hint is shown if it does not.
    pub(crate) fn check(&mut self, what: &'static str, holds: bool, hint: impl fmt::Display) {
        let hint = (!holds).then(|| hint.to_string());
        self.checked.push(Checked { what, hint });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Checked { what, hint } in &self.checked {
            match hint {
                None => writeln!(f, "  pass  {what}")?,
                Some(hint) => writeln!(f, "  FAIL  {what}\n        {hint}")?,
            }
        }
        Ok(())
    }
}

/// Runs an answer's future to its end on this thread, but not for ever.
pub(crate) fn wait<T>(future: impl Future<Output = Answer<T>>) -> Answer<T> {
    wait_at_most(PATIENCE, future)
}

/// The same with a limit of its own.
pub(crate) fn wait_at_most<T>(limit: Duration, future: impl Future<Output = Answer<T>>) -> Answer<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Problem::Other(format!("no runtime: {error}")))?;
    let limited = async { tokio::time::timeout(limit, future).await };
    let answer = runtime.block_on(limited);
    // A blocking call that was left behind must not hold up the rest.
    runtime.shutdown_background();
    answer.unwrap_or_else(|_| Err(Problem::Other(format!("it had no answer after {limit:?}"))))
}

/// No exercise needs a quarter of it.
const PATIENCE: Duration = Duration::from_secs(20);
