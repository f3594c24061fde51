//! What stands around a request: it may change it, repeat it, answer in its place, and is bounded with it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use gannet::{Body, ErrorKind, Handling, Headers, Middleware, Next, Request, Session, StatusCode};

use super::*;

const DENIED: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";

/// Asks for a token where there is none that is taken.
#[derive(Clone, Default)]
struct Token {
    held: Arc<Mutex<String>>,
    asked: Arc<AtomicU64>,
}

impl Middleware for Token {
    fn handle<'a>(&'a self, mut request: Request, next: Next) -> Handling<'a> {
        Box::pin(async move {
            let again = request.try_clone();
            let held = self.held.lock().unwrap().clone();
            request.headers_mut().append_secret("authorization", format!("Bearer {held}"))?;
            let response = next.run(request).await?;
            let Some(mut again) = again.filter(|_| response.status() == StatusCode::UNAUTHORIZED) else {
                return Ok(response);
            };
            drop(response);
            let fresh = format!("token{}", self.asked.fetch_add(1, Relaxed));
            again.headers_mut().append_secret("authorization", format!("Bearer {fresh}"))?;
            *self.held.lock().unwrap() = fresh;
            next.run(again).await
        })
    }
}

#[tokio::test]
async fn a_token_is_asked_for_anew_and_the_request_sent_again_with_its_body() {
    let post = || Script::new().expect_head().expect_body(4);
    let server = serve([post().send(DENIED).expect_head().expect_body(4).send(OK).hang()]).await;
    let token = Token::default();
    let session = Session::builder(Options::default()).middleware(token.clone()).build().unwrap();
    let response = session.post(server.url("/")).body("body").send().await.unwrap();
    assert_eq!((response.text().await.unwrap().as_str(), token.asked.load(Relaxed)), ("ok", 1));
    let seen = text(&server.received().concat());
    assert_eq!((seen.matches("\r\n\r\nbody").count(), seen.matches("Bearer token0").count()), (2, 1), "{seen}");
    let server = serve([post().send(DENIED).hang()]).await;
    let stream = Body::stream(futures_util::stream::iter([Ok("once".into())]), Some(4));
    let response = session.post(server.url("/")).body(stream).send().await.unwrap();
    assert_eq!(response.status(), 401, "what can be sent once only is not sent twice");
    assert_eq!(token.asked.load(Relaxed), 1);
}

#[tokio::test]
async fn it_stands_outside_redirects_and_what_it_adds_does_not_reach_another_origin() {
    let other = serve([answers(OK)]).await;
    let away = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", other.url("/b"));
    let server = serve([answers(&away)]).await;
    let token = Token::default();
    let calls = Arc::new(AtomicU64::new(0));
    let count = calls.clone();
    let session = Session::builder(Options::default())
        .middleware(move |request: Request, next: Next| {
            count.fetch_add(1, Relaxed);
            async move {
                let response = next.run(request).await?;
                assert_eq!((response.status().as_u16(), response.history().len()), (200, 1));
                Ok(response)
            }
        })
        .middleware(token)
        .build()
        .unwrap();
    session.get(server.url("/a")).send().await.unwrap();
    assert_eq!(calls.load(Relaxed), 1);
    assert!(text(&server.received().concat()).contains("Bearer"));
    assert!(!text(&other.received().concat()).contains("Bearer"));
}

#[tokio::test]
async fn one_can_answer_by_itself_and_nothing_is_sent() {
    let local = |request: Request, _: Next| async move {
        let mut headers = Headers::new();
        headers.append("content-type", "application/json")?;
        Ok(Response::local(request.url().clone(), StatusCode::OK, headers, r#"{"from":"memory"}"#))
    };
    let session = Session::builder(Options::default()).middleware(local).build().unwrap();
    let response = session.get("http://nowhere.invalid/a").send().await.unwrap();
    let timings = response.timings();
    assert_eq!((timings.head, timings.connect, response.remote_addr()), (Duration::ZERO, None, None));
    assert_eq!((response.url().path(), response.content_length()), ("/a", Some(17)));
    assert_eq!(json(Ok(response)).await["from"], "memory");
    assert_eq!(session.pool_counters(), gannet::PoolCounters::default());
    let mut pieces = session.get("http://nowhere.invalid/").send().await.unwrap();
    assert_eq!(pieces.chunk().await.unwrap().unwrap().len(), 17);
    assert_eq!(pieces.chunk().await.unwrap(), None);
}

/// Adds its letter to a header on the way in, and to a list on the way out.
fn letter(letter: &'static str, out: &Arc<Mutex<String>>) -> impl Middleware {
    let out = out.clone();
    move |mut request: Request, next: Next| {
        let out = out.clone();
        async move {
            let so_far = request.headers().get("x-order").unwrap_or_default().to_owned();
            request.headers_mut().set("x-order", so_far + letter)?;
            let response = next.run(request).await;
            out.lock().unwrap().push_str(letter);
            response
        }
    }
}

#[tokio::test]
async fn the_first_stands_outermost_and_a_requests_own_replace_the_sessions() {
    let origin = origin().await;
    let out = Arc::new(Mutex::new(String::new()));
    let builder = Session::builder(Options::default()).middleware(letter("a", &out)).middleware(letter("b", &out));
    let session = builder.build().unwrap();
    let url = origin.url("/anything");
    let seen = json(session.get(&url).send().await).await;
    assert_eq!((&seen["headers"]["X-Order"], out.lock().unwrap().as_str()), (&"ab".into(), "ba"), "{seen}");
    let own = session.get(&url).middleware(letter("c", &out)).middleware(letter("d", &out));
    let seen = json(session.execute(own.build().unwrap()).await).await;
    assert_eq!(seen["headers"]["X-Order"], "cd");
    let seen = json(session.get(&url).without_middlewares().send().await).await;
    assert!(seen["headers"]["X-Order"].is_null(), "{seen}");
}

#[tokio::test]
async fn total_bounds_all_that_a_middleware_does_and_its_errors_are_the_callers() {
    let origin = origin().await;
    let short = Duration::from_millis(50);
    let forever = |_: Request, _: Next| std::future::pending::<gannet::Result<Response>>();
    let error = in_time(Session::default().get(origin.url("/")).middleware(forever).timeout(short).send()).await;
    let error = error.unwrap_err();
    assert_eq!((error.kind(), error.host()), (ErrorKind::TimeoutTotal, Some("127.0.0.1")), "{error:?}");
    let again = |request: Request, next: Next| async move {
        loop {
            next.run(request.try_clone().unwrap()).await?.bytes().await?;
        }
    };
    let request = Session::default().get(origin.url("/items/1")).middleware(again).timeout(short);
    assert_eq!(in_time(request.send()).await.unwrap_err().kind(), ErrorKind::TimeoutTotal);
    let refuses = |_: Request, next: Next| async move {
        let response = next.run(Request::new(gannet::Method::GET, "http://127.0.0.1:1/".parse().unwrap())?).await?;
        Ok(response)
    };
    let error = Session::default().get(origin.url("/")).middleware(refuses).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.url().unwrap().contains(":1/"), "the one that failed: {error}");
}

#[tokio::test]
async fn the_future_of_a_request_stays_small() {
    let session = Session::default();
    let request = session.get("http://127.0.0.1:1/").build().unwrap();
    let size = std::mem::size_of_val(&session.execute(request));
    assert!(size <= 4 << 10, "{size} bytes: box what is rare");
}
