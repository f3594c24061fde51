//! The floor: a tokio socket, one fixed request, `httparse`, and a body by Content-Length only. No features at all.

use std::io::{Error, ErrorKind, Result};
use std::process::ExitCode;

use gannet_bench::drive;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn main() -> ExitCode {
    drive(
        |args| {
            let request = format!("GET {} HTTP/1.1\r\nhost: {}\r\naccept: */*\r\n\r\n", args.path(), args.authority());
            (args.address(), request)
        },
        |(address, request), mut tally| async move {
            let mut stream = match TcpStream::connect(address).await {
                Ok(stream) => stream,
                Err(error) => return tally.lost(&error),
            };
            let mut buffer = vec![0; 4096];
            while tally.begin() {
                tally.count(fetch(&mut stream, request.as_bytes(), &mut buffer).await);
            }
            tally
        },
    )
}

async fn fetch(stream: &mut TcpStream, request: &[u8], buffer: &mut [u8]) -> Result<(u16, usize)> {
    stream.write_all(request).await?;
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        if let Some(head) = parse(&buffer[..filled])?
            && filled >= head.len + head.body
        {
            return Ok((head.status, head.body));
        }
    }
}

struct Head {
    status: u16,
    len: usize,
    body: usize,
}

fn parse(bytes: &[u8]) -> Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(bytes).map_err(Error::other)?;
    let httparse::Status::Complete(len) = parsed else { return Ok(None) };
    let length = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case("content-length"));
    let body = length
        .and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok())
        .ok_or_else(|| Error::other("no usable Content-Length"))?;
    let status = response.code.expect("invariant: a complete head has a status");
    Ok(Some(Head { status, len, body }))
}
