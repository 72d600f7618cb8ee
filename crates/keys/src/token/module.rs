//! The vendor's library: loaded and initialised once per process, whoever asks for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use lingqian_io::keys::KeyFault;

static LOADED: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());

/// The library at a path. A second initialisation of the same library is undefined for many of
/// them, so it stays loaded until the process ends.
pub(crate) fn load(path: &Path) -> Result<Pkcs11, KeyFault> {
    let broken =
        |words: String| KeyFault::Broken(format!("the PKCS#11 module {} {words}", path.display()));
    let real = path
        .canonicalize()
        .map_err(|error| broken(format!("cannot be read: {}", error.kind())))?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = loaded.get(&real) {
        return Ok(module.clone());
    }
    let module = Pkcs11::new(&real).map_err(|_| broken("is no such library".into()))?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => {
            return Err(broken(format!(
                "does not start: {}",
                super::fault::word(&error)
            )));
        }
    }
    loaded.insert(real, module.clone());
    Ok(module)
}
