//! Our payouts against their bill, in both directions.
//!
//! Every line of a bill is matched to a payout, explained, or an open break; every payout that
//! ended on a day is seen on a bill or is an open break. There is no third bucket. A break
//! closes by itself when a later line makes the two sides agree.

use crate::changes::Changes;
use crate::command::Outcome;
use crate::execute::Moment;
use crate::facts::Facts;
use crate::id::{KindNo, MerchantNo, OutBillNo, PayoutId};
use crate::ledger::{Account, Cause, Entry};
use crate::money::Fen;
use crate::payout::{Payout, State};
use crate::rejection::Rejection;
use crate::time::{BusinessDate, Timestamp};

/// Whether money left the merchant's account or came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// 支出
    Out,
    /// 收入
    In,
}

/// One line of a fund-flow bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillLine {
    /// WeChat's number of the movement, unique per merchant.
    pub flow_no: String,
    /// When it was booked.
    pub booked_at: Timestamp,
    /// WeChat's business number, such as a transfer's.
    pub business_no: String,
    /// The merchant's own number; ours for a payout.
    pub voucher: String,
    /// Out or in.
    pub direction: Direction,
    /// How much; positive.
    pub amount: Fen,
    /// The account's balance after it.
    pub balance: Fen,
    /// The words of the bill for it, for people.
    pub words: String,
}

impl BillLine {
    /// The account's balance before it.
    #[must_use]
    pub fn before(&self) -> Fen {
        match self.direction {
            Direction::Out => Fen(self.balance.0.saturating_add(self.amount.0)),
            Direction::In => Fen(self.balance.0.saturating_sub(self.amount.0)),
        }
    }
}

/// What a line was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// Money of this payout going out.
    Payout(PayoutId),
    /// Money of this payout coming back.
    Returned(PayoutId),
    /// Money that came in.
    TopUp,
    /// Money that left and that nothing explains; there is an open break for it.
    Unexplained,
}

/// A line as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookedLine {
    /// Whose bill.
    pub merchant: MerchantNo,
    /// Which day's bill.
    pub date: BusinessDate,
    /// The line.
    pub line: BillLine,
    /// What it was found to be.
    pub matched: Match,
}

/// One day's bill as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// Whose.
    pub merchant: MerchantNo,
    /// Which day.
    pub date: BusinessDate,
    /// The SHA-1 of the file, as WeChat gave it; empty for a day without movement.
    pub sha1: String,
    /// How many lines.
    pub lines: u64,
    /// What left.
    pub out: Fen,
    /// What came in.
    pub came_in: Fen,
    /// The balance before the first line.
    pub opening: Fen,
    /// The balance after the last line.
    pub closing: Fen,
    /// When it was fetched.
    pub fetched_at: Timestamp,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BreakKind {
    /// Paid by our books, absent from the bill.
    MissingOnBill,
    /// Bill and books differ in the amount, or the bill shows it twice.
    AmountDiffers,
    /// The bill shows it paid, our books have it ended unpaid.
    PaidOnBillOnly,
    /// Money left for something that is not ours.
    UnknownLine,
}

impl BreakKind {
    /// Every kind.
    pub const ALL: [BreakKind; 4] = [
        BreakKind::MissingOnBill,
        BreakKind::AmountDiffers,
        BreakKind::PaidOnBillOnly,
        BreakKind::UnknownLine,
    ];

    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            BreakKind::MissingOnBill => "missing_on_bill",
            BreakKind::AmountDiffers => "amount_differs",
            BreakKind::PaidOnBillOnly => "paid_on_bill_only",
            BreakKind::UnknownLine => "unknown_line",
        }
    }

    /// The kind of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<BreakKind> {
        BreakKind::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// A difference between bill and books. Its subject is a payout or a line of a bill, and has at
/// most one break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The payout's id; or the merchant's number, a colon and the flow number, which is unique
    /// per merchant only.
    pub subject: String,
    /// What is wrong.
    pub kind: BreakKind,
    /// The day whose bill showed it.
    pub date: BusinessDate,
    /// By how much the bill exceeds the books; negative when it falls short.
    pub difference: Fen,
    /// When it was found.
    pub opened_at: Timestamp,
    /// When the two sides agreed again.
    pub closed_at: Option<Timestamp>,
}

/// Books one line: moves money between clearing and float, and checks the payout's side.
///
/// # Errors
/// [`Rejection::AmountOutOfRange`] for an amount that cannot be booked.
pub fn record_line(
    moment: &Moment<'_>,
    (merchant, date): (MerchantNo, BusinessDate),
    line: &BillLine,
    facts: &Facts,
) -> Result<(Changes, Outcome), Rejection> {
    if facts.bill_line_known(merchant, &line.flow_no) {
        return Ok((Changes::default(), Outcome::LineKnown));
    }
    let payout = OutBillNo::parse(&line.voucher).ok().and_then(|number| {
        facts
            .payout(number.payout())
            .filter(|p| has_number(p, number) && is_payer(p, number, merchant))
    });
    let (matched, sides, cause) = explain(merchant, line.direction, payout);
    let out_of_range = || Rejection::AmountOutOfRange {
        max: crate::money::AMOUNT_MAX,
    };
    let amount = line.amount.micros().ok_or_else(out_of_range)?;
    let entry = Entry::new(sides, amount, cause, payout.map(|p| p.id), moment.now)
        .ok_or_else(out_of_range)?;
    let mut changes = Changes {
        bill_lines: vec![(
            BookedLine {
                merchant,
                date,
                line: line.clone(),
                matched,
            },
            entry,
        )],
        ..Changes::default()
    };
    if let Some(payout) = payout {
        let billed = match line.direction {
            Direction::Out => payout.billed.plus(line.amount),
            Direction::In => payout.billed.minus(line.amount),
        };
        let billed = billed.ok_or_else(out_of_range)?;
        let payout = Payout {
            billed,
            version: payout.version.saturating_add(1),
            updated_at: moment.now,
            ..payout.clone()
        };
        changes
            .breaks
            .extend(check_payout(moment, date, &payout, facts));
        changes.payouts.push((payout, None));
    } else if line.direction == Direction::Out {
        changes.breaks.push(Break {
            subject: line_subject(merchant, &line.flow_no, facts),
            kind: BreakKind::UnknownLine,
            date,
            difference: line.amount,
            opened_at: moment.now,
            closed_at: None,
        });
    }
    Ok((changes, Outcome::LineBooked { matched }))
}

/// What a line is, and between which accounts it moves money for which cause.
fn explain(
    merchant: MerchantNo,
    direction: Direction,
    payout: Option<&Payout>,
) -> (Match, (Account, Account), Cause) {
    let (float, clearing) = (Account::Float(merchant), Account::Clearing(merchant));
    match (payout, direction) {
        (Some(payout), Direction::Out) => {
            (Match::Payout(payout.id), (clearing, float), Cause::BillOut)
        }
        (Some(payout), Direction::In) => {
            let sides = (float, clearing);
            (Match::Returned(payout.id), sides, Cause::BillReturn)
        }
        (None, Direction::In) => {
            let sides = (float, Account::Funding(KindNo::TOP_UP));
            (Match::TopUp, sides, Cause::TopUp)
        }
        (None, Direction::Out) => {
            let sides = (Account::Suspense, float);
            (Match::Unexplained, sides, Cause::Unexplained)
        }
    }
}

/// The other direction: a payout that ended on a day whose bill is complete.
///
/// # Errors
/// [`Rejection::OtherMerchant`]: one merchant's bill says nothing about another's payouts.
pub fn check_ended(
    moment: &Moment<'_>,
    (merchant, date): (MerchantNo, BusinessDate),
    payout: &Payout,
    facts: &Facts,
) -> Result<(Changes, Outcome), Rejection> {
    if payout.merchant != merchant {
        return Err(Rejection::OtherMerchant);
    }
    let breaks: Vec<Break> = check_payout(moment, date, payout, facts)
        .into_iter()
        .collect();
    let open = breaks.iter().any(|found| found.closed_at.is_none());
    let changes = Changes {
        breaks,
        ..Changes::default()
    };
    Ok((changes, Outcome::Checked { open }))
}

/// Whether the merchant whose bill shows the number could have paid it. The order of the attempt
/// under way names who does; those before it may have been any merchant's of the pool.
fn is_payer(payout: &Payout, number: OutBillNo, merchant: MerchantNo) -> bool {
    number.attempt() <= payout.tries || payout.merchant == merchant
}

/// What a break about a line is filed under.
fn line_subject(merchant: MerchantNo, flow_no: &str, facts: &Facts) -> String {
    let mchid = facts.merchant_of(merchant).map(|m| m.mchid.as_str());
    format!("{}:{flow_no}", mchid.unwrap_or_default())
}

fn has_number(payout: &Payout, number: OutBillNo) -> bool {
    let current = payout.state.attempt();
    let current = current.is_some_and(|attempt| attempt.number() == number);
    current || number.attempt() <= payout.tries
}

/// Opens, replaces or closes the break of one payout; nothing when there is nothing to say.
pub(crate) fn check_payout(
    moment: &Moment<'_>,
    date: BusinessDate,
    payout: &Payout,
    facts: &Facts,
) -> Option<Break> {
    let expected = match payout.state {
        State::Paid(..) => payout.amount,
        State::Failed(..) | State::Expired(_) | State::Cancelled(_) | State::Refused(_) => {
            Fen::ZERO
        }
        // Money may be locked or paid while we have not heard of it: explained, not broken.
        State::Requested
        | State::Review(_)
        | State::Approved
        | State::Sending(_)
        | State::Deferred(..)
        | State::Unknown(..)
        | State::Processing(_)
        | State::AwaitingUser(..)
        | State::Cancelling(_) => {
            if payout.billed == payout.amount {
                payout.amount
            } else {
                Fen::ZERO
            }
        }
    };
    let subject = payout.id.to_string();
    let known = facts.open_break(&subject);
    if payout.billed == expected {
        return known.map(|open| Break {
            closed_at: Some(moment.now),
            ..open.clone()
        });
    }
    let kind = if expected == payout.amount && payout.billed == Fen::ZERO {
        BreakKind::MissingOnBill
    } else if expected == Fen::ZERO && payout.billed == payout.amount {
        BreakKind::PaidOnBillOnly
    } else {
        BreakKind::AmountDiffers
    };
    let difference = payout.billed.minus(expected)?;
    let same = known.is_some_and(|open| open.kind == kind && open.difference == difference);
    (!same).then_some(Break {
        subject,
        kind,
        date,
        difference,
        opened_at: moment.now,
        closed_at: None,
    })
}
