//! Random responses, well-formed and not, in random pieces.

use gannet_core::h1::{HeadLimits, RequestKind, write_chunk, write_last_chunk};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;

use super::drive::{Done, Read, read};
use super::oracle::{Seen, ask};

const GET: RequestKind = RequestKind { head: false, upgrade: false };

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_well_formed_response_reads_back_exactly(response in response(), cuts in vec(1usize..40, 0..60)) {
        let raw = response.render();
        let done = match read(GET, HeadLimits::default(), pieces(&raw, &cuts), response.closes()) {
            Read::Done(done) => done,
            other => return Err(proptest::test_runner::TestCaseError::fail(format!("{other:?}"))),
        };
        prop_assert_eq!(done.status, response.status);
        prop_assert_eq!(&done.fields[..response.fields.len()], &response.fields[..]);
        prop_assert_eq!(&done.body, &response.body());
        prop_assert_eq!(&done.trailers, response.trailers());
        prop_assert_eq!((done.reuse, done.surplus), (!response.closes(), 0));
    }

    #[test]
    fn bytes_behind_a_response_are_left_and_end_its_connection(
        response in response(),
        behind in vec(any::<u8>(), 1..20),
        cuts in vec(1usize..40, 0..60),
    ) {
        if !response.closes() {
            let raw = [response.render(), behind.clone()].concat();
            let read = read(GET, HeadLimits::default(), pieces(&raw, &cuts), false);
            let seen = done(&read).map(|done| (done.body.clone(), done.reuse, done.surplus));
            prop_assert_eq!(seen, Some((response.body(), false, behind.len())));
        }
    }

    #[test]
    fn hyper_reads_a_well_formed_response_the_same(response in response()) {
        let raw = response.render();
        let ours = read(GET, HeadLimits::default(), [&raw[..]], response.closes());
        let ours = done(&ours).map(|done| Seen::from_ours(done, response.closes()));
        let theirs = ask(false, &raw, response.closes(), true);
        prop_assert!(ours.is_some() && ours.as_ref() == theirs.as_ref().ok(), "{ours:?} {theirs:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    /// The drive checks that no more is consumed than there was, and that an error stays one.
    #[test]
    fn garbage_reads_the_same_in_any_pieces(
        raw in garbage(),
        (head, upgrade) in any::<(bool, bool)>(),
        max_bytes in prop_oneof![Just(64usize << 10), 20usize..200],
        cuts in vec(1usize..9, 0..60),
    ) {
        let (request, limits) = (RequestKind { head, upgrade }, HeadLimits { max_bytes, max_fields: 4 });
        let whole = read(request, limits, [&raw[..]], true);
        prop_assert_eq!(&read(request, limits, pieces(&raw, &cuts), true), &whole);
        prop_assert_eq!(&read(request, limits, raw.chunks(1), true), &whole);
    }
}

#[derive(Clone, Debug)]
struct Response {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Length(Vec<u8>),
    UntilClose(Vec<u8>),
    /// Data, with an extension behind each size, and trailers.
    Chunked(Vec<(Vec<u8>, String)>, Vec<(String, Vec<u8>)>),
    /// As the request writer makes them.
    OwnChunks(Vec<Vec<u8>>),
}

impl Response {
    fn render(&self) -> Vec<u8> {
        let mut raw = format!("HTTP/1.1 {} Fine\r\n", self.status).into_bytes();
        write_fields(&mut raw, &self.fields);
        match &self.body {
            Body::Length(body) => {
                raw.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
                raw.extend(body);
            }
            Body::UntilClose(body) => {
                raw.extend(b"\r\n");
                raw.extend(body);
            }
            Body::Chunked(chunks, trailers) => {
                raw.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                for (data, extension) in chunks {
                    raw.extend(format!("{:X}{extension}\r\n", data.len()).into_bytes());
                    raw.extend(data);
                    raw.extend(b"\r\n");
                }
                raw.extend(b"0\r\n");
                write_fields(&mut raw, trailers);
                raw.extend(b"\r\n");
            }
            Body::OwnChunks(chunks) => {
                raw.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                for data in chunks {
                    write_chunk(&mut raw, data);
                }
                write_last_chunk(&mut raw);
            }
        }
        raw
    }

    fn body(&self) -> Vec<u8> {
        match &self.body {
            Body::Length(body) | Body::UntilClose(body) => body.clone(),
            Body::Chunked(chunks, _) => chunks.iter().flat_map(|(data, _)| data.clone()).collect(),
            Body::OwnChunks(chunks) => chunks.concat(),
        }
    }

    fn trailers(&self) -> &Vec<(String, Vec<u8>)> {
        const NONE: &Vec<(String, Vec<u8>)> = &Vec::new();
        if let Body::Chunked(_, trailers) = &self.body { trailers } else { NONE }
    }

    fn closes(&self) -> bool {
        matches!(self.body, Body::UntilClose(_))
    }
}

fn response() -> impl Strategy<Value = Response> {
    let status = prop_oneof![Just(200u16), 200u16..204, 206u16..304, 305u16..600];
    (status, vec(field(), 0..8), body()).prop_map(|(status, fields, body)| Response { status, fields, body })
}

fn body() -> impl Strategy<Value = Body> {
    let chunk = (vec(any::<u8>(), 1..300), "( ?;[a-z]{1,5}(=[a-z0-9]{1,5})?){0,3}");
    prop_oneof![
        vec(any::<u8>(), 0..600).prop_map(Body::Length),
        vec(any::<u8>(), 0..600).prop_map(Body::UntilClose),
        (vec(chunk, 0..6), vec(field(), 0..4)).prop_map(|(chunks, trailers)| Body::Chunked(chunks, trailers)),
        vec(vec(any::<u8>(), 0..300), 0..6).prop_map(Body::OwnChunks),
    ]
}

/// A field that neither frames nor routes: its name begins with `x-`.
fn field() -> impl Strategy<Value = (String, Vec<u8>)> {
    let sign = prop_oneof![4 => 0x21u8..0x7f, 1 => Just(b' '), 1 => Just(b'\t'), 1 => 0x80u8..=0xff];
    ("[xX]-[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}", vec(sign, 0..20))
        .prop_map(|(name, value)| (name, value.trim_ascii().to_vec()))
        .prop_filter("a credential is dropped from trailers", |(name, _)| !gannet_core::headers::is_credential(name))
}

/// Pieces of responses in any order, random bytes among them: what a parser trips over.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    const PARTS: [&str; 24] = [
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 200 \r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 204\n",
        "Content-Length: 5\r\n",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close\r\n",
        "A: b\r\n",
        "A: b\n",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        "0",
        "5",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "0\r\nA: b\r\n\r\n",
        ";a=b",
        " ",
        ":",
        "hello",
        "\0",
    ];
    let part = prop_oneof![
        8 => select(&PARTS[..]).prop_map(|part| part.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..6),
    ];
    let begin = select(vec!["HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ""]);
    (begin, vec(part, 0..14)).prop_map(|(begin, parts)| [begin.as_bytes().to_vec(), parts.concat()].concat())
}

/// Cuts `raw` into pieces of these sizes; what is left is the last piece.
fn pieces<'a>(raw: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = raw;
    let mut pieces = Vec::new();
    for &size in sizes {
        let (piece, behind) = rest.split_at(size.min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces.push(rest);
    pieces
}

fn done(read: &Read) -> Option<&Done> {
    if let Read::Done(done) = read { Some(done) } else { None }
}

fn write_fields(raw: &mut Vec<u8>, fields: &[(String, Vec<u8>)]) {
    for (name, value) in fields {
        raw.extend(name.as_bytes());
        raw.extend(b": ");
        raw.extend(value);
        raw.extend(b"\r\n");
    }
}
