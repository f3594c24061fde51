//! TLS by rustls: the machine's own verifier, or a session's own roots beside it or in its place; one configuration
//! per session, so that its resumption cache is shared, and never with a session of other rules (RFC 8446 §2.2 trusts
//! a resumed handshake for what the first one verified). Made at the first https request: plain sessions never pay
//! for it.

use std::sync::{Arc, OnceLock};

use gannet_core::{ErrorKind, Phase};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, KeyLogFile, RootCertStore, SupportedProtocolVersion};
use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;
use url::Host;

use super::stream::Stream;
use crate::error::{Error, Result};
use crate::options::{ClientCertificate, HttpVersion, Tls, TlsVersion};
use info::Chains;
pub use info::TlsInfo;
use verify::{AcceptAny, Pinned};

mod info;
mod verify;

pub(super) struct TlsSetup {
    rules: Tls,
    extra_roots: Vec<CertificateDer<'static>>,
    client: Option<Arc<CertifiedKey>>,
    server_name: Option<ServerName<'static>>,
    /// What is offered to the server (ALPN), first choice first.
    protocols: &'static [&'static [u8]],
    config: OnceLock<std::result::Result<Arc<ClientConfig>, Arc<str>>>,
    chains: Chains,
}

impl TlsSetup {
    /// Reads certificates and keys at once, so that a bad one is an error of the session and not of every request.
    ///
    /// # Errors
    /// Kind `request`.
    pub(super) fn new(options: &Tls, version: HttpVersion) -> Result<Self> {
        let mut extra_roots = Vec::new();
        for (number, pem) in options.extra_roots.iter().enumerate() {
            let certificates = certificates(pem, &format!("tls.extra_roots[{number}]"))?;
            for certificate in &certificates {
                let added = RootCertStore::empty().add(certificate.clone());
                added.map_err(|error| Error::request(format!("tls.extra_roots[{number}]: {error}")))?;
            }
            extra_roots.extend(certificates);
        }
        if options.only_extra_roots && extra_roots.is_empty() {
            return Err(Error::request("tls.only_extra_roots: there are no tls.extra_roots"));
        }
        let client = options.client.as_ref().map(certified_key).transpose()?;
        let server_name = options.server_name.as_deref().map(|name| {
            let parsed = ServerName::try_from(bare(name).to_owned());
            parsed.map_err(|error| Error::request(format!("tls.server_name: {name:?}: {error}")))
        });
        let server_name = server_name.transpose()?;
        let protocols: &[&[u8]] = match version {
            HttpVersion::Auto => &[b"h2", b"http/1.1"],
            HttpVersion::Http1 => &[b"http/1.1"],
            HttpVersion::Http2PriorKnowledge => &[b"h2"],
        };
        let rules = options.clone();
        Ok(TlsSetup {
            rules,
            extra_roots,
            client,
            server_name,
            protocols,
            config: OnceLock::new(),
            chains: Chains::default(),
        })
    }

    /// Shakes hands over any stream, as the client of this host; `http1` offers HTTP/1.1 alone.
    pub(super) async fn handshake(&self, host: &Host<&str>, stream: Stream, http1: bool) -> Result<Stream> {
        let config = self.config.get_or_init(|| self.build().map_err(Arc::from));
        let config = config.as_ref().map_err(|why| Error::new(ErrorKind::Tls, Phase::Tls, why.to_string()))?;
        let name = match (&self.server_name, host) {
            (Some(name), _) => name.clone(),
            // RFC 6066 §3: without the dot at its end.
            (None, Host::Domain(name)) => ServerName::try_from(bare(name).to_owned())
                .map_err(|error| Error::new(ErrorKind::Tls, Phase::Tls, "not a server name").with_source(error))?,
            (None, Host::Ipv4(ip)) => ServerName::from(std::net::IpAddr::from(*ip)),
            (None, Host::Ipv6(ip)) => ServerName::from(std::net::IpAddr::from(*ip)),
        };
        let connector = TlsConnector::from(config.clone());
        let tls = match http1 {
            true => connector.with_alpn(vec![b"http/1.1".to_vec()]).connect(name, stream).await,
            false => connector.connect(name, stream).await,
        };
        let tls = tls.map_err(handshake_error)?;
        Ok(Stream::Tls(Box::new(tls)))
    }

    /// What the handshake of this stream came to.
    pub(super) fn info_of(&self, stream: &Stream) -> Option<TlsInfo> {
        self.chains.info_of(stream)
    }

    fn build(&self) -> std::result::Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions: &[&SupportedProtocolVersion] = match self.rules.min_version {
            TlsVersion::V1_2 => &[&TLS13, &TLS12],
            TlsVersion::V1_3 => &[&TLS13],
        };
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?;
        let builder = builder.dangerous().with_custom_certificate_verifier(self.verifier(provider)?);
        let mut config = match &self.client {
            None => builder.with_no_client_auth(),
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key.clone()))),
        };
        if self.rules.key_log {
            // Does nothing unless SSLKEYLOGFILE is set.
            config.key_log = Arc::new(KeyLogFile::new());
        }
        config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }

    fn verifier(&self, provider: Arc<CryptoProvider>) -> std::result::Result<Arc<dyn ServerCertVerifier>, String> {
        let verifier = self.usual_verifier(provider)?;
        if self.rules.pins.is_empty() {
            return Ok(verifier);
        }
        Ok(Arc::new(Pinned::new(verifier, &self.rules.pins)))
    }

    fn usual_verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> std::result::Result<Arc<dyn ServerCertVerifier>, String> {
        if self.rules.danger.accept_invalid_certs {
            return Ok(Arc::new(AcceptAny::new(provider)));
        }
        let mut roots = RootCertStore::empty();
        if !self.rules.only_extra_roots {
            if let Ok(verifier) = Verifier::new_with_extra_roots(self.extra_roots.iter().cloned(), provider.clone()) {
                return Ok(Arc::new(verifier));
            }
            // A container without certificates of its own: the roots that Mozilla trusts, compiled in.
            roots.roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
        }
        for certificate in &self.extra_roots {
            roots.add(certificate.clone()).map_err(|error| error.to_string())?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        Ok(verifier.map_err(|error| error.to_string())?)
    }
}

/// A name as it stands in certificates.
fn bare(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// The certificates of a text in PEM, at least one.
fn certificates(pem: &str, option: &str) -> Result<Vec<CertificateDer<'static>>> {
    let all: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match all {
        Ok(all) if all.is_empty() => Err(Error::request(format!("{option}: no certificate in PEM form found"))),
        Ok(all) => Ok(all),
        Err(error) => Err(Error::request(format!("{option}: {error}"))),
    }
}

fn certified_key(client: &ClientCertificate) -> Result<Arc<CertifiedKey>> {
    let chain = certificates(&client.chain, "tls.client.chain")?;
    let key = PrivateKeyDer::from_pem_slice(client.key.as_bytes()).map_err(|_| {
        let encrypted = client.key.contains("ENCRYPTED");
        let why = if encrypted { "the key is encrypted" } else { "no private key in PEM form found" };
        Error::request(format!("tls.client.key: {why}"))
    })?;
    let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
    key.map(Arc::new).map_err(|error| Error::request(format!("tls.client: {error}")))
}

/// A broken connection inside the handshake is the connection's failure and may be tried again;
/// a refused certificate or alert is TLS's and will not get better.
fn handshake_error(error: std::io::Error) -> Error {
    let is_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some();
    if is_tls {
        Error::new(ErrorKind::Tls, Phase::Tls, "TLS handshake failed").with_source(error)
    } else {
        Error::io(ErrorKind::Connect, Phase::Tls, "connection lost in the TLS handshake", error)
    }
}
