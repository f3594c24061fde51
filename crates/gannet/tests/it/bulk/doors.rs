//! The engine's doors for Rust.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gannet::bulk::{BulkOptions, Outcome, PolitenessOptions};
use gannet::{ErrorKind, Method, Request, Url};
use gannet_origin::Origin;

use super::{assert_in_order, kinds, quick, session};

#[tokio::test]
async fn results_come_in_input_order_with_failures_as_values_beside_successes() {
    let origin = Origin::start().await.unwrap();
    let urls = [
        origin.url("/delay/0.05"),
        origin.url("/status/404"),
        "http://127.0.0.1:1/refused".to_owned(),
        "not a url".to_owned(),
        origin.url("/json"),
    ];
    let outcomes = session().fetch_all(&urls).options(quick()).await;
    assert_in_order(&outcomes);
    let expected = [None, Some(ErrorKind::Status), Some(ErrorKind::Connect), Some(ErrorKind::Url), None];
    assert_eq!(kinds(&outcomes), expected);
    assert_eq!(outcomes[1].status().map(|status| status.as_u16()), Some(404), "a failed row keeps its response");
    assert_eq!(outcomes[2].attempts, 3);
    assert_eq!(outcomes[3].attempts, 0);
    assert!(outcomes[4].response.as_ref().unwrap().json::<serde_json::Value>().unwrap()["slideshow"].is_object());
}

#[tokio::test]
async fn fail_fast_gives_the_first_error_and_drops_the_rest() {
    let origin = Origin::start().await.unwrap();
    let mut urls: Vec<String> = (0..20).map(|n| origin.url(&format!("/hang?n={n}"))).collect();
    urls.push(origin.url("/status/404"));
    let session = session();
    let all_at_once = BulkOptions { polite: PolitenessOptions::off(), ..BulkOptions::default() };
    let error = session.fetch_all(&urls).options(all_at_once).fail_fast().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Status);
    assert_eq!(session.pool_stats().open, session.pool_stats().idle, "nothing is left in flight");
    let all = session.fetch_all([origin.url("/items/1"), origin.url("/items/2")]).fail_fast().await.unwrap();
    assert_eq!(all.len(), 2);
}

#[tokio::test]
async fn the_map_has_an_entry_for_every_url_and_asks_equal_ones_once() {
    let origin = Origin::start().await.unwrap();
    let (good, bad) = (origin.url("/items/1"), origin.url("/status/500"));
    let map = session().fetch_map([good.clone(), bad.clone(), good.clone()], quick()).await;
    assert_eq!(map.len(), 2);
    assert!(map[&good].as_ref().unwrap().text().contains("\"id\""));
    assert_eq!(map[&bad].as_ref().unwrap_err().kind(), ErrorKind::Status);
    assert_eq!(origin.stats().paths["/items/{id}"], 1);
}

#[tokio::test]
async fn a_stream_gives_outcomes_as_they_finish_or_in_input_order() {
    let origin = Origin::start().await.unwrap();
    let urls = || vec![origin.url("/delay/0.3"), origin.url("/items/1"), origin.url("/items/2")];
    let indices = async |mut outcomes: gannet::bulk::Outcomes| {
        let mut indices = Vec::new();
        while let Some(outcome) = outcomes.next().await {
            indices.push(outcome.index);
        }
        outcomes.result().unwrap();
        indices
    };
    let completed = indices(session().fetch_iter(urls()).outcomes()).await;
    assert_eq!(completed.last(), Some(&0));
    assert_eq!(indices(session().fetch_iter(urls()).ordered().outcomes()).await, [0, 1, 2]);
}

#[tokio::test]
async fn a_stream_that_is_not_read_holds_back_its_source() {
    let origin = Origin::start().await.unwrap();
    let taken = Arc::new(AtomicU64::new(0));
    let (count, url) = (taken.clone(), origin.url("/items/1"));
    let endless = std::iter::from_fn(move || {
        count.fetch_add(1, Ordering::SeqCst);
        Some(url.clone())
    });
    let mut options = BulkOptions::default();
    options.limits.concurrency = 4;
    // A host that may take no row for a moment lets the input be read further, in search of another.
    options.polite.adaptive = false;
    let mut outcomes = session().fetch_iter(endless).options(options).outcomes();
    for index in 0..50u64 {
        outcomes.next().await.unwrap();
        let ahead = taken.load(Ordering::SeqCst) - index;
        assert!(ahead < 40, "{ahead} rows ahead of the reader");
    }
}

#[tokio::test]
async fn dropping_a_stream_aborts_what_is_in_flight() {
    let origin = Origin::start().await.unwrap();
    let session = session();
    let mut outcomes = session.fetch_iter(vec![origin.url("/items/1"), origin.url("/hang")]).outcomes();
    assert_eq!(outcomes.next().await.unwrap().index, 0);
    drop(outcomes);
    while session.pool_stats().open != session.pool_stats().idle {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn requests_with_bodies_are_rows_too_and_are_sent_again_whole() {
    let origin = Origin::start().await.unwrap();
    let session = session();
    let request = |n: u32| -> Request {
        let url = Url::parse(&origin.url("/flaky?p=0.5&seed=3")).unwrap();
        session.request(Method::PUT, url).query([("n", n)]).body(format!("body {n}")).build().unwrap()
    };
    let mut options = quick();
    options.retry.attempts = 20;
    let outcomes = session.fetch_all((0..20).map(request)).options(options).await;
    assert!(outcomes.iter().all(Outcome::is_ok), "{outcomes:#?}");
    assert!(outcomes.iter().any(|outcome| outcome.attempts > 1));
}

#[tokio::test]
async fn bodies_that_can_be_sent_only_once_wait_for_their_turn_and_arrive() {
    let origin = Origin::start().await.unwrap();
    let session = session();
    let request = |n: u32| -> Request {
        let pieces = futures_util::stream::iter([Ok(bytes::Bytes::from(format!("once {n}")))]);
        let body = gannet::Body::stream(pieces, None);
        session.post(origin.url("/anything")).body(body).build().unwrap()
    };
    let outcomes = session.fetch_all((0..20).map(request)).concurrency(8).per_host(2).await;
    for (n, outcome) in outcomes.iter().enumerate() {
        let echo: serde_json::Value = outcome.response.as_ref().unwrap().json().unwrap();
        assert_eq!(echo["data"], format!("once {n}"));
    }
}

#[tokio::test]
async fn a_map_of_a_run_that_ended_early_gives_no_url_the_outcome_of_another() {
    let origin = Origin::start().await.unwrap();
    let (slow, bad) = (origin.url("/hang"), origin.url("/status/404"));
    let options = BulkOptions { fail_fast: true, ..quick() };
    let map = session().fetch_map([slow.clone(), bad.clone()], options).await;
    assert_eq!(map.len(), 1);
    assert_eq!(map[&bad].as_ref().unwrap_err().kind(), ErrorKind::Status);
}

#[tokio::test]
#[should_panic(expected = "the caller's own")]
async fn a_source_that_panics_is_a_panic_of_the_stream_and_no_hang() {
    let urls = std::iter::from_fn(|| -> Option<String> { panic!("the caller's own") });
    session().fetch_iter(urls).outcomes().next().await;
}
