//! The choice of every port: the store, WeChat (real or sandbox), keys in files, the real clock.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use lingqian_core::id::{AppId, IdFault, MchId};
use lingqian_engine::board::Board;
use lingqian_engine::{Desk, DeskSettings};
use lingqian_http::Settings as HttpSettings;
use lingqian_io::Ports;
use lingqian_keys::EnvelopeSealer;
use lingqian_sandbox::Credentials;
use lingqian_wechat::pay::Stand;
use lingqian_wechat::settings::Rates;
use lingqian_wechat::{OauthSettings, PaySettings, Trust, WechatOauth, WechatPay};
use serde::Deserialize;

use crate::client::Client;
use crate::config::{Config, Mode};
use crate::home::Home;
use crate::rail::{self, OldAccount, Pay, Place};
use crate::store::{AnyStore, Purpose};
use crate::vault::{Next, Vault};
use crate::world::{RealClock, RealDice};

/// An answer of WeChat that has not come after this is unknown.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(15);

type Oauth = WechatOauth<EnvelopeSealer, RealClock>;

/// All ports of this process. Clones share them.
#[derive(Clone)]
pub(crate) struct Wire {
    parts: Arc<Parts>,
}

struct Parts {
    store: AnyStore,
    rail: Pay,
    identity: Oauth,
    sealer: EnvelopeSealer,
    clock: RealClock,
    dice: RealDice,
    config: Config,
    mchid: MchId,
    app: AppId,
    board: Arc<Board>,
    /// Of the sandbox, where there is one.
    sandbox_url: Option<String>,
}

/// `credentials.json`.
#[derive(Deserialize)]
struct Account {
    mchid: String,
    appid: String,
    app_secret: String,
    merchant_serial: String,
    apiv3_key: String,
    public_key_id: Option<String>,
    next: Option<Next>,
    #[serde(flatten)]
    old: OldAccount,
}

impl Ports for Wire {
    type Store = AnyStore;
    type Rail = Pay;
    type Identity = Oauth;
    type Sealer = EnvelopeSealer;
    type Clock = RealClock;
    type Dice = RealDice;

    fn store(&self) -> &AnyStore {
        &self.parts.store
    }

    fn rail(&self) -> &Pay {
        &self.parts.rail
    }

    fn identity(&self) -> &Oauth {
        &self.parts.identity
    }

    fn sealer(&self) -> &EnvelopeSealer {
        &self.parts.sealer
    }

    fn clock(&self) -> &RealClock {
        &self.parts.clock
    }

    fn dice(&self) -> &RealDice {
        &self.parts.dice
    }
}

impl Wire {
    /// The ports that a data directory's configuration asks for.
    ///
    /// # Errors
    /// When the configuration, the credentials or the database cannot be used.
    pub(crate) async fn open(home: &Home) -> anyhow::Result<Wire> {
        Wire::open_for(home, Purpose::Write).await
    }

    /// The same for a command that may be there only to look.
    ///
    /// # Errors
    /// As for [`Wire::open`].
    pub(crate) async fn open_for(home: &Home, purpose: Purpose) -> anyhow::Result<Wire> {
        let config = home.config()?;
        let public_url = public_url(&config, config.server.listen);
        Wire::assemble(home, config, &public_url, purpose).await
    }

    /// The same with the address that the doors really have.
    pub(crate) async fn assemble(
        home: &Home,
        config: Config,
        public_url: &str,
        purpose: Purpose,
    ) -> anyhow::Result<Wire> {
        let sandbox_url = (config.wechat.mode == Mode::Sandbox).then(|| home.sandbox_url());
        let dir = home.credentials(&config);
        if sandbox_url.is_some() && !dir.join("credentials.json").exists() {
            Credentials::load(&home.sandbox())?.write_files(&dir)?;
        }
        let account = account(&dir)?;
        let (mchid, app) = (
            parsed(&account.mchid, MchId::parse, "mchid")?,
            parsed(&account.appid, AppId::parse, "appid")?,
        );
        let vault = Vault::open(home, &config)?;
        let sealer = vault.sealer(home)?;
        let (clock, dice) = (RealClock::default(), RealDice);
        let url = |live: &str| sandbox_url.clone().unwrap_or_else(|| live.to_owned());
        let oauth = OauthSettings {
            page_url: url(&config.wechat.page_url),
            api_url: url(&config.wechat.api_url),
            app: app.clone(),
            secret: account.app_secret.clone(),
            timeout: ANSWER_WAIT,
        };
        let pay = PaySettings {
            base_url: url(&config.wechat.pay_url),
            mchid: mchid.clone(),
            notify_url: HttpSettings::notify_url(public_url),
            apiv3_key: account.apiv3_key.clone().into_bytes(),
            timeout: ANSWER_WAIT,
            // A sandbox has no limits; WeChat's own are kept towards WeChat.
            rates: match sandbox_url {
                Some(_) => Rates {
                    create: 10_000,
                    query: 10_000,
                    cancel: 10_000,
                    bill: 100,
                },
                None => Rates::default(),
            },
        };
        let stand = Stand {
            signer: vault.merchant(&dir, &account.merchant_serial)?,
            sealer: sealer.clone(),
            clock: clock.clone(),
            dice,
        };
        let pay = WechatPay::new(pay, Arc::new(trust(&dir, &account)?), stand);
        let place = Place {
            dir: &dir,
            base_url: url(&config.wechat.pay_url),
            mchid: &mchid,
            app: &app,
        };
        let mut rail = rail::rails(pay, &config.merchant.rail, &account.old, &place)?;
        if let Some(next) = &account.next {
            let (key, from) = vault.next(&dir, next)?;
            rail = rail.followed_by(key, from);
        }
        let url = home.store().unwrap_or(&config.store.url);
        let store = AnyStore::open(home, url, purpose).await?;
        Ok(Wire {
            parts: Arc::new(Parts {
                store,
                rail,
                identity: WechatOauth::new(oauth, sealer.clone(), clock.clone()),
                sealer,
                clock,
                dice,
                config,
                mchid,
                app,
                board: Arc::default(),
                sandbox_url,
            }),
        })
    }

    /// Opens a desk and lets it work in the background.
    pub(crate) fn open_desk(&self) -> Desk {
        let settings = DeskSettings {
            policy: self.config().policy.policy(),
            ..DeskSettings::default()
        };
        let clock = Arc::new(self.parts.clock.clone());
        let (desk, work) = Desk::open(self.parts.store.clone(), clock, settings);
        tokio::spawn(work);
        desk
    }

    /// The configuration.
    pub(crate) fn config(&self) -> &Config {
        &self.parts.config
    }

    /// What the passes saw last.
    pub(crate) fn board(&self) -> &Arc<Board> {
        &self.parts.board
    }

    /// The merchant that pays.
    pub(crate) fn mchid(&self) -> &MchId {
        &self.parts.mchid
    }

    /// The app under which users confirm.
    pub(crate) fn app(&self) -> &AppId {
        &self.parts.app
    }

    /// Lets the business time follow the sandbox's, where there is one that answers.
    pub(crate) async fn follow_sandbox_clock(&self) {
        let Some(url) = &self.parts.sandbox_url else {
            return;
        };
        let clock = Client::default()
            .get_json(&format!("{url}/_sandbox/clock"), None)
            .await;
        match clock {
            Ok(clock) => {
                self.parts
                    .clock
                    .run_ahead(clock["offset_ms"].as_i64().unwrap_or(0));
            }
            Err(_) => {
                tracing::warn!("the sandbox at {url} does not answer; `lingqian sandbox` starts it")
            }
        }
    }
}

/// How the doors are reached from outside.
pub(crate) fn public_url(config: &Config, listen: std::net::SocketAddr) -> String {
    let configured = config.server.public_url.trim_end_matches('/');
    if configured.is_empty() {
        format!("http://{listen}")
    } else {
        configured.to_owned()
    }
}

pub(crate) fn read(dir: &Path, name: &str) -> anyhow::Result<String> {
    let path = dir.join(name);
    fs::read_to_string(&path).with_context(|| {
        format!(
            "cannot read {}; `lingqian sandbox credentials` writes such files for the sandbox, \
             the merchant console has them for WeChat",
            path.display()
        )
    })
}

fn account(dir: &Path) -> anyhow::Result<Account> {
    let account: Account = serde_json::from_str(&read(dir, "credentials.json")?)
        .with_context(|| format!("{}/credentials.json is not whole", dir.display()))?;
    anyhow::ensure!(
        account.apiv3_key.len() == 32,
        "apiv3_key must have 32 characters"
    );
    Ok(account)
}

fn parsed<T>(text: &str, parse: fn(&str) -> Result<T, IdFault>, name: &str) -> anyhow::Result<T> {
    parse(text).with_context(|| format!("{name} in credentials.json is wrong: it"))
}

/// WeChat's keys: a platform certificate, a public key, or both. Certificates that are not here
/// are fetched: the APIv3 key proves them.
fn trust(dir: &Path, account: &Account) -> anyhow::Result<Trust> {
    let trust = Trust::default();
    if dir.join("platform_cert.pem").exists() {
        trust.add_certificate(&read(dir, "platform_cert.pem")?)?;
    }
    if let Some(id) = &account.public_key_id
        && dir.join("pub_key.pem").exists()
    {
        trust.add_public_key(id, &read(dir, "pub_key.pem")?)?;
    }
    Ok(trust)
}
