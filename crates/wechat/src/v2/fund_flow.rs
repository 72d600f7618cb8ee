//! The fund-flow bill by the old API, `downloadfundflow`: mutual TLS, HMAC-SHA256, and an answer that
//! is the file itself or a message.
//!
//! It is asked for as it is, not packed: then nobody has to guess over which bytes WeChat's hash runs.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use lingqian_core::time::BusinessDate;
use lingqian_io::Fault;
use lingqian_io::rail::FetchedBill;

use crate::bill::{BillDesk, BillFault, Expected};
use crate::v2::door::Door;
use crate::v2::xml::{self, Fields};

/// Where it is asked for.
pub const PATH: &str = "/pay/downloadfundflow";
/// The accounts that payouts may leave, as the old API calls them, in the order in which they are
/// asked for, and as bills call them.
const ACCOUNTS: [(&str, &str); 2] = [("Operation", "OPERATION"), ("Basic", "BASIC")];
/// What a message begins with.
const MESSAGE: &[u8] = b"<xml";

/// What asks for the bill of a day.
#[must_use]
pub fn question(
    app: &str,
    mchid: &str,
    date: BusinessDate,
    account: &str,
) -> Vec<(&'static str, String)> {
    vec![
        ("appid", app.to_owned()),
        ("mch_id", mchid.to_owned()),
        ("sign_type", "HMAC-SHA256".to_owned()),
        ("bill_date", date.to_string().replace('-', "")),
        ("account_type", account.to_owned()),
    ]
}

/// The bill of a day.
///
/// # Errors
/// A fault when there is no answer, and what is wrong with the file.
pub async fn bill(
    door: &Door,
    desk: &BillDesk,
    date: BusinessDate,
    nonce: impl Fn() -> u128,
) -> Result<FetchedBill, Fault> {
    let settings = door.settings();
    for (account, named) in ACCOUNTS {
        let mut file = desk.spool()?;
        let fields = question(&settings.app, settings.mchid.as_str(), date, account);
        let fetched = door.fetch(PATH, fields, nonce(), &mut file).await;
        let (status, headers) = fetched.map_err(|word| Fault::Retry(word.to_owned()))?;
        if status != 200 {
            return Err(Fault::Retry(format!("the bill was refused: {status}")));
        }
        if let Some(message) = message(&mut file)? {
            let code = ["err_code", "error_code", "return_msg"]
                .into_iter()
                .find_map(|name| message.get(name).filter(|value| !value.is_empty()));
            let code = code.map_or("", String::as_str);
            match code {
                "NO_BILL_EXIST" | "No Bill Exist" | "20002" => continue,
                "BILL_CREATING" | "Bill Creating" => return Ok(FetchedBill::NotYet),
                _ => {}
            }
            let word: String = code
                .chars()
                .filter(char::is_ascii_graphic)
                .take(32)
                .collect();
            return Err(Fault::Retry(format!("the bill was refused: {word}")));
        }
        let digest = headers.iter().find(|(name, _)| name == "digest");
        let hash = digest.and_then(|(_, value)| value.trim().strip_prefix("SHA="));
        let Some(hash) = hash else {
            let words = "bill_hash_missing: the answer has no header Digest: SHA=…; nothing of it was \
                         booked";
            return Err(Fault::Broken(words.into()));
        };
        let expected = Expected {
            mchid: settings.mchid.clone(),
            date,
            hash: Some(hash.to_owned()),
        };
        return desk.read(file, expected, named).await;
    }
    Ok(FetchedBill::Empty)
}

/// The message that came instead of a file.
fn message(file: &mut File) -> Result<Option<Fields>, Fault> {
    let mut read = || -> std::io::Result<Vec<u8>> {
        file.seek(SeekFrom::Start(0))?;
        let mut begin = Vec::new();
        let most = xml::MESSAGE_MAX as u64 + 1;
        file.by_ref().take(most).read_to_end(&mut begin)?;
        Ok(begin)
    };
    let begin = read().map_err(BillFault::from)?;
    if !begin.starts_with(MESSAGE) {
        return Ok(None);
    }
    let fields = xml::read(&begin);
    let fault = |fault| Fault::Retry(format!("the answer about the bill {fault}"));
    fields.map(Some).map_err(fault)
}
