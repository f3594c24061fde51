use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use proptest::prelude::*;
use url::Url;

use super::*;

fn outcome(index: u64) -> Outcome {
    Outcome {
        index,
        line: None,
        id: None,
        url: "http://a.test/".into(),
        attempts: 1,
        elapsed: Duration::from_micros(12_345),
        response: None,
        error: None,
    }
}

fn answered(status: u16, content_type: &str, body: impl Into<Bytes>) -> Outcome {
    let mut headers = Headers::new();
    if !content_type.is_empty() {
        headers.append("Content-Type", content_type).unwrap();
    }
    let status = StatusCode::from_u16(status).unwrap();
    let final_url = Url::parse("http://a.test/end").unwrap();
    let mut outcome = outcome(0);
    outcome.response = Some(Fetched { status, headers, final_url, redirected: false, body: body.into() });
    outcome.error = (status.as_u16() >= 400).then(|| Error::of_status(status));
    outcome
}

fn render(format: RowFormat, mut outcome: Outcome) -> String {
    format.check(&mut outcome);
    let mut out = Vec::new();
    format.render(&outcome, &mut out);
    let row = String::from_utf8(out).unwrap();
    assert_eq!(row.find('\n'), Some(row.len() - 1), "one line: {row:?}");
    serde_json::from_str::<serde_json::Value>(&row).unwrap();
    row
}

/// What a body is shown as, with its key.
fn shown(body: BodyFormat, outcome: Outcome) -> String {
    let row = render(RowFormat { body, headers: false }, outcome);
    let (_, shown) = row.split_once("\"elapsed_ms\":12.3").unwrap();
    shown.strip_suffix("}\n").unwrap().trim_start_matches(',').to_owned()
}

#[test]
fn a_row_shows_what_is_known_in_the_order_of_the_schema() {
    let mut row = answered(200, "application/json", r#"{"a":1}"#);
    row.id = Some("u-17".into());
    row.line = Some(1);
    row.response.as_mut().unwrap().redirected = true;
    assert_eq!(
        render(RowFormat { headers: true, ..RowFormat::default() }, row),
        concat!(
            r#"{"index":0,"id":"u-17","url":"http://a.test/","status":200,"ok":true,"attempts":1,"elapsed_ms":12.3,"#,
            r#""final_url":"http://a.test/end","headers":{"content-type":"application/json"},"json":{"a":1}}"#,
            "\n"
        )
    );
}

#[test]
fn a_bad_status_is_an_error_beside_its_body() {
    assert_eq!(
        render(RowFormat::default(), answered(404, "text/plain", "no such\tuser\n")),
        concat!(
            r#"{"index":0,"url":"http://a.test/","status":404,"ok":false,"attempts":1,"elapsed_ms":12.3,"#,
            r#""error":{"kind":"status","message":"404 Not Found"},"text":"no such\tuser\n"}"#,
            "\n"
        )
    );
}

#[test]
fn a_failed_row_names_its_line_and_has_no_status_without_a_head() {
    let mut row = outcome(2);
    row.line = Some(3);
    row.attempts = 3;
    row.error = Some(Error::new(ErrorKind::TimeoutConnect, Phase::Connect, "timed \"out\""));
    assert_eq!(
        render(RowFormat::default(), row),
        concat!(
            r#"{"index":2,"line":3,"url":"http://a.test/","ok":false,"attempts":3,"elapsed_ms":12.3,"#,
            r#""error":{"kind":"timeout.connect","message":"timed \"out\""}}"#,
            "\n"
        )
    );
}

#[test]
fn json_comes_through_as_it_came_on_one_line() {
    let auto = |body: &'static str| shown(BodyFormat::Auto, answered(200, "", body));
    assert_eq!(auto("12345678901234567890123"), r#""json":12345678901234567890123"#);
    assert_eq!(auto(r#"{"n":1.10e+2,"a":1,"a":2}"#), r#""json":{"n":1.10e+2,"a":1,"a":2}"#);
    assert_eq!(
        auto("{\r\n  \"a\": [\n1\n]\n}\n"),
        r#""json":{    "a": [ 1 ] }"#,
        "blanks around the value are not its own"
    );
    assert_eq!(auto("\u{feff}[\"\\n\"]"), r#""json":["\n"]"#);
    assert_eq!(auto("\"a\nb\""), r#""text":"\"a\nb\"""#, "a raw line break within a string is no JSON");
}

#[test]
fn what_is_not_json_is_text_and_what_is_not_text_is_base64() {
    let auto = |kind: &'static str, body: &'static [u8]| shown(BodyFormat::Auto, answered(200, kind, body));
    assert_eq!(auto("", b"<p>\x1b[1m</p>"), r#""text":"<p>\u001b[1m</p>""#);
    assert_eq!(auto("text/html; charset=ISO-8859-1", b"caf\xe9"), r#""text":"café""#);
    assert_eq!(auto("text/html", "\u{feff}bom".as_bytes()), r#""text":"bom""#);
    assert_eq!(auto("text/html", b"caf\xe9"), r#""body_base64":"Y2Fm6Q==""#);
    assert_eq!(auto("text/html", b"nul\0"), r#""body_base64":"bnVsAA==""#);
    assert_eq!(auto("text/plain; charset=utf-16le", b"h\0i\0"), r#""text":"hi""#);
    assert_eq!(auto("application/json", b"{\"a\":\"\xff\"}"), r#""body_base64":"eyJhIjoi/yJ9""#);
}

#[test]
fn each_format_shows_the_body_in_its_own_way_and_none_shows_an_empty_one() {
    let row = || answered(200, "application/json", &b"[\"\xff\"]"[..]);
    assert!(shown(BodyFormat::Text, row()).ends_with(",\"text\":\"[\\\"\u{fffd}\\\"]\""));
    assert_eq!(shown(BodyFormat::Base64, row()), r#""body_base64":"WyL/Il0=""#);
    assert_eq!(shown(BodyFormat::None, row()), "");
    for body in [BodyFormat::Auto, BodyFormat::Json, BodyFormat::Text, BodyFormat::Base64, BodyFormat::None] {
        assert_eq!(shown(body, answered(204, "", "")), "", "{body:?}");
    }
}

#[test]
fn where_json_is_asked_for_other_bodies_fail_the_row() {
    let json = |status, body: &'static [u8]| shown(BodyFormat::Json, answered(status, "", body));
    assert_eq!(json(200, b"{}"), r#""json":{}"#);
    assert_eq!(
        json(200, b"{\"a\":}"),
        r#""error":{"kind":"decode","message":"the body is not JSON: expected value at line 1 column 6"},"text":"{\"a\":}""#
    );
    assert_eq!(
        json(200, b"\"\xff\""),
        r#""error":{"kind":"decode","message":"the body is not JSON: no UTF-8 at byte 1"},"body_base64":"Iv8i""#
    );
    assert_eq!(json(500, b"oh"), r#""error":{"kind":"status","message":"500 Internal Server Error"},"text":"oh""#);
    assert_eq!(json(500, b"{}"), r#""error":{"kind":"status","message":"500 Internal Server Error"},"json":{}"#);
}

#[test]
fn where_json_is_asked_for_an_empty_body_is_none_unless_the_status_has_no_body() {
    let json = |status| shown(BodyFormat::Json, answered(status, "application/json", ""));
    for status in [200, 201, 202, 302] {
        let wanted = r#""error":{"kind":"decode","message":"the body is not JSON: it is empty"}"#;
        assert_eq!(json(status), wanted, "{status}");
    }
    for status in [204, 205, 304] {
        assert_eq!(json(status), "", "{status}");
    }
    assert_eq!(json(404), r#""error":{"kind":"status","message":"404 Not Found"}"#);
    assert_eq!(shown(BodyFormat::Auto, answered(200, "application/json", "")), "");
}

#[test]
fn where_text_is_asked_for_other_bodies_fail_the_row_and_are_shown_all_the_same() {
    let text = |status, kind: &str, body: &'static [u8]| shown(BodyFormat::Text, answered(status, kind, body));
    let failed = |why: &str, text: &str| {
        format!(r#""error":{{"kind":"decode","message":{}}},"text":"{text}""#, serde_json::to_string(why).unwrap())
    };
    assert_eq!(
        text(200, "text/html", b"caf\xe9!"),
        failed("the body is not UTF-8: no character at byte 3", "caf\u{fffd}!")
    );
    assert_eq!(
        text(200, "text/html; charset=shift_jis", b"ab\xff"),
        failed("the body is not Shift_JIS: no character at byte 2", "ab\u{fffd}")
    );
    assert_eq!(text(200, "text/html; charset=klingon", b"ab"), failed("unknown charset \"klingon\"", "ab"));
    for (kind, body) in [
        ("text/html; charset=ISO-8859-1", &b"caf\xe9"[..]),
        ("text/html; charset=UTF8", "café".as_bytes()),
        ("", b"\xff\xfec\0a\0f\0\xe9\0"),
    ] {
        assert_eq!(text(200, kind, body), r#""text":"café""#, "{kind}");
    }
    assert_eq!(text(200, "text/html; charset=klingon", b""), "", "nothing is text in any charset");
    let status = text(500, "text/html", b"\xe9");
    assert!(status.starts_with(r#""error":{"kind":"status""#) && status.contains('\u{fffd}'), "{status}");
}

#[test]
fn headers_are_lower_case_with_repeats_as_arrays_and_bytes_as_latin_1() {
    let mut row = answered(204, "", "");
    let headers = &mut row.response.as_mut().unwrap().headers;
    for (name, value) in [("Set-Cookie", &b"a=1"[..]), ("X-Q", b"\"q\""), ("set-cookie", b"b=2"), ("X-L", b"caf\xe9")] {
        headers.append(name, value).unwrap();
    }
    headers.append("SET-COOKIE", "c=ü").unwrap();
    let row = render(RowFormat { body: BodyFormat::Auto, headers: true }, row);
    assert!(
        row.ends_with(concat!(r#","headers":{"set-cookie":["a=1","b=2","c=ü"],"x-q":"\"q\"","x-l":"café"}}"#, "\n")),
        "{row}"
    );
    let bare = render(RowFormat { body: BodyFormat::Auto, headers: true }, answered(200, "", ""));
    assert!(bare.ends_with("\"headers\":{}}\n"), "{bare}");
}

proptest! {
    #[test]
    fn any_row_is_one_line_of_json(
        id in prop::option::of("(?s).{0,20}"),
        url in "(?s).{0,20}",
        kind in "(text/plain|application/json)(; charset=(utf-8|latin1|utf-16|shift_jis|none))?",
        body in prop::collection::vec(any::<u8>(), 0..40),
        format in prop::sample::select(vec![BodyFormat::Auto, BodyFormat::Json, BodyFormat::Text, BodyFormat::Base64]),
    ) {
        let mut row = answered(200, &kind, body.clone());
        row.id = id.clone();
        row.url = url.clone();
        let line = render(RowFormat { body: format, headers: true }, row);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(value["id"].as_str(), id.as_deref());
        prop_assert_eq!(value["url"].as_str(), Some(&*url));
        if let Some(base64) = value["body_base64"].as_str() {
            prop_assert_eq!(STANDARD.decode(base64).unwrap(), body);
        }
    }
}
