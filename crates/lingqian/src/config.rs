//! `lingqian.toml`: read once at the start, one struct per concern, every field with a default
//! that is safe.

pub(crate) mod alerts;
pub(crate) mod bills;
pub(crate) mod brokers;
pub(crate) mod links;
pub(crate) mod merchants;
pub(crate) mod messages;
mod rules;
mod scenes;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use lingqian_core::risk::Policy;
use lingqian_wechat::batch::ITEMS_MAX;
use lingqian_wechat::settings::RailList;
use serde::Deserialize;

use crate::config::bills::{Bills, KeptFiles};
use crate::config::brokers::{SinkEntry, SourceEntry};
use crate::config::merchants::{AppEntry, MerchantEntry};
pub(crate) use crate::config::rules::{Kind, Limits, Sweep, some_fen};
use crate::store::StoreUrl;

/// What a new `lingqian.toml` says.
pub(crate) const TEMPLATE: &str = include_str!("lingqian.toml");

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The HTTP doors.
    pub(crate) server: Server,
    /// Where the books are.
    pub(crate) store: Store,
    /// Which WeChat.
    pub(crate) wechat: Wechat,
    /// The PKCS#11 token, where one is used.
    pub(crate) token: TokenPlace,
    /// What transfers say.
    pub(crate) merchant: Merchant,
    /// The merchants, where there are several.
    pub(crate) merchants: Vec<MerchantEntry>,
    /// Apps whose secrets are not in a merchant's directory.
    pub(crate) apps: Vec<AppEntry>,
    /// The limits.
    pub(crate) policy: Limits,
    /// How links are kept.
    pub(crate) links: links::Links,
    /// The sweep that runs by itself.
    pub(crate) sweep: Sweep,
    /// The auditor that runs beside the passes.
    pub(crate) audit: Audit,
    /// The money at WeChat.
    pub(crate) float: Float,
    /// Where bills come from.
    pub(crate) bills: Bills,
    /// Where raw files are kept.
    pub(crate) kept: KeptFiles,
    /// Messages to endpoints.
    pub(crate) webhooks: Webhooks,
    /// What users are told by messages of WeChat's.
    pub(crate) messages: Vec<messages::MessageEntry>,
    /// What operators are told.
    pub(crate) alerts: alerts::Alerts,
    /// Brokers that events come from.
    pub(crate) sources: Vec<SourceEntry>,
    /// Brokers that the feed goes to.
    pub(crate) sinks: Vec<SinkEntry>,
    /// The catalogue of earnings.
    pub(crate) kinds: Vec<Kind>,
}

impl Default for Config {
    fn default() -> Self {
        let kind = |no, code: &str, price_micros, tax_class: &str| Kind {
            no,
            code: code.into(),
            price_micros,
            amount_max_micros: 100_000_000,
            tax_class: tax_class.into(),
            user_day_max_micros: None,
            user_day_count_max: None,
            cooling_days: 0,
            between_users: false,
        };
        Config {
            server: Server::default(),
            store: Store::default(),
            wechat: Wechat::default(),
            token: TokenPlace::default(),
            merchant: Merchant::default(),
            merchants: Vec::new(),
            apps: Vec::new(),
            policy: Limits::default(),
            links: links::Links::default(),
            sweep: Sweep::default(),
            audit: Audit::default(),
            float: Float::default(),
            bills: Bills::default(),
            kept: KeptFiles::default(),
            webhooks: Webhooks::default(),
            messages: Vec::new(),
            alerts: alerts::Alerts::default(),
            sources: Vec::new(),
            sinks: Vec::new(),
            kinds: vec![
                kind(1, "ad_view", None, "incidental"),
                kind(2, "sign_in", Some(2_500), "incidental"),
                kind(3, "task_done", None, "labour"),
                kind(4, "commission", None, "labour"),
                Kind {
                    user_day_max_micros: Some(200_000_000),
                    user_day_count_max: Some(100),
                    between_users: true,
                    ..kind(5, "gift", None, "incidental")
                },
            ],
        }
    }
}

/// The HTTP doors.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Server {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// How browsers and WeChat reach it from outside; empty means `http://` and the address.
    pub(crate) public_url: String,
}

impl Default for Server {
    fn default() -> Self {
        Server {
            listen: SocketAddr::from(([127, 0, 0, 1], 7070)),
            public_url: String::new(),
        }
    }
}

/// Where the books are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Store {
    /// The address of a PostgreSQL database; empty means a file in the data directory.
    pub(crate) url: StoreUrl,
}

/// Which WeChat.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wechat {
    /// `sandbox` or `live`.
    pub(crate) mode: Mode,
    /// The directory with `credentials.json` and the keys, below the data directory.
    pub(crate) credentials: String,
    /// Where the merchant's key is.
    pub(crate) signer: KeyPlace,
    /// Where the key is that seals fields at rest.
    pub(crate) sealer: KeyPlace,
    /// WeChat Pay, when live.
    pub(crate) pay_url: String,
    /// The same by another way, asked when the network fails; empty: none.
    pub(crate) pay_backup_url: String,
    /// The authorization page, when live.
    pub(crate) page_url: String,
    /// The API for openids, when live.
    pub(crate) api_url: String,
}

impl Default for Wechat {
    fn default() -> Self {
        Wechat {
            mode: Mode::Sandbox,
            credentials: "wechat".into(),
            signer: KeyPlace::Software,
            sealer: KeyPlace::Software,
            pay_url: "https://api.mch.weixin.qq.com".into(),
            pay_backup_url: "https://api2.mch.weixin.qq.com".into(),
            page_url: "https://open.weixin.qq.com".into(),
            api_url: "https://api.weixin.qq.com".into(),
        }
    }
}

/// Which WeChat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// The sandbox in the data directory; its address is in `sandbox/address`.
    Sandbox,
    /// The real one. Money moves.
    Live,
}

/// Where a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyPlace {
    /// In a file, and in memory.
    Software,
    /// In the token.
    Pkcs11,
}

/// A PKCS#11 token. Its PIN is never here.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TokenPlace {
    /// The vendor's library.
    pub(crate) module: String,
    /// The token's label.
    pub(crate) label: String,
    /// The label of the merchant's key.
    pub(crate) key: String,
    /// The label of the key that follows it, named in `credentials.json` under `next`.
    pub(crate) next_key: String,
    /// The label of the sealing key.
    pub(crate) sealing_key: String,
    /// The file with the PIN; empty: the variable `LINGQIAN_TOKEN_PIN`.
    pub(crate) pin_file: String,
    /// Threads with a session each.
    pub(crate) sessions: usize,
}

impl Default for TokenPlace {
    fn default() -> Self {
        TokenPlace {
            module: "/usr/lib/softhsm/libsofthsm2.so".into(),
            label: "lingqian".into(),
            key: "merchant".into(),
            next_key: "merchant-next".into(),
            sealing_key: "sealing".into(),
            pin_file: String::new(),
            sessions: 4,
        }
    }
}

/// What every transfer says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Merchant {
    /// The rail of new payouts, or a list that begins with it and goes on with earlier ones.
    pub(crate) rail: RailList,
    /// How many payouts go out in one batch at most, where the rail is `batch`; 1: each alone.
    pub(crate) batch_max: u16,
    /// The scene that WeChat granted.
    pub(crate) scene: String,
    /// What the scene obliges to report: pairs of type and content.
    pub(crate) scene_report: Vec<(String, String)>,
    /// By which words of the scene the user is told what the money is; empty: the scene's own.
    pub(crate) user_recv_perception: String,
    /// The tax classes of income that the scene is for; empty: those that are known of it.
    pub(crate) tax_classes: Vec<String>,
    /// What the user reads beside the amount; at most 32 characters.
    pub(crate) remark: String,
    /// What the merchant may pay in one business day; zero means without a limit of ours.
    pub(crate) day_quota_fen: i64,
}

impl Default for Merchant {
    fn default() -> Self {
        Merchant {
            rail: RailList::default(),
            batch_max: ITEMS_MAX,
            scene: "1000".into(),
            scene_report: vec![
                ("活动名称".into(), "零钱任务".into()),
                ("奖励说明".into(), "完成任务的奖励".into()),
            ],
            user_recv_perception: String::new(),
            tax_classes: Vec::new(),
            remark: "零钱提现".into(),
            day_quota_fen: 0,
        }
    }
}

/// The auditor that runs beside the passes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Audit {
    /// How often it looks, in seconds; zero means never.
    pub(crate) every_seconds: u64,
}

impl Default for Audit {
    fn default() -> Self {
        Audit { every_seconds: 10 }
    }
}

/// The money at WeChat.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Float {
    /// It is said in the log when it lasts for less than so many hours.
    pub(crate) alert_hours: i64,
}

impl Default for Float {
    fn default() -> Self {
        Float { alert_hours: 12 }
    }
}

/// Messages to endpoints of webhooks.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Webhooks {
    /// Whether messages may go to machines of this network, and in clear text.
    pub(crate) allow_private: bool,
    /// How long an answer may take.
    pub(crate) timeout_seconds: u64,
}

impl Default for Webhooks {
    fn default() -> Self {
        Webhooks {
            allow_private: false,
            timeout_seconds: 15,
        }
    }
}

impl Webhooks {
    /// Shorter than a lease, so that nobody else sends the same meanwhile.
    pub(crate) fn timeout(self) -> Duration {
        Duration::from_secs(self.timeout_seconds.clamp(1, 60))
    }
}

impl Config {
    /// All limits in the words of the rules.
    pub(crate) fn all_policy(&self) -> Policy {
        Policy {
            links: self.links.policy(),
            ..self.policy.policy()
        }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read or says something that is not known, with the line.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Config> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let config = Config::parse(&text)
            .with_context(|| format!("{} is not a valid configuration", path.display()))?;
        config
            .check()
            .with_context(|| format!("{} cannot work", path.display()))?;
        Ok(config)
    }

    /// Reads the text. What is wrong is told with its line and without the line's words, which may
    /// be a secret in the wrong place.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Config> {
        toml::from_str(text).map_err(|error| {
            let begin = error.span().map_or(0, |span| span.start);
            let before = text.get(..begin).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            anyhow::anyhow!("line {line}: {}", error.message())
        })
    }

    fn check(&self) -> anyhow::Result<()> {
        self.bills.check()?;
        let policy = &self.policy;
        anyhow::ensure!(
            (1..=policy.payout_max_fen).contains(&policy.payout_min_fen),
            "policy.payout_min_fen must be at least 1 and at most policy.payout_max_fen"
        );
        anyhow::ensure!(
            policy.user_day_max_fen >= policy.payout_min_fen,
            "policy.user_day_max_fen must be at least policy.payout_min_fen"
        );
        self.check_merchants()?;
        self.check_classes()?;
        self.links.check()?;
        anyhow::ensure!(
            self.sweep.threshold_fen >= 0,
            "sweep.threshold_fen must not be negative; 0 turns the sweep off"
        );
        anyhow::ensure!(
            self.sweep.schedule.is_empty() || self.sweep.schedule().is_some(),
            "sweep.schedule {:?} is not of the form \"daily 10:00\", \"weekly 5 10:00\" or \
             \"monthly 1 10:00\"",
            self.sweep.schedule
        );
        self.alerts.check()?;
        let messages = &self.messages;
        messages.iter().try_for_each(|one| one.check())?;
        brokers::check(&self.sources, &self.sinks)?;
        self.kinds.iter().try_for_each(Kind::check)
    }
}

#[cfg(test)]
mod tests {
    use lingqian_core::earning::Terms;
    use lingqian_core::money::Micros;

    use super::*;

    #[test]
    fn the_template_says_what_the_defaults_are() {
        let template: Config = toml::from_str(TEMPLATE).expect("it parses");
        assert_eq!(format!("{template:?}"), format!("{:?}", Config::default()));
        template.check().expect("it can work");
    }

    #[test]
    fn a_misspelt_setting_is_an_error_that_names_it() {
        let error = Config::parse("[policy]\npayout_maximum_fen = 1\n").expect_err("unknown");
        let error = error.to_string();
        assert!(
            error.starts_with("line 2: ") && error.contains("payout_maximum_fen"),
            "{error}"
        );
    }

    #[test]
    fn a_kind_that_cannot_work_is_an_error_that_names_setting_and_kind() {
        let cases = [
            ("amount_max_micros = 0", "amount_max_micros"),
            ("price_micros = 6", "price_micros"),
            ("price_micros = 0", "price_micros"),
            (
                "price_micros = 3\nuser_day_max_micros = 2",
                "user_day_max_micros",
            ),
            ("user_day_max_micros = 0", "user_day_max_micros"),
            ("user_day_count_max = 0", "user_day_count_max"),
            ("cooling_days = 367", "cooling_days"),
        ];
        for (setting, named) in cases {
            let max = if named == "amount_max_micros" {
                ""
            } else {
                "amount_max_micros = 5\n"
            };
            let text = format!(
                "[[kinds]]\nno = 1\ncode = \"ad\"\ntax_class = \"labour\"\n{max}{setting}\n"
            );
            let config: Config = toml::from_str(&text).expect(&text);
            let error = config.check().expect_err(setting).to_string();
            let words = format!("kinds.{named} of the kind \"ad\" must be");
            assert!(error.starts_with(&words), "{setting}: {error}");
        }
    }

    #[test]
    fn terms_of_a_kind_become_the_rules() {
        let text = "[[kinds]]\nno = 9\ncode = \"task\"\ntax_class = \"labour\"\n\
                    amount_max_micros = 50\nuser_day_max_micros = 70\nuser_day_count_max = 2\n\
                    cooling_days = 7\nbetween_users = true\n";
        let config: Config = toml::from_str(text).expect("it parses");
        config.check().expect("it can work");
        let terms = config.kinds[0].defined().expect("a kind").terms;
        let expected = Terms {
            user_day_amount_max: Some(Micros(70)),
            user_day_count_max: Some(2),
            cooling_days: 7,
            between_users: true,
        };
        assert_eq!(terms, expected);
    }
}
