//! From the bytes of a body to what they mean: content codings undone chunk by chunk under caps
//! ([`content`]), characters by their charset ([`charset`]). No I/O; the response's body drives it.

pub mod charset;
pub mod content;

use std::borrow::Cow;
use std::fmt;

use gannet_core::ErrorKind;

/// Why bytes could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// [`ErrorKind::Decode`], or [`ErrorKind::TooLarge`] where a cap was hit.
    pub kind: ErrorKind,
    /// What was wrong, in words.
    pub message: Cow<'static, str>,
}

impl DecodeError {
    pub(crate) fn broken(message: impl Into<Cow<'static, str>>) -> Self {
        DecodeError { kind: ErrorKind::Decode, message: message.into() }
    }

    pub(crate) fn too_large(message: impl Into<Cow<'static, str>>) -> Self {
        DecodeError { kind: ErrorKind::TooLarge, message: message.into() }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}
