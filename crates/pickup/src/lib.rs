#![doc = include_str!("../README.md")]

pub mod access;
pub mod folder;
pub mod ftp;
pub mod place;
mod pour;
#[cfg(feature = "sftp")]
pub mod sftp;

use std::sync::Arc;

use lingqian_io::files::Shelf;

pub use access::Access;
pub use place::{Place, PlaceFault};

/// Opens a place. Nothing is connected yet.
///
/// # Errors
/// What could never work, or would not be safe.
pub fn open(place: Place, access: Access) -> Result<Arc<dyn Shelf>, PlaceFault> {
    Ok(match place {
        Place::Folder(dir) => Arc::new(folder::Folder::new(dir)),
        #[cfg(not(feature = "sftp"))]
        Place::Sftp(_) => return Err(PlaceFault::NotBuilt),
        #[cfg(feature = "sftp")]
        Place::Sftp(server) => Arc::new(sftp::Sftp::new(server, access)?),
        Place::Ftp(server) => Arc::new(ftp::Ftp::new(server, access, false)?),
        Place::Ftps(server) => Arc::new(ftp::Ftp::new(server, access, true)?),
    })
}
