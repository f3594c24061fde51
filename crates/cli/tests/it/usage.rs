//! A command line that cannot be obeyed: exit code 2, the option named, the remedy told.

use crate::gannet::{Place, gannet};

const URL: &str = "http://127.0.0.1:9/";

#[test]
fn an_unknown_option_is_answered_with_the_one_that_was_meant() {
    gannet(["fetch", URL, "--concurency", "3"]).assert_code(2).assert_says("--concurrency");
    gannet(["get", URL, "--insecur"]).assert_code(2).assert_says("--insecure");
    gannet(["fecth"]).assert_code(2).assert_says("fetch");
}

#[test]
fn a_url_without_a_command_is_answered_with_the_command_to_type() {
    gannet([URL]).assert_code(2).assert_says("\nTo ask for it: gannet get http://127.0.0.1:9/\n");
    let ran = gannet(["https://a.test/?b='c'&d"]).assert_code(2);
    ran.assert_says(r"gannet get 'https://a.test/?b='\''c'\''&d'");
    let other = gannet(["fecth"]).assert_code(2);
    assert!(!other.err.contains("gannet get"), "{}", other.err);
}

#[test]
fn a_bad_value_is_answered_with_the_option_and_the_remedy() {
    for (option, value, remedy) in [
        ("--rate", "fast", "50/s"),
        ("--rate", "0/s", "above zero"),
        ("--concurrency", "0", "at least 1"),
        ("--concurrency", "many", "no whole number"),
        ("--batch", "0", "--batch"),
        ("--retry-on", "429,6xx", "5xx"),
        ("--backoff", "soon", "500ms"),
        ("--timeout", "0", "none"),
        ("--timeout-connect", "-1", "500ms"),
        ("--deadline", "1d", "5m"),
        ("--max-body", "10X", "32MiB"),
        ("--memory", "0", "1 or more"),
        ("--method", "GE T", "GET"),
        ("--header", "no colon", "Name: value"),
        ("--header", "a: b\r\nc: d", "header \"a\""),
        ("--query", "novalue", "name=value"),
        ("--form", "novalue", "name=value"),
        ("--cookie", "a=b\r\nc: d", "--cookie"),
        ("--cookie", "a=b; c", "name=value"),
        ("--user", "me", "NAME:PASSWORD"),
        ("--max-redirects", "-1", "--max-redirects"),
        ("--body", "xml", "base64"),
        ("--format", "xml", "jsonl"),
        ("--summary", "xml", "json"),
        ("--input-format", "xml", "csv"),
        ("--first", "few", "--first"),
    ] {
        let option_and_value = format!("{option}={value}");
        gannet(["fetch", URL, &option_and_value]).assert_code(2).assert_says(option).assert_says(remedy);
    }
}

#[test]
fn options_that_exclude_each_other_are_refused_together() {
    for args in
        [&["--json", "{}", "-d", "x"][..], &["--form", "a=b", "--json", "{}"], &["--no-follow", "--max-redirects", "3"]]
    {
        gannet([&["fetch", URL], args].concat()).assert_code(2).assert_says("cannot be used with");
    }
    gannet(["fetch", URL, "--fresh"]).assert_code(2).assert_says("--output");
    gannet(["fetch"]).assert_code(2).assert_says("INPUT");
}

#[test]
fn files_that_options_name_must_be_readable() {
    let place = Place::new();
    let missing = place.name("missing");
    for (option, value) in [
        ("-H", format!("@{missing}")),
        ("-d", format!("@{missing}")),
        ("--json", format!("@{missing}")),
        ("--cacert", missing.clone()),
    ] {
        gannet(["fetch", URL, option, &value]).assert_code(2).assert_says("No such file");
    }
    let empty = place.file("empty.pem", "");
    gannet(["fetch", URL, "--cacert", &empty]).assert_code(2).assert_says("--cacert");
}

#[test]
fn a_bad_line_of_a_header_file_is_named_and_not_shown() {
    let place = Place::new();
    let file = place.file("headers", "# mine\nX-One: 1\n\nhunter2\n");
    let ran = gannet(["fetch", URL, "-H", &format!("@{file}")]).assert_code(2).assert_says("line 4");
    assert!(!ran.err.contains("hunter2"), "{}", ran.err);
}

#[test]
fn urls_that_cannot_be_asked_are_refused_before_anything_is_sent() {
    gannet(["get", "not a url"]).assert_code(2).assert_says("not a URL");
    gannet(["get", "ftp://127.0.0.1/"]).assert_code(2).assert_says("ftp");
    gannet(["fetch", "/x", "--base-url", "nowhere"]).assert_code(2).assert_says("--base-url");
    gannet(["fetch", "/x", "--base-url", "ftp://h/"]).assert_code(2).assert_says("--base-url");
    gannet(["get", URL, "--json", "{"]).assert_code(2).assert_says("--json");
    gannet(["fetch", URL, "--json", "{"]).assert_code(2);
}
