//! What the chapters say in numbers and cannot show in an example.

use std::time::Duration;

use gannet::bulk::{BulkOptions, PolitenessOptions};
use gannet::{Options, Timeouts};

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn a_session_has_the_defaults_of_chapters_1_and_7() {
    let options = Options::default();
    let timeouts = Timeouts { pool: None, dns: None, connect: Some(seconds(10)), read: Some(seconds(60)), total: None };
    assert_eq!(options.timeouts, timeouts);
    assert_eq!((options.connections.max, options.connections.max_per_host), (512, None));
    assert_eq!(options.connections.idle, seconds(60));
    assert_eq!((options.redirects.follow, options.redirects.max), (true, 10));
    assert!(options.cookies.enabled && options.decode.enabled);
    assert_eq!((options.base_url, options.response.max_body), (None, None));
}

#[test]
fn a_bulk_run_has_the_defaults_of_chapters_5_to_8() {
    let options = BulkOptions::default();
    assert_eq!((options.limits.concurrency, options.limits.per_host), (256, Some(32)));
    assert_eq!(options.limits.rate, None);
    assert!(options.polite.adaptive && !PolitenessOptions::off().adaptive);
    assert_eq!((options.total, options.deadline), (Some(seconds(300)), None));
    assert_eq!(options.retry.attempts, 3);
    assert_eq!(options.retry.statuses.to_string(), "408,429,500,502,503,504");
    assert_eq!((options.retry.backoff.base, options.retry.backoff.max), (seconds(1), seconds(60)));
    assert!(!options.retry.unsafe_methods && !options.fail_fast);
    assert_eq!((options.max_body, options.batch), (32 << 20, None));
}

#[test]
#[should_panic(expected = "runtime")]
fn the_blocking_door_panics_in_async_code_as_chapter_13_says() {
    let session = gannet::blocking::Session::new(Options::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { session.get("http://127.0.0.1:1/").send() }).unwrap();
}
