//! One TCP connection out of several addresses: all are tried, the next one 250 ms after the one before or as soon
//! as it fails, IPv6 and IPv4 in turn (RFC 8305 §§4–5).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gannet_core::{ErrorKind, Phase};
use tokio::net::TcpStream;

use crate::error::{EADDRNOTAVAIL, Error, Result, is_exhaustion};

/// RFC 8305 §8: the recommended Connection Attempt Delay.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

pub(super) async fn connect(addresses: &[IpAddr], port: u16) -> Result<TcpStream> {
    if let [only] = addresses {
        return dial(SocketAddr::new(*only, port)).await.map_err(|error| failed(error, &[*only], port));
    }
    let mut waiting = interleaved(addresses).into_iter();
    let mut dialing = FuturesUnordered::new();
    let mut last_error = std::io::Error::from_raw_os_error(EADDRNOTAVAIL);
    loop {
        match waiting.next() {
            Some(address) => dialing.push(dial(SocketAddr::new(address, port))),
            None if dialing.is_empty() => return Err(failed(last_error, addresses, port)),
            None => {}
        }
        let more = waiting.len() > 0;
        tokio::select! {
            biased;
            Some(result) = dialing.next() => match result {
                Ok(stream) => return Ok(stream),
                // What a server said is worth more than what this machine lacks.
                Err(error) if !is_exhaustion(&error) || is_exhaustion(&last_error) => last_error = error,
                Err(_) => {}
            },
            () = tokio::time::sleep(ATTEMPT_DELAY), if more => {}
        }
    }
}

async fn dial(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await.map_err(|error| match error.raw_os_error() {
        // A machine without IPv6 says this at once, for ever; with IPv4 it means that the ports ran out.
        Some(EADDRNOTAVAIL) if address.is_ipv6() => std::io::ErrorKind::NetworkUnreachable.into(),
        _ => error,
    })?;
    // A request leaves in one write; waiting to fill a segment only delays it.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// IPv6 first, then each family in turn, keeping the resolver's order within a family.
fn interleaved(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let (mut six, mut four): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(IpAddr::is_ipv6);
    six.reverse();
    four.reverse();
    let mut mixed = Vec::with_capacity(addresses.len());
    while !(six.is_empty() && four.is_empty()) {
        mixed.extend(six.pop());
        mixed.extend(four.pop());
    }
    mixed
}

fn failed(error: std::io::Error, addresses: &[IpAddr], port: u16) -> Error {
    let tried = match addresses {
        [only] => SocketAddr::new(*only, port).to_string(),
        many => format!("any of {} addresses, port {port}", many.len()),
    };
    Error::io(ErrorKind::Connect, Phase::Connect, "cannot connect", error)
        .with_message(format!("cannot connect to {tried}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_and_keep_their_order() {
        let ips = |list: &[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
        assert_eq!(
            interleaved(&ips(&["10.0.0.1", "10.0.0.2", "::1", "::2", "::3"])),
            ips(&["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"])
        );
    }
}
