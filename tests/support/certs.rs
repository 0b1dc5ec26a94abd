//! Certificates and keys of the tests' own.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Certificates and keys in a folder of their own, that everybody may enter.
pub struct Files {
    pub folder: TempDir,
}

impl Files {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("pgpurpose-certs-").tempdir().unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), mode).unwrap();
        Self { folder }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.at(name), text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(self.at(name), mode).unwrap();
        self.at(name)
    }
}

/// An authority that signs certificates.
pub struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: rcgen::Issuer::new(params, key), pem }
    }

    /// Certificate and key as PEM, for this machine.
    pub fn sign(&self, common_name: &str) -> (String, String) {
        self.sign_for(common_name, &["localhost", "127.0.0.1"], 4096)
    }

    /// The same for other hosts, until the beginning of a year.
    pub fn sign_for(&self, common_name: &str, hosts: &[&str], until: i32) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}
