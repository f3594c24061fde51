//! What a run holds of bodies in memory while whoever wants them is slow. Paused time goes on only when nothing else
//! does: after a pause of the test's, the run has done all it could.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use gannet::bulk::sink::{Output, RowFormat, RowSink};
use gannet::bulk::source::ListSource;
use gannet::bulk::{BulkOptions, End, Outcome, Run};
use gannet_origin::script::{Script, ScriptedServer};

use super::{assert_in_order, quick, session};

const BODY: usize = 1 << 20;

/// A body of one mebibyte on a connection of its own.
fn large() -> Script {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\nConnection: close\r\n\r\n");
    Script::new().expect_head().send([head.as_bytes(), &vec![b'x'; BODY]].concat()).close()
}

fn limited(concurrency: usize, memory: usize) -> BulkOptions {
    let mut options = quick();
    options.limits.concurrency = concurrency;
    options.memory = memory as u64;
    options.polite.adaptive = false;
    options
}

async fn all_is_quiet() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn bodies_that_nobody_has_taken_from_a_stream_count() {
    let server = ScriptedServer::start(vec![large(); 12]).await.unwrap();
    let options = limited(4, BODY * 5 / 2);
    let mut outcomes = session().fetch_iter(vec![server.url("/"); 12]).options(options).outcomes();
    all_is_quiet().await;
    // Two fit, and one more may always grow; the others wait with what they have.
    let done = outcomes.control().snapshot().done;
    assert!((1..=3).contains(&done), "{done}");
    for _ in 0..12 {
        assert!(outcomes.next().await.unwrap().is_ok());
        all_is_quiet().await;
        let (done, in_flight) = (outcomes.control().snapshot().done, outcomes.control().snapshot().in_flight);
        assert!(done >= 12 || in_flight > 0, "it goes on as they are taken");
    }
    assert!(outcomes.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn without_any_memory_all_rows_get_done_one_after_the_other() {
    let server = ScriptedServer::start(vec![large(); 6]).await.unwrap();
    let urls = vec![server.url("/"); 3];
    let outcomes = session().fetch_all(&urls).options(limited(4, 0)).await;
    assert!(outcomes.iter().all(Outcome::is_ok), "they are given out together");
    let mut stream = session().fetch_iter(urls).options(limited(4, 0)).outcomes();
    for _ in 0..3 {
        assert!(stream.next().await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn in_order_a_row_that_is_sent_again_gets_done_although_those_behind_it_fill_the_memory() {
    let busy = Script::new().expect_head().send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let first = ScriptedServer::start([busy.close(), large()]).await.unwrap();
    let others = ScriptedServer::start(vec![large(); 5]).await.unwrap();
    let mut options = limited(2, BODY);
    options.retry.backoff.base = Duration::from_secs(10);
    let urls = std::iter::once(first.url("/")).chain((0..5).map(|_| others.url("/")));
    let mut stream = session().fetch_iter(urls.collect::<Vec<_>>()).options(options).ordered().outcomes();
    all_is_quiet().await;
    assert!(stream.control().snapshot().done < 5, "and no more is read then");
    let mut outcomes = Vec::new();
    while let Some(outcome) = stream.next().await {
        assert!(outcome.is_ok());
        outcomes.push(outcome);
    }
    assert_eq!((outcomes.len(), outcomes[0].attempts), (6, 2));
    assert_in_order(&outcomes);
}

/// A row that never had a body gives no memory back when it is read, and is news all the same.
#[tokio::test(start_paused = true)]
async fn in_order_a_row_that_is_sent_again_gets_done_behind_one_that_could_not_be_sent() {
    let busy = Script::new().expect_head().send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let second = ScriptedServer::start([busy.close(), large()]).await.unwrap();
    let others = ScriptedServer::start(vec![large(); 5]).await.unwrap();
    let mut options = limited(2, BODY);
    options.retry.backoff.base = Duration::from_secs(10);
    let urls = ["no URL".to_owned(), second.url("/")].into_iter().chain((0..5).map(|_| others.url("/")));
    let mut stream = session().fetch_iter(urls.collect::<Vec<_>>()).options(options).ordered().outcomes();
    all_is_quiet().await;
    let mut outcomes = Vec::new();
    let an_hour = Duration::from_secs(3600);
    while let Some(outcome) = tokio::time::timeout(an_hour, stream.next()).await.expect("it hangs") {
        outcomes.push(outcome);
        all_is_quiet().await;
    }
    assert_eq!((outcomes.len(), outcomes[0].is_ok(), outcomes[1].attempts), (7, false, 2));
    assert_in_order(&outcomes);
}

/// Takes nothing before the other end is gone.
struct Gated(Receiver<()>);

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn rows_that_an_output_has_no_room_for_count() {
    let (gate, gated) = channel();
    let server = ScriptedServer::start(vec![large(); 12]).await.unwrap();
    let source = ListSource::new(None, (0..12).map(|_| server.url("/").into()).collect());
    let sink = RowSink::new(Output::writer(Gated(gated)), RowFormat::default(), None).unwrap();
    let run = Run::new(&session(), source, sink, limited(12, 2 * BODY));
    let control = run.control();
    let driving = tokio::spawn(run.drive());
    all_is_quiet().await;
    // One is with the output, one in its buffer, two fill the memory, and one more may always grow.
    let done = control.snapshot().done;
    assert!((1..=5).contains(&done), "{done}");
    drop(gate);
    let finished = driving.await.unwrap();
    assert!(matches!(finished.end, End::Complete), "{:?}", finished.end);
    assert_eq!(finished.snapshot.ok, 12);
}
