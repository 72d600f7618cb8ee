//! The old API (v2): flat XML, an MD5 signature, the merchant's certificate in the handshake, and
//! answers that nobody signs.

mod payments;
mod wire;
mod xml;

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::extract::State;
use axum::response::Response;

pub(crate) use payments::{Payment, Status, pass};

use crate::faults::Fault;
use crate::server::{World, lost};
use crate::tls::Peer;
use wire::{Refused, answer, html, request};

pub(crate) type Certificate = Option<Extension<ConnectInfo<Peer>>>;

/// `POST /mmpaymkttransfers/promotion/transfers`.
pub(crate) async fn transfers(
    State(world): State<Arc<World>>,
    peer: Certificate,
    body: Bytes,
) -> Response {
    if !wire::shows_a_certificate(&peer) {
        return html(400);
    }
    let wanted = match request(&world, &peer, &body, payments::FIELDS) {
        Ok(wanted) => wanted,
        Err(refused) => return answer(Err(refused)),
    };
    let number = wanted["partner_trade_no"].clone();
    let known = world.books().payments.contains_key(&number);
    if let Some(refused) = refused_before(&world, &number).filter(|_| !known) {
        return answer(Err(refused));
    }
    let slow = slowness(&world, &number).filter(|_| !known);
    let (result, promise) = {
        let mut books = world.books();
        let result = payments::pay(&world, &mut books, &wanted, slow);
        (result, books.promise())
    };
    let kept = match promise {
        Some(promise) => promise.kept().await,
        None => Ok(()),
    };
    if kept.is_err() {
        return answer(Err(Refused::system()));
    }
    if result.is_ok() {
        let strikes = |fault| world.faults().strikes(fault, &number);
        if strikes(Fault::AnswerLost) {
            return lost();
        }
        if strikes(Fault::HtmlAnswer) {
            return html(502);
        }
        if let Some(refused) = denied_after(&world, &number) {
            return answer(Err(refused));
        }
    }
    answer(result)
}

/// `POST /mmpaymkttransfers/gettransferinfo`.
pub(crate) async fn transfer_info(
    State(world): State<Arc<World>>,
    peer: Certificate,
    body: Bytes,
) -> Response {
    if !wire::shows_a_certificate(&peer) {
        return html(400);
    }
    let wanted = match request(&world, &peer, &body, payments::QUESTION) {
        Ok(wanted) => wanted,
        Err(refused) => return answer(Err(refused)),
    };
    let number = &wanted["partner_trade_no"];
    let quarter = format!("{number}/{}", world.books().now() / 900_000);
    let strikes = |fault| world.faults().strikes(fault, &quarter);
    if strikes(Fault::QueryError) {
        return answer(Err(Refused::system()));
    }
    if strikes(Fault::QueryBlind) {
        return answer(Err(payments::not_found(&world.books(), number)));
    }
    let told = payments::told(&world.books(), number);
    answer(told)
}

fn refused_before(world: &World, number: &str) -> Option<Refused> {
    let mut faults = world.faults();
    let mut strikes = |fault| faults.strikes(fault, number);
    if strikes(Fault::ErrorBefore) {
        Some(Refused::system())
    } else if strikes(Fault::TooFast) {
        Some(Refused::new("FREQ_LIMIT", "超过频率限制，请稍后再试"))
    } else if strikes(Fault::NotEnough) {
        Some(Refused::new("NOTENOUGH", "余额不足"))
    } else if strikes(Fault::QuotaSpent) {
        Some(Refused::new("MONEY_LIMIT", "已达到今日付款总额上限"))
    } else {
        None
    }
}

/// Whether a payment takes its time, and how it ends then.
fn slowness(world: &World, number: &str) -> Option<bool> {
    let mut faults = world.faults();
    if faults.strikes(Fault::PaidLate, number) {
        Some(true)
    } else if faults.strikes(Fault::FailedLate, number) {
        Some(false)
    } else {
        None
    }
}

fn denied_after(world: &World, number: &str) -> Option<Refused> {
    let mut faults = world.faults();
    let mut strikes = |fault| faults.strikes(fault, number);
    if strikes(Fault::ErrorAfter) {
        Some(Refused::system())
    } else if strikes(Fault::UnknownCode) {
        Some(Refused::new("CODE_OF_TOMORROW", "未知错误"))
    } else if strikes(Fault::OtherData) {
        Some(Refused::fatal())
    } else if strikes(Fault::SendFailed) {
        Some(Refused::failed())
    } else if strikes(Fault::FalseRefusal) {
        Some(Refused::new("PARAM_ERROR", "参数错误:请确认收款人信息"))
    } else {
        None
    }
}
