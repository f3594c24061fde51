//! Lookups by the machine's own resolver, and by ones made for the test.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream;
use tokio::sync::Notify;

use super::*;
use crate::resolve::Resolving;

fn system(options: &Dns) -> Resolver {
    Resolver::new(options, None).unwrap()
}

fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

/// Gives one address now, and another or an error when told to.
#[derive(Default)]
struct Slow {
    asked: AtomicUsize,
    ended: Arc<AtomicUsize>,
    go: Arc<Notify>,
}

struct CountsItsEnd(Arc<AtomicUsize>);

impl Drop for CountsItsEnd {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Resolve for Arc<Slow> {
    fn resolve(&self, name: &str) -> Resolving {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let (go, end) = (self.go.clone(), CountsItsEnd(self.ended.clone()));
        let fails = name.starts_with("half");
        let answers = stream::unfold((0, go, end), move |(step, go, end)| async move {
            match step {
                0 => Some((Ok(vec![ip(1)].into()), (1, go, end))),
                1 => {
                    go.notified().await;
                    let second = if fails { Err(std::io::Error::other("no AAAA")) } else { Ok(vec![ip(2)].into()) };
                    Some((second, (2, go, end)))
                }
                _ => None,
            }
        });
        Resolving::apart(answers)
    }
}

fn slow() -> (Arc<Slow>, Resolver) {
    let slow = Arc::new(Slow::default());
    let resolver = Resolver::new(&Dns::default(), Some(Arc::new(slow.clone()))).unwrap();
    (slow, resolver)
}

async fn breathe() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn many_askers_share_one_lookup_and_the_answer_is_kept() {
    let resolver = system(&Dns::default());
    let asked: Vec<_> = (0..50).map(|_| resolver.lookup("localhost", 80)).collect();
    assert_eq!(resolver.shared.lock().cache.len(), 1);
    for lookup in asked {
        assert!(lookup.all().await.unwrap().iter().all(IpAddr::is_loopback));
    }
    assert!(resolver.lookup("localhost", 443).is_known());
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_a_dns_error() {
    let error = system(&Dns::default()).lookup("no-such-host.invalid", 80).all().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dns);
}

#[tokio::test]
async fn item_32_the_first_asker_gives_up_and_the_others_have_their_answer() {
    let resolver = system(&Dns { max_lookups: 1, ..Dns::default() });
    let (first, second) = (resolver.lookup("localhost", 80), resolver.lookup("localhost", 80));
    drop(first);
    assert!(second.all().await.is_ok());

    let (slow, resolver) = slow();
    let (mut first, second) = (resolver.lookup("a.test", 80), resolver.lookup("a.test", 80));
    first.started(None).await;
    drop(first);
    slow.go.notify_one();
    assert_eq!(second.all().await.unwrap(), [ip(1), ip(2)]);
    assert_eq!(slow.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn no_more_lookups_are_made_at_once_than_allowed() {
    let two = Dns { max_lookups: 2, ..Dns::default() };
    let slow = Arc::new(Slow::default());
    let resolver = Resolver::new(&two, Some(Arc::new(slow.clone()))).unwrap();
    let lookups: Vec<_> = (0..5).map(|n| resolver.lookup(&format!("n{n}.test"), 80)).collect();
    for asked in 2..=5 {
        breathe().await;
        assert_eq!(slow.asked.load(Ordering::SeqCst), asked);
        slow.go.notify_one();
    }
    breathe().await;
    slow.go.notify_one();
    for lookup in lookups {
        assert_eq!(lookup.all().await.unwrap().len(), 2);
    }

    let resolver = system(&two);
    let lookups: Vec<_> = (1..=20).map(|n| resolver.lookup(&format!("127.0.0.{n}"), 80)).collect();
    assert!((1..=2).contains(&resolver.shared.lock().queue.threads));
    for lookup in lookups {
        assert_eq!(lookup.all().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn item_32_the_cache_is_bounded() {
    let resolver = system(&Dns { cache_max: 3, ..Dns::default() });
    for number in 0..20 {
        let _ = resolver.lookup(&format!("127.0.0.{number}"), 80).all().await;
    }
    assert!(resolver.shared.lock().cache.len() <= 3);
}

#[tokio::test]
async fn answers_are_given_on_as_they_come_and_to_who_comes_late_too() {
    let (slow, resolver) = slow();
    let mut first = resolver.lookup("a.test", 80);
    assert_eq!(first.next().await.unwrap(), Some(vec![ip(1)]));
    let mut late = resolver.lookup("a.test", 80);
    assert_eq!(late.next().await.unwrap(), Some(vec![ip(1)]));
    slow.go.notify_one();
    for lookup in [&mut first, &mut late] {
        assert_eq!(lookup.next().await.unwrap(), Some(vec![ip(2)]));
        assert_eq!(lookup.next().await.unwrap(), None);
    }
    assert_eq!(resolver.lookup("a.test", 80).all().await.unwrap(), [ip(1), ip(2)]);
}

#[tokio::test]
async fn an_error_beside_an_address_is_passed_over() {
    let (slow, resolver) = slow();
    slow.go.notify_one();
    assert_eq!(resolver.lookup("half.test", 80).all().await.unwrap(), [ip(1)]);
}

#[tokio::test]
async fn a_lookup_of_a_given_resolver_ends_with_its_last_asker_or_the_session() {
    let (slow, resolver) = slow();
    let (mut first, mut second) = (resolver.lookup("a.test", 80), resolver.lookup("a.test", 80));
    first.next().await.unwrap();
    drop(first);
    breathe().await;
    assert_eq!(slow.ended.load(Ordering::SeqCst), 0);
    second.next().await.unwrap();
    drop(second);
    breathe().await;
    assert_eq!(slow.ended.load(Ordering::SeqCst), 1);

    let silent = Resolver::new(&Dns::default(), Some(Arc::new(Silent))).unwrap();
    let mut unanswered = silent.lookup("a.test", 80);
    unanswered.started(None).await;
    drop(unanswered);
    breathe().await;
    assert_eq!(silent.shared.lock().cache.len(), 0);

    let mut third = resolver.lookup("b.test", 80);
    third.next().await.unwrap();
    drop(resolver);
    assert_eq!(third.next().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(slow.ended.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_a_lookup_found_before_its_last_asker_left_is_kept() {
    let (slow, resolver) = slow();
    let mut lookup = resolver.lookup("a.test", 80);
    assert_eq!(lookup.next().await.unwrap(), Some(vec![ip(1)]));
    drop(lookup);
    breathe().await;
    let again = resolver.lookup("a.test", 80);
    assert!(again.is_known());
    assert_eq!(again.all().await.unwrap(), [ip(1)]);
    assert_eq!((slow.asked.load(Ordering::SeqCst), slow.ended.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_lookup_may_take_so_long_and_what_has_come_by_then_is_all() {
    const LIMIT: Duration = Duration::from_secs(2);
    let began = tokio::time::Instant::now();
    let resolver = Resolver::new(&Dns::default(), Some(Arc::new(Silent))).unwrap();
    let mut lookup = resolver.lookup("a.test", 80);
    lookup.started(Some(LIMIT)).await;
    let error = lookup.next().await.unwrap_err();
    assert_eq!((error.kind(), error.phase(), began.elapsed()), (ErrorKind::TimeoutConnect, Phase::Dns, LIMIT));
    // Who has more patience is not disturbed.
    let mut patient = resolver.lookup("a.test", 80);
    patient.started(None).await;
    assert!(tokio::time::timeout(LIMIT * 1000, patient.next()).await.is_err());

    let (_slow, resolver) = slow();
    let mut lookup = resolver.lookup("a.test", 80);
    lookup.started(Some(LIMIT)).await;
    assert_eq!(lookup.all().await.unwrap(), [ip(1)]);
}

struct Silent;

impl Resolve for Silent {
    fn resolve(&self, _name: &str) -> Resolving {
        Resolving::apart(stream::pending())
    }
}

struct Panics;

impl Resolve for Panics {
    fn resolve(&self, _name: &str) -> Resolving {
        panic!("on purpose")
    }
}

#[tokio::test]
async fn a_resolver_that_panics_fails_its_lookup_and_no_other() {
    let resolver = Resolver::new(&Dns { max_lookups: 1, ..Dns::default() }, Some(Arc::new(Panics))).unwrap();
    for _ in 0..2 {
        let error = resolver.lookup("a.test", 80).all().await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Dns, "the lookup ended without an answer"));
    }
}
