#![doc = include_str!("../README.md")]

mod der;
mod keyring;
mod merchant;
pub mod package;
mod request;
mod seal;
mod signer;
pub mod token;

pub use keyring::Keyring;
pub use merchant::{MerchantKey, TokenSigner};
pub use request::{Subject, certificate_request, public_key_pem};
pub use seal::EnvelopeSealer;
pub use signer::SoftwareSigner;
pub use token::{PinSource, Token, TokenSettings};
