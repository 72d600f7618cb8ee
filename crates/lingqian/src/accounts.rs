//! Merchants and apps as the configuration and the files that it names say, whole and checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lingqian_core::id::{AppId, MchId, MerchantNo};
use lingqian_core::transfer::Merchant;
use lingqian_io::rail::AppKind;
use lingqian_wechat::Trust;
use lingqian_wechat::settings::RailList;
use serde::Deserialize;

use crate::config::merchants::{MerchantEntry, NextEntry, Source};
use crate::config::{Config, KeyPlace, some_fen};
use crate::home::Home;
use crate::rail::OldAccount;

/// How many bytes an APIv3 key has.
const APIV3_KEY_LENGTH: usize = 32;

/// How many digits the serial number of a certificate has.
const SERIAL_LENGTH: usize = 40;

/// A private key of a merchant: where it is, and the serial number of its certificate.
#[derive(Clone, Debug)]
pub(crate) struct KeyAt {
    pub(crate) source: Source,
    pub(crate) serial: String,
}

/// One merchant, whole.
pub(crate) struct Account {
    /// What the rules know of it.
    pub(crate) merchant: Merchant,
    pub(crate) key: KeyAt,
    /// The key that follows, and from when on.
    pub(crate) next: Option<(KeyAt, Option<String>)>,
    pub(crate) apiv3_key: Vec<u8>,
    /// WeChat's keys for it.
    pub(crate) trust: Trust,
    /// Its rails, and what the old API wants where one of them needs it.
    pub(crate) rails: RailList,
    /// How many of its payouts go out in one batch at most.
    pub(crate) batch_max: u16,
    pub(crate) old: Option<OldAccount>,
}

/// One app.
pub(crate) struct App {
    pub(crate) id: AppId,
    pub(crate) secret: String,
    pub(crate) kind: AppKind,
}

/// Everybody who pays, and every app.
pub(crate) struct Accounts {
    /// By their number in the books.
    pub(crate) merchants: Vec<Account>,
    pub(crate) apps: Vec<App>,
}

/// `credentials.json`.
#[derive(Deserialize)]
struct Credentials {
    mchid: String,
    appid: String,
    app_secret: String,
    merchant_serial: String,
    apiv3_key: String,
    public_key_id: Option<String>,
    next: Option<Next>,
    v2_key: Option<String>,
    caller_ip: Option<String>,
    red_packet_sender: Option<String>,
    p12_password: Option<String>,
}

/// The merchant's next key, in `credentials.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Next {
    merchant_serial: String,
    from: Option<String>,
}

impl Accounts {
    /// Reads everything.
    ///
    /// # Errors
    /// What is missing or wrong, and of which merchant.
    pub(crate) fn load(home: &Home, config: &Config) -> anyhow::Result<Accounts> {
        let entries = config.listed_merchants();
        let reader = Reader {
            home,
            config,
            alone: entries.len() == 1,
        };
        let (mut merchants, mut secrets) = (Vec::new(), BTreeMap::new());
        for entry in &entries {
            let (account, app) = reader.account(entry).with_context(|| entry.name())?;
            merchants.push(account);
            if let Some((app, secret)) = app {
                known(&mut secrets, app, secret)?;
            }
        }
        for entry in &config.apps {
            let id = AppId::parse(&entry.appid)?;
            let secret = reader
                .text(&entry.secret)
                .with_context(|| format!("apps: {id}"))?;
            known(&mut secrets, id, secret)?;
        }
        merchants.sort_by_key(|account| account.merchant.no);
        let mut mchids = BTreeSet::new();
        for account in &merchants {
            let merchant = &account.merchant;
            anyhow::ensure!(
                mchids.insert(&merchant.mchid),
                "merchants: two have the mchid {}",
                merchant.mchid
            );
            for app in &merchant.apps {
                anyhow::ensure!(
                    secrets.contains_key(app),
                    "merchants: {}: the app {app} is not known here: name its secret in [[apps]], \
                     or take it out of the merchant's apps",
                    merchant.mchid
                );
            }
        }
        let apps = secrets.into_iter().map(|(id, secret)| {
            let named = config.apps.iter().find(|entry| entry.appid == id.as_str());
            let kind = named.map_or_else(AppKind::default, |entry| entry.kind.into());
            App { id, secret, kind }
        });
        Ok(Accounts {
            merchants,
            apps: apps.collect(),
        })
    }
}

fn known(secrets: &mut BTreeMap<AppId, String>, app: AppId, secret: String) -> anyhow::Result<()> {
    match secrets.get(&app) {
        Some(before) if *before != secret => {
            anyhow::bail!("apps: {app}: two different secrets are named for it")
        }
        _ => {
            secrets.insert(app, secret);
            Ok(())
        }
    }
}

/// What the files are read with.
struct Reader<'a> {
    home: &'a Home,
    config: &'a Config,
    /// Whether there is one merchant.
    alone: bool,
}

impl Reader<'_> {
    fn account(&self, entry: &MerchantEntry) -> anyhow::Result<(Account, Option<(AppId, String)>)> {
        let dir = entry.credentials.as_ref().map(|name| self.home.below(name));
        let file = dir.as_deref().map(credentials).transpose()?;
        let mchid = match (&entry.mchid, &file) {
            (Some(said), Some(file)) if *said != file.mchid => {
                anyhow::bail!("its credentials.json is that of merchant {}", file.mchid)
            }
            (Some(said), _) => said,
            (None, Some(file)) => &file.mchid,
            (None, None) => anyhow::bail!("mchid is missing"),
        };
        let app = file.as_ref().map(|file| {
            let app = AppId::parse(&file.appid).context("appid in credentials.json is wrong: it");
            app.map(|app| (app, file.app_secret.clone()))
        });
        let app = app.transpose()?;
        let merchant = Merchant {
            no: MerchantNo(entry.no),
            mchid: MchId::parse(mchid).context("its mchid is wrong: it")?,
            apps: apps(entry, app.as_ref())?,
            ..self.terms(entry)
        };
        let account = Account {
            merchant,
            key: self.key(entry, file.as_ref(), dir.as_deref())?,
            next: self.next(entry, file.as_ref(), dir.as_deref())?,
            apiv3_key: self.apiv3_key(entry, file.as_ref())?,
            trust: self.trust(entry, file.as_ref(), dir.as_deref())?,
            rails: entry.texts(&self.config.merchant).rail,
            batch_max: entry.texts(&self.config.merchant).batch_max,
            old: self.old(entry, file.as_ref(), dir.as_deref())?,
        };
        Ok((account, app))
    }

    /// What its transfers say, without who it is.
    fn terms(&self, entry: &MerchantEntry) -> Merchant {
        let texts = entry.texts(&self.config.merchant);
        Merchant {
            no: MerchantNo(entry.no),
            mchid: MchId::parse("0").expect("digits are an id"),
            apps: Vec::new(),
            scene: texts.rail.first().scene(&texts.scene),
            scene_report: texts.reports(),
            remark: texts.remark,
            weight: entry.weight.unwrap_or(1),
            day_quota: some_fen(texts.day_quota_fen),
        }
    }

    fn key(
        &self,
        entry: &MerchantEntry,
        file: Option<&Credentials>,
        dir: Option<&Path>,
    ) -> anyhow::Result<KeyAt> {
        let serial = entry.serial.clone();
        let serial = serial.or_else(|| file.map(|file| file.merchant_serial.clone()));
        let serial = serial.context("serial, the serial number of its certificate, is missing")?;
        let label = &self.config.token.key;
        let source = self.key_source(entry.key.as_ref(), (dir, "apiclient_key.pem"), label)?;
        Ok(KeyAt {
            source,
            serial: checked_serial(serial)?,
        })
    }

    /// Where a private key is that need not be named: in the merchant's directory, or under the
    /// label of `[token]` where there is one merchant only.
    fn key_source(
        &self,
        named: Option<&Source>,
        (dir, file): (Option<&Path>, &str),
        label: &str,
    ) -> anyhow::Result<Source> {
        if let Some(named) = named {
            return Ok(named.clone());
        }
        if self.config.wechat.signer == KeyPlace::Pkcs11 {
            anyhow::ensure!(
                self.alone,
                "several merchants share the token; name each one's key: key = \"token:LABEL\""
            );
            return Ok(Source::Token(label.to_owned()));
        }
        let dir = dir.context(
            "key is missing: say \"file:NAME\", \"env:NAME\" or \"token:LABEL\", or name the \
             directory with its files under credentials",
        )?;
        Ok(file_at(&dir.join(file)))
    }

    fn next(
        &self,
        entry: &MerchantEntry,
        file: Option<&Credentials>,
        dir: Option<&Path>,
    ) -> anyhow::Result<Option<(KeyAt, Option<String>)>> {
        if let Some(NextEntry { serial, key, from }) = &entry.next {
            let key = KeyAt {
                source: key.clone(),
                serial: checked_serial(serial.clone())?,
            };
            return Ok(Some((key, from.clone())));
        }
        let Some(next) = file.and_then(|file| file.next.as_ref()) else {
            return Ok(None);
        };
        let label = &self.config.token.next_key;
        let key = KeyAt {
            source: self.key_source(None, (dir, "apiclient_key_next.pem"), label)?,
            serial: next.merchant_serial.clone(),
        };
        Ok(Some((key, next.from.clone())))
    }

    /// What the old API wants, where one of the merchant's rails needs it, or its bills come by it.
    fn old(
        &self,
        entry: &MerchantEntry,
        file: Option<&Credentials>,
        dir: Option<&Path>,
    ) -> anyhow::Result<Option<OldAccount>> {
        let by_rail = entry.texts(&self.config.merchant).rail.any_old();
        if !by_rail && !self.config.bills.is_by_old_api() {
            return Ok(None);
        }
        let key = match (&entry.v2_key, file.and_then(|file| file.v2_key.clone())) {
            (Some(source), _) => self.text(source).context("v2_key")?,
            (None, Some(key)) => key,
            (None, None) => anyhow::bail!(
                "its rail (or bills.source) needs the v2 key: say v2_key = \"file:NAME\" or \"env:NAME\", or put it \
                 into credentials.json"
            ),
        };
        let password = match (&entry.p12_password, file) {
            (Some(source), _) => Some(self.text(source).context("p12_password")?),
            (None, file) => file.and_then(|file| file.p12_password.clone()),
        };
        let said = |pick: fn(&Credentials) -> &Option<String>| file.and_then(|f| pick(f).clone());
        Ok(Some(OldAccount {
            key,
            ip: said(|file| &file.caller_ip),
            sender: said(|file| &file.red_packet_sender),
            password,
            dir: dir.map(Path::to_owned),
        }))
    }

    fn apiv3_key(
        &self,
        entry: &MerchantEntry,
        file: Option<&Credentials>,
    ) -> anyhow::Result<Vec<u8>> {
        let key = match (&entry.apiv3_key, file) {
            (Some(source), _) => self.text(source).context("apiv3_key")?,
            (None, Some(file)) => file.apiv3_key.clone(),
            (None, None) => {
                anyhow::bail!("apiv3_key is missing: say \"file:NAME\" or \"env:NAME\"")
            }
        };
        anyhow::ensure!(
            key.len() == APIV3_KEY_LENGTH,
            "apiv3_key must have {APIV3_KEY_LENGTH} characters"
        );
        Ok(key.into_bytes())
    }

    /// WeChat's keys: platform certificates, a public key, or both. Certificates that are not here
    /// are fetched: the APIv3 key proves them.
    fn trust(
        &self,
        entry: &MerchantEntry,
        file: Option<&Credentials>,
        dir: Option<&Path>,
    ) -> anyhow::Result<Trust> {
        let beside = |name: &str| {
            let path = dir.map(|dir| dir.join(name)).filter(|path| path.exists());
            path.map(|path| file_at(&path))
        };
        let trust = Trust::default();
        let certificates = match &entry.certificates {
            Some(certificates) => certificates.clone(),
            None => beside("platform_cert.pem").into_iter().collect(),
        };
        for source in &certificates {
            let text = self.text(source).context("certificates")?;
            let added = trust.add_certificate(&text);
            added.with_context(|| format!("certificates: {source}"))?;
        }
        let id = entry.public_key_id.as_ref();
        let id = id.or_else(|| file.and_then(|file| file.public_key_id.as_ref()));
        let key = entry.public_key.clone().or_else(|| beside("pub_key.pem"));
        if let (Some(id), Some(source)) = (id, key) {
            let text = self.text(&source).context("public_key")?;
            trust
                .add_public_key(id, &text)
                .with_context(|| format!("public_key: {source}"))?;
        }
        Ok(trust)
    }

    fn text(&self, source: &Source) -> anyhow::Result<String> {
        text(self.home, source)
    }
}

/// A file whose path is known already: not once more below the data directory.
fn file_at(path: &Path) -> Source {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Source::File(absolute.display().to_string())
}

/// The apps that it is bound to: those that are named, or that of its directory.
fn apps(entry: &MerchantEntry, own: Option<&(AppId, String)>) -> anyhow::Result<Vec<AppId>> {
    let Some(named) = &entry.apps else {
        let (own, _) = own.context("apps is missing: name the apps that it is bound to")?;
        return Ok(vec![own.clone()]);
    };
    let parse = |app: &String| AppId::parse(app).with_context(|| format!("the app {app:?}"));
    named.iter().map(parse).collect()
}

fn checked_serial(serial: String) -> anyhow::Result<String> {
    let digits = serial.len() == SERIAL_LENGTH && serial.bytes().all(|b| b.is_ascii_hexdigit());
    anyhow::ensure!(
        digits,
        "serial must be the {SERIAL_LENGTH} hexadecimal digits of the certificate's serial number"
    );
    Ok(serial.to_ascii_uppercase())
}

/// What a source holds. An error names the source and never what is in it.
pub(crate) fn text(home: &Home, source: &Source) -> anyhow::Result<String> {
    let text = match source {
        Source::File(name) => {
            let path = home.below(name);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?
        }
        Source::Env(name) => std::env::var(name)
            .ok()
            .with_context(|| format!("the variable {name} is not set in the environment"))?,
        Source::Token(label) => {
            anyhow::bail!("the token gives away no key; token:{label} cannot be read")
        }
    };
    Ok(text.trim().to_owned())
}

fn credentials(dir: &Path) -> anyhow::Result<Credentials> {
    let path: PathBuf = dir.join("credentials.json");
    let text = fs::read_to_string(&path).with_context(|| {
        format!(
            "cannot read {}; `lingqian sandbox credentials` writes such files for the sandbox, \
             the merchant console has them for WeChat",
            path.display()
        )
    })?;
    serde_json::from_str(&text).with_context(|| format!("{} is not whole", path.display()))
}
