//! What a failure of a stream, or of the connection that it shares, means for one request: its kind, whether the server
//! can have looked at the request, and whether the connection may carry others.

use gannet_core::h1::ProtocolError;
use gannet_core::{ErrorKind, Phase};
use h2::Reason;

use super::Http2;
use crate::error::{Error, Note};
use crate::exchange::Failed;
use crate::http2::Fault;
use crate::pool::Why;

impl Http2 {
    pub(super) fn broke_rule(&self, error: ProtocolError, phase: Phase) -> Failed {
        Failed { error: Error::new(ErrorKind::Protocol, phase, error.to_string()), unanswered: false }
    }

    /// The kind of a failure by a broken rule of the connection. Who of those that shared it was to blame nobody can
    /// tell.
    pub(super) fn if_to_blame(&self, otherwise: ErrorKind) -> ErrorKind {
        if self.lease.muxed().is_none_or(|muxed| muxed.is_alone()) { ErrorKind::Protocol } else { otherwise }
    }

    /// What an error of the stream or of its connection means for this request.
    pub(super) fn failed(&self, error: h2::Error, phase: Phase) -> Failed {
        let broken = if phase == Phase::Body { ErrorKind::Body } else { ErrorKind::Connection };
        let reason = error.reason().unwrap_or(Reason::NO_ERROR);
        let muxed = self.lease.muxed();
        let new = |kind, message: &'static str| Error::new(kind, phase, message);
        let mut unanswered = false;
        let failure = if error.is_io() {
            self.lease.retire(Why::Failed);
            let fault = muxed.and_then(|muxed| muxed.fault());
            unanswered = phase == Phase::Head && fault.is_none();
            if unanswered {
                self.lease.retire_idle();
            }
            match (phase, fault) {
                (_, Some(Fault::Silent)) => new(broken, "the server did not answer a ping"),
                (_, Some(Fault::Flooded)) => new(self.if_to_blame(broken), "the connection was given up"),
                (Phase::Head, Some(Fault::TlsRefused)) => new(ErrorKind::Tls, "the server refused the TLS session"),
                (Phase::Body, _) => new(broken, "connection broken before the body was whole"),
                _ => new(broken, "connection broken before the response"),
            }
        } else if error.is_remote() && reason == Reason::ENHANCE_YOUR_CALM {
            new(broken, "the server asks for less (ENHANCE_YOUR_CALM)").with_note(Note::Throttled)
        } else if error.is_remote() && error.is_go_away() {
            // Told only to streams above the last one that the server looked at (RFC 9113 §6.8).
            self.lease.retire(Why::Ended);
            new(broken, "the server closes the connection and did not look at the request").with_note(Note::Unprocessed)
        } else if error.is_remote() && reason == Reason::REFUSED_STREAM {
            new(broken, "the server refused the stream").with_note(Note::Unprocessed)
        } else if error.is_remote() {
            match (phase, reason) {
                (Phase::Head, Reason::HTTP_1_1_REQUIRED) => {
                    new(ErrorKind::Protocol, "the server wants HTTP/1.1 for this request (option http.version)")
                }
                (Phase::Head, Reason::PROTOCOL_ERROR) => new(ErrorKind::Protocol, "the server reset the stream"),
                _ => new(broken, "the server reset the stream"),
            }
        } else if error.is_go_away() {
            self.lease.retire(Why::Failed);
            new(self.if_to_blame(broken), "the connection was given up: the server broke the rules of HTTP/2")
        } else if phase == Phase::Body {
            new(ErrorKind::Body, "the body is not what its head announced")
        } else {
            new(ErrorKind::Protocol, "malformed response, or a head that is too large")
        };
        Failed { error: failure.with_source(error), unanswered }
    }
}
