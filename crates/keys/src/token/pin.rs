//! Where a token's PIN comes from: a file or the environment, never a configuration.

use std::fmt;
use std::path::PathBuf;

use lingqian_io::keys::KeyFault;
use zeroize::Zeroizing;

/// A place to read a PIN from. It is read anew whenever somebody has to log in, so that a PIN that
/// was corrected is taken without a restart.
#[derive(Clone, PartialEq, Eq)]
pub enum PinSource {
    /// The first line of a file.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
}

impl fmt::Debug for PinSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

impl PinSource {
    /// Where it is, in words.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            PinSource::File(path) => format!("the file {}", path.display()),
            PinSource::Variable(name) => format!("the variable {name}"),
        }
    }

    pub(crate) fn read(&self) -> Result<Zeroizing<String>, KeyFault> {
        let text = match self {
            PinSource::File(path) => std::fs::read_to_string(path)
                .map_err(|error| format!("{} cannot be read: {}", self.place(), error.kind())),
            PinSource::Variable(name) => {
                std::env::var(name).map_err(|_| format!("{} is not set", self.place()))
            }
        };
        let text = Zeroizing::new(text.map_err(|words| {
            KeyFault::Broken(format!("there is no PIN for the token: {words}"))
        })?);
        let pin = text.lines().next().unwrap_or_default().trim();
        if pin.is_empty() {
            let place = self.place();
            return Err(KeyFault::Broken(format!(
                "there is no PIN for the token: {place} is empty"
            )));
        }
        Ok(Zeroizing::new(pin.to_owned()))
    }
}
