//! The standard's own examples, the line ends in every cut, and the bounds.

use super::*;

fn all(parser: &mut EventParser) -> Vec<Event> {
    std::iter::from_fn(|| parser.next_event().unwrap()).collect()
}

fn read(stream: &[u8]) -> Vec<Event> {
    let mut parser = EventParser::default();
    parser.push(stream);
    all(&mut parser)
}

fn event(id: &str, event: &str, data: &str) -> Event {
    Event { id: id.to_owned(), event: event.to_owned(), data: data.to_owned(), retry: None }
}

#[test]
fn the_standards_examples_are_read_as_it_says() {
    let stream = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
    let wanted = [
        event("1", "message", "first event"),
        event("", "message", "second event"),
        event("", "message", " third event"),
    ];
    assert_eq!(read(stream), wanted);
    // The second block has data of one empty line; the last one is not ended.
    assert_eq!(read(b"data\n\ndata\ndata\n\ndata:"), [event("", "message", ""), event("", "message", "\n")]);
    assert_eq!(read(b"data:test\n\ndata: test\n\n"), [event("", "message", "test"), event("", "message", "test")]);
    assert_eq!(read(b"event: add\ndata: 73857293\n\n"), [event("", "add", "73857293")]);
}

#[test]
fn any_line_end_in_any_cut_gives_the_same_events() {
    let stream = "\u{feff}id: 7\r\ndata: a\rdata: b\n\nevent: x\r\rdata: ü\r\n\r\n\ndata: c\r\r\n";
    let wanted = [event("7", "message", "a\nb"), event("7", "message", "ü"), event("7", "message", "c")];
    assert_eq!(read(stream.as_bytes()), wanted);
    for size in 1..stream.len() {
        let mut parser = EventParser::default();
        let mut seen = Vec::new();
        for piece in stream.as_bytes().chunks(size) {
            parser.push(piece);
            seen.extend(all(&mut parser));
        }
        assert_eq!(seen, wanted, "{size}");
    }
}

#[test]
fn ids_and_retry_count_without_data_and_bad_ones_do_not() {
    let mut parser = EventParser::default();
    parser.push(b"id: a\nretry: 2500\n\nid: b\0\nretry: 1s\nretry:\n\n");
    assert_eq!(parser.next_event(), Ok(None));
    assert_eq!((parser.last_id(), parser.retry()), ("a", Some(Duration::from_millis(2500))));
    parser.push(b"retry: 99999999999999999999999\ndata: x\n\ndata: y\n\n");
    let first = parser.next_event().unwrap().unwrap();
    assert_eq!((first.id.as_str(), first.retry), ("a", Some(Duration::from_secs(u64::from(u32::MAX)))));
    assert_eq!(parser.next_event().unwrap().unwrap().retry, None);
}

#[test]
fn the_id_of_an_event_that_was_cut_off_is_not_the_last() {
    let mut parser = EventParser::default().with_last_id("6");
    parser.push(b"data: x\n\nid: 7\ndata: y\n");
    assert_eq!(parser.next_event().unwrap().unwrap().id, "6");
    assert_eq!((parser.next_event(), parser.last_id()), (Ok(None), "6"));
    parser.push(b"\n");
    assert_eq!(parser.next_event().unwrap().unwrap().id, "7");
    assert_eq!(parser.last_id(), "7");
}

#[test]
fn a_mark_is_skipped_at_the_front_only_and_what_is_no_text_is_replaced() {
    assert_eq!(read("\u{feff}\u{feff}data: x\n\n".as_bytes()), []);
    assert_eq!(read(b"data: a\xffb\n\n"), [event("", "message", "a\u{fffd}b")]);
    assert_eq!(read(b"\xef\xbbdata: x\n\ndata: y\n\n"), [event("", "message", "y")]);
}

#[test]
fn item_22_lines_and_events_are_bounded() {
    let limits = EventLimits { max_line: 10, max_event: 8 };
    let mut parser = EventParser::new(limits);
    parser.push(b"data: 1234\ndata: 12\n\n");
    assert_eq!(parser.next_event().unwrap().unwrap().data, "1234\n12");
    parser.push(b"data: 12345");
    assert_eq!(parser.next_event(), Err(EventError::Line { max: 10 }));
    let mut parser = EventParser::new(limits);
    parser.push(b"data: 1234\ndata: 1234\n\n");
    assert_eq!(parser.next_event(), Err(EventError::Event { max: 8 }));
    let mut parser = EventParser::new(limits);
    parser.push(b":12345678901\n");
    assert_eq!(parser.next_event(), Err(EventError::Line { max: 10 }));
}

#[test]
fn a_stream_of_empty_data_lines_is_bounded_too() {
    let mut parser = EventParser::new(EventLimits { max_line: 10, max_event: 100 });
    let error = (0..1000).find_map(|_| {
        parser.push(b"data\n");
        parser.next_event().err()
    });
    assert_eq!(error, Some(EventError::Event { max: 100 }));
}
