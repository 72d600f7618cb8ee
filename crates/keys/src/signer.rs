//! A merchant's RSA key in memory.

use std::fmt;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use lingqian_io::Signer;
use lingqian_io::keys::KeyFault;
use zeroize::Zeroizing;

/// An RSA key that was read from a file.
pub struct SoftwareSigner {
    serial: String,
    pair: RsaKeyPair,
    decrypting: OaepPrivateDecryptingKey,
    random: SystemRandom,
}

impl fmt::Debug for SoftwareSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareSigner")
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}

impl SoftwareSigner {
    /// Reads a key in PEM (PKCS#8 or PKCS#1). `serial` is that of its certificate, in hex.
    ///
    /// # Errors
    /// [`KeyFault::Broken`] when it is not an RSA key in PEM.
    pub fn from_pem(text: &str, serial: &str) -> Result<SoftwareSigner, KeyFault> {
        let broken = |what: &str| KeyFault::Broken(format!("the private key {what}"));
        let block = pem::parse(text).map_err(|_| broken("is not in PEM"))?;
        let tag = block.tag().to_owned();
        let der = Zeroizing::new(block.into_contents());
        let pair = match tag.as_str() {
            "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&der),
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der),
            _ => return Err(broken("is in a PEM block of another kind")),
        };
        let pair = pair.map_err(|_| broken("is not an RSA key"))?;
        let pkcs8 = pair.as_der().map_err(|_| broken("cannot be converted"))?;
        let decrypting = PrivateDecryptingKey::from_pkcs8(pkcs8.as_ref())
            .ok()
            .and_then(|key| OaepPrivateDecryptingKey::new(key).ok())
            .ok_or_else(|| broken("cannot decrypt"))?;
        let serial = serial.to_ascii_uppercase();
        Ok(SoftwareSigner {
            serial,
            pair,
            decrypting,
            random: SystemRandom::new(),
        })
    }
}

impl Signer for SoftwareSigner {
    fn serial(&self) -> &str {
        &self.serial
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature)
            .map_err(|_| KeyFault::Broken("signing failed".into()))?;
        Ok(signature)
    }

    async fn decrypt(&self, sealed: &[u8]) -> Result<Vec<u8>, KeyFault> {
        let mut plain = vec![0; self.decrypting.min_output_size()];
        let opened = self
            .decrypting
            .decrypt(&OAEP_SHA1_MGF1SHA1, sealed, &mut plain, None)
            .map_err(|_| KeyFault::Tampered)?;
        Ok(opened.to_vec())
    }
}
