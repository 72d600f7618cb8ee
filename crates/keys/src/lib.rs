#![doc = include_str!("../README.md")]

mod keyring;
mod seal;
mod signer;

pub use keyring::Keyring;
pub use seal::EnvelopeSealer;
pub use signer::SoftwareSigner;
