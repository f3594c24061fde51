//! A name server, over UDP and TCP on one port: it answers what a closure says, and counts what it is asked. Its few
//! lines of wire format (RFC 1035 §4) are its own, so that it cannot share a mistake with the client.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::runner::{Runner, Serve, Stop};

/// A running name server. Dropping it ends it.
#[derive(Debug)]
pub struct NameServer {
    addr: SocketAddr,
    log: Arc<Log>,
    _runner: Runner,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name, in lower case and without the dot at its end.
    pub name: String,
    /// For IPv6 addresses (AAAA), and not for IPv4 ones (A).
    pub v6: bool,
    /// Over TCP.
    pub tcp: bool,
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Those of these addresses that are of the family that was asked for, for so many seconds; often none.
    Addresses(Vec<IpAddr>, u32),
    /// The name is another one's alias, and that one's addresses stand with it.
    Alias(String, Vec<IpAddr>),
    /// There is no such name.
    NoSuchName,
    /// The server cannot say (SERVFAIL).
    Fails,
    /// There is more than fits (TC), and what would be there is not.
    Truncated,
    /// Nothing, ever.
    Silence,
    /// This, after so long.
    After(Duration, Box<Answer>),
    /// This, behind one with another number, as somebody else might forge it, that names 127.0.0.66.
    Forged(Box<Answer>),
}

impl Answer {
    /// These addresses, for a minute.
    pub fn addresses(addresses: &[&str]) -> Answer {
        let parsed = addresses.iter().filter_map(|text| text.parse().ok());
        Answer::Addresses(parsed.collect(), 60)
    }
}

type Zone = Box<dyn Fn(&Question) -> Answer + Send + Sync>;

#[derive(Debug, Default)]
struct Log {
    state: Mutex<Asked>,
}

#[derive(Clone, Debug, Default)]
struct Asked {
    questions: Vec<Question>,
    now: usize,
    most: usize,
}

impl NameServer {
    /// Starts one on 127.0.0.1 and the current tokio runtime.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(zone: impl Fn(&Question) -> Answer + Send + Sync + 'static) -> io::Result<NameServer> {
        let (addr, log, server) = bind(Box::new(zone)).await?;
        Ok(NameServer { addr, log, _runner: Runner::here(server) })
    }

    /// Starts one on a thread and a runtime of its own, for tests of blocking code.
    ///
    /// # Errors
    /// As [`NameServer::start`], or when the thread cannot be started.
    pub fn start_blocking(zone: impl Fn(&Question) -> Answer + Send + Sync + 'static) -> io::Result<NameServer> {
        let bound = async move { bind(Box::new(zone)).await.map(|(addr, log, server)| ((addr, log), server)) };
        let ((addr, log), runner) = Runner::on_thread(bound)?;
        Ok(NameServer { addr, log, _runner: runner })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it was asked so far, in this order.
    pub fn asked(&self) -> Vec<Question> {
        self.log.lock().questions.clone()
    }

    /// How many questions were unanswered at once, at the most. Those that are never answered count for ever.
    pub fn most_at_once(&self) -> usize {
        self.log.lock().most
    }
}

async fn bind(zone: Zone) -> io::Result<(SocketAddr, Arc<Log>, Server)> {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await?;
        let addr = tcp.local_addr()?;
        // Somebody else may have the port for UDP.
        let Ok(udp) = UdpSocket::bind(addr).await else { continue };
        let log = Arc::new(Log::default());
        let server = Server { udp: Arc::new(udp), tcp, zone: Arc::new(zone), log: log.clone() };
        return Ok((addr, log, server));
    }
}

struct Server {
    udp: Arc<UdpSocket>,
    tcp: TcpListener,
    zone: Arc<Zone>,
    log: Arc<Log>,
}

impl Serve for Server {
    async fn run(self, mut stop: Stop) {
        let mut open = JoinSet::new();
        let mut packet = [0; 1500];
        loop {
            tokio::select! {
                biased;
                _ = stop.changed() => break,
                Some(_) = open.join_next() => {}
                came = self.udp.recv_from(&mut packet) => if let Ok((length, from)) = came {
                    let (query, udp) = (packet[..length].to_vec(), self.udp.clone());
                    let (zone, log) = (self.zone.clone(), self.log.clone());
                    open.spawn(async move {
                        for answer in answers(&query, false, &zone, &log).await {
                            let _ = udp.send_to(&answer, from).await;
                        }
                    });
                },
                accepted = self.tcp.accept() => if let Ok((stream, _)) = accepted {
                    let (zone, log) = (self.zone.clone(), self.log.clone());
                    open.spawn(async move { drop(serve(stream, &zone, &log).await) });
                },
            }
        }
        open.shutdown().await;
    }
}

/// Each message behind its length in two bytes (RFC 1035 §4.2.2).
async fn serve(mut stream: TcpStream, zone: &Zone, log: &Log) -> io::Result<()> {
    loop {
        let mut query = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut query).await?;
        for answer in answers(&query, true, zone, log).await {
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), &answer[..]].concat()).await?;
        }
    }
}

async fn answers(query: &[u8], tcp: bool, zone: &Zone, log: &Log) -> Vec<Vec<u8>> {
    let Some((question, end)) = read(query, tcp) else { return Vec::new() };
    log.begin(question.clone());
    let answers = written(query, end, &question, zone(&question)).await;
    log.lock().now -= 1;
    answers
}

/// The question, and where it ends. `None` for what is no question for addresses.
fn read(query: &[u8], tcp: bool) -> Option<(Question, usize)> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let v6 = match query.get(at..at + 2)? {
        [0, A] => false,
        [0, AAAA] => true,
        _ => return None,
    };
    Some((Question { name: labels.join("."), v6, tcp }, at + 4))
}

type Written<'a> = Pin<Box<dyn Future<Output = Vec<Vec<u8>>> + Send + 'a>>;

fn written<'a>(query: &'a [u8], end: usize, question: &'a Question, answer: Answer) -> Written<'a> {
    Box::pin(async move {
        match answer {
            Answer::Addresses(addresses, ttl) => vec![message(query, end, 0, &records(&addresses, question, 12, ttl))],
            Answer::Alias(of, addresses) => {
                // The alias stands where the answer begins; its name is behind the first record's fixed part.
                let target = [of.split('.').map(label).collect::<Vec<_>>().concat(), vec![0]].concat();
                let length = (target.len() as u16).to_be_bytes();
                let alias = [&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60][..], &length, &target].concat();
                let mut all = vec![alias];
                all.extend(records(&addresses, question, end + 12, 60));
                vec![message(query, end, 0, &all)]
            }
            Answer::NoSuchName => vec![message(query, end, 3, &[])],
            Answer::Fails => vec![message(query, end, 2, &[])],
            Answer::Truncated => {
                let mut message = message(query, end, 0, &[]);
                message[2] |= 2;
                vec![message]
            }
            Answer::Silence => std::future::pending().await,
            Answer::After(wait, answer) => {
                tokio::time::sleep(wait).await;
                written(query, end, question, *answer).await
            }
            Answer::Forged(answer) => {
                let bad = records(&[IpAddr::from([127, 0, 0, 66])], question, 12, 60);
                let mut forged = message(query, end, 0, &bad);
                forged[0] ^= 0x55;
                [vec![forged], written(query, end, question, *answer).await].concat()
            }
        }
    })
}

const A: u8 = 1;
const AAAA: u8 = 28;

/// The addresses of the family that was asked for, of the name that stands at this place of the message.
fn records(addresses: &[IpAddr], question: &Question, name: usize, ttl: u32) -> Vec<Vec<u8>> {
    let fits = addresses.iter().filter(|address| address.is_ipv6() == question.v6);
    fits.map(|address| {
        let (kind, bytes) = match address {
            IpAddr::V4(ip) => (A, ip.octets().to_vec()),
            IpAddr::V6(ip) => (AAAA, ip.octets().to_vec()),
        };
        let pointer = (0xc000 | name as u16).to_be_bytes();
        [&pointer, &[0, kind, 0, 1][..], &ttl.to_be_bytes(), &[0, bytes.len() as u8], &bytes].concat()
    })
    .collect()
}

fn label(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

fn message(query: &[u8], end: usize, code: u8, records: &[Vec<u8>]) -> Vec<u8> {
    let mut message = query[..end].to_vec();
    // An answer, recursion wanted and there; one question, and so many records.
    (message[2], message[3]) = (0x81, 0x80 | code);
    message[4..12].copy_from_slice(&[0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    records.iter().for_each(|record| message.extend_from_slice(record));
    message
}

impl Log {
    fn begin(&self, question: Question) {
        let mut asked = self.lock();
        asked.questions.push(question);
        asked.now += 1;
        asked.most = asked.most.max(asked.now);
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
