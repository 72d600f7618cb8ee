//! One day's bill against the books, in both directions.

use lingqian_core::command::Command;
use lingqian_core::id::{MchId, MerchantNo, PayoutId};
use lingqian_core::money::Fen;
use lingqian_core::reconcile::{Bill, BillLine, Break, Match};
use lingqian_core::time::BusinessDate;
use lingqian_core::{Outcome, Rejection};
use lingqian_io::rail::{BillFile, FetchedBill, Lines};
use lingqian_io::{Browse, Clock, Fault, Ports, Rail};

use crate::{Desk, Limits};

/// What one day's reconciling found. All amounts are counted in fen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Whether the bill was there. If not, nothing was done; ask again later.
    pub ready: bool,
    /// Lines on the bill.
    pub lines: u64,
    /// Lines that had been booked before.
    pub known: u64,
    /// Lines that are money of a payout going out, with their sum.
    pub paid: (u64, Fen),
    /// Lines that are money of a payout coming back.
    pub returned: u64,
    /// Lines that are money coming in.
    pub top_ups: u64,
    /// Lines that nothing explains.
    pub unexplained: u64,
    /// Payouts that were paid that day and looked for on the bill.
    pub checked: u64,
    /// Breaks that this left open.
    pub open: u64,
}

impl Reconciled {
    /// Adds what another bill's reconciling found.
    pub fn add(&mut self, other: &Reconciled) {
        self.ready |= other.ready;
        self.paid.1 = Fen(self.paid.1.0.saturating_add(other.paid.1.0));
        self.paid.0 += other.paid.0;
        self.lines += other.lines;
        self.known += other.known;
        self.returned += other.returned;
        self.top_ups += other.top_ups;
        self.unexplained += other.unexplained;
        self.checked += other.checked;
        self.open += other.open;
    }
}

/// Fetches the bill, books its lines, and looks for every payout that was paid that day. Run
/// twice it changes nothing the second time.
///
/// # Errors
/// A fault; what was booked stands and the next run goes on from there.
pub async fn reconcile<P: Ports>(
    ports: &P,
    desk: &Desk,
    limits: &Limits,
    mchid: &MchId,
    date: BusinessDate,
) -> Result<Reconciled, Fault> {
    let file = match ports.rail().bill(mchid, date).await? {
        FetchedBill::NotYet => return Ok(Reconciled::default()),
        FetchedBill::Ready(file) => file,
        FetchedBill::Empty => BillFile::of(String::new(), Vec::new()),
    };
    let mut found = Reconciled {
        ready: true,
        ..Reconciled::default()
    };
    let BillFile {
        sha1,
        count,
        out,
        came_in,
        balances,
        mut lines,
    } = file;
    book(desk, limits, (mchid, date), &mut lines, &mut found).await?;
    drop(lines);
    let merchant = merchant(ports, mchid).await?;
    check(ports, desk, limits, (mchid, merchant, date), &mut found).await?;
    let balances = balances_of(ports, balances, merchant, date).await?;
    if let Some((opening, closing)) = balances {
        let bill = Bill {
            merchant,
            date,
            sha1,
            lines: count,
            out,
            came_in,
            opening,
            closing,
            fetched_at: ports.clock().business(),
        };
        let close = Command::CloseBill {
            mchid: mchid.clone(),
            bill,
        };
        desk.submit(close).await?.map_err(refused)?;
    }
    found.open = open(ports, (mchid, merchant, date)).await?;
    Ok(found)
}

/// Breaks of this merchant's day that are open: about lines of its bill, and about payouts that
/// it pays.
async fn open<P: Ports>(
    ports: &P,
    (mchid, merchant, date): (&MchId, MerchantNo, BusinessDate),
) -> Result<u64, Fault> {
    let (_, breaks) = ports.store().reconciled().await?;
    let mut open = 0;
    let of_the_day = |found: &&Break| found.date == date && found.closed_at.is_none();
    for found in breaks.iter().filter(of_the_day) {
        let own = match PayoutId::parse(&found.subject) {
            Ok(payout) => {
                let found = ports.store().payout(payout).await?;
                found.is_none_or(|found| found.row.payout.merchant == merchant)
            }
            // Lines were filed under their number alone once.
            Err(_) => match found.subject.split_once(':') {
                Some((owner, _)) => owner == mchid.as_str(),
                None => true,
            },
        };
        open += u64::from(own);
    }
    Ok(open)
}

async fn merchant<P: Ports>(ports: &P, mchid: &MchId) -> Result<MerchantNo, Fault> {
    let merchants = ports.store().merchants().await?;
    let found = merchants.iter().find(|merchant| merchant.mchid == *mchid);
    let found = found.ok_or_else(|| refused(Rejection::UnknownMerchant))?;
    Ok(found.no)
}

async fn book(
    desk: &Desk,
    limits: &Limits,
    (mchid, date): (&MchId, BusinessDate),
    lines: &mut Lines,
    found: &mut Reconciled,
) -> Result<(), Fault> {
    let page_max = limits.page_max.max(1) as usize;
    loop {
        // The file was checked as a whole before; a line that does not read now leaves the day open.
        let page: Result<Vec<BillLine>, Fault> = lines.by_ref().take(page_max).collect();
        let page = page?;
        if page.is_empty() {
            return Ok(());
        }
        let command = |line: &BillLine| Command::RecordBillLine {
            mchid: mchid.clone(),
            date,
            line: line.clone(),
        };
        let answers = desk.submit_all(page.iter().map(command).collect()).await?;
        for (line, answer) in page.iter().zip(answers) {
            count(found, line, &answer.map_err(refused)?);
        }
    }
}

fn count(found: &mut Reconciled, line: &BillLine, outcome: &Outcome) {
    found.lines += 1;
    match outcome {
        Outcome::LineKnown => found.known += 1,
        Outcome::LineBooked { matched } => match matched {
            Match::Payout(_) => {
                found.paid.0 += 1;
                found.paid.1 = Fen(found.paid.1.0.saturating_add(line.amount.0));
            }
            Match::Returned(_) => found.returned += 1,
            Match::TopUp => found.top_ups += 1,
            Match::Unexplained => found.unexplained += 1,
        },
        _ => {}
    }
}

/// The other direction: what this merchant paid that day must be on its bill.
async fn check<P: Ports>(
    ports: &P,
    desk: &Desk,
    limits: &Limits,
    (mchid, merchant, date): (&MchId, MerchantNo, BusinessDate),
    found: &mut Reconciled,
) -> Result<(), Fault> {
    let mut after: Option<PayoutId> = None;
    loop {
        let of = (merchant, date);
        let page = ports.store().paid_on(of, after, limits.page_max).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(*last);
        found.checked += page.len() as u64;
        let commands = page.iter().map(|payout| Command::CheckEnded {
            mchid: mchid.clone(),
            payout: *payout,
            date,
        });
        for answer in desk.submit_all(commands.collect()).await? {
            answer.map_err(refused)?;
        }
    }
}

/// Balances before and after a bill. A day without movement has the balance of the day before; until that
/// day's bill is closed there is nothing to say about it.
async fn balances_of<P: Ports>(
    ports: &P,
    balances: Option<(Fen, Fen)>,
    merchant: MerchantNo,
    date: BusinessDate,
) -> Result<Option<(Fen, Fen)>, Fault> {
    if balances.is_some() {
        return Ok(balances);
    }
    let (bills, _) = ports.store().reconciled().await?;
    let earlier = bills
        .iter()
        .filter(|b| b.merchant == merchant && b.date < date);
    // A bill that comes late may still move the balance, so a gap is not carried over.
    Ok(earlier
        .max_by_key(|bill| bill.date)
        .filter(|bill| bill.date.next() == date)
        .map(|bill| (bill.closing, bill.closing)))
}

fn refused(rejection: Rejection) -> Fault {
    Fault::Broken(format!("a bill could not be booked: {rejection}"))
}
