//! Standard input can be resumed only where it was kept: `--spool` copies it beside the output.

use std::fs;
use std::io::Write;
use std::process::{ChildStdin, Stdio};

use rustix::process::Signal;

use super::job::{Job, bounded};
use crate::gannet::{Ran, command, wait_until};

fn spooled(rows: usize, delay: f64) -> (Job, Vec<u8>) {
    let job = Job::mixed(rows, delay).with(["--spool", "--concurrency", "4"]);
    let text = fs::read(job.input()).unwrap();
    (job.from("-"), text)
}

/// Runs it with this on stdin, from a file.
fn run_with(job: &Job, stdin: &[u8]) -> Ran {
    let path = job.place.path("stdin");
    fs::write(&path, stdin).unwrap();
    let mut command = command(job.args());
    command.stdin(fs::File::open(path).unwrap());
    bounded(command)
}

/// Kills it when some rows are written; its stdin gives this and then ends, or stays open.
fn kill(job: &Job, stdin: &[u8], is_whole: bool, rows: usize) {
    let mut command = command(job.args());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut pipe: Option<ChildStdin> = child.stdin.take();
    pipe.as_mut().unwrap().write_all(stdin).unwrap();
    if is_whole {
        pipe = None;
    }
    wait_until("some rows are written", || job.lines() >= rows);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    drop(pipe);
}

#[test]
fn the_same_stdin_again_resumes() {
    let (job, text) = spooled(60, 0.05);
    kill(&job, &text, true, 12);
    let left = job.left();
    run_with(&job, &text).assert_code(3);
    job.assert_complete();
    job.assert_kept(&left);
    assert!(fs::read(job.beside(".spool")).is_ok_and(|spool| text.starts_with(&spool)), "the copy is not the input");
}

#[test]
fn a_stdin_that_was_read_whole_is_not_needed_again() {
    let paths = (0..20).map(|n| if n < 16 { format!("/items/{n}") } else { format!("/items/{n}?delay=1") });
    let job = Job::new(paths).with(["--spool", "--concurrency", "8"]);
    let text = fs::read(job.input()).unwrap();
    let job = job.from("-");
    let mut command = command(job.args());
    let input = fs::File::open(job.place.path("urls.txt")).unwrap();
    let mut child = command.stdin(input).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // With room for more to start, its end has been looked for and found.
    wait_until("only the last are missing", || job.lines() == 16 && job.origin.stats().in_flight == 4);
    wait_until("the copy is whole", || job.beside(".spool").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let left = job.left();
    job.run().assert_code(0);
    job.assert_complete();
    job.assert_kept(&left);
    assert!(fs::read(job.beside(".spool")).unwrap() == text);
    job.assert_over();
}

#[test]
fn a_stdin_that_broke_off_goes_on_when_it_is_given_again() {
    let (job, text) = spooled(60, 0.02);
    // Cut within a line.
    kill(&job, &text[..text.len() / 2 + 7], false, 12);
    let left = job.left();
    run_with(&job, &text).assert_code(3);
    job.assert_complete();
    job.assert_kept(&left);
}

#[test]
fn a_killed_resume_of_a_spool_resumes() {
    let (job, text) = spooled(60, 0.05);
    for rows in [8, 24, 40] {
        kill(&job, &text, true, rows);
    }
    run_with(&job, &text).assert_code(3);
    job.assert_complete();
    assert!(job.again() <= 3 * 4, "{}", job.again());
}

#[test]
fn another_stdin_is_refused() {
    let (job, text) = spooled(60, 0.05);
    // Not ended, or it would not be looked at again.
    kill(&job, &text[..text.len() / 2], false, 12);
    let requests = job.left();
    let other = String::from_utf8(text).unwrap().replacen("/items/0?", "/items/777?", 1);
    let ran = run_with(&job, other.as_bytes()).assert_code(2);
    assert!(
        ran.err.contains("stdin") || ran.err.contains("standard input") || ran.err.contains(".spool"),
        "{}",
        ran.err
    );
    assert_eq!(job.left().held, requests.held);
}

#[test]
fn the_copy_of_a_linked_output_is_its_targets() {
    let (job, text) = spooled(60, 0.05);
    let link = job.place.path("link.jsonl");
    std::os::unix::fs::symlink(job.out(), &link).unwrap();
    kill(&job, &text, true, 12);
    let left = job.left();
    let mut command = command(job.args_to(&link));
    command.stdin(fs::File::open(job.place.file("stdin", std::str::from_utf8(&text).unwrap())).unwrap());
    bounded(command).assert_code(3);
    job.assert_complete();
    job.assert_kept(&left);
    assert!(!job.place.path("link.jsonl.spool").exists());
}

#[test]
fn nobody_else_may_read_the_spool() {
    use std::os::unix::fs::PermissionsExt;
    let (job, text) = spooled(10, 0.0);
    run_with(&job, &text).assert_code(3);
    let mode = fs::metadata(job.beside(".spool")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
