//! What is told on stderr when a run is over: why it ended early if it did, the summary, and the lines to paste
//! next. `--quiet` leaves the text out, never the reason of an early end.

use std::io::ErrorKind;
use std::path::Path;

use gannet::PoolCounters;
use gannet::bulk::sink::{Codec, Summary};
use gannet::bulk::{End, HostReceipt, ReceiptSummary};
use serde::Serialize;

use crate::args::{FetchArgs, FormatArg, SummaryArg};
use crate::commands::fetch::{Report, Resume};
use crate::tell;

/// The summary as one JSON object.
#[derive(Serialize)]
struct Told<'a> {
    /// `complete`, `stopped`, `fail_fast`, `input_failed` or `output_failed`.
    end: &'static str,
    #[serde(flatten)]
    summary: Summary,
    /// What was done to each host.
    receipt: &'a ReceiptSummary,
    /// Connections opened, used again and closed, by reason.
    connections: PoolCounters,
}

/// Tells all of it.
pub(crate) fn tell_all(args: &FetchArgs, report: &Report) {
    let output = args.output.file();
    if let Some(line) = early_end(&report.end, output) {
        tell(&line);
    }
    let summary = report.sink.stats().summary(report.elapsed);
    match args.output.summary {
        SummaryArg::Json => {
            let told =
                Told { end: name(&report.end), summary, receipt: &report.receipt, connections: report.connections };
            // Names and numbers only: it cannot fail.
            tell(&serde_json::to_string(&told).unwrap_or_default());
        }
        SummaryArg::Text if args.output.quiet => {}
        SummaryArg::Text => {
            tell(summary.to_text().trim_end());
            let lines = receipt_line(&report.receipt).into_iter().chain(learnt_line(report));
            lines.for_each(|line| tell(&line));
            for line in next_lines(args, report) {
                tell(&line);
            }
        }
    }
}

fn busiest(receipt: &ReceiptSummary) -> Option<&HostReceipt> {
    receipt.hosts.iter().max_by_key(|host| (host.most_at_once, host.most_per_second))
}

/// How hosts were treated: the busiest one stands for all.
fn receipt_line(receipt: &ReceiptSummary) -> Option<String> {
    let busiest = busiest(receipt)?;
    let of = if receipt.hosts_total > 1 { format!("; of {} hosts", receipt.hosts_total) } else { String::new() };
    let broken = receipt.retry_after_violations;
    Some(format!(
        "receipt   at most {} at once to one host ({}), {} in a second{of}; Retry-After broken: {broken}",
        busiest.most_at_once, busiest.host, receipt.most_per_second
    ))
}

/// What held the busiest host back, where it has refused: it is kept to in later runs too.
fn learnt_line(report: &Report) -> Option<String> {
    let host = &busiest(&report.receipt)?.host;
    let (all, is_kept) = &report.learnt;
    let (_, learnt) = all.iter().find(|(name, _)| name == host)?;
    let rate = learnt.rate?;
    let precision = if rate < 10.0 { 1 } else { 0 };
    let later = match is_kept {
        true => ", and is asked no faster in later runs either; --learned none forgets,",
        false => ";",
    };
    Some(format!("learnt    {host} takes some {rate:.precision$} requests a second{later} --no-adapt pays no heed"))
}

fn name(end: &End) -> &'static str {
    match end {
        End::Complete => "complete",
        End::Stopped => "stopped",
        End::FailFast => "fail_fast",
        End::InputFailed(_) => "input_failed",
        End::OutputFailed(_) => "output_failed",
    }
}

/// Why it ended before its time; an input that failed is told as the command's error.
fn early_end(end: &End, output: Option<&Path>) -> Option<String> {
    match end {
        End::Complete | End::InputFailed(_) => None,
        End::Stopped => Some("stopped: what is written is whole".to_owned()),
        End::FailFast => Some("stopped: a row failed (--fail-fast)".to_owned()),
        End::OutputFailed(error) if error.kind() == ErrorKind::BrokenPipe && output.is_none() => {
            Some("stopped: stdout was closed".to_owned())
        }
        End::OutputFailed(error) => {
            let name = output.map_or_else(|| "stdout".to_owned(), |path| path.display().to_string());
            let told = error.to_string();
            // An error of the state names its own file.
            Some(if told.starts_with(&name) {
                format!("stopped: cannot write to {told}")
            } else {
                format!("stopped: cannot write to {name}: {told}")
            })
        }
    }
}

/// What the user may want to paste next.
fn next_lines(args: &FetchArgs, report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let Some(out) = args.output.file().filter(|_| args.output.format == FormatArg::Jsonl) else {
        return lines;
    };
    let codec = Codec::of(out);
    let out = quoted(&out.display().to_string());
    let jq = |filter: &str| match codec {
        Codec::Plain => format!("jq {filter} {out}"),
        Codec::Gzip => format!("gzip -dc {out} | jq {filter}"),
        Codec::Zstd => format!("zstd -dc {out} | jq {filter}"),
    };
    if report.failed() > 0 {
        lines.push(format!("look at what failed:   {}", jq("-c 'select(.ok|not)'")));
    }
    match (&report.end, report.resume) {
        (End::Complete, Resume::Never) => {}
        (End::Complete, _) if report.failed() > 0 => {
            lines.push(format!("ask those again:       gannet retry {out} --where 'not ok'{}", withheld(args, report)));
        }
        (End::Complete, _) | (_, Resume::Never) => {}
        (_, Resume::Retry) => {
            lines.push(format!("go on:                 gannet retry {out}{}", withheld(args, report)));
        }
        (_, Resume::Fetch) if args.output.fresh => {
            lines.push("go on:                 the same command again, without --fresh".to_owned());
        }
        (_, Resume::Fetch) => lines.push("go on:                 the same command again".to_owned()),
    }
    lines
}

/// What the state does not keep, to be filled in.
fn withheld(args: &FetchArgs, report: &Report) -> String {
    let mut given = Vec::new();
    if args.input.base_url.is_some() || args.input.inputs.iter().any(|input| input.contains("://")) {
        given.push("INPUT…".to_owned());
    }
    given.extend(report.withheld.iter().map(|option| format!("{option} …")));
    if given.is_empty() { String::new() } else { format!(" -- {}", given.join(" ")) }
}

/// For a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_early_end_names_its_cause() {
        let full = End::OutputFailed(io::Error::from_raw_os_error(28));
        let line = early_end(&full, Some(Path::new("rows.jsonl"))).unwrap();
        assert!(line.starts_with("stopped: cannot write to rows.jsonl: No space left"), "{line}");
        let closed = End::OutputFailed(ErrorKind::BrokenPipe.into());
        assert_eq!(early_end(&closed, None).unwrap(), "stopped: stdout was closed");
        assert_eq!(early_end(&End::Complete, None), None);
    }

    #[test]
    fn names_for_the_shell_are_quoted_where_they_need_it() {
        assert_eq!(quoted("out/rows-1.jsonl"), "out/rows-1.jsonl");
        assert_eq!(quoted("my rows.jsonl"), "'my rows.jsonl'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
