//! The end of a session whose requests share connections: what is under way ends or is cut off, and nothing is left.

use std::sync::Arc;

use gannet::{Body, ErrorKind, Phase, Session};
use gannet_origin::Identity;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::super::closing::{sockets_to, spawn, tasks};
use super::*;

/// What the requests on a connection are in the middle of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Idle,
    /// Before the server's SETTINGS have come.
    Begun,
    Head,
    Body,
    Upload,
    /// One has a stream, the other waits for one.
    Waiting,
}

const STAGES: [Stage; 6] = [Stage::Idle, Stage::Begun, Stage::Head, Stage::Body, Stage::Upload, Stage::Waiting];

struct Scene {
    session: Session,
    server: ScriptedServer,
    requests: Vec<JoinHandle<gannet::Result<bytes::Bytes>>>,
    /// Tasks before there was a session.
    tasks: usize,
}

impl Scene {
    async fn new(stage: Stage, tls: bool) -> Scene {
        let identity = Identity::for_names(&["127.0.0.1"]).unwrap();
        let part = [frames::headers(1, 0, &[(":status", "200")]), frames::data(1, 0, "part")].concat();
        let script = match stage {
            Stage::Idle => asked(&[]).send(frames::answer(1, "200", "ok")).expect_frame(frames::HEADERS),
            Stage::Begun => Script::new().expect_frame(frames::HEADERS),
            Stage::Head | Stage::Upload => asked(&[]).expect_frame(frames::HEADERS),
            Stage::Body => asked(&[]).send(part).expect_frame(frames::HEADERS),
            Stage::Waiting => asked(&[(frames::MAX_CONCURRENT_STREAMS, 1)]).send(frames::answer(1, "200", "ok")),
        };
        let server = match tls {
            true => ScriptedServer::start_tls_http2([script.hang()], &identity).await.unwrap(),
            false => serve([script.hang()]).await,
        };
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let tasks = tasks();
        let session = speaking(|options| {
            options.connections.max_per_host = Some(1);
            options.tls.extra_roots = vec![identity.ca_pem().to_owned()];
        });
        let url = server.url("/");
        if stage == Stage::Waiting {
            // So that the limit is known.
            in_time(spawn(&session, &url)).await.unwrap().unwrap();
        }
        let mut requests: Vec<_> = (0..2).map(|_| spawn(&session, &url)).collect();
        if stage == Stage::Upload {
            let body = Body::stream(futures_util::stream::pending(), None);
            requests[1].abort();
            let upload = session.post(&url).body(body);
            requests[1] = tokio::spawn(async move { upload.send().await?.bytes().await });
        }
        until(|| heads(&server) >= 2 && session.pool_stats().waiting == usize::from(stage == Stage::Waiting)).await;
        if stage == Stage::Idle {
            requests.pop().unwrap().abort();
            assert_eq!(in_time(requests.pop().unwrap()).await.unwrap().unwrap(), "ok");
            until(|| session.pool_stats() == pool(1, 1, 0)).await;
        }
        Scene { session, server, requests, tasks }
    }

    /// Sees that nothing is left of the session once its requests are gone.
    async fn check_gone(server: ScriptedServer, tasks_before: usize) {
        until(|| sockets_to(server.addr()) == 0).await;
        in_time(server.wait_for_connections_closed()).await;
        until(|| tasks() == tasks_before).await;
    }
}

/// Requests that have come on the first connection.
fn heads(server: &ScriptedServer) -> usize {
    let received = server.received();
    let bytes = received.first().filter(|bytes| bytes.len() >= frames::PREFACE.len());
    bytes.map_or(0, |bytes| frames_in(bytes).iter().filter(|(kind, ..)| *kind == frames::HEADERS).count())
}

fn scenes() -> impl Iterator<Item = (Stage, bool)> {
    STAGES.into_iter().flat_map(|stage| [(stage, false), (stage, true)])
}

#[tokio::test]
async fn what_has_not_ended_in_time_is_cut_off_whatever_it_waits_for() {
    for (stage, tls) in scenes() {
        let scene = Scene::new(stage, tls).await;
        let cut = in_time(scene.session.close_within(Duration::from_millis(10))).await;
        assert_eq!(cut, usize::from(stage != Stage::Idle), "{stage:?} {tls}: connections");
        assert_eq!(scene.session.pool_stats(), pool(0, 0, 0), "{stage:?} {tls}");
        let mut phases = Vec::new();
        for request in scene.requests {
            let error = in_time(request).await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed, "{stage:?} {tls}: {error:?}");
            phases.push(error.phase());
        }
        match stage {
            Stage::Idle => assert!(phases.is_empty()),
            Stage::Begun | Stage::Head | Stage::Upload => assert_eq!(phases, [Phase::Head, Phase::Head], "{stage:?}"),
            Stage::Body => assert!(phases.contains(&Phase::Body), "{phases:?}"),
            Stage::Waiting => assert!(phases.contains(&Phase::Pool) && phases.contains(&Phase::Head), "{phases:?}"),
        }
        let counters = scene.session.pool_counters();
        assert_eq!((counters.opened, counters.closed.session_closed), (1, 1), "{stage:?} {tls}: {counters:?}");
        Scene::check_gone(scene.server, scene.tasks).await;
        assert!(scene.session.is_closed());
    }
}

#[tokio::test]
async fn a_session_that_is_dropped_leaves_neither_task_nor_socket_behind() {
    for (stage, tls) in scenes() {
        let Scene { session, server, requests, tasks } = Scene::new(stage, tls).await;
        drop(session);
        for request in requests {
            request.abort();
        }
        Scene::check_gone(server, tasks).await;
    }
}

#[tokio::test]
async fn closing_waits_for_every_stream_under_way_and_lets_in_nothing_new() {
    let go = Arc::new(Notify::new());
    let part = [frames::headers(1, 0, &[(":status", "200")]), frames::data(1, 0, "part")].concat();
    let script = asked(&[]).send(part).expect_frame(frames::HEADERS).wait_for(&go);
    let rest = [frames::data(1, frames::END_STREAM, "whole"), frames::answer(3, "200", "ok")].concat();
    let server = serve([script.send(rest).hang()]).await;
    let session = speaking(|_| {});
    let requests = [spawn(&session, &server.url("/1")), spawn(&session, &server.url("/2"))];
    until(|| heads(&server) == 2).await;
    let mut closing = Box::pin(session.close_within(PATIENCE));
    assert!(poll_once(&mut closing).await.is_none());
    assert_eq!(session.get(server.url("/")).send().await.unwrap_err().kind(), ErrorKind::Closed);
    go.notify_one();
    assert_eq!(in_time(closing).await, 0);
    let mut bodies = Vec::new();
    for request in requests {
        bodies.push(request.await.unwrap().unwrap());
    }
    bodies.sort();
    assert_eq!(bodies, ["ok", "partwhole"]);
    assert_eq!((server.connections(), session.pool_stats()), (1, pool(0, 0, 0)));
    in_time(server.wait_for_connections_closed()).await;
}

#[tokio::test]
async fn a_redirect_and_a_refusal_under_way_go_on_after_the_session_was_closed() {
    let go = Arc::new(Notify::new());
    let away = frames::headers(1, frames::END_STREAM, &[(":status", "302"), ("location", "/b")]);
    let refused = frames::reset(1, frames::REFUSED_STREAM);
    for answer in [away, refused] {
        let first = asked(&[]).wait_for(&go).send(answer).hang();
        let server = serve([first, asked(&[]).send(frames::answer(1, "200", "ok")).hang()]).await;
        let session = speaking(|_| {});
        let request = spawn(&session, &server.url("/a"));
        until(|| heads(&server) == 1).await;
        let mut closing = Box::pin(session.close_within(PATIENCE));
        assert!(poll_once(&mut closing).await.is_none());
        go.notify_one();
        // The connection that is closed takes nothing new.
        assert_eq!(in_time(request).await.unwrap().unwrap(), "ok");
        assert_eq!((in_time(closing).await, server.connections()), (0, 2));
    }
}

#[tokio::test]
async fn a_body_that_is_here_already_is_cut_off_all_the_same() {
    let head = frames::headers(1, 0, &[(":status", "200")]);
    let data: Vec<u8> = (0..20).flat_map(|_| frames::data(1, 0, [b'x'; 16_000])).collect();
    let script = asked(&[]).send(head).send(data).send(frames::frame(frames::PING, 0, 0, &[0; 8]));
    let server = serve([script.expect_frame(frames::PING).hang()]).await;
    let session = speaking(|_| {});
    let mut response = in_time(session.get(server.url("/")).send()).await.unwrap();
    // The ping behind the body was answered, so that all of it is here.
    until(|| frames_in(&server.received()[0]).iter().any(|(kind, ..)| *kind == frames::PING)).await;
    assert!(response.chunk().await.unwrap().is_some());
    assert_eq!(session.close_within(Duration::ZERO).await, 1);
    assert_eq!(response.chunk().await.unwrap_err().kind(), ErrorKind::Closed);
}
