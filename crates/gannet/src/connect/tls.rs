//! TLS by rustls: the machine's own verifier, or a session's own roots beside it; one configuration per session,
//! so that its resumption cache is shared. Made at the first https request: plain sessions never pay for it.

use std::sync::{Arc, OnceLock};

use gannet_core::{ErrorKind, Phase};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;
use url::Host;

use super::stream::Stream;
use crate::error::{Error, Result};
use crate::options::{HttpVersion, Tls};

pub(super) struct TlsSetup {
    extra_roots: Vec<CertificateDer<'static>>,
    accept_invalid: bool,
    /// What is offered to the server (ALPN), first choice first.
    protocols: &'static [&'static [u8]],
    config: OnceLock<std::result::Result<Arc<ClientConfig>, Arc<str>>>,
}

impl TlsSetup {
    /// Reads the extra roots at once, so that a bad one is an error of the session and not of every request.
    pub(super) fn new(options: &Tls, version: HttpVersion) -> Result<Self> {
        let mut extra_roots = Vec::new();
        for (number, pem) in options.extra_roots.iter().enumerate() {
            let bad = |why: &str| Error::request(format!("tls.extra_roots[{number}]: {why}"));
            let before = extra_roots.len();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|error| bad(&error.to_string()))?;
                RootCertStore::empty().add(certificate.clone()).map_err(|error| bad(&error.to_string()))?;
                extra_roots.push(certificate);
            }
            if extra_roots.len() == before {
                return Err(bad("no certificate in PEM form found"));
            }
        }
        let accept_invalid = options.danger.accept_invalid_certs;
        let protocols: &[&[u8]] = match version {
            HttpVersion::Auto => &[b"h2", b"http/1.1"],
            HttpVersion::Http1 => &[b"http/1.1"],
            HttpVersion::Http2PriorKnowledge => &[b"h2"],
        };
        Ok(TlsSetup { extra_roots, accept_invalid, protocols, config: OnceLock::new() })
    }

    /// Shakes hands over any stream, as the client of this host.
    pub(super) async fn handshake(&self, host: &Host<&str>, stream: Stream) -> Result<Stream> {
        let config = self.config.get_or_init(|| self.build().map_err(Arc::from));
        let config = config.as_ref().map_err(|why| Error::new(ErrorKind::Tls, Phase::Tls, why.to_string()))?;
        let name = match *host {
            Host::Domain(name) => ServerName::try_from(name.to_owned())
                .map_err(|error| Error::new(ErrorKind::Tls, Phase::Tls, "not a server name").with_source(error))?,
            Host::Ipv4(ip) => ServerName::from(std::net::IpAddr::from(ip)),
            Host::Ipv6(ip) => ServerName::from(std::net::IpAddr::from(ip)),
        };
        let tls = TlsConnector::from(config.clone()).connect(name, stream).await.map_err(handshake_error)?;
        Ok(Stream::Tls(Box::new(tls)))
    }

    fn build(&self) -> std::result::Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = builder.dangerous().with_custom_certificate_verifier(self.verifier(provider)?);
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }

    fn verifier(&self, provider: Arc<CryptoProvider>) -> std::result::Result<Arc<dyn ServerCertVerifier>, String> {
        if self.accept_invalid {
            return Ok(Arc::new(AcceptAny { provider }));
        }
        match Verifier::new_with_extra_roots(self.extra_roots.iter().cloned(), provider.clone()) {
            Ok(verifier) => Ok(Arc::new(verifier)),
            // A container without certificates of its own: the roots that Mozilla trusts, compiled in.
            Err(_) => {
                let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
                for certificate in &self.extra_roots {
                    roots.add(certificate.clone()).map_err(|error| error.to_string())?;
                }
                let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
                Ok(verifier.map_err(|error| error.to_string())?)
            }
        }
    }
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

/// The `danger.accept_invalid_certs` switch: any certificate, but signatures still have to fit it.
#[derive(Debug)]
struct AcceptAny {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
