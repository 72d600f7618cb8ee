//! `apiclient_cert.p12`, as the merchant platform hands it out: certificate and private key in one
//! file, sealed with a password, which is the merchant's number unless somebody changed it. Old ones
//! are sealed with RC2 and 3DES; they open as well.

use p12_keystore::{KeyStore, KeyStoreEntry};
use pem::Pem;
use zeroize::Zeroizing;

/// The largest file that is looked at, in bytes.
pub const PACKAGE_MAX: usize = 1024 * 1024;

/// What a file holds. It never prints itself.
pub struct Package {
    /// The certificate, then those that vouch for it, in PEM.
    pub certificates: String,
    /// The private key of the first one, in PEM.
    pub key: Zeroizing<String>,
}

/// Why a file does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackageFault {
    /// More bytes than [`PACKAGE_MAX`].
    #[error("p12_too_large: the file is larger than a certificate's file is")]
    TooLarge,
    /// No PKCS#12, damaged, or sealed with another password: a wrong password looks like damage.
    #[error(
        "p12_does_not_open: it is no PKCS#12 file, or its password is another one; unless it was \
         changed, that is the merchant's number"
    )]
    DoesNotOpen,
    /// It opens, and holds no private key with its certificate.
    #[error("p12_without_key: it holds no private key together with its certificate")]
    WithoutKey,
    /// It holds several.
    #[error("p12_several_keys: it holds several private keys; one is wanted")]
    SeveralKeys,
}

/// Opens a file.
///
/// # Errors
/// See [`PackageFault`].
pub fn open(file: &[u8], password: &str) -> Result<Package, PackageFault> {
    if file.len() > PACKAGE_MAX {
        return Err(PackageFault::TooLarge);
    }
    let store = KeyStore::from_pkcs12(file, password).map_err(|_| PackageFault::DoesNotOpen)?;
    let mut chains = store.entries().filter_map(|(_, entry)| match entry {
        KeyStoreEntry::PrivateKeyChain(chain) if !chain.chain().is_empty() => Some(chain),
        _ => None,
    });
    let chain = chains.next().ok_or(PackageFault::WithoutKey)?;
    if chains.next().is_some() {
        return Err(PackageFault::SeveralKeys);
    }
    let certificate = |der: &[u8]| pem::encode(&Pem::new("CERTIFICATE", der));
    let certificates = chain.chain().iter();
    Ok(Package {
        certificates: certificates.map(|one| certificate(one.as_der())).collect(),
        key: pem::encode(&Pem::new("PRIVATE KEY", chain.key())).into(),
    })
}
