//! The pool over real sockets: reuse, caps, fairness, and what may not be used again.

use std::sync::Arc;

use futures_util::future::join_all;
use gannet::{ConnectionLimits, ErrorKind, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Barrier, Notify};

use super::*;

#[tokio::test]
async fn one_connection_carries_one_request_after_another() {
    let (origin, session) = (origin().await, Session::default());
    for id in 0..20 {
        session.get(origin.url(&format!("/items/{id}"))).send().await.unwrap().bytes().await.unwrap();
    }
    session.post(origin.url("/post")).body("x").send().await.unwrap().bytes().await.unwrap();
    assert_eq!(connections(&origin.stats()), (1, 1));
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
}

#[tokio::test]
async fn open_sockets_never_exceed_the_cap_as_the_server_counts_them() {
    for limit_host in [false, true] {
        let origin = origin().await;
        let session = session(|options| match limit_host {
            true => options.connections.max_per_host = Some(3),
            false => options.connections.max = 3,
        });
        let requests = (0..60).map(|id| {
            let request = session.get(origin.url(&format!("/items/{id}?delay=0.002")));
            async move { request.send().await.unwrap().bytes().await.unwrap() }
        });
        join_all(requests).await;
        assert_eq!(connections(&origin.stats()), (3, 3), "per host: {limit_host}");
        assert_eq!(origin.stats().max_in_flight, 3);
        assert_eq!(session.pool_stats(), pool(3, 3, 0));
    }
}

#[tokio::test]
async fn both_caps_hold_over_several_hosts() {
    let origin =
        gannet_origin::Origin::builder().also_listen("127.0.0.1:0").also_listen("127.0.0.1:0").start().await.unwrap();
    let session = session(|options| {
        options.connections.max = 5;
        options.connections.max_per_host = Some(2);
    });
    let open = session.clone();
    let watch = tokio::spawn(async move {
        loop {
            assert!(open.pool_stats().open <= 5);
            tokio::task::yield_now().await;
        }
    });
    let requests = (0..90).map(|id| {
        let request = session.get(origin.url_at(id % 3, &format!("/items/{id}?delay=0.001")));
        async move { request.send().await.unwrap().bytes().await.unwrap() }
    });
    in_time(join_all(requests)).await;
    assert!(!watch.is_finished());
    watch.abort();
    for (name, host) in &origin.stats().hosts {
        // A connection that makes room for another host's is seen to end a moment later.
        assert!(host.max_in_flight <= 2 && host.requests == 30, "{name}: {host:?}");
    }
    assert!(origin.stats().max_in_flight <= 5);
    assert_eq!(session.pool_stats().open, session.pool_stats().idle);
}

#[tokio::test]
async fn who_waits_longest_is_served_first() {
    let server = serve([answers(OK)]).await;
    let session = session(|options| options.connections.max = 1);
    let held = session.get(server.url("/held")).send();
    let mut waiting = Vec::new();
    let mut held = Box::pin(held);
    assert!(poll_once(&mut held).await.is_none());
    for number in 0..8 {
        let mut request = Box::pin(session.get(server.url(&format!("/{number}"))).send());
        assert!(poll_once(&mut request).await.is_none());
        waiting.push(request);
    }
    assert_eq!(session.pool_stats(), pool(1, 0, 8));
    held.await.unwrap();
    // Polled last to first: the order is the pool's and not ours.
    waiting.reverse();
    for response in in_time(join_all(waiting)).await {
        response.unwrap();
    }
    let seen = text(&server.received()[0]);
    let order: Vec<&str> = seen.split("GET /").skip(1).map(|head| head.split(' ').next().unwrap()).collect();
    assert_eq!(order, ["held", "0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[tokio::test]
async fn a_waiter_that_gives_up_loses_no_slot() {
    let server = serve([answers(OK)]).await;
    let session = session(|options| options.connections.max = 1);
    let mut held = Box::pin(session.get(server.url("/held")).send());
    assert!(poll_once(&mut held).await.is_none());
    let mut waiting: Vec<_> = (0..6).map(|n| Box::pin(session.get(server.url(&format!("/{n}"))).send())).collect();
    for request in &mut waiting {
        assert!(poll_once(request).await.is_none());
    }
    // First, last and one between leave while waiting; another leaves when its turn has come and it does not know.
    drop(waiting.remove(0));
    drop(waiting.remove(2));
    drop(waiting.pop());
    assert_eq!(session.pool_stats(), pool(1, 0, 3));
    held.await.unwrap();
    assert_eq!(session.pool_stats().waiting, 2);
    drop(waiting.remove(0));
    for response in in_time(join_all(waiting)).await {
        response.unwrap();
    }
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
}

#[tokio::test]
async fn an_idle_connection_is_closed_when_its_time_is_over() {
    let server = serve([answers(OK)]).await;
    let session = session(|options| options.connections.idle = Duration::from_millis(50));
    session.get(server.url("/")).send().await.unwrap();
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
    in_time(server.wait_for_closed(1)).await;
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
    let none = super::session(|options| options.connections.idle = Duration::ZERO);
    none.get(server.url("/")).send().await.unwrap();
    assert_eq!(none.pool_stats(), pool(0, 0, 0));
}

#[tokio::test]
async fn an_idle_connection_of_another_host_makes_room_at_the_cap() {
    let (one, two) = (serve([answers(OK)]).await, serve([answers(OK)]).await);
    let session = session(|options| options.connections.max = 1);
    for _ in 0..3 {
        session.get(one.url("/")).send().await.unwrap();
        session.get(two.url("/")).send().await.unwrap();
        assert_eq!(session.pool_stats(), pool(1, 1, 0));
    }
    in_time(one.wait_for_closed(3)).await;
    assert_eq!((one.connections(), two.connections()), (3, 3));
}

#[tokio::test]
async fn a_waiter_of_another_host_gets_the_slot_before_a_later_one_of_the_same() {
    let go = Arc::new(Notify::new());
    let one = serve([Script::new().expect_head().wait_for(&go).send(OK).repeated()]).await;
    let two = serve([answers(OK)]).await;
    let session = session(|options| options.connections.max = 1);
    let mut first = Box::pin(session.get(one.url("/")).send());
    let mut other = Box::pin(session.get(two.url("/")).send());
    let mut same = Box::pin(session.get(one.url("/")).send());
    assert!(poll_once(&mut first).await.is_none());
    assert!(poll_once(&mut other).await.is_none());
    assert!(poll_once(&mut same).await.is_none());
    go.notify_one();
    in_time(first).await.unwrap();
    in_time(one.wait_for_closed(1)).await;
    in_time(other).await.unwrap();
    go.notify_one();
    in_time(same).await.unwrap();
    assert_eq!((one.connections(), two.connections()), (2, 1));
}

#[tokio::test]
async fn item_16_surplus_bytes_behind_a_response_end_the_connection() {
    let server = serve([answers(format!("{OK}surplus"))]).await;
    let session = Session::default();
    for _ in 0..2 {
        assert_eq!(session.get(server.url("/")).send().await.unwrap().text().await.unwrap(), "ok");
        assert_eq!(session.pool_stats(), pool(0, 0, 0));
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn item_16_unsolicited_data_on_an_idle_connection_is_no_answer() {
    let (go, sent) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let forged = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
    let evil = Script::new().expect_head().send(OK).wait_for(&go).send(forged).signal(&sent).hang();
    for method in ["GET", "POST"] {
        let server = serve([evil.clone(), answers(OK)]).await;
        let session = Session::default();
        session.get(server.url("/")).send().await.unwrap();
        assert_eq!(session.pool_stats(), pool(1, 1, 0));
        go.notify_one();
        sent.notified().await;
        // The runtime looks at its sockets before the next turn.
        tokio::task::yield_now().await;
        let answer = session.request_named(method, server.url("/")).send().await.unwrap().text().await.unwrap();
        assert_eq!((answer.as_str(), server.connections()), ("ok", 2), "{method}");
    }
}

#[tokio::test]
async fn item_16_unsolicited_data_before_a_connection_is_handed_on_is_no_answer() {
    let (more, go, sent) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let forged = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
    let (most, last) = OK.split_at(OK.len() - 1);
    let evil = Script::new().expect_head().send(most).wait_for(&more).send(last);
    let evil = evil.wait_for(&go).send(forged).signal(&sent).hang();
    for method in ["GET", "POST"] {
        let server = serve([evil.clone(), answers(OK)]).await;
        let session = session(|options| options.connections.max = 1);
        let first = session.get(server.url("/")).send().await.unwrap();
        let mut second = pin!(session.request_named(method, server.url("/")).send());
        assert!(poll_once(&mut second).await.is_none(), "it waits in line");
        more.notify_one();
        assert_eq!(first.text().await.unwrap(), "ok");
        go.notify_one();
        sent.notified().await;
        tokio::task::yield_now().await;
        let answer = in_time(second).await.unwrap().text().await.unwrap();
        assert_eq!((answer.as_str(), server.connections()), ("ok", 2), "{method}");
    }
}

/// A task that has used up its turn is told to wait by every socket, whatever is there.
#[tokio::test]
async fn item_16_unsolicited_data_is_no_answer_for_a_task_that_sends_very_much_at_once() {
    const MANY: usize = 400;
    let go = Arc::new(Barrier::new(MANY + 1));
    let forged = "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let all = Arc::new(tokio::sync::Semaphore::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (meet, told) = (go.clone(), all.clone());
    tokio::spawn(async move {
        for number in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (meet, told) = (meet.clone(), told.clone());
            tokio::spawn(async move {
                let mut head = [0; 4096];
                while matches!(stream.read(&mut head).await, Ok(1..)) {
                    stream.write_all(OK.as_bytes()).await.unwrap();
                    if number < MANY {
                        meet.wait().await;
                        stream.write_all(forged.as_bytes()).await.unwrap();
                        told.add_permits(1);
                    }
                }
            });
        }
    });
    let session = session(|options| options.connections.max = 2 * MANY);
    let get = || async { session.get(&url).send().await.unwrap().status().as_u16() };
    let first = join_all((0..MANY).map(|_| get()));
    assert_eq!(first.await, [200; MANY]);
    go.wait().await;
    let _ = all.acquire_many(MANY as u32).await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(join_all((0..MANY).map(|_| get())).await, [200; MANY]);
}

/// RFC 9112 §9.6: who has said it is the last one sends no other.
#[tokio::test]
async fn a_connection_that_a_request_asked_to_be_closed_carries_no_other() {
    for by_session in [false, true] {
        let server = serve([answers(OK)]).await;
        let session = session(|options| {
            if by_session {
                options.headers.append("Connection", "keep-alive, Close").unwrap();
            }
        });
        for _ in 0..2 {
            let request = session.get(server.url("/"));
            let request = if by_session { request } else { request.header("connection", "close") };
            assert_eq!(request.send().await.unwrap().text().await.unwrap(), "ok");
            assert_eq!(session.pool_stats(), pool(0, 0, 0));
        }
        assert_eq!(server.connections(), 2);
        let open = session.get(server.url("/")).header("connection", "keep-alive").send().await.unwrap();
        assert_eq!((open.text().await.unwrap().as_str(), session.pool_stats().idle), ("ok", 1));
    }
}

#[tokio::test]
async fn item_16_an_unread_body_is_not_read_by_the_next_request() {
    let (origin, session) = (origin().await, session(|options| options.connections.max = 1));
    drop(session.get(origin.url("/bytes/10000000")).send().await.unwrap());
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
    let mut part = session.get(origin.url("/bytes/10000000?chunked=1")).send().await.unwrap();
    part.chunk().await.unwrap();
    drop(part);
    assert_eq!(json(session.get(origin.url("/items/1")).send().await).await["id"], 1);
    assert_eq!(origin.stats().connections_total, 3);
}

#[tokio::test]
async fn a_response_dropped_with_all_of_its_body_at_hand_leaves_its_connection_to_the_next_request() {
    for answer in [OK, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"] {
        let (server, session) = (serve([answers(answer)]).await, Session::default());
        for _ in 0..3 {
            drop(session.get(server.url("/")).send().await.unwrap());
            assert_eq!(session.pool_stats(), pool(1, 1, 0), "{answer}");
        }
        assert_eq!(server.connections(), 1, "{answer}");
    }
    let (origin, session) = (origin().await, Session::default());
    let mut pieces = session.get(origin.url("/bytes/1000000")).send().await.unwrap();
    let mut left = 1_000_000;
    while left > 0 {
        left -= pieces.chunk().await.unwrap().unwrap().len();
    }
    drop(pieces);
    assert_eq!(json(session.get(origin.url("/items/1")).send().await).await["id"], 1);
    assert_eq!(connections(&origin.stats()), (1, 1));
}

#[tokio::test]
async fn a_server_that_closes_after_its_answer_is_believed() {
    for head in ["HTTP/1.1 200 OK\r\nConnection: foo, Close\r\n", "HTTP/1.0 200 OK\r\n"] {
        let bytes = format!("{head}content-length: 2\r\n\r\nok");
        let server = serve([Script::new().expect_head().send(bytes).hang()]).await;
        let session = Session::default();
        assert_eq!(session.get(server.url("/")).send().await.unwrap().text().await.unwrap(), "ok");
        assert_eq!(session.pool_stats(), pool(0, 0, 0));
    }
    let kept = "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok";
    let server = serve([answers(kept)]).await;
    let session = Session::default();
    session.get(server.url("/")).send().await.unwrap();
    assert_eq!(session.pool_stats(), pool(1, 1, 0));
}

#[tokio::test]
async fn closing_ends_what_is_idle_lets_go_of_who_waits_and_lets_work_finish() {
    let barrier = Arc::new(Barrier::new(2));
    let slow = Script::new().expect_head().meet(&barrier).send(OK).hang();
    let server = serve([answers(OK), slow]).await;
    let session = session(|options| options.connections.max = 2);
    let mut first = Box::pin(session.get(server.url("/")).send());
    assert!(poll_once(&mut first).await.is_none());
    let mut working = Box::pin(session.get(server.url("/slow")).send());
    while server.connections() < 2 {
        assert!(poll_once(&mut working).await.is_none());
        tokio::task::yield_now().await;
    }
    let mut waiting = Box::pin(session.get(server.url("/late")).send());
    assert!(poll_once(&mut waiting).await.is_none());
    session.close();
    session.close();
    assert!(session.is_closed());
    assert_eq!(in_time(waiting).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(session.get(server.url("/")).send().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(first.await.unwrap().text().await.unwrap(), "ok");
    let (_, response) = tokio::join!(barrier.wait(), working);
    assert_eq!(response.unwrap().text().await.unwrap(), "ok");
    in_time(server.wait_for_connections_closed()).await;
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
}

#[tokio::test]
async fn dropping_the_last_clone_closes_idle_connections_and_no_body() {
    let (origin, session) = (origin().await, Session::default());
    let body = session.get(origin.url("/bytes/3000000")).send().await.unwrap();
    let clone = session.clone();
    session.get(origin.url("/items/1")).send().await.unwrap().bytes().await.unwrap();
    drop(session);
    assert_eq!(clone.pool_stats(), pool(2, 1, 0));
    drop(clone);
    until(|| origin.stats().connections == 1).await;
    assert_eq!(body.bytes().await.unwrap().len(), 3_000_000);
    until(|| origin.stats().connections == 0).await;
}

fn limits(max: usize, max_per_host: Option<usize>) -> ConnectionLimits {
    ConnectionLimits { max, max_per_host }
}

#[tokio::test]
async fn caps_can_be_changed_between_requests_and_hold_as_the_server_counts_them() {
    let origin = origin().await;
    let session = Session::default();
    assert_eq!(session.connection_limits(), limits(512, None));
    for (caps, most) in [(limits(4, None), 4), (limits(2, None), 2), (limits(9, Some(3)), 3), (limits(9, Some(6)), 6)] {
        session.set_connection_limits(caps);
        assert_eq!(session.connection_limits(), caps);
        let kept = session.pool_stats();
        assert!(kept.open <= most && kept.open == kept.idle, "{kept:?} is more than {caps:?} allow");
        until(|| origin.stats().connections == kept.open as u64).await;
        origin.reset_stats();
        let requests = (0..40).map(|id| {
            let request = session.get(origin.url(&format!("/items/{id}?delay=0.002")));
            async move { request.send().await.unwrap().bytes().await.unwrap() }
        });
        in_time(join_all(requests)).await;
        assert_eq!(origin.stats().max_in_flight, most as u64, "{caps:?}");
        assert_eq!(session.pool_stats(), pool(most, most, 0));
    }
}

#[tokio::test]
async fn a_raised_cap_serves_who_waits_at_once_and_a_lowered_one_disturbs_nobody() {
    let go = Arc::new(Notify::new());
    let script = || Script::new().expect_head().wait_for(&go).send(OK).expect_head().send(OK).hang();
    let server = serve([script(), script(), script(), script()]).await;
    let session = session(|options| options.connections.max = 1);
    let mut requests: Vec<_> = (0..4)
        .map(|number| {
            let request = session.get(server.url(&format!("/{number}")));
            Box::pin(async move { request.send().await.unwrap().text().await.unwrap() })
        })
        .collect();
    for request in &mut requests {
        assert!(poll_once(request).await.is_none());
    }
    assert_eq!(session.pool_stats(), pool(1, 0, 3));
    session.set_connection_limits(limits(4, None));
    assert_eq!(session.pool_stats(), pool(4, 0, 0));
    for request in &mut requests {
        assert!(poll_once(request).await.is_none());
    }
    in_time(server.wait_for_connections(4)).await;
    session.set_connection_limits(limits(4, Some(2)));
    assert_eq!(session.pool_stats(), pool(4, 0, 0), "what is under way goes on");
    for left in [3, 2, 2, 2] {
        go.notify_one();
        let (body, _, others) = in_time(futures_util::future::select_all(requests)).await;
        requests = others;
        assert_eq!((body.as_str(), session.pool_stats().open), ("ok", left));
    }
    assert_eq!(session.pool_stats(), pool(2, 2, 0));
    assert_eq!(session.pool_counters().closed.evicted, 2);
}

/// Time stands still but for this leap.
async fn later(wait: Duration) {
    tokio::time::pause();
    tokio::time::advance(wait).await;
    tokio::time::resume();
}

#[tokio::test]
async fn no_request_begins_on_a_connection_beyond_its_age_and_none_is_cut_off_by_it() {
    let origin = origin().await;
    let aged = |change: fn(&mut Options)| {
        session(move |options| {
            options.connections.max_age = Some(Duration::from_secs(10));
            options.connections.idle = Duration::from_secs(3600);
            change(options);
        })
    };
    let versions: [fn(&mut Options); 2] =
        [|_| {}, |options| options.http.version = gannet::HttpVersion::Http2PriorKnowledge];
    for version in versions {
        origin.reset_stats();
        let session = aged(version);
        let get = || async { session.get(origin.url("/bytes/300000?seed=1")).send().await.unwrap() };
        get().await.bytes().await.unwrap();
        later(Duration::from_secs(9)).await;
        let under_way = get().await;
        later(Duration::from_secs(2)).await;
        let second = get().await;
        assert_eq!(under_way.bytes().await.unwrap(), gannet_origin::payload(1, 300_000));
        second.bytes().await.unwrap();
        get().await.bytes().await.unwrap();
        assert_eq!(session.pool_stats(), pool(1, 1, 0));
        let counters = session.pool_counters();
        assert_eq!((counters.opened, counters.reused), (2, 2));
        later(Duration::from_secs(20)).await;
        get().await.bytes().await.unwrap();
        let counters = session.pool_counters();
        assert_eq!((counters.opened, counters.closed.total()), (3, 2));
    }
}

#[tokio::test]
async fn an_age_of_nothing_keeps_no_connection() {
    let origin = origin().await;
    let session = session(|options| options.connections.max_age = Some(Duration::ZERO));
    for _ in 0..3 {
        session.get(origin.url("/items/1")).send().await.unwrap().bytes().await.unwrap();
        assert_eq!(session.pool_stats(), pool(0, 0, 0));
    }
    assert_eq!(session.pool_counters().closed.expired, 3);
}
