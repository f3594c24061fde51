//! A server of HTTP/2 that gives its answers one by one and keeps what it was asked: for tests that have to see fields,
//! which in frames are compressed. The frames are those of the `h2` crate's own server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What to answer one request with.
#[derive(Clone)]
pub(super) struct Answer {
    status: u16,
    fields: Vec<(&'static str, &'static str)>,
    body: &'static str,
    /// The stream is reset behind the body, without its end.
    is_cut: bool,
    /// The request's body is read before.
    reads: bool,
}

impl Answer {
    pub(super) fn new(status: u16, fields: &[(&'static str, &'static str)], body: &'static str) -> Self {
        Answer { status, fields: fields.to_vec(), body, is_cut: false, reads: false }
    }

    pub(super) fn cut(self) -> Self {
        Answer { is_cut: true, ..self }
    }

    pub(super) fn behind_the_body(self) -> Self {
        Answer { reads: true, ..self }
    }
}

/// One request as it came; its body where that was read.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) fields: HeaderMap,
    pub(super) body: Bytes,
}

#[derive(Default)]
struct Log {
    answers: Vec<Answer>,
    asked: Vec<Asked>,
    connections: usize,
}

/// A running one; gone when dropped.
pub(super) struct Answering {
    addr: SocketAddr,
    log: Arc<Mutex<Log>>,
    _tasks: JoinSet<()>,
}

impl Answering {
    /// Gives these answers to one request after the other, on whichever connection, and the last one to all others.
    pub(super) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Log { answers: answers.into_iter().collect(), ..Log::default() }));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, log.clone()));
        Answering { addr, log, _tasks: tasks }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap().asked.clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.log.lock().unwrap().connections
    }
}

async fn accept(listener: TcpListener, log: Arc<Mutex<Log>>) {
    let mut open = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        log.lock().unwrap().connections += 1;
        open.spawn(serve(stream, log.clone()));
    }
}

async fn serve(stream: TcpStream, log: Arc<Mutex<Log>>) {
    let Ok(mut conn) = h2::server::handshake(stream).await else { return };
    let mut requests = JoinSet::new();
    while let Some(Ok((request, respond))) = conn.accept().await {
        let mut state = log.lock().unwrap();
        let nth = state.asked.len();
        let answer = state.answers.get(nth).or(state.answers.last()).unwrap().clone();
        state.asked.push(Asked { fields: request.headers().clone(), body: Bytes::new() });
        drop(state);
        requests.spawn(give(request, respond, answer, log.clone(), nth));
    }
}

async fn give(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    answer: Answer,
    log: Arc<Mutex<Log>>,
    nth: usize,
) {
    let mut incoming = request.into_body();
    if answer.reads {
        let mut body = BytesMut::new();
        while let Some(Ok(piece)) = incoming.data().await {
            let _ = incoming.flow_control().release_capacity(piece.len());
            body.extend_from_slice(&piece);
        }
        log.lock().unwrap().asked[nth].body = body.freeze();
    }
    let mut head = Response::builder().status(answer.status);
    for (name, value) in answer.fields {
        head = head.header(name, value);
    }
    let Ok(mut stream) = respond.send_response(head.body(()).unwrap(), false) else { return };
    let _ = stream.send_data(answer.body.into(), !answer.is_cut);
    if answer.is_cut {
        // Behind the data: a reset overtakes what is not sent yet.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        stream.send_reset(Reason::INTERNAL_ERROR);
    }
}
