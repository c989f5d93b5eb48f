//! TLS of the mail server: a throw-away authority, made when the process first needs it, and the certificates that it signs.

use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::settings::MailCertificate;

fn authority() -> &'static CertifiedIssuer<'static, KeyPair> {
    static AUTHORITY: OnceLock<CertifiedIssuer<'static, KeyPair>> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "The emulator's authority");
        CertifiedIssuer::self_signed(params, key()).expect("a fresh key signs")
    })
}

fn key() -> KeyPair {
    KeyPair::generate().expect("the crypto provider makes keys")
}

/// The certificate of the authority that signs those of the mail server, as PEM. It is another one in each process.
pub fn authority_pem() -> String {
    authority().pem()
}

/// What makes TLS of a connection, with a fresh certificate.
pub(super) fn acceptor(certificate: MailCertificate) -> TlsAcceptor {
    let names: &[&str] = match certificate {
        MailCertificate::Good => &["localhost", "127.0.0.1", "::1"],
        MailCertificate::OtherName => &["mail.another.example"],
    };
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = key();
    let params = CertificateParams::new(names).expect("names and addresses");
    let signed = params.signed_by(&key, authority()).expect("the authority signs");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![signed.der().clone()], private)
        .expect("certificate and key belong together");
    TlsAcceptor::from(Arc::new(config))
}
