//! HTTP/2: the same session over connections that many requests share.

mod bodies;
mod closing;
mod counters;
mod files;
mod floods;
mod hostile;
mod peer;
mod proxies;
mod reaching;
mod refusals;
mod requests;
mod sharing;
mod timeouts;

use gannet::{HttpVersion, Session, Version};
use gannet_origin::script::frames;

use super::*;

/// A session that speaks HTTP/2 without asking.
fn speaking(change: impl FnOnce(&mut Options)) -> Session {
    session(|options| {
        options.http.version = HttpVersion::Http2PriorKnowledge;
        change(options);
    })
}

/// A session that trusts the origin and leaves the version to the handshake.
fn offering(origin: &Origin) -> Session {
    session(|options| options.tls.extra_roots = vec![origin.ca_pem().to_owned()])
}

/// The server's part of the beginning: its SETTINGS, and ours acknowledged.
fn begun(settings: &[(u16, u32)]) -> Script {
    let hello = [frames::settings(settings), frames::frame(frames::SETTINGS, 1, 0, &[])].concat();
    Script::new().expect_frame(frames::SETTINGS).send(hello)
}

/// As [`begun`], and the first request has come.
pub(super) fn asked(settings: &[(u16, u32)]) -> Script {
    begun(settings).expect_frame(frames::HEADERS)
}

/// Resets as many requests as soon as they come.
fn resetting(requests: u32, code: u32) -> Script {
    (0..requests)
        .fold(begun(&[]), |script, nth| script.expect_frame(frames::HEADERS).send(frames::reset(2 * nth + 1, code)))
}

/// The frames in these bytes, as (type, flags, stream, payload).
fn frames_in(bytes: &[u8]) -> Vec<(u8, u8, u32, Vec<u8>)> {
    let mut rest = bytes.strip_prefix(frames::PREFACE).expect("a client begins with its preface");
    let mut all = Vec::new();
    while rest.len() >= frames::HEAD {
        let length = usize::from(rest[0]) << 16 | usize::from(rest[1]) << 8 | usize::from(rest[2]);
        let stream = u32::from_be_bytes([rest[5], rest[6], rest[7], rest[8]]);
        let end = (frames::HEAD + length).min(rest.len());
        all.push((rest[3], rest[4], stream, rest[frames::HEAD..end].to_vec()));
        rest = &rest[end..];
    }
    all
}
