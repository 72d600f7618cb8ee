//! Doors before a store that answers at once and keeps nothing, so that what is measured is the
//! doors and the desk.

use std::sync::Arc;

use axum::Router;
use lingqian_core::command::{ApiKey, DeadLetter};
use lingqian_core::control::{Deed, Stop};
use lingqian_core::earning::{Credited, Kind, Terms};
use lingqian_core::endpoint::{Endpoint, EndpointId};
use lingqian_core::facts::Wallet;
use lingqian_core::id::{
    AppId, KindCode, KindNo, MchId, MerchantNo, OutBillNo, PayoutId, UserId, UserNo,
};
use lingqian_core::letter::{LetterId, Mark};
use lingqian_core::link::Identity;
use lingqian_core::money::{Fen, Micros};
use lingqian_core::notice::Told;
use lingqian_core::reconcile::{Bill, Break};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::{
    Claims, Evidence, Finding, Merchant, Origin, TransferOrder, TransferReport,
};
use lingqian_core::user::{Sealed, User};
use lingqian_core::{Changes, EventBatch, Facts, Keys};
use lingqian_engine::{Desk, DeskSettings};
use lingqian_http::{Settings, mint, router as doors};
use lingqian_io::alerts::{AlertBoard, AlertChanges, AlertLease};
use lingqian_io::inbox::{InboxWish, Messages};
use lingqian_io::keys::KeyFault;
use lingqian_io::links::{LinkClaim, LinkFilter, LinkRow};
use lingqian_io::outbox::{Delivery, DeliveryLine, Health, Report, SinkLease, Wish};
use lingqian_io::rail::{
    AppKind, FetchedBill, IdentityFault, LinkScope, Notification, Opened, Refusal,
};
use lingqian_io::store::{
    Audited, Claim, Committed, EventAnswer, LetterRow, LetterWish, PayoutFilter, PayoutRow,
    PayoutStory, Standing, StatementLine, Summary,
};
use lingqian_io::twin::{ManualClock, SeededDice};
use lingqian_io::{
    Alerts, Browse, Fault, IdentityProvider, Inbox, Links, Outbox, Ports, Rail, Sealer, Store,
};

/// All ports; most do nothing.
#[derive(Clone)]
struct Stub {
    store: Nothing,
    clock: Arc<ManualClock>,
    dice: Arc<SeededDice>,
}

/// Whatever is not measured.
#[derive(Clone)]
struct Nothing {
    key: Arc<ApiKey>,
}

fn absent<T>() -> Result<T, Fault> {
    Err(Fault::Broken("there is nothing here".into()))
}

/// The doors and a key to them.
pub(crate) async fn router() -> (Router, String) {
    let now = Timestamp(1_772_424_000_000);
    let dice = Arc::new(SeededDice::new(7));
    let minted = mint(&*dice, vec!["*".into()], now);
    let ports = Stub {
        store: Nothing {
            key: Arc::new(minted.key),
        },
        clock: Arc::new(ManualClock::new(now)),
        dice,
    };
    let clock = Arc::clone(&ports.clock);
    let (desk, work) = Desk::open(ports.store.clone(), clock, DeskSettings::default());
    tokio::spawn(work);
    (
        doors(ports, desk, Settings::new("http://bench")),
        minted.text,
    )
}

impl Store for Nothing {
    /// Everybody is known, nothing was booked.
    async fn prefetch(&self, keys: Keys) -> Result<Facts, Fault> {
        let code = KindCode::parse("ad_view").map_err(|_| Fault::Broken("a kind".into()))?;
        let kind = Kind {
            no: KindNo(1),
            code: code.clone(),
            price: None,
            amount_max: Micros(1_000_000),
            tax_class: "incidental".into(),
            terms: Terms::default(),
        };
        let mut facts = Facts::default();
        facts.kinds.insert(code, kind);
        for (no, id) in (1..).zip(keys.wallets) {
            let user = User {
                no: UserNo(no),
                id: id.clone(),
                frozen: false,
                name: None,
                created_at: Timestamp(0),
            };
            facts.wallets.insert(user.no, Wallet::new(user.clone()));
            facts.users.insert(id, Some(user));
        }
        facts.earnings = keys.earnings.into_iter().map(|key| (key, None)).collect();
        Ok(facts)
    }

    async fn commit(&self, _basis: u64, _changes: Changes) -> Result<Committed, Fault> {
        Ok(Committed::Done)
    }

    async fn earn(&self, _now: Timestamp, events: EventBatch) -> Result<Vec<EventAnswer>, Fault> {
        let answer = |amount: Option<Micros>| Ok(Credited::Now(amount.unwrap_or(Micros::ZERO)));
        Ok(events.iter().map(|event| answer(event.amount)).collect())
    }

    async fn claim(&self, _claim: Claim) -> Result<Vec<PayoutId>, Fault> {
        absent()
    }

    async fn audit(&self) -> Result<Audited, Fault> {
        absent()
    }
}

impl Links for Nothing {
    async fn claim_links(&self, _: LinkClaim) -> Result<Vec<LinkRow>, Fault> {
        absent()
    }
    async fn links(&self, _: LinkFilter) -> Result<Vec<LinkRow>, Fault> {
        absent()
    }
}

impl Inbox for Nothing {
    async fn inbox(&self, _: InboxWish) -> Result<Messages, Fault> {
        absent()
    }
    async fn notices_of(&self, _: UserId, _: i64, _: u32) -> Result<Vec<Told>, Fault> {
        absent()
    }
    async fn read_inbox(&self, _: UserId, _: i64) -> Result<(), Fault> {
        absent()
    }
}

impl Outbox for Nothing {
    async fn notices(&self, _: i64, _: u32) -> Result<Vec<Told>, Fault> {
        absent()
    }
    async fn newest_notice(&self) -> Result<i64, Fault> {
        absent()
    }
    async fn endpoints(&self) -> Result<Vec<(Endpoint, Health)>, Fault> {
        absent()
    }
    async fn deliveries(&self, _: &EndpointId, _: i64, _: u32) -> Result<Vec<DeliveryLine>, Fault> {
        absent()
    }
    async fn plan(&self, _: Timestamp, _: u32) -> Result<u64, Fault> {
        absent()
    }
    async fn claim_deliveries(&self, _: Wish) -> Result<Vec<Delivery>, Fault> {
        absent()
    }
    async fn report_deliveries(&self, _: Vec<Report>) -> Result<(), Fault> {
        absent()
    }
    async fn lease_sink(&self, _: SinkLease) -> Result<bool, Fault> {
        absent()
    }
    async fn replay(&self, _: &EndpointId, _: (i64, i64), _: Timestamp) -> Result<u64, Fault> {
        absent()
    }
}

impl Alerts for Nothing {
    async fn alerts(&self) -> Result<AlertBoard, Fault> {
        absent()
    }
    async fn take_alerts(&self, _: AlertLease) -> Result<Option<AlertBoard>, Fault> {
        absent()
    }
    async fn keep_alerts(&self, _: String, _: AlertChanges) -> Result<bool, Fault> {
        absent()
    }
}

impl Browse for Nothing {
    async fn user(&self, _: &UserId, _: BusinessDate) -> Result<Option<Wallet>, Fault> {
        absent()
    }
    async fn statement(
        &self,
        _: UserNo,
        _: Option<i64>,
        _: u32,
    ) -> Result<Vec<StatementLine>, Fault> {
        absent()
    }
    async fn payouts(&self, _: PayoutFilter) -> Result<Vec<PayoutRow>, Fault> {
        absent()
    }
    async fn payout(&self, _: PayoutId) -> Result<Option<PayoutStory>, Fault> {
        absent()
    }
    async fn seated(&self, _: OutBillNo) -> Result<Vec<PayoutId>, Fault> {
        absent()
    }
    async fn sweepable(
        &self,
        _: Micros,
        _: UserNo,
        _: u32,
    ) -> Result<Vec<(UserNo, UserId)>, Fault> {
        absent()
    }
    async fn paid_on(
        &self,
        _: (MerchantNo, BusinessDate),
        _: Option<PayoutId>,
        _: u32,
    ) -> Result<Vec<PayoutId>, Fault> {
        absent()
    }
    async fn api_keys(&self) -> Result<Vec<ApiKey>, Fault> {
        Ok(vec![(*self.key).clone()])
    }
    async fn merchants(&self) -> Result<Vec<Merchant>, Fault> {
        absent()
    }
    async fn stops(&self) -> Result<Vec<Stop>, Fault> {
        absent()
    }
    async fn deeds(&self, _: Option<String>, _: u32) -> Result<Vec<Deed>, Fault> {
        absent()
    }
    async fn merchant_days(
        &self,
        _: BusinessDate,
    ) -> Result<Vec<(MerchantNo, BusinessDate, Fen)>, Fault> {
        absent()
    }
    async fn reconciled(&self) -> Result<(Vec<Bill>, Vec<Break>), Fault> {
        absent()
    }
    async fn dead_letters(&self, _: u32) -> Result<Vec<(DeadLetter, u64)>, Fault> {
        absent()
    }
    async fn letters(&self, _: LetterWish) -> Result<Vec<LetterRow>, Fault> {
        absent()
    }
    async fn letter(&self, _: LetterId) -> Result<Option<LetterRow>, Fault> {
        absent()
    }
    async fn marks(&self, _: String) -> Result<Vec<Mark>, Fault> {
        absent()
    }
    async fn summary(&self) -> Result<Summary, Fault> {
        absent()
    }
    async fn standing(&self) -> Result<Standing, Fault> {
        absent()
    }
}

fn unknown(number: OutBillNo) -> TransferReport {
    TransferReport {
        number,
        origin: Origin::Answer,
        finding: Finding::Unknown {
            code: "nothing".into(),
        },
        bill_no: None,
        at: None,
        claims: Claims::default(),
        evidence: Evidence::default(),
    }
}

impl Rail for Nothing {
    async fn send(&self, order: &TransferOrder) -> TransferReport {
        unknown(order.number)
    }
    async fn ask(&self, order: &TransferOrder) -> TransferReport {
        unknown(order.number)
    }
    async fn cancel(&self, order: &TransferOrder) -> TransferReport {
        unknown(order.number)
    }
    async fn open(&self, _: &Notification) -> Result<Opened, Refusal> {
        Err(Refusal::SerialUnknown)
    }
    async fn bill(&self, _: &MchId, _: BusinessDate) -> Result<FetchedBill, Fault> {
        absent()
    }
}

impl IdentityProvider for Nothing {
    fn apps(&self) -> Vec<(AppId, AppKind)> {
        Vec::new()
    }

    fn authorize_url(&self, _: &AppId, _: &str, _: &str, _: LinkScope) -> String {
        String::new()
    }
    async fn redeem(&self, _: &AppId, _: &str) -> Result<Identity, IdentityFault> {
        Err(IdentityFault::Unavailable("nothing".into()))
    }
    async fn by_code(&self, _: &AppId, _: &str) -> Result<Identity, IdentityFault> {
        Err(IdentityFault::Unavailable("nothing".into()))
    }

    async fn refresh(&self, _: &AppId, _: &Sealed) -> Result<Identity, IdentityFault> {
        Err(IdentityFault::Unavailable("nothing".into()))
    }
    async fn check(&self, _: &AppId, _: &Sealed) -> Result<bool, IdentityFault> {
        Err(IdentityFault::Unavailable("nothing".into()))
    }
}

impl Sealer for Nothing {
    async fn seal(&self, _: &str, _: &[u8]) -> Result<Sealed, KeyFault> {
        Err(KeyFault::Broken("nothing".into()))
    }
    async fn open(&self, _: &str, _: &Sealed) -> Result<Vec<u8>, KeyFault> {
        Err(KeyFault::Broken("nothing".into()))
    }
}

impl Ports for Stub {
    type Store = Nothing;
    type Rail = Nothing;
    type Identity = Nothing;
    type Sealer = Nothing;
    type Clock = ManualClock;
    type Dice = SeededDice;

    fn store(&self) -> &Nothing {
        &self.store
    }
    fn rail(&self) -> &Nothing {
        &self.store
    }
    fn identity(&self) -> &Nothing {
        &self.store
    }
    fn sealer(&self) -> &Nothing {
        &self.store
    }
    fn clock(&self) -> &ManualClock {
        &self.clock
    }
    fn dice(&self) -> &SeededDice {
        &self.dice
    }
}
