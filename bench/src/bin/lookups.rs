//! What a lookup costs: the system's resolver on threads, and the one of the feature `hickory`.
//!
//! `lookups serve ADDR:PORT MILLISECONDS` is a name server that answers everything after so long;
//! `lookups system|hickory ADDR:PORT NAMES AT_ONCE` looks up so many names, IPv4 and IPv6, that nobody asked for
//! before. The system's resolver asks port 53 of what `/etc/resolv.conf` says: see docs/results/lookups.md.

use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use gannet::{Hickory, HickoryOptions, Resolve};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use tokio::net::UdpSocket;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().expect("a runtime starts")
    };
    match words[..] {
        ["serve", addr, wait] => {
            let wait = Duration::from_millis(wait.parse().expect("milliseconds"));
            runtime().block_on(serve(addr.parse().expect("an address"), wait));
        }
        [who @ ("system" | "hickory"), addr, names, at_once] => {
            let (names, at_once) = (names.parse().expect("a number"), at_once.parse().expect("a number"));
            let (before, started) = (cpu(), Instant::now());
            let failed = match who {
                "system" => system(names, at_once),
                _ => runtime().block_on(hickory(addr.parse().expect("an address"), names, at_once)),
            };
            let (seconds, cpu) = (started.elapsed().as_secs_f64(), (cpu() - before) as f64);
            println!(
                "{who:8} {at_once:5} at once: {:8.0} lookups/s  {:6.1} us of CPU each  {:6} KB  {failed} failed",
                names as f64 / seconds,
                cpu / names as f64,
                getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss()),
            );
        }
        _ => {
            eprintln!("lookups serve ADDR:PORT MILLISECONDS | system|hickory ADDR:PORT NAMES AT_ONCE");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// User and system time of this process, in microseconds.
fn cpu() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the kernel tells");
    usage.user_time().num_microseconds() + usage.system_time().num_microseconds()
}

fn name(number: usize) -> String {
    format!("h{number}.bench.test")
}

fn system(names: usize, at_once: usize) -> usize {
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= names {
                        break;
                    }
                    let found = (name(number), 0).to_socket_addrs().map_or(0, |found| found.count());
                    failed.fetch_add(usize::from(found != 2), Ordering::Relaxed);
                }
            });
        }
    });
    failed.into_inner()
}

async fn hickory(server: SocketAddr, names: usize, at_once: usize) -> usize {
    let options = HickoryOptions { servers: vec![server], ..HickoryOptions::default() };
    let resolver = Hickory::new(&options).expect("the files can be read");
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let (resolver, next) = (resolver.clone(), next.clone());
        tasks.spawn(async move {
            let mut failed = 0;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= names {
                    break failed;
                }
                let answers = resolver.resolve(&name(number)).filter(|answer| std::future::ready(answer.is_ok()));
                failed += usize::from(answers.count().await != 2);
            }
        });
    }
    tasks.join_all().await.into_iter().sum()
}

/// Answers with one address of the family that was asked for. Its receive buffer takes the burst of the beginning.
async fn serve(addr: SocketAddr, wait: Duration) {
    let socket = UdpSocket::bind(addr).await.expect("the address is free");
    let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &(8 << 20));
    let socket = Arc::new(socket);
    let mut packet = [0; 1500];
    loop {
        let (length, from) = socket.recv_from(&mut packet).await.expect("the socket works");
        let (query, socket) = (packet[..length].to_vec(), socket.clone());
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let _ = socket.send_to(&answer(&query), from).await;
        });
    }
}

fn answer(query: &[u8]) -> Vec<u8> {
    let mut end = 12;
    while query[end] != 0 {
        end += usize::from(query[end]) + 1;
    }
    let is_v4 = query[end + 2] == 1;
    end += 5;
    let mut answer = query[..end].to_vec();
    (answer[2], answer[3]) = (0x81, 0x80);
    answer[4..12].copy_from_slice(&[0, 1, 0, 1, 0, 0, 0, 0]);
    let (kind, address): (u8, &[u8]) = if is_v4 { (1, &[127, 0, 0, 1]) } else { (28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]) };
    answer.extend_from_slice(&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, address.len() as u8]);
    answer.extend_from_slice(address);
    answer
}
