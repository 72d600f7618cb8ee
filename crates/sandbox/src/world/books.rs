//! The merchant's money as WeChat sees it: the operation account, every transfer, the users'
//! wallets, and the lines of the fund-flow bill.
//!
//! Money is whole fen. `available = topped up - locked - paid` can never be negative: `advance`
//! asserts it, because a sandbox that pays what is not there would prove nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::transfer::{Move, State, Transfer};

/// Why a line is on the bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineKind {
    /// The merchant put money in.
    TopUp,
    /// A transfer took money out.
    Transfer,
    /// A transfer gave its money back.
    Return,
}

/// One line of the fund-flow bill.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) at_ms: i64,
    pub(crate) kind: LineKind,
    pub(crate) amount_fen: u64,
    pub(crate) balance_fen: u64,
    /// The transfer's index in `Books::transfers`; none for a top-up.
    pub(crate) transfer: Option<usize>,
    pub(crate) note: String,
}

/// What one user has received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wallet {
    pub(crate) paid_fen: u64,
    pub(crate) paid_count: u64,
}

/// The books.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) transfers: Vec<Transfer>,
    pub(crate) lines: Vec<Line>,
    pub(crate) wallets: BTreeMap<String, Wallet>,
    pub(crate) topped_up_fen: u64,
    pub(crate) locked_fen: u64,
    pub(crate) paid_fen: u64,
    /// Balance by the bill's lines, which may book later than the money moves.
    pub(crate) booked_fen: u64,
    by_out_bill_no: HashMap<String, usize>,
    by_transfer_bill_no: HashMap<String, usize>,
    due: BTreeSet<(i64, usize)>,
    starved: BTreeSet<usize>,
}

impl Books {
    /// Money that a new transfer may lock.
    pub(crate) fn available_fen(&self) -> u64 {
        (self.topped_up_fen - self.paid_fen) - self.locked_fen
    }

    /// The transfer of a merchant's number.
    pub(crate) fn transfer(&self, out_bill_no: &str) -> Option<&Transfer> {
        self.by_out_bill_no.get(out_bill_no).map(|index| &self.transfers[*index])
    }

    /// The transfer of a WeChat number.
    pub(crate) fn by_wechat(&self, transfer_bill_no: &str) -> Option<&Transfer> {
        self.by_transfer_bill_no.get(transfer_bill_no).map(|index| &self.transfers[*index])
    }

    /// The transfer that the clock moves next, if its time has come.
    pub(crate) fn next_due(&self, now_ms: i64) -> Option<&Transfer> {
        let (_, index) = self.due.first().filter(|(due_ms, _)| *due_ms <= now_ms)?;
        Some(&self.transfers[*index])
    }

    /// When the clock moves something next.
    pub(crate) fn next_due_ms(&self) -> Option<i64> {
        self.due.first().map(|(due_ms, _)| *due_ms)
    }

    /// The oldest transfer in PROCESSING that the account can pay for.
    pub(crate) fn next_fed(&self) -> Option<&Transfer> {
        let affordable = |index: &&usize| {
            self.transfers[**index].order.amount_fen <= self.available_fen()
        };
        self.starved.iter().find(affordable).map(|index| &self.transfers[*index])
    }

    pub(super) fn top_up(&mut self, at_ms: i64, amount_fen: u64, note: &str) {
        self.topped_up_fen += amount_fen;
        self.booked_fen += amount_fen;
        self.write(Line {
            at_ms,
            kind: LineKind::TopUp,
            amount_fen,
            balance_fen: self.booked_fen,
            transfer: None,
            note: note.to_owned(),
        });
    }

    pub(super) fn accept(&mut self, transfer: &Transfer) {
        let index = self.transfers.len();
        let number = transfer.order.out_bill_no.clone();
        assert!(self.by_out_bill_no.insert(number, index).is_none(), "one transfer per number");
        self.by_transfer_bill_no.insert(transfer.transfer_bill_no.clone(), index);
        self.due.extend(transfer.due_ms.map(|due_ms| (due_ms, index)));
        self.transfers.push(transfer.clone());
    }

    pub(super) fn advance(&mut self, step: &Move) {
        let index = self.by_out_bill_no[&step.out_bill_no];
        let before = self.transfers[index].clone();
        assert!(!before.state.is_final(), "a final state never changes");
        if let Some(due_ms) = before.due_ms {
            self.due.remove(&(due_ms, index));
        }
        self.due.extend(step.due_ms.map(|due_ms| (due_ms, index)));
        if step.state == State::Processing {
            self.starved.insert(index);
        } else {
            self.starved.remove(&index);
        }
        self.move_money(&before, step);
        self.book(index, &before, step);
        let transfer = &mut self.transfers[index];
        transfer.state = step.state;
        transfer.fail_reason.clone_from(&step.fail_reason);
        transfer.updated_ms = step.at_ms;
        transfer.due_ms = step.due_ms;
        transfer.hand = step.hand;
        transfer.locked = holds_money(step.state);
        transfer.paid_times += u32::from(step.state == State::Success);
    }

    fn move_money(&mut self, before: &Transfer, step: &Move) {
        let amount_fen = before.order.amount_fen;
        match (before.locked, holds_money(step.state)) {
            (false, true) => {
                assert!(amount_fen <= self.available_fen(), "only money that is there is locked");
                self.locked_fen += amount_fen;
            }
            (true, false) => self.locked_fen -= amount_fen,
            (true, true) | (false, false) => {}
        }
        if step.state == State::Success {
            assert!(before.locked, "only locked money is paid");
            self.paid_fen += amount_fen;
            let wallet = self.wallets.entry(before.order.openid.clone()).or_default();
            wallet.paid_fen += amount_fen;
            wallet.paid_count += 1;
        }
    }

    fn book(&mut self, index: usize, before: &Transfer, step: &Move) {
        let amount_fen = before.order.amount_fen;
        let gives_back = matches!(step.state, State::Fail | State::Cancelled) && before.booked;
        let takes = (step.book || step.state == State::Success) && !before.booked;
        let kind = match (takes, gives_back) {
            (true, _) => LineKind::Transfer,
            (_, true) => LineKind::Return,
            (false, false) => return,
        };
        let note = match kind {
            LineKind::Return => step.fail_reason.clone().unwrap_or_default(),
            LineKind::Transfer | LineKind::TopUp => before.order.remark.clone(),
        };
        self.booked_fen = match kind {
            LineKind::Transfer => self.booked_fen - amount_fen,
            LineKind::Return | LineKind::TopUp => self.booked_fen + amount_fen,
        };
        let balance_fen = self.booked_fen;
        let transfer = Some(index);
        self.write(Line { at_ms: step.at_ms, kind, amount_fen, balance_fen, transfer, note });
        self.transfers[index].booked = takes;
    }

    /// Lines are kept in the order of their times, although a due step may be carried out late.
    fn write(&mut self, line: Line) {
        self.lines.push(line);
    }
}

fn holds_money(state: State) -> bool {
    matches!(state, State::WaitUserConfirm | State::Transfering | State::Canceling)
}
