//! The server's side of SOCKS 5 (RFC 1928, RFC 1929) and SOCKS 4A.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::serve::{Client, Seen};
use super::{Asked, Unreached, reach};

pub(super) async fn five<S: AsyncRead + AsyncWrite + Unpin>(mut stream: Seen<S>, client: &Client) -> io::Result<()> {
    let [_, count] = bytes(&mut stream).await?;
    let mut methods = vec![0; count.into()];
    stream.read_exact(&mut methods).await?;
    let wanted = if client.log.rules.credentials.is_some() { 2 } else { 0 };
    if !methods.contains(&wanted) {
        return answer(&mut stream, &[5, 0xff]).await;
    }
    answer(&mut stream, &[5, wanted]).await?;
    let mut credentials = None;
    if wanted == 2 {
        let [_version] = bytes(&mut stream).await?;
        let (user, password) = (text(&mut stream).await?, text(&mut stream).await?);
        let told = credentials.insert(format!("{user}:{password}"));
        if !client.log.admits(Some(told)) {
            return answer(&mut stream, &[1, 1]).await;
        }
        answer(&mut stream, &[1, 0]).await?;
    }
    let [5, command, _, kind] = bytes(&mut stream).await? else { return Ok(()) };
    let host = match kind {
        1 => Ipv4Addr::from(bytes(&mut stream).await?).to_string(),
        3 => text(&mut stream).await?,
        4 => format!("[{}]", Ipv6Addr::from(bytes::<16, _>(&mut stream).await?)),
        _ => return refuse(&mut stream, 8).await,
    };
    let port = u16::from_be_bytes(bytes(&mut stream).await?);
    asked(client, format!("SOCKS5 {host}:{port}"), credentials);
    if client.log.rules.refuses.is_some() {
        return refuse(&mut stream, 2).await;
    }
    if command != 1 {
        return refuse(&mut stream, 7).await;
    }
    match reach(&host, port).await {
        Ok(target) => {
            answer(&mut stream, &[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).await?;
            stream.relay(target).await
        }
        Err(Unreached::NotAllowed) => refuse(&mut stream, 2).await,
        Err(Unreached::Failed) => refuse(&mut stream, 5).await,
    }
}

pub(super) async fn four<S: AsyncRead + AsyncWrite + Unpin>(mut stream: Seen<S>, client: &Client) -> io::Result<()> {
    let [_, _command, high, low, a, b, c, d] = bytes(&mut stream).await?;
    let user = text_to_nul(&mut stream).await?;
    let host = match [a, b, c, d] {
        [0, 0, 0, last] if last > 0 => text_to_nul(&mut stream).await?,
        ip => Ipv4Addr::from(ip).to_string(),
    };
    let port = u16::from_be_bytes([high, low]);
    let credentials = (!user.is_empty()).then_some(user);
    asked(client, format!("SOCKS4 {host}:{port}"), credentials.clone());
    if client.log.rules.refuses.is_some() || !client.log.admits(credentials.as_deref()) {
        return answer(&mut stream, &[0, 91, 0, 0, 0, 0, 0, 0]).await;
    }
    match reach(&host, port).await {
        Ok(target) => {
            answer(&mut stream, &[0, 90, 0, 0, 0, 0, 0, 0]).await?;
            stream.relay(target).await
        }
        Err(_) => answer(&mut stream, &[0, 91, 0, 0, 0, 0, 0, 0]).await,
    }
}

fn asked(client: &Client, what: String, credentials: Option<String>) {
    client.log.asked(Asked { connection: client.nth, what, credentials, fields: Vec::new() });
}

async fn answer<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

async fn refuse<S: AsyncWrite + Unpin>(stream: &mut S, code: u8) -> io::Result<()> {
    answer(stream, &[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await
}

async fn bytes<const N: usize, S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// A text behind its length.
async fn text<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<String> {
    let [length] = bytes(stream).await?;
    let mut text = vec![0; length.into()];
    stream.read_exact(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

async fn text_to_nul<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<String> {
    let mut text = Vec::new();
    loop {
        match bytes(stream).await? {
            [0] => return Ok(String::from_utf8_lossy(&text).into_owned()),
            [_] if text.len() > 255 => return Err(io::ErrorKind::InvalidData.into()),
            [byte] => text.push(byte),
        }
    }
}
