//! What the pool says of connections that many requests share: each counts once, whatever it carries.

use std::sync::Arc;

use gannet::Session;
use tokio::sync::Notify;

use super::*;

fn hosts(session: &Session) -> Vec<(usize, usize, usize)> {
    session.pool_hosts().iter().map(|host| (host.open, host.idle, host.waiting)).collect()
}

#[tokio::test]
async fn a_shared_connection_counts_once_and_is_idle_only_without_a_request() {
    let settings = [(frames::MAX_CONCURRENT_STREAMS, 2)];
    let mut script = asked(&settings).send(frames::answer(1, "200", "ok"));
    script = script.expect_frame(frames::HEADERS).expect_frame(frames::HEADERS).expect_frame(frames::RST_STREAM);
    let script = script.expect_frame(frames::HEADERS).send(frames::answer(7, "200", "last"));
    let server = serve([script.hang()]).await;
    let session = speaking(|options| options.connections.max_per_host = Some(1));
    let url = server.url("/");
    session.get(&url).send().await.unwrap().bytes().await.unwrap();
    assert_eq!((session.pool_stats(), hosts(&session)), (pool(1, 1, 0), vec![(1, 1, 0)]));
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut request = Box::pin(session.get(&url).send());
        assert!(poll_once(&mut request).await.is_none());
        held.push(request);
    }
    assert_eq!((session.pool_stats(), hosts(&session)), (pool(1, 0, 1), vec![(1, 0, 1)]));
    assert_eq!(session.pool_stats().in_use(), 1);
    assert_eq!(session.pool_hosts()[0].host, format!("http://{}", server.addr()));
    // The one that waits gets the room of one that is dropped.
    drop(held.remove(0));
    assert_eq!((session.pool_stats(), hosts(&session)), (pool(1, 0, 0), vec![(1, 0, 0)]));
    let last = held.pop().unwrap();
    assert_eq!(in_time(last).await.unwrap().text().await.unwrap(), "last");
    assert_eq!(session.pool_stats(), pool(1, 0, 0));
    drop(held);
    assert_eq!((session.pool_stats(), hosts(&session)), (pool(1, 1, 0), vec![(1, 1, 0)]));
    let counters = session.pool_counters();
    assert_eq!((counters.opened, counters.reused, counters.closed.total(), counters.open_failed), (1, 3, 0, 0));
    session.close();
    assert_eq!((session.pool_stats(), hosts(&session)), (pool(0, 0, 0), vec![]));
}

#[tokio::test]
async fn every_connection_that_is_gone_was_closed_for_one_reason() {
    let (ok, go) = (|| asked(&[]).send(frames::answer(1, "200", "ok")), Arc::new(Notify::new()));
    let part = [frames::headers(1, 0, &[(":status", "200")]), frames::data(1, 0, "part")].concat();
    for (reason, script) in [
        // Idle, or with its last request on it.
        ("ended", ok().send(frames::goaway(1, frames::NO_ERROR)).hang()),
        ("ended", asked(&[]).send(frames::goaway(1, frames::NO_ERROR)).send(frames::answer(1, "200", "ok")).hang()),
        ("failed", asked(&[]).send(&part).close()),
        ("failed", asked(&[]).send(frames::data(1, 0, "no head")).hang()),
        ("failed", asked(&[]).send(&part).hang()),
        ("stale", ok().wait_for(&go).close()),
        ("evicted", ok().hang()),
        ("expired", ok().hang()),
        ("session_closed", ok().hang()),
    ] {
        let (server, other) = (serve([script, ok().hang()]).await, serve([ok().hang()]).await);
        let session = speaking(|options| {
            options.connections.max = 1;
            options.timeouts.read = Some(Duration::from_millis(if reason == "failed" { 100 } else { 5000 }));
            if reason == "expired" {
                options.connections.idle = Duration::from_millis(20);
            }
        });
        let whole = async { session.get(server.url("/")).send().await?.bytes().await };
        assert_eq!(in_time(whole).await.is_ok(), reason != "failed");
        match reason {
            "evicted" => drop(session.get(other.url("/")).send().await.unwrap()),
            "stale" => go.notify_one(),
            "session_closed" => session.close(),
            _ => {}
        }
        let left = usize::from(reason == "evicted");
        until(|| session.pool_stats().open == left && session.pool_counters().closed.total() == 1).await;
        let counters = session.pool_counters();
        let mut told = serde_json::to_value(counters).unwrap();
        assert_eq!(told["closed"][reason].take(), 1, "{reason}: {counters:?}");
        assert_eq!(counters.opened - 1, left as u64, "{reason}: {counters:?}");
    }
}

#[tokio::test]
async fn requests_on_one_connection_are_used_again_and_a_connect_that_failed_is_counted() {
    let origin = origin().await;
    let session = offering(&origin);
    let requests = (0..20).map(|id| session.get(origin.https_url(&format!("/items/{id}"))).send());
    for response in in_time(futures_util::future::join_all(requests)).await {
        response.unwrap().bytes().await.unwrap();
    }
    let counters = session.pool_counters();
    assert_eq!((counters.opened, counters.reused, counters.closed.total()), (1, 19, 0));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    session.get(format!("https://{nobody}/")).send().await.unwrap_err();
    assert_eq!((session.pool_counters().opened, session.pool_counters().open_failed), (1, 1));
}
