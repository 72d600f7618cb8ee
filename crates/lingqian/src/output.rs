//! What commands print: text for people, one JSON value for programs.

use std::io::Write as _;

use lingqian_core::ledger::Account;
use lingqian_core::time::Timestamp;
pub(crate) use lingqian_http::wire::rfc3339;
use serde::Serialize;

/// Prints a value as JSON, or lets `text` print it for people.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn show<T: Serialize>(
    json: bool,
    value: &T,
    text: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let written = if json {
        serde_json::to_writer_pretty(&mut out, value)
            .map_err(std::io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        text(&mut out)
    };
    match written {
        // Whoever reads only the first lines is not an error.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// A moment in Beijing, for people.
pub(crate) fn beijing(at: Timestamp) -> String {
    let offset = jiff::tz::Offset::constant(8);
    jiff::Timestamp::from_millisecond(at.0).map_or_else(
        |_| format!("{} ms", at.0),
        |at| {
            offset
                .to_datetime(at)
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string()
        },
    )
}

/// An account of the chart by its name: `available`, `funding:3`, `wechat:clearing:1`.
pub(crate) fn account(account: Account) -> String {
    match account {
        Account::Available(_) => "available".into(),
        Account::Held(_) => "held".into(),
        Account::Receivable(_) => "receivable".into(),
        Account::Funding(kind) => format!("funding:{}", kind.0),
        Account::Clearing(merchant) => format!("wechat:clearing:{}", merchant.0),
        Account::Float(merchant) => format!("wechat:float:{}", merchant.0),
        Account::TaxWithheld(class) => format!("tax:withheld:{class}"),
        Account::Fees => "fees".into(),
        Account::Suspense => "suspense".into(),
    }
}
