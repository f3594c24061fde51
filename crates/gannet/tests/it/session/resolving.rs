//! Where addresses come from, and which of them is connected to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gannet::{ErrorKind, IpVersion, Phase, Resolve, Resolving, Session};

use super::*;

/// Answers the nth lookup with the nth of these lists, and all later ones with the last.
#[derive(Clone)]
pub(super) struct Answers {
    lists: Arc<Vec<Vec<IpAddr>>>,
    asked: Arc<AtomicUsize>,
}

impl Answers {
    pub(super) fn new(lists: &[&[&str]]) -> Answers {
        let parsed = |list: &&[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect();
        Answers { lists: Arc::new(lists.iter().map(parsed).collect()), asked: Arc::default() }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolve for Answers {
    fn resolve(&self, _name: &str) -> Resolving {
        let nth = self.asked.fetch_add(1, Ordering::SeqCst);
        let list = self.lists.get(nth).or(self.lists.last()).cloned().unwrap_or_default();
        Resolving::new(async move { Ok(list) })
    }
}

pub(super) fn resolving(answers: &Answers, change: impl FnOnce(&mut Options)) -> Session {
    let mut options = Options::default();
    change(&mut options);
    Session::builder(options).resolver(answers.clone()).build().unwrap()
}

/// The connections to this address that the kernel knows of on this side, by their lines in its table.
fn kernel_lines(to: SocketAddr) -> Vec<Vec<String>> {
    let IpAddr::V4(ip) = to.ip() else { panic!("an IPv4 address is looked for") };
    let wanted = format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), to.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let lines = table.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    lines.filter(|fields| fields.get(2) == Some(&wanted)).collect()
}

const SYN_SENT: &str = "02";
const ESTABLISHED: &str = "01";

#[tokio::test]
async fn a_given_resolver_is_asked_once_for_a_name_and_never_for_an_address() {
    let (origin, answers) = (origin().await, Answers::new(&[&["127.0.0.1"]]));
    let session = resolving(&answers, |options| options.connections.idle = Duration::ZERO);
    let url = format!("http://some.test:{}/items/1", origin.addr().port());
    for _ in 0..3 {
        assert_eq!(json(session.get(&url).send().await).await["id"], 1);
    }
    assert_eq!(json(session.get(origin.url("/items/2")).send().await).await["id"], 2);
    assert_eq!((answers.asked(), origin.stats().connections_total), (1, 4));
}

#[tokio::test]
async fn a_name_without_an_address_by_a_given_resolver_is_of_kind_dns() {
    let session = resolving(&Answers::new(&[&[]]), |_| {});
    let error = session.get("http://some.test/").send().await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Dns, Phase::Dns));
}

#[tokio::test]
async fn overrides_stand_for_a_lookup_and_change_nothing_else() {
    let origin = origin().await;
    let session = session(|options| {
        options.dns.overrides = vec!["*:*:127.0.0.1".parse().unwrap(), "Some.TEST:1:127.0.0.9".parse().unwrap()];
        options.tls.extra_roots = vec![origin.ca_pem().to_owned()];
    });
    let url = format!("http://some.test:{}/anything", origin.addr().port());
    let seen = json(session.get(url).send().await).await;
    assert_eq!(seen["headers"]["Host"], format!("some.test:{}", origin.addr().port()));
    let port = origin.https_addr().unwrap().port();
    assert_eq!(json(session.get(format!("https://localhost:{port}/items/3")).send().await).await["id"], 3);
    let other = session.get(format!("https://some.test:{port}/")).send().await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Tls, "the certificate has to be for the URL's host");
}

#[tokio::test]
async fn an_address_that_refuses_makes_way_for_the_next_at_once() {
    let origin = origin().await;
    let answers = Answers::new(&[&["127.0.0.9", "127.0.0.8", "127.0.0.1"]]);
    let session = resolving(&answers, |options| options.connections.eyeballs_delay = Duration::from_secs(3600));
    let url = format!("http://some.test:{}/items/1", origin.addr().port());
    assert_eq!(json(in_time(session.get(url).send()).await).await["id"], 1);
}

#[tokio::test]
async fn an_address_that_says_nothing_loses_to_the_next_and_is_given_up() {
    let origin = origin().await;
    // A listener whose backlog is full answers nothing.
    let silent = SocketAddr::new("127.0.0.2".parse().unwrap(), origin.addr().port());
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&silent.into()).unwrap();
    socket.listen(0).unwrap();
    let mut fillers = Vec::new();
    while kernel_lines(silent).iter().all(|fields| fields[3] != SYN_SENT) {
        let filler = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        filler.set_nonblocking(true).unwrap();
        let _ = filler.connect(&silent.into());
        fillers.push(filler);
    }
    let trying = || kernel_lines(silent).iter().filter(|fields| fields[3] == SYN_SENT).count();
    let before = trying();
    let session = resolving(&Answers::new(&[&["127.0.0.2", "127.0.0.1"]]), |options| {
        options.connections.eyeballs_delay = Duration::from_millis(10);
    });
    let url = format!("http://some.test:{}/items/1", origin.addr().port());
    let mut sending = Box::pin(session.get(&url).send());
    until_pending(&mut sending, || trying() == before + 1).await;
    assert_eq!(json(in_time(sending).await).await["id"], 1);
    until(|| trying() == before).await;
}

/// Polls this until something else holds, which it has to before the future ends.
async fn until_pending<F: Future + Unpin>(future: &mut F, mut holds: impl FnMut() -> bool) {
    in_time(async {
        while !holds() {
            assert!(poll_once(future).await.is_none(), "it ended too early");
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn addresses_of_the_other_ip_version_are_left_alone() {
    let origin = origin().await;
    let url = format!("http://some.test:{}/items/1", origin.addr().port());
    let version = |version| move |options: &mut Options| options.connections.ip_version = version;
    let both = Answers::new(&[&["::1", "127.0.0.1"]]);
    let four = resolving(&both, version(IpVersion::V4));
    assert_eq!(json(four.get(&url).send().await).await["id"], 1);
    let six = resolving(&Answers::new(&[&["127.0.0.1"]]), version(IpVersion::V6));
    assert_eq!(six.get(&url).send().await.unwrap_err().kind(), ErrorKind::Dns);
    assert_eq!(six.get(origin.url("/")).send().await.unwrap_err().kind(), ErrorKind::Request);
    assert_eq!(origin.stats().connections_total, 1);
}

#[tokio::test]
async fn connections_are_made_from_the_local_address_and_over_the_interface() {
    let origin = origin().await;
    let from = |address: &str| {
        let address = address.parse().ok();
        session(|options| options.connections.local_address = address)
    };
    let seen = json(from("127.0.0.5").get(origin.url("/ip")).send().await).await;
    assert_eq!(seen["origin"], "127.0.0.5");
    let error = from("192.0.2.1").get(origin.url("/ip")).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "no lack of this machine's: it will never get better");
    assert!(error.to_string().contains("192.0.2.1"), "{error}");
    let over = |name: &str| {
        let name = name.to_owned();
        session(|options| options.connections.interface = Some(name))
    };
    assert_eq!(json(over("lo").get(origin.url("/items/1")).send().await).await["id"], 1);
    let error = over("nosuch0").get(origin.url("/ip")).send().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Connect && error.to_string().contains("nosuch0"), "{error}");
}

#[tokio::test]
async fn keep_alive_probes_are_armed_when_asked_for_and_only_then() {
    // The kernel's table has a timer of its own kind for them: proc(5), tcp_timer 2.
    let origin = origin().await;
    for (keepalive, wanted) in [(None, false), (Some(Duration::from_secs(30)), true)] {
        let session = session(|options| options.connections.keepalive = keepalive);
        json(session.get(origin.url("/items/1")).send().await).await;
        let is_armed = || {
            let lines = kernel_lines(origin.addr());
            lines.iter().any(|fields| fields[3] == ESTABLISHED && fields[5].starts_with("02:"))
        };
        if wanted {
            until(is_armed).await;
        } else {
            assert!(!is_armed());
        }
    }
}

#[tokio::test]
async fn answers_can_be_forgotten_by_hand() {
    let (origin, answers) = (origin().await, Answers::new(&[&["127.0.0.1"]]));
    let session = resolving(&answers, |options| options.connections.idle = Duration::ZERO);
    let url = format!("http://some.test:{}/items/1", origin.addr().port());
    for asked in [1, 1, 2, 2] {
        if asked == 2 && answers.asked() == 1 {
            session.clear_dns_cache();
        }
        assert_eq!(json(session.get(&url).send().await).await["id"], 1);
        assert_eq!(answers.asked(), asked);
    }
}

#[tokio::test]
async fn connections_are_spread_over_the_addresses_of_a_name() {
    let one = gannet_origin::Origin::builder().listen("127.0.0.1:0").start().await.unwrap();
    let port = one.addr().port();
    let other = gannet_origin::Origin::builder().listen(format!("127.0.0.2:{port}")).start().await.unwrap();
    let answers = Answers::new(&[&["127.0.0.1", "127.0.0.2"]]);
    for spread in [false, true] {
        let session = resolving(&answers, |options| {
            options.connections.idle = Duration::ZERO;
            options.dns.spread = spread;
        });
        for _ in 0..64 {
            session.get(format!("http://some.test:{port}/items/1")).send().await.unwrap().bytes().await.unwrap();
        }
        let (first, second) = (one.stats().connections_total, other.stats().connections_total);
        // All 64 at one of two: once in 2^63 runs.
        assert_eq!((first > 0, second > 0), (true, spread), "{first} and {second}");
        one.reset_stats();
        other.reset_stats();
    }
}
