//! Runs one command and writes what it used, as JSON: `measure REPORT COMMAND [ARG...]`.
//!
//! A small program between the harness and the client, because Linux hands the parent's peak memory on through
//! fork and exec: a client started from Python would never seem smaller than Python. This one adds about 2 MB.
//! CPU is what the kernel charged to the command and to every child it waited for. stdin, stdout and stderr pass through.

use std::process::{Command, ExitCode};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let (Some(report), Some(program)) = (words.next(), words.next()) else {
        eprintln!("usage: measure REPORT COMMAND [ARG...]");
        return ExitCode::from(2);
    };
    let begin = Instant::now();
    let status = match Command::new(&program).args(words).status() {
        Ok(status) => status,
        Err(error) => {
            eprintln!("measure: cannot run {}: {error}", program.display());
            return ExitCode::from(127);
        }
    };
    let wall = begin.elapsed().as_micros();
    // The one child has been waited for, so "children" is that command and its descendants.
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("invariant: getrusage knows RUSAGE_CHILDREN");
    let json = format!(
        "{{\"wall_us\":{wall},\"user_us\":{},\"sys_us\":{},\"max_rss_kib\":{},\"sleeps\":{},\"success\":{}}}\n",
        usage.user_time().num_microseconds(),
        usage.system_time().num_microseconds(),
        usage.max_rss(),
        usage.voluntary_context_switches(),
        status.success(),
    );
    if let Err(error) = std::fs::write(&report, json) {
        eprintln!("measure: cannot write {}: {error}", report.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
