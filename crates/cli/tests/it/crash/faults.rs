//! Disks that are full or failing, and systems that run out of files and ports: the run ends and says which file, or
//! goes on; nothing is lost or spliced, and it can be resumed when there is room again.

use std::path::{Path, PathBuf};
use std::process::Command;

use gannet_origin::Origin;
use gannet_origin::names::{Answer, NameServer};

use super::job::{Job, at_once, bounded};
use super::strace::Tamper;
use crate::gannet::{Place, Ran};

fn job() -> Job {
    Job::mixed(60, 0.02).with(["--concurrency", "8", "--durability", "row"])
}

/// It ended by itself, in time, and says which file is to blame; and then it is brought to its end.
#[track_caller]
pub fn assert_ended(job: &Job, ran: &Ran, what: &str, file: &str) {
    assert!([1, 4].contains(&ran.code), "{what}: it ended with {}: {}", ran.code, ran.err);
    assert!(ran.err.contains(file), "{what}: {file} is not named: {}", ran.err);
    assert!(!ran.err.contains("panicked"), "{what}: {}", ran.err);
    let left = job.left();
    let ran = job.run();
    assert_eq!(ran.code, job.code(), "{what}: {}", ran.err);
    job.assert_complete();
    job.assert_kept(&left);
}

#[test]
fn an_output_that_cannot_be_written_ends_the_run_and_is_resumed() {
    let faults: Vec<_> = ["ENOSPC", "EIO", "EDQUOT", "EFBIG"].into_iter().zip(["1+", "2+", "3", "4+"]).collect();
    at_once(4, &faults, |(error, when)| {
        let job = job();
        let ran = Tamper::fail(WRITES, error, when).on(&job.out()).run(&job);
        assert_ended(&job, &ran, &format!("{error} at write {when}"), "out.jsonl");
        assert!(ran.code == 4 || *when == "1+", "{error}: {}", ran.err);
    });
}

#[test]
fn a_state_that_cannot_be_written_ends_the_run_and_is_resumed() {
    let mut faults = Vec::new();
    for (error, when) in ["ENOSPC", "EIO", "EDQUOT", "EFBIG"].into_iter().zip(["1+", "4+", "6", "9+"]) {
        faults.extend([(error, when, ".state-wal"), (error, when, ".state")]);
    }
    at_once(4, &faults, |&(error, when, suffix)| {
        let job = job();
        let ran = Tamper::fail(WRITES, error, when).on(&job.beside(suffix)).run(&job);
        // A small run may write the state itself less often than that.
        if ran.code == job.code() {
            assert_eq!(suffix, ".state", "{error} at write {when} had no effect");
            return job.assert_complete();
        }
        assert_ended(&job, &ran, &format!("{error} at write {when} of {suffix}"), "out.jsonl.state");
    });
}

#[test]
fn a_full_disk_is_one_for_output_and_state_alike() {
    let whens = ["1+", "4+", "8+", "12+"];
    at_once(4, &whens, |when| {
        let job = job();
        let tamper = Tamper::fail(WRITES, "ENOSPC", when).on(&job.out());
        let ran = tamper.on(&job.beside(".state")).on(&job.beside(".state-wal")).run(&job);
        assert_ended(&job, &ran, &format!("ENOSPC at write {when}"), "out.jsonl");
    });
}

#[test]
fn a_failed_sync_ends_the_run_and_is_not_tried_again_as_if_nothing_were() {
    let mut faults = Vec::new();
    for when in ["1", "2", "3"] {
        faults.extend(["", ".state-wal"].map(|suffix| (when, suffix)));
    }
    at_once(4, &faults, |&(when, suffix)| {
        // Rows come for more than a second: a disk that is slow for some of it still syncs three times.
        let job = Job::mixed(60, 0.15).with(["--concurrency", "8", "--durability", "row"]);
        let ran = Tamper::fail("fdatasync,fsync,sync_file_range", "EIO", when).on(&job.beside(suffix)).run(&job);
        assert_ended(&job, &ran, &format!("EIO at sync {when} of out.jsonl{suffix}"), "out.jsonl");
    });
}

#[test]
fn the_first_failed_sync_of_a_group_commit_ends_the_run() {
    let job = Job::mixed(60, 0.3).with(["--concurrency", "8"]);
    let ran = Tamper::fail("fdatasync,fsync", "EIO", "1").on(&job.out()).run(&job);
    assert_ended(&job, &ran, "EIO at the first sync", "out.jsonl");
}

#[test]
fn what_cannot_be_made_is_said() {
    for (error, suffix) in [("EROFS", ".state"), ("EROFS", ""), ("EACCES", ".state"), ("ENOSPC", "")] {
        let job = job();
        let ran = Tamper::fail("openat,open,creat", error, "1+").on(&job.beside(suffix)).run(&job);
        assert_eq!(job.origin.stats().requests, 0, "{error} at opening out.jsonl{suffix}: {}", ran.err);
        assert!([1, 2].contains(&ran.code), "{error}: it ended with {}: {}", ran.code, ran.err);
        assert!(ran.err.contains(&format!("out.jsonl{suffix}")), "{error}: {}", ran.err);
        job.finish();
    }
}

#[test]
fn interrupted_writes_and_syncs_go_on() {
    let job = job();
    let tamper = Tamper::fail("write,pwrite64,fdatasync,fsync", "EINTR", "2+3").on(&job.out());
    let ran = tamper.run(&job);
    if ran.code != job.code() {
        // A sync that is interrupted may count as failed; a write never.
        assert_ended(&job, &ran, "EINTR", "out.jsonl");
    }
    let job = self::job();
    Tamper::fail(WRITES, "EINTR", "2+3").on(&job.out()).run(&job).assert_code(job.code());
    job.assert_complete();
}

#[test]
fn a_limit_on_the_size_of_files_ends_the_run_and_is_resumed() {
    // In blocks of 512 bytes: the output, the state's log, and with the smallest the state itself are too large.
    let limits = [8, 40, 100];
    at_once(3, &limits, |blocks| {
        let job = Job::mixed(300, 0.0).with(["--durability", "row", "--concurrency", "8"]);
        let ran = bounded(shell(&format!("ulimit -f {blocks}"), &job.args()));
        assert_ended(&job, &ran, &format!("{blocks} blocks"), "out.jsonl");
    });
}

#[test]
fn a_small_disk_that_fills_ends_the_run_and_is_resumed_when_it_has_grown() {
    for kib in [56, 96, 160, 320] {
        let Some(disk) = Disk::mount(kib) else { return };
        let rows = (0..1500).map(|n| format!("/items/{n}"));
        let job = Job::new(rows).with(["--concurrency", "16"]).to(disk.dir.path(""));
        let ran = job.run();
        assert!([1, 4].contains(&ran.code), "{kib} KiB: it ended with {}: {}", ran.code, ran.err);
        assert!(ran.err.contains("out.jsonl"), "{kib} KiB: {}", ran.err);
        let left = job.left();
        // Still full: it ends again, and loses nothing.
        let again = job.run();
        assert!([1, 4].contains(&again.code), "{kib} KiB: it ended with {}: {}", again.code, again.err);
        job.assert_kept(&left);
        disk.grow();
        job.finish();
        job.assert_kept(&left);
    }
}

#[test]
fn too_few_open_files_are_waited_out_and_charged_to_no_row() {
    let job = Job::new((0..300).map(|n| format!("/items/{n}?delay=0.01"))).with(["--per-host", "0"]);
    let ran = bounded(shell("ulimit -n 64", &job.args())).assert_code(0);
    job.assert_complete();
    assert_eq!(ran.err.matches("warning").count(), 1, "{}", ran.err);
    assert!(job.table().iter().all(|row| row["attempts"] == 1));
}

#[test]
fn no_free_port_is_waited_out_and_charged_to_no_row() {
    let job = Job::new((0..100).map(|n| format!("/items/{n}"))).with(["--concurrency", "8"]);
    Tamper::fail("connect", "EADDRNOTAVAIL", "2..5").run(&job).assert_code(0);
    job.assert_complete();
    assert!(job.table().iter().all(|row| row["attempts"] == 1), "a row was charged for the system's shortage");
}

#[test]
fn a_name_server_that_cannot_be_asked_from_here_makes_way_for_the_next() {
    let origin = Origin::start_blocking().unwrap();
    let beyond = NameServer::start_blocking(|_| Answer::NoSuchName).unwrap();
    let knows = NameServer::start_blocking(|_| Answer::addresses(&["127.0.0.1"])).unwrap();
    let url = format!("http://some.test:{}/items/1", origin.addr().port());
    let servers = format!("{},{}", beyond.addr(), knows.addr());
    let args = ["get", &url, "--dns-servers", &servers].map(str::to_owned);
    // As for an IPv6 server where IPv6 is off: for each family the first fails, and the second does not.
    bounded(Tamper::fail("bind", "EADDRNOTAVAIL", "1+2").command(&args)).assert_code(0);
    assert_eq!((beyond.asked().len(), knows.asked().len()), (0, 2));
    let none = bounded(Tamper::fail("bind", "EADDRNOTAVAIL", "1+").command(&args)).assert_code(3);
    none.assert_says("error: dns: ");
    let short = bounded(Tamper::fail("bind", "EMFILE", "1+").command(&args)).assert_code(3);
    short.assert_says("error: resources: ");
}

/// The command after this, in one shell.
fn shell(before: &str, args: &[String]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{before}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_gannet")]).args(args);
    command.env("COLUMNS", "110").env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).stdin(std::process::Stdio::null());
    command
}

/// A small file system in memory, gone when dropped.
struct Disk {
    dir: Place,
}

impl Disk {
    /// None, with the reason printed, where that is not allowed.
    fn mount(kib: u64) -> Option<Disk> {
        let disk = Disk { dir: Place::new() };
        let done = mount(&["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"], &disk.dir.path(""));
        if let Err(reason) = done {
            eprintln!("skipped: no small disk can be mounted here: {reason}");
            return None;
        }
        Some(disk)
    }

    fn grow(&self) {
        mount(&["-o", "remount,size=64m"], &self.dir.path("")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.dir.path("")).stderr(std::process::Stdio::null()).status();
    }
}

fn mount(args: &[&str], dir: &Path) -> Result<(), String> {
    let dir: PathBuf = dir.components().collect();
    let output = Command::new("mount").args(args).arg(dir).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

pub const WRITES: &str = "write,writev,pwrite64,pwritev,pwritev2";
