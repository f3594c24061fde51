//! A small HTTP/1.1 client: what it sends is written out in each test.

use std::io;
use std::net::SocketAddr;

use gannet_origin::Origin;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// A response as it was on the wire, without its framing.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let name = name.to_ascii_lowercase();
        self.headers.iter().filter(move |(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A connection that is kept alive.
pub(crate) struct Client<S> {
    pub(crate) stream: S,
}

impl Client<TcpStream> {
    pub(crate) async fn connect(addr: SocketAddr) -> Client<TcpStream> {
        Client { stream: TcpStream::connect(addr).await.unwrap() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Sends a GET and reads the response.
    pub(crate) async fn get(&mut self, target: &str) -> io::Result<Response> {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")).await;
        self.response().await
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub(crate) async fn response(&mut self) -> io::Result<Response> {
        let head = self.until(b"\r\n\r\n").await?;
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut response = Response { status, headers, body: Vec::new() };
        if response.header("transfer-encoding") == Some("chunked") {
            response.body = self.chunks().await?;
        } else if let Some(len) = response.header("content-length") {
            response.body = vec![0; len.parse().unwrap()];
            self.stream.read_exact(&mut response.body).await?;
        }
        Ok(response)
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = String::from_utf8(self.until(b"\r\n").await?).unwrap();
            let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            self.stream.read_exact(&mut chunk).await?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    pub(crate) async fn until(&mut self, mark: &[u8]) -> io::Result<Vec<u8>> {
        let mut read = Vec::new();
        while !read.ends_with(mark) {
            read.push(self.stream.read_u8().await?);
        }
        Ok(read)
    }
}

/// One GET on a connection of its own.
pub(crate) async fn get(origin: &Origin, target: &str) -> Response {
    Client::connect(origin.addr()).await.get(target).await.unwrap()
}

/// One request written out, on a connection of its own.
pub(crate) async fn exchange(origin: &Origin, request: impl AsRef<[u8]>) -> Response {
    let mut client = Client::connect(origin.addr()).await;
    client.send(request).await;
    client.response().await.unwrap()
}

/// Plain HTTP on the runtime of the test.
pub(crate) async fn start() -> Origin {
    Origin::builder().start().await.unwrap()
}
