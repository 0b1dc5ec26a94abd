//! What a login is bound to over TLS, and what a certificate says of its holder.

use x509_certificate::{CapturedX509Certificate, SignatureAlgorithm};

/// `tls-server-end-point` of a server's certificate in DER (RFC 5929, section 4.1): its hash by the algorithm of its
/// signature, SHA-256 where that is weaker. `None` where the algorithm names no hash (Ed25519, RSA-PSS): then neither
/// PostgreSQL nor its clients bind to it either.
pub fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let parsed = CapturedX509Certificate::from_der(certificate).ok()?;
    let algorithm = match parsed.signature_algorithm()? {
        SignatureAlgorithm::RsaSha1 | SignatureAlgorithm::RsaSha256 | SignatureAlgorithm::EcdsaSha256 => {
            &ring::digest::SHA256
        }
        SignatureAlgorithm::RsaSha384 | SignatureAlgorithm::EcdsaSha384 => &ring::digest::SHA384,
        SignatureAlgorithm::RsaSha512 => &ring::digest::SHA512,
        SignatureAlgorithm::Ed25519 | SignatureAlgorithm::NoSignature(_) => return None,
    };
    Some(ring::digest::digest(algorithm, certificate).as_ref().to_vec())
}

/// The common name of a certificate in DER.
pub fn common_name(certificate: &[u8]) -> Option<String> {
    CapturedX509Certificate::from_der(certificate).ok()?.subject_common_name()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_certificate_is_bound_by_the_hash_of_its_signature() {
        let of = |algorithm| {
            let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.distinguished_name.push(rcgen::DnType::CommonName, "thandi");
            params.self_signed(&key).unwrap().der().to_vec()
        };
        let der = of(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(end_point(&der).unwrap(), ring::digest::digest(&ring::digest::SHA256, &der).as_ref());
        assert_eq!(end_point(&of(&rcgen::PKCS_ECDSA_P384_SHA384)).unwrap().len(), 48);
        assert_eq!(end_point(&of(&rcgen::PKCS_ED25519)), None);
        assert_eq!(end_point(b"no certificate"), None);
        assert_eq!(common_name(&der).as_deref(), Some("thandi"));
    }
}
