//! What WeChat says, from wherever it comes, ends in one command.

use lingqian_core::command::Command;
use lingqian_core::transfer::TransferReport;
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
    let number = report.number;
    let origin = report.origin.name();
    match desk
        .submit(Command::ReportTransfer(Box::new(report)))
        .await?
    {
        Ok(Outcome::Payout { moved: true, .. }) => Ok(Received::Moved),
        Ok(_) => Ok(Received::Known),
        Err(rejection) => {
            let code = rejection.code();
            tracing::warn!(%number, origin, code, "a report was not believed");
            Ok(Received::NotOurs)
        }
    }
}
