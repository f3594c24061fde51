use std::time::{Duration, Instant};

use crate::client::{Client, get, start};

#[tokio::test]
async fn a_burst_is_allowed_and_the_rest_refused_with_retry_after() {
    let origin = start().await;
    let mut client = Client::connect(origin.addr()).await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        let reply = client.get("/limited?rate=0.5&burst=3").await.unwrap();
        seen.push((reply.status, reply.header("retry-after").map(str::to_owned)));
    }
    let (yes, no) = ((200, None), (429, Some("2".to_owned())));
    assert_eq!(seen, [yes.clone(), yes.clone(), yes, no.clone(), no]);
    let limited = origin.stats().limited;
    assert_eq!((limited.allowed, limited.refused), (3, 2));
    // The fifth came although the fourth had been told to wait.
    assert_eq!(limited.early, 1);
}

#[tokio::test]
async fn each_key_and_each_address_has_its_own_bucket() {
    let origin = gannet_origin::Origin::builder().also_listen("127.0.0.2:0").start().await.unwrap();
    let target = |key: &str| format!("/limited?rate=0.1&burst=1&key={key}");
    assert_eq!(get(&origin, &target("a")).await.status, 200);
    assert_eq!(get(&origin, &target("a")).await.status, 429);
    assert_eq!(get(&origin, &target("b")).await.status, 200);
    let mut second = Client::connect(origin.addrs()[1]).await;
    assert_eq!(second.get(&target("a")).await.unwrap().status, 200);
    origin.reset_stats();
    assert_eq!(get(&origin, &target("a")).await.status, 200);
}

#[tokio::test]
async fn the_rate_holds_over_time() {
    let origin = start().await;
    let mut client = Client::connect(origin.addr()).await;
    let start = Instant::now();
    let mut allowed = 0_u32;
    while start.elapsed() < Duration::from_millis(200) {
        let reply = client.get("/limited?rate=100&burst=1").await.unwrap();
        allowed += u32::from(reply.status == 200);
    }
    let most = start.elapsed().as_secs_f64() * 100.0 + 1.0;
    assert!(f64::from(allowed) <= most, "{allowed} of {most}");
    assert!(allowed > 1);
}

#[tokio::test]
async fn nonsense_is_refused() {
    let origin = start().await;
    for query in ["rate=0", "rate=-1", "rate=NaN", "rate=inf", "burst=0", "rate=x"] {
        assert_eq!(get(&origin, &format!("/limited?{query}")).await.status, 400, "{query}");
    }
    assert_eq!(origin.stats().limited.allowed, 0);
}
