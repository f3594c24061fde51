//! The whole table, read in one go, byte by byte, in two pieces, and cut short at every byte.

use gannet_core::h1::{BodyFraming, Event, HeadLimits, ProtocolError, RequestKind, ResponseReader};

use super::drive::{Done, Read, read};
use super::row::{Answer, Expect, Row};
use super::rows::all;

#[test]
fn every_row_reads_as_expected() {
    check_all(|row| check(row, &read_row(row, [&row.raw[..]])));
}

#[test]
fn every_row_reads_the_same_byte_by_byte() {
    check_all(|row| {
        let whole = read_row(row, [&row.raw[..]]);
        same(&read_row(row, row.raw.chunks(1)), &whole)
    });
}

#[test]
fn every_row_reads_the_same_in_two_pieces_cut_anywhere() {
    check_all(|row| {
        let whole = read_row(row, [&row.raw[..]]);
        cuts(&row.raw).try_for_each(|at| {
            let (first, second) = row.raw.split_at(at);
            same(&read_row(row, [first, second]), &whole).map_err(|why| format!("cut at {at}: {why}"))
        })
    });
}

/// A response that ends early is never taken for a whole one, however little is missing.
#[test]
fn no_row_cut_short_is_a_success() {
    check_all(|row| {
        cuts(&row.raw).try_for_each(|at| {
            let cut = &row.raw[..at];
            let ended = read(row.request, row.limits, [cut], true);
            check_cut(row, at, &ended).map_err(|why| format!("ended at {at}: {why}: {ended:?}"))?;
            let open = read(row.request, row.limits, [cut], false);
            check_open_cut(row, at, &open).map_err(|why| format!("silent after {at}: {why}: {open:?}"))
        })
    });
}

#[test]
fn the_table_has_at_least_160_rows_with_names_of_their_own() {
    let mut names: Vec<_> = all().iter().map(|row| row.name).collect();
    let rows = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows, "two rows of one name");
    assert!(rows >= 160, "{rows}");
}

/// Otherwise a server could make us parse the same empty lines once for each of its bytes.
#[test]
fn empty_lines_before_a_head_are_consumed_as_they_come() {
    let mut reader = ResponseReader::new(RequestKind::default(), HeadLimits::default());
    for (input, consumed) in [("\r", 0), ("\r\n", 2), ("\n\r\nH", 3), ("HTTP/1.1 ", 0)] {
        let read = reader.read(input.as_bytes());
        assert!(matches!(read, Ok((n, Event::NeedMore)) if n == consumed), "{input:?}: {read:?}");
    }
}

/// Checks every row and names all that fail, not the first only.
fn check_all(check: impl Fn(&Row) -> Result<(), String>) {
    let failed: Vec<_> =
        all().iter().filter_map(|row| check(row).err().map(|why| format!("{}: {why}", row.name))).collect();
    assert!(failed.is_empty(), "{} rows:\n{}", failed.len(), failed.join("\n"));
}

fn read_row<'a>(row: &Row, pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    read(row.request, row.limits, pieces, row.closes)
}

fn same(read: &Read, whole: &Read) -> Result<(), String> {
    if read == whole { Ok(()) } else { Err(format!("{read:?} instead of {whole:?}")) }
}

fn check(row: &Row, read: &Read) -> Result<(), String> {
    match (&row.expect, read) {
        (Expect::Answer(answer), Read::Done(done)) => check_answer(answer, done),
        (Expect::Refused(error), Read::Failed(failed)) if error == failed => Ok(()),
        (Expect::Answer(_), _) => Err(format!("{read:?} instead of an answer")),
        (Expect::Refused(error), _) => Err(format!("{read:?} instead of {error:?}")),
    }
}

fn check_answer(answer: &Answer, done: &Done) -> Result<(), String> {
    let trailers: Vec<_> =
        answer.trailers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let fields = answer
        .fields
        .as_ref()
        .map(|fields| fields.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect::<Vec<_>>());
    let checks = [
        ("status", done.status == answer.status),
        ("body", done.body == answer.body),
        ("reuse", done.reuse == answer.reuse),
        ("surplus", done.surplus == answer.surplus),
        ("framing", (done.framing == BodyFraming::UntilClose) == answer.until_close),
        ("trailers", done.trailers == trailers),
        ("fields", fields.is_none_or(|fields| fields == done.fields)),
        ("reason", answer.reason.is_none_or(|reason| reason == done.reason.as_deref())),
    ];
    match checks.iter().find(|(_, holds)| !holds) {
        Some((what, _)) => Err(format!("{what} in {done:?}")),
        None => Ok(()),
    }
}

/// The connection ended at `at`: an error, or a success only where everything but surplus had come.
fn check_cut(row: &Row, at: usize, read: &Read) -> Result<(), &'static str> {
    match (&row.expect, read) {
        (_, Read::Waiting) => Err("nobody waits behind the end"),
        (_, Read::Done(done)) if done.reuse => Err("an ended connection was reusable"),
        (Expect::Answer(answer), Read::Done(done)) => {
            let whole = at >= row.raw.len() - answer.surplus && done.body == answer.body;
            // RFC 9112 §8: without a length, an early end cannot be told from the end.
            let prefix = answer.until_close && answer.body.starts_with(&done.body);
            if whole || prefix { Ok(()) } else { Err("a success though bytes are missing") }
        }
        (Expect::Refused(_), Read::Done(_)) => Err("the beginning of a refused response was a success"),
        (Expect::Answer(_), Read::Failed(error)) => early_end(*error, at),
        (Expect::Refused(expected), Read::Failed(error)) if expected == error => Ok(()),
        (Expect::Refused(_), Read::Failed(error)) => early_end(*error, at),
    }
}

fn early_end(error: ProtocolError, at: usize) -> Result<(), &'static str> {
    match error {
        ProtocolError::EofInHead { empty } if empty == (at == 0) => Ok(()),
        ProtocolError::EofInBody => Ok(()),
        _ => Err("the wrong error"),
    }
}

/// Nothing more came after `at`, and the connection is open.
fn check_open_cut(row: &Row, at: usize, read: &Read) -> Result<(), &'static str> {
    match (&row.expect, read) {
        (_, Read::Waiting) => Ok(()),
        (Expect::Answer(answer), Read::Done(done)) => {
            let whole = at >= row.raw.len() - answer.surplus && done.body == answer.body;
            if whole { Ok(()) } else { Err("whole though bytes are missing") }
        }
        (Expect::Refused(expected), Read::Failed(error)) if expected == error => Ok(()),
        _ => Err("the wrong outcome"),
    }
}

/// Every place to cut.
fn cuts(raw: &[u8]) -> impl Iterator<Item = usize> {
    0..raw.len()
}
