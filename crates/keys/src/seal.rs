//! Envelope encryption: a data key for each value, wrapped by a key of the ring.
//!
//! The key of the ring may be one of a token: then the data key is wrapped inside the token, and
//! only its id stands here. What the ring's file sealed earlier still opens.
//!
//! `1 | length of id | id | nonce, wrapped data key, tag | nonce, value, tag`; both layers
//! authenticate the purpose.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use lingqian_io::keys::KeyFault;
use lingqian_io::{Sealed, Sealer};
use zeroize::Zeroizing;

use crate::keyring::{KEY_BYTES, Keyring};
use crate::token::Token;

const VERSION: u8 = 1;
/// What ids of keys in a token begin with.
const TOKEN: &str = "token:";
const TAG_BYTES: usize = 16;
const WRAPPED_BYTES: usize = NONCE_LEN + KEY_BYTES + TAG_BYTES;

/// Seals with the newest key of a ring and opens with any.
#[derive(Clone, Debug)]
pub struct EnvelopeSealer {
    ring: Keyring,
    vault: Option<Vault>,
}

/// A key of a token that wraps data keys.
#[derive(Clone, Debug)]
struct Vault {
    token: Token,
    label: String,
    id: String,
}

impl EnvelopeSealer {
    /// A sealer over a ring.
    #[must_use]
    pub fn new(ring: Keyring) -> EnvelopeSealer {
        EnvelopeSealer { ring, vault: None }
    }

    /// Seals with a key of a token from now on; the ring only opens what it sealed earlier.
    #[must_use]
    pub fn in_token(self, token: Token, label: &str) -> EnvelopeSealer {
        let vault = Vault {
            token,
            label: label.to_owned(),
            id: format!("{TOKEN}{label}"),
        };
        EnvelopeSealer {
            vault: Some(vault),
            ..self
        }
    }

    /// The id of the key that seals, and a data key that it wrapped.
    async fn wrapped(&self, purpose: &str, data_key: &[u8]) -> Result<(&str, Vec<u8>), KeyFault> {
        if let Some(vault) = &self.vault {
            let mut nonce = [0; NONCE_LEN];
            random(&mut nonce)?;
            let locked = vault.token.lock(&vault.label, (nonce, purpose), data_key);
            return Ok((&vault.id, [&nonce[..], &locked.await?].concat()));
        }
        let newest = self.ring.newest();
        let (id, key) = newest.ok_or_else(|| KeyFault::Unknown("newest".into()))?;
        Ok((id, lock(key.as_ref(), purpose, data_key)?))
    }

    async fn unwrapped(
        &self,
        id: &str,
        purpose: &str,
        wrapped: &[u8],
    ) -> Result<Vec<u8>, KeyFault> {
        if id.starts_with(TOKEN) {
            let vault = self.vault.as_ref().filter(|vault| vault.id == id);
            let vault = vault.ok_or_else(|| KeyFault::Unknown(id.to_owned()))?;
            let (nonce, locked) = wrapped
                .split_first_chunk::<NONCE_LEN>()
                .ok_or(KeyFault::Tampered)?;
            return vault
                .token
                .unlock(&vault.label, (*nonce, purpose), locked)
                .await;
        }
        let key = self.ring.key(id);
        let key = key.ok_or_else(|| KeyFault::Unknown(id.to_owned()))?;
        unlock(key.as_ref(), purpose, wrapped)
    }
}

impl Sealer for EnvelopeSealer {
    async fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Sealed, KeyFault> {
        let mut data_key = Zeroizing::new([0; KEY_BYTES]);
        random(data_key.as_mut())?;
        let (id, wrapped) = self.wrapped(purpose, data_key.as_ref()).await?;
        let length = u8::try_from(id.len()).map_err(|_| KeyFault::Unknown(id.to_owned()))?;
        let mut sealed = vec![VERSION, length];
        sealed.extend_from_slice(id.as_bytes());
        sealed.extend(wrapped);
        sealed.extend(lock(data_key.as_ref(), purpose, plain)?);
        Ok(Sealed(sealed))
    }

    async fn open(&self, purpose: &str, sealed: &Sealed) -> Result<Vec<u8>, KeyFault> {
        let [VERSION, length, rest @ ..] = sealed.0.as_slice() else {
            return Err(KeyFault::Tampered);
        };
        let (id, rest) = rest
            .split_at_checked(usize::from(*length))
            .ok_or(KeyFault::Tampered)?;
        let id = std::str::from_utf8(id).map_err(|_| KeyFault::Tampered)?;
        let (wrapped, value) = rest
            .split_at_checked(WRAPPED_BYTES)
            .ok_or(KeyFault::Tampered)?;
        let data_key = Zeroizing::new(self.unwrapped(id, purpose, wrapped).await?);
        unlock(&data_key, purpose, value)
    }
}

fn random(bytes: &mut [u8]) -> Result<(), KeyFault> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| KeyFault::Broken("no randomness".into()))
}

fn aead(key: &[u8]) -> Result<LessSafeKey, KeyFault> {
    let key = UnboundKey::new(&AES_256_GCM, key);
    key.map(LessSafeKey::new)
        .map_err(|_| KeyFault::Broken("a key of the wrong length".into()))
}

fn lock(key: &[u8], purpose: &str, plain: &[u8]) -> Result<Vec<u8>, KeyFault> {
    let mut nonce = [0; NONCE_LEN];
    random(&mut nonce)?;
    let mut value = plain.to_vec();
    aead(key)?
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(purpose.as_bytes()),
            &mut value,
        )
        .map_err(|_| KeyFault::Broken("sealing failed".into()))?;
    let mut locked = nonce.to_vec();
    locked.append(&mut value);
    Ok(locked)
}

fn unlock(key: &[u8], purpose: &str, locked: &[u8]) -> Result<Vec<u8>, KeyFault> {
    let (nonce, value) = locked
        .split_at_checked(NONCE_LEN)
        .ok_or(KeyFault::Tampered)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| KeyFault::Tampered)?;
    let mut value = value.to_vec();
    let length = aead(key)?
        .open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut value)
        .map_err(|_| KeyFault::Tampered)?
        .len();
    value.truncate(length);
    Ok(value)
}
