//! Where requests go and who they say they are, over connections that others share: the address guard, cookies,
//! credentials.

use futures_util::future::join_all;

use super::super::guard::{assert_denied, guarded, reached, two_hosts};
use super::super::resolving::{Answers, resolving};
use super::*;

#[tokio::test]
async fn item_31_a_denied_hop_is_an_error_and_leaves_the_connection_to_the_others() {
    let origin = two_hosts().await;
    for version in [HttpVersion::Auto, HttpVersion::Http2PriorKnowledge] {
        let session = session(|options| {
            guarded(options);
            options.http.version = version;
            options.connections.idle = Duration::from_secs(60);
        });
        let before = origin.stats().connections_total;
        let base = if version == HttpVersion::Auto { origin.https_url("") } else { origin.url("") };
        let mut beside = session.get(format!("{base}/bytes/3000000?seed=1")).send().await.unwrap();
        assert_eq!(beside.version(), Version::Http2);
        let mut whole = beside.chunk().await.unwrap().unwrap().to_vec();
        for target in [origin.url_at(1, "/items/1"), format!("https://{}/items/1", origin.https_addrs()[1])] {
            assert_denied(in_time(session.get(&target).send()).await, &target);
            let sent = session.get(format!("{base}/redirect-to")).query([("url", &target)]).send();
            assert_denied(in_time(sent).await, &target);
        }
        let allowed = session.get(format!("{base}/redirect-to")).query([("url", "/items/1")]).send().await;
        assert_eq!(json(allowed).await["id"], 1);
        while let Some(piece) = in_time(beside.chunk()).await.unwrap() {
            whole.extend_from_slice(&piece);
        }
        assert!(whole == gannet_origin::payload(1, 3_000_000));
        assert_eq!((reached(&origin), origin.stats().connections_total - before), (0, 1));
        assert_eq!(session.pool_stats(), pool(1, 1, 0));
    }
}

#[tokio::test]
async fn item_31_a_name_that_leads_elsewhere_by_now_is_judged_when_a_connection_is_opened() {
    let origin = two_hosts().await;
    let rebinding = Answers::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let session = resolving(&rebinding, |options| {
        guarded(options);
        options.http.version = HttpVersion::Http2PriorKnowledge;
        options.dns.ttl = Duration::ZERO;
        options.connections.idle = Duration::from_secs(60);
    });
    let url = format!("http://some.test:{}/items/1", origin.addr().port());
    for _ in 0..3 {
        // The connection leads where it led when it was opened.
        assert_eq!(json(session.get(&url).send().await).await["id"], 1);
    }
    origin.shutdown().await;
    until(|| session.pool_stats().open == 0).await;
    assert_denied(in_time(session.get(&url).send()).await, "the second answer");
}

#[tokio::test]
async fn credentials_of_every_kind_are_shown_on_one_connection() {
    let origin = origin().await;
    let session = offering(&origin);
    let url = |path: &str| origin.https_url(path);
    let basic = session.get(url("/basic-auth/me/pw")).basic_auth("me", Some("pw")).send().await.unwrap();
    assert_eq!(basic.status(), 200);
    let inside = url("/basic-auth/me/pw").replace("://", "://me:pw@");
    assert_eq!(session.get(inside).send().await.unwrap().status(), 200);
    assert_eq!(session.get(url("/bearer")).bearer_auth("token").send().await.unwrap().status(), 200);
    for qop in ["auth", "auth-int", "none"] {
        for algorithm in ["MD5", "SHA-256", "SHA-512-256", "SHA-256-sess"] {
            let path = format!("/digest-auth/{qop}/me/pw/{algorithm}");
            let posted = session.post(url(&path)).body("covered").digest_auth("me", "pw").send();
            assert_eq!(in_time(posted).await.unwrap().status(), 200, "{path}");
        }
    }
    let wrong = session.get(url("/digest-auth/auth/me/pw")).digest_auth("me", "no").send();
    assert_eq!(in_time(wrong).await.unwrap().status(), 401);
    assert_eq!((connections(&origin.stats()), session.pool_stats()), ((1, 1), pool(1, 1, 0)));
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_origin() {
    let (one, two) = (origin().await, origin().await);
    let session = speaking(|_| {});
    let away = one.url(&format!("/redirect-to?url={}", two.url("/headers")));
    let seen = json(session.get(&away).bearer_auth("sesame").header("Cookie", "a=1").send().await).await;
    assert_eq!((&seen["headers"]["Authorization"], &seen["headers"]["Cookie"]), (&Value::Null, &Value::Null));
    let near = one.url("/redirect-to?url=/headers");
    let seen = json(session.get(&near).bearer_auth("sesame").send().await).await;
    assert_eq!(seen["headers"]["Authorization"], "Bearer sesame");
}

#[tokio::test]
async fn cookies_of_requests_side_by_side_all_stay_and_come_back() {
    let origin = origin().await;
    let session = offering(&origin);
    let long = "v".repeat(150);
    let sets = (0..40).map(|n| session.get(origin.https_url(&format!("/cookies/set?name{n}={long}{n}"))).send());
    for response in in_time(join_all(sets)).await {
        assert_eq!(response.unwrap().status(), 200);
    }
    let seen = json(session.get(origin.https_url("/cookies")).send().await).await;
    let cookies = seen["cookies"].as_object().unwrap();
    assert_eq!(cookies.len(), 40);
    assert!((0..40).all(|n| cookies[&format!("name{n}")] == format!("{long}{n}")));
    let deleted = session.get(origin.https_url("/cookies/delete?name7")).send().await;
    assert_eq!(json(deleted).await["cookies"].as_object().unwrap().len(), 39);
    assert_eq!(connections(&origin.stats()), (1, 1));
}
