//! Ports that outlive the process, and a process that can be killed.

use std::sync::Arc;

use lingqian_core::Command;
use lingqian_core::earning::{EarningEvent, Kind, Terms};
use lingqian_core::id::{
    AppId, EventId, KindCode, KindNo, MchId, MerchantNo, OpenId, PayoutId, Reference, Source,
    UserId,
};
use lingqian_core::link::{Identity, Page, StateDigest};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::payout::Asked;
use lingqian_core::risk::Policy;
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::Merchant;
use lingqian_core::user::Sealed;
use lingqian_core::withdrawal::{Wanted, Withdrawal};
use lingqian_engine::{Desk, DeskSettings, Limits, assess, dispatch, poll};
use lingqian_io::twin::{ManualClock, MemoryStore, SeededDice};
use lingqian_io::{Fault, Ports, Store};

use crate::wechat::{Nobody, SmallWechat};

/// 2026-03-02, noon in Beijing.
const NOON: Timestamp = Timestamp(1_772_424_000_000);

/// What is outside of the process and stays.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) wechat: SmallWechat,
    pub(crate) clock: Arc<ManualClock>,
    dice: Arc<SeededDice>,
}

impl Ports for World {
    type Store = MemoryStore;
    type Rail = SmallWechat;
    type Identity = Nobody;
    type Sealer = Nobody;
    type Clock = ManualClock;
    type Dice = SeededDice;

    fn store(&self) -> &MemoryStore {
        &self.store
    }

    fn rail(&self) -> &SmallWechat {
        &self.wechat
    }

    fn identity(&self) -> &Nobody {
        &Nobody
    }

    fn sealer(&self) -> &Nobody {
        &Nobody
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn dice(&self) -> &SeededDice {
        &self.dice
    }
}

/// An event worth so many micro-yuan.
pub(crate) fn event(id: &str, user: &str, micros: i64) -> Command {
    Command::Earn(EarningEvent {
        source: Source::parse("test").expect("valid"),
        event_id: EventId::parse(id).expect("valid"),
        user: UserId::parse(user).expect("valid"),
        kind: KindCode::parse("ad_view").expect("valid"),
        amount: Some(Micros(micros)),
        occurred_at: None,
        from: None,
        reverses: None,
    })
}

/// A withdrawal by request.
pub(crate) fn withdrawal(number: u128, user: &str, fen: i64) -> Command {
    Command::Withdraw(Box::new(Withdrawal {
        payout: PayoutId::new(NOON, number),
        user: UserId::parse(user).expect("valid"),
        wanted: Wanted::Exactly(Fen(fen)),
        reference: Reference::parse(&format!("r{number}")).expect("valid"),
        asked: Asked::ByRequest,
        key: None,
    }))
}

impl World {
    /// One merchant, one kind, and alice with ten yuan and a wallet.
    pub(crate) async fn new() -> World {
        let world = World {
            store: MemoryStore::default(),
            wechat: SmallWechat::default(),
            clock: Arc::new(ManualClock::new(NOON)),
            dice: Arc::new(SeededDice::new(3)),
        };
        let user = UserId::parse("alice").expect("valid");
        let state = StateDigest([7; 32]);
        let identity = Identity {
            openid: OpenId::parse("oAlice").expect("valid"),
            unionid: None,
            scope: "snsapi_base".into(),
            snapshot: false,
            tokens: Some(Sealed(Vec::new())),
        };
        let setup = vec![
            Command::DefineMerchant(Merchant {
                no: MerchantNo(1),
                mchid: MchId::parse("1900000109").expect("valid"),
                apps: vec![AppId::parse("wx1").expect("valid")],
                scene: "1000".into(),
                scene_report: Vec::new(),
                remark: "test".into(),
                weight: 1,
                day_quota: None,
            }),
            Command::DefineKind(Kind {
                no: KindNo(1),
                code: KindCode::parse("ad_view").expect("valid"),
                price: None,
                amount_max: Micros(100_000_000),
                tax_class: "incidental".into(),
                terms: Terms::default(),
            }),
            Command::RegisterUser {
                user: user.clone(),
                name: None,
            },
            event("first", "alice", 10_000_000),
        ];
        world
            .live(async |desk| {
                for answer in desk.submit_all(setup.clone()).await.expect("no fault") {
                    answer.expect("no rejection");
                }
                let start = Command::StartLink {
                    user: user.clone(),
                    app: None,
                    page: Page::default(),
                    state,
                };
                for command in [
                    start,
                    Command::RedeemState { state },
                    Command::CompleteLink {
                        state,
                        identity: identity.clone(),
                    },
                ] {
                    desk.submit(command)
                        .await
                        .expect("no fault")
                        .expect("no rejection");
                }
            })
            .await;
        world
    }

    /// A process that lives until its work is done; its desk lives and dies with it.
    pub(crate) async fn live<R>(&self, work: impl AsyncFn(Desk) -> R) -> R {
        self.live_under(Policy::default(), work).await
    }

    /// The same under other limits.
    pub(crate) async fn live_under<R>(&self, policy: Policy, work: impl AsyncFn(Desk) -> R) -> R {
        let settings = DeskSettings {
            policy,
            ..DeskSettings::default()
        };
        let (desk, serve) = Desk::open(self.store.clone(), Arc::clone(&self.clock), settings);
        let (_, done) = futures_util::future::join(serve, work(desk)).await;
        done
    }

    /// One round of every pass.
    pub(crate) async fn passes(&self, desk: &Desk) -> Result<u64, Fault> {
        let limits = Limits::default();
        let mut taken = assess::assess(self, desk, &limits).await?.taken;
        taken += dispatch::dispatch(self, desk, &limits).await?.taken;
        taken += poll::poll(self, desk, &limits).await?.taken;
        Ok(taken + poll::cancel(self, desk, &limits).await?.taken)
    }

    /// The books are sound.
    pub(crate) async fn audited(&self, when: &str) {
        let audited = self.store.audit().await.expect("no fault");
        assert_eq!(audited.findings, [], "{when}");
    }
}
