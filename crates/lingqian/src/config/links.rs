//! How links are kept: `[links]`, and what an app of `[[apps]]` is.

use lingqian_core::link::{LinkPolicy, SharedWallet};
use lingqian_core::time::DAY_MS;
use lingqian_io::rail::AppKind;
use serde::Deserialize;

/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// `[links]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Links {
    /// For so many hours nothing is sent to a wallet that took another one's place.
    pub(crate) relink_cooling_hours: i64,
    /// What to do with a wallet that another user has linked.
    pub(crate) shared_wallets: Shared,
    /// Whether a wallet is paid whose authorization ran out.
    pub(crate) pay_unauthorized: bool,
    /// How many days after one refresh of the tokens the next one is due.
    pub(crate) refresh_days: i64,
}

/// What to do with a wallet that another user has linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Shared {
    /// It is not linked again.
    Refuse,
    /// It is linked and flagged, and people look at its payouts.
    Review,
}

impl Default for Links {
    fn default() -> Self {
        let policy = LinkPolicy::default();
        Links {
            relink_cooling_hours: policy.relink_cooling_ms / HOUR_MS,
            shared_wallets: Shared::Refuse,
            pay_unauthorized: policy.pays_unauthorized,
            refresh_days: policy.refresh_every_ms / DAY_MS,
        }
    }
}

impl Links {
    /// The same in the words of the rules.
    pub(crate) fn policy(&self) -> LinkPolicy {
        LinkPolicy {
            relink_cooling_ms: self.relink_cooling_hours.saturating_mul(HOUR_MS),
            shared: match self.shared_wallets {
                Shared::Refuse => SharedWallet::Refuse,
                Shared::Review => SharedWallet::Review,
            },
            pays_unauthorized: self.pay_unauthorized,
            refresh_every_ms: self.refresh_days.saturating_mul(DAY_MS),
        }
    }

    /// Looks for what could never work.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            (0..=720).contains(&self.relink_cooling_hours),
            "links.relink_cooling_hours must be at least 0 and at most 720"
        );
        anyhow::ensure!(
            (1..=25).contains(&self.refresh_days),
            "links.refresh_days must be at least 1 and at most 25: WeChat's refresh tokens live \
             30 days"
        );
        Ok(())
    }
}

/// What an app is to WeChat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// An official account.
    #[default]
    OfficialAccount,
    /// A website of an open-platform account.
    Website,
    /// A mini program.
    MiniProgram,
}

impl From<Kind> for AppKind {
    fn from(kind: Kind) -> AppKind {
        match kind {
            Kind::OfficialAccount => AppKind::OfficialAccount,
            Kind::Website => AppKind::Website,
            Kind::MiniProgram => AppKind::MiniProgram,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_as_the_rules_have_it_and_nonsense_is_named() {
        let links = Links::default();
        assert_eq!(links.policy(), LinkPolicy::default());
        links.check().expect("it can work");
        for (text, word) in [
            ("relink_cooling_hours = -1", "relink_cooling_hours"),
            ("refresh_days = 0", "refresh_days"),
            ("refresh_days = 30", "refresh_days"),
        ] {
            let links: Links = toml::from_str(text).expect("it parses");
            let error = links.check().expect_err(text).to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
        let shared: Links = toml::from_str("shared_wallets = \"review\"").expect("it parses");
        assert_eq!(shared.policy().shared, SharedWallet::Review);
        assert!(toml::from_str::<Links>("shared_wallets = \"ask\"").is_err());
    }
}
