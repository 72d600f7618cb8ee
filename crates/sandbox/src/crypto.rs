//! RSA, AES-GCM and hashes as WeChat uses them.

use std::fmt;

use anyhow::{Context as _, anyhow};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of base64 with padding.
pub(crate) fn unbase64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

/// SHA-1 in hex, for bills.
pub(crate) fn sha1_hex(bytes: &[u8]) -> String {
    hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref())
}

/// So many random letters and digits.
pub(crate) fn random_text(length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut bytes = vec![0; length];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect()
}

/// A private key that signs and decrypts.
pub(crate) struct PrivateKey {
    pair: RsaKeyPair,
    decrypting: OaepPrivateDecryptingKey,
    random: SystemRandom,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

impl PrivateKey {
    /// Reads PKCS#8 in PEM.
    pub(crate) fn from_pem(text: &str) -> anyhow::Result<PrivateKey> {
        let block = pem::parse(text).context("a private key in PEM")?;
        let bad = |_| anyhow!("a private key that is none");
        let pair = RsaKeyPair::from_pkcs8(block.contents()).map_err(bad)?;
        let key = PrivateDecryptingKey::from_pkcs8(block.contents()).map_err(bad)?;
        let decrypting = OaepPrivateDecryptingKey::new(key).map_err(|_| anyhow!("a bad key"))?;
        Ok(PrivateKey {
            pair,
            decrypting,
            random: SystemRandom::new(),
        })
    }

    /// The signature in base64.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature)
            .expect("a checked key signs");
        base64(&signature)
    }

    /// Opens a field that was sealed to this key.
    pub(crate) fn decrypt(&self, field: &str) -> Option<String> {
        let sealed = unbase64(field)?;
        let mut plain = vec![0; self.decrypting.min_output_size()];
        let opened = self
            .decrypting
            .decrypt(&OAEP_SHA1_MGF1SHA1, &sealed, &mut plain, None)
            .ok()?;
        String::from_utf8(opened.to_vec()).ok()
    }
}

/// Whether a signature in base64 is that of the holder of a public key.
pub(crate) fn verify(spki: &[u8], message: &[u8], signature: &str) -> bool {
    let Some(signature) = unbase64(signature) else {
        return false;
    };
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki);
    key.verify(message, &signature).is_ok()
}

/// Seals a field for the holder of a public key; nothing where it is too long.
pub(crate) fn seal_to(spki: &[u8], text: &str) -> Option<String> {
    let key = PublicEncryptingKey::from_der(spki).ok()?;
    let key = OaepPublicEncryptingKey::new(key).ok()?;
    let mut sealed = vec![0; key.ciphertext_size()];
    let sealed = key.encrypt(&OAEP_SHA1_MGF1SHA1, text.as_bytes(), &mut sealed, None);
    Some(base64(sealed.ok()?))
}

/// A sealed resource: nonce of twelve letters, and base64 of the sealed bytes with their tag.
pub(crate) fn seal(key: &str, associated: &str, plain: &[u8]) -> (String, String) {
    let nonce = random_text(12);
    let key = UnboundKey::new(&AES_256_GCM, key.as_bytes()).expect("the key has 32 bytes");
    let mut bytes = plain.to_vec();
    LessSafeKey::new(key)
        .seal_in_place_append_tag(
            Nonce::try_assume_unique_for_key(nonce.as_bytes()).expect("twelve bytes"),
            Aad::from(associated.as_bytes()),
            &mut bytes,
        )
        .expect("small messages are sealed");
    (nonce, base64(&bytes))
}
