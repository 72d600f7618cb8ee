//! What WeChat says, from wherever it comes, ends in one command.

use lingqian_core::command::Command;
use lingqian_core::id::OutBillNo;
use lingqian_core::transfer::{Origin, TransferReport};
use lingqian_core::{Outcome, Rejection};
use lingqian_io::rail::{Notification, Opened, Refusal};
use lingqian_io::{Fault, Ports, Rail};

use crate::Desk;

/// What came of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It moved a payout.
    Moved,
    /// It said nothing new.
    Known,
    /// It is about something that this engine does not do.
    Other,
    /// It is about a number that was never sent from here, or contradicts what was; it has no
    /// effect and sending it again would not change that.
    NotOurs,
}

impl Received {
    /// Whether a payout moved.
    #[must_use]
    pub fn moved(self) -> bool {
        self == Received::Moved
    }
}

/// Why a notification had no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReceived {
    /// It is not WeChat's.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// The rules say no.
    #[error(transparent)]
    Rejection(#[from] Rejection),
    /// The world failed; WeChat will send it again.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Proves a notification and reports it. It may be acknowledged once this answers.
///
/// # Errors
/// See [`NotReceived`]; nothing changed.
pub async fn receive<P: Ports>(
    ports: &P,
    desk: &Desk,
    notification: Notification,
) -> Result<Received, NotReceived> {
    match ports.rail().open(&notification).await? {
        Opened::Other { event } => {
            tracing::info!(event, "a notification about something else");
            Ok(Received::Other)
        }
        Opened::Transfer(transfer) => Ok(report(desk, *transfer).await?),
    }
}

/// Reports what was said about a transfer.
pub(crate) async fn report(desk: &Desk, report: TransferReport) -> Result<Received, Fault> {
    let about = (report.number, report.origin);
    let answer = desk.submit(Command::ReportTransfer(Box::new(report)));
    Ok(received(about, answer.await?))
}

/// Reports what was said about all that one answer was about, in one commit, so that nobody finds
/// one of them moved and another not. Tells how many it moved.
pub(crate) async fn report_all(desk: &Desk, reports: Vec<TransferReport>) -> Result<u64, Fault> {
    let about: Vec<_> = reports.iter().map(|one| (one.number, one.origin)).collect();
    let reports = reports.into_iter().map(Box::new);
    let commands = reports.map(Command::ReportTransfer).collect();
    let answers = desk.submit_all(commands).await?.into_iter();
    let answered = about.into_iter().zip(answers);
    let moved = answered.map(|(about, answer)| received(about, answer).moved());
    Ok(moved.map(u64::from).sum())
}

fn received((number, origin): (OutBillNo, Origin), answer: Result<Outcome, Rejection>) -> Received {
    match answer {
        Ok(Outcome::Payout { moved: true, .. }) => Received::Moved,
        Ok(_) => Received::Known,
        Err(rejection) => {
            let (origin, code) = (origin.name(), rejection.code());
            tracing::warn!(%number, origin, code, "a report was not believed");
            Received::NotOurs
        }
    }
}
