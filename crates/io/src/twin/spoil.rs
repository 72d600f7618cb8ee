//! Books that lie, for whoever must find that out: something is changed past every rule.

use lingqian_core::id::PayoutId;
use lingqian_core::ledger::Account;
use lingqian_core::payout::State;

use super::MemoryStore;
use super::books::Books;

/// What is made wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spoil {
    /// So many micro-yuan are on one account instead of another, and no entry says so.
    Moved(Account, Account, i64),
    /// So many micro-yuan are on an account, and on no other is less.
    Made(Account, i64),
    /// The payout's entries are no longer the payout's.
    Entries(PayoutId),
    /// The payout is where its money is not: final, or no longer so.
    State(PayoutId),
    /// It is no longer waited for.
    Wait(PayoutId),
    /// One payout more is counted in its state.
    Counted(PayoutId),
}

impl MemoryStore {
    /// Makes something wrong. Facts that were read before are not what is stored any more.
    pub fn spoil(&self, spoil: &Spoil) {
        let mut shared = self.lock();
        shared.books.generation += 1;
        shared.books.spoil(spoil);
    }
}

impl Books {
    fn spoil(&mut self, spoil: &Spoil) {
        match spoil {
            Spoil::Moved(from, to, micros) => {
                self.add(*from, micros.saturating_neg());
                self.add(*to, *micros);
            }
            Spoil::Made(account, micros) => self.add(*account, *micros),
            Spoil::Entries(payout) => {
                for entry in &mut self.entries {
                    if entry.payout() == Some(*payout) {
                        let sides = (entry.debit(), entry.credit());
                        let (amount, cause) = (entry.amount(), entry.cause());
                        let at = entry.at();
                        let alone =
                            lingqian_core::ledger::Entry::new(sides, amount, cause, None, at);
                        *entry = alone.unwrap_or_else(|| entry.clone());
                    }
                }
            }
            Spoil::State(payout) => {
                if let Some(payout) = self.payouts.get_mut(payout) {
                    payout.state = if payout.state.is_final() {
                        State::Approved
                    } else {
                        State::Cancelled(payout.state.attempt().cloned())
                    };
                }
            }
            Spoil::Wait(payout) => {
                self.work.remove(payout);
            }
            Spoil::Counted(payout) => {
                if let Some(payout) = self.payouts.get(payout) {
                    self.states.entry(payout.state.name()).or_default().0 += 1;
                }
            }
        }
    }

    fn add(&mut self, account: Account, micros: i64) {
        let balance = self.balances.entry(account).or_default();
        balance.0 = balance.0.saturating_add(micros);
    }
}
