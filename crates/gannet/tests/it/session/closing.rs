//! The end of a session: what is under way ends or is cut off, whatever it was waiting for, and nothing is left:
//! no task of the runtime's, no socket of the process's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use gannet::trace::Event;
use gannet::{ErrorKind, Phase, Session};
use gannet_origin::Identity;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::timeouts::full_backlog;
use super::*;

const BEGUN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart";

/// The process's sockets that are connected to this address, or are about to be.
pub(super) fn sockets_to(peer: SocketAddr) -> usize {
    let own: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()?.to_str().map(str::to_owned))
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let to = format!(":{:04X}", peer.port());
    let is_ours = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[2].ends_with(&to) && own.iter().any(|inode| inode == fields[9])
    };
    table.lines().skip(1).filter(is_ours).count()
}

pub(super) fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// What a request is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Idle,
    Waiting,
    Connecting,
    Handshake,
    Head,
    Body,
}

/// A server, and a request to it that has come as far as its stage.
struct Scene {
    session: Session,
    server: Option<ScriptedServer>,
    /// Only to fill a backlog.
    _full: Option<(tokio::net::TcpListener, Vec<tokio::net::TcpStream>)>,
    addr: SocketAddr,
    request: JoinHandle<gannet::Result<bytes::Bytes>>,
    /// The request that is waited for.
    first: Option<JoinHandle<gannet::Result<bytes::Bytes>>>,
    /// Tasks of the server's that wait for connections.
    tasks: usize,
}

impl Scene {
    async fn new(stage: Stage, tls: bool) -> Scene {
        let identity = Identity::for_names(&["127.0.0.1"]).unwrap();
        let script = match stage {
            Stage::Idle => answers(OK),
            Stage::Handshake => Script::new().hang(),
            Stage::Body => Script::new().expect_head().send(BEGUN).hang(),
            Stage::Waiting | Stage::Connecting | Stage::Head => Script::new().expect_head().hang(),
        };
        let mut full = None;
        let (server, addr) = if stage == Stage::Connecting {
            let (listener, queued, addr) = full_backlog().await;
            full = Some((listener, queued));
            (None, addr)
        } else {
            let server = match tls && stage != Stage::Handshake {
                true => ScriptedServer::start_tls([script], &identity).await.unwrap(),
                false => serve([script]).await,
            };
            let addr = server.addr();
            (Some(server), addr)
        };
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let alive = tasks();
        let session = session(|options| {
            options.connections.max = 1;
            options.tls.extra_roots = vec![identity.ca_pem().to_owned()];
        });
        let url = format!("{}://{addr}/", if tls { "https" } else { "http" });
        let first = (stage == Stage::Waiting).then(|| spawn(&session, &url));
        if first.is_some() {
            until(|| session.pool_stats() == pool(1, 0, 0)).await;
        }
        let received = Arc::new(AtomicBool::new(false));
        let on_event = received.clone();
        let request = session.get(&url).trace(move |event: &Event<'_>| {
            on_event.fetch_or(matches!(event, Event::BodyReceived { .. }), Relaxed);
        });
        let request = tokio::spawn(async move { request.send().await?.bytes().await });
        let seen = |server: &Option<ScriptedServer>| !server.as_ref().unwrap().received().concat().is_empty();
        match stage {
            Stage::Idle => until(|| session.pool_stats() == pool(1, 1, 0)).await,
            Stage::Waiting => until(|| session.pool_stats() == pool(1, 0, 1)).await,
            Stage::Connecting => until(|| sockets_to(addr) > full.as_ref().unwrap().1.len()).await,
            Stage::Handshake | Stage::Head => until(|| seen(&server)).await,
            Stage::Body => until(|| received.load(Relaxed)).await,
        }
        Scene { session, server, _full: full, addr, request, first, tasks: alive }
    }

    /// Sockets that are none of the session's.
    fn foreign(&self) -> usize {
        self._full.as_ref().map_or(0, |(_, queued)| queued.len())
    }

    /// Sees that nothing is left of the session once its requests are gone.
    async fn check_gone(server: Option<ScriptedServer>, addr: SocketAddr, foreign: usize, tasks_before: usize) {
        until(|| sockets_to(addr) == foreign).await;
        if let Some(server) = &server {
            in_time(server.wait_for_connections_closed()).await;
        }
        until(|| tasks() == tasks_before).await;
    }
}

pub(super) fn spawn(session: &Session, url: &str) -> JoinHandle<gannet::Result<bytes::Bytes>> {
    let request = session.get(url);
    tokio::spawn(async move { request.send().await?.bytes().await })
}

const STAGES: [(Stage, bool); 9] = [
    (Stage::Idle, false),
    (Stage::Idle, true),
    (Stage::Waiting, false),
    (Stage::Connecting, false),
    (Stage::Handshake, true),
    (Stage::Head, false),
    (Stage::Head, true),
    (Stage::Body, false),
    (Stage::Body, true),
];

#[tokio::test]
async fn what_has_not_ended_in_time_is_cut_off_whatever_it_waits_for() {
    for (stage, tls) in STAGES {
        let scene = Scene::new(stage, tls).await;
        let foreign = scene.foreign();
        let cut = in_time(scene.session.close_within(Duration::ZERO)).await;
        assert_eq!(cut, usize::from(stage != Stage::Idle), "{stage:?} {tls}");
        assert_eq!(scene.session.pool_stats(), pool(0, 0, 0), "{stage:?} {tls}");
        let result = in_time(scene.request).await.unwrap();
        match stage {
            Stage::Idle => assert_eq!(result.unwrap(), "ok"),
            _ => {
                let error = result.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Closed, "{stage:?} {tls}: {error:?}");
                let phase = match stage {
                    Stage::Head => Phase::Head,
                    Stage::Body => Phase::Body,
                    _ => Phase::Pool,
                };
                assert_eq!(error.phase(), phase, "{stage:?} {tls}: {error:?}");
            }
        }
        if let Some(first) = scene.first {
            assert_eq!(in_time(first).await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
        }
        let counters = scene.session.pool_counters();
        assert_eq!(counters.opened, counters.closed.total(), "{stage:?} {tls}: {counters:?}");
        // The session itself is still there, and holds nothing.
        Scene::check_gone(scene.server, scene.addr, foreign, scene.tasks).await;
        assert!(scene.session.is_closed());
    }
}

#[tokio::test]
async fn a_session_that_is_dropped_leaves_neither_task_nor_socket_behind() {
    for (stage, tls) in STAGES {
        let scene = Scene::new(stage, tls).await;
        let foreign = scene.foreign();
        let Scene { session, server, addr, request, first, tasks, _full } = scene;
        drop(session);
        request.abort();
        if let Some(first) = first {
            first.abort();
        }
        Scene::check_gone(server, addr, foreign, tasks).await;
    }
}

#[tokio::test]
async fn closing_waits_for_what_is_under_way_and_lets_in_nothing_new() {
    let go = Arc::new(Notify::new());
    let server = serve([Script::new().expect_head().send(BEGUN).wait_for(&go).send("whole").hang()]).await;
    let session = Session::default();
    let request = spawn(&session, &server.url("/"));
    until(|| !server.received().concat().is_empty()).await;
    let mut closing = Box::pin(session.close_within(PATIENCE));
    assert!(poll_once(&mut closing).await.is_none());
    assert_eq!(session.get(server.url("/")).send().await.unwrap_err().kind(), ErrorKind::Closed);
    go.notify_one();
    assert_eq!(in_time(closing).await, 0);
    assert_eq!(request.await.unwrap().unwrap(), "partwhole");
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
    assert_eq!(in_time(session.close_within(PATIENCE)).await, 0, "and again");
}

#[tokio::test]
async fn a_request_under_way_follows_its_redirect_and_repeats_itself_after_the_session_was_closed() {
    let go = Arc::new(Notify::new());
    let away = "HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let server = serve([Script::new().expect_head().wait_for(&go).send(away), answers(OK)]).await;
    let session = Session::default();
    let request = spawn(&session, &server.url("/a"));
    until(|| !server.received().concat().is_empty()).await;
    let mut closing = Box::pin(session.close_within(PATIENCE));
    assert!(poll_once(&mut closing).await.is_none());
    go.notify_one();
    assert_eq!(in_time(request).await.unwrap().unwrap(), "ok");
    assert_eq!(in_time(closing).await, 0);
    assert_eq!(server.connections(), 2);
    let stale = Script::new().expect_head().send(OK).expect_head().wait_for(&go).close();
    let server = serve([stale, answers(OK)]).await;
    let session = Session::default();
    session.get(server.url("/a")).send().await.unwrap();
    let request = spawn(&session, &server.url("/b"));
    until(|| text(&server.received().concat()).contains("GET /b")).await;
    session.close();
    go.notify_one();
    assert_eq!(in_time(request).await.unwrap().unwrap(), "ok");
}

#[tokio::test]
async fn a_body_that_nobody_reads_fails_when_it_is_read_later() {
    let server = serve([Script::new().expect_head().send(BEGUN).hang()]).await;
    let session = Session::default();
    let response = session.get(server.url("/")).send().await.unwrap();
    assert_eq!(in_time(session.close_within(Duration::ZERO)).await, 1);
    assert_eq!(session.pool_stats(), pool(1, 0, 0), "its connection is still its own");
    let error = response.bytes().await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Closed, Phase::Body));
    assert_eq!(session.pool_stats(), pool(0, 0, 0));
}

#[test]
fn the_blocking_door_closes_within_its_time_too() {
    let server = ScriptedServer::start_blocking([Script::new().expect_head().send(BEGUN).hang()]).unwrap();
    let session = gannet::blocking::Session::new(Options::default()).unwrap();
    let url = server.url("/");
    let reader = std::thread::spawn({
        let session = session.clone();
        move || session.get(url).send().unwrap().bytes().unwrap_err().kind()
    });
    while session.as_ref().pool_counters().opened == 0 {
        std::thread::yield_now();
    }
    assert_eq!(session.close_within(Duration::from_millis(20)), 1);
    assert_eq!(reader.join().unwrap(), ErrorKind::Closed);
}
