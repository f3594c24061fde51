//! What can be done about a failure, where an option or another URL does it. The library's kinds are coarser than the
//! remedies, so that these go by words of its messages too; each has a test that makes the failure.

use gannet::{Error, ErrorKind, Phase};

/// A failure and its remedy.
struct Hint {
    kind: ErrorKind,
    phase: Option<Phase>,
    /// What its message has in it.
    words: &'static str,
    text: &'static str,
}

const HINTS: &[Hint] = &[
    Hint {
        kind: ErrorKind::Tls,
        phase: Some(Phase::Tls),
        words: "UnknownIssuer",
        text: "--cacert FILE trusts its authority, -k accepts any",
    },
    Hint {
        kind: ErrorKind::Tls,
        phase: Some(Phase::Tls),
        words: "InvalidContentType",
        text: "the server does not speak TLS on this port; is it http://?",
    },
    Hint { kind: ErrorKind::TooLarge, phase: None, words: "larger than", text: "--max-filesize allows more" },
    Hint { kind: ErrorKind::TooLarge, phase: None, words: "decodes to more than", text: "--max-filesize allows more" },
    Hint {
        kind: ErrorKind::TooLarge,
        phase: None,
        words: "bytes of body decode to",
        text: "--max-ratio allows more, 0 any; it may be a bomb",
    },
    Hint { kind: ErrorKind::Protocol, phase: None, words: "head is too large", text: "--max-head allows more" },
    Hint { kind: ErrorKind::Protocol, phase: None, words: "header_list_way_too_large", text: "--max-head allows more" },
    Hint { kind: ErrorKind::Redirect, phase: None, words: "too many redirects", text: "--max-redirects allows more" },
    Hint {
        kind: ErrorKind::Redirect,
        phase: None,
        words: "no redirect is allowed",
        text: "--max-redirects allows more, --no-follow takes it as the response",
    },
];

/// What can be done about this one, if that is known.
pub(super) fn of(error: &Error) -> Option<&'static str> {
    let message = error.message();
    let fits = |hint: &&Hint| {
        let in_phase = hint.phase.is_none_or(|phase| phase == error.phase());
        hint.kind == error.kind() && in_phase && message.contains(hint.words)
    };
    HINTS.iter().find(fits).map(|hint| hint.text)
}
