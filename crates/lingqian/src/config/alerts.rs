//! `[alerts]`: when operators are told, and `[[alerts.targets]]`: where. What is secret is named by
//! where it is.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use lingqian_engine::alerts::{Kind, Rules};
use lingqian_hooks::{Mail, NetHerald, Reach, Way, sign};
use lingqian_io::alerts::Target;
use serde::Deserialize;

use crate::accounts;
use crate::config::Float;
use crate::config::merchants::Source;
use crate::home::Home;

/// When and how operators are told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Alerts {
    /// How often it is looked, in seconds; zero means never.
    pub(crate) every_seconds: u64,
    /// What lasts is told again after so many minutes.
    pub(crate) repeat_minutes: i64,
    /// What is over is told to be after so many seconds.
    pub(crate) settle_seconds: i64,
    /// A payout that was sent is stuck after so many minutes.
    pub(crate) stuck_minutes: i64,
    /// The page that messages lead to.
    pub(crate) runbook: String,
    /// Whether messages may go to machines of this network, and in clear text.
    pub(crate) allow_private: bool,
    /// How long an answer may take.
    pub(crate) timeout_seconds: u64,
    /// Who is told.
    pub(crate) targets: Vec<TargetEntry>,
}

impl Default for Alerts {
    fn default() -> Self {
        Alerts {
            every_seconds: 20,
            repeat_minutes: 240,
            settle_seconds: 120,
            stuck_minutes: 60,
            runbook: "docs/RUNBOOK.md".into(),
            allow_private: false,
            timeout_seconds: 10,
            targets: Vec::new(),
        }
    }
}

/// By which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Via {
    /// A signed webhook.
    Webhook,
    /// WeCom's robot of a group.
    Wecom,
    /// DingTalk's robot of a group.
    Dingtalk,
    /// Mail.
    Email,
}

/// One of `[[alerts.targets]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetEntry {
    /// Its name, by which it is remembered who was told.
    pub(crate) name: String,
    /// By which way.
    pub(crate) via: Via,
    /// Only these kinds; all of them where none is named.
    #[serde(default)]
    pub(crate) kinds: Vec<String>,
    /// Webhook and robots: the address, which is a secret.
    pub(crate) url: Option<Source>,
    /// Webhook: what signs (`whsec_…`); DingTalk: the secret of its signature (`SEC…`).
    pub(crate) secret: Option<Source>,
    /// Mail: `smtps://HOST:PORT`, or `smtp://HOST:PORT` with STARTTLS.
    #[serde(default)]
    pub(crate) server: String,
    /// Mail: who writes.
    #[serde(default)]
    pub(crate) from: String,
    /// Mail: who reads.
    #[serde(default)]
    pub(crate) to: Vec<String>,
    /// Mail: the user.
    pub(crate) user: Option<Source>,
    /// Mail: the password.
    pub(crate) password: Option<Source>,
    /// Mail: an authority in PEM that is believed besides those of the system.
    pub(crate) authority: Option<Source>,
}

impl TargetEntry {
    fn check(&self) -> anyhow::Result<()> {
        let name = self.name.as_str();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        anyhow::ensure!(
            (1..=32).contains(&name.len()) && name.bytes().all(fits),
            "the name of a target has 1 to 32 letters, digits, `-` and `_`: {name:?}"
        );
        for kind in &self.kinds {
            anyhow::ensure!(
                Kind::from_name(kind).is_some(),
                "alerts.targets {name:?}: kinds has {kind:?}, which is none of {}",
                Kind::ALL.map(Kind::name).join(", ")
            );
        }
        let is_mail = self.via == Via::Email;
        anyhow::ensure!(
            self.url.is_some() != is_mail,
            "alerts.targets {name:?} needs {}",
            if is_mail {
                "server, from and to, and no url"
            } else {
                "url, named by where it is: \"env:NAME\" or \"file:NAME\""
            }
        );
        anyhow::ensure!(
            self.secret.is_none() || matches!(self.via, Via::Webhook | Via::Dingtalk),
            "alerts.targets {name:?}: only webhooks and DingTalk have a secret"
        );
        if is_mail {
            self.mail().map(drop)?;
        }
        anyhow::ensure!(
            self.user.is_some() == self.password.is_some(),
            "alerts.targets {name:?}: user and password go together"
        );
        Ok(())
    }

    fn mail(&self) -> anyhow::Result<Mail> {
        let mail = Mail::new(&self.server, &self.from, &self.to);
        mail.map_err(|words| anyhow::anyhow!("alerts.targets {:?}: {words}", self.name))
    }

    fn way(&self, home: &Home) -> anyhow::Result<Way> {
        let read = |source: &Source| accounts::text(home, source);
        let url = || {
            let source = self.url.as_ref().context("url is missing")?;
            let url = read(source)?;
            let fits = lingqian_core::endpoint::check_url(&url);
            fits.with_context(|| format!("what {source} holds"))?;
            Ok::<String, anyhow::Error>(url)
        };
        let secret = self.secret.as_ref().map(read).transpose()?;
        Ok(match self.via {
            Via::Wecom => Way::Wecom { url: url()? },
            Via::Dingtalk => Way::Dingtalk {
                url: url()?,
                secret,
            },
            Via::Webhook => {
                let key = secret.map(|text| {
                    let key = sign::read(&text);
                    key.context("secret is not of the form whsec_…")
                });
                Way::Webhook {
                    url: url()?,
                    key: key.transpose()?,
                }
            }
            Via::Email => {
                let mut mail = self.mail()?;
                if let (Some(user), Some(password)) = (&self.user, &self.password) {
                    mail = mail.with_login(read(user)?, read(password)?);
                }
                if let Some(authority) = &self.authority {
                    let pem = read(authority)?;
                    let with = mail.with_authority(pem.as_bytes());
                    mail = with.map_err(anyhow::Error::msg)?;
                }
                Way::Email(Box::new(mail))
            }
        })
    }
}

impl Alerts {
    /// Looks for what could never work, and names it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.repeat_minutes >= 1,
            "alerts.repeat_minutes must be at least 1"
        );
        anyhow::ensure!(
            self.settle_seconds >= 0,
            "alerts.settle_seconds must not be negative"
        );
        anyhow::ensure!(
            self.stuck_minutes >= 1,
            "alerts.stuck_minutes must be at least 1"
        );
        let mut names = BTreeSet::new();
        for target in &self.targets {
            anyhow::ensure!(
                names.insert(&target.name),
                "alerts.targets has {:?} twice",
                target.name
            );
            target.check()?;
        }
        Ok(())
    }

    /// When operators are told, in the words of the pass.
    pub(crate) fn rules(&self, float: Float) -> Rules {
        Rules {
            repeat_ms: self.repeat_minutes.saturating_mul(60_000),
            settle_ms: self.settle_seconds.saturating_mul(1_000),
            stuck_ms: self.stuck_minutes.saturating_mul(60_000),
            float_ms: float.alert_hours.saturating_mul(3_600_000),
        }
    }

    /// Who tells them.
    ///
    /// # Errors
    /// When a secret cannot be read, or is none.
    pub(crate) fn herald(&self, home: &Home) -> anyhow::Result<NetHerald> {
        let way = |entry: &TargetEntry| {
            let way = entry.way(home);
            let way = way.with_context(|| format!("alerts.targets {:?}", entry.name))?;
            let target = Target {
                name: entry.name.clone(),
                kinds: entry.kinds.clone(),
            };
            Ok((target, way))
        };
        let ways: anyhow::Result<Vec<(Target, Way)>> = self.targets.iter().map(way).collect();
        let reach = if self.allow_private {
            Reach::Anywhere
        } else {
            Reach::Public
        };
        // Shorter than the lease, so that nobody else tells the same meanwhile.
        let timeout = Duration::from_secs(self.timeout_seconds.clamp(1, 20));
        Ok(NetHerald::new(ways?, &self.runbook, (reach, timeout)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(target: &str) -> String {
        let text = format!("[[targets]]\nname = \"ops\"\n{target}");
        let read: Result<Alerts, _> = toml::from_str(&text);
        let checked = match read {
            Ok(alerts) => alerts.check(),
            Err(error) => Err(anyhow::anyhow!("{}", error.message())),
        };
        checked.map_or_else(|error| format!("{error:#}"), |()| "fits".to_owned())
    }

    #[test]
    fn a_target_that_could_never_work_is_named_and_no_secret_is_printed() {
        for fits in [
            "via = \"wecom\"\nurl = \"env:ROBOT\"",
            "via = \"dingtalk\"\nurl = \"file:robot\"\nsecret = \"env:SEC\"",
            "via = \"webhook\"\nurl = \"env:U\"\nkinds = [\"float_empty\"]",
            "via = \"email\"\nserver = \"smtps://h\"\nfrom = \"a@b.cn\"\nto = [\"c@d.cn\"]",
        ] {
            assert_eq!(checked(fits), "fits", "{fits}");
        }
        for (wrong, words) in [
            ("via = \"sms\"", "unknown variant"),
            ("via = \"wecom\"", "needs url"),
            (
                "via = \"wecom\"\nurl = \"https://x/?key=geheim\"",
                "named by where it is",
            ),
            (
                "via = \"wecom\"\nurl = \"env:U\"\nsecret = \"env:S\"",
                "have a secret",
            ),
            (
                "via = \"wecom\"\nurl = \"env:U\"\nkinds = [\"float\"]",
                "none of contradiction",
            ),
            (
                "via = \"email\"\nserver = \"h\"\nfrom = \"a@b.cn\"\nto = [\"c@d.cn\"]",
                "URL",
            ),
            (
                "via = \"email\"\nserver = \"smtp://h\"\nfrom = \"a\"\nto = [\"c@d.cn\"]",
                "from",
            ),
            (
                "via = \"email\"\nserver = \"smtp://h\"\nfrom = \"a@b.cn\"",
                "to names nobody",
            ),
            (
                "via = \"email\"\nserver = \"smtp://h\"\nfrom = \"a@b.cn\"\nto = [\"c@d.cn\"]\nuser = \"env:U\"",
                "go together",
            ),
        ] {
            let said = checked(wrong);
            assert!(said.contains(words), "{wrong}: {said}");
            assert!(!said.contains("geheim"), "{said}");
        }
    }
}
