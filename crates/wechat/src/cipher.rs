//! Sealed parts of messages: AES-256-GCM with the APIv3 key towards us, RSA-OAEP towards WeChat.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lingqian_io::Fault;
use lingqian_io::rail::Refusal;
use serde::Deserialize;

/// A sealed resource as it stands in a message.
#[derive(Clone, Debug, Deserialize)]
pub struct Resource {
    /// `AEAD_AES_256_GCM`.
    pub algorithm: String,
    /// Base64 of the sealed bytes and their 16-byte tag.
    pub ciphertext: String,
    /// Authenticated beside it; may be absent.
    #[serde(default)]
    pub associated_data: String,
    /// Twelve characters.
    pub nonce: String,
}

/// Opens a resource with the APIv3 key.
///
/// # Errors
/// [`Refusal::SealWrong`] when it was sealed with another key or changed.
pub fn open(key: &[u8], resource: &Resource) -> Result<Vec<u8>, Refusal> {
    if resource.algorithm != "AEAD_AES_256_GCM" {
        return Err(Refusal::Malformed("resource.algorithm"));
    }
    let wrong = |_| Refusal::SealWrong;
    let mut bytes = STANDARD
        .decode(&resource.ciphertext)
        .map_err(|_| Refusal::SealWrong)?;
    let nonce = Nonce::try_assume_unique_for_key(resource.nonce.as_bytes()).map_err(wrong)?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(wrong)?);
    let aad = Aad::from(resource.associated_data.as_bytes());
    let length = key
        .open_in_place(nonce, aad, &mut bytes)
        .map_err(wrong)?
        .len();
    bytes.truncate(length);
    Ok(bytes)
}

/// Seals a field for the holder of a public key; the same text never looks the same.
///
/// # Errors
/// [`Fault::Broken`] when the text is too long or the key is none.
pub fn seal_field(spki: &[u8], text: &[u8]) -> Result<String, Fault> {
    let broken = || Fault::Broken("a field could not be sealed for WeChat".into());
    let key = PublicEncryptingKey::from_der(spki).map_err(|_| broken())?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| broken())?;
    let mut sealed = vec![0; key.ciphertext_size()];
    let sealed = key
        .encrypt(&OAEP_SHA1_MGF1SHA1, text, &mut sealed, None)
        .map_err(|_| broken())?;
    Ok(STANDARD.encode(sealed))
}
