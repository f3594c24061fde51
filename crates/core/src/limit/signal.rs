//! What the end of an attempt says about its host, as far as its pace is concerned.

use std::time::Duration;

use crate::ErrorKind;
use crate::retry::Outcome;

/// A host's word on how it is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A response below 400, 404 or 410: the host did what was asked. The latency is that of a 2xx only.
    Served {
        /// Time to the response head.
        latency: Option<Duration>,
    },
    /// Some other response: it was let in, which says nothing about whether more would be well served.
    LetIn,
    /// 500, 502 or 504: let in, and failed.
    Failed,
    /// 429, 503 with Retry-After, or ENHANCE_YOUR_CALM of HTTP/2: too much was asked.
    Refused {
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// Bare 503, or no connection: fewer at once, but no word on the rate.
    Troubled,
    /// Nothing to do with the pace: a timeout, a broken body, trouble of our own.
    Silent,
}

impl Signal {
    /// What this outcome says.
    pub fn of(outcome: &Outcome) -> Signal {
        match (outcome.status, outcome.error) {
            _ if outcome.throttled => Signal::Refused { retry_after: outcome.retry_after },
            (Some(429), _) => Signal::Refused { retry_after: outcome.retry_after },
            (Some(503), _) if outcome.retry_after.is_some() => Signal::Refused { retry_after: outcome.retry_after },
            (Some(503), _) => Signal::Troubled,
            (Some(200..300), None) => Signal::Served { latency: outcome.latency },
            (Some(300..400), None) | (Some(404 | 410), Some(ErrorKind::Status)) => Signal::Served { latency: None },
            (Some(500 | 502 | 504), _) => Signal::Failed,
            (Some(_), _) => Signal::LetIn,
            (None, Some(ErrorKind::Connect | ErrorKind::TimeoutConnect)) => Signal::Troubled,
            (None, _) => Signal::Silent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_served_counts_as_good_however_fast_failures_are() {
        let fast = Some(Duration::from_micros(50));
        for (outcome, wanted) in [
            (Outcome::response(200), Signal::Served { latency: fast }),
            (Outcome::response(301), Signal::Served { latency: None }),
            (Outcome::response(404), Signal::Served { latency: None }),
            (Outcome::response(403), Signal::LetIn),
            (Outcome::response(500), Signal::Failed),
            (Outcome::response(503), Signal::Troubled),
            (Outcome::failure(ErrorKind::Connect), Signal::Troubled),
            (Outcome::failure(ErrorKind::TimeoutConnect), Signal::Troubled),
            (Outcome::failure(ErrorKind::TimeoutRead), Signal::Silent),
            (Outcome::failure(ErrorKind::Resources), Signal::Silent),
            (Outcome::response(429), Signal::Refused { retry_after: None }),
            (Outcome::response(503).retry_after(fast), Signal::Refused { retry_after: fast }),
        ] {
            assert_eq!(Signal::of(&outcome.latency(fast)), wanted, "{outcome:?}");
        }
        let calm = Outcome { throttled: true, ..Outcome::failure(ErrorKind::Connection) };
        assert_eq!(Signal::of(&calm), Signal::Refused { retry_after: None });
        let cut = Outcome { error: Some(ErrorKind::Body), ..Outcome::response(200) };
        assert_eq!(Signal::of(&cut), Signal::LetIn);
    }
}
