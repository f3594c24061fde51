//! The certificate of an HTTPS server: an authority made for the occasion and a
//! leaf signed by it. Clients trust it by [`Identity::ca_pem`]; nothing is stored.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SanType, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

/// A certificate and its key, with the authority that signed it.
///
/// Cloning is cheap and shares the same certificate.
#[derive(Clone)]
pub struct Identity {
    ca_pem: Arc<str>,
    leaf: Arc<Leaf>,
    config: Arc<ServerConfig>,
    /// The same, with HTTP/2 offered too.
    both: Arc<ServerConfig>,
}

/// The server's own certificate.
struct Leaf {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    /// Certificate and key.
    pem: (String, String),
    public_key: Vec<u8>,
}

/// What a server asks of its clients.
#[derive(Default)]
struct Demands {
    /// A certificate of this authority, in PEM.
    client_of: Option<String>,
    only_tls12: bool,
}

impl Identity {
    /// A certificate for these DNS names and IP addresses, valid now.
    ///
    /// # Errors
    /// A name that is neither a DNS name nor an IP address.
    pub fn for_names<S: AsRef<str>>(names: &[S]) -> io::Result<Identity> {
        Identity::make(&parameters(names)?, 2124)
    }

    /// A certificate for names of the DNS kind, exactly as they stand here: wildcards in any place, and texts that
    /// look like IP addresses and yet are none.
    ///
    /// # Errors
    /// A name that is not ASCII.
    pub fn for_dns_names<S: AsRef<str>>(names: &[S]) -> io::Result<Identity> {
        let mut leaf = CertificateParams::default();
        for name in names {
            leaf.subject_alt_names.push(SanType::DnsName(name.as_ref().try_into().map_err(io::Error::other)?));
        }
        Identity::make(&leaf, 2124)
    }

    /// The same, but expired since the start of 2001.
    ///
    /// # Errors
    /// As [`Identity::for_names`].
    pub fn expired<S: AsRef<str>>(names: &[S]) -> io::Result<Identity> {
        Identity::make(&parameters(names)?, 2001)
    }

    /// A certificate for localhost, 127.0.0.1, ::1 and these addresses.
    pub(crate) fn for_loopback(more: impl IntoIterator<Item = IpAddr>) -> io::Result<Identity> {
        let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
        for ip in more {
            let name = ip.to_string();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Identity::for_names(&names)
    }

    /// The authority's certificate in PEM: what a client has to trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The certificate and its key in PEM, to run some other server with, or to be shown by a client: it is for both.
    pub fn pem(&self) -> (&str, &str) {
        (&self.leaf.pem.0, &self.leaf.pem.1)
    }

    /// Its public key as a SubjectPublicKeyInfo in DER.
    pub fn public_key(&self) -> &[u8] {
        &self.leaf.public_key
    }

    /// The same certificate, of a server that serves only clients with one of this authority (in PEM).
    ///
    /// # Errors
    /// What is no authority.
    pub fn demanding_client_of(&self, ca_pem: &str) -> io::Result<Identity> {
        self.with(&Demands { client_of: Some(ca_pem.to_owned()), ..Demands::default() })
    }

    /// The same certificate, of a server that speaks no TLS but 1.2.
    ///
    /// # Errors
    /// None that is known.
    pub fn speaking_only_tls12(&self) -> io::Result<Identity> {
        self.with(&Demands { only_tls12: true, ..Demands::default() })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    fn with(&self, demands: &Demands) -> io::Result<Identity> {
        Identity::of(self.ca_pem.clone(), self.leaf.clone(), demands)
    }

    /// The same, whose [`Identity::acceptor`] offers HTTP/2 too.
    pub(crate) fn offering_http2(&self) -> Identity {
        Identity { config: Arc::clone(&self.both), ..self.clone() }
    }

    /// As [`Identity::acceptor`], for servers that speak HTTP/2 too.
    pub(crate) fn acceptor_for_both(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.both))
    }

    fn make(leaf: &CertificateParams, until_year: i32) -> io::Result<Identity> {
        let (ca_pem, leaf) = sign(leaf.clone(), until_year).map_err(io::Error::other)?;
        Identity::of(ca_pem.into(), Arc::new(leaf), &Demands::default())
    }

    fn of(ca_pem: Arc<str>, leaf: Arc<Leaf>, demands: &Demands) -> io::Result<Identity> {
        let config = server_config(&leaf, demands)?;
        let mut both = config.clone();
        both.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Identity { ca_pem, leaf, config: Arc::new(config), both: Arc::new(both) })
    }
}

fn parameters<S: AsRef<str>>(names: &[S]) -> io::Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
    CertificateParams::new(names).map_err(io::Error::other)
}

fn server_config(leaf: &Leaf, demands: &Demands) -> io::Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions: &[&SupportedProtocolVersion] = if demands.only_tls12 { &[&TLS12] } else { &[&TLS13, &TLS12] };
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions);
    let builder = builder.map_err(io::Error::other)?;
    let builder = match &demands.client_of {
        None => builder.with_no_client_auth(),
        Some(ca_pem) => {
            let mut roots = RootCertStore::empty();
            let authority = CertificateDer::from_pem_slice(ca_pem.as_bytes()).map_err(io::Error::other)?;
            roots.add(authority).map_err(io::Error::other)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(io::Error::other)?)
        }
    };
    let config = builder.with_single_cert(vec![leaf.certificate.clone()], leaf.key.clone_key());
    let mut config = config.map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// The authority's PEM, and the leaf it signed.
fn sign(mut leaf: CertificateParams, until_year: i32) -> Result<(String, Leaf), rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.distinguished_name.push(DnType::CommonName, "gannet-origin test authority");
    authority.not_before = date_time_ymd(1999, 1, 1);
    authority.not_after = date_time_ymd(2124, 1, 1);
    let authority_key = KeyPair::generate()?;
    let ca_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    leaf.distinguished_name.push(DnType::CommonName, "gannet-origin");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    leaf.use_authority_key_identifier_extension = true;
    leaf.not_before = date_time_ymd(1999, 1, 1);
    leaf.not_after = date_time_ymd(until_year, 1, 1);
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &issuer)?;
    let leaf = Leaf {
        certificate: certificate.der().clone(),
        key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        pem: (certificate.pem(), key.serialize_pem()),
        public_key: key.subject_public_key_info(),
    };
    Ok((ca_pem, leaf))
}
