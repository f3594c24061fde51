//! Any bytes as an event stream. The first byte says how tight the bounds are, the second how many of the next bytes
//! are sizes of pieces. One go, pieces and single bytes must give the same events and the same end.

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
    for event in &whole.0 {
        assert!(event.data.len() <= limits.max_event.max(raw.len() * 3) && !event.event.is_empty());
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
