//! What a TLS handshake came to, kept with the connection for the responses it brings.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::{HandshakeKind, ProtocolVersion};

use super::super::stream::Stream;
use crate::options::TlsVersion;

/// How the connection of a response is secured: [`crate::Response::tls`].
#[derive(Clone, PartialEq, Eq)]
pub struct TlsInfo {
    version: TlsVersion,
    cipher: Box<str>,
    alpn: Option<Box<str>>,
    resumed: bool,
    certificates: Chain,
}

/// Certificates in DER, the server's own first.
type Chain = Arc<[Vec<u8>]>;

impl TlsInfo {
    /// The protocol's version.
    pub fn version(&self) -> TlsVersion {
        self.version
    }

    /// The cipher suite by its registered name: `TLS_AES_128_GCM_SHA256`.
    pub fn cipher(&self) -> &str {
        &self.cipher
    }

    /// The protocol that the server chose of those offered (RFC 7301): `h2`, `http/1.1`; none where it chose none.
    pub fn alpn(&self) -> Option<&str> {
        self.alpn.as_deref()
    }

    /// Whether an earlier session was resumed, so that no certificate was sent: those told are of the first handshake.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// The certificates that the server showed, in DER, its own first. Verified, unless `tls.danger` says otherwise.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }
}

impl fmt::Debug for TlsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsInfo")
            .field("version", &self.version)
            .field("cipher", &self.cipher)
            .field("alpn", &self.alpn)
            .field("resumed", &self.resumed)
            .field("certificates", &self.certificates.len())
            .finish()
    }
}

/// The chain seen last: connections to one server share it.
#[derive(Default)]
pub(super) struct Chains(Mutex<Option<Chain>>);

impl Chains {
    /// What the handshake of this stream came to.
    pub(super) fn info_of(&self, stream: &Stream) -> Option<TlsInfo> {
        let Stream::Tls(tls) = stream else { return None };
        let (_, session) = tls.get_ref();
        let version = match session.protocol_version()? {
            ProtocolVersion::TLSv1_3 => TlsVersion::V1_3,
            _ => TlsVersion::V1_2,
        };
        // rustls has a name of its own for those of TLS 1.3.
        let cipher = session.negotiated_cipher_suite()?.suite().as_str().unwrap_or_default();
        let cipher = cipher.replacen("TLS13_", "TLS_", 1).into();
        let alpn = session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into());
        let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        let shown = session.peer_certificates().unwrap_or_default();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last.as_ref().filter(|last| last.iter().map(Vec::as_slice).eq(shown.iter().map(AsRef::as_ref)));
        let certificates = match known {
            Some(known) => known.clone(),
            None => last.insert(shown.iter().map(|certificate| certificate.to_vec()).collect()).clone(),
        };
        Some(TlsInfo { version, cipher, alpn, resumed, certificates })
    }
}
