//! Hosts that hang, bodies that are large, runs that are stopped.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gannet::bulk::source::{ListSource, Target};
use gannet::bulk::{End, Outcome, Run, Sink};
use gannet::{ErrorKind, Session};
use gannet_origin::Origin;

use super::{quick, session};

/// Keeps the order of completion.
#[derive(Default)]
struct Completed(Arc<Mutex<Vec<Outcome>>>);

impl Sink for Completed {
    fn push(&mut self, outcome: Outcome) -> std::io::Result<()> {
        self.0.lock().unwrap().push(outcome);
        Ok(())
    }
}

fn list(urls: impl IntoIterator<Item = String>) -> ListSource {
    ListSource::new(None, urls.into_iter().map(Target::from).collect())
}

#[tokio::test]
async fn a_host_that_hangs_and_comes_first_does_not_hold_up_the_others() {
    let origin = Origin::builder().listen("127.0.0.1:0").also_listen("127.0.0.2:0").start().await.unwrap();
    let hanging = (0..300).map(|n| origin.url_at(0, &format!("/hang?n={n}")));
    let others = (0..300).map(|n| origin.url_at(1, &format!("/items/{n}")));
    let mut options = quick();
    (options.limits.concurrency, options.limits.per_host) = (64, Some(32));
    let done = Completed::default();
    let log = done.0.clone();
    let run = Run::new(&session(), list(hanging.chain(others)), done, options);
    let control = run.control();
    let driving = tokio::spawn(run.drive());
    while control.snapshot().ok < 300 {
        tokio::task::yield_now().await;
    }
    assert!(log.lock().unwrap().iter().all(|outcome| outcome.index >= 300), "no hanging row had ended by then");
    control.abort();
    assert!(matches!(driving.await.unwrap().end, End::Stopped));
}

#[tokio::test]
async fn a_stopped_run_starts_nothing_more_and_lets_what_runs_finish() {
    let origin = Origin::start().await.unwrap();
    let mut options = quick();
    options.limits.concurrency = 4;
    let done = Completed::default();
    let log = done.0.clone();
    let run = Run::new(&session(), list((0..100).map(|n| origin.url(&format!("/delay/0.1?n={n}")))), done, options);
    let control = run.control();
    let driving = tokio::spawn(run.drive());
    while origin.stats().in_flight < 4 {
        tokio::task::yield_now().await;
    }
    control.stop();
    let finished = driving.await.unwrap();
    assert!(matches!(finished.end, End::Stopped));
    assert_eq!(log.lock().unwrap().len(), 4, "what ran has its outcome");
    assert_eq!(origin.stats().requests, 4, "and nothing else was asked");
}

#[tokio::test]
async fn a_drain_is_bounded() {
    let origin = Origin::start().await.unwrap();
    let mut options = quick();
    options.drain = Duration::from_millis(50);
    let run = Run::new(&session(), list([origin.url("/hang")]), Completed::default(), options);
    let control = run.control();
    let driving = tokio::spawn(run.drive());
    while origin.stats().in_flight < 1 {
        tokio::task::yield_now().await;
    }
    control.stop();
    assert!(matches!(driving.await.unwrap().end, End::Stopped));
}

#[tokio::test]
async fn bodies_beyond_the_shared_memory_wait_and_all_arrive() {
    let origin = Origin::start().await.unwrap();
    let mut options = quick();
    options.memory = 1 << 20;
    let urls: Vec<String> = (0..24).map(|n| origin.url(&format!("/bytes/700000?seed={n}"))).collect();
    let outcomes = session().fetch_all(&urls).options(options).await;
    for (n, outcome) in outcomes.iter().enumerate() {
        let body = &outcome.response.as_ref().unwrap().body;
        assert_eq!(body[..], gannet_origin::payload(n as u64, 700_000)[..]);
    }
}

#[tokio::test]
async fn a_body_over_the_cap_fails_its_row_alone() {
    let origin = Origin::start().await.unwrap();
    let mut options = quick();
    options.max_body = 1000;
    let urls =
        [origin.url("/bytes/1001"), origin.url("/bytes/1000"), origin.url("/bomb?mib=8"), origin.url("/stream/100")];
    let outcomes = session().fetch_all(&urls).options(options).await;
    let kinds: Vec<_> = outcomes.iter().map(Outcome::error_kind).collect();
    let large = Some(ErrorKind::TooLarge);
    assert_eq!(kinds, [large, None, large, large]);
}

#[tokio::test]
async fn an_output_that_fails_stops_the_run() {
    struct Full;
    impl Sink for Full {
        fn push(&mut self, _outcome: Outcome) -> std::io::Result<()> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
    }
    let origin = Origin::start().await.unwrap();
    let urls = (0..1000).map(|n| origin.url(&format!("/items/{n}")));
    let finished = Run::new(&session(), list(urls), Full, quick()).drive().await;
    assert!(matches!(finished.end, End::OutputFailed(error) if error.kind() == std::io::ErrorKind::StorageFull));
}

#[tokio::test]
async fn a_closed_session_fails_rows_with_kind_closed() {
    let session = Session::default();
    session.close();
    let outcomes = session.fetch_all(["http://127.0.0.1:1/"]).options(quick()).await;
    assert_eq!(outcomes[0].error_kind(), Some(ErrorKind::Closed));
}

#[tokio::test]
async fn an_aborted_run_does_not_wait_for_an_output_that_takes_nothing() {
    /// As a pipe whose reader has stopped reading.
    struct Stuck;
    impl Sink for Stuck {
        fn push(&mut self, _outcome: Outcome) -> std::io::Result<()> {
            Ok(())
        }

        fn poll_finish(&mut self, _cx: &mut std::task::Context<'_>) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Pending
        }
    }
    let origin = Origin::start().await.unwrap();
    let run = Run::new(&session(), list([origin.url("/items/1")]), Stuck, quick());
    let control = run.control();
    let driving = tokio::spawn(run.drive());
    while control.snapshot().done < 1 {
        tokio::task::yield_now().await;
    }
    control.abort();
    assert!(matches!(driving.await.unwrap().end, End::OutputFailed(_)));
}

#[tokio::test]
async fn a_time_limit_beyond_every_clock_is_no_limit_and_no_panic() {
    let origin = Origin::start().await.unwrap();
    let mut options = gannet::Options::default();
    let forever = Some(Duration::MAX);
    options.timeouts =
        gannet::Timeouts { pool: forever, dns: forever, connect: forever, read: forever, total: forever };
    (options.connections.idle, options.dns.ttl) = (Duration::MAX, Duration::MAX);
    let session = Session::new(options).unwrap();
    let mut options = quick();
    (options.deadline, options.drain) = (forever, Duration::MAX);
    let name = origin.url("/items/2").replace("127.0.0.1", "localhost");
    let outcomes = session.fetch_all([origin.url("/items/1"), name]).options(options).await;
    assert!(outcomes.iter().all(Outcome::is_ok), "{outcomes:#?}");
}

#[tokio::test]
async fn a_session_keeps_its_own_smaller_cap_on_bodies() {
    let origin = Origin::start().await.unwrap();
    let mut options = gannet::Options::default();
    options.response.max_body = Some(10);
    let outcomes = Session::new(options).unwrap().fetch_all([origin.url("/bytes/11")]).await;
    assert_eq!(outcomes[0].error_kind(), Some(ErrorKind::TooLarge));
}

#[tokio::test]
async fn a_redirect_whose_body_never_ends_is_followed_all_the_same() {
    use gannet_origin::script::{Script, ScriptedServer};
    let origin = Origin::start().await.unwrap();
    let redirect = |head: &str| format!("HTTP/1.1 302 Found\r\nlocation: {}\r\n{head}\r\n", origin.url("/items/1"));
    for head in ["", "content-length: 5\r\n", "transfer-encoding: chunked\r\n"] {
        let server =
            ScriptedServer::start(vec![Script::new().expect_head().send(redirect(head)).hang()]).await.unwrap();
        let response = session().get(server.url("/")).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "{head:?}");
    }
}

#[tokio::test]
async fn a_run_that_was_stopped_before_it_began_asks_for_nothing() {
    let origin = Origin::start().await.unwrap();
    let run = Run::new(&session(), list([origin.url("/items/1")]), Completed::default(), quick());
    run.control().stop();
    assert!(matches!(run.drive().await.end, End::Stopped));
    assert_eq!(origin.stats().requests, 0);
}

#[tokio::test]
async fn an_output_that_fails_while_requests_hang_ends_the_run_at_once() {
    /// As a pipe that is closed after the first row: found when looking for room, not by a push.
    struct Closed(usize);
    impl Sink for Closed {
        fn push(&mut self, _outcome: Outcome) -> std::io::Result<()> {
            self.0 += 1;
            Ok(())
        }

        fn poll_room(&mut self, _cx: &mut std::task::Context<'_>) -> std::task::Poll<std::io::Result<()>> {
            let closed = self.0 > 0;
            std::task::Poll::Ready(if closed { Err(std::io::ErrorKind::BrokenPipe.into()) } else { Ok(()) })
        }
    }
    let origin = Origin::start().await.unwrap();
    let urls = [origin.url("/hang"), origin.url("/delay/0.05"), origin.url("/hang?n=2")];
    let finished = Run::new(&session(), list(urls), Closed(0), quick()).drive().await;
    assert!(matches!(finished.end, End::OutputFailed(error) if error.kind() == std::io::ErrorKind::BrokenPipe));
}
