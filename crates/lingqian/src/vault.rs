//! Whose key signs and which key seals: files or a token, as the configuration says.

use std::path::PathBuf;

use anyhow::Context as _;
use lingqian_core::time::Timestamp;
use lingqian_keys::{
    EnvelopeSealer, Keyring, MerchantKey, PinSource, SoftwareSigner, Token, TokenSettings,
    TokenSigner,
};

use crate::accounts::{Accounts, KeyAt, text};
use crate::config::merchants::Source;
use crate::config::{Config, KeyPlace};
use crate::home::Home;

/// Where the PIN is when no file is named.
const PIN_VARIABLE: &str = "LINGQIAN_TOKEN_PIN";

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
    pub(crate) fn open(
        home: &Home,
        config: &'a Config,
        accounts: &Accounts,
    ) -> anyhow::Result<Vault<'a>> {
        let in_token = |key: &KeyAt| matches!(key.source, Source::Token(_));
        let wanted = config.wechat.sealer == KeyPlace::Pkcs11
            || accounts.merchants.iter().any(|account| {
                let next = account.next.as_ref().map(|(key, _)| key);
                in_token(&account.key) || next.is_some_and(in_token)
            });
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

    /// A merchant's key.
    pub(crate) fn key(&self, home: &Home, key: &KeyAt) -> anyhow::Result<MerchantKey> {
        let KeyAt { source, serial } = key;
        Ok(match (source, &self.token) {
            (Source::Token(label), Some(token)) => {
                MerchantKey::Token(TokenSigner::new(token.clone(), label, serial))
            }
            (source, _) => {
                let pem = text(home, source)?;
                let signer = SoftwareSigner::from_pem(&pem, serial);
                MerchantKey::Software(signer.with_context(|| format!("the key {source}"))?)
            }
        })
    }
}

/// When the key that follows takes over.
pub(crate) fn takes_over(from: Option<&str>) -> anyhow::Result<Timestamp> {
    let Some(from) = from else {
        return Ok(Timestamp(0));
    };
    let moment: jiff::Timestamp = from
        .parse()
        .context("next.from is not like 2026-03-02T10:00:00+08:00")?;
    Ok(Timestamp(moment.as_millisecond()))
}
