//! The checks find the mistakes they are there for: answers that look right, each with what it gets wrong.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use gannet::bulk::sink::{RowFormat, RowSink};
use gannet::bulk::source::{Input, InputOptions, InputSource};
use gannet::bulk::state::{Durability, Identity, Opening};
use gannet::bulk::{BulkOptions, End, Fetched, Outcome, Run};
use gannet::{ErrorKind, Options, RequestBuilder, Response, Session, blocking};
use gannet_guide::checks::ex01_session::Visit;
use gannet_guide::checks::ex03_response::Page;
use gannet_guide::checks::ex04_errors::Diagnosis;
use gannet_guide::checks::ex10_batches::Batch;
use gannet_guide::checks::ex11_comparison::Comparison;
use gannet_guide::{Answer, Report, checks};
use serde_json::Value;

/// The checks that failed.
fn failed(report: &Report) -> Vec<&'static str> {
    report.checked().iter().filter(|checked| checked.hint.is_some()).map(|checked| checked.what).collect()
}

fn name(item: &Value) -> String {
    item["name"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_session_per_request_is_found() {
    let report = checks::ex01_session::check(&async |base: &str| -> Answer<Visit> {
        let mut options = Options { base_url: Some(base.to_owned()), ..Options::default() };
        options.headers.set("x-team", "gulls").expect("it is a header");
        let text = async |path: String| Session::new(options.clone())?.get(path).send().await?.text().await;
        text("/cookies/set?token=abc".to_owned()).await?;
        let headers = text("/headers".to_owned()).await?;
        let cookies = text("/cookies".to_owned()).await?;
        let mut items = Vec::new();
        for id in 1..=10 {
            items.push(text(format!("/items/{id}")).await?);
        }
        Ok(Visit { headers, cookies, items, session: Session::new(options.clone())? })
    });
    assert_eq!(
        failed(&report),
        ["the cookie comes back", "one connection carried everything", "the session is closed"]
    );
}

#[test]
fn parameters_encoded_by_hand_and_a_form_in_place_of_json_are_found() {
    let report = checks::ex02_methods_and_bodies::check(&async |session: &Session| -> Answer<[String; 4]> {
        let text = async |request: RequestBuilder| request.send().await?.error_for_status()?.text().await;
        Ok([
            text(session.get("/get").query([("q", "sea%20birds%20%26%20co"), ("page", "2")])).await?,
            text(session.post("/post").form([("name", "Ada"), ("age", "36")])).await?,
            text(session.post("/post").form([("name", "Ada"), ("town", "St Kilda")])).await?,
            text(session.post("/post").form([("title", "Gannet"), ("photo", "splash")])).await?,
        ])
    });
    let wanted = [
        "GET with query parameters",
        "POST with JSON",
        "and says that it is JSON",
        "PUT with a form",
        "multipart: the file",
    ];
    assert_eq!(failed(&report), wanted);
}

#[test]
fn a_body_taken_for_utf_8_and_a_url_taken_from_the_request_are_found() {
    let report = checks::ex03_response::check(&async |session: &Session, path: &str| -> Answer<Page> {
        let request = session.get(path).build()?;
        let final_url = request.url().to_string();
        let response = session.execute(request).await?;
        let status = response.status().as_u16();
        let content_type = response.headers().get("content-type").map(str::to_owned);
        let text = String::from_utf8_lossy(&response.bytes().await?).into_owned();
        Ok(Page { status, final_url, hops: 0, content_type, text })
    });
    assert_eq!(failed(&report), ["the final URL", "the redirects", "text in ISO 8859-1"]);
}

#[test]
fn a_body_that_is_not_read_is_found() {
    let report = checks::ex04_errors::check(&async |session: &Session, url: &str| -> Answer<Diagnosis> {
        let error = match session.get(url).send().await.and_then(Response::error_for_status) {
            Ok(_) => return Ok(Diagnosis::Fine),
            Err(error) => error,
        };
        Ok(match error.status() {
            Some(status) if status.is_server_error() => Diagnosis::TheirTrouble,
            Some(_) => Diagnosis::OurMistake,
            None if error.kind() == ErrorKind::Url => Diagnosis::BadUrl,
            None if error.is_connect() => Diagnosis::Unreachable,
            None if error.is_timeout() => Diagnosis::TooSlow,
            None => Diagnosis::Broken,
        })
    });
    assert_eq!(failed(&report), ["a body that stops half-way and stays silent", "a body that is cut off"]);
}

#[test]
fn one_by_one_and_all_or_nothing_are_found() {
    type Names = Vec<Result<String, ErrorKind>>;
    let report = checks::ex05_many_at_once::check(&async |session: &Session, urls: Vec<String>| -> Answer<Names> {
        let one = async |url: String| session.get(url).send().await?.error_for_status()?.json::<Value>().await;
        let mut names = Vec::new();
        for url in urls {
            names.push(one(url).await.map(|item| name(&item)).map_err(|error| error.kind()));
        }
        Ok(names)
    });
    assert_eq!(failed(&report), ["they run at once"]);

    let report = checks::ex05_many_at_once::check(&async |session: &Session, urls: Vec<String>| -> Answer<Names> {
        let all = session.fetch_all(urls).fail_fast().await?;
        Ok(all.iter().map(|fetched| Ok(fetched.text())).collect())
    });
    assert_eq!(failed(&report), ["it comes to an answer"]);
}

#[test]
fn no_limit_is_found() {
    let report =
        checks::ex06_limits::check(&async |session: &Session, urls: Vec<String>| Ok(session.fetch_all(urls).await));
    assert_eq!(failed(&report), ["never more than 4 at once", "ten a second"]);
}

#[test]
fn a_bound_on_the_whole_in_place_of_the_silence_is_found() {
    let report = checks::ex07_timeouts::check(&async |session: &Session, path: &str| {
        let text = async || {
            let request = session.get(path).timeout(Duration::from_millis(600));
            request.send().await?.error_for_status()?.text().await
        };
        Ok(text().await.map_err(|error: gannet::Error| error.kind()))
    });
    assert_eq!(failed(&report), ["a slow page is read to its end", "a silent server", "one that falls silent"]);
}

#[test]
fn the_default_retries_and_a_loop_without_waits_are_found() {
    let report = checks::ex08_retries::check(&async |session: &Session, urls: Vec<String>| {
        let mut options = BulkOptions::default();
        options.retry.backoff.base = Duration::from_millis(20);
        Ok(session.fetch_all(urls).options(options).await)
    });
    let wanted = ["what fails for a while is ok in the end", "what never comes right is given up after five"];
    assert_eq!(failed(&report), wanted);

    let report = checks::ex08_retries::check(&async |session: &Session, urls: Vec<String>| {
        let mut options = BulkOptions::default();
        options.retry.attempts = 1;
        let mut outcomes = session.fetch_all(&urls).options(options.clone()).await;
        for _ in 0..4 {
            if !outcomes.iter().all(Outcome::is_ok) {
                outcomes = session.fetch_all(&urls).options(options.clone()).await;
            }
        }
        Ok(outcomes)
    });
    assert!(failed(&report).contains(&"what is not there is asked for once"), "{report}");
}

#[test]
fn a_url_fetched_twice_is_found() {
    type Prices = HashMap<String, Result<f64, String>>;
    let report = checks::ex09_parallel_fetch::check(&async |session: &Session, urls: Vec<String>| -> Answer<Prices> {
        let price = |fetched: Fetched| fetched.json::<Value>().map(|item| item["price"].as_f64().unwrap_or_default());
        let outcomes = session.fetch_all(&urls).await.into_iter();
        let prices = outcomes.map(|row| row.into_result().and_then(price).map_err(|error| error.to_string()));
        Ok(urls.iter().cloned().zip(prices).collect())
    });
    assert_eq!(failed(&report), ["each URL is fetched once"]);
}

#[test]
fn batches_that_overlap_are_found() {
    let report = checks::ex10_batches::check(&async |session: &Session, urls: Vec<String>, size| {
        let outcomes = session.fetch_all(urls).await;
        let count = |rows: &[Outcome]| {
            let ok = rows.iter().filter(|row| row.is_ok()).count();
            Batch { ok, failed: rows.len() - ok }
        };
        let size: std::num::NonZeroU64 = size;
        Ok(outcomes.chunks(size.get() as usize).map(count).collect())
    });
    assert_eq!(failed(&report), ["one batch at a time"]);
}

#[test]
fn figures_without_a_measurement_are_found() {
    let report = checks::ex11_comparison::check(&async |_: &Session, _: &[String]| {
        Ok(Comparison { one_by_one: Duration::from_secs(2), at_once: Duration::from_millis(150) })
    });
    assert_eq!(failed(&report), ["every URL is fetched twice, once each way", "they did run at once"]);
}

#[test]
fn a_blocking_loop_is_found() {
    let report = checks::ex13_blocking::check(&|base: &str, ids: &[u32]| {
        let session = blocking::Session::new(Options { base_url: Some(base.to_owned()), ..Options::default() })?;
        let mut names = Vec::new();
        for id in ids {
            names.push(name(&session.get(format!("/users/{id}")).send()?.error_for_status()?.json()?));
        }
        Ok(names)
    });
    assert_eq!(failed(&report), ["they are fetched at once"]);
}

#[test]
fn a_run_that_starts_anew_and_one_that_takes_any_input_are_found() {
    let report = checks::ex14_resume::check(&async |session: &Session, urls: &Path, out: &Path, patience: Duration| {
        let text = std::fs::read_to_string(urls)?;
        let fetched = session.fetch_all(text.lines()).await;
        std::fs::write(out, fetched.iter().map(|row| format!("{{\"index\":{}}}\n", row.index)).collect::<String>())?;
        Ok(patience > Duration::from_secs(1))
    });
    let wanted = [
        "it stops when its time is up",
        "called again it comes to its end",
        "nothing is asked twice",
        "another input is refused",
    ];
    assert_eq!(failed(&report), wanted);

    let report = checks::ex14_resume::check(&async |session: &Session, urls: &Path, out: &Path, patience: Duration| {
        let source = InputSource::open(vec![Input::File(urls.into())], InputOptions::default())?;
        let opened = Opening::begin(out, Durability::Group, false)?.run(&Identity::default(), None)?;
        let sink = RowSink::with_state(opened.state, RowFormat::default())?;
        let run = Run::new(session, source, sink, BulkOptions::default()).resume(opened.prior);
        let control = run.control();
        let mut drive = std::pin::pin!(run.drive());
        let finished = tokio::select! {
            finished = &mut drive => finished,
            () = tokio::time::sleep(patience) => {
                control.stop();
                drive.await
            }
        };
        Ok(matches!(finished.end, End::Complete))
    });
    assert_eq!(failed(&report), ["another input is refused"]);
}
