//! The resolver of the feature `hickory` against name servers of our own: what they are asked, and what is made of
//! what they say.

use std::net::SocketAddr;

use gannet::{ErrorKind, Hickory, HickoryOptions, Phase, Session};
use gannet_origin::names::{Answer, NameServer, Question};

use super::*;

/// Asks these servers, and knows nothing from the machine's files.
fn asking(servers: &[&NameServer]) -> HickoryOptions {
    HickoryOptions {
        servers: servers.iter().map(|server| server.addr()).collect(),
        // No server of a test is slow: who is not heard of is not there.
        timeout: Some(Duration::from_secs(3600)),
        attempts: Some(1),
        resolv_conf: "/dev/null".into(),
        hosts: "/dev/null".into(),
    }
}

fn resolving(how: &HickoryOptions, change: impl FnOnce(&mut Options)) -> Session {
    let mut options = Options::default();
    options.connections.idle = Duration::ZERO;
    change(&mut options);
    Session::builder(options).resolver(Hickory::new(how).unwrap()).build().unwrap()
}

fn url(name: &str, origin: &Origin) -> String {
    format!("http://{name}:{}/items/1", origin.addr().port())
}

async fn got(session: &Session, url: &str) {
    assert_eq!(json(in_time(session.get(url).send()).await).await["id"], 1, "{url}");
}

async fn no_address(session: &Session, name: &str) -> String {
    let error = in_time(session.get(format!("http://{name}/")).send()).await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Dns, Phase::Dns), "{error}");
    error.message()
}

fn here() -> Answer {
    Answer::addresses(&["127.0.0.1"])
}

fn asked(name: &str, v6: bool) -> Question {
    Question { name: name.to_owned(), v6, tcp: false }
}

#[tokio::test]
async fn both_families_are_asked_for_at_once_and_the_first_to_come_is_used() {
    let origin = origin().await;
    let names = NameServer::start(|asked| if asked.v6 { Answer::Silence } else { here() }).await.unwrap();
    let session = resolving(&asking(&[&names]), |_| {});
    got(&session, &url("some.test", &origin)).await;
    assert_eq!(names.asked(), [asked("some.test", true), asked("some.test", false)]);
    let six = NameServer::start(|asked| if asked.v6 { Answer::addresses(&["::1"]) } else { Answer::Silence });
    let six = six.await.unwrap();
    let origin = Origin::builder().listen("[::1]:0").start().await.unwrap();
    got(&resolving(&asking(&[&six]), |_| {}), &url("some.test", &origin)).await;
}

#[tokio::test]
async fn an_answer_is_kept_for_as_long_as_it_says_and_an_alias_followed() {
    let origin = origin().await;
    let names = NameServer::start(|asked| match &*asked.name {
        "fleeting.test" => Answer::Addresses(vec!["127.0.0.1".parse().unwrap()], 0),
        _ => Answer::Alias("real.test".into(), vec!["127.0.0.1".parse().unwrap()]),
    });
    let names = names.await.unwrap();
    let session = resolving(&asking(&[&names]), |_| {});
    for (name, questions) in [("fleeting.test", 2), ("fleeting.test", 4), ("alias.test", 6), ("alias.test", 6)] {
        got(&session, &url(name, &origin)).await;
        assert_eq!(names.asked().len(), questions, "{name}");
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist_and_one_without_address_are_told_apart_and_asked_once() {
    let names = NameServer::start(|asked| match &*asked.name {
        "empty.test" => Answer::addresses(&[]),
        _ => Answer::NoSuchName,
    });
    let names = names.await.unwrap();
    let how = HickoryOptions { attempts: Some(3), ..asking(&[&names, &names]) };
    let session = resolving(&how, |_| {});
    assert_eq!(no_address(&session, "none.test").await, "there is no such name");
    assert_eq!(no_address(&session, "empty.test").await, "the name has no address");
    assert_eq!(names.asked().len(), 4);
}

#[tokio::test]
async fn a_server_that_cannot_say_or_says_nothing_makes_way_for_the_next() {
    let origin = origin().await;
    let fails = NameServer::start(|_| Answer::Fails).await.unwrap();
    let knows = NameServer::start(|_| here()).await.unwrap();
    let session = resolving(&asking(&[&fails, &knows]), |_| {});
    for (name, count) in [("a.test", 2), ("b.test", 4)] {
        got(&session, &url(name, &origin)).await;
        assert_eq!((fails.asked().len(), knows.asked().len()), (count, count), "it may know the next name");
    }
    let session = resolving(&asking(&[&fails]), |_| {});
    let message = no_address(&session, "a.test").await;
    assert!(message.starts_with("the name servers cannot say, and may later"), "{message}");

    let silent = NameServer::start(|_| Answer::Silence).await.unwrap();
    let soon = |servers: &[&NameServer]| HickoryOptions { timeout: Some(Duration::from_millis(60)), ..asking(servers) };
    let session = resolving(&soon(&[&silent, &knows]), |_| {});
    got(&session, &url("a.test", &origin)).await;
    let before = silent.asked().len();
    assert!(before > 0, "a lost packet is sent again");
    got(&session, &url("b.test", &origin)).await;
    assert_eq!(silent.asked().len(), before, "from now on the one is asked first that answers");
    let message = no_address(&resolving(&soon(&[&silent]), |_| {}), "a.test").await;
    assert_eq!(message, "no name server answered within 0.06 s");
}

#[tokio::test]
async fn an_answer_that_is_cut_is_fetched_over_tcp() {
    let origin = origin().await;
    let names = NameServer::start(|asked| if asked.tcp { here() } else { Answer::Truncated }).await.unwrap();
    got(&resolving(&asking(&[&names]), |_| {}), &url("large.test", &origin)).await;
    assert_eq!(names.asked().iter().filter(|asked| asked.tcp).count(), 2);
    let path = tempfile::tempdir().unwrap();
    let conf = path.path().join("resolv.conf");
    std::fs::write(&conf, "options use-vc\n").unwrap();
    let names = NameServer::start(|_| here()).await.unwrap();
    let how = HickoryOptions { resolv_conf: conf, ..asking(&[&names]) };
    got(&resolving(&how, |_| {}), &url("some.test", &origin)).await;
    assert!(names.asked().iter().all(|asked| asked.tcp));
}

#[tokio::test]
async fn item_31_an_answer_to_another_question_is_not_believed() {
    let origin = origin().await;
    let names = NameServer::start(|_| Answer::Forged(Box::new(here()))).await.unwrap();
    let session = resolving(&asking(&[&names]), |options| options.guard = guard_for("127.0.0.1"));
    got(&session, &url("some.test", &origin)).await;
}

fn guard_for(allowed: &str) -> gannet::Guard {
    gannet::Guard { deny_private: true, allow: vec![allowed.parse().unwrap()] }
}

#[tokio::test]
async fn item_31_the_guard_judges_what_it_says() {
    let origin = Origin::builder().listen("127.0.0.1:0").also_listen("127.0.0.2:0").start().await.unwrap();
    let names = NameServer::start(|asked| match &*asked.name {
        "inside.test" => Answer::addresses(&["127.0.0.2", "::1"]),
        _ => Answer::addresses(&["127.0.0.2", "127.0.0.1"]),
    });
    let names = names.await.unwrap();
    let session = resolving(&asking(&[&names]), |options| options.guard = guard_for("127.0.0.1"));
    got(&session, &url("both.test", &origin)).await;
    let port = origin.addrs()[1].port();
    for name in ["inside.test", "localhost.", "a.localhost"] {
        let error = in_time(session.get(format!("http://{name}:{port}/")).send()).await.unwrap_err();
        // 127.0.0.1 is allowed, and nobody listens there at this port.
        let wanted = if name == "inside.test" { ErrorKind::Denied } else { ErrorKind::Connect };
        assert_eq!(error.kind(), wanted, "{name}: {error}");
    }
}

#[tokio::test]
async fn a_lookup_that_nobody_waits_for_ends_and_makes_room_for_the_next() {
    let origin = origin().await;
    let names = NameServer::start(|asked| if asked.name == "stuck.test" { Answer::Silence } else { here() });
    let names = names.await.unwrap();
    let session = resolving(&asking(&[&names]), |options| options.dns.max_lookups = 1);
    let mut stuck = Box::pin(session.get("http://stuck.test/").send());
    while names.asked().len() < 2 {
        assert!(poll_once(&mut stuck).await.is_none());
        tokio::task::yield_now().await;
    }
    let mut next = Box::pin(session.get(url("next.test", &origin)).send());
    assert!(poll_once(&mut next).await.is_none());
    drop(stuck);
    assert_eq!(json(in_time(next).await).await["id"], 1);
}

#[tokio::test]
async fn many_names_at_once_are_bounded_and_all_are_found() {
    let origin = origin().await;
    let names = NameServer::start(|_| Answer::After(Duration::from_millis(2), Box::new(here()))).await.unwrap();
    let session = resolving(&asking(&[&names]), |options| options.dns.max_lookups = 8);
    let urls: Vec<String> = (0..200).map(|n| url(&format!("h{n}.test"), &origin)).collect();
    let all = futures_util::future::join_all(urls.iter().map(|url| got(&session, url)));
    in_time(all).await;
    assert_eq!(names.asked().len(), 400);
    assert!(names.most_at_once() <= 16, "{}", names.most_at_once());
}

#[tokio::test]
async fn what_the_options_and_the_machine_say_comes_before_any_server() {
    let origin = origin().await;
    let names = NameServer::start(|_| Answer::NoSuchName).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, "127.0.0.1 written.test\n127.0.0.9 overridden.test\n").unwrap();
    let session = resolving(&HickoryOptions { hosts, ..asking(&[&names]) }, |options| {
        options.dns.overrides = vec!["overridden.test:*:127.0.0.1".parse().unwrap()];
    });
    for name in ["written.test", "Written.TEST.", "overridden.test", "localhost", "a.localhost"] {
        got(&session, &url(name, &origin)).await;
    }
    assert_eq!(no_address(&session, "name.invalid").await, "there is no such name");
    assert_eq!(names.asked(), []);
}

#[tokio::test]
async fn short_names_are_searched_for_and_never_beyond_one_that_may_exist() {
    let origin = origin().await;
    let folder = tempfile::tempdir().unwrap();
    let resolv_conf = folder.path().join("resolv.conf");
    std::fs::write(&resolv_conf, "search a.test b.test\n").unwrap();
    let names = NameServer::start(|asked| match &*asked.name {
        // Of one family alone: the other is not to come from another name.
        "www.a.test" => here(),
        "doubtful.a.test" => Answer::Fails,
        "www.b.test" | "only.b.test" | "doubtful.b.test" => Answer::addresses(&["127.0.0.1", "::1"]),
        _ => Answer::NoSuchName,
    });
    let names = names.await.unwrap();
    let session = resolving(&HickoryOptions { resolv_conf, ..asking(&[&names]) }, |_| {});
    got(&session, &url("www", &origin)).await;
    assert_eq!(names.asked(), [asked("www.a.test", true), asked("www.a.test", false)]);
    got(&session, &url("only", &origin)).await;
    assert!(no_address(&session, "doubtful").await.contains("may later"));
    assert!(names.asked().iter().all(|asked| asked.name != "doubtful.b.test"));
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_told() {
    let nowhere: SocketAddr = "[::ffff:0:0]:53".parse().unwrap();
    let how = HickoryOptions { servers: vec![nowhere], timeout: Some(Duration::from_millis(50)), ..asking(&[]) };
    let message = no_address(&resolving(&how, |_| {}), "some.test").await;
    assert!(message.contains("name server"), "{message}");
}
