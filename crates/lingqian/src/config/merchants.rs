//! `[[merchants]]` and `[[apps]]`: who pays, with whose keys, and under which apps.
//!
//! Nothing secret is in the file: each secret is named by where it is. An installation with one
//! merchant needs neither; it has `[merchant]` and the directory `wechat.credentials`.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::Context as _;
use lingqian_core::id::{AppId, MchId};
use lingqian_wechat::batch::ITEMS_MAX;
use lingqian_wechat::settings::RailList;
use serde::Deserialize;

use crate::config::links::Kind;
use crate::config::{Config, Merchant};

/// The longest remark, in characters.
const REMARK_MAX: usize = 32;

/// Where a key or a secret is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Source {
    /// `file:NAME`, below the data directory unless it is named whole.
    File(String),
    /// `env:NAME`: a variable of the environment.
    Env(String),
    /// `token:LABEL`: a key of the token in `[token]`.
    Token(String),
}

impl TryFrom<String> for Source {
    type Error = String;

    fn try_from(text: String) -> Result<Source, String> {
        let named = text.split_once(':').filter(|(_, name)| !name.is_empty());
        match named {
            Some(("file", name)) => Ok(Source::File(name.into())),
            Some(("env", name)) => Ok(Source::Env(name.into())),
            Some(("token", label)) => Ok(Source::Token(label.into())),
            // What stands here may be the secret itself.
            _ => Err(
                "a key or secret is named by where it is: \"file:NAME\", \"env:NAME\" or, for the \
                 merchant's own key, \"token:LABEL\""
                    .into(),
            ),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(name) => write!(f, "file:{name}"),
            Source::Env(name) => write!(f, "env:{name}"),
            Source::Token(label) => write!(f, "token:{label}"),
        }
    }
}

/// One of `[[merchants]]`. What is left out is taken from the directory `credentials`, and what a
/// transfer says from `[merchant]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MerchantEntry {
    /// The number of its accounts in the books. It never changes and is never used again.
    pub(crate) no: i64,
    /// A directory with `credentials.json` and the key files, below the data directory.
    pub(crate) credentials: Option<String>,
    /// WeChat's number for it.
    pub(crate) mchid: Option<String>,
    /// The apps that are bound to it at WeChat.
    pub(crate) apps: Option<Vec<String>>,
    /// The serial number of its certificate.
    pub(crate) serial: Option<String>,
    /// Its private key.
    pub(crate) key: Option<Source>,
    /// The key that follows it.
    pub(crate) next: Option<NextEntry>,
    /// Its APIv3 key.
    pub(crate) apiv3_key: Option<Source>,
    /// The id of WeChat's public key for it, `PUB_KEY_ID_…`.
    pub(crate) public_key_id: Option<String>,
    /// WeChat's public key.
    pub(crate) public_key: Option<Source>,
    /// WeChat's certificates; those that are not here are fetched.
    pub(crate) certificates: Option<Vec<Source>>,
    /// The rail of its new payouts, or a list that goes on with earlier ones.
    pub(crate) rail: Option<RailList>,
    /// How many payouts go out in one batch at most, where the rail is `batch`.
    pub(crate) batch_max: Option<u16>,
    /// The key of the old API, where one of its rails needs it.
    pub(crate) v2_key: Option<Source>,
    /// What opens `apiclient_cert.p12`; left out: the merchant's number.
    pub(crate) p12_password: Option<Source>,
    /// The scene that its transfers name.
    pub(crate) scene: Option<String>,
    /// The scenes that WeChat granted it; left out: the one above.
    pub(crate) scenes: Option<Vec<String>>,
    /// What the scene obliges to report.
    pub(crate) scene_report: Option<Vec<(String, String)>>,
    /// By which words the user is told what the money is.
    pub(crate) user_recv_perception: Option<String>,
    /// The tax classes of income that its scene is for.
    pub(crate) tax_classes: Option<Vec<String>>,
    /// What the user reads beside the amount.
    pub(crate) remark: Option<String>,
    /// What it may pay in one business day; left out: no limit of ours.
    pub(crate) day_quota_fen: Option<i64>,
    /// Its share of the payouts of its apps; zero: it begins none.
    pub(crate) weight: Option<u32>,
}

/// The key that follows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NextEntry {
    /// The serial number of its certificate.
    pub(crate) serial: String,
    /// Where it is.
    pub(crate) key: Source,
    /// When it takes over, as `2026-03-02T10:00:00+08:00`; left out: at once.
    pub(crate) from: Option<String>,
}

/// One of `[[apps]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppEntry {
    /// Its id.
    pub(crate) appid: String,
    /// Its secret.
    pub(crate) secret: Source,
    /// What it is to WeChat.
    #[serde(default)]
    pub(crate) kind: Kind,
}

impl MerchantEntry {
    /// The one merchant of a configuration that lists none.
    pub(crate) fn single(credentials: &str) -> MerchantEntry {
        MerchantEntry {
            no: 1,
            credentials: Some(credentials.to_owned()),
            mchid: None,
            apps: None,
            serial: None,
            key: None,
            next: None,
            apiv3_key: None,
            public_key_id: None,
            public_key: None,
            certificates: None,
            rail: None,
            batch_max: None,
            v2_key: None,
            p12_password: None,
            scene: None,
            scenes: None,
            scene_report: None,
            user_recv_perception: None,
            tax_classes: None,
            remark: None,
            day_quota_fen: None,
            weight: None,
        }
    }

    /// How errors call it.
    pub(crate) fn name(&self) -> String {
        match &self.mchid {
            Some(mchid) => format!("merchants: {mchid}"),
            None => format!("merchants: the one with no = {}", self.no),
        }
    }

    /// What it says about transfers, over what `[merchant]` says about all.
    pub(crate) fn texts(&self, common: &Merchant) -> Merchant {
        let common = common.clone();
        Merchant {
            rail: self.rail.clone().unwrap_or(common.rail),
            batch_max: self.batch_max.unwrap_or(common.batch_max),
            scene: self.scene.clone().unwrap_or(common.scene),
            scene_report: self.scene_report.clone().unwrap_or(common.scene_report),
            user_recv_perception: self
                .user_recv_perception
                .clone()
                .unwrap_or(common.user_recv_perception),
            tax_classes: self.tax_classes.clone().unwrap_or(common.tax_classes),
            remark: self.remark.clone().unwrap_or(common.remark),
            day_quota_fen: self.day_quota_fen.unwrap_or(common.day_quota_fen),
        }
    }

    fn check(&self, common: &Merchant) -> anyhow::Result<()> {
        anyhow::ensure!(self.no >= 1, "no must be at least 1");
        if let Some(mchid) = &self.mchid {
            MchId::parse(mchid).context("mchid")?;
        }
        anyhow::ensure!(
            self.credentials.is_some() || self.mchid.is_some(),
            "name its mchid, or the directory with its credentials.json under credentials"
        );
        let apps = self.apps.as_deref();
        anyhow::ensure!(
            apps.is_none_or(|apps| !apps.is_empty()),
            "apps must name at least one app; leave it out for that of its credentials.json"
        );
        unique(apps.unwrap_or_default(), "apps names")?;
        anyhow::ensure!(
            self.day_quota_fen.is_none_or(|quota| quota > 0),
            "day_quota_fen must be at least 1; leave it out for no limit, and say weight = 0 for a \
             merchant that begins nothing more"
        );
        let texts = self.texts(common);
        check_texts(&texts.remark, &texts.scene)?;
        check_batch(texts.batch_max)?;
        texts.check_scene()?;
        let granted = self.scenes.as_deref();
        anyhow::ensure!(
            granted.is_none_or(|scenes| scenes.contains(&texts.scene)),
            "its transfers would name scene {}, which is not among the scenes that WeChat granted \
             it: say scene = \"…\" with one of {:?}",
            texts.scene,
            granted.unwrap_or_default()
        );
        for (setting, source) in [
            ("apiv3_key", self.apiv3_key.as_ref()),
            ("public_key", self.public_key.as_ref()),
            ("v2_key", self.v2_key.as_ref()),
        ] {
            anyhow::ensure!(
                !matches!(source, Some(Source::Token(_))),
                "{setting} cannot be in a token; say file:NAME or env:NAME"
            );
        }
        anyhow::ensure!(
            self.public_key.is_none() || self.public_key_id.is_some(),
            "public_key needs public_key_id beside it"
        );
        Ok(())
    }
}

fn check_texts(remark: &str, scene: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        !remark.is_empty() && remark.chars().count() <= REMARK_MAX,
        "remark must have 1 to {REMARK_MAX} characters"
    );
    anyhow::ensure!(!scene.is_empty(), "scene must name a scene, such as 1000");
    Ok(())
}

fn check_batch(max: u16) -> anyhow::Result<()> {
    anyhow::ensure!(
        (1..=ITEMS_MAX).contains(&max),
        "batch_max must be from 1 (each payout alone) to {ITEMS_MAX}, which is the most that WeChat \
         takes in one batch"
    );
    Ok(())
}

fn unique(names: &[String], what: &str) -> anyhow::Result<()> {
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => anyhow::bail!("{what} {twice} twice"),
        None => Ok(()),
    }
}

impl Config {
    /// Looks for what could never work, without looking into a file.
    pub(super) fn check_merchants(&self) -> anyhow::Result<()> {
        check_texts(&self.merchant.remark, &self.merchant.scene).context("merchant")?;
        check_batch(self.merchant.batch_max).context("merchant")?;
        self.merchant.check_scene().context("merchant")?;
        anyhow::ensure!(
            self.merchant.day_quota_fen >= 0,
            "merchant.day_quota_fen must not be negative; 0 means without a limit of ours"
        );
        anyhow::ensure!(
            self.merchants.is_empty() || self.merchant.day_quota_fen == 0,
            "merchant.day_quota_fen is for an installation with one merchant; say day_quota_fen in \
             each of [[merchants]]"
        );
        for entry in &self.merchants {
            entry.check(&self.merchant).with_context(|| entry.name())?;
        }
        let numbers = self.merchants.iter().map(|entry| entry.no.to_string());
        unique(&numbers.collect::<Vec<_>>(), "merchants: two have the no,")?;
        let mchids = self
            .merchants
            .iter()
            .filter_map(|entry| entry.mchid.clone());
        unique(&mchids.collect::<Vec<_>>(), "merchants: the mchid")?;
        for app in &self.apps {
            let name = || format!("apps: {:?}", app.appid);
            AppId::parse(&app.appid).with_context(name)?;
            let in_token = matches!(app.secret, Source::Token(_));
            anyhow::ensure!(!in_token, "{}: its secret cannot be in a token", name());
        }
        let apps = self.apps.iter().map(|app| app.appid.clone());
        unique(&apps.collect::<Vec<_>>(), "apps: the appid")
    }

    /// The merchants that the file lists, or the one that it describes without a list.
    pub(crate) fn listed_merchants(&self) -> Vec<MerchantEntry> {
        if self.merchants.is_empty() {
            vec![MerchantEntry::single(&self.wechat.credentials)]
        } else {
            self.merchants.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "[[merchants]]\nno = 1\nmchid = \"1900000001\"\n\
                       [[merchants]]\nno = 2\nmchid = \"1900000002\"\n";

    /// How errors about the second one begin.
    const OWN: &str = "merchants: 1900000002: ";

    /// What is wrong, how its error begins, and what it says.
    const CASES: &[(&str, &str, &str)] = &[
        ("day_quota_fen = 0", OWN, "day_quota_fen must be at least 1"),
        (
            "day_quota_fen = -5",
            OWN,
            "day_quota_fen must be at least 1",
        ),
        ("apps = []", OWN, "apps must name at least one app"),
        ("apps = [\"wx1\", \"wx1\"]", OWN, "apps names wx1 twice"),
        ("remark = \"\"", OWN, "remark must have 1 to 32 characters"),
        ("scene = \"\"", OWN, "scene must name a scene"),
        (
            "scenes = [\"1005\"]",
            OWN,
            "would name scene 1000, which is not among",
        ),
        (
            "apiv3_key = \"token:x\"",
            OWN,
            "apiv3_key cannot be in a token",
        ),
        ("public_key = \"file:x\"", OWN, "needs public_key_id"),
        ("apiv3_key = \"0123456789\"", "", "named by where it is"),
        ("key = \"file:\"", "", "named by where it is"),
        ("quota = 1", "", "unknown field `quota`"),
        (
            "[[merchants]]\nno = 2\nmchid = \"1900000003\"",
            "",
            "two have the no, 2 twice",
        ),
        (
            "[[merchants]]\nno = 3\nmchid = \"1900000002\"",
            "",
            "the mchid 1900000002 twice",
        ),
        (
            "[[merchants]]\nno = 0\nmchid = \"1900000003\"",
            "",
            "no must be at least 1",
        ),
        (
            "[[merchants]]\nno = 3",
            "",
            "the one with no = 3: name its mchid",
        ),
        (
            "[[merchants]]\nno = 3\nmchid = \"19 0\"",
            "merchants: 19 0: mchid",
            "",
        ),
        (
            "[merchant]\nday_quota_fen = 5",
            "",
            "in each of [[merchants]]",
        ),
        (
            "[[apps]]\nappid = \"w x\"\nsecret = \"env:X\"",
            "apps: \"w x\"",
            "",
        ),
        (
            "[[apps]]\nappid = \"wx1\"\nsecret = \"token:X\"",
            "apps: \"wx1\"",
            "token",
        ),
    ];

    /// What is wrong with a configuration of two merchants and this besides.
    fn wrong(more: &str) -> String {
        let text = format!("{TWO}{more}");
        let config = match Config::parse(&text) {
            Ok(config) => config,
            Err(error) => return error.to_string(),
        };
        match config.check() {
            Ok(()) => String::new(),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn merchants_that_could_never_work_are_errors_that_name_merchant_and_setting() {
        assert_eq!(wrong(""), "", "two merchants are well");
        for (setting, begins, says) in CASES {
            let error = wrong(setting);
            let fits = error.starts_with(begins) && error.contains(says);
            assert!(fits && !error.is_empty(), "{setting}: {error}");
            assert!(
                !error.contains("0123456789"),
                "no secret is repeated: {error}"
            );
        }
        let app = "[[apps]]\nappid = \"wx1\"\nsecret = \"env:X\"\n";
        assert!(wrong(&app.repeat(2)).contains("the appid wx1 twice"));
    }

    #[test]
    fn a_file_without_a_list_has_one_merchant_and_what_a_list_leaves_out_is_common() {
        let config = Config::default();
        let one = config.listed_merchants();
        assert_eq!((one.len(), one[0].no), (1, 1));
        assert_eq!(one[0].credentials.as_deref(), Some("wechat"));
        let text = format!("{TWO}remark = \"二号\"\n[merchant]\nremark = \"一号\"\n");
        let config: Config = toml::from_str(&text).expect("it parses");
        config.check().expect("it can work");
        let texts = |at: usize| config.merchants[at].texts(&config.merchant);
        assert_eq!((&*texts(0).remark, &*texts(1).remark), ("一号", "二号"));
        assert_eq!(texts(1).scene, "1000");
    }
}
