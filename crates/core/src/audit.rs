//! The books, re-derived from the first entry and compared with what is stored.
//!
//! Feed an [`Audit`] every entry in order, then everything that is stored, and ask what is
//! wrong. It has no opinion on where the records come from, so the same checks run in a test,
//! in `lingqian audit` and in production.

pub mod spot;

use std::collections::BTreeMap;
use std::fmt;

use crate::id::{MerchantNo, PayoutId, UserNo};
use crate::ledger::{Account, Cause, Entry};
use crate::money::{Fen, Micros};
use crate::payout::{Payout, State};
use crate::reconcile::Bill;
use crate::time::BusinessDate;
use crate::user::DayTotals;

/// What must hold at every moment. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// The entries are numbered without a gap.
    SequenceWithoutGap,
    /// All balances add up to zero.
    SumIsZero,
    /// No user account was below zero after any entry.
    NeverNegative,
    /// Each stored balance is the sum of its entries, and each sum is stored.
    BalancesAreSums,
    /// Each credited event has exactly one entry, of its amount.
    EarningsAreEntries,
    /// Whatever is by which a store finds an event or a withdrawal again leads to its entry, for every
    /// one of them.
    NamesAreRemembered,
    /// What was taken back of an event is what its claw-backs took, and no more than it brought.
    ClawBacksFit,
    /// Each payout has one hold, of its amount.
    OneHold,
    /// A final payout's hold ended once and rightly; one that is not final has a live hold.
    HoldMatchesState,
    /// What bills show for a payout is what was booked for it.
    BilledIsBooked,
    /// The counted totals of a user's day are the sums of its payouts.
    DayTotalsAreSums,
    /// How many payouts are in a state, and their sum, is as stored.
    StateTotalsAreSums,
    /// A payout that is not final waits for exactly one thing, a final one for nothing.
    WorkMatchesState,
    /// Every bill's opening plus movements is its closing, and the next day's opening.
    BillsChain,
    /// What lies at WeChat by the ledger is what lines of bills moved, and on each day whose bill
    /// is closed as much as that bill says.
    FloatMatchesBills,
}

impl Invariant {
    /// Every invariant.
    pub const ALL: [Invariant; 15] = [
        Invariant::SequenceWithoutGap,
        Invariant::SumIsZero,
        Invariant::NeverNegative,
        Invariant::BalancesAreSums,
        Invariant::EarningsAreEntries,
        Invariant::NamesAreRemembered,
        Invariant::ClawBacksFit,
        Invariant::OneHold,
        Invariant::HoldMatchesState,
        Invariant::BilledIsBooked,
        Invariant::DayTotalsAreSums,
        Invariant::StateTotalsAreSums,
        Invariant::WorkMatchesState,
        Invariant::BillsChain,
        Invariant::FloatMatchesBills,
    ];

    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Invariant::SequenceWithoutGap => "sequence_without_gap",
            Invariant::SumIsZero => "sum_is_zero",
            Invariant::NeverNegative => "never_negative",
            Invariant::BalancesAreSums => "balances_are_sums",
            Invariant::EarningsAreEntries => "earnings_are_entries",
            Invariant::NamesAreRemembered => "names_are_remembered",
            Invariant::ClawBacksFit => "claw_backs_fit",
            Invariant::OneHold => "one_hold",
            Invariant::HoldMatchesState => "hold_matches_state",
            Invariant::BilledIsBooked => "billed_is_booked",
            Invariant::DayTotalsAreSums => "day_totals_are_sums",
            Invariant::StateTotalsAreSums => "state_totals_are_sums",
            Invariant::WorkMatchesState => "work_matches_state",
            Invariant::BillsChain => "bills_chain",
            Invariant::FloatMatchesBills => "float_matches_bills",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which invariant is broken.
    pub invariant: Invariant,
    /// By what: an account, a payout, a day, a sequence number.
    pub subject: String,
    /// What should be.
    pub expected: String,
    /// What is.
    pub found: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding {
            invariant,
            subject,
            expected,
            found,
        } = self;
        write!(
            f,
            "{}: {subject}: expected {expected}, found {found}",
            invariant.name()
        )
    }
}

/// What the entries say about one payout, in micro-yuan.
#[derive(Clone, Copy, Debug, Default)]
struct Moved {
    holds: u32,
    held: i128,
    settles: u32,
    settled: i128,
    releases: u32,
    released: i128,
    billed: i128,
}

/// One account's sum, and whether a stored balance was compared with it.
#[derive(Clone, Copy, Debug, Default)]
struct Balance {
    sum: i128,
    compared: bool,
}

/// A running audit.
#[derive(Debug, Default)]
pub struct Audit {
    entries: i64,
    balances: BTreeMap<Account, Balance>,
    payouts: BTreeMap<PayoutId, Moved>,
    days: BTreeMap<(UserNo, BusinessDate), DayTotals>,
    earned: (u64, i128),
    bills: BTreeMap<(MerchantNo, BusinessDate), Bill>,
    /// Payouts and their sum in fen, by state.
    states: BTreeMap<String, (u64, i128)>,
    /// What entries moved on a merchant's float, in micro-yuan.
    floats: BTreeMap<MerchantNo, i128>,
    /// What lines of a day's bill moved on it, in fen.
    lines: BTreeMap<(MerchantNo, BusinessDate), i128>,
    findings: Vec<Finding>,
}

impl Audit {
    /// The next entry, with the number it is stored under.
    pub fn entry(&mut self, seq: i64, entry: &Entry) {
        let expected = self.entries.saturating_add(1);
        if seq != expected {
            self.wrong(Invariant::SequenceWithoutGap, "the journal", expected, seq);
        }
        self.entries = seq;
        let amount = i128::from(entry.amount().0);
        for (account, amount) in [
            (entry.debit(), amount.saturating_neg()),
            (entry.credit(), amount),
        ] {
            self.post(account, amount, seq);
            if let Account::Float(merchant) = account {
                let moved = self.floats.entry(merchant).or_default();
                *moved = moved.saturating_add(amount);
            }
        }
        if entry.payout().is_some() {
            self.of_payout(entry);
            return;
        }
        if entry.cause().is_event() {
            self.earned.0 = self.earned.0.saturating_add(1);
        }
        if entry.cause().is_event() || entry.cause() == Cause::Owe {
            self.earned.1 = self.earned.1.saturating_add(amount);
        }
    }

    /// What an entry says about the payout that it belongs to.
    fn of_payout(&mut self, entry: &Entry) {
        let Some(payout) = entry.payout() else {
            return;
        };
        let amount = i128::from(entry.amount().0);
        let moved = self.payouts.entry(payout).or_default();
        match entry.cause() {
            Cause::Hold => {
                moved.holds = moved.holds.saturating_add(1);
                moved.held = moved.held.saturating_add(amount);
            }
            Cause::Settle => {
                moved.settles = moved.settles.saturating_add(1);
                moved.settled = moved.settled.saturating_add(amount);
            }
            Cause::Release => {
                moved.releases = moved.releases.saturating_add(1);
                moved.released = moved.released.saturating_add(amount);
            }
            Cause::BillOut => moved.billed = moved.billed.saturating_add(amount),
            Cause::BillReturn => moved.billed = moved.billed.saturating_sub(amount),
            Cause::Earn
            | Cause::Transfer
            | Cause::ClawBack
            | Cause::Owe
            | Cause::Repay
            | Cause::TopUp
            | Cause::Unexplained => {}
        }
    }

    fn post(&mut self, account: Account, amount: i128, seq: i64) {
        let balance = self.balances.entry(account).or_default();
        balance.sum = balance.sum.saturating_add(amount);
        let balance = balance.sum;
        if balance < 0 && account.never_negative() {
            let subject = format!("{account:?} after entry {seq}");
            self.wrong(Invariant::NeverNegative, subject, "at least 0", balance);
        }
        // What a user owes is this account below zero; nobody can owe less than nothing.
        if balance > 0 && matches!(account, Account::Receivable(_)) {
            let subject = format!("{account:?} after entry {seq}");
            self.wrong(Invariant::NeverNegative, subject, "at most 0", balance);
        }
    }

    /// A stored balance.
    pub fn account(&mut self, account: Account, stored: Micros) {
        let balance = self.balances.entry(account).or_default();
        balance.compared = true;
        let derived = balance.sum;
        if derived != i128::from(stored.0) {
            self.wrong(
                Invariant::BalancesAreSums,
                format!("{account:?}"),
                derived,
                stored.0,
            );
        }
    }

    /// What was taken back of an event, by its own word and by the events that took it.
    pub fn clawed(&mut self, subject: &str, (amount, clawed): (Micros, Micros), taken: Micros) {
        if clawed != taken || clawed > amount || clawed < Micros::ZERO {
            let expected = format!("{} of at most {}", taken.0, amount.0);
            self.wrong(Invariant::ClawBacksFit, subject, expected, clawed.0);
        }
    }

    /// How many events were booked, and their sum.
    pub fn earnings(&mut self, count: u64, sum: i128) {
        if self.earned != (count, sum) {
            let (expected, found) = (format!("{:?}", self.earned), format!("{:?}", (count, sum)));
            self.wrong(
                Invariant::EarningsAreEntries,
                "count and sum",
                expected,
                found,
            );
        }
    }

    /// A booked event, and how much of it the entries that are stored for it book between the
    /// accounts that it names.
    pub fn earning(&mut self, subject: &str, amount: Micros, booked: Option<Micros>) {
        if booked != Some(amount) {
            let found = format!("{:?}", booked.map(|booked| booked.0));
            self.wrong(Invariant::EarningsAreEntries, subject, amount.0, found);
        }
    }

    /// A payout, and how many things it waits for.
    pub fn payout(&mut self, payout: &Payout, waits: u32) {
        let moved = self.payouts.remove(&payout.id).unwrap_or_default();
        let amount = i128::from(payout.amount.0).saturating_mul(10_000);
        if (moved.holds, moved.held) != (1, amount) {
            let found = format!("{} of {}", moved.holds, moved.held);
            self.wrong(
                Invariant::OneHold,
                payout.id,
                format!("1 of {amount}"),
                found,
            );
        }
        let paid = matches!(payout.state, State::Paid(..));
        let ends = match (paid, payout.state.is_final()) {
            (true, _) => ((1, amount), (0, 0)),
            (false, true) => ((0, 0), (1, amount)),
            (false, false) => ((0, 0), (0, 0)),
        };
        let found = (
            (moved.settles, moved.settled),
            (moved.releases, moved.released),
        );
        if found != ends {
            let (expected, found) = (format!("{ends:?}"), format!("{found:?}"));
            self.wrong(Invariant::HoldMatchesState, payout.id, expected, found);
        }
        let billed = i128::from(payout.billed.0).saturating_mul(10_000);
        if moved.billed != billed {
            self.wrong(Invariant::BilledIsBooked, payout.id, moved.billed, billed);
        }
        if waits != u32::from(!payout.state.is_final()) {
            let expected = u32::from(!payout.state.is_final());
            self.wrong(Invariant::WorkMatchesState, payout.id, expected, waits);
        }
        let state = self.states.entry(payout.state.name().to_owned());
        let (count, sum) = state.or_default();
        *count = count.saturating_add(1);
        *sum = sum.saturating_add(i128::from(payout.amount.0));
        if let Some(day) = payout.counted_on {
            let totals = self.days.entry((payout.user, day)).or_default();
            totals.count = totals.count.saturating_add(1);
            totals.amount = Fen(totals.amount.0.saturating_add(payout.amount.0));
        }
    }

    /// Stored totals of a user's day; after all payouts.
    pub fn day(&mut self, user: UserNo, day: BusinessDate, stored: DayTotals) {
        let derived = self.days.remove(&(user, day)).unwrap_or_default();
        if derived != stored {
            let (expected, found) = (format!("{derived:?}"), format!("{stored:?}"));
            let subject = format!("user number {} on {day}", user.0);
            self.wrong(Invariant::DayTotalsAreSums, subject, expected, found);
        }
    }

    /// How many payouts are stored as being in a state, and their sum in fen; after all payouts.
    pub fn state_total(&mut self, state: &str, stored: (u64, i64)) {
        let derived = self.states.remove(state).unwrap_or_default();
        if derived != (stored.0, i128::from(stored.1)) {
            let (expected, found) = (format!("{derived:?}"), format!("{stored:?}"));
            self.wrong(Invariant::StateTotalsAreSums, state, expected, found);
        }
    }

    /// What all booked lines of a day's bill moved: what left less what came in.
    pub fn bill_day(&mut self, (merchant, day): (MerchantNo, BusinessDate), out: i128) {
        let moved = self.lines.entry((merchant, day)).or_default();
        *moved = moved.saturating_add(out);
    }

    /// A closed bill.
    pub fn bill(&mut self, bill: &Bill) {
        let closing = bill
            .opening
            .plus(bill.came_in)
            .and_then(|sum| sum.minus(bill.out));
        if closing != Some(bill.closing) {
            let expected = format!("{closing:?}");
            self.wrong(Invariant::BillsChain, bill.date, expected, bill.closing.0);
        }
        self.bills.insert((bill.merchant, bill.date), bill.clone());
    }

    /// Everything was fed in: what is wrong, in the order in which it was found.
    #[must_use]
    pub fn finish(mut self) -> Vec<Finding> {
        self.finish_balances();
        for (payout, moved) in std::mem::take(&mut self.payouts) {
            let found = format!("{moved:?}");
            self.wrong(Invariant::OneHold, payout, "a payout of that name", found);
        }
        for ((user, day), totals) in std::mem::take(&mut self.days) {
            let subject = format!("user number {} on {day}", user.0);
            self.wrong(
                Invariant::DayTotalsAreSums,
                subject,
                format!("{totals:?}"),
                "nothing",
            );
        }
        for (state, derived) in std::mem::take(&mut self.states) {
            let expected = format!("{derived:?}");
            self.wrong(Invariant::StateTotalsAreSums, state, expected, "nothing");
        }
        self.finish_bills();
        self.findings
    }

    fn finish_balances(&mut self) {
        let left: Vec<(Account, i128)> = self
            .balances
            .iter()
            .filter(|(_, balance)| !balance.compared)
            .map(|(account, balance)| (*account, balance.sum))
            .collect();
        for (account, sum) in left {
            self.wrong(
                Invariant::BalancesAreSums,
                format!("{account:?}"),
                sum,
                "not stored",
            );
        }
    }

    fn finish_bills(&mut self) {
        let mut floats = std::mem::take(&mut self.floats);
        for ((merchant, _), out) in &self.lines {
            let moved = floats.entry(*merchant).or_default();
            *moved = moved.saturating_sub(out.saturating_mul(10_000));
        }
        for (merchant, left) in floats.into_iter().filter(|(_, left)| *left != 0) {
            let subject = format!("merchant number {}", merchant.0);
            let found = format!("{left} that no line moved");
            self.wrong(Invariant::FloatMatchesBills, subject, 0, found);
        }
        let bills = std::mem::take(&mut self.bills);
        let mut before: Option<&Bill> = None;
        for ((merchant, date), bill) in &bills {
            // A day between two whose bill is late may have moved as much as it likes.
            let last = before.filter(|b| b.merchant == *merchant && b.date.next() == *date);
            if let Some(last) = last.filter(|last| last.closing != bill.opening) {
                let (expected, found) = (last.closing.0, bill.opening.0);
                self.wrong(Invariant::BillsChain, date, expected, found);
            }
            before = Some(bill);
            // Lines of a day that is not closed yet are compared with nothing.
            let opening = i128::from(bill.opening.0);
            let out = opening.saturating_sub(i128::from(bill.closing.0));
            let moved = self.lines.get(&(*merchant, *date)).copied().unwrap_or(0);
            if moved != out {
                self.wrong(Invariant::FloatMatchesBills, date, out, moved);
            }
        }
    }

    /// All stored balances, added up.
    pub fn total(&mut self, sum: i128) {
        if sum != 0 {
            self.wrong(Invariant::SumIsZero, "all accounts", 0, sum);
        }
    }

    fn wrong(
        &mut self,
        invariant: Invariant,
        subject: impl ToString,
        expected: impl ToString,
        found: impl ToString,
    ) {
        self.findings.push(Finding {
            invariant,
            subject: subject.to_string(),
            expected: expected.to_string(),
            found: found.to_string(),
        });
    }
}
