//! The keys that seal fields at rest, in a file of lines `id base64`, newest first.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lingqian_io::keys::KeyFault;
use zeroize::Zeroizing;

/// Bytes in a key.
pub(crate) const KEY_BYTES: usize = 32;

pub(crate) type Key = Zeroizing<[u8; KEY_BYTES]>;

/// Keys by id. The newest one seals; every one opens.
#[derive(Clone)]
pub struct Keyring {
    newest: String,
    keys: BTreeMap<String, Key>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("newest", &self.newest)
            .finish_non_exhaustive()
    }
}

fn broken(what: impl fmt::Display) -> KeyFault {
    KeyFault::Broken(format!("the keyring {what}"))
}

impl Keyring {
    /// A ring with one new key, made from the system's randomness.
    ///
    /// # Errors
    /// [`KeyFault::Broken`] when there is no randomness.
    pub fn generate() -> Result<Keyring, KeyFault> {
        let mut ring = Keyring {
            newest: String::new(),
            keys: BTreeMap::new(),
        };
        ring.rotate()?;
        Ok(ring)
    }

    /// Adds a new key that seals from now on. Save the ring before sealing with it.
    ///
    /// # Errors
    /// [`KeyFault::Broken`] when there is no randomness.
    pub fn rotate(&mut self) -> Result<(), KeyFault> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        aws_lc_rs::rand::fill(key.as_mut()).map_err(|_| broken("got no randomness"))?;
        self.newest = format!("k{}", self.keys.len() + 1);
        self.keys.insert(self.newest.clone(), key);
        Ok(())
    }

    /// Reads the ring of a file, or makes the file with a new ring.
    ///
    /// # Errors
    /// [`KeyFault::Broken`] when it can be neither read nor made.
    pub fn load_or_generate(path: &Path) -> Result<Keyring, KeyFault> {
        match fs::read_to_string(path) {
            Ok(text) => Keyring::parse(&Zeroizing::new(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Keyring::generate()?.write(path, false)?;
                // Somebody else may have been quicker; what is in the file counts.
                let text = fs::read_to_string(path).map_err(broken)?;
                Keyring::parse(&Zeroizing::new(text))
            }
            Err(error) => Err(broken(error)),
        }
    }

    fn parse(text: &str) -> Result<Keyring, KeyFault> {
        let mut keys = BTreeMap::new();
        let mut newest = None;
        for (index, line) in text.lines().enumerate() {
            let wrong = || broken(format!("has a line {} that is not `id base64`", index + 1));
            let (id, encoded) = line.split_once(' ').ok_or_else(wrong)?;
            let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| wrong())?);
            let key: [u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| wrong())?;
            keys.insert(id.to_owned(), Zeroizing::new(key));
            newest.get_or_insert_with(|| id.to_owned());
        }
        let newest = newest.ok_or_else(|| broken("is empty"))?;
        Ok(Keyring { newest, keys })
    }

    /// Writes the ring; only its owner may read the file, and it is whole or absent.
    ///
    /// # Errors
    /// [`KeyFault::Broken`] when it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), KeyFault> {
        self.write(path, true)
    }

    /// Puts the ring in the place of a file, or leaves a file that is there as it is.
    fn write(&self, path: &Path, replace: bool) -> Result<(), KeyFault> {
        let text = self.text();
        let mut name = [0; 8];
        aws_lc_rs::rand::fill(&mut name).map_err(|_| broken("got no randomness"))?;
        let part = path.with_extension(format!("part-{:016x}", u64::from_be_bytes(name)));
        let write = || -> std::io::Result<()> {
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&part)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            if replace {
                fs::rename(&part, path)?;
            } else {
                let linked = fs::hard_link(&part, path);
                fs::remove_file(&part)?;
                linked.or_else(|error| match error.kind() {
                    std::io::ErrorKind::AlreadyExists => Ok(()),
                    _ => Err(error),
                })?;
            }
            match path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
                Some(dir) => fs::File::open(dir)?.sync_all(),
                None => Ok(()),
            }
        };
        write().map_err(broken)
    }

    fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        let older = self.keys.iter().filter(|(id, _)| **id != self.newest);
        for (id, key) in self
            .keys
            .get_key_value(&self.newest)
            .into_iter()
            .chain(older)
        {
            text.push_str(id);
            text.push(' ');
            text.push_str(&STANDARD.encode(key.as_ref()));
            text.push('\n');
        }
        text
    }

    pub(crate) fn newest(&self) -> Option<(&str, &Key)> {
        self.keys
            .get(&self.newest)
            .map(|key| (self.newest.as_str(), key))
    }

    pub(crate) fn key(&self, id: &str) -> Option<&Key> {
        self.keys.get(id)
    }
}
