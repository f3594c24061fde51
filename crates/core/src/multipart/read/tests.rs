use super::*;

/// What a body came to: each part's fields and content, and how it ended.
type Read = (Vec<(Vec<(String, String)>, String)>, Result<(), MultipartError>);

fn read_by<'a>(limits: MultipartLimits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let mut parser = MultipartParser::new("b", limits).unwrap();
    let mut parts = Vec::new();
    let end = drive(&mut parser, &mut parts, pieces);
    if let Err(error) = end {
        assert_eq!(parser.read(b"x").map(|_| ()), Err(error), "an error stays one");
        assert_eq!(parser.on_end(), Err(error));
    }
    (parts, end)
}

fn drive<'a>(
    parser: &mut MultipartParser,
    parts: &mut Vec<(Vec<(String, String)>, String)>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(), MultipartError> {
    let (mut buffer, mut within) = (Vec::new(), false);
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let (consumed, event) = parser.read(&buffer)?;
            assert!(consumed <= buffer.len(), "more consumed than there was");
            let goes_on = consumed > 0 && !matches!(event, PartEvent::End);
            match event {
                PartEvent::NeedMore | PartEvent::End => {}
                PartEvent::Head(headers) => {
                    assert!(!std::mem::replace(&mut within, true), "a part within a part");
                    let own = |(name, value): (&str, &[u8])| (name.to_owned(), text(value));
                    parts.push((headers.iter().map(own).collect(), String::new()));
                }
                PartEvent::Data(range) => {
                    assert!(within && !range.is_empty() && range.end <= consumed);
                    parts.last_mut().unwrap().1.push_str(&text(&buffer[range]));
                }
                PartEvent::PartEnd => assert!(std::mem::replace(&mut within, false), "an end without a part"),
            }
            buffer.drain(..consumed);
            if !goes_on {
                break;
            }
        }
    }
    parser.on_end()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads it whole, cut in two at every byte, and byte by byte: all the same.
fn read(body: &str) -> Read {
    read_with(MultipartLimits::default(), body)
}

fn read_with(limits: MultipartLimits, body: &str) -> Read {
    let whole = read_by(limits, [body.as_bytes()]);
    for at in 0..=body.len() {
        let (front, back) = body.as_bytes().split_at(at);
        assert_eq!(read_by(limits, [front, back]), whole, "{body:?} cut at {at}");
    }
    assert_eq!(read_by(limits, body.as_bytes().chunks(1)), whole, "{body:?} byte by byte");
    whole
}

/// The parts of a body that is whole: their contents.
fn contents(body: &str) -> Vec<String> {
    let (parts, end) = read(body);
    assert_eq!(end, Ok(()), "{body:?}");
    parts.into_iter().map(|(_, content)| content).collect()
}

fn failed(body: &str) -> MultipartError {
    read(body).1.expect_err(body)
}

#[test]
fn parts_have_their_fields_and_their_content() {
    let body = "--b\r\nContent-Type: text/plain\r\nX-A:  1 \r\n\r\none\r\n--b\r\n\r\ntwo\r\nlines\r\n--b--\r\n";
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let fields = vec![field("Content-Type", "text/plain"), field("X-A", "1")];
    assert_eq!(read(body), (vec![(fields, "one".to_owned()), (vec![], "two\r\nlines".to_owned())], Ok(())));
}

#[test]
fn delimiters_are_lines_and_what_only_begins_like_one_is_content() {
    for (content, is) in [
        ("", ""),
        ("\r\n", "\r\n"),
        ("\r", "\r"),
        ("\r\r\n\r", "\r\r\n\r"),
        ("--", "--"),
        ("--bx", "--bx"),
        ("x--b--", "x--b--"),
        ("\r\n--", "\r\n--"),
        ("\r\n--bb\r\n", "\r\n--bb\r\n"),
        ("\r\n--b-\r\n", "\r\n--b-\r\n"),
        ("\r\n--b \tx", "\r\n--b \tx"),
        ("\n--b\n", "\n--b\n"),
        ("\r\n-\r\n--\r\n--c\r\n", "\r\n-\r\n--\r\n--c\r\n"),
    ] {
        assert_eq!(contents(&format!("--b\r\n\r\n{content}\r\n--b--")), [is], "{content:?}");
    }
    let long = format!("\r\n--b{}\r\n", " ".repeat(65));
    assert_eq!(contents(&format!("--b\r\n\r\n{long}\r\n--b--")), [long], "more blanks than a delimiter has");
    assert_eq!(contents(&format!("--b \t\r\n\r\none\r\n--b{}\r\n\r\ntwo\r\n--b--", " ".repeat(64))), ["one", "two"]);
}

#[test]
fn a_part_may_have_no_content_line_and_a_body_no_part() {
    assert_eq!(contents("--b\r\nX: 1\r\n\r\n--b\r\n\r\n--b--"), ["", ""]);
    assert_eq!(contents("--b--"), Vec::<String>::new());
    assert_eq!(contents("--b--\r\n"), Vec::<String>::new());
}

#[test]
fn what_stands_before_and_behind_is_passed_over() {
    assert_eq!(
        contents("This is MIME.\r\n--bb\r\n\r\n--b\r\n\r\none\r\n--b--\r\nthe end\r\n--b\r\n\r\nno\r\n--b--"),
        ["one"]
    );
    assert_eq!(contents("\r\n--b\r\n\r\none\r\n--b--anything"), ["one"]);
}

#[test]
fn an_end_before_the_last_boundary_is_an_error_wherever_it_comes() {
    let body = "--b\r\nX: 1\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--";
    for at in 0..body.len() {
        assert_eq!(read(&body[..at]).1, Err(MultipartError::Ended), "{:?}", &body[..at]);
    }
}

#[test]
fn heads_that_are_none_are_refused() {
    for head in [
        "no colon\r\n",
        ": no name\r\n",
        "X : 1\r\n",
        "X: 1\r\n folded\r\n",
        "X: \x01\r\n",
        "--b\r\n",
        "X: 1\r\n--b\r\n",
    ] {
        assert_eq!(failed(&format!("--b\r\n{head}\r\ncontent\r\n--b--")), MultipartError::Head, "{head:?}");
    }
}

#[test]
fn heads_fields_and_preambles_are_bounded_to_the_byte() {
    let limits = MultipartLimits { max_head: 20, max_fields: 2, max_preamble: 10 };
    let body = |head: &str| format!("--b\r\n{head}\r\n\r\n\r\n--b--");
    assert_eq!(read_with(limits, &body("X: 0123456789012")).1, Ok(()));
    let head = MultipartError::HeadTooLarge { max: 20 };
    assert_eq!(read_with(limits, &body("X: 01234567890123")).1, Err(head));
    assert_eq!(read_with(limits, &format!("--b\r\n{}", "y".repeat(30))).1, Err(head));
    assert_eq!(read_with(limits, &body("a: 1\r\nb: 2")).1, Ok(()));
    assert_eq!(read_with(limits, &body("a:\r\nb:\r\nc:")).1, Err(MultipartError::TooManyFields { max: 2 }));
    assert_eq!(read_with(limits, "0123456789\r\n--b--").1, Ok(()));
    let preamble = MultipartError::Preamble { max: 10 };
    for long in ["01234567890\r\n--b--", "01234567\r\n9\r\n--b--", &"\r\n".repeat(7)] {
        assert_eq!(read_with(limits, long).1, Err(preamble), "{long:?}");
    }
}

#[test]
fn boundaries_are_one_to_70_printable_characters() {
    let of = |boundary: &str| MultipartParser::new(boundary, MultipartLimits::default()).err();
    for boundary in ["a", "=== a ===", "'()+_,-./:=?", &"x".repeat(70)] {
        assert_eq!(of(boundary), None, "{boundary:?}");
    }
    for boundary in ["", "a ", "a\r\n", "a\0", "ä", &"x".repeat(71)] {
        assert_eq!(of(boundary), Some(MultipartError::Boundary), "{boundary:?}");
    }
}

#[test]
fn the_content_type_names_the_boundary() {
    let of = |value: &str| MultipartParser::for_content_type(value.as_bytes(), MultipartLimits::default());
    let mut parser = of("Multipart/Byteranges; x=y; Boundary=\"a b\"").unwrap();
    assert!(matches!(parser.read(b"--a b--"), Ok((7, PartEvent::End))));
    for value in ["multipart/mixed", "text/plain; boundary=b", "", "multipart"] {
        assert_eq!(of(value).err(), Some(MultipartError::NotMultipart), "{value:?}");
    }
    assert_eq!(of("multipart/mixed; boundary=\"\"").err(), Some(MultipartError::Boundary));
}

/// What is written for a request reads back.
#[test]
fn a_form_that_was_written_is_read() {
    let mut body = Vec::new();
    crate::multipart::write_part_head(&mut body, "b", "a\"x", Some("f.txt"), &Headers::new()).unwrap();
    body.extend_from_slice(b"content\r\n--b--\r\n");
    let (parts, end) = read(&text(&body));
    assert_eq!(end, Ok(()));
    assert_eq!(parts[0].0[0].1, "form-data; name=\"a%22x\"; filename=\"f.txt\"");
    assert_eq!(parts[0].1, "content");
}
