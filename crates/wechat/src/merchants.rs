//! Several merchants behind one rail, and several apps behind one provider of identities.
//!
//! Each merchant has keys, pace and bills of its own; the order's merchant says which one sends.
//! What no merchant here can do is never done by another one: nothing goes out then, the payout
//! waits for a person, and what may have been sent before stays in doubt.

use std::collections::BTreeMap;

use lingqian_core::id::{AppId, MchId, OutBillNo};
use lingqian_core::link::Identity;
use lingqian_core::money::Fen;
use lingqian_core::time::BusinessDate;
use lingqian_core::transfer::{Cure, Evidence, Finding, Origin, TransferOrder, TransferReport};
use lingqian_io::rail::{
    AppKind, FetchedBill, IdentityFault, LinkScope, Notification, Opened, Receipt, Refusal,
};
use lingqian_io::{Clock, Dice, Fault, IdentityProvider, Rail, Sealed, Sealer, Signer};

use crate::oauth::{NO_APP, WechatOauth};
use crate::rails::Rails;
use crate::transfer::silent;

/// No keys of that merchant are here.
const NO_MERCHANT: &str = "merchant_not_configured";

/// The merchants of one installation.
#[derive(Debug)]
pub struct WechatMerchants<S, K, C, D> {
    by: BTreeMap<MchId, Rails<S, K, C, D>>,
}

impl<S: Signer, K: Sealer, C: Clock, D: Dice> WechatMerchants<S, K, C, D> {
    /// These merchants; of two with the same number the later one counts.
    #[must_use]
    pub fn new(merchants: impl IntoIterator<Item = Rails<S, K, C, D>>) -> Self {
        let named = merchants
            .into_iter()
            .map(|one| (one.pay().mchid().clone(), one));
        WechatMerchants {
            by: named.collect(),
        }
    }

    /// The rails of a merchant whose keys are here.
    #[must_use]
    pub fn of(&self, mchid: &MchId) -> Option<&Rails<S, K, C, D>> {
        self.by.get(mchid)
    }

    /// Whether orders of this merchant can be sent from here.
    #[must_use]
    pub fn acts_for(&self, mchid: &MchId) -> bool {
        self.by.contains_key(mchid)
    }

    /// What was seen on the way of each: how far WeChat's clock is ahead of ours, in milliseconds, and
    /// how often it said that calls came too fast.
    #[must_use]
    pub fn ways(&self) -> Vec<(MchId, Option<i64>, u64)> {
        let seen = self.by.values().map(Rails::pay);
        seen.map(|pay| (pay.mchid().clone(), pay.skew_ms(), pay.slowed()))
            .collect()
    }

    /// Looks at WeChat's lists of certificates where that is due; a pass calls it now and then.
    pub async fn keep_certificates(&self) {
        for merchant in self.by.values() {
            // What went wrong was said, and the next look is put off.
            let _ = merchant.pay().keep_certificates().await;
        }
    }
}

/// What is said where nobody here acts for the merchant. For a send that is a refusal which a
/// person can cure: it ends no payout, and one that may have been sent before stays unknown.
fn nobody(number: OutBillNo, origin: Origin, sends: bool) -> TransferReport {
    let code = NO_MERCHANT.to_owned();
    let finding = if sends {
        let cure = Cure::Person;
        Finding::Refused { code, cure }
    } else {
        Finding::Unknown { code }
    };
    silent(number, origin, finding, Evidence::default())
}

impl<S: Signer, K: Sealer, C: Clock, D: Dice> Rail for WechatMerchants<S, K, C, D> {
    async fn send(&self, order: &TransferOrder) -> TransferReport {
        match self.by.get(&order.mchid) {
            Some(merchant) => merchant.send(order).await,
            None => {
                tracing::error!(mchid = %order.mchid, "an order's merchant is not configured");
                nobody(order.number, Origin::Answer, true)
            }
        }
    }

    fn packs(&self) -> BTreeMap<MchId, u16> {
        self.by.values().flat_map(Rails::packs).collect()
    }

    async fn send_all(&self, orders: &[TransferOrder]) -> Vec<TransferReport> {
        let merchant = orders.first().and_then(|order| self.by.get(&order.mchid));
        match merchant {
            Some(merchant) => merchant.send_all(orders).await,
            None => {
                let one = |order: &TransferOrder| nobody(order.number, Origin::Answer, true);
                orders.iter().map(one).collect()
            }
        }
    }

    async fn ask_all(&self, orders: &[TransferOrder]) -> Vec<TransferReport> {
        let merchant = orders.first().and_then(|order| self.by.get(&order.mchid));
        match merchant {
            Some(merchant) => merchant.ask_all(orders).await,
            None => {
                let one = |order: &TransferOrder| nobody(order.number, Origin::Query, false);
                orders.iter().map(one).collect()
            }
        }
    }

    async fn ask(&self, order: &TransferOrder) -> TransferReport {
        match self.by.get(&order.mchid) {
            Some(merchant) => merchant.ask(order).await,
            None => nobody(order.number, Origin::Query, false),
        }
    }

    async fn cancel(&self, order: &TransferOrder) -> TransferReport {
        match self.by.get(&order.mchid) {
            Some(merchant) => merchant.cancel(order).await,
            None => nobody(order.number, Origin::Answer, false),
        }
    }

    /// The serial number tells whose keys prove it. Merchants may share a key of WeChat's: then
    /// the seal tells. One that nobody holds makes each look at its list, as rarely as ever.
    async fn open(&self, notification: &Notification) -> Result<Opened, Refusal> {
        let mut headers = notification.headers.iter();
        let serial = headers.find(|(name, _)| name == "wechatpay-serial");
        let (_, serial) = serial.ok_or(Refusal::HeaderMissing("wechatpay-serial"))?;
        let (held, others): (Vec<_>, Vec<_>) = self
            .by
            .values()
            .partition(|merchant| merchant.pay().holds(serial));
        let mut refusal = Refusal::SerialUnknown;
        let known = !held.is_empty();
        for merchant in if known { held } else { others } {
            refusal = match merchant.open(notification).await {
                Ok(opened) => return Ok(opened),
                // Signed with a key that several have, and sealed or meant for another of them.
                Err(refusal @ (Refusal::SealWrong | Refusal::OtherMerchant)) => refusal,
                Err(Refusal::SerialUnknown) => refusal,
                Err(refusal) => return Err(refusal),
            };
        }
        Err(refusal)
    }

    async fn receipt(&self, order: &TransferOrder) -> Result<Receipt, Fault> {
        match self.by.get(&order.mchid) {
            Some(merchant) => merchant.receipt(order).await,
            None => Ok(Receipt::None(NO_MERCHANT.to_owned())),
        }
    }

    async fn balance(&self, mchid: &MchId) -> Result<Option<Fen>, Fault> {
        match self.by.get(mchid) {
            Some(merchant) => merchant.balance(mchid).await,
            None => Ok(None),
        }
    }

    async fn bill(&self, mchid: &MchId, date: BusinessDate) -> Result<FetchedBill, Fault> {
        match self.by.get(mchid) {
            Some(merchant) => merchant.bill(mchid, date).await,
            None => Err(Fault::Broken(format!(
                "the bill of merchant {mchid} was asked for, which is not configured"
            ))),
        }
    }
}

/// The apps of one installation.
#[derive(Debug)]
pub struct WechatApps<K, C> {
    by: BTreeMap<AppId, WechatOauth<K, C>>,
}

impl<K: Sealer, C: Clock> WechatApps<K, C> {
    /// These apps; of two with the same id the later one counts.
    #[must_use]
    pub fn new(apps: impl IntoIterator<Item = WechatOauth<K, C>>) -> Self {
        let named = apps.into_iter().map(|one| (one.app().clone(), one));
        WechatApps {
            by: named.collect(),
        }
    }

    fn of(&self, app: &AppId) -> Result<&WechatOauth<K, C>, IdentityFault> {
        let missing = || IdentityFault::Unavailable(NO_APP.into());
        self.by.get(app).ok_or_else(missing)
    }
}

impl<K: Sealer, C: Clock> IdentityProvider for WechatApps<K, C> {
    fn apps(&self) -> Vec<(AppId, AppKind)> {
        self.by.values().flat_map(WechatOauth::apps).collect()
    }

    /// The page is the same for all apps.
    fn authorize_url(
        &self,
        app: &AppId,
        redirect_uri: &str,
        state: &str,
        scope: LinkScope,
    ) -> String {
        let any = self.by.get(app).or_else(|| self.by.values().next());
        any.map(|any| any.authorize_url(app, redirect_uri, state, scope))
            .unwrap_or_default()
    }

    async fn by_code(&self, app: &AppId, code: &str) -> Result<Identity, IdentityFault> {
        self.of(app)?.by_code(app, code).await
    }

    async fn redeem(&self, app: &AppId, code: &str) -> Result<Identity, IdentityFault> {
        self.of(app)?.redeem(app, code).await
    }

    async fn refresh(&self, app: &AppId, tokens: &Sealed) -> Result<Identity, IdentityFault> {
        self.of(app)?.refresh(app, tokens).await
    }

    async fn check(&self, app: &AppId, tokens: &Sealed) -> Result<bool, IdentityFault> {
        self.of(app)?.check(app, tokens).await
    }
}
