//! One line of the table: a raw response, and what RFC 9112 and the strict framing rules make of it.

use gannet_core::h1::{HeadLimits, ProtocolError, RequestKind};

/// A raw response and what is expected of it.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) request: RequestKind,
    pub(super) limits: HeadLimits,
    pub(super) raw: Vec<u8>,
    /// Whether the connection ends behind `raw`; otherwise it stays open and silent.
    pub(super) closes: bool,
    pub(super) expect: Expect,
    pub(super) hyper: Hyper,
}

/// What a careful client makes of the row.
pub(super) enum Expect {
    Answer(Answer),
    Refused(ProtocolError),
}

/// A response that was read to its end.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// Whether the connection may carry another request.
    pub(super) reuse: bool,
    /// Bytes that came behind the response.
    pub(super) surplus: usize,
    /// Whether only the connection's end ends the body.
    pub(super) until_close: bool,
    pub(super) trailers: Vec<(&'static str, &'static str)>,
    /// All header fields, where the row is about them.
    pub(super) fields: Option<Vec<(&'static str, &'static [u8])>>,
    /// The reason phrase, where the row is about it.
    pub(super) reason: Option<Option<&'static str>>,
}

/// How hyper reads the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hyper {
    /// As we do.
    Agrees,
    /// It refuses what we read, or reads what we refuse, or reads it otherwise; why.
    Differs(&'static str),
    /// Not asked: its bounds are others, or the row is about a bound of our own.
    NotAsked,
}

/// A whole response to a GET that leaves the connection open and reusable, until the row says otherwise.
pub(super) fn answer(name: &'static str, raw: impl Into<Vec<u8>>, status: u16, body: impl Into<Vec<u8>>) -> Row {
    let answer = Answer {
        status,
        body: body.into(),
        reuse: true,
        surplus: 0,
        until_close: false,
        trailers: Vec::new(),
        fields: None,
        reason: None,
    };
    row(name, raw.into(), Expect::Answer(answer))
}

/// A response to a GET that is refused while the connection is open, until the row says otherwise.
pub(super) fn refused(name: &'static str, raw: impl Into<Vec<u8>>, error: ProtocolError) -> Row {
    row(name, raw.into(), Expect::Refused(error))
}

fn row(name: &'static str, raw: Vec<u8>, expect: Expect) -> Row {
    let (request, limits) = (RequestKind::default(), HeadLimits::default());
    Row { name, request, limits, raw, closes: false, expect, hyper: Hyper::Agrees }
}

impl Row {
    /// The request was a HEAD.
    pub(super) fn head(mut self) -> Self {
        self.request.head = true;
        self
    }

    /// The request asked for another protocol.
    pub(super) fn upgrade(mut self) -> Self {
        self.request.upgrade = true;
        self
    }

    /// The connection ends behind the bytes, so that it cannot be used again.
    pub(super) fn closes(mut self) -> Self {
        self.closes = true;
        self.change(|answer| answer.reuse = false)
    }

    /// Only the connection's end ends the body.
    pub(super) fn until_close(self) -> Self {
        self.closes().change(|answer| answer.until_close = true)
    }

    /// The connection may not be used again though it is open.
    pub(super) fn no_reuse(self) -> Self {
        self.change(|answer| answer.reuse = false)
    }

    /// This many bytes stand behind the response; the connection may not be used again.
    pub(super) fn surplus(self, bytes: usize) -> Self {
        self.no_reuse().change(|answer| answer.surplus = bytes)
    }

    /// The trailers that are kept.
    pub(super) fn trailers(self, trailers: &[(&'static str, &'static str)]) -> Self {
        self.change(|answer| answer.trailers = trailers.to_vec())
    }

    /// All header fields, in order.
    pub(super) fn fields(self, fields: &[(&'static str, &'static [u8])]) -> Self {
        self.change(|answer| answer.fields = Some(fields.to_vec()))
    }

    /// The reason phrase that is kept.
    pub(super) fn reason(self, reason: Option<&'static str>) -> Self {
        self.change(|answer| answer.reason = Some(reason))
    }

    /// Bounds other than the default ones.
    pub(super) fn limits(mut self, max_bytes: usize, max_fields: usize) -> Self {
        self.limits = HeadLimits { max_bytes, max_fields };
        self.hyper_not_asked()
    }

    /// hyper reads it otherwise, and why that is not our way.
    pub(super) fn hyper_differs(mut self, why: &'static str) -> Self {
        self.hyper = Hyper::Differs(why);
        self
    }

    /// hyper is not asked.
    pub(super) fn hyper_not_asked(mut self) -> Self {
        self.hyper = Hyper::NotAsked;
        self
    }

    fn change(mut self, change: impl FnOnce(&mut Answer)) -> Self {
        if let Expect::Answer(answer) = &mut self.expect {
            change(answer);
        }
        self
    }
}
