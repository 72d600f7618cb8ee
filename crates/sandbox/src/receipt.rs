//! Electronic receipts: applied for, made after a moment, downloaded by a token.
//!
//! What was applied for is forgotten when the sandbox ends, and can be applied for again.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::auth::Refused;
use crate::batch::ItemStatus;
use crate::books::{Books, rfc3339, wire_now};
use crate::crypto::{hex, sha256};
use crate::kept::{Id, Outcome};
use crate::old;
use crate::world::{Member, World};

/// A receipt is made within this, by the machine's clock.
const MADE_MS: i64 = 1_000;
/// An address for a download works for so long.
const TOKEN_MS: i64 = 10 * 60_000;
/// Less than this has no receipt among a batch's items, in fen.
const ITEM_MIN: i64 = 30;

/// When what was applied for, by the merchant and the path of the question.
pub(crate) type Applied = BTreeMap<(String, String), i64>;

/// What was paid, as a receipt tells it.
struct Paid {
    number: String,
    /// WeChat's number, where a receipt is asked for by it.
    theirs: String,
    amount: i64,
    at: i64,
}

/// Where a receipt is asked about: `/elecsign/out-bill-no/N`, or the query of an item.
fn place(path: &str, query: &str) -> String {
    match path.rsplit_once('/') {
        Some((_, number)) if path.contains("/elecsign/") => number.to_owned(),
        _ => {
            let mut parts: Vec<&str> = query.split('&').collect();
            parts.sort_unstable();
            parts.join("&")
        }
    }
}

/// Whether WeChat's number is named and not the merchant's.
fn by_theirs(path: &str) -> bool {
    path.contains("/elecsign/transfer-bill-no")
}

/// The place by the merchant's number, whichever was named.
fn own(books: &Books, mchid: &str, path: &str, place: String) -> String {
    if !by_theirs(path) {
        return place;
    }
    let number = books.by_bill_no.get(&Id::new(mchid, &place));
    number.cloned().unwrap_or_default()
}

/// Applies for one.
pub(crate) fn apply(
    (world, member): (&World, &Member),
    books: &Books,
    path: &str,
    body: &[u8],
) -> Result<Value, Refused> {
    let wanted: Value = serde_json::from_slice(body)
        .map_err(|_| Refused::new(400, "PARAM_ERROR", "请求体不是合法的JSON"))?;
    let text = |name: &str| wanted[name].as_str().unwrap_or_default().to_owned();
    let place = if by_theirs(path) {
        text("transfer_bill_no")
    } else if path.contains("/elecsign/") {
        text("out_bill_no")
    } else {
        let names = ["accept_type", "out_batch_no", "out_detail_no"];
        let given = names.into_iter().filter(|name| !text(name).is_empty());
        let given: Vec<String> = given.map(|name| format!("{name}={}", text(name))).collect();
        place(path, &given.join("&"))
    };
    if place.is_empty() {
        return Err(Refused::new(400, "PARAM_ERROR", "缺少单号"));
    }
    let place = own(books, member.mchid(), path, place);
    paid(books, member.mchid(), path, &place)?;
    let key = (member.mchid().to_owned(), place.clone());
    world.receipts().entry(key).or_insert_with(wire_now);
    told((world, member), books, path, &place)
}

/// Tells how one stands.
pub(crate) fn query(
    at: (&World, &Member),
    books: &Books,
    path: &str,
    query: &str,
) -> Result<Value, Refused> {
    let place = own(books, at.1.mchid(), path, place(path, query));
    told(at, books, path, &place)
}

fn told(
    (world, member): (&World, &Member),
    books: &Books,
    path: &str,
    place: &str,
) -> Result<Value, Refused> {
    let key = (member.mchid().to_owned(), place.to_owned());
    let applied = world.receipts().get(&key).copied();
    let applied = applied.ok_or_else(|| Refused::new(404, "NOT_FOUND", "记录不存在"))?;
    let paid = paid(books, member.mchid(), path, place)?;
    let of_transfer = path.contains("/elecsign/");
    let (state, making, number) = match of_transfer {
        true if by_theirs(path) => ("state", "GENERATING", "transfer_bill_no"),
        true => ("state", "GENERATING", "out_bill_no"),
        false => ("signature_status", "ACCEPTED", "out_detail_no"),
    };
    let moment = rfc3339(applied);
    let mut answer = json!({
        state: making,
        number: if by_theirs(path) { &paid.theirs } else { &paid.number },
        "create_time": moment,
        "update_time": moment,
    });
    if wire_now() >= applied + MADE_MS {
        let file = file(member.mchid(), &paid);
        let expires = wire_now() + TOKEN_MS;
        let kind = if of_transfer { "elecsign" } else { "detail" };
        let token = format!("{expires}-{}", mac(member, kind, place, expires));
        let place = place.replace('=', "~").replace('&', "!");
        answer[state] = json!("FINISHED");
        answer["hash_type"] = json!("SHA256");
        answer["hash_value"] = json!(hex(&sha256(&file)).to_uppercase());
        answer["download_url"] = json!(format!(
            "{}/v3/transferbilldownload/elecvoucherfile?source={kind}&of={place}&token={token}",
            world.url
        ));
    }
    Ok(answer)
}

/// The file of a token; a merchant's token works for that merchant alone.
pub(crate) fn download(member: &Member, books: &Books, query: &str) -> Result<Vec<u8>, Refused> {
    let gone = || Refused::invalid("下载链接已失效，请重新查询");
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(key, value)| (key == name).then_some(value))
    };
    let (Some(kind), Some(place), Some(token)) = (value("source"), value("of"), value("token"))
    else {
        return Err(gone());
    };
    let place = place.replace('~', "=").replace('!', "&");
    let (expires, proof) = token.split_once('-').ok_or_else(gone)?;
    let expires: i64 = expires.parse().map_err(|_| gone())?;
    if wire_now() > expires || proof != mac(member, kind, &place, expires) {
        return Err(gone());
    }
    let path = if kind == "elecsign" { "/elecsign/" } else { "" };
    let paid = paid(books, member.mchid(), path, &place)?;
    Ok(file(member.mchid(), &paid))
}

fn mac(member: &Member, kind: &str, place: &str, expires: i64) -> String {
    let text = format!("{}/{kind}/{place}/{expires}", member.provision.secret);
    hex(&sha256(text.as_bytes()))
}

/// What it is about. Only what was paid has a receipt.
fn paid(books: &Books, mchid: &str, path: &str, place: &str) -> Result<Paid, Refused> {
    let absent = || Refused::invalid("转账单据不存在");
    if path.contains("/elecsign/") {
        let transfer = books
            .transfers
            .get(&Id::new(mchid, place))
            .ok_or_else(absent)?;
        return match transfer.outcome {
            Outcome::Success => Ok(Paid {
                number: transfer.out_bill_no.clone(),
                theirs: transfer.transfer_bill_no.clone(),
                amount: transfer.amount,
                at: transfer.updated_at,
            }),
            _ => Err(absent()),
        };
    }
    let value = |name: &str| {
        let mut pairs = place.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(key, value)| (key == name).then_some(value))
    };
    let item = value("out_detail_no").ok_or_else(absent)?;
    match value("accept_type") {
        Some("BATCH_TRANSFER") => {
            let number = value("out_batch_no").ok_or_else(absent)?;
            let batch = books
                .batches
                .get(&Id::new(mchid, number))
                .ok_or_else(absent)?;
            let mut items = batch.items.iter();
            let found = items
                .find(|found| found.number == item)
                .ok_or_else(absent)?;
            if found.status != ItemStatus::Success || found.amount < ITEM_MIN {
                return Err(absent());
            }
            Ok(Paid {
                number: found.number.clone(),
                theirs: String::new(),
                amount: found.amount,
                at: batch.updated_at,
            })
        }
        Some("TRANSFER_TO_POCKET") => {
            let payment = books
                .payments
                .get(&Id::new(mchid, item))
                .ok_or_else(absent)?;
            match payment.status {
                old::Status::Success => Ok(Paid {
                    number: payment.number.clone(),
                    theirs: String::new(),
                    amount: payment.amount,
                    at: payment.created_at,
                }),
                _ => Err(absent()),
            }
        }
        _ => Err(Refused::new(400, "PARAM_ERROR", "accept_type错误")),
    }
}

/// A page of PDF that says what was paid.
fn file(mchid: &str, paid: &Paid) -> Vec<u8> {
    let line = format!(
        "BT /F1 12 Tf 40 160 Td (Sandbox receipt: merchant {mchid}, {}, CNY {}.{:02}, {}) Tj ET",
        paid.number,
        paid.amount / 100,
        paid.amount % 100,
        rfc3339(paid.at),
    );
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 200] /Contents 4 0 R /Resources << /Font \
         << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{line}\nendstream", line.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>".to_owned(),
    ];
    let mut text = String::from("%PDF-1.4\n");
    let mut places = Vec::new();
    for (no, object) in (1..).zip(&objects) {
        places.push(text.len());
        text.push_str(&format!("{no} 0 obj\n{object}\nendobj\n"));
    }
    let table = text.len();
    text.push_str(&format!(
        "xref\n0 {}\n0000000000 65535 f \n",
        objects.len() + 1
    ));
    for place in places {
        text.push_str(&format!("{place:010} 00000 n \n"));
    }
    let size = objects.len() + 1;
    text.push_str(&format!(
        "trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n"
    ));
    text.into_bytes()
}
