//! Private keys and sealed fields. Behind these ports a key may be a file or never leave an HSM.

use std::future::Future;

use lingqian_core::user::Sealed;

/// Why a key did not do its work. It never says what was to be signed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// The key is not here.
    #[error("no key named {0} is here")]
    Unknown(String),
    /// What was sealed was changed, or was sealed for another purpose.
    #[error("the sealed value was changed or is for another purpose")]
    Tampered,
    /// The key store is not there or does not answer; later it may be. Nothing was signed.
    #[error("the key store does not answer now: {0}")]
    Away(String),
    /// The key store failed, and will until a person looks.
    #[error("the key store failed: {0}")]
    Broken(String),
}

/// A merchant's private key.
pub trait Signer: Send + Sync + 'static {
    /// The serial number of the certificate that the other side knows the key by, in upper hex.
    fn serial(&self) -> &str;

    /// The RSA PKCS#1 v1.5 signature with SHA-256 of a message.
    ///
    /// # Errors
    /// [`KeyFault::Away`] when the key store does not answer now, [`KeyFault::Broken`] when it
    /// failed.
    fn sign(&self, message: &[u8]) -> impl Future<Output = Result<Vec<u8>, KeyFault>> + Send;

    /// Opens what the other side encrypted to this key with RSA-OAEP (SHA-1, MGF1-SHA-1).
    ///
    /// # Errors
    /// [`KeyFault::Tampered`] when it was not encrypted to this key.
    fn decrypt(&self, sealed: &[u8]) -> impl Future<Output = Result<Vec<u8>, KeyFault>> + Send;
}

/// Seals fields at rest. A sealed value names its key, so that keys can be changed one by one.
pub trait Sealer: Send + Sync + 'static {
    /// Seals a value for a purpose, such as `tokens` or `name`; it opens for no other purpose.
    ///
    /// # Errors
    /// [`KeyFault::Broken`] when the key store failed.
    fn seal(
        &self,
        purpose: &str,
        plain: &[u8],
    ) -> impl Future<Output = Result<Sealed, KeyFault>> + Send;

    /// Opens a value.
    ///
    /// # Errors
    /// [`KeyFault::Unknown`] when its key is not here, [`KeyFault::Tampered`] when it was changed.
    fn open(
        &self,
        purpose: &str,
        sealed: &Sealed,
    ) -> impl Future<Output = Result<Vec<u8>, KeyFault>> + Send;
}
