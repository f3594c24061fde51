//! Where a request's time went: what is known of it, in which order, and on which connection.

use gannet::{Session, Timings};

use super::*;

/// Moments come in the order of what they are moments of, and lengths fit in between.
fn check(timings: &Timings) {
    let opening = [timings.dns, timings.connect, timings.tls].into_iter().flatten().sum::<Duration>();
    let sent = timings.sent.unwrap();
    assert!(timings.before + timings.queued + opening <= sent, "{timings:?}");
    let moments = [sent, timings.first_byte.unwrap(), timings.head];
    assert!(moments.is_sorted() && timings.total.is_none_or(|total| total >= timings.head), "{timings:?}");
}

#[tokio::test]
async fn a_new_connection_is_told_in_its_steps_and_a_kept_one_has_none() {
    let (origin, identity) = (origin().await, gannet_origin::Identity::for_names(&["localhost"]).unwrap());
    let tls = ScriptedServer::start_tls([answers(OK)], &identity).await.unwrap();
    let session = session(|options| options.tls.extra_roots = vec![identity.ca_pem().to_owned()]);
    for (url, dns, secure) in [
        (origin.url("/items/1"), false, false),
        (format!("http://localhost:{}/items/1", origin.addr().port()), true, false),
        (format!("https://localhost:{}/", tls.addr().port()), true, true),
    ] {
        let first = session.get(&url).send().await.unwrap();
        let timings = first.timings();
        check(&timings);
        let known = [timings.dns, timings.connect, timings.tls].map(|step| step.is_some());
        assert_eq!((known, timings.reused), ([dns, true, secure], false), "{url}");
        assert_eq!((timings.before, timings.queued), (Duration::ZERO, Duration::ZERO));
        let second = session.get(&url).send().await.unwrap();
        let timings = second.timings();
        check(&timings);
        assert_eq!([timings.dns, timings.connect, timings.tls], [None; 3], "{url}");
        assert!(timings.reused);
        let ends = (first.local_addr().unwrap(), first.remote_addr().unwrap());
        assert_eq!(ends, (second.local_addr().unwrap(), second.remote_addr().unwrap()), "the same connection");
        assert_eq!(ends.1.port(), gannet::Url::parse(&url).unwrap().port().unwrap());
    }
}

#[tokio::test]
async fn the_total_is_known_when_the_last_byte_has_been_read() {
    let origin = origin().await;
    let mut response = Session::default().get(origin.url("/drip?numbytes=3&duration=0.06")).send().await.unwrap();
    assert_eq!(response.timings().total, None);
    let mut length = 0;
    while let Some(piece) = response.chunk().await.unwrap() {
        length += piece.len() as u64;
        assert_eq!(response.received(), length);
    }
    let timings = response.timings();
    check(&timings);
    assert!(timings.total.unwrap() >= timings.head + Duration::from_millis(30), "{timings:?}");
    let whole = Session::default().get(origin.url("/items/1")).send().await.unwrap();
    assert!(whole.timings().total.is_some(), "it came with its head");
}

#[tokio::test]
async fn a_slow_answer_shows_between_sent_and_first_byte() {
    let origin = origin().await;
    let response = Session::default().get(origin.url("/items/1?delay=0.05")).send().await.unwrap();
    let timings = response.timings();
    check(&timings);
    assert!(timings.first_byte.unwrap() - timings.sent.unwrap() >= Duration::from_millis(40), "{timings:?}");
}

#[tokio::test]
async fn the_wait_for_a_connection_and_the_redirects_before_are_told_apart() {
    let origin = origin().await;
    let session = session(|options| options.connections.max = 1);
    let held = session.get(origin.url("/items/1?delay=0.05")).send();
    let (mut held, mut waiting) = (Box::pin(held), Box::pin(session.get(origin.url("/items/2")).send()));
    assert!(poll_once(&mut held).await.is_none());
    assert!(poll_once(&mut waiting).await.is_none());
    let (_, waited) = tokio::join!(held, waiting);
    let timings = waited.unwrap().timings();
    check(&timings);
    assert!(timings.queued >= Duration::from_millis(40) && timings.before.is_zero(), "{timings:?}");
    let led = session.get(origin.url("/redirect/2")).send().await.unwrap();
    let timings = led.timings();
    check(&timings);
    assert!(timings.before > Duration::ZERO && timings.queued.is_zero() && timings.reused, "{timings:?}");
    let text = serde_json::to_value(&timings).unwrap();
    assert!(text["before"].as_f64().unwrap() > 0.0 && text["dns"].is_null() && text["reused"] == true, "{text}");
}
