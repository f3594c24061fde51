use super::*;

#[test]
fn lengths_of_time_read_with_and_without_a_unit() {
    for (text, millis) in [("1.5", 1500), ("2s", 2000), ("500ms", 500), ("2m", 120_000), ("1h", 3_600_000), ("0", 0)] {
        assert_eq!(seconds(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in ["", "s", "-1", "1d", "1.2.3", "1e3", "inf", "99999999999999"] {
        assert!(seconds(text).is_err(), "{text}");
    }
    assert_eq!(time_limit("none"), Ok(TimeLimit(None)));
    assert!(time_limit("0").unwrap_err().contains("none"));
}

#[test]
fn sizes_read_in_powers_of_1024_unless_they_say_otherwise() {
    for (text, wanted) in [
        ("0", 0),
        ("1000", 1000),
        ("64K", 65_536),
        ("10M", 10 << 20),
        ("32MiB", 32 << 20),
        ("5MB", 5_000_000),
        ("1.5k", 1536),
        ("2 GB", 2_000_000_000),
    ] {
        assert_eq!(bytes(text), Ok(wanted), "{text}");
    }
    for text in ["", "M", "-1", "1X", "1.2.3K", "99999999999G"] {
        assert!(bytes(text).is_err(), "{text}");
    }
}

#[test]
fn a_header_that_would_split_the_request_is_refused() {
    assert_eq!(header("A:b: c "), Ok(HeaderArg::Field("A".to_owned(), "b: c".to_owned())));
    assert_eq!(header("@f"), Ok(HeaderArg::File(PathBuf::from("f"))));
    assert_eq!(header("A;"), Ok(HeaderArg::Field("A".to_owned(), String::new())));
    assert_eq!(header("A: b;"), Ok(HeaderArg::Field("A".to_owned(), "b;".to_owned())));
    assert_eq!(header("accept: "), Ok(HeaderArg::Without("accept".to_owned())));
    assert_eq!(header("content-type:"), Ok(HeaderArg::Without("content-type".to_owned())));
    assert_eq!(header("Expect: "), Ok(HeaderArg::Without("Expect".to_owned())));
    for text in ["content-length: 3", "Transfer-Encoding: chunked", "Transfer-Encoding:", "Content-Length;"] {
        assert!(header(text).unwrap_err().contains("framed"), "{text}");
    }
    for text in ["A:", "no colon", ";", ":", "a b: c", ": v", "a: b\r\nc: d", "a: b\nc", "@"] {
        assert!(header(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_name_server_has_a_port_or_the_usual_one() {
    for (text, wanted) in [
        ("10.0.0.1", "10.0.0.1:53"),
        (" 10.0.0.1:5353", "10.0.0.1:5353"),
        ("::1", "[::1]:53"),
        ("[::1]", "[::1]:53"),
        ("[::1]:54", "[::1]:54"),
    ] {
        assert_eq!(name_server(text).unwrap().to_string(), wanted);
    }
    for text in ["", "localhost", "10.0.0", "10.0.0.1:x", "[::1"] {
        assert!(name_server(text).is_err(), "{text}");
    }
}

#[test]
fn pairs_split_at_the_first_equals_sign() {
    assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
    assert_eq!(pair("a="), Ok(("a".to_owned(), String::new())));
    assert!(pair("a").is_err() && pair("=b").is_err());
    assert!(credentials("me").unwrap_err().contains("NAME:"));
    assert!(cookie("a=b\r\nx: y").is_err() && cookie("a=b; c").is_err() && cookie("").is_err());
    assert_eq!(cookie(" a=b; c=d;"), Ok(CookieArg::Data("a=b; c=d".to_owned())));
    assert_eq!(cookie("cookies.txt"), Ok(CookieArg::File(PathBuf::from("cookies.txt"))));
}

#[test]
fn the_text_of_a_file_is_without_its_last_line_end_and_no_other() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (held, text) in
        [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a\r", "a\r"), ("\n", ""), ("", "")]
    {
        std::fs::write(file.path(), held).unwrap();
        let arg = TextArg::File(file.path().to_owned());
        assert_eq!(arg.read("-x").unwrap(), text, "{held:?}");
        assert_eq!(arg.read_bytes("-x").unwrap(), held.as_bytes());
    }
}

#[test]
fn ranges_of_bytes_are_as_curl_has_them() {
    for text in ["0-99", "500-", "-500", "0-0", "0-1,5-", "0-1, 5-9"] {
        assert_eq!(range(text), Ok(format!("bytes={text}")));
    }
    for text in ["", "-", "5", "a-b", "1-b", "9-1", "bytes=0-1", "0-1,", "1-2-3", "--1", "+1-2", "-+1"] {
        assert!(range(text).is_err(), "{text}");
    }
}
