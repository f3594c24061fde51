//! Many requests on one connection: when there is one more, who waits, and what a dropped request leaves.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::join_all;
use gannet::ErrorKind;
use tokio::sync::{Barrier, Notify};
use tokio::task::JoinSet;

use super::*;

async fn origin_of(max_streams: u32) -> Origin {
    Origin::builder().https(true).max_streams(max_streams).start().await.unwrap()
}

#[tokio::test]
async fn concurrent_requests_to_an_unknown_origin_share_one_connect() {
    let origin = origin().await;
    let session = offering(&origin);
    let requests = (0..90).map(|id| json_of(session.get(origin.https_url(&format!("/items/{id}?delay=0.01")))));
    for (id, item) in in_time(join_all(requests)).await.into_iter().enumerate() {
        assert_eq!(item["id"], id);
    }
    assert_eq!(connections(&origin.stats()), (1, 1));
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
}

async fn json_of(request: gannet::RequestBuilder) -> Value {
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn where_the_server_chooses_http1_each_opens_its_own() {
    let identity = gannet_origin::Identity::for_names(&["127.0.0.1"]).unwrap();
    let all_there = Arc::new(tokio::sync::Barrier::new(5));
    let script = Script::new().expect_head().meet(&all_there).send(OK).repeated();
    let server = ScriptedServer::start_tls([script], &identity).await.unwrap();
    let session = session(|options| options.tls.extra_roots = vec![identity.ca_pem().to_owned()]);
    let requests = (0..5).map(|_| session.get(server.url("/")).send());
    assert!(in_time(join_all(requests)).await.iter().all(Result::is_ok));
    assert_eq!((server.connections(), session.pool_stats()), (5, pool(5, 5, 0)));
}

#[tokio::test]
async fn a_failed_connect_is_not_waited_for_by_the_others() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let session = speaking(|_| {});
    let requests = (0..20).map(|_| session.get(format!("http://{addr}/")).send());
    for result in in_time(join_all(requests)).await {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Connect);
    }
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
}

#[tokio::test]
async fn who_leads_a_connect_and_is_dropped_lets_the_next_one_lead() {
    let go = Arc::new(Notify::new());
    let first = begun(&[]).wait_for(&go).hang();
    let second = asked(&[]).send(frames::answer(1, "200", "ok")).hang();
    // The first connection never gets so far: the one who opens it gives up before.
    let server = ScriptedServer::start_with(move |nth| if nth == 0 { first.clone() } else { second.clone() }).await;
    let server = server.unwrap();
    let session = speaking(|options| options.connections.max = 1);
    let mut lead = Box::pin(session.get(server.url("/lead")).send());
    assert!(poll_once(&mut lead).await.is_none());
    let mut follow = Box::pin(session.get(server.url("/follow")).send());
    assert!(poll_once(&mut follow).await.is_none());
    assert_eq!(session.pool_stats(), pool(1, 0, 1));
    drop(lead);
    assert!(in_time(follow).await.unwrap().ok());
}

#[tokio::test]
async fn more_connections_are_opened_when_streams_run_out_and_never_more_than_the_cap() {
    let origin = origin_of(4).await;
    let session = session(|options| {
        options.tls.extra_roots = vec![origin.ca_pem().to_owned()];
        options.connections.max_per_host = Some(3);
    });
    json_of(session.get(origin.https_url("/items/0"))).await;
    let requests = (0..60).map(|id| json_of(session.get(origin.https_url(&format!("/items/{id}?delay=0.02")))));
    for (id, item) in in_time(join_all(requests)).await.into_iter().enumerate() {
        assert_eq!(item["id"], id);
    }
    let stats = origin.stats();
    assert_eq!(connections(&stats), (3, 3));
    assert!(stats.max_in_flight <= 12 && stats.max_in_flight > 4, "{}", stats.max_in_flight);
    assert_eq!(session.pool_stats(), pool(3, 3, 0));
}

/// Lets so many connections through to the origin, and ends the others in their handshake.
struct Door {
    addr: std::net::SocketAddr,
    admits: Arc<AtomicUsize>,
    /// Ends those that were let through.
    cut: Arc<Notify>,
    _task: JoinSet<()>,
}

impl Door {
    async fn to(origin: &Origin, admits: usize) -> Door {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, to) = (listener.local_addr().unwrap(), origin.https_addr().unwrap());
        let (admits, cut) = (Arc::new(AtomicUsize::new(admits)), Arc::new(Notify::new()));
        let mut tasks = JoinSet::new();
        let (left, end) = (admits.clone(), cut.clone());
        tasks.spawn(async move {
            let mut relays = JoinSet::new();
            while let Ok((mut inside, _)) = listener.accept().await {
                if left.fetch_update(Relaxed, Relaxed, |left: usize| left.checked_sub(1)).is_err() {
                    continue;
                }
                let end = end.clone();
                relays.spawn(async move {
                    let mut outside = tokio::net::TcpStream::connect(to).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut inside, &mut outside) => {}
                        () = end.notified() => {}
                    }
                });
            }
        });
        Door { addr, admits, cut, _task: tasks }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.addr)
    }
}

#[tokio::test]
async fn requests_wait_for_room_where_no_further_connection_can_be_opened() {
    let origin = origin_of(1).await;
    let door = Door::to(&origin, 1).await;
    let session = offering(&origin);
    json_of(session.get(door.url("/items/0"))).await;
    let requests = (0..10).map(|id| json_of(session.get(door.url(&format!("/items/{id}?delay=0.02")))));
    for (id, item) in in_time(join_all(requests)).await.into_iter().enumerate() {
        assert_eq!(item["id"], id);
    }
    let counters = session.pool_counters();
    assert_eq!((connections(&origin.stats()), counters.opened, session.pool_stats()), ((1, 1), 1, pool(1, 1, 0)));
    assert!(counters.open_failed >= 1 && counters.open_failed < 9, "{counters:?}");
}

#[tokio::test]
async fn a_wait_for_room_is_bounded_by_its_timeouts_and_tells_why_there_was_no_other() {
    let origin = origin_of(1).await;
    let door = Door::to(&origin, 1).await;
    let session = session(|options| {
        options.tls.extra_roots = vec![origin.ca_pem().to_owned()];
        options.timeouts.pool = Some(Duration::from_millis(50));
    });
    json_of(session.get(door.url("/items/0"))).await;
    let mut held = Box::pin(session.get(door.url("/hang")).send());
    assert!(poll_once(&mut held).await.is_none());
    let error = in_time(session.get(door.url("/items/1")).send()).await.unwrap_err();
    assert_eq!((error.kind(), session.pool_counters().open_failed), (ErrorKind::TimeoutPool, 1), "{error}");
    assert!(error.to_string().contains("lost in the TLS handshake"), "{error}");
    assert_eq!(session.pool_stats(), pool(1, 0, 0));
}

#[tokio::test]
async fn who_waits_for_room_on_a_connection_that_ends_opens_its_own_or_fails() {
    let origin = origin_of(1).await;
    for admits_another in [false, true] {
        let door = Door::to(&origin, 1).await;
        let session = offering(&origin);
        json_of(session.get(door.url("/items/0"))).await;
        // What may have been done is not sent again.
        let held = tokio::spawn(session.post(door.url("/hang")).send());
        until(|| origin.stats().in_flight == 1).await;
        let waits = tokio::spawn(session.get(door.url("/items/1")).send());
        until(|| session.pool_counters().open_failed == 1).await;
        assert_eq!(session.pool_stats(), pool(1, 0, 1));
        door.admits.store(usize::from(admits_another), Relaxed);
        door.cut.notify_waiters();
        assert_eq!(in_time(held).await.unwrap().unwrap_err().kind(), ErrorKind::Connection);
        until(|| origin.stats().in_flight == 0).await;
        match in_time(waits).await.unwrap() {
            Ok(response) => assert!(admits_another && response.ok()),
            Err(error) => assert!(!admits_another && error.kind() == ErrorKind::Connect, "{error}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_further_connection_is_tried_again_while_nothing_gets_free() {
    let origin = origin_of(1).await;
    let door = Door::to(&origin, 1).await;
    let session = offering(&origin);
    json_of(session.get(door.url("/items/0"))).await;
    let mut held = Box::pin(session.get(door.url("/hang")).send());
    assert!(poll_once(&mut held).await.is_none());
    let started = tokio::time::Instant::now();
    let waits = tokio::spawn(session.get(door.url("/items/1")).send());
    until(|| session.pool_counters().open_failed == 1).await;
    door.admits.store(1, Relaxed);
    assert!(in_time(waits).await.unwrap().unwrap().ok());
    assert_eq!((started.elapsed().as_secs(), session.pool_counters().opened), (1, 2));
    drop(held);
}

#[tokio::test]
async fn those_who_wait_for_a_stream_are_served_in_their_order() {
    let mut script = asked(&[(frames::MAX_CONCURRENT_STREAMS, 1)]);
    for stream in 0..6 {
        script = script.send(frames::answer(2 * stream + 1, "200", "ok")).expect_frame(frames::HEADERS);
    }
    let server = serve([script.hang()]).await;
    let session = speaking(|options| options.connections.max_per_host = Some(1));
    let mut waiting = Vec::new();
    for number in 0..6 {
        let mut request = Box::pin(session.get(server.url(&format!("/{number}"))).send());
        assert!(poll_once(&mut request).await.is_none());
        waiting.push((number, request));
        if number == 0 {
            // Until the server's limit is known.
            in_time(&mut waiting[0].1).await.unwrap();
            waiting.clear();
        }
    }
    waiting.reverse();
    let order = Mutex::new(Vec::new());
    let requests = waiting.into_iter().map(|(number, request)| {
        let order = &order;
        async move {
            request.await.unwrap();
            order.lock().unwrap().push(number);
        }
    });
    in_time(join_all(requests)).await;
    assert_eq!(*order.lock().unwrap(), [1, 2, 3, 4, 5]);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn dropping_a_response_or_a_request_resets_its_stream_only() {
    let origin = origin().await;
    let session = offering(&origin);
    let mut kept = session.get(origin.https_url("/bytes/3000000?seed=2")).send().await.unwrap();
    let mut whole = kept.chunk().await.unwrap().unwrap().to_vec();
    for _ in 0..20 {
        drop(session.get(origin.https_url("/bytes/9000000")).send().await.unwrap());
        let mut hung = Box::pin(session.get(origin.https_url("/hang")).send());
        assert!(poll_once(&mut hung).await.is_none());
        tokio::task::yield_now().await;
        drop(hung);
    }
    while let Some(piece) = in_time(kept.chunk()).await.unwrap() {
        whole.extend_from_slice(&piece);
    }
    assert!(whole == gannet_origin::payload(2, 3_000_000));
    until(|| origin.stats().in_flight == 0).await;
    assert_eq!(connections(&origin.stats()), (1, 1));
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
}

#[tokio::test]
async fn a_dropped_response_is_cancelled_on_the_wire() {
    let head = frames::headers(1, 0, &[(":status", "200")]);
    let server = serve([asked(&[]).send(head).expect_frame(frames::RST_STREAM).hang()]).await;
    let session = speaking(|_| {});
    drop(in_time(session.get(server.url("/")).send()).await.unwrap());
    let sent = || frames_in(&server.received()[0]).into_iter().find(|(kind, ..)| *kind == frames::RST_STREAM);
    until(|| sent().is_some()).await;
    let (_, _, stream, code) = sent().unwrap();
    assert_eq!((stream, code), (1, frames::CANCEL.to_be_bytes().to_vec()));
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
}

/// Answers the requests of one connection with [`POURED`] bytes each, as fast as the client's windows let them out.
struct Pouring {
    url: String,
    /// How much that was so far, by the order of the requests.
    let_out: Arc<Mutex<Vec<usize>>>,
    _task: JoinSet<()>,
}

const POURED: usize = 1_000_000;

impl Pouring {
    async fn start() -> Pouring {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let let_out = Arc::<Mutex<Vec<usize>>>::default();
        let mut tasks = JoinSet::new();
        let counts = let_out.clone();
        tasks.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut conn = h2::server::handshake(stream).await.unwrap();
            let mut bodies = JoinSet::new();
            while let Some(Ok((_, mut respond))) = conn.accept().await {
                // Of a length that is not announced, the first 64 KiB would be taken to see whether that is all.
                let head = http::Response::builder().header("content-length", POURED).body(()).unwrap();
                let body = respond.send_response(head, false).unwrap();
                let mut all = counts.lock().unwrap();
                all.push(0);
                bodies.spawn(Pouring::pour(body, counts.clone(), all.len() - 1));
            }
        });
        Pouring { url, let_out, _task: tasks }
    }

    async fn pour(mut body: h2::SendStream<Bytes>, counts: Arc<Mutex<Vec<usize>>>, nth: usize) {
        let mut left = POURED;
        while left > 0 {
            body.reserve_capacity(left);
            let Some(Ok(room)) = std::future::poll_fn(|cx| body.poll_capacity(cx)).await else { return };
            left -= room;
            counts.lock().unwrap()[nth] += room;
            body.send_data(vec![b'x'; room].into(), left == 0).unwrap();
        }
    }

    fn let_out(&self) -> Vec<usize> {
        self.let_out.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn an_unread_body_holds_up_no_other_and_no_more_than_its_window() {
    let server = Pouring::start().await;
    let session = speaking(|options| {
        (options.http.stream_window, options.http.stream_window_max) = (100_000, 100_000);
    });
    let mut unread = Vec::new();
    for _ in 0..50 {
        unread.push(in_time(session.get(&server.url).send()).await.unwrap());
    }
    until(|| server.let_out() == [100_000; 50]).await;
    let read = in_time(session.get(&server.url).send()).await.unwrap();
    assert_eq!(in_time(read.bytes()).await.unwrap().len(), POURED);
    assert_eq!(server.let_out()[..50], [100_000; 50]);
    for response in unread {
        assert_eq!(in_time(response.bytes()).await.unwrap().len(), POURED);
    }
    assert_eq!(session.pool_counters().opened, 1);
}

#[tokio::test]
async fn a_window_grows_with_a_body_that_is_read_as_it_comes_and_no_further_than_its_largest() {
    let head = frames::headers(1, 0, &[(":status", "200")]);
    let data = |length| frames::data(1, 0, vec![b'x'; length]);
    let acknowledged = frames::frame(frames::SETTINGS, 1, 0, &[]);
    let script = asked(&[]).send(head).send(data(900)).expect_frame(frames::WINDOW_UPDATE);
    let script = script.send(data(1_000)).expect_frame(frames::WINDOW_UPDATE).send(acknowledged);
    let script = script.send(data(3_000)).expect_frame(frames::WINDOW_UPDATE).send(data(3_000));
    let script = script.expect_frame(frames::WINDOW_UPDATE).send(frames::data(1, frames::END_STREAM, "end")).hang();
    let server = serve([script]).await;
    let session = speaking(|options| {
        (options.http.stream_window, options.http.stream_window_max) = (1_000, 3_000);
    });
    let response = in_time(session.get(server.url("/")).send()).await.unwrap();
    assert_eq!(in_time(response.bytes()).await.unwrap().len(), 7_903);
    assert_eq!(windows_told(&server.received()[0]), [1_000, 3_000]);
}

#[tokio::test]
async fn beyond_its_age_a_connection_goes_on_where_no_other_may_be_opened_beside_a_long_stream() {
    let origin = origin().await;
    let session = session(|options| {
        options.tls.extra_roots = vec![origin.ca_pem().to_owned()];
        options.connections.max_per_host = Some(1);
        options.connections.max_age = Some(Duration::from_nanos(1));
    });
    let long = in_time(session.get(origin.https_url("/bytes/9000000")).send()).await.unwrap();
    for id in 1..=3 {
        assert_eq!(in_time(json_of(session.get(origin.https_url(&format!("/items/{id}"))))).await["id"], id);
    }
    assert_eq!(origin.stats().connections_total, 1);
    drop(long);
    in_time(json_of(session.get(origin.https_url("/items/4")))).await;
    assert_eq!(origin.stats().connections_total, 2);
}

/// What a client's SETTINGS said of the initial window, one after another.
fn windows_told(received: &[u8]) -> Vec<u32> {
    let settings = frames_in(received).into_iter().filter(|(kind, ..)| *kind == frames::SETTINGS);
    let values = settings.flat_map(|(.., payload)| {
        let value = |entry: &[u8]| {
            (u16::from_be_bytes([entry[0], entry[1]]), u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]))
        };
        payload.chunks_exact(6).map(value).collect::<Vec<_>>()
    });
    values.filter(|(name, _)| *name == frames::INITIAL_WINDOW_SIZE).map(|(_, value)| value).collect()
}

#[tokio::test]
async fn idle_connections_expire_make_room_and_are_closed_with_the_session() {
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (one, two) = (origin().await, origin().await);
    tokio::task::yield_now().await;
    let before = alive();
    let session = speaking(|options| options.connections.idle = Duration::from_millis(50));
    json_of(session.get(one.url("/items/1"))).await;
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
    until(|| one.stats().connections == 0).await;
    assert_eq!(session.pool_stats(), pool(0, 0, 0));

    let session = speaking(|options| options.connections.max = 1);
    for origin in [&one, &two, &one] {
        json_of(session.get(origin.url("/items/1"))).await;
        assert_eq!(session.pool_stats(), pool(1, 1, 0));
    }
    until(|| one.stats().connections + two.stats().connections == 1).await;
    session.close();
    until(|| one.stats().connections + two.stats().connections == 0).await;
    assert_eq!(session.get(one.url("/")).send().await.unwrap_err().kind(), ErrorKind::Closed);

    let none = speaking(|options| options.connections.idle = Duration::ZERO);
    json_of(none.get(one.url("/items/1"))).await;
    assert_eq!(none.pool_stats(), pool(0, 0, 0));

    let session = speaking(|_| {});
    let body = session.get(one.url("/bytes/9000000")).send().await.unwrap();
    drop(session);
    assert_eq!(in_time(body.bytes()).await.unwrap().len(), 9_000_000);
    until(|| one.stats().connections == 0 && alive() == before).await;
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_is_replaced_for_every_method() {
    for method in ["GET", "POST"] {
        let first = asked(&[]).send(frames::answer(1, "200", "one")).send(frames::goaway(1, 0)).close();
        let second = asked(&[]).send(frames::answer(1, "200", "two")).hang();
        let server = serve([first, second]).await;
        let session = speaking(|_| {});
        session.get(server.url("/")).send().await.unwrap().bytes().await.unwrap();
        in_time(server.wait_for_closed(1)).await;
        let answer = in_time(session.request_named(method, server.url("/")).send()).await.unwrap();
        assert_eq!((answer.text().await.unwrap().as_str(), server.connections()), ("two", 2), "{method}");
    }
}

#[tokio::test]
async fn after_one_stale_connection_a_new_one_is_made_and_no_other_idle_one_tried() {
    let (both, asked) = (Arc::new(Barrier::new(2)), asked(&[(frames::MAX_CONCURRENT_STREAMS, 1)]));
    let answers = |script: Script, stream| script.send(frames::answer(stream, "200", "ok"));
    let dies = |script: Script| script.expect_frame(frames::HEADERS).close();
    // The first answer is there for the limit to be known.
    let first = answers(answers(asked.clone(), 1).expect_frame(frames::HEADERS).meet(&both), 3);
    let second = answers(asked.clone().meet(&both), 1);
    let server = serve([dies(first), dies(second), answers(asked, 1).hang()]).await;
    let session = speaking(|_| {});
    let ask = async || session.get(server.url("/")).send().await.unwrap().text().await.unwrap();
    in_time(Box::pin(ask())).await;
    in_time(Box::pin(async { tokio::join!(ask(), ask()) })).await;
    assert_eq!(session.pool_stats(), pool(2, 2, 0));
    assert_eq!(in_time(Box::pin(ask())).await, "ok");
    assert_eq!((server.connections(), session.pool_stats()), (3, pool(1, 1, 0)));
    assert_eq!(session.pool_counters().closed.stale, 1, "not even tried");
}
