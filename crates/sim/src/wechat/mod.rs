//! The other side: a WeChat that keeps books of its own and knows nothing of ours but what comes
//! in over the rail.
//!
//! It is idempotent by number with the same data, refuses the same number with other data, locks
//! money while it waits for the user, closes what nobody confirmed after a day, tells about ends
//! by notifications, and makes a bill of each day. What a user does is decided by the user.

mod answers;
mod batches;
mod bills;
mod notices;
mod old;
mod packs;
mod people;
pub(crate) mod rail;

use std::collections::BTreeMap;

use lingqian_core::id::{MchId, OutBillNo, PayoutId};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::TransferOrder;
use lingqian_wechat::settings::RailKind;

use crate::fault::{BillFault, NoticeFault, WechatFault};
use crate::faults::Pending;

pub(crate) use answers::name_of;
pub(crate) use bills::FlowLine;
pub(crate) use notices::Notice;

/// Nobody confirmed for so long: closed.
const CONFIRM_MS: i64 = 24 * 3_600_000;
/// Closing lags behind by at most this.
const CLOSE_LAG_MS: i64 = 90 * 60_000;
/// The same number may come again for so long after it was accepted.
const REENTRY_MS: i64 = 3 * 24 * 3_600_000;

/// Where a transfer stands, in WeChat's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stand {
    /// Accepted; no money is locked yet.
    Accepted,
    /// Money is being locked.
    Processing,
    /// Money is locked, the user must confirm.
    WaitUserConfirm,
    /// The user confirmed.
    Transfering,
    /// In the user's wallet.
    Success,
    /// Ended unpaid.
    Fail,
    /// A cancel was accepted.
    Canceling,
    /// Cancelled.
    Cancelled,
}

impl Stand {
    /// WeChat's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Stand::Accepted => "ACCEPTED",
            Stand::Processing => "PROCESSING",
            Stand::WaitUserConfirm => "WAIT_USER_CONFIRM",
            Stand::Transfering => "TRANSFERING",
            Stand::Success => "SUCCESS",
            Stand::Fail => "FAIL",
            Stand::Canceling => "CANCELING",
            Stand::Cancelled => "CANCELLED",
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Stand::Success | Stand::Fail | Stand::Cancelled)
    }
}

/// One transfer, as WeChat knows it.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// What was sent.
    pub order: TransferOrder,
    /// Where it stands.
    pub stand: Stand,
    /// Why it failed.
    pub reason: Option<String>,
    /// Since when it stands there.
    pub since: Timestamp,
    accepted_at: Timestamp,
    visible_at: Timestamp,
    locked: bool,
    /// What opens the confirm page.
    pub package: String,
    bill_no: String,
}

/// What will happen at a moment.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// All orders of a request.
    Arrive(Vec<TransferOrder>),
    Lock(OutBillNo),
    Expire(OutBillNo),
    Confirm(OutBillNo),
    Pay(OutBillNo),
    Cancelled(OutBillNo),
    Deliver(u64),
}

/// What an onlooker must know at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Accepted(Box<TransferOrder>),
    Moved(OutBillNo, Stand),
    /// A number came again with other data.
    Differs(OutBillNo),
    /// A send of a number came so long after it was accepted.
    TooLate(OutBillNo),
}

/// WeChat.
#[derive(Debug)]
pub struct Wechat {
    seed: u64,
    /// Whether users act by themselves.
    lively: bool,
    /// Whether a bill shows money when it is locked rather than when it is paid.
    shows_locks: bool,
    transfers: BTreeMap<OutBillNo, Transfer>,
    transfers_of: BTreeMap<String, u64>,
    events: BTreeMap<(Timestamp, u64), Event>,
    scheduled: u64,
    /// Each merchant's account.
    accounts: BTreeMap<MchId, Account>,
    notices: BTreeMap<u64, Notice>,
    /// The product that each merchant's payouts go by; the transfer of 2025 where nothing is said.
    pub(crate) products: BTreeMap<MchId, RailKind>,
    /// How many orders of a merchant may come in one request.
    pub(crate) packs: BTreeMap<MchId, u16>,
    pub(crate) news: Vec<News>,
    pub(crate) faults: Pending<WechatFault>,
    pub(crate) notice_faults: Pending<NoticeFault>,
    pub(crate) bill_faults: Pending<BillFault>,
    /// Days whose bill came with a row too few or too many, with the number that was missing.
    pub(crate) wrong_days: BTreeMap<(MchId, BusinessDate), Option<OutBillNo>>,
}

/// What a merchant has at WeChat.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// What lies there by the bills, in fen.
    pub(crate) balance: i64,
    /// What of it is locked and not shown on a bill yet, in fen.
    locked: i64,
    flow: Vec<FlowLine>,
}

impl Wechat {
    /// Nobody has an account yet.
    pub(crate) fn new(seed: u64, lively: bool, shows_locks: bool) -> Wechat {
        Wechat {
            seed,
            lively,
            shows_locks,
            transfers: BTreeMap::new(),
            transfers_of: BTreeMap::new(),
            events: BTreeMap::new(),
            scheduled: 0,
            accounts: BTreeMap::new(),
            notices: BTreeMap::new(),
            products: BTreeMap::new(),
            packs: BTreeMap::new(),
            news: Vec::new(),
            faults: Pending::default(),
            notice_faults: Pending::default(),
            bill_faults: Pending::default(),
            wrong_days: BTreeMap::new(),
        }
    }

    /// Every transfer, by number.
    #[must_use]
    pub fn transfers(&self) -> &BTreeMap<OutBillNo, Transfer> {
        &self.transfers
    }

    /// Every transfer of a payout.
    pub(crate) fn of_payout(&self, payout: PayoutId) -> impl Iterator<Item = &Transfer> {
        let numbers = OutBillNo::new(payout, 1)..=OutBillNo::new(payout, 99);
        self.transfers.range(numbers).map(|(_, transfer)| transfer)
    }

    /// Whether anything is still going to happen to a transfer, or a request is on the wire.
    pub(crate) fn rests(&self) -> bool {
        self.transfers.values().all(|t| t.stand.is_final())
            && !self.events.values().any(|e| matches!(e, Event::Arrive(_)))
    }

    /// Whether a request with this number is on the wire.
    pub(crate) fn is_under_way(&self, number: OutBillNo) -> bool {
        let has = |orders: &[TransferOrder]| orders.iter().any(|order| order.number == number);
        let mut events = self.events.values();
        events.any(|event| matches!(event, Event::Arrive(orders) if has(orders)))
    }

    pub(crate) fn schedule(&mut self, at: Timestamp, event: Event) {
        self.scheduled += 1;
        self.events.insert((at, self.scheduled), event);
    }

    /// Takes what happens up to a moment, the earliest first.
    pub(crate) fn due(&mut self, now: Timestamp) -> Option<(Timestamp, Event)> {
        let first = self.events.first_entry()?;
        let (at, _) = *first.key();
        (at <= now).then(|| (at, first.remove()))
    }

    /// When something happens next.
    pub(crate) fn next_event(&self) -> Option<Timestamp> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    /// Whether it was closed because nobody confirmed.
    pub(crate) fn is_overdue(&self, number: OutBillNo) -> bool {
        let reason = self
            .transfers
            .get(&number)
            .and_then(|t| t.reason.as_deref());
        reason == Some("OVERDUE_CLOSE")
    }

    /// What a merchant can still pay, in fen.
    fn free(&self, merchant: &MchId) -> i64 {
        let account = self.accounts.get(merchant);
        account.map_or(0, |account| account.balance - account.locked)
    }

    /// A merchant's account.
    pub(crate) fn account(&mut self, merchant: &MchId) -> &mut Account {
        self.accounts.entry(merchant.clone()).or_default()
    }

    /// A transfer goes on by itself.
    pub(crate) fn happens(&mut self, now: Timestamp, event: &Event, shown: bool) {
        match event {
            Event::Arrive(orders) => self.late(now, orders),
            Event::Lock(number) if self.is_packed(*number) => self.lock_pack(now, *number),
            Event::Lock(number) => self.lock(now, *number),
            Event::Expire(number) if self.is_packed(*number) => self.pack_expires(now, *number),
            Event::Expire(number) if self.is_packet(*number) => self.packet_expires(now, *number),
            Event::Expire(number) => {
                if self.stands(*number).is_some_and(|stand| !stand.is_final()) {
                    self.end(now, *number, Stand::Fail, Some("OVERDUE_CLOSE"));
                }
            }
            Event::Confirm(number) => {
                let shown = shown || self.is_packet(*number);
                self.person_confirms(now, *number, shown);
            }
            Event::Pay(number) => {
                if self.stands(*number) == Some(Stand::Transfering) {
                    let failed = self.person_fails(*number);
                    let stand = failed.map_or(Stand::Success, |_| Stand::Fail);
                    self.end(now, *number, stand, failed);
                }
            }
            Event::Cancelled(number) => {
                if self.stands(*number) == Some(Stand::Canceling) {
                    self.end(now, *number, Stand::Cancelled, None);
                }
            }
            Event::Deliver(_) => {}
        }
    }

    /// A request that was under way for long arrives.
    fn late(&mut self, now: Timestamp, orders: &[TransferOrder]) {
        let product = orders.first().map(batches::product);
        match (product, orders) {
            (Some(RailKind::Enterprise), [order]) => {
                self.enterprise(now, order);
            }
            (Some(RailKind::RedPacket), [order]) => {
                self.packet(now, order);
            }
            (_, [order]) => {
                self.create(now, order);
            }
            (_, orders) => {
                self.create_pack(now, orders);
            }
        }
    }

    pub(crate) fn is_packet(&self, number: OutBillNo) -> bool {
        let known = self.transfers.get(&number);
        known.is_some_and(|known| batches::product(&known.order) == RailKind::RedPacket)
    }

    /// Where a number stands.
    pub(crate) fn stands(&self, number: OutBillNo) -> Option<Stand> {
        self.transfers.get(&number).map(|transfer| transfer.stand)
    }

    fn moves(&mut self, now: Timestamp, number: OutBillNo, stand: Stand) {
        if let Some(transfer) = self.transfers.get_mut(&number) {
            transfer.stand = stand;
            transfer.since = now;
            self.news.push(News::Moved(number, stand));
        }
    }

    /// Locks the money, or tries again later.
    fn lock(&mut self, now: Timestamp, number: OutBillNo) {
        let waits = |stand| matches!(stand, Stand::Accepted | Stand::Processing);
        let transfer = self.transfers.get(&number);
        let transfer = transfer.filter(|transfer| waits(transfer.stand));
        let Some((merchant, amount)) =
            transfer.map(|transfer| (transfer.order.mchid.clone(), transfer.order.amount.0))
        else {
            return;
        };
        if amount > self.free(&merchant) {
            self.moves(now, number, Stand::Processing);
            self.schedule(now.after_ms(10 * 60_000), Event::Lock(number));
            return;
        }
        self.locks(now, number);
        if self.products.get(&merchant) == Some(&RailKind::Batch) {
            self.pays_without_asking(now, number);
            return;
        }
        self.moves(now, number, Stand::WaitUserConfirm);
        self.person_sees(now, number);
    }

    /// The money of a transfer is set aside.
    fn locks(&mut self, now: Timestamp, number: OutBillNo) {
        let Some(transfer) = self.transfers.get_mut(&number) else {
            return;
        };
        transfer.locked = true;
        let (merchant, amount) = (transfer.order.mchid.clone(), transfer.order.amount.0);
        self.shows_lock(now, (&merchant, number), amount);
    }

    /// Something is over: money goes to the wallet or back, and somebody is told.
    pub(crate) fn end(
        &mut self,
        now: Timestamp,
        number: OutBillNo,
        stand: Stand,
        reason: Option<&str>,
    ) {
        let Some(transfer) = self.transfers.get_mut(&number) else {
            return;
        };
        transfer.reason = reason.map(str::to_owned);
        let (locked, amount) = (transfer.locked, transfer.order.amount.0);
        let merchant = transfer.order.mchid.clone();
        transfer.locked = false;
        if locked {
            let paid = stand == Stand::Success;
            self.shows_end(now, (&merchant, number), amount, paid);
        }
        self.moves(now, number, stand);
        // The other products are asked about.
        if !self.products.contains_key(&merchant) {
            self.tell(now, number);
        }
    }
}
