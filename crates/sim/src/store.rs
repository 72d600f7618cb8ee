//! A store between the engine and the real one: it counts the moments at which a process may
//! die, lets things go wrong, and shows every commit to the onlooker.
//!
//! An operation of the store beneath happens at once, between two moments; the engine may die
//! before it and after it, and then it has happened or not, but never by half.

use lingqian_core::command::{ApiKey, DeadLetter};
use lingqian_core::control::{Deed, Stop};
use lingqian_core::facts::Wallet;
use lingqian_core::id::{MerchantNo, OutBillNo, PayoutId, UserId, UserNo};
use lingqian_core::letter::{LetterId, Mark};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::reconcile::{Bill, Break};
use lingqian_core::risk::Policy;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::Merchant;
use lingqian_core::withdrawal::Withdrawal;
use lingqian_core::{Changes, EventBatch, Facts, Keys, Outcome};
use lingqian_io::outbox::Report;
use lingqian_io::store::{
    Audited, Claim, Committed, EventAnswer, LetterRow, LetterWish, PayoutFilter, PayoutRow,
    PayoutStory, Standing, StatementLine, Summary, WithdrawalAnswer, earn_by_commands,
    withdraw_by_commands,
};
use lingqian_io::{Browse, Fault, Store};

use crate::fault::StoreFault;
use crate::scene::{Scene, Shared};
use crate::wait::wait;

/// The store of one process.
#[derive(Clone, Debug)]
pub struct SimStore<S> {
    inner: S,
    scene: Scene,
    process: usize,
    /// Whether events and withdrawals go the store's own fast ways. Where they do, no commit of
    /// theirs is seen; where they do not, a process may also die in the middle of them.
    fast: bool,
}

fn retry() -> Fault {
    Fault::Retry("the world was told to fail".into())
}

fn unknown() -> Fault {
    Fault::Unknown("the world was told to lose the answer".into())
}

impl Shared {
    /// A commit became durable.
    pub(crate) fn committed(&mut self, changes: &Changes) {
        if self.trace.is_some() {
            for (payout, _) in &changes.payouts {
                let before = self.oracle.payouts.get(&payout.id);
                let before = before.map_or("", |watched| watched.payout.state.name());
                let (name, state) = (payout.reference.to_string(), payout.state.name());
                if before != state {
                    self.tell(|| format!("  {name}: {state}"));
                }
            }
            for bill in &changes.bills {
                let (date, from, to) = (bill.date, bill.opening, bill.closing);
                self.tell(|| format!("  the bill of {date} is closed: {from} to {to}"));
            }
            for found in &changes.breaks {
                let what = if found.closed_at.is_some() {
                    "closes"
                } else {
                    "opens"
                };
                let subject = match PayoutId::parse(&found.subject) {
                    Ok(payout) => self.oracle.name_of(payout),
                    Err(_) => found.subject.clone(),
                };
                let kind = found.kind.code();
                self.tell(|| format!("  a break {what}: {subject} {kind}"));
            }
        }
        let Shared { oracle, wechat, .. } = self;
        oracle.committed(changes, wechat);
    }
}

impl<S: Store + Browse + Clone> SimStore<S> {
    pub(crate) fn new(inner: S, scene: Scene, process: usize, fast: bool) -> SimStore<S> {
        SimStore {
            inner,
            scene,
            process,
            fast,
        }
    }

    pub(crate) async fn look<T, F>(&self, look: impl FnOnce(S) -> F + Send) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
        T: Send,
    {
        self.scene.moment(self.process).await;
        let fails = self.scene.lock().store_faults.take(StoreFault::Look);
        let looked = if fails {
            Err(retry())
        } else {
            wait(look(self.inner.clone()))
        };
        self.scene.moment(self.process).await;
        looked
    }

    /// What came of messages is about to be kept.
    pub(crate) fn told(&self, reports: &[Report]) {
        self.scene.lock().oracle.reported(reports);
    }

    /// What a commit runs into: nothing, or an answer and whether it is written all the same.
    fn spoiled(&self) -> Option<(Result<Committed, Fault>, bool)> {
        let faults = &mut self.scene.lock().store_faults;
        if faults.take(StoreFault::Commit) {
            return Some((Err(retry()), false));
        }
        if faults.take(StoreFault::CommitLost) {
            return Some((Err(unknown()), false));
        }
        if faults.take(StoreFault::CommitUnanswered) {
            return Some((Err(unknown()), true));
        }
        let conflicts = !self.fast && faults.take(StoreFault::CommitConflict);
        conflicts.then_some((Ok(Committed::Conflict), false))
    }

    /// One of the store's fast ways: whole, or not at all.
    async fn whole<T: Send>(
        &self,
        write: impl FnOnce(&S) -> Result<T, Fault> + Send,
        shown: impl FnOnce(&S, &mut Shared, &T) + Send,
    ) -> Result<T, Fault> {
        self.scene.moment(self.process).await;
        let fails = self.scene.lock().store_faults.take(StoreFault::Prefetch);
        let spoiled = if fails {
            Some((Err(retry()), false))
        } else {
            self.spoiled()
        };
        let answer = match spoiled {
            Some((answer, false)) => Err(answer.err().unwrap_or_else(retry)),
            spoiled => {
                let written = write(&self.inner);
                if let Ok(written) = &written {
                    shown(&self.inner, &mut self.scene.lock(), written);
                }
                match spoiled {
                    Some((answer, _)) => Err(answer.err().unwrap_or_else(retry)),
                    None => written,
                }
            }
        };
        self.scene.moment(self.process).await;
        answer
    }
}

impl<S: Store + Browse + Clone> Store for SimStore<S> {
    async fn prefetch(&self, keys: Keys) -> Result<Facts, Fault> {
        self.scene.moment(self.process).await;
        let fails = self.scene.lock().store_faults.take(StoreFault::Prefetch);
        let facts = if fails {
            Err(retry())
        } else {
            wait(self.inner.prefetch(keys))
        };
        self.scene.moment(self.process).await;
        facts
    }

    async fn commit(&self, basis: u64, changes: Changes) -> Result<Committed, Fault> {
        self.scene.moment(self.process).await;
        let spoiled = self.spoiled();
        let answer = match spoiled {
            Some((answer, false)) => answer,
            spoiled => {
                let seen = changes.clone();
                let committed = wait(self.inner.commit(basis, changes));
                match &committed {
                    Ok(Committed::Done) => self.scene.lock().committed(&seen),
                    Err(Fault::Broken(words)) => {
                        let words = words.clone();
                        let oracle = &mut self.scene.lock().oracle;
                        oracle.check(false, "nothing_is_broken", || words);
                    }
                    _ => {}
                }
                spoiled.map_or(committed, |(answer, _)| answer)
            }
        };
        self.scene.moment(self.process).await;
        answer
    }

    async fn earn(&self, now: Timestamp, events: EventBatch) -> Result<Vec<EventAnswer>, Fault> {
        if !self.fast {
            return earn_by_commands(self, now, events).await;
        }
        self.whole(move |store| wait(store.earn(now, events)), |_, _, _| {})
            .await
    }

    async fn withdraw(
        &self,
        now: Timestamp,
        policy: &Policy,
        requests: Vec<Withdrawal>,
    ) -> Result<Vec<WithdrawalAnswer>, Fault> {
        if !self.fast {
            return withdraw_by_commands(self, now, policy, requests).await;
        }
        let shown = |store: &S, shared: &mut Shared, answers: &Vec<WithdrawalAnswer>| {
            for answer in answers {
                if let Ok(Outcome::Withdrawn {
                    payout,
                    replayed: false,
                    ..
                }) = answer
                    && let Ok(Some(story)) = wait(store.payout(*payout))
                {
                    let name = story.row.payout.reference.to_string();
                    shared.tell(|| format!("  {name}: requested"));
                    shared.oracle.learn(&story.row.payout);
                }
            }
        };
        let policy = policy.clone();
        self.whole(
            move |store| wait(store.withdraw(now, &policy, requests)),
            shown,
        )
        .await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<PayoutId>, Fault> {
        self.scene.moment(self.process).await;
        let claimed = if self.scene.lock().store_faults.take(StoreFault::Claim) {
            Err(retry())
        } else {
            let claimed = wait(self.inner.claim(claim));
            let mut shared = self.scene.lock();
            if let Ok(payouts) = &claimed {
                shared.oracle.claimed(payouts, claim.now, claim.lease_until);
            }
            match shared.store_faults.take(StoreFault::ClaimUnanswered) {
                true => Err(unknown()),
                false => claimed,
            }
        };
        self.scene.moment(self.process).await;
        claimed
    }

    async fn audit(&self) -> Result<Audited, Fault> {
        self.look(|store| async move { store.audit().await }).await
    }
}

impl<S: Store + Browse + Clone> Browse for SimStore<S> {
    async fn user(&self, id: &UserId, day: BusinessDate) -> Result<Option<Wallet>, Fault> {
        let id = id.clone();
        self.look(|store| async move { store.user(&id, day).await })
            .await
    }

    async fn statement(
        &self,
        user: UserNo,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<StatementLine>, Fault> {
        self.look(|store| async move { store.statement(user, before, limit).await })
            .await
    }

    async fn payouts(&self, filter: PayoutFilter) -> Result<Vec<PayoutRow>, Fault> {
        self.look(|store| async move { store.payouts(filter).await })
            .await
    }

    async fn payout(&self, id: PayoutId) -> Result<Option<PayoutStory>, Fault> {
        self.look(|store| async move { store.payout(id).await })
            .await
    }

    async fn seated(&self, batch: OutBillNo) -> Result<Vec<PayoutId>, Fault> {
        self.look(|store| async move { store.seated(batch).await })
            .await
    }

    async fn sweepable(
        &self,
        threshold: Micros,
        after: UserNo,
        limit: u32,
    ) -> Result<Vec<(UserNo, UserId)>, Fault> {
        self.look(|store| async move { store.sweepable(threshold, after, limit).await })
            .await
    }

    async fn paid_on(
        &self,
        of: (MerchantNo, BusinessDate),
        after: Option<PayoutId>,
        limit: u32,
    ) -> Result<Vec<PayoutId>, Fault> {
        self.look(|store| async move { store.paid_on(of, after, limit).await })
            .await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, Fault> {
        self.look(|store| async move { store.api_keys().await })
            .await
    }

    async fn merchants(&self) -> Result<Vec<Merchant>, Fault> {
        self.look(|store| async move { store.merchants().await })
            .await
    }

    async fn reconciled(&self) -> Result<(Vec<Bill>, Vec<Break>), Fault> {
        self.look(|store| async move { store.reconciled().await })
            .await
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<(DeadLetter, u64)>, Fault> {
        self.look(|store| async move { store.dead_letters(limit).await })
            .await
    }

    async fn stops(&self) -> Result<Vec<Stop>, Fault> {
        self.look(|store| async move { store.stops().await }).await
    }

    async fn deeds(&self, subject: Option<String>, limit: u32) -> Result<Vec<Deed>, Fault> {
        self.look(|store| async move { store.deeds(subject, limit).await })
            .await
    }

    async fn merchant_days(
        &self,
        since: BusinessDate,
    ) -> Result<Vec<(MerchantNo, BusinessDate, Fen)>, Fault> {
        self.look(|store| async move { store.merchant_days(since).await })
            .await
    }

    async fn letters(&self, wish: LetterWish) -> Result<Vec<LetterRow>, Fault> {
        self.look(|store| async move { store.letters(wish).await })
            .await
    }

    async fn letter(&self, id: LetterId) -> Result<Option<LetterRow>, Fault> {
        self.look(|store| async move { store.letter(id).await })
            .await
    }

    async fn marks(&self, prefix: String) -> Result<Vec<Mark>, Fault> {
        self.look(|store| async move { store.marks(prefix).await })
            .await
    }

    async fn summary(&self) -> Result<Summary, Fault> {
        self.look(|store| async move { store.summary().await })
            .await
    }

    async fn standing(&self) -> Result<Standing, Fault> {
        self.look(|store| async move { store.standing().await })
            .await
    }
}
