//! `gannet status`: what a run has come to, also while it runs.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::Write as _;

use gannet::bulk::state::Status;

use super::stated::refused;
use crate::args::StatusArgs;
use crate::exit::Exit;
use crate::progress::grouped;

/// Shows it on stdout.
pub(crate) fn run(args: &StatusArgs) -> anyhow::Result<Exit> {
    let status = Status::read(&args.output).map_err(refused)?;
    let text = if args.json { serde_json::to_string(&status)? + "\n" } else { text(&status) };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Success)
}

fn text(status: &Status) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_text(status, &mut text);
    text
}

fn write_text(status: &Status, text: &mut String) -> fmt::Result {
    let of_all = status.rows.map_or_else(String::new, |rows| format!(" of {}", grouped(rows)));
    let (done, ok, failed) = (grouped(status.done), grouped(status.ok), grouped(status.failed));
    writeln!(text, "done      {done}{of_all} rows: {ok} ok, {failed} failed")?;
    match (status.remaining, status.complete) {
        (_, true) => writeln!(text, "remains   nothing")?,
        (Some(remaining), _) => writeln!(text, "remains   {} rows", grouped(remaining))?,
        (None, _) => writeln!(text, "remains   not known: the input was not read to its end yet")?,
    }
    if let Some(again) = status.retry {
        writeln!(text, "retry     {} of {} rows asked again", grouped(again.done), grouped(again.rows))?;
    }
    if status.waiting + status.started > 0 {
        let (waiting, started) = (status.waiting, status.started);
        writeln!(text, "pending   {waiting} between attempts, {started} that must not be sent twice under way")?;
    }
    if !status.statuses.is_empty() {
        writeln!(text, "statuses  {}", list(&status.statuses))?;
    }
    if !status.failed_by_kind.is_empty() {
        writeln!(text, "failed    {}", list(&status.failed_by_kind))?;
    }
    for (number, host) in status.failed_by_host.iter().enumerate() {
        let label = if number == 0 { "by host" } else { "" };
        let name = if host.host.is_empty() { "(no host)" } else { &host.host };
        writeln!(text, "{label:<9} {name}: {} ({})", grouped(host.failed), list(&host.by_kind))?;
    }
    if !status.held_hosts.is_empty() {
        writeln!(text, "held      {} (Retry-After)", status.held_hosts.join(", "))?;
    }
    Ok(())
}

fn list<K: fmt::Display>(counts: &BTreeMap<K, u64>) -> String {
    let mut by_count: Vec<_> = counts.iter().collect();
    by_count.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    by_count.into_iter().map(|(name, count)| format!("{name}: {}", grouped(*count))).collect::<Vec<_>>().join(", ")
}
