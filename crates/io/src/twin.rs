//! In-memory implementations of the ports, for tests and for the simulated world.
//!
//! [`MemoryStore`] keeps the promises of [`Store`] and [`Browse`] to the letter and nothing
//! beyond them: whoever wants to know what a store does can read it here. On request it fails
//! where a real store can fail ([`FaultPoint`]). Its futures give way once before and once after
//! each operation, so that a caller which drops them reaches every point of a crash.
//!
//! What is absent: nothing here is durable, and nothing is fast for more books than a test has.

mod alerts;
mod audit;
mod books;
mod courier;
mod inbox;
mod links;
mod look;
mod outbox;
mod read_out;
mod spoil;
mod world;
mod write;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use lingqian_core::command::{ApiKey, DeadLetter};
use lingqian_core::control::{Deed, Stop};
use lingqian_core::endpoint::{Endpoint, EndpointId};
use lingqian_core::facts::Wallet;
use lingqian_core::id::{MerchantNo, OutBillNo, PayoutId, UserId, UserNo};
use lingqian_core::letter::{LetterId, Mark};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::notice::Told;
use lingqian_core::reconcile::{Bill, Break};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::Merchant;
use lingqian_core::{Changes, Facts, Keys};

use crate::Fault;
use crate::links::{LinkClaim, LinkFilter, LinkRow, Links};
use crate::outbox::{Delivery, DeliveryLine, Health, Outbox, Report, SinkLease, Wish};
use crate::read_out::{Cursor, Piece, ReadOut};
use crate::store::{
    Audited, Browse, Claim, Committed, LetterRow, LetterWish, PayoutFilter, PayoutRow, PayoutStory,
    Standing, StatementLine, Store, Summary,
};
use books::Books;

pub use alerts::TwinHerald;
pub use courier::TwinCourier;
pub use spoil::Spoil;
pub use world::{ManualClock, SeededDice};

/// Where the next failure happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPoint {
    /// A prefetch is answered [`Fault::Retry`].
    Prefetch,
    /// A commit is answered [`Fault::Retry`]; nothing is written.
    Commit,
    /// A commit is answered [`Fault::Unknown`]; nothing is written.
    CommitLost,
    /// A commit is answered [`Fault::Unknown`]; all of it is written.
    CommitUnanswered,
    /// Somebody else commits just before, so that the commit is a conflict.
    CommitConflict,
    /// A claim is answered [`Fault::Retry`]; nothing is leased. So is a change of deliveries.
    Claim,
    /// Something of [`Browse`], or an audit, is answered [`Fault::Retry`].
    Look,
}

/// The books in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    books: Books,
    faults: VecDeque<FaultPoint>,
}

impl Shared {
    /// Takes the fault that is next in line, if it is one of these.
    fn fault(&mut self, points: &[FaultPoint]) -> Option<FaultPoint> {
        let next = self.faults.front().filter(|next| points.contains(next));
        next.copied().inspect(|_| {
            self.faults.pop_front();
        })
    }
}

impl MemoryStore {
    /// Lets a failure happen. Failures wait in line: each happens once, at the first operation
    /// of its sort after the one before it has happened.
    pub fn fail_next(&self, point: FaultPoint) {
        self.lock().faults.push_back(point);
    }

    /// How many failures still wait.
    #[must_use]
    pub fn failures_left(&self) -> usize {
        self.lock().faults.len()
    }

    /// A panic elsewhere cannot leave the books half written: writing does not panic.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something that is no part of the books.
    async fn change<T>(&self, change: impl FnOnce(&mut Books) -> T + Send) -> Result<T, Fault> {
        give_way().await;
        let changed = {
            let mut shared = self.lock();
            match shared.fault(&[FaultPoint::Claim]) {
                Some(_) => Err(retry()),
                None => Ok(change(&mut shared.books)),
            }
        };
        give_way().await;
        changed
    }

    async fn look<T>(&self, look: impl FnOnce(&Books) -> T + Send) -> Result<T, Fault> {
        give_way().await;
        let looked = {
            let mut shared = self.lock();
            match shared.fault(&[FaultPoint::Look]) {
                Some(_) => Err(retry()),
                None => Ok(look(&shared.books)),
            }
        };
        give_way().await;
        looked
    }
}

fn retry() -> Fault {
    Fault::Retry("the twin was told to fail".into())
}

/// Lets others run once.
async fn give_way() {
    let mut gave_way = false;
    poll_fn(|context| {
        if gave_way {
            return Poll::Ready(());
        }
        gave_way = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Store for MemoryStore {
    async fn prefetch(&self, keys: Keys) -> Result<Facts, Fault> {
        give_way().await;
        let facts = {
            let mut shared = self.lock();
            match shared.fault(&[FaultPoint::Prefetch]) {
                Some(_) => Err(retry()),
                None => Ok(shared.books.facts(&keys)),
            }
        };
        give_way().await;
        facts
    }

    async fn commit(&self, basis: u64, changes: Changes) -> Result<Committed, Fault> {
        give_way().await;
        let committed = {
            let mut shared = self.lock();
            let fault = shared.fault(&[
                FaultPoint::Commit,
                FaultPoint::CommitLost,
                FaultPoint::CommitUnanswered,
                FaultPoint::CommitConflict,
            ]);
            let unknown = || Fault::Unknown("the twin was told to lose the answer".into());
            match fault {
                Some(FaultPoint::Commit) => Err(retry()),
                Some(FaultPoint::CommitLost) => Err(unknown()),
                Some(FaultPoint::CommitUnanswered) => shared
                    .books
                    .commit(basis, changes)
                    .and_then(|_| Err(unknown())),
                Some(FaultPoint::CommitConflict) => {
                    shared.books.generation += 1;
                    Ok(Committed::Conflict)
                }
                _ => shared.books.commit(basis, changes),
            }
        };
        give_way().await;
        committed
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<PayoutId>, Fault> {
        self.change(|books| books.claim(&claim)).await
    }

    async fn audit(&self) -> Result<Audited, Fault> {
        self.look(Books::audit).await
    }
}

impl Browse for MemoryStore {
    async fn user(&self, id: &UserId, day: BusinessDate) -> Result<Option<Wallet>, Fault> {
        self.look(|books| {
            let user = books.user_by_id(id)?;
            Some(books.wallet(user, &[day]))
        })
        .await
    }

    async fn statement(
        &self,
        user: UserNo,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<StatementLine>, Fault> {
        self.look(|books| books.statement(user, before, limit))
            .await
    }

    async fn payouts(&self, filter: PayoutFilter) -> Result<Vec<PayoutRow>, Fault> {
        self.look(|books| books.list(&filter)).await
    }

    async fn payout(&self, id: PayoutId) -> Result<Option<PayoutStory>, Fault> {
        self.look(|books| books.story(id)).await
    }

    async fn seated(&self, batch: OutBillNo) -> Result<Vec<PayoutId>, Fault> {
        self.look(|books| books.seated(batch)).await
    }

    async fn sweepable(
        &self,
        threshold: Micros,
        after: UserNo,
        limit: u32,
    ) -> Result<Vec<(UserNo, UserId)>, Fault> {
        self.look(|books| books.sweepable(threshold, after, limit))
            .await
    }

    async fn paid_on(
        &self,
        of: (MerchantNo, BusinessDate),
        after: Option<PayoutId>,
        limit: u32,
    ) -> Result<Vec<PayoutId>, Fault> {
        self.look(|books| books.paid_on(of, after, limit)).await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, Fault> {
        self.look(Books::api_keys).await
    }

    async fn merchants(&self) -> Result<Vec<Merchant>, Fault> {
        self.look(Books::merchants).await
    }

    async fn stops(&self) -> Result<Vec<Stop>, Fault> {
        self.look(Books::stops).await
    }

    async fn deeds(&self, subject: Option<String>, limit: u32) -> Result<Vec<Deed>, Fault> {
        self.look(|books| books.deeds(subject.as_deref(), limit))
            .await
    }

    async fn merchant_days(
        &self,
        since: BusinessDate,
    ) -> Result<Vec<(MerchantNo, BusinessDate, Fen)>, Fault> {
        self.look(|books| books.merchant_days(since)).await
    }

    async fn reconciled(&self) -> Result<(Vec<Bill>, Vec<Break>), Fault> {
        self.look(Books::reconciled).await
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<(DeadLetter, u64)>, Fault> {
        self.look(|books| books.dead_letters(limit)).await
    }

    async fn letters(&self, wish: LetterWish) -> Result<Vec<LetterRow>, Fault> {
        self.look(|books| books.letters(wish)).await
    }

    async fn letter(&self, id: LetterId) -> Result<Option<LetterRow>, Fault> {
        self.look(|books| books.letter(&id)).await
    }

    async fn marks(&self, prefix: String) -> Result<Vec<Mark>, Fault> {
        self.look(|books| books.marks(&prefix)).await
    }

    async fn summary(&self) -> Result<Summary, Fault> {
        self.look(Books::summary).await
    }

    async fn standing(&self) -> Result<Standing, Fault> {
        self.look(Books::standing).await
    }
}

impl Outbox for MemoryStore {
    async fn notices(&self, after: i64, limit: u32) -> Result<Vec<Told>, Fault> {
        self.look(|books| books.outbox.notices(after, limit)).await
    }

    async fn newest_notice(&self) -> Result<i64, Fault> {
        self.look(|books| books.outbox.newest()).await
    }

    async fn endpoints(&self) -> Result<Vec<(Endpoint, Health)>, Fault> {
        self.look(|books| books.outbox.endpoints()).await
    }

    async fn deliveries(
        &self,
        endpoint: &EndpointId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeliveryLine>, Fault> {
        self.look(|books| books.outbox.deliveries(endpoint, after, limit))
            .await
    }

    async fn plan(&self, now: Timestamp, limit: u32) -> Result<u64, Fault> {
        self.change(|books| books.outbox.plan(now, limit)).await
    }

    async fn claim_deliveries(&self, wish: Wish) -> Result<Vec<Delivery>, Fault> {
        self.change(|books| books.outbox.claim(&wish)).await
    }

    async fn report_deliveries(&self, reports: Vec<Report>) -> Result<(), Fault> {
        self.change(|books| {
            let reports = reports.into_iter();
            reports.for_each(|report| books.outbox.report(report));
        })
        .await
    }

    async fn lease_sink(&self, lease: SinkLease) -> Result<bool, Fault> {
        self.change(|books| books.outbox.lease(lease)).await
    }

    async fn replay(
        &self,
        endpoint: &EndpointId,
        numbers: (i64, i64),
        now: Timestamp,
    ) -> Result<u64, Fault> {
        self.change(|books| books.outbox.replay(endpoint, numbers, now))
            .await
    }
}

impl Links for MemoryStore {
    async fn claim_links(&self, claim: LinkClaim) -> Result<Vec<LinkRow>, Fault> {
        self.change(|books| books.claim_links(&claim)).await
    }

    async fn links(&self, filter: LinkFilter) -> Result<Vec<LinkRow>, Fault> {
        self.look(|books| books.some_links(&filter)).await
    }
}

impl ReadOut for MemoryStore {
    async fn read_out(&self, from: Cursor, limit: u32) -> Result<Piece, Fault> {
        self.look(|books| books.read_out(&from, limit)).await
    }

    async fn newest_entry(&self) -> Result<i64, Fault> {
        self.look(|books| i64::try_from(books.entries.len()).unwrap_or(i64::MAX))
            .await
    }
}
