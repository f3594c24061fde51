//! The certificate of an HTTPS server: an authority made for the occasion and a
//! leaf signed by it. Clients trust it by [`Identity::ca_pem`]; nothing is stored.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

/// A certificate and its key, with the authority that signed it.
///
/// Cloning is cheap and shares the same certificate.
#[derive(Clone)]
pub struct Identity {
    ca_pem: Arc<str>,
    /// Certificate and key.
    pem: Arc<(String, String)>,
    config: Arc<ServerConfig>,
    /// The same, with HTTP/2 offered too.
    both: Arc<ServerConfig>,
}

impl Identity {
    /// A certificate for these DNS names and IP addresses, valid now.
    ///
    /// # Errors
    /// A name that is neither a DNS name nor an IP address.
    pub fn for_names<S: AsRef<str>>(names: &[S]) -> io::Result<Identity> {
        Identity::make(names, 2124)
    }

    /// The same, but expired since the start of 2001.
    ///
    /// # Errors
    /// As [`Identity::for_names`].
    pub fn expired<S: AsRef<str>>(names: &[S]) -> io::Result<Identity> {
        Identity::make(names, 2001)
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

    /// The certificate and its key in PEM, to run some other server with.
    pub fn pem(&self) -> (&str, &str) {
        (&self.pem.0, &self.pem.1)
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// As [`Identity::acceptor`], for servers that speak HTTP/2 too.
    pub(crate) fn acceptor_for_both(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.both))
    }

    fn make<S: AsRef<str>>(names: &[S], until_year: i32) -> io::Result<Identity> {
        let names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
        let (ca_pem, leaf, leaf_key) = sign(names, until_year).map_err(io::Error::other)?;
        let pem = Arc::new((leaf.pem(), leaf_key.serialize_pem()));
        let (chain, key) = (leaf.der().clone(), PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut both = config.clone();
        both.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Identity { ca_pem: ca_pem.into(), pem, config: Arc::new(config), both: Arc::new(both) })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// The authority's PEM, the leaf and the leaf's key.
fn sign(names: Vec<String>, until_year: i32) -> Result<(String, Certificate, KeyPair), rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.distinguished_name.push(DnType::CommonName, "gannet-origin test authority");
    authority.not_before = date_time_ymd(1999, 1, 1);
    authority.not_after = date_time_ymd(2124, 1, 1);
    let authority_key = KeyPair::generate()?;
    let ca_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, "gannet-origin");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    leaf.not_before = date_time_ymd(1999, 1, 1);
    leaf.not_after = date_time_ymd(until_year, 1, 1);
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &issuer)?;
    Ok((ca_pem, certificate, key))
}
