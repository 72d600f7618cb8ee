//! `downloadfundflow`: the bill itself, or a message that says why there is none.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::Response;

use crate::bill::{ACCOUNT, MADE_AFTER_MS, day_of, file, packed};
use crate::books::{beijing_day, day_start};
use crate::crypto::sha1_hex;
use crate::old::Certificate;
use crate::old::wire::{self, Parameter, Refused, answer, html};
use crate::world::World;

/// What a question says. Nothing but HMAC-SHA256 is taken.
const QUESTION: &[Parameter] = &[
    ("appid", true, 32),
    ("mch_id", true, 32),
    ("nonce_str", true, 32),
    ("sign", true, 64),
    ("sign_type", true, 32),
    ("bill_date", true, 8),
    ("account_type", true, 9),
    ("tar_type", false, 8),
];

/// `POST /pay/downloadfundflow`.
pub(crate) async fn download(
    State(world): State<Arc<World>>,
    peer: Certificate,
    body: Bytes,
) -> Response {
    if !wire::shows_a_certificate(&peer) {
        return html(400);
    }
    made(&world, &peer, &body).unwrap_or_else(|refused| answer(Err(refused)))
}

fn made(world: &World, peer: &Certificate, body: &[u8]) -> Result<Response, Refused> {
    let wanted = wire::request(world, peer, body, QUESTION)?;
    let parameter = |words: &str| Refused::message("PARAM_ERROR", words);
    if wanted["sign_type"] != wire::HMAC {
        return Err(parameter("sign_type仅支持HMAC-SHA256"));
    }
    let account = &wanted["account_type"];
    if !["Basic", "Operation", "Fees"].contains(&account.as_str()) {
        return Err(parameter("account_type错误"));
    }
    let gzip = match wanted["tar_type"].as_str() {
        "" => false,
        "GZIP" => true,
        _ => return Err(parameter("tar_type错误")),
    };
    let date = &wanted["bill_date"];
    let dashed = match (date.get(..4), date.get(4..6), date.get(6..8)) {
        (Some(year), Some(month), Some(day)) => format!("{year}-{month}-{day}"),
        _ => return Err(parameter("bill_date格式错误")),
    };
    let day = day_of(&dashed).ok_or_else(|| parameter("bill_date格式错误"))?;
    let books = world.books();
    if day >= beijing_day(books.now()) {
        return Err(parameter("bill_date错误"));
    }
    if books.now() < day_start(day + 1) + MADE_AFTER_MS {
        return Err(Refused::message("BILL_CREATING", "账单生成中"));
    }
    let own = account.to_uppercase() == ACCOUNT;
    let text = file(&books, wanted.mchid(), day).filter(|_| own);
    let text = text.ok_or_else(|| Refused::message("NO_BILL_EXIST", "账单不存在"))?;
    let digest = format!("SHA={}", sha1_hex(text.as_bytes()));
    let bytes = match gzip {
        true => packed(&text).ok_or_else(Refused::system)?,
        false => text.into_bytes(),
    };
    Ok(Response::builder()
        .header(header::CONTENT_TYPE, "text/plain")
        .header("digest", digest)
        .body(Body::from(bytes))
        .expect("the parts of the answer are valid"))
}
