//! What the pool says of itself: at this moment, host by host, and since it was made.

use gannet::Session;

use super::*;

#[tokio::test]
async fn every_connection_is_counted_when_opened_when_used_again_and_when_closed_with_its_reason() {
    let closes = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
    let torn = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart";
    let once = |bytes: &str| Script::new().expect_head().send(bytes);
    // (the reason, the first connection's script, what becomes of the response)
    for reason in ["ended", "failed", "dropped", "stale", "evicted", "expired", "session_closed"] {
        let script = match reason {
            "ended" => once(closes),
            "failed" => once(torn),
            "dropped" => once(torn).hang(),
            "stale" => once(OK).close(),
            _ => answers(OK),
        };
        let (server, other) = (serve([script, answers(OK)]).await, serve([answers(OK)]).await);
        let session = session(|options| {
            options.connections.max = 1;
            if reason == "expired" {
                options.connections.idle = Duration::from_millis(20);
            }
        });
        let response = session.get(server.url("/")).send().await.unwrap();
        match reason {
            "failed" => assert!(response.bytes().await.is_err()),
            "dropped" => drop(response),
            _ => assert_eq!(response.bytes().await.unwrap(), "ok"),
        }
        match reason {
            "stale" => {
                in_time(server.wait_for_closed(1)).await;
                session.get(server.url("/")).send().await.unwrap();
            }
            "evicted" => drop(session.get(other.url("/")).send().await.unwrap()),
            "expired" => until(|| session.pool_stats().open == 0).await,
            "session_closed" => session.close(),
            _ => {}
        }
        let counters = session.pool_counters();
        let mut told = serde_json::to_value(counters).unwrap();
        let again = u64::from(matches!(reason, "stale" | "evicted"));
        assert_eq!((counters.opened, counters.reused, counters.open_failed), (1 + again, 0, 0), "{reason}");
        assert_eq!(told["closed"][reason].take(), 1, "{reason}: {counters:?}");
        assert_eq!(counters.closed.total(), 1, "{reason}: {counters:?}");
        assert_eq!(counters.opened - counters.closed.total(), session.pool_stats().open as u64, "{reason}");
    }
}

#[tokio::test]
async fn connections_used_again_and_connects_that_failed_are_counted() {
    let origin = origin().await;
    let session = Session::default();
    for id in 0..20 {
        session.get(origin.url(&format!("/items/{id}"))).send().await.unwrap();
    }
    let counters = session.pool_counters();
    assert_eq!((counters.opened, counters.reused, counters.closed.total()), (1, 19, 0));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    session.get(format!("http://{nobody}/")).send().await.unwrap_err();
    assert_eq!((session.pool_counters().opened, session.pool_counters().open_failed), (1, 1));
}

#[tokio::test]
async fn hosts_are_told_apart_at_every_moment() {
    let (one, two) = (serve([Script::new().expect_head().hang()]).await, serve([answers(OK)]).await);
    let session = session(|options| options.connections.max_per_host = Some(1));
    session.get(two.url("/")).send().await.unwrap();
    let mut held = Box::pin(session.get(one.url("/")).send());
    let mut waiting = Box::pin(session.get(one.url("/")).send());
    assert!(poll_once(&mut held).await.is_none());
    assert!(poll_once(&mut waiting).await.is_none());
    let mut hosts = session.pool_hosts();
    hosts.sort_by_key(|host| host.idle);
    let told: Vec<_> = hosts.iter().map(|host| (host.host.clone(), host.open, host.idle, host.waiting)).collect();
    let name = |server: &ScriptedServer| format!("http://{}", server.addr());
    assert_eq!(told, [(name(&one), 1, 0, 1), (name(&two), 1, 1, 0)]);
    assert_eq!((session.pool_stats().in_use(), session.pool_stats().idle), (1, 1));
    drop((held, waiting));
    assert_eq!(session.pool_hosts().len(), 1, "a host without a connection or a request is forgotten");
}
