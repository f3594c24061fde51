//! hyper's `client::conn::http1` without pool or policy: each task owns one connection, its driver a spawned task.

use std::error::Error;
use std::process::ExitCode;

use bytes::Bytes;
use gannet_bench::drive;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

type BoxError = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    drive(
        |args| (args.address(), args.authority().to_owned(), args.path().to_owned()),
        |(address, authority, path), mut tally| async move {
            let mut sender = match connect(address).await {
                Ok(sender) => sender,
                Err(error) => return tally.lost(&error),
            };
            while tally.begin() {
                tally.count(fetch(&mut sender, &authority, &path).await);
            }
            tally
        },
    )
}

async fn connect(address: std::net::SocketAddr) -> Result<SendRequest<Empty<Bytes>>, BoxError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Ends by itself when the sender is dropped; an error reaches the request that was under way.
    tokio::spawn(connection);
    Ok(sender)
}

async fn fetch(sender: &mut SendRequest<Empty<Bytes>>, authority: &str, path: &str) -> Result<(u16, usize), BoxError> {
    let request = Request::get(path).header(HOST, authority).body(Empty::new())?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, body.len()))
}
