//! One question to name servers, some of which may be silent or unable, until one answers.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::tcp::TcpClientStream;
use hickory_net::udp::UdpClientStream;
use hickory_net::xfer::{DnsHandle, DnsRequestSender, FirstAnswer};
use hickory_proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use super::super::Answer;
use crate::error::{EADDRNOTAVAIL, is_exhaustion};

/// How often a question is sent to a server within its time: one packet that is lost must not cost all of it.
const SENDINGS: u8 = 3;
/// How often an alias is asked for that stands without its addresses.
const MOST_ALIASES: usize = 8;

pub(super) struct Servers {
    /// At least one.
    pub(super) addrs: Vec<SocketAddr>,
    pub(super) timeout: Duration,
    pub(super) attempts: u32,
    /// Each lookup begins with another one.
    pub(super) rotate: bool,
    /// UDP is not used.
    pub(super) tcp_only: bool,
    pub(super) edns: bool,
    /// Which one is asked first: the next behind one that was silent, as long as that one answers.
    pub(super) first: AtomicUsize,
    pub(super) provider: TokioRuntimeProvider,
}

/// Why a lookup found nothing.
#[derive(Debug)]
pub(super) enum Fault {
    NoSuchName,
    /// The name exists, but not with an address of this family.
    NoAddress,
    /// The servers cannot say.
    Fails(ResponseCode),
    Silent(Duration),
    Io(Arc<io::Error>),
    Other(String),
}

impl Servers {
    /// The name's addresses of this family, those behind its aliases; at least one.
    pub(super) async fn addresses(&self, mut name: Name, kind: RecordType) -> Result<Answer, Fault> {
        for _ in 0..MOST_ALIASES {
            let response = self.ask(&name, kind).await?;
            let mut ttl = u32::MAX;
            let mut owner = &name;
            // Each alias is followed once, in whatever order they stand.
            for _ in 0..response.answers.len() {
                let alias = response.answers.iter().find_map(|record| match &record.data {
                    RData::CNAME(of) if record.name == *owner => Some((&of.0, record.ttl)),
                    _ => None,
                });
                let Some((of, seconds)) = alias else { break };
                (owner, ttl) = (of, ttl.min(seconds));
            }
            let of_owner = response.answers.iter().filter(|record| record.name == *owner);
            let found: Vec<(IpAddr, u32)> = of_owner
                .filter(|record| record.record_type() == kind)
                .filter_map(|record| Some((record.data.ip_addr()?, record.ttl)))
                .collect();
            if let Some(least) = found.iter().map(|(_, ttl)| *ttl).min() {
                let addresses: Vec<IpAddr> = found.into_iter().map(|(address, _)| address).collect();
                return Ok(Answer::from(addresses).ttl(Duration::from_secs(ttl.min(least).into())));
            }
            if response.response_code == ResponseCode::NXDomain {
                return Err(Fault::NoSuchName);
            }
            // A server that follows aliases itself has found none there.
            if owner == &name || response.recursion_available {
                return Err(Fault::NoAddress);
            }
            name = owner.clone();
        }
        Err(Fault::Other("the name's aliases have no end".into()))
    }

    /// What the first server says that can say something.
    async fn ask(&self, name: &Name, kind: RecordType) -> Result<DnsResponse, Fault> {
        let count = self.addrs.len();
        let first = match self.rotate {
            true => self.first.fetch_add(1, Ordering::Relaxed),
            false => self.first.load(Ordering::Relaxed),
        };
        let (mut fault, mut was_silent) = (None, false);
        for nth in 0..count * self.attempts.max(1) as usize {
            let nth = first.wrapping_add(nth) % count;
            match self.exchange(self.addrs[nth], name, kind).await {
                Ok(response) if matches!(response.response_code, ResponseCode::NoError | ResponseCode::NXDomain) => {
                    if was_silent && !self.rotate {
                        self.first.store(nth, Ordering::Relaxed);
                    }
                    return Ok(response);
                }
                Ok(response) => fault = Some(Fault::Fails(response.response_code)),
                // Another server would need a socket too.
                Err(NetError::Io(error)) if lacks_sockets(&error) => return Err(Fault::Io(error)),
                Err(error) => {
                    was_silent = true;
                    fault = Some(match error {
                        NetError::Timeout => Fault::Silent(self.timeout),
                        NetError::Io(error) => Fault::Io(error),
                        other => Fault::Other(other.to_string()),
                    });
                }
            }
        }
        Err(fault.unwrap_or(Fault::Silent(self.timeout)))
    }

    /// One question to one server. From a port of its own each time, and held against forgery by hickory: the number,
    /// the question and where it comes from have to be right.
    async fn exchange(&self, server: SocketAddr, name: &Name, kind: RecordType) -> Result<DnsResponse, NetError> {
        let mut options = DnsRequestOptions::default();
        options.use_edns = self.edns;
        options.retry_interval = self.timeout / u32::from(SENDINGS);
        let request = || DnsRequest::from_query(Query::query(name.clone(), kind), options);
        if !self.tcp_only {
            let mut udp = UdpClientStream::builder(server, self.provider.clone())
                .with_timeout(Some(self.timeout))
                .with_max_retries(SENDINGS)
                // By itself it waits 333 ms at the least, whatever the timeout.
                .with_retry_interval_floor(0)
                .build();
            let response = udp.send_message(request()).first_answer().await?;
            if !response.truncation {
                return Ok(response);
            }
        }
        // Its task ends with it: one that is dropped halfway leaves nothing behind.
        let provider = TokioRuntimeProvider::new();
        let stream = TcpClientStream::exchange(server, None, self.timeout, None, provider.clone()).await?;
        let response = stream.send(request()).first_answer().await;
        drop(provider);
        response
    }
}

/// Whether this machine can ask no server now. EADDRNOTAVAIL is about one: there is no address to ask it from, as with
/// an IPv6 server where IPv6 is off. A port that is taken is another error, and hickory tries the next.
fn lacks_sockets(error: &io::Error) -> bool {
    is_exhaustion(error) && error.raw_os_error() != Some(EADDRNOTAVAIL)
}

impl Fault {
    /// Whether the name is known not to have what was asked for, and asking again brings nothing.
    pub(super) fn is_definite(&self) -> bool {
        matches!(self, Fault::NoSuchName | Fault::NoAddress)
    }

    /// The one that says more: what may be better next time, then that the name exists.
    pub(super) fn or(self, other: Option<Fault>) -> Fault {
        match other {
            Some(other) if !other.is_definite() || matches!(self, Fault::NoSuchName) => other,
            _ => self,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NoSuchName => write!(f, "there is no such name"),
            Fault::NoAddress => write!(f, "the name has no address"),
            Fault::Fails(code) => write!(f, "the name servers cannot say, and may later: {code}"),
            Fault::Silent(wait) => write!(f, "no name server answered within {} s", wait.as_secs_f64()),
            Fault::Io(error) => write!(f, "cannot ask a name server: {error}"),
            Fault::Other(why) => write!(f, "{why}"),
        }
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        let kind = match &fault {
            Fault::NoSuchName | Fault::NoAddress => io::ErrorKind::NotFound,
            Fault::Silent(_) => io::ErrorKind::TimedOut,
            // What this machine lacks is told by its number.
            Fault::Io(error) => match error.raw_os_error() {
                Some(code) if lacks_sockets(error) => return io::Error::from_raw_os_error(code),
                _ => error.kind(),
            },
            Fault::Fails(_) | Fault::Other(_) => io::ErrorKind::Other,
        };
        io::Error::new(kind, fault.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_a_way_is_the_networks_fault_and_no_socket_this_machines() {
        const EMFILE: i32 = 24;
        for (code, lacks) in [(EMFILE, true), (EADDRNOTAVAIL, false)] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(lacks_sockets(&error), lacks, "{error}");
            let told = io::Error::from(Fault::Io(Arc::new(error)));
            assert_eq!(told.raw_os_error(), lacks.then_some(code), "by the number it is the kind resources: {told}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_is_sent_three_times_however_short_the_time() {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        silent.set_nonblocking(true).unwrap();
        for millis in [30, 600, 900, 5000] {
            let servers = Servers {
                addrs: vec![silent.local_addr().unwrap()],
                timeout: Duration::from_millis(millis),
                attempts: 1,
                rotate: false,
                tcp_only: false,
                edns: false,
                first: AtomicUsize::new(0),
                provider: TokioRuntimeProvider::new(),
            };
            let asked = servers.ask(&Name::from_ascii("some.test.").unwrap(), RecordType::A).await;
            assert!(matches!(asked, Err(Fault::Silent(_))), "{asked:?}");
            let mut packet = [0; 512];
            let sent = std::iter::from_fn(|| silent.recv(&mut packet).ok()).count();
            assert_eq!(sent, usize::from(SENDINGS), "within {millis} ms");
        }
    }
}
