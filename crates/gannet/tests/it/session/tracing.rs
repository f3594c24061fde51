//! What those who watch are told, and in which order.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use gannet::trace::{Begin, Event, RequestTrace, Trace};
use gannet::{Body, Session};

use super::*;

/// Events as lines, those of each request between `begin` and `dropped`.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn say(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

struct Watcher(Log);

impl RequestTrace for Watcher {
    fn on_event(&self, event: &Event<'_>) {
        self.0.say(name(event));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.say("dropped");
    }
}

impl Trace for Log {
    fn begin(&self, request: &Begin<'_>) -> Option<Arc<dyn RequestTrace>> {
        if request.context::<bool>() == Some(&false) {
            return None;
        }
        self.say(format!("begin {} {}", request.method, request.url.get().path()));
        Some(Arc::new(Watcher(self.clone())))
    }
}

fn name(event: &Event<'_>) -> String {
    match event {
        Event::QueueStart => "queue".into(),
        Event::QueueEnd { .. } => "turn".into(),
        Event::DnsStart { host } => format!("dns {host}"),
        Event::DnsCacheHit { host } => format!("dns cache {host}"),
        Event::DnsEnd { addresses, .. } => format!("dns end {}", addresses.iter().all(std::net::IpAddr::is_loopback)),
        Event::ConnectStart { host, .. } => format!("connect {host}"),
        Event::ConnectEnd { peer, .. } => format!("connected {}", peer.unwrap().ip().is_loopback()),
        Event::TlsStart => "tls".into(),
        Event::TlsEnd { .. } => "secured".into(),
        Event::Reused { served, .. } => format!("reused {served}"),
        Event::Sending { .. } => "sending".into(),
        Event::HeadSent { .. } => "head sent".into(),
        Event::BodySent { bytes } => format!("body sent {bytes}"),
        Event::HeadReceived { status, .. } => format!("head {}", status.as_u16()),
        Event::BodyReceived { bytes } => format!("body {bytes}"),
        Event::Redirect { status, to, method, .. } => format!("{} {method} {}", status.as_u16(), to.get().path()),
        Event::Retry { reason } => format!("retry {reason:?}"),
        Event::End { timings } => format!("end {}", timings.total.is_some()),
        Event::Error { error } => format!("error {}", error.kind()),
        other => format!("{other:?}"),
    }
}

fn watched(log: &Log, change: impl FnOnce(&mut Options)) -> Session {
    let mut options = Options::default();
    change(&mut options);
    Session::builder(options).trace(log.clone()).build().unwrap()
}

#[tokio::test]
async fn a_request_is_told_from_its_lookup_to_its_last_byte() {
    let identity = gannet_origin::Identity::for_names(&["localhost"]).unwrap();
    let server = ScriptedServer::start_tls([answers(OK), answers(OK)], &identity).await.unwrap();
    let log = Log::default();
    let session = watched(&log, |options| options.tls.extra_roots = vec![identity.ca_pem().to_owned()]);
    let url = format!("https://localhost:{}/a?token=s3cret", server.addr().port());
    session.get(&url).send().await.unwrap().bytes().await.unwrap();
    let opening = ["dns localhost", "dns end true", "connect localhost", "connected true", "tls", "secured"];
    let exchange = ["sending", "head sent", "head 200", "body 2", "end true", "dropped"];
    assert_eq!(log.take(), [&["begin GET /a"], &opening[..], &exchange].concat());
    session.get(&url).send().await.unwrap();
    assert_eq!(log.take(), [&["begin GET /a", "reused 1"], &exchange[..]].concat());
    // A second connection at once: its lookup is known.
    let mut held = Box::pin(session.get(&url).send());
    assert!(poll_once(&mut held).await.is_none());
    log.take();
    session.get(&url).send().await.unwrap();
    assert_eq!(log.take()[..3], ["begin GET /a", "dns cache localhost", "connect localhost"]);
}

/// The heads that go out, as they would stand on the wire; what is shown of them beside.
fn heads(log: &Log) -> impl Fn(&Event<'_>) + use<> {
    let log = log.clone();
    move |event: &Event<'_>| {
        let Event::Sending { version, method, url, whole, headers } = event else { return };
        assert!(!format!("{event:?}").contains("s3cret"), "{event:?}");
        let url = url.get();
        let target = if *whole { url.as_str() } else { &url[url::Position::BeforePath..] };
        let fields = headers.get().iter().map(|(name, value)| format!("{name}: {}\r\n", text(value)));
        log.say(format!("{method} {target} {version:?}\r\n{}\r\n", fields.collect::<String>()));
    }
}

#[tokio::test]
async fn the_heads_that_go_out_are_told_as_they_are_on_the_wire() {
    let asks = "HTTP/1.1 401 X\r\nwww-authenticate: Digest realm=r, nonce=s3cret, qop=auth\r\n\
         set-cookie: key=s3cret\r\ncontent-length: 0\r\n\r\n";
    let away = "HTTP/1.1 307 X\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n";
    let script = Script::new().expect_head().expect_body(4).send(asks).expect_head().expect_body(4).send(away);
    let server = serve([script.expect_head().expect_body(4).send(OK)]).await;
    let (log, session) = (Log::default(), session(|options| options.headers.append("x-all", "1").unwrap()));
    let request = session.post(server.url("/a?b")).digest_auth("me", "pw").header("x-one", "2").body("body");
    request.trace(heads(&log)).send().await.unwrap();
    let told = log.take();
    let received = text(&server.received().concat()).replace("HTTP/1.1", "Http11");
    assert_eq!(told.concat(), received.replace("\r\n\r\nbody", "\r\n\r\n"));
    assert!(told.len() == 3 && told[1].contains("cookie: key=s3cret") && told[1].contains("authorization: Digest "));

    let proxy = gannet_origin::Proxy::start().await.unwrap();
    let origin = origin().await;
    let url = origin.url("/anything?c=d");
    session.get(&url).proxy(&proxy.url("http")).trace(heads(&log)).send().await.unwrap();
    assert!(log.take().concat().starts_with(&format!("GET {url} Http11\r\nhost: 127.0.0.1:")));
}

#[tokio::test]
async fn a_redirect_and_an_upload_are_told_in_their_parts() {
    let round = "HTTP/1.1 307 Temporary Redirect\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n";
    let script = Script::new().expect_head().expect_body(4).send(round).expect_head().expect_body(4).send(OK).hang();
    let server = serve([script]).await;
    let log = Log::default();
    watched(&log, |_| {}).post(server.url("/a")).body("body").send().await.unwrap();
    let lines = [
        "begin POST /a",
        "connect 127.0.0.1",
        "connected true",
        "sending",
        "head sent",
        "body sent 4",
        "head 307",
        "307 POST /b",
        "reused 1",
        "sending",
        "head sent",
        "body sent 4",
        "head 200",
        "body 2",
        "end true",
        "dropped",
    ];
    assert_eq!(log.take(), lines);
    let pieces = (0..3).map(|_| Ok(Bytes::from_static(b"12345")));
    let body = Body::stream(futures_util::stream::iter(pieces), Some(15));
    let origin = origin().await;
    watched(&log, |_| {}).put(origin.url("/anything")).body(body).send().await.unwrap();
    let sent: u64 = log.take().iter().filter_map(|line| line.strip_prefix("body sent ")?.parse::<u64>().ok()).sum();
    assert_eq!(sent, 15);
}

#[tokio::test]
async fn a_stale_connection_and_the_wait_for_a_free_one_are_told() {
    let dies = Script::new().expect_head().send(OK).expect_head().close();
    let server = serve([dies, answers(OK)]).await;
    let log = Log::default();
    let session = watched(&log, |options| options.connections.max = 1);
    session.get(server.url("/a")).send().await.unwrap();
    log.take();
    session.get(server.url("/b")).send().await.unwrap();
    let lines = [
        "begin GET /b",
        "reused 1",
        "sending",
        "head sent",
        "retry StaleConnection",
        "connect 127.0.0.1",
        "connected true",
        "sending",
        "head sent",
        "head 200",
        "body 2",
        "end true",
        "dropped",
    ];
    assert_eq!(log.take(), lines);
    let mut held = Box::pin(session.get(server.url("/c")).trace_context(false).send());
    let mut waiting = Box::pin(session.get(server.url("/d")).send());
    assert!(poll_once(&mut held).await.is_none());
    assert!(poll_once(&mut waiting).await.is_none());
    assert_eq!(log.take(), ["begin GET /d", "queue"]);
    let (_, waited) = tokio::join!(held, waiting);
    waited.unwrap();
    assert_eq!(log.take()[..2], ["turn", "reused 2"]);
}

#[tokio::test]
async fn a_failure_is_told_once_and_what_is_dropped_ends_without_a_word() {
    let torn = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart";
    let server = serve([Script::new().expect_head().send(torn).close(), Script::new().close()]).await;
    let log = Log::default();
    let session = watched(&log, |_| {});
    let response = session.get(server.url("/")).send().await.unwrap();
    assert!(response.bytes().await.is_err());
    let lines = log.take();
    assert_eq!(lines[lines.len() - 2..], ["error body", "dropped"], "{lines:?}");
    assert!(session.get(server.url("/")).send().await.is_err());
    let lines = log.take();
    assert_eq!(lines[lines.len() - 2..], ["error connection", "dropped"], "{lines:?}");
    let origin = origin().await;
    let mut unread = session.get(origin.url("/bytes/3000000")).send().await.unwrap();
    unread.chunk().await.unwrap();
    drop(unread);
    let lines = log.take();
    assert!(lines[lines.len() - 1] == "dropped" && !lines.iter().any(|line| line.starts_with("end")), "{lines:?}");
    let never = format!("http://{}/", server.addr());
    drop(Box::pin(session.get(never).send()));
    assert_eq!(log.take(), [""; 0], "what was never polled never began");
}

#[tokio::test]
async fn one_request_is_watched_by_itself_and_no_event_shows_a_secret() {
    let origin = origin().await;
    let (log, shown) = (Log::default(), Log::default());
    let session = watched(&log, |_| {});
    let url = origin.url("/cookies/set?token=s3cret");
    let request = session.get(&url).basic_auth("me", Some("s3cret")).trace_context(false);
    let into = shown.clone();
    let request = request.trace(Watcher(log.clone())).trace(move |event: &Event<'_>| into.say(format!("{event:?}")));
    request.send().await.unwrap().bytes().await.unwrap();
    let lines = log.take();
    assert!(!lines.iter().any(|line| line.starts_with("begin")), "the session's own had no interest: {lines:?}");
    assert_eq!(lines.iter().filter(|line| *line == "dropped").count(), 1);
    let shown = shown.take();
    assert_eq!(shown.len(), lines.len() - 1);
    assert!(shown.iter().any(|line| line.contains("token=***")), "{shown:?}");
    assert!(!shown.concat().contains("s3cret"), "{shown:?}");
    let place =
        "HTTP/1.1 200 OK\r\nlocation: /a?code=s3cret\r\nset-cookie: s3cret=s3cret\r\ncontent-length: 2\r\n\r\nok";
    let (server, into) = (serve([answers(place)]).await, Log::default());
    let says = into.clone();
    let request =
        Session::default().get(server.url("/")).trace(move |event: &Event<'_>| says.say(format!("{event:?}")));
    request.send().await.unwrap();
    let shown = into.take().concat();
    assert!(shown.contains("/a?***") && !shown.contains("s3cret"), "{shown}");
}
