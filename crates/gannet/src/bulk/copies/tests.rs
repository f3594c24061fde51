use std::sync::{Arc, Mutex};
use std::task::Waker;

use gannet_core::schedule::{Action, RowRef, Schedule, ScheduleOptions};
use gannet_origin::script::{Script, ScriptedServer};
use tokio::sync::Notify;

use super::*;
use crate::bulk::attempt::{Attempt, Ended};
use crate::bulk::engine::{Engine, Next};
use crate::bulk::memory::Memory;
use crate::bulk::source::ListSource;
use crate::bulk::{BulkOptions, Outcome as RowOutcome, Sink};
use crate::session::Session;

/// Allows the copy, and says to the server when one of the two is over.
#[derive(Default)]
struct Told {
    lost: Mutex<Vec<Option<Said>>>,
    go: Arc<Notify>,
}

/// A status, and Retry-After.
type Said = (Option<u16>, Option<Duration>);

impl Copies for Told {
    fn may_copy(&self, _: &Ticket) -> bool {
        true
    }

    fn on_copied(&self, _: &Ticket, lost: Option<Lost>) {
        let told = lost.map(|lost| {
            assert_eq!(lost.answered.map(|answered| answered.status.as_u16()), lost.facts.status);
            (lost.facts.status, lost.facts.retry_after)
        });
        self.lost.lock().unwrap().push(told);
        self.go.notify_one();
    }
}

/// An attempt that may have a copy after so long.
fn start(after: Duration) -> Start {
    let mut schedule = Schedule::new(ScheduleOptions::default(), 1);
    let now = Instant::now().into_std();
    loop {
        match schedule.poll(now) {
            Action::Read => schedule.on_row(RowRef { index: 0, place: 0 }, "a", now),
            Action::Start(start) => return Start { hedge_after: Some(after), ..start },
            other => panic!("{other:?}"),
        }
    }
}

fn sender() -> Sender {
    let session = Session::new(crate::Options::default()).unwrap();
    let options = Arc::new(BulkOptions::default());
    let memory = Memory::new(options.memory, Waker::noop().clone());
    Sender { session, options, memory, maker: None, home: None }
}

/// What the race came to, by status, its latency, and what was told of the loser.
async fn race(scripts: [Script; 2], told: &Told, after: Duration) -> (Option<u16>, Duration) {
    let (server, sender) = (ScriptedServer::start(scripts).await.unwrap(), sender());
    let request = || sender.session.get(server.url("/")).build().unwrap();
    let (mut came, mut share) = (Came::default(), sender.memory.share());
    let result = sender.race((request(), request()), &start(after), (&mut came, &mut share), told).await;
    let status = came.response.map(|answered| answered.status.as_u16());
    assert_eq!(result.is_ok(), status == Some(200), "{result:?}");
    (status, came.latency.unwrap_or_default())
}

const SOON: Duration = Duration::from_millis(5);
/// By then, on a clock that stands still while anything moves, the head has come.
const LATE: Duration = Duration::from_secs(1);

fn answer(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")
}

#[tokio::test]
async fn a_refusal_of_one_is_told_while_the_other_goes_on() {
    let refused = Some((Some(429), Some(Duration::from_secs(7))));
    for is_first_refused in [false, true] {
        let told = Told::default();
        let (arrived, here) = (Arc::new(Notify::new()), Script::new().expect_head());
        let (wins, loses) = (here.clone().signal(&arrived).wait_for(&told.go), here.clone());
        // Answered only when the other's refusal was told.
        let wins = wins.send(answer("200 OK"));
        let scripts = match is_first_refused {
            true => [loses.wait_for(&arrived).send(answer("429 Slow Down")), wins],
            false => [wins, loses.send(answer("429 Slow Down"))],
        };
        assert_eq!(race(scripts, &told, SOON).await.0, Some(200));
        assert_eq!(*told.lost.lock().unwrap(), [refused]);
    }
}

#[tokio::test]
async fn an_answer_that_no_other_would_better_ends_the_race() {
    for status in [200, 404] {
        let (told, arrived) = (Told::default(), Arc::new(Notify::new()));
        let first = Script::new().expect_head().wait_for(&arrived).send(answer(&format!("{status} So")));
        let second = Script::new().expect_head().signal(&arrived).hang();
        assert_eq!(race([first, second], &told, SOON).await.0, Some(status));
        assert_eq!(*told.lost.lock().unwrap(), [None]);
    }
}

#[tokio::test]
async fn where_both_fail_each_is_told_once() {
    let told = Told::default();
    let first = Script::new().expect_head().wait_for(&told.go).send(answer("503 Busy"));
    let second = Script::new().expect_head().send(answer("500 Broken"));
    assert_eq!(race([first, second], &told, SOON).await.0, Some(503));
    assert_eq!(*told.lost.lock().unwrap(), [Some((Some(500), Some(Duration::from_secs(7))))]);
}

#[tokio::test]
async fn the_latency_of_a_copy_that_wins_is_that_of_the_attempt() {
    let told = Told::default();
    let (first, second) = (Script::new().expect_head().hang(), Script::new().expect_head().send(answer("200 OK")));
    let after = Duration::from_millis(300);
    let (status, latency) = race([first, second], &told, after).await;
    assert_eq!(status, Some(200));
    assert!(latency >= after, "{latency:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_takes_long_behind_its_head_gets_no_copy() {
    let (told, read) = (Told::default(), Arc::new(Notify::new()));
    let first = Script::new().expect_head().send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
    // The body comes only when a copy would long have been sent, and answered.
    let slow = async {
        sleep(LATE * 20).await;
        read.notify_one();
    };
    let second = Script::new().expect_head().send(answer("200 OK"));
    let scripts = [first.wait_for(&read).send("a"), second];
    let ((status, _), ()) = tokio::join!(race(scripts, &told, LATE), slow);
    assert_eq!((status, told.lost.lock().unwrap().len()), (Some(200), 0), "there was no other");
}

/// Keeps the holds it is told of.
#[derive(Default)]
struct Holds(Vec<(String, Duration)>);

impl Sink for Holds {
    fn push(&mut self, _: RowOutcome) -> std::io::Result<()> {
        Ok(())
    }

    fn on_hold(&mut self, host: &str, delay: Duration) {
        self.0.push((host.to_owned(), delay));
    }
}

#[test]
fn a_hold_that_a_loser_brought_is_kept_to_and_written_down() {
    let mut options = BulkOptions::default();
    options.polite.adaptive = false;
    options.polite.hedge = true;
    let urls = (0..202).map(|row| format!("http://a.test/{row}").into()).collect();
    let mut engine = Engine::new(ListSource::new(None, urls), Holds::default(), &options, Waker::noop().clone());
    let memory = Memory::new(1, Waker::noop().clone());
    let mut now = Instant::now();
    let start = |engine: &mut Engine<_, _>, now| match engine.next(false, now) {
        Next::Start(attempt) => Some(attempt),
        _ => None,
    };
    let ended = |attempt: Attempt| {
        let facts = Outcome::response(200).latency(Some(Duration::from_millis(20)));
        let Attempt { row, start, .. } = attempt;
        let (index, url, elapsed) = (row.index, row.url, Duration::ZERO);
        let outcome =
            RowOutcome { index, line: None, id: None, url, attempts: 1, elapsed, response: None, error: None };
        Ended { ticket: start.ticket, facts, outcome, share: memory.share() }
    };
    for _ in 0..200 {
        let attempt = start(&mut engine, now).expect("a row is there");
        now += Duration::from_millis(20);
        assert!(engine.on_ended(ended(*attempt), None, now).is_none());
    }
    let attempt = start(&mut engine, now).expect("a row is there");
    now += attempt.start.hedge_after.expect("latencies are known");
    assert!(engine.schedule.hedge(&attempt.start.ticket, now.into_std()));
    let facts = Outcome::response(429).retry_after(Some(Duration::from_secs(7)));
    let answered = Fetched {
        status: http::StatusCode::TOO_MANY_REQUESTS,
        headers: gannet_core::Headers::default(),
        final_url: "http://a.test/200".parse().unwrap(),
        redirected: false,
        body: bytes::Bytes::new(),
    };
    engine.on_copied(&attempt.start.ticket, Some(Lost { facts, answered: Some(answered) }), now);
    assert_eq!(engine.sink().0, [("a.test".to_owned(), Duration::from_secs(7))]);
    assert!(start(&mut engine, now).is_none(), "the host is left alone");
    assert!(engine.on_ended(ended(*attempt), None, now).is_none());
    assert!(start(&mut engine, now + Duration::from_secs(7)).is_some());
}
