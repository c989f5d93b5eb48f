//! The credential of the app registration: a secret, a certificate, or what the platform gives.

use std::path::PathBuf;

use super::sections::DirectorySection;
use super::values::Reader;

/// A credential of the app registration, as the document names it.
#[derive(Debug, Clone)]
pub(crate) enum DirectoryCredential {
    /// `client_secret`
    Secret,
    /// `certificate_file` and `private_key_file`
    Certificate {
        /// Certificate, PEM.
        certificate: PathBuf,
        /// Private key, PEM.
        key: PathBuf,
    },
    /// `certificate` and `private_key`, a secret of the document
    Pem {
        /// Certificate, PEM.
        certificate: String,
    },
    /// `federated_token_file`
    Federated(PathBuf),
    /// `managed_identity = true`
    ManagedIdentity,
}

impl Reader<'_> {
    pub(super) fn credential(&mut self, d: &DirectorySection) -> Option<DirectoryCredential> {
        let tenant = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        let shared = matches!(d.tenant_id.as_str(), "common" | "organizations" | "consumers");
        if !d.tenant_id.chars().all(tenant) || shared {
            self.found(
                "directory.tenant_id",
                "is neither a tenant id nor a domain of the tenant",
                "write the Directory (tenant) ID that the app registration's overview shows",
            );
        }
        if let Some(id) = &d.client_id
            && !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        {
            self.found(
                "directory.client_id",
                "is not an application id",
                "write the Application (client) ID that the app registration's overview shows",
            );
        }
        let file = |path: &Option<String>| path.as_ref().map(PathBuf::from);
        let mut given = Vec::new();
        if d.client_secret.is_some() {
            given.push(("client_secret", DirectoryCredential::Secret));
        }
        match (file(&d.certificate_file), file(&d.private_key_file)) {
            (Some(certificate), Some(key)) => {
                given.push(("certificate_file", DirectoryCredential::Certificate { certificate, key }));
            }
            (Some(_), None) => {
                let remedy = "add private_key_file = \"…\" beside certificate_file";
                self.found("directory.private_key_file", "is missing", remedy);
                return None;
            }
            (None, Some(_)) => {
                let remedy = "add certificate_file = \"…\" beside private_key_file";
                self.found("directory.certificate_file", "is missing", remedy);
                return None;
            }
            (None, None) => {}
        }
        match (&d.certificate, &d.private_key) {
            (Some(certificate), Some(_)) => {
                if !certificate.contains("-----BEGIN CERTIFICATE-----") {
                    let remedy = "paste the whole PEM text, from BEGIN CERTIFICATE to END CERTIFICATE";
                    self.found("directory.certificate", "is not a certificate in PEM", remedy);
                }
                let certificate = certificate.clone();
                given.push(("certificate", DirectoryCredential::Pem { certificate }));
            }
            (Some(_), None) => {
                let remedy = "add private_key = \"…\" beside certificate";
                self.found("directory.private_key", "is missing", remedy);
                return None;
            }
            (None, Some(_)) => {
                let remedy = "add certificate = \"…\" beside private_key";
                self.found("directory.certificate", "is missing", remedy);
                return None;
            }
            (None, None) => {}
        }
        if let Some(path) = file(&d.federated_token_file) {
            given.push(("federated_token_file", DirectoryCredential::Federated(path)));
        }
        if d.managed_identity {
            given.push(("managed_identity", DirectoryCredential::ManagedIdentity));
        }
        let kinds = "client_secret, certificate_file with private_key_file, certificate with private_key, \
                     federated_token_file, or managed_identity = true";
        let only = match given.len() {
            0 => {
                self.found(
                    "directory.client_secret",
                    "is missing, and no other credential is given",
                    format!("add one of {kinds}"),
                );
                return None;
            }
            1 => given.remove(0).1,
            _ => {
                let key = format!("directory.{}", given[1].0);
                self.found(&key, format!("is given beside {}", given[0].0), "keep one credential");
                return None;
            }
        };
        if d.client_id.is_none() && !matches!(only, DirectoryCredential::ManagedIdentity) {
            self.found("directory.client_id", "is missing", "add client_id = … below [directory]");
        }
        Some(only)
    }
}
