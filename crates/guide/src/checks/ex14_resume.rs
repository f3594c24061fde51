//! Exercise 14: stopped and called again, until all is done.

use std::path::Path;
use std::time::Duration;

use gannet::Session;
use serde_json::Value;

use super::{origin, session};
use crate::report::{Answer, Report, wait};

const PATIENCE: Duration = Duration::from_millis(50);

/// Calls `in_portions` for a hundred URLs until it says that all are done, then once more, then with another input.
pub fn check(in_portions: &impl AsyncFn(&Session, &Path, &Path, Duration) -> Answer<bool>) -> Report {
    Report::of(|report| {
        let origin = origin()?;
        let session = session(&origin)?;
        let dir = tempfile::tempdir()?;
        let (urls, out) = (dir.path().join("urls.txt"), dir.path().join("rows.jsonl"));
        let lines: String = (0..100).map(|n| origin.url(&format!("/items/{n}?delay=0.1")) + "\n").collect();
        std::fs::write(&urls, lines)?;
        let call = |patience| wait(in_portions(&session, &urls, &out, patience));

        let first = call(PATIENCE)?;
        let asked = origin.stats().requests;
        report.check("it stops when its time is up", !first && asked < 100, format!("{asked} requests at once"));
        let calls = (2..=20).find_map(|number| call(PATIENCE).map(|done| done.then_some(number)).transpose());
        let calls = calls.transpose()?;
        report.check("called again it comes to its end", calls.is_some(), "not in twenty calls");
        let whole = call(Duration::from_secs(5))?;
        report.check("and stays there", whole, "it says that not all is done");
        let asked = origin.stats().requests;
        report.check("nothing is asked twice", asked == 100, format!("{asked} requests for 100 URLs"));

        let indices = indices(&std::fs::read_to_string(&out)?)?;
        let wanted: Vec<u64> = (0..100).collect();
        report.check("each row stands there once", indices == wanted, format!("they are {indices:?}"));

        std::fs::write(&urls, origin.url("/items/1"))?;
        let refused = call(PATIENCE).is_err();
        report.check("another input is refused", refused, "its rows are not those that are done");
        Ok(())
    })
}

/// The indices of the rows, the smallest first.
fn indices(text: &str) -> Answer<Vec<u64>> {
    let index = |line: &str| serde_json::from_str(line).map(|row: Value| row["index"].as_u64().unwrap_or(u64::MAX));
    let mut indices = text.lines().map(index).collect::<Result<Vec<u64>, _>>()?;
    indices.sort_unstable();
    Ok(indices)
}
