//! What a run remembers beyond rows: attempts made, what a host asked for, cookies.

use std::time::Duration;

use gannet_origin::script::{Script, ScriptedServer};
use rustix::process::Signal;

use super::job::Job;
use crate::gannet::{Place, Running, gannet, rows_in, wait_until};

#[test]
fn attempts_made_before_a_kill_count_after_it() {
    let job = Job::new(["/status/503?n=0".to_owned()]).with(["--retries", "3"]);
    let running = job.start_with(&["--backoff", "60"]);
    wait_until("the first attempt failed", || job.asked() == [1] && job.origin.stats().in_flight == 0);
    std::thread::sleep(COMMITTED);
    running.signal(Signal::KILL);
    running.end();
    job.run_with(&["--backoff", "0.01"]).assert_code(3);
    assert_eq!((&job.table()[0]["attempts"], job.asked()), (&4.into(), vec![4]));
}

#[test]
fn attempts_made_before_a_stop_count_after_it() {
    let job = Job::new(["/status/503?n=0".to_owned()]).with(["--retries", "3"]);
    let running = job.start_with(&["--backoff", "60"]);
    wait_until("the first attempt failed", || job.asked() == [1] && job.origin.stats().in_flight == 0);
    running.signal(Signal::TERM);
    running.end().assert_code(4);
    job.run_with(&["--backoff", "0.01"]).assert_code(3);
    assert_eq!((&job.table()[0]["attempts"], job.asked()), (&4.into(), vec![4]));
}

#[test]
fn a_kill_in_the_second_attempt_is_followed_by_the_third() {
    let failed = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    let whole = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let scripts = [
        Script::new().expect_head().send(failed).expect_head().hang(),
        Script::new().expect_head().send(whole).repeated(),
    ];
    let server = ScriptedServer::start_blocking(scripts).unwrap();
    let (place, url) = (Place::new(), server.url("/"));
    let out = place.name("rows.jsonl");
    let args = ["fetch", &url, "-o", &out, "--retries", "4", "--backoff", "0.05", "--quiet"];
    let running = Running::start(args);
    let heads = || String::from_utf8(server.received().concat()).unwrap().matches("\r\n\r\n").count();
    wait_until("the second attempt is on its way", || heads() == 2);
    std::thread::sleep(COMMITTED);
    running.signal(Signal::KILL);
    running.end();
    gannet(args).assert_code(0);
    let row = rows_in(&place.path("rows.jsonl")).remove(0);
    assert_eq!((&row["ok"], &row["attempts"]), (&true.into(), &3.into()), "{row}");
    assert_eq!(heads(), 3);
}

#[test]
fn a_host_that_asked_to_wait_is_not_asked_before() {
    for signal in [Signal::KILL, Signal::TERM] {
        // One request in four seconds: the second gets 429 and four seconds.
        let job = Job::new((0..2).map(|n| format!("/limited?rate=0.25&burst=1&n={n}"))).with(["--concurrency", "1"]);
        let running = job.start();
        wait_until("one was refused", || job.origin.stats().limited.refused == 1);
        std::thread::sleep(COMMITTED);
        running.signal(signal);
        running.end();
        job.run().assert_code(0);
        let limited = job.origin.stats().limited;
        assert_eq!((limited.early_after_grace, limited.allowed, limited.refused), (0, 2, 1), "{signal:?}");
    }
}

#[test]
fn a_host_that_asked_to_wait_is_not_asked_for_its_other_rows_either() {
    let paths = ["/status/503?retry_after=4&n=0", "/items/1", "/items/2"].map(str::to_owned);
    let job = Job::new(paths).with(["--concurrency", "1", "--retries", "1"]);
    let running = job.start();
    wait_until("it asked to wait", || job.asked()[0] == 1 && job.origin.stats().in_flight == 0);
    let asked = std::time::Instant::now();
    std::thread::sleep(COMMITTED);
    running.signal(Signal::KILL);
    running.end();
    let before = job.origin.stats().requests;
    let resumed = job.start();
    wait_until("it is asked again", || job.origin.stats().requests > before);
    assert!(asked.elapsed() > Duration::from_millis(3900), "asked after {:?}", asked.elapsed());
    drop(resumed);
}

#[test]
fn cookies_survive() {
    let paths = ["/cookies/set?who=gannet", "/delay/1?n=1", "/cookies"].map(str::to_owned);
    for signal in [Signal::KILL, Signal::TERM] {
        let job = Job::new(paths.clone()).with(["--concurrency", "1"]);
        let running = job.start();
        wait_until("the second row is on its way", || job.asked()[1] == 1);
        if signal == Signal::KILL {
            std::thread::sleep(Duration::from_millis(700));
        }
        running.signal(signal);
        running.end();
        job.run().assert_code(0);
        let rows = job.table();
        assert_eq!(rows[2]["json"]["cookies"]["who"], "gannet", "after {signal:?}: {}", rows[2]);
    }
}

/// Longer than a group commit takes to come.
const COMMITTED: Duration = Duration::from_millis(1500);
