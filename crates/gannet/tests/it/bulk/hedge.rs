//! Slow requests that are sent a second time, as the server saw them.

use gannet_origin::Origin;

use super::{quick, session};

#[tokio::test]
async fn a_request_that_hangs_is_answered_by_its_copy_and_copies_are_few() {
    let origin = Origin::start().await.unwrap();
    // Enough answers over enough time for the schedule to know what is slow; then one in fifty hangs.
    let usual = (0..400).map(|n| origin.url(&format!("/items/{n}?delay=0.3")));
    let hanging = (0..200).map(|n| origin.url(&format!("/flaky?p=0.02&mode=hang&seed=5&n={n}")));
    let urls: Vec<String> = usual.chain(hanging).collect();
    let mut options = quick();
    options.polite.hedge = true;
    options.total = Some(std::time::Duration::from_secs(20));
    let outcomes = session().fetch_all(&urls).options(options).await;
    assert!(outcomes.iter().all(|outcome| outcome.is_ok() && outcome.attempts == 1), "{outcomes:#?}");
    let copies = origin.stats().requests - 600;
    assert!((1..=30).contains(&copies), "{copies} copies of 600");
}
