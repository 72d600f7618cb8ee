//! Whose key signs and which key seals: files or a token, as the configuration says.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lingqian_core::time::Timestamp;
use lingqian_keys::{
    EnvelopeSealer, Keyring, MerchantKey, PinSource, SoftwareSigner, Token, TokenSettings,
    TokenSigner,
};
use serde::Deserialize;

use crate::config::{Config, KeyPlace};
use crate::home::Home;
use crate::wire::read;

/// Where the PIN is when no file is named.
const PIN_VARIABLE: &str = "LINGQIAN_TOKEN_PIN";

/// The merchant's next key, in `credentials.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Next {
    /// The serial number of its certificate.
    merchant_serial: String,
    /// When it takes over, as `2026-03-02T10:00:00+08:00`; without it, at once.
    from: Option<String>,
}

/// The keys of a data directory.
pub(crate) struct Vault<'a> {
    config: &'a Config,
    token: Option<Token>,
}

/// The token that the configuration names.
pub(crate) fn token(home: &Home, config: &Config) -> anyhow::Result<Token> {
    let place = &config.token;
    let pin = if place.pin_file.is_empty() {
        PinSource::Variable(PIN_VARIABLE.into())
    } else {
        PinSource::File(home.below(&place.pin_file))
    };
    let settings = TokenSettings {
        module: PathBuf::from(&place.module),
        label: place.label.clone(),
        pin,
        sessions: place.sessions,
    };
    Ok(Token::open(settings)?)
}

impl<'a> Vault<'a> {
    /// Opens what is needed; a token that is away is waited for later.
    pub(crate) fn open(home: &Home, config: &'a Config) -> anyhow::Result<Vault<'a>> {
        let wanted = [config.wechat.signer, config.wechat.sealer].contains(&KeyPlace::Pkcs11);
        let token = wanted.then(|| token(home, config)).transpose()?;
        Ok(Vault { config, token })
    }

    /// What seals fields at rest.
    pub(crate) fn sealer(&self, home: &Home) -> anyhow::Result<EnvelopeSealer> {
        let sealer = EnvelopeSealer::new(Keyring::load_or_generate(&home.keyring())?);
        Ok(match (self.config.wechat.sealer, &self.token) {
            (KeyPlace::Pkcs11, Some(token)) => {
                sealer.in_token(token.clone(), &self.config.token.sealing_key)
            }
            _ => sealer,
        })
    }

    /// The merchant's key.
    pub(crate) fn merchant(&self, dir: &Path, serial: &str) -> anyhow::Result<MerchantKey> {
        self.key((dir, "apiclient_key.pem"), &self.config.token.key, serial)
    }

    /// The key that follows it, and from when on.
    pub(crate) fn next(&self, dir: &Path, next: &Next) -> anyhow::Result<(MerchantKey, Timestamp)> {
        let from = match &next.from {
            Some(text) => {
                let moment: jiff::Timestamp = text.parse().context(
                    "next.from in credentials.json is not like 2026-03-02T10:00:00+08:00",
                )?;
                Timestamp(moment.as_millisecond())
            }
            None => Timestamp(0),
        };
        let place = (dir, "apiclient_key_next.pem");
        let label = &self.config.token.next_key;
        Ok((self.key(place, label, &next.merchant_serial)?, from))
    }

    fn key(
        &self,
        (dir, file): (&Path, &str),
        label: &str,
        serial: &str,
    ) -> anyhow::Result<MerchantKey> {
        Ok(match (self.config.wechat.signer, &self.token) {
            (KeyPlace::Pkcs11, Some(token)) => {
                MerchantKey::Token(TokenSigner::new(token.clone(), label, serial))
            }
            _ => MerchantKey::Software(SoftwareSigner::from_pem(&read(dir, file)?, serial)?),
        })
    }
}
