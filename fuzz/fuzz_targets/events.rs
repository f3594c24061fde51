//! Any bytes as an event stream. The first byte says how tight the bounds are, the second how many of the next bytes
//! are sizes of pieces. One go, pieces and single bytes must give the same events and the same end, and so must the
//! standard's own words (WHATWG HTML §9.2.6), followed over the whole text at once.

#![no_main]

use std::time::Duration;

use gannet_core::events::{Event, EventError, EventLimits, EventParser};
use gannet_fuzz::pieces;
use libfuzzer_sys::fuzz_target;

type Read = (Vec<Event>, Option<EventError>, String, Option<Duration>);

fuzz_target!(|data: &[u8]| {
    let [options, cuts, rest @ ..] = data else { return };
    let (sizes, raw) = rest.split_at(usize::from(cuts & 15).min(rest.len()));
    let limits = match options & 1 {
        0 => EventLimits::default(),
        _ => EventLimits { max_line: 40, max_event: 60 },
    };
    let whole = read(limits, [raw]);
    assert_eq!(read(limits, pieces(raw, sizes)), whole);
    assert_eq!(read(limits, raw.chunks(1)), whole);
    if options & 1 == 0 {
        assert_eq!(by_the_book(raw), (whole.0.clone(), whole.2.clone()));
    }
    for event in &whole.0 {
        assert!(event.data.len() <= limits.max_event && !event.event.is_empty());
        assert!(!event.id.contains(['\0', '\r', '\n']) && !event.event.contains(['\r', '\n']));
        assert!(!event.data.contains('\r'));
    }
});

fn read<'a>(limits: EventLimits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let mut parser = EventParser::new(limits);
    let mut events = Vec::new();
    let mut failed = None;
    'all: for piece in pieces {
        parser.push(piece);
        loop {
            match parser.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => {
                    failed = Some(error);
                    break 'all;
                }
            }
        }
    }
    (events, failed, parser.last_id().to_owned(), parser.retry())
}

/// The events of a stream, and the last ID.
fn by_the_book(raw: &[u8]) -> (Vec<Event>, String) {
    let text = String::from_utf8_lossy(raw);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
    let (mut events, mut last_id) = (Vec::new(), String::new());
    let (mut data, mut kind, mut id, mut retry) = (Vec::new(), String::new(), String::new(), None);
    // Behind the last line end stands nothing, or a line that did not end.
    let lines: Vec<&str> = text.split('\n').collect();
    for line in &lines[..lines.len() - 1] {
        if line.is_empty() {
            last_id.clone_from(&id);
            if !data.is_empty() {
                let event = if kind.is_empty() { "message" } else { &kind }.to_owned();
                events.push(Event { id: id.clone(), event, data: data.join("\n"), retry });
            }
            (data, kind, retry) = (Vec::new(), String::new(), None);
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match name {
            "data" => data.push(value),
            "event" => kind = value,
            "id" if !value.contains('\0') => id = value,
            "retry" if !value.is_empty() && value.chars().all(|char| char.is_ascii_digit()) => {
                let millis = value.parse().unwrap_or(u64::MAX).min(1000 * u64::from(u32::MAX));
                retry = Some(Duration::from_millis(millis));
            }
            _ => {}
        }
    }
    (events, last_id)
}
