//! The account at WeChat and its bill of a day.

use lingqian_core::id::{MchId, OutBillNo};
use lingqian_core::money::Fen;
use lingqian_core::reconcile::{BillLine, Direction};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_io::Fault;
use lingqian_io::rail::{BillFile, FetchedBill};

use super::{Account, Wechat};
use crate::fault::BillFault;

/// Bills are made from nine in the morning of the next day.
const MADE_AFTER_MS: i64 = 9 * 3_600_000;

/// No single movement is larger, in fen.
const TRANSFER_MAX: i64 = 9_000_000_000;

/// One movement of the account.
#[derive(Clone, Debug)]
pub(crate) struct FlowLine {
    at: Timestamp,
    direction: Direction,
    amount: i64,
    balance: i64,
    number: Option<OutBillNo>,
}

impl Wechat {
    /// Money comes in, or is taken out by the operator.
    pub(crate) fn top_up(&mut self, now: Timestamp, merchant: &MchId, fen: i64) {
        let account = self.account(merchant);
        let mut left = fen;
        while left > 0 {
            let part = left.min(TRANSFER_MAX);
            account.flows(now, Direction::In, part, None);
            left -= part;
        }
        account.locked -= fen.min(0);
    }

    pub(super) fn shows_lock(
        &mut self,
        now: Timestamp,
        (merchant, number): (&MchId, OutBillNo),
        amount: i64,
    ) {
        let shows_locks = self.shows_locks;
        let account = self.account(merchant);
        if shows_locks {
            account.flows(now, Direction::Out, amount, Some(number));
        } else {
            account.locked += amount;
        }
    }

    pub(super) fn shows_end(
        &mut self,
        now: Timestamp,
        (merchant, number): (&MchId, OutBillNo),
        amount: i64,
        paid: bool,
    ) {
        let shows_locks = self.shows_locks;
        let account = self.account(merchant);
        if !shows_locks {
            account.locked -= amount;
        }
        match (shows_locks, paid) {
            (false, true) => account.flows(now, Direction::Out, amount, Some(number)),
            (true, false) => account.flows(now, Direction::In, amount, Some(number)),
            (false, false) | (true, true) => {}
        }
    }

    /// What left and what came in on a day by the true books.
    pub(crate) fn true_day(&self, merchant: &MchId, date: BusinessDate) -> (i64, i64) {
        let flow = self.accounts.get(merchant).into_iter();
        let flow = flow.flat_map(|account| &account.flow);
        let of_day = flow.filter(|line| line.at.business_date() == date);
        of_day.fold((0, 0), |(out, came_in), line| match line.direction {
            Direction::Out => (out + line.amount, came_in),
            Direction::In => (out, came_in + line.amount),
        })
    }
}

impl Wechat {
    /// What lay there at the end of a day, by the true books.
    pub(crate) fn true_closing(&self, merchant: &MchId, date: BusinessDate) -> i64 {
        let flow = self.accounts.get(merchant).into_iter();
        let mut flow = flow.flat_map(|account| &account.flow);
        let last = flow.rfind(|line| line.at.business_date() <= date);
        last.map_or(0, |line| line.balance)
    }
}

impl Account {
    fn flows(
        &mut self,
        at: Timestamp,
        direction: Direction,
        amount: i64,
        number: Option<OutBillNo>,
    ) {
        self.balance += match direction {
            Direction::In => amount,
            Direction::Out => -amount,
        };
        let balance = self.balance;
        self.flow.push(FlowLine {
            at,
            direction,
            amount,
            balance,
            number,
        });
    }
}

impl Wechat {
    /// The bill of a merchant's day.
    pub(crate) fn bill(
        &mut self,
        now: Timestamp,
        merchant: &MchId,
        date: BusinessDate,
    ) -> Result<FetchedBill, Fault> {
        if now < date.next().start().after_ms(MADE_AFTER_MS)
            || self.bill_faults.take(BillFault::Late)
        {
            return Ok(FetchedBill::NotYet);
        }
        if self.bill_faults.take(BillFault::Truncated) {
            return Err(Fault::Retry(
                "the bill's totals are not those of its rows".into(),
            ));
        }
        if self.bill_faults.take(BillFault::Damaged) {
            return Err(Fault::Retry("a row of the bill does not read".into()));
        }
        let mut lines = self.lines(merchant, date);
        self.wrong_days.remove(&(merchant.clone(), date));
        if lines.is_empty() {
            return Ok(FetchedBill::Empty);
        }
        let ours = lines.iter().position(|(_, number)| number.is_some());
        if let Some(place) = ours
            && self.bill_faults.take(BillFault::RowMissing)
        {
            let (_, number) = lines.remove(place);
            self.wrong_days.insert((merchant.clone(), date), number);
        } else if let Some(place) = ours
            && self.bill_faults.take(BillFault::RowDoubled)
        {
            lines.insert(place, lines[place].clone());
            self.wrong_days.insert((merchant.clone(), date), None);
        }
        if lines.is_empty() {
            return Ok(FetchedBill::Empty);
        }
        let sha1 = format!("sha1-of-{date}-{}", lines.len());
        let lines = lines.into_iter().map(|(line, _)| line).collect();
        Ok(FetchedBill::Ready(BillFile::of(sha1, lines)))
    }

    fn lines(&self, merchant: &MchId, date: BusinessDate) -> Vec<(BillLine, Option<OutBillNo>)> {
        let flow = self.accounts.get(merchant).into_iter();
        let numbered = (1..).zip(flow.flat_map(|account| &account.flow));
        let of_day = numbered.filter(|(_, line)| line.at.business_date() == date);
        let line = |(no, line): (u64, &FlowLine)| {
            let voucher = line.number.map(|number| number.to_string());
            let written = BillLine {
                flow_no: format!("F{no:08}"),
                booked_at: line.at,
                business_no: format!("B{no:08}"),
                voucher: voucher.unwrap_or_else(|| format!("TOPUP{no}")),
                direction: line.direction,
                amount: Fen(line.amount),
                balance: Fen(line.balance),
                words: "商家转账".into(),
            };
            (written, line.number)
        };
        of_day.map(line).collect()
    }
}
