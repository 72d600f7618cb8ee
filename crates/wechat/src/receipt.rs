//! Electronic receipts: applied for, asked about, downloaded, compared with their hash, and kept.
//!
//! Nothing has to be remembered in between. What is kept is told from there; else WeChat is asked, and
//! what it has no record of is applied for. Whoever dies in the middle asks again.

use std::io::{Read as _, Seek as _, SeekFrom};

use lingqian_core::transfer::TransferOrder;
use lingqian_io::files::Label;
use lingqian_io::rail::Receipt;
use lingqian_io::{Clock, Dice, Fault, Sealer, Signer};
use serde::Deserialize;
use serde_json::json;

use crate::pay::WechatPay;
use crate::pay::path_of;
use crate::settings::RailKind;
use crate::transfer::Answer;

/// Where receipts of transfers are applied for and asked about.
pub const TRANSFERS: &str = "/v3/fund-app/mch-transfer/elecsign/out-bill-no";
/// The same of a batch's items and of enterprise payments.
pub const ITEMS: &str = "/v3/transfer-detail/electronic-receipts";
/// The largest receipt, in bytes.
pub const RECEIPT_MAX: u64 = 16 * 1024 * 1024;

/// What WeChat says about a receipt; the two ways call the state differently.
#[derive(Deserialize)]
struct Told {
    #[serde(alias = "signature_status")]
    state: String,
    hash_type: Option<String>,
    hash_value: Option<String>,
    download_url: Option<String>,
}

#[derive(Deserialize, Default)]
struct ErrorCode {
    #[serde(default)]
    code: String,
}

/// How a receipt is asked for.
struct Way {
    /// Where it is applied for, and with what.
    apply: &'static str,
    body: Vec<u8>,
    /// Where it is asked about.
    ask: String,
}

/// Nothing for a product that has no receipts.
fn way(order: &TransferOrder) -> Option<Way> {
    let number = order.number.to_string();
    let item = |kind: &str, batch: Option<&str>| {
        let mut body = json!({ "accept_type": kind, "out_detail_no": number });
        let mut ask = format!("{ITEMS}?accept_type={kind}&out_detail_no={number}");
        if let Some(batch) = batch {
            body["out_batch_no"] = json!(batch);
            ask = format!("{ask}&out_batch_no={batch}");
        }
        Way {
            apply: ITEMS,
            body: body.to_string().into_bytes(),
            ask,
        }
    };
    match RailKind::of_scene(&order.scene) {
        RailKind::Transfer | RailKind::Authorized => Some(Way {
            apply: TRANSFERS,
            body: json!({ "out_bill_no": number }).to_string().into_bytes(),
            ask: format!("{TRANSFERS}/{number}"),
        }),
        RailKind::Batch => Some(item("BATCH_TRANSFER", Some(&order.batch().to_string()))),
        RailKind::Enterprise => Some(item("TRANSFER_TO_POCKET", None)),
        RailKind::RedPacket => None,
    }
}

fn retry(word: &str) -> Fault {
    Fault::Retry(format!("the receipt: {word}"))
}

fn label(order: &TransferOrder) -> Label {
    Label {
        kind: "receipts",
        owner: order.mchid.to_string(),
        about: order.number.to_string(),
    }
}

impl<S: Signer, K: Sealer, C: Clock, D: Dice> WechatPay<S, K, C, D> {
    /// The receipt of an order that was paid.
    ///
    /// # Errors
    /// When WeChat does not answer, or the file is not the one that it hashed.
    pub(crate) async fn receipt_of(&self, order: &TransferOrder) -> Result<Receipt, Fault> {
        if order.mchid != self.settings.mchid {
            return Err(Fault::Broken("a receipt of another merchant's".into()));
        }
        if let Some(archive) = &self.bills().archive
            && let Some(bytes) = archive.recall(&label(order), RECEIPT_MAX).await?
        {
            return Ok(Receipt::Ready(bytes));
        }
        let Some(way) = way(order) else {
            return Ok(Receipt::None("receipt_not_offered".into()));
        };
        let told = match self.receipt_call(("GET", &way.ask), Vec::new()).await? {
            Ok(told) => told,
            Err(code) if ABSENT.contains(&code.as_str()) => {
                match self.receipt_call(("POST", way.apply), way.body).await? {
                    Ok(told) => told,
                    Err(code) => return Ok(Receipt::None(code)),
                }
            }
            Err(code) => return Ok(Receipt::None(code)),
        };
        match told.state.as_str() {
            "FINISHED" => self.receipt_file(order, told).await.map(Receipt::Ready),
            "FAILED" => Ok(Receipt::None("receipt_failed".into())),
            _ => Ok(Receipt::Making),
        }
    }

    /// What is told, or the code of a refusal that will not pass by itself.
    async fn receipt_call(
        &self,
        line: (&str, &str),
        body: Vec<u8>,
    ) -> Result<Result<Told, String>, Fault> {
        let answered = self.call(&self.query, line, body).await.map_err(retry)?;
        let Answer {
            status,
            body,
            doubt,
            ..
        } = self.proved(answered).await;
        match (status, doubt) {
            (200, None) => {
                let told = serde_json::from_slice(&body);
                told.map(Ok).map_err(|_| retry("the answer does not read"))
            }
            (200, Some(doubt)) => Err(retry(doubt)),
            (400 | 403 | 404, _) => {
                let error: ErrorCode = serde_json::from_slice(&body).unwrap_or_default();
                Ok(Err(word(&error.code)))
            }
            (status, _) => Err(retry(&format!("it was refused: {status}"))),
        }
    }

    async fn receipt_file(&self, order: &TransferOrder, told: Told) -> Result<Vec<u8>, Fault> {
        let broken = |words: &str| Fault::Broken(format!("{words}; nothing of it was kept"));
        if told.hash_type.as_deref() != Some("SHA256") {
            return Err(broken("receipt_hash_unknown: it is not hashed by SHA256"));
        }
        let (Some(hash), Some(url)) = (told.hash_value, told.download_url) else {
            return Err(retry("the answer names no hash or no address"));
        };
        let path = path_of(&url).ok_or_else(|| retry("its address is none"))?;
        let mut file = self.bills().spool()?;
        match self.fetch(path, &mut file).await.map_err(retry)? {
            200 => {}
            status => return Err(retry(&format!("the file was refused: {status}"))),
        }
        let mut bytes = Vec::new();
        let read = file
            .seek(SeekFrom::Start(0))
            .and_then(|_| (&mut file).take(RECEIPT_MAX + 1).read_to_end(&mut bytes));
        read.map_err(|error| retry(&error.kind().to_string()))?;
        if bytes.len() as u64 > RECEIPT_MAX {
            return Err(broken(
                "receipt_too_large: it is larger than a receipt may be",
            ));
        }
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        let hex = |byte: &u8| format!("{byte:02x}");
        let found: String = digest.as_ref().iter().map(hex).collect();
        if !found.eq_ignore_ascii_case(&hash) {
            return Err(broken(
                "receipt_hash_wrong: it is not the file that WeChat hashed",
            ));
        }
        if let Some(archive) = &self.bills().archive {
            archive.keep(&label(order), &mut file).await?;
        }
        Ok(bytes)
    }
}

/// Codes that say that nobody applied yet.
const ABSENT: [&str; 3] = ["NOT_FOUND", "RESOURCE_NOT_EXISTS", "ORDER_NOT_EXIST"];

/// A code as it may be shown, whatever was sent.
fn word(code: &str) -> String {
    let plain = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '_';
    code.chars().filter(plain).take(32).collect()
}
