//! hyper as the oracle: what it reads as we do, and the rows where it does not, each with its reason.

use std::future::Future;

use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::drive::{Done, Read, read};
use super::row::{Expect, Hyper, Row};
use super::rows::all;

#[test]
fn hyper_reads_every_answer_the_same_but_for_the_marked_rows() {
    let failed = compare_all(|row| matches!(row.expect, Expect::Answer(_)));
    assert!(failed.is_empty(), "{} rows:\n{}", failed.len(), failed.join("\n"));
}

/// The marked rows are those where hyper is laxer than a client that shares connections may be.
#[test]
fn hyper_refuses_what_we_refuse_but_for_the_marked_rows() {
    let failed = compare_all(|row| matches!(row.expect, Expect::Refused(_)));
    assert!(failed.is_empty(), "{} rows:\n{}", failed.len(), failed.join("\n"));
}

/// What hyper made of a response, in the terms of ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    status: u16,
    http11: bool,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
    /// None where it was not looked at: the connection ended, or bytes stood behind the response.
    reuse: Option<bool>,
}

impl Seen {
    /// Our own reading, in the same terms: names in small letters and sorted, since hyper's map is by name.
    pub(super) fn from_ours(done: &Done, closes: bool) -> Self {
        Seen {
            status: done.status,
            http11: done.http11,
            fields: sorted(done.fields.iter().map(|(name, value)| (&name[..], &value[..]))),
            body: done.body.clone(),
            trailers: sorted(done.trailers.iter().map(|(name, value)| (&name[..], &value[..]))),
            reuse: (!closes && done.surplus == 0).then_some(done.reuse),
        }
    }
}

/// Lets hyper read these bytes as the answer to a GET or HEAD; with `closes` the connection ends behind them.
/// `look_at_reuse` is false where bytes stand behind the response: hyper notices them later or not at all.
pub(super) fn ask(head: bool, raw: &[u8], closes: bool, look_at_reuse: bool) -> Result<Seen, hyper::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without I/O");
    runtime.block_on(async {
        let (client, server) = tokio::io::duplex(1 << 20);
        let server = tokio::spawn(serve(server, raw.to_vec(), closes));
        let (sender, connection) = http1::handshake::<_, Empty<&[u8]>>(TokioIo::new(client)).await?;
        let connection = tokio::spawn(connection);
        let seen = exchange(sender, head, look_at_reuse && !closes).await;
        connection.abort();
        server.abort();
        seen
    })
}

fn compare_all(asked: impl Fn(&Row) -> bool) -> Vec<String> {
    all().iter().filter(|row| asked(row)).filter_map(|row| compare(row).err()).collect()
}

fn compare(row: &Row) -> Result<(), String> {
    if row.hyper == Hyper::NotAsked {
        return Ok(());
    }
    let ours = match read(row.request, row.limits, [&row.raw[..]], row.closes) {
        Read::Done(done) => Some(done),
        Read::Waiting | Read::Failed(_) => None,
    };
    let surplus = ours.as_ref().is_some_and(|done| done.surplus > 0);
    // Where we refuse, the connection ends, so that hyper cannot wait for more.
    let closes = row.closes || ours.is_none();
    let theirs = ask(row.request.head, &row.raw, closes, !surplus);
    let ours = ours.map(|done| Seen::from_ours(&done, closes));
    let agrees = ours.as_ref() == theirs.as_ref().ok();
    match (row.hyper, agrees) {
        (Hyper::Agrees, true) | (Hyper::Differs(_), false) => Ok(()),
        (Hyper::Differs(why), true) => Err(format!("{}: hyper agrees now; it was said that {why}", row.name)),
        _ => Err(format!("{}: hyper {theirs:?}, we {ours:?}", row.name)),
    }
}

async fn serve(mut stream: DuplexStream, raw: Vec<u8>, closes: bool) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.expect("hyper sends its whole head");
        request.push(byte);
    }
    // hyper may refuse the beginning and hang up before the rest is written.
    let _ = stream.write_all(&raw).await;
    if !closes {
        std::future::pending::<()>().await;
    }
}

async fn exchange(
    mut sender: SendRequest<Empty<&'static [u8]>>,
    head: bool,
    look_at_reuse: bool,
) -> Result<Seen, hyper::Error> {
    let request = hyper::Request::builder()
        .method(if head { "HEAD" } else { "GET" })
        .uri("/")
        .header("host", "h")
        .body(Empty::new())
        .expect("a plain request");
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let fields = |map: &hyper::HeaderMap| sorted(map.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
    Ok(Seen {
        status: parts.status.as_u16(),
        http11: parts.version == hyper::Version::HTTP_11,
        fields: fields(&parts.headers),
        trailers: fields(&trailers),
        body: body.to_bytes().to_vec(),
        reuse: if look_at_reuse { Some(settle(sender.ready()).await) } else { None },
    })
}

/// Whether hyper says so within a few turns: with nothing left to come, a hundred are as good as for ever.
async fn settle(ready: impl Future<Output = Result<(), hyper::Error>>) -> bool {
    let turns = async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ready = ready => ready.is_ok(),
        () = turns => false,
    }
}

fn sorted<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<(String, Vec<u8>)> {
    let mut fields: Vec<_> = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect();
    fields.sort();
    fields
}
