//! The old API (v2): flat XML, an MD5 signature, the merchant's certificate in the handshake, and
//! answers that nobody signs.

mod fund_flow;
mod packets;
mod payments;
mod wire;
mod xml;

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

pub(crate) use fund_flow::download as download_fund_flow;
pub(crate) use packets::{Packet, Status as PacketStatus, open};
pub(crate) use payments::{Payment, Status};

use crate::admin::bad;
use crate::books::Books;
use crate::create::lost;
use crate::faults::{Fault, asked};
use crate::kept::Id;
use crate::robot::open_packet;
use crate::tls::Peer;
use crate::world::World;
pub(crate) use wire::html;
use wire::{Parameter, Refused, Told, Wanted, answer, request};
pub(crate) use xml::read;

type Shared = State<Arc<World>>;
pub(crate) type Certificate = Option<Extension<ConnectInfo<Peer>>>;

/// What is due happens.
pub(crate) fn pass(books: &mut Books) {
    payments::pass(books);
    packets::pass(books);
}

/// What can be sent by the old API.
struct Product {
    /// What a message says, and a question.
    fields: &'static [Parameter],
    question: &'static [Parameter],
    /// The parameter with the merchant's number.
    number: &'static str,
    known: fn(&Books, &Id) -> bool,
    send: fn(&World, &mut Books, &Wanted) -> Result<Told, Refused>,
    told: fn(&Books, &Id) -> Result<Told, Refused>,
}

const PAYMENTS: Product = Product {
    fields: payments::FIELDS,
    question: payments::QUESTION,
    number: "partner_trade_no",
    known: |books, id| books.payments.contains_key(id),
    send: payments::pay,
    told: payments::told,
};

const PACKETS: Product = Product {
    fields: packets::FIELDS,
    question: packets::QUESTION,
    number: "mch_billno",
    known: |books, id| books.packets.contains_key(id),
    send: packets::send,
    told: packets::told,
};

/// `POST /mmpaymkttransfers/promotion/transfers`.
pub(crate) async fn transfers(
    world: Shared,
    peer: Certificate,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    send(&world.0, &peer, (&headers, &body), &PAYMENTS).await
}

/// `POST /mmpaymkttransfers/gettransferinfo`.
pub(crate) async fn transfer_info(world: Shared, peer: Certificate, body: Bytes) -> Response {
    ask(&world.0, &peer, &body, &PAYMENTS)
}

/// `POST /mmpaymkttransfers/sendredpack`.
pub(crate) async fn send_packet(
    world: Shared,
    peer: Certificate,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    send(&world.0, &peer, (&headers, &body), &PACKETS).await
}

/// `POST /mmpaymkttransfers/gethbinfo`.
pub(crate) async fn packet_info(world: Shared, peer: Certificate, body: Bytes) -> Response {
    ask(&world.0, &peer, &body, &PACKETS)
}

async fn send(
    world: &Arc<World>,
    peer: &Certificate,
    (headers, body): (&HeaderMap, &[u8]),
    product: &Product,
) -> Response {
    if !wire::shows_a_certificate(peer) {
        return html(400);
    }
    let wanted = match request(world, peer, body, product.fields) {
        Ok(wanted) => wanted,
        Err(refused) => return answer(Err(refused)),
    };
    let number = wanted[product.number].clone();
    match asked(headers) {
        Ok(asked) => world.faults().asked_for(&asked, &number),
        Err(refused) => return bad(&refused.message),
    }
    let id = Id::new(wanted.mchid(), &number);
    let known = (product.known)(&world.books(), &id);
    if let Some(refused) = refused_before(world, &number).filter(|_| !known) {
        return answer(Err(refused));
    }
    let (result, promise) = {
        let mut books = world.books();
        let result = (product.send)(world, &mut books, &wanted);
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
        if !known && product.number == PACKETS.number {
            open_packet(world, id);
        }
        let strikes = |fault| world.faults().strikes(fault, &number);
        if strikes(Fault::AnswerLost) {
            return lost();
        }
        if strikes(Fault::HtmlAnswer) {
            return html(502);
        }
        if let Some(refused) = denied_after(world, &number) {
            return answer(Err(refused));
        }
    }
    answer(result.map(|told| echoed(told, &wanted)))
}

/// What a message said beside its matter comes back.
fn echoed(mut told: Told, wanted: &Wanted) -> Told {
    for name in ["device_info", "nonce_str"] {
        if !wanted[name].is_empty() {
            told.push((name, wanted[name].clone()));
        }
    }
    told
}

fn ask(world: &World, peer: &Certificate, body: &[u8], product: &Product) -> Response {
    if !wire::shows_a_certificate(peer) {
        return html(400);
    }
    let wanted = match request(world, peer, body, product.question) {
        Ok(wanted) => wanted,
        Err(refused) => return answer(Err(refused)),
    };
    let id = Id::new(wanted.mchid(), &wanted[product.number]);
    let quarter = format!("{}/{}", id.number, world.books().now() / 900_000);
    let strikes = |fault| world.faults().strikes(fault, &quarter);
    if strikes(Fault::QueryError) {
        return answer(Err(Refused::system()));
    }
    if strikes(Fault::QueryBlind) {
        return answer(Err(payments::not_found(&id)));
    }
    let told = (product.told)(&world.books(), &id);
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
