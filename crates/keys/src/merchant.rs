//! A merchant's key, wherever it is: in memory or in a token.

use lingqian_io::Signer;
use lingqian_io::keys::KeyFault;

use crate::SoftwareSigner;
use crate::token::Token;

/// An RSA key of a token under a certificate's serial number.
#[derive(Clone, Debug)]
pub struct TokenSigner {
    token: Token,
    label: String,
    serial: String,
}

impl TokenSigner {
    /// The key of a label. Whether it is there shows when it first signs.
    #[must_use]
    pub fn new(token: Token, label: &str, serial: &str) -> TokenSigner {
        TokenSigner {
            token,
            label: label.to_owned(),
            serial: serial.to_ascii_uppercase(),
        }
    }
}

impl Signer for TokenSigner {
    fn serial(&self) -> &str {
        &self.serial
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
        self.token.sign(&self.label, message).await
    }

    async fn decrypt(&self, sealed: &[u8]) -> Result<Vec<u8>, KeyFault> {
        self.token.decrypt(&self.label, sealed).await
    }
}

/// A merchant's key of either sort; a configuration chooses.
#[derive(Debug)]
pub enum MerchantKey {
    /// From a file, in memory.
    Software(SoftwareSigner),
    /// In a token.
    Token(TokenSigner),
}

impl Signer for MerchantKey {
    fn serial(&self) -> &str {
        match self {
            MerchantKey::Software(key) => key.serial(),
            MerchantKey::Token(key) => key.serial(),
        }
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
        match self {
            MerchantKey::Software(key) => key.sign(message).await,
            MerchantKey::Token(key) => key.sign(message).await,
        }
    }

    async fn decrypt(&self, sealed: &[u8]) -> Result<Vec<u8>, KeyFault> {
        match self {
            MerchantKey::Software(key) => key.decrypt(sealed).await,
            MerchantKey::Token(key) => key.decrypt(sealed).await,
        }
    }
}
