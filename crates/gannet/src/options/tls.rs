//! How servers are verified, and what is shown to them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How servers are verified, and what is shown to them. All of it is of a session as a whole, never of one request:
/// connections and TLS sessions are kept within one session, so that none made by other rules is ever used again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Certificates (PEM, one or many each) trusted beside the machine's own; none.
    pub extra_roots: Vec<String>,
    /// Trust `extra_roots` alone, not the machine's own; off.
    pub only_extra_roots: bool,
    /// What servers that ask for a certificate of the client are shown; none.
    pub client: Option<ClientCertificate>,
    /// The server's public key must be one of these; none. Comes on top of the usual verification, and holds also
    /// where `danger` gives that up.
    pub pins: Vec<Pin>,
    /// The name that is told to servers (SNI) and that their certificates must be for, in place of the URL's host; none.
    pub server_name: Option<String>,
    /// The lowest version that is spoken; TLS 1.2.
    pub min_version: TlsVersion,
    /// Write the keys of connections to the file that the environment variable SSLKEYLOGFILE names, if it is set, so
    /// that a capture of them can be decrypted; off.
    pub key_log: bool,
    /// What gives up security.
    pub danger: Danger,
}

/// Options that give up security. Every use deserves a comment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Danger {
    /// Accept any certificate for any name: anyone on the way can read and change everything. Off.
    pub accept_invalid_certs: bool,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (`1.2`).
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3 (`1.3`).
    #[serde(rename = "1.3")]
    V1_3,
}

/// A client's certificate and its private key. The key is never printed nor written out by serde.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// The certificate, and those between it and its authority, in PEM.
    pub chain: String,
    /// Its key in PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    #[serde(skip_serializing)]
    pub key: String,
}

/// `TLSv1.2`, `TLSv1.3`.
impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsVersion::V1_2 => "TLSv1.2",
            TlsVersion::V1_3 => "TLSv1.3",
        })
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("chain", &self.chain).finish_non_exhaustive()
    }
}

/// The SHA-256 of a public key (its SubjectPublicKeyInfo in DER, RFC 7469 §2.4). Its text form is curl's,
/// `sha256//` and the hash in base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin(pub(crate) [u8; 32]);

impl Pin {
    /// The pin with this hash.
    pub const fn sha256(hash: [u8; 32]) -> Self {
        Pin(hash)
    }
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        use base64::prelude::{BASE64_STANDARD, Engine as _};
        let hash = text.strip_prefix("sha256//").and_then(|hash| BASE64_STANDARD.decode(hash).ok());
        let hash = hash.and_then(|hash| hash.try_into().ok());
        hash.map(Pin).ok_or_else(|| format!("{text:?} is no pin: write sha256// and 44 characters of base64"))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use base64::prelude::{BASE64_STANDARD, Engine as _};
        write!(f, "sha256//{}", BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Pin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_read_as_they_are_written() {
        let pin = Pin::sha256([7; 32]);
        assert_eq!(pin.to_string().parse::<Pin>(), Ok(pin));
        for text in ["", "sha256//", "sha256//AAAA", "md5//AAAA", &pin.to_string()[8..]] {
            assert!(text.parse::<Pin>().is_err(), "{text}");
        }
    }

    #[test]
    fn item_32_a_private_key_is_neither_printed_nor_written_out() {
        let client = Some(ClientCertificate { chain: "public".into(), key: "sesame".into() });
        let tls = Tls { client, ..Tls::default() };
        assert!(!format!("{tls:?}").contains("sesame"));
        assert!(!serde_json::to_string(&tls).unwrap().contains("sesame"));
    }
}
