//! A token's key as others want to see it: a public key in PEM, and a certificate request.

use lingqian_io::keys::KeyFault;
use rcgen::{CertificateParams, DnType, PublicKeyData, SignatureAlgorithm, SigningKey};

use crate::der;
use crate::token::Token;

/// The public half of a key in PEM.
///
/// # Errors
/// When the token or the key is not there.
pub async fn public_key_pem(token: &Token, label: &str) -> Result<String, KeyFault> {
    let public = token.public_key(label).await?;
    Ok(pem::encode(&pem::Pem::new(
        "PUBLIC KEY",
        der::spki(&public),
    )))
}

/// Who a certificate is for, in the words of the merchant platform.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The merchant's number: the common name.
    pub mchid: String,
    /// The merchant's registered name, where it is wanted.
    pub organization: Option<String>,
}

/// What a request was built over, and later its signature.
struct Borrowed {
    public: Vec<u8>,
    token: Token,
    label: String,
    runtime: tokio::runtime::Handle,
}

impl PublicKeyData for Borrowed {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl SigningKey for Borrowed {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.runtime
            .block_on(self.token.sign(&self.label, message))
            .map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

/// A certificate request (PKCS#10 in PEM) that the token signed, for the merchant platform.
///
/// # Errors
/// When the token or the key is not there.
pub async fn certificate_request(
    token: &Token,
    label: &str,
    subject: Subject,
) -> Result<String, KeyFault> {
    let broken = |words: &str| KeyFault::Broken(format!("the certificate request {words}"));
    let key = Borrowed {
        public: token.public_key(label).await?,
        token: token.clone(),
        label: label.to_owned(),
        runtime: tokio::runtime::Handle::current(),
    };
    let made = tokio::task::spawn_blocking(move || {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let name = &mut params.distinguished_name;
        name.push(DnType::CountryName, "CN");
        if let Some(organization) = subject.organization {
            name.push(DnType::OrganizationName, organization);
        }
        name.push(DnType::CommonName, subject.mchid);
        params.serialize_request(&key).and_then(|made| made.pem())
    });
    made.await
        .map_err(|_| broken("was not made"))?
        .map_err(|_| broken("was not signed by the token"))
}
