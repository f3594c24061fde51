//! Errors one can tell apart: by their kind, never by their text.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::net::TcpListener;
use std::time::Duration;

use gannet::{ErrorKind, Options, Session};
use gannet_origin::Origin;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let origin = Origin::start_blocking()?;
    let mut options = Options::default();
    options.timeouts.read = Some(Duration::from_millis(200));
    let session = Session::new(options)?;

    let expected = [
        ("not a url".to_owned(), ErrorKind::Url),
        ("ftp://example.com/".to_owned(), ErrorKind::Url),
        (nobody_listens()?, ErrorKind::Connect),
        // The origin's certificate is signed by an authority of its own.
        (origin.https_url("/get"), ErrorKind::Tls),
        (origin.url("/reset"), ErrorKind::Connection),
        (origin.url("/truncate"), ErrorKind::Body),
        (origin.url("/hang"), ErrorKind::TimeoutRead),
        (origin.url("/redirect/11"), ErrorKind::Redirect),
        (origin.url("/html"), ErrorKind::Decode),
        (origin.url("/status/404"), ErrorKind::Status),
    ];
    for (url, kind) in expected {
        let error = read_json(&session, &url).await.expect_err("all of these fail");
        println!("{:<13} {error}", error.kind().as_str());
        assert_eq!(error.kind(), kind, "{url}");
    }

    // What to do follows from the kind.
    let error = read_json(&session, &origin.url("/status/503")).await.expect_err("a 503");
    assert_eq!(advice(&error), "ask again later");
    let error = read_json(&session, &nobody_listens()?).await.expect_err("nobody there");
    assert_eq!(advice(&error), "is the server up, and the name right?");

    // The body of an error page: look at the status first, then read it.
    let response = session.get(origin.url("/flaky?p=1&status=500")).send().await?;
    if let Some(error) = response.error_for_status_ref() {
        println!("{error}: {}", response.text().await?.trim());
    }

    // A password or a token in a URL is not in the error's text.
    let url = origin.url("/status/401?token=hunter2");
    let error = read_json(&session, &url).await.expect_err("a 401");
    println!("{error}");
    assert!(!error.to_string().contains("hunter2"));
    Ok(())
}

async fn read_json(session: &Session, url: &str) -> gannet::Result<serde_json::Value> {
    session.get(url).send().await?.error_for_status()?.json().await
}

fn advice(error: &gannet::Error) -> &'static str {
    match error.kind() {
        ErrorKind::Status if error.status().is_some_and(|status| status.is_server_error()) => "ask again later",
        ErrorKind::Status => "look at what was asked",
        _ if error.is_timeout() => "be more patient, or ask less at once",
        _ if error.is_connect() => "is the server up, and the name right?",
        _ => "look at the message",
    }
}

/// The URL of a port that was just let go.
fn nobody_listens() -> std::io::Result<String> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    Ok(format!("http://127.0.0.1:{port}/"))
}
