//! One session and one request at a time: what is sent, what comes back, and what is left behind afterwards.

mod auth;
mod blocking;
mod cancelling;
mod certificates;
mod closing;
mod connecting;
mod cookie_files;
mod cookie_vectors;
mod cookies;
mod counters;
mod decoding;
mod downloads;
mod events;
mod expecting;
mod faults;
mod fields;
mod guard;
#[cfg(feature = "hickory")]
mod hickory;
mod http2;
mod middlewares;
mod nonces;
mod origins;
mod parts;
mod pool;
mod proxies;
mod redirects;
mod requests;
mod resolving;
mod responses;
mod retrying;
mod stale;
mod timeouts;
mod timings;
mod tls;
mod tracing;
mod transfers;
mod upgrades;
mod uploads;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use gannet::{Error, Options, PoolStats, Response, Session};
use gannet_origin::script::{Script, ScriptedServer};
use gannet_origin::{Origin, Stats};
use serde_json::Value;

/// Long enough for anything that should happen on loopback; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

async fn origin() -> Origin {
    Origin::start().await.unwrap()
}

fn session(change: impl FnOnce(&mut Options)) -> Session {
    let mut options = Options::default();
    change(&mut options);
    Session::new(options).unwrap()
}

async fn serve(scripts: impl IntoIterator<Item = Script>) -> ScriptedServer {
    ScriptedServer::start(scripts).await.unwrap()
}

/// Reads one head and answers it with these bytes, for as long as requests come.
fn answers(bytes: impl AsRef<[u8]>) -> Script {
    Script::new().expect_head().send(bytes).repeated()
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn json(response: Result<Response, Error>) -> Value {
    response.unwrap().json().await.unwrap()
}

/// Lets everything else run until this holds.
async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("what was waited for never came");
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it hangs")
}

/// Polls a future once: where it has to wait, it stands there.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        std::task::Poll::Ready(match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

fn pool(open: usize, idle: usize, waiting: usize) -> PoolStats {
    let mut stats = PoolStats::default();
    (stats.open, stats.idle, stats.waiting) = (open, idle, waiting);
    stats
}

fn connections(stats: &Stats) -> (u64, u64) {
    (stats.connections_total, stats.max_connections)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
