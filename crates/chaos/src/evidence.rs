//! What is held against the history: the books as they were exported, payouts and balances as the
//! API shows them, WeChat's own books, what commands found, and what was logged.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::history::{Op, PayoutSeen, Struck};

/// The class of users' available money in the chart of accounts.
pub const AVAILABLE: i64 = 1;
/// The class of users' held money.
pub const HELD: i64 = 2;
/// The class of what was paid and is on no bill yet.
pub const CLEARING: i64 = 20;

/// An account: its class in the chart, and whose it is.
pub type Account = (i64, String);

/// One movement of money, as exported.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Entry {
    /// From 1, without a gap.
    pub seq: i64,
    /// Why.
    pub cause: String,
    /// How much, in micro-yuan.
    pub amount: i64,
    /// What gives.
    pub debit: Account,
    /// What receives.
    pub credit: Account,
    /// By which event.
    pub event: Option<String>,
    /// For which payout.
    pub payout: Option<String>,
}

/// A transfer in WeChat's own books.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Transfer {
    /// The merchant's number.
    pub out_bill_no: String,
    /// WeChat's word for where it stands.
    pub state: String,
    /// How much, in fen.
    pub transfer_amount: i64,
    /// Who receives it.
    pub openid: String,
}

impl Transfer {
    /// Whether the money is in the wallet.
    #[must_use]
    pub fn is_paid(&self) -> bool {
        self.state == "SUCCESS"
    }

    /// The payout that its number is made of: `LQ`, the payout's own id, two digits of the try.
    #[must_use]
    pub fn payout(&self) -> Option<String> {
        let rest = self.out_bill_no.strip_prefix("LQ")?;
        let id = rest.get(..rest.len().checked_sub(2)?)?;
        Some(format!("po_{id}"))
    }
}

/// Everything that a run left.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What clients asked and were told.
    pub ops: Vec<Op>,
    /// What was broken when.
    pub struck: Vec<Struck>,
    /// The books.
    pub entries: Vec<Entry>,
    /// Payouts at the end, by the API.
    pub payouts: Vec<PayoutSeen>,
    /// Available and held money at the end, by the API.
    pub balances: BTreeMap<String, (i64, i64)>,
    /// WeChat's own books at the end.
    pub transfers: Vec<Transfer>,
    /// Whose openid is whose.
    pub openids: BTreeMap<String, String>,
    /// What `lingqian audit` and `lingqian ledger verify` found.
    pub commands: Vec<(String, Value)>,
    /// Names and texts of logs.
    pub logs: Vec<(String, String)>,
    /// What must not be logged: what it is, and how it reads.
    pub secrets: Vec<(String, String)>,
    /// What went wrong on the way: a process that fell, an end that did not come.
    pub incidents: Vec<String>,
}

/// Reads an export as CSV.
///
/// # Errors
/// When it is not one.
pub fn entries_of_csv(text: &str) -> anyhow::Result<Vec<Entry>> {
    let mut lines = text.lines();
    let header = lines.next().context("an export has a header")?;
    let names: Vec<&str> = header.split(',').collect();
    let place = |name: &str| {
        let place = names.iter().position(|known| *known == name);
        place.with_context(|| format!("an export has no column {name}"))
    };
    let columns = [
        place("seq")?,
        place("cause")?,
        place("amount_micros")?,
        place("debit_class")?,
        place("debit_owner")?,
        place("credit_class")?,
        place("credit_owner")?,
        place("event_id")?,
        place("payout")?,
    ];
    lines
        .map(|line| entry(line, names.len(), columns))
        .collect()
}

fn entry(line: &str, width: usize, columns: [usize; 9]) -> anyhow::Result<Entry> {
    let cells: Vec<&str> = line.split(',').collect();
    // Names in a run have neither commas nor quotes.
    ensure!(cells.len() == width, "not an entry: {line}");
    let [
        seq,
        cause,
        amount,
        debit,
        giver,
        credit,
        taker,
        event,
        payout,
    ] = columns.map(|place| cells[place]);
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Ok(Entry {
        seq: seq.parse()?,
        cause: cause.to_owned(),
        amount: amount.parse()?,
        debit: (debit.parse()?, giver.to_owned()),
        credit: (credit.parse()?, taker.to_owned()),
        event: some(event),
        payout: some(payout),
    })
}

/// The books of a database, by plain SQL.
///
/// # Errors
/// When they cannot be read.
pub async fn entries_of_database(client: &tokio_postgres::Client) -> anyhow::Result<Vec<Entry>> {
    let query = "SELECT e.seq, e.cause, e.amount_micros, e.debit_class::bigint, \
         coalesce(d.user_id, e.debit_owner::text), e.credit_class::bigint, \
         coalesce(c.user_id, e.credit_owner::text), e.event_id, e.payout \
         FROM entries e \
         LEFT JOIN users d ON e.debit_class IN (1, 2, 3) AND d.user_no = e.debit_owner \
         LEFT JOIN users c ON e.credit_class IN (1, 2, 3) AND c.user_no = e.credit_owner \
         ORDER BY e.seq";
    let rows = client.query(query, &[]).await?;
    let entry = |row: &tokio_postgres::Row| -> Result<Entry, tokio_postgres::Error> {
        Ok(Entry {
            seq: row.try_get(0)?,
            cause: row.try_get(1)?,
            amount: row.try_get(2)?,
            debit: (row.try_get(3)?, row.try_get(4)?),
            credit: (row.try_get(5)?, row.try_get(6)?),
            event: row.try_get(7)?,
            payout: row.try_get(8)?,
        })
    };
    Ok(rows.iter().map(entry).collect::<Result<_, _>>()?)
}

/// What must be in no log: every openid, name and secret of a run.
///
/// # Errors
/// When a file that holds secrets cannot be read.
pub fn secrets_in(data: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut secrets = Vec::new();
    let account = data.join("wechat/credentials.json");
    let text = std::fs::read_to_string(&account)
        .with_context(|| format!("cannot read {}", account.display()))?;
    let account: Value = serde_json::from_str(&text)?;
    for name in ["app_secret", "apiv3_key", "v2_key"] {
        if let Some(secret) = account[name].as_str() {
            secrets.push((name.to_owned(), secret.to_owned()));
        }
    }
    let key =
        std::fs::read_to_string(data.join("api-key")).context("there is no key of the API")?;
    // `lq_ID_SECRET`, where the secret may have underscores of its own.
    let secret = key.trim().splitn(3, '_').nth(2).unwrap_or_default();
    ensure!(secret.len() > 8, "the key of the API has no secret part");
    secrets.push(("the secret part of the API's key".into(), secret.to_owned()));
    let pem = std::fs::read_to_string(data.join("wechat/apiclient_key.pem"))
        .context("there is no key of the merchant")?;
    let line = pem.lines().nth(3).unwrap_or_default();
    ensure!(line.len() > 20, "the key of the merchant is none");
    secrets.push(("the merchant's private key".into(), line.to_owned()));
    Ok(secrets)
}
