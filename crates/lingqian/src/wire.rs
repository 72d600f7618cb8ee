//! The choice of every port: the store, WeChat (real or sandbox), keys in files, the real clock.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lingqian_core::id::MchId;
use lingqian_core::transfer::Merchant;
use lingqian_engine::board::Board;
use lingqian_engine::{Desk, DeskSettings};
use lingqian_hooks::{HttpCourier, Reach};
use lingqian_http::Settings as HttpSettings;
use lingqian_io::{Ports, Store};
use lingqian_keys::{EnvelopeSealer, MerchantKey};
use lingqian_sandbox::Credentials;
use lingqian_wechat::bill::BillDesk;
use lingqian_wechat::message::WechatMessages;
use lingqian_wechat::pay::Stand;
use lingqian_wechat::settings::Rates;
use lingqian_wechat::{
    OauthSettings, PaySettings, WechatApps, WechatMerchants, WechatOauth, WechatPay,
};

use crate::accounts::{Accounts, App};
use crate::archive::Kept;
use crate::client::Client;
use crate::config::{Config, Mode};
use crate::home::{Home, write_whole};
use crate::messenger::{Carrier, Ways};
use crate::rail;
use crate::store::{AnyStore, Purpose};
use crate::vault::{Vault, takes_over};
use crate::world::{RealClock, RealDice};

/// An answer of WeChat that has not come after this is unknown.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(15);

/// How often it is looked whether the sandbox's clock was moved.
const SANDBOX_CLOCK_REST: Duration = Duration::from_secs(2);
/// How long its answer is waited for: somebody else may be at its address, even we ourselves.
const SANDBOX_CLOCK_WAIT: Duration = Duration::from_secs(3);

type Pay = WechatMerchants<MerchantKey, EnvelopeSealer, RealClock, RealDice>;
type Oauth = WechatApps<EnvelopeSealer, RealClock>;

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
    merchants: Vec<Merchant>,
    board: Arc<Board>,
    courier: HttpCourier,
    ways: Ways,
    /// Of the sandbox, where there is one.
    sandbox_url: Option<String>,
    /// Keeps by how much the sandbox's clock was ahead when it was heard last.
    sandbox_ahead: PathBuf,
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

/// Who carries webhooks to where they may go.
fn courier(config: &Config) -> HttpCourier {
    let reach = if config.webhooks.allow_private {
        Reach::Anywhere
    } else {
        Reach::Public
    };
    HttpCourier::new(reach, config.webhooks.timeout())
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
        if sandbox_url.is_some() {
            provision(home, &config)?;
        }
        let accounts = Accounts::load(home, &config)?;
        let vault = Vault::open(home, &config, &accounts)?;
        let sealer = vault.sealer(home)?;
        let (clock, dice) = (RealClock::default(), RealDice);
        let place = Place {
            config: &config,
            sandbox_url: sandbox_url.as_deref(),
            public_url,
        };
        let bills = BillDesk {
            place: config.bills.open(home)?,
            archive: Some(Arc::new(Kept::new(config.kept.open(home)?, sealer.clone()))),
            spool: Some(home.below(".")),
        };
        let ways = place.ways(&accounts.apps, &clock);
        let apps = accounts.apps.into_iter().map(|app| {
            let settings = place.app(app);
            WechatOauth::new(settings, sealer.clone(), clock.clone())
        });
        let identity = WechatApps::new(apps);
        let (mut rails, mut merchants) = (Vec::new(), Vec::new());
        for account in accounts.merchants {
            let stand = Stand {
                signer: vault.key(home, &account.key)?,
                sealer: sealer.clone(),
                clock: clock.clone(),
                dice,
            };
            let settings = place.pay(account.merchant.mchid.clone(), account.apiv3_key);
            let door = rail::Place {
                base_url: settings.base_url.clone(),
                mchid: settings.mchid.clone(),
                app: account.merchant.apps.first().cloned(),
            };
            let pay = WechatPay::new(settings, Arc::new(account.trust), stand);
            let pay = pay.with_bills(bills.clone());
            let rail = rail::rails(pay, &account.rails, account.old, door)?;
            let mut rail = rail.packing(account.batch_max);
            if let Some((key, from)) = &account.next {
                rail = rail.followed_by(vault.key(home, key)?, takes_over(from.as_deref())?);
            }
            rails.push(rail);
            merchants.push(account.merchant);
        }
        let url = home.store().unwrap_or(&config.store.url);
        let store = AnyStore::open(home, url, purpose).await?;
        let courier = courier(&config);
        Ok(Wire {
            parts: Arc::new(Parts {
                store,
                rail: WechatMerchants::new(rails),
                identity,
                sealer,
                clock,
                dice,
                config,
                merchants,
                board: Arc::default(),
                courier,
                ways,
                sandbox_url,
                sandbox_ahead: home.sandbox_ahead(),
            }),
        })
    }

    /// Opens a desk and lets it work in the background.
    pub(crate) fn open_desk(&self) -> Desk {
        self.open_desk_over(self.parts.store.clone())
    }

    /// The same over a store that is given.
    pub(crate) fn open_desk_over<S: Store + Clone>(&self, store: S) -> Desk {
        let settings = DeskSettings {
            policy: self.config().all_policy(),
            ..DeskSettings::default()
        };
        let clock = Arc::new(self.parts.clock.clone());
        let (desk, work) = Desk::open(store, clock, settings);
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

    /// Who carries messages to endpoints, whatever they are.
    pub(crate) fn courier(&self) -> Carrier {
        Carrier(self.clone())
    }

    /// Who carries webhooks.
    pub(crate) fn webhooks(&self) -> &HttpCourier {
        &self.parts.courier
    }

    /// The ways to the users of apps.
    pub(crate) fn ways(&self) -> &Ways {
        &self.parts.ways
    }

    /// The merchants of the configuration, by their numbers in the books.
    pub(crate) fn merchants(&self) -> &[Merchant] {
        &self.parts.merchants
    }

    /// Lets the business time follow the sandbox's, where there is one that answers. While it does
    /// not, its last word counts: days that the books have seen do not come again.
    pub(crate) async fn follow_sandbox_clock(&self) {
        let Some(url) = &self.parts.sandbox_url else {
            return;
        };
        if self.heard_sandbox_clock(url).await {
            return;
        }
        let kept = std::fs::read_to_string(&self.parts.sandbox_ahead).unwrap_or_default();
        let ahead_ms: i64 = kept.trim().parse().unwrap_or(0);
        self.parts.clock.run_ahead(ahead_ms);
        tracing::warn!(
            ahead_ms,
            "the sandbox at {url} does not answer, its clock is taken to stand where it was last; \
             `lingqian sandbox` starts it"
        );
    }

    /// Goes on following it, as long as the process lives.
    pub(crate) async fn keep_sandbox_clock(&self) {
        let Some(url) = &self.parts.sandbox_url else {
            return;
        };
        loop {
            tokio::time::sleep(SANDBOX_CLOCK_REST).await;
            self.heard_sandbox_clock(url).await;
        }
    }

    async fn heard_sandbox_clock(&self, url: &str) -> bool {
        let path = format!("{url}/_sandbox/clock");
        let client = Client::default();
        let asked = tokio::time::timeout(SANDBOX_CLOCK_WAIT, client.get_json(&path, None));
        let Ok(Ok(clock)) = asked.await else {
            return false;
        };
        let before = self.parts.clock.ahead_ms();
        let ahead_ms = clock["offset_ms"].as_i64().unwrap_or(0);
        self.parts.clock.run_ahead(ahead_ms);
        if ahead_ms > before {
            let kept = write_whole(&self.parts.sandbox_ahead, ahead_ms.to_string().as_bytes());
            if let Err(error) = kept {
                tracing::warn!(%error, "the clock of the sandbox is not kept");
            }
        }
        true
    }
}

/// Where WeChat and we are.
struct Place<'a> {
    config: &'a Config,
    sandbox_url: Option<&'a str>,
    public_url: &'a str,
}

impl Place<'_> {
    fn url(&self, live: &str) -> String {
        self.sandbox_url.unwrap_or(live).to_owned()
    }

    fn app(&self, app: App) -> OauthSettings {
        let App { id, secret, kind } = app;
        OauthSettings {
            page_url: self.url(&self.config.wechat.page_url),
            api_url: self.url(&self.config.wechat.api_url),
            app: id,
            kind,
            secret,
            timeout: ANSWER_WAIT,
        }
    }

    /// The ways to the users of those apps that tell them something.
    fn ways(&self, apps: &[App], clock: &RealClock) -> Ways {
        let messages = &self.config.messages;
        let tells = |app: &&App| messages.iter().any(|one| one.app == app.id.as_str());
        let way = |app: &App| {
            let id = app.id.clone();
            let own = (id.clone(), app.kind, app.secret.clone());
            let url = self.url(&self.config.wechat.api_url);
            let way = WechatMessages::new(own, &url, clock.clone(), ANSWER_WAIT);
            (id, Arc::new(way))
        };
        apps.iter().filter(tells).map(way).collect()
    }

    fn pay(&self, mchid: MchId, apiv3_key: Vec<u8>) -> PaySettings {
        PaySettings {
            base_url: self.url(&self.config.wechat.pay_url),
            backup_url: match self.sandbox_url {
                Some(_) => None,
                None => {
                    Some(self.config.wechat.pay_backup_url.clone()).filter(|url| !url.is_empty())
                }
            },
            mchid,
            notify_url: HttpSettings::notify_url(self.public_url),
            apiv3_key,
            timeout: ANSWER_WAIT,
            // A sandbox has no limits; WeChat's own are kept towards WeChat.
            rates: match self.sandbox_url {
                Some(_) => Rates {
                    create: 10_000,
                    query: 10_000,
                    authorize: 10_000,
                    batch_query: 10_000,
                    cancel: 10_000,
                    bill: 100,
                },
                None => Rates::default(),
            },
        }
    }
}

/// Writes the credentials of the sandbox's first merchant where an installation with one merchant
/// looks for them, unless they are there.
fn provision(home: &Home, config: &Config) -> anyhow::Result<()> {
    let dir = home.credentials(config);
    if config.merchants.is_empty() && !dir.join("credentials.json").exists() {
        Credentials::load(&home.sandbox())?.write_files(&dir)?;
    }
    Ok(())
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
