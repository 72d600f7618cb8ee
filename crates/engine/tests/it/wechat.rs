//! A WeChat of one page: numbers, states, and answers that may be lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use lingqian_core::id::{AppId, MchId, OutBillNo};
use lingqian_core::link::Identity;
use lingqian_core::money::Fen;
use lingqian_core::time::BusinessDate;
use lingqian_core::transfer::{Claims, Evidence, Finding, Origin, TransferOrder, TransferReport};
use lingqian_core::user::Sealed;
use lingqian_io::keys::KeyFault;
use lingqian_io::rail::{
    AppKind, FetchedBill, IdentityFault, LinkScope, Notification, Opened, Refusal,
};
use lingqian_io::{Fault, IdentityProvider, Rail, Sealer};

/// A moment at which a process may die. (The runtime's own wakes only when it rests.)
async fn a_moment() {
    let mut over = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut over, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// One transfer as WeChat knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) amount: Fen,
    pub(crate) paid: bool,
}

/// What is scripted.
#[derive(Debug, Default)]
struct Script {
    known: BTreeMap<OutBillNo, Known>,
    lose_answers: u32,
    sends: BTreeMap<OutBillNo, u32>,
}

/// The rail. Clones share it; it outlives the process that talks to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SmallWechat(Arc<Mutex<Script>>);

impl SmallWechat {
    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.0.lock().expect("no panic while it was held")
    }

    pub(crate) fn lose_answers(&self, count: u32) {
        self.script().lose_answers = count;
    }

    /// Every user who was asked confirms.
    pub(crate) fn everybody_confirms(&self) {
        self.script()
            .known
            .values_mut()
            .for_each(|known| known.paid = true);
    }

    pub(crate) fn known(&self) -> BTreeMap<OutBillNo, Known> {
        self.script().known.clone()
    }

    pub(crate) fn sends(&self) -> BTreeMap<OutBillNo, u32> {
        self.script().sends.clone()
    }
}

fn report(number: OutBillNo, origin: Origin, finding: Finding) -> TransferReport {
    TransferReport {
        number,
        origin,
        finding,
        bill_no: None,
        at: None,
        claims: Claims::default(),
        evidence: Evidence::default(),
    }
}

fn stands(known: &Known, package: bool) -> Finding {
    if known.paid {
        Finding::Paid
    } else {
        Finding::AwaitingUser {
            package: package.then(|| "package".to_owned()),
        }
    }
}

impl Rail for SmallWechat {
    async fn send(&self, order: &TransferOrder) -> TransferReport {
        // The request is on its way; the process may die before and after it arrives.
        a_moment().await;
        let finding = {
            let mut script = self.script();
            *script.sends.entry(order.number).or_default() += 1;
            let amount = order.amount;
            let known = script.known.entry(order.number).or_insert(Known {
                amount,
                paid: false,
            });
            assert_eq!(
                known.amount, amount,
                "a number is never used for another amount"
            );
            let finding = stands(known, true);
            if script.lose_answers > 0 {
                script.lose_answers -= 1;
                Finding::Unknown {
                    code: "timeout".into(),
                }
            } else {
                finding
            }
        };
        a_moment().await;
        report(order.number, Origin::Answer, finding)
    }

    async fn ask(&self, order: &TransferOrder) -> TransferReport {
        let number = order.number;
        a_moment().await;
        let known = self.script().known.get(&number).cloned();
        let finding = known.map_or(Finding::NotFound, |known| stands(&known, false));
        report(number, Origin::Query, finding)
    }

    async fn cancel(&self, order: &TransferOrder) -> TransferReport {
        report(
            order.number,
            Origin::Answer,
            Finding::Unknown {
                code: "not here".into(),
            },
        )
    }

    async fn open(&self, _notification: &Notification) -> Result<Opened, Refusal> {
        Err(Refusal::SignatureWrong)
    }

    async fn bill(&self, _mchid: &MchId, _date: BusinessDate) -> Result<FetchedBill, Fault> {
        Ok(FetchedBill::Empty)
    }
}

/// Nobody links here; links are made by command.
pub(crate) struct Nobody;

impl IdentityProvider for Nobody {
    fn apps(&self) -> Vec<(AppId, AppKind)> {
        Vec::new()
    }

    fn authorize_url(
        &self,
        _app: &AppId,
        _redirect_uri: &str,
        _state: &str,
        _: LinkScope,
    ) -> String {
        String::new()
    }

    async fn redeem(&self, _app: &AppId, _code: &str) -> Result<Identity, IdentityFault> {
        Err(IdentityFault::Unavailable("not here".into()))
    }

    async fn by_code(&self, _app: &AppId, _code: &str) -> Result<Identity, IdentityFault> {
        Err(IdentityFault::Unavailable("not here".into()))
    }

    async fn refresh(&self, _app: &AppId, _tokens: &Sealed) -> Result<Identity, IdentityFault> {
        Err(IdentityFault::Unavailable("not here".into()))
    }

    async fn check(&self, _app: &AppId, _tokens: &Sealed) -> Result<bool, IdentityFault> {
        Err(IdentityFault::Unavailable("not here".into()))
    }
}

impl Sealer for Nobody {
    async fn seal(&self, _purpose: &str, plain: &[u8]) -> Result<Sealed, KeyFault> {
        Ok(Sealed(plain.to_vec()))
    }

    async fn open(&self, _purpose: &str, sealed: &Sealed) -> Result<Vec<u8>, KeyFault> {
        Ok(sealed.0.clone())
    }
}
