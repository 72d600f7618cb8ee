//! What makes something: transfers, batches and authorizations, with everything that may go wrong
//! around them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde_json::{Value, json};

use crate::auth::{Incoming, OTHER_DATA, Refused, Signing, TOO_LATE, answer, check};
use crate::faults::{Fault, asked};
use crate::fields::sealed_for_the_named;
use crate::kept::Id;
use crate::robot::ask_user;
use crate::server::{AUTHORIZATIONS, BATCHES, path_of};
use crate::world::{Member, World};
use crate::{authorization, batch, transfer};

/// The last part of the address of a transfer that asks for an authorization beside the money.
pub(crate) const PRE_TRANSFER: &str = "pre-transfer-with-authorization";

/// What is made under a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Product {
    Transfer,
    PreTransfer,
    Direct,
    Batch,
    Authorization,
}

impl Product {
    fn of(path: &str) -> Product {
        match path.rsplit('/').next() {
            _ if path.starts_with(BATCHES) => Product::Batch,
            _ if path.starts_with(AUTHORIZATIONS) => Product::Authorization,
            Some(PRE_TRANSFER) => Product::PreTransfer,
            Some("transfer") => Product::Direct,
            _ => Product::Transfer,
        }
    }

    /// The field with the merchant's number.
    fn number(self) -> &'static str {
        match self {
            Product::Batch => "out_batch_no",
            Product::Authorization => "out_authorization_no",
            Product::Transfer | Product::PreTransfer | Product::Direct => "out_bill_no",
        }
    }

    /// Whether a user must confirm what is new.
    fn asks_user(self) -> bool {
        matches!(self, Product::Transfer | Product::PreTransfer)
    }
}

pub(crate) async fn create(
    State(world): State<Arc<World>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = path_of(&uri);
    let request = Incoming {
        method: "POST",
        path,
        headers: &headers,
        body: &body,
    };
    let member = world.claimed(&headers);
    let admitted = check(&member, request).and_then(|()| world.admits(&member, "POST", path));
    let product = Product::of(path);
    let wanted: Value = serde_json::from_slice(&body).unwrap_or_default();
    let number = wanted[product.number()].as_str().unwrap_or_default();
    let id = Id::new(member.mchid(), number);
    let refused = admitted
        .and_then(|()| asked(&headers))
        .and_then(|asked| {
            world.faults().asked_for(&asked, number);
            refused_before(&world, number)
        })
        .and_then(|()| sealed_for_the_named(&member, &headers, &wanted));
    if let Err(refused) = refused {
        return world.answered(&member, &headers, Err(refused));
    }
    member.answer_by(crate::auth::wants_public_key(&member, &headers));
    let (mut result, fresh) = match made(&world, &member, (product, &id), &body).await {
        Ok(made) => made,
        Err(refused) => return world.answered(&member, &headers, Err(refused)),
    };
    if result.is_ok() && fresh && product.asks_user() {
        ask_user(&world, id.clone());
        world.wake_notifier();
    }
    if world.faults().strikes(Fault::SlowAnswer, number) {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    if let Ok(value) = &mut result {
        match denied_after(&world, number) {
            Some(Denied::Instead(response)) => return response,
            Some(Denied::With(refused)) => result = Err(refused),
            None if world.faults().strikes(Fault::ExtraFields, number) => {
                value["field_of_tomorrow"] = json!({ "any": [1, "二"] });
            }
            None => {}
        }
    }
    if result.is_err() {
        return world.answered(&member, &headers, result);
    }
    answer(&member, &headers, result, signing(&world, number))
}

/// Makes it, or answers for what there is; whether it is new, and durable in any case.
async fn made(
    world: &Arc<World>,
    member: &Member,
    (product, id): (Product, &Id),
    body: &[u8],
) -> Result<(Result<Value, Refused>, bool), Refused> {
    let (result, fresh, promise) = {
        let mut books = world.books();
        let known = books.transfers.contains_key(id);
        let result = match product {
            Product::Batch => batch::create(world, member, &mut books, body),
            Product::Authorization => authorization::apply(member, &mut books, body),
            Product::PreTransfer => transfer::pre_transfer(world, member, &mut books, body),
            Product::Direct => transfer::direct(world, member, &mut books, body),
            Product::Transfer => transfer::create(world, member, &mut books, body),
        };
        (result, !known, books.promise())
    };
    let kept = match promise {
        Some(promise) => promise.kept().await,
        None => Ok(()),
    };
    kept.map_err(|_| system_error())?;
    Ok((result, fresh))
}

pub(crate) fn system_error() -> Refused {
    Refused::new(500, "SYSTEM_ERROR", "系统异常，请稍后重试")
}

/// How the answer to a create is signed.
fn signing(world: &World, number: &str) -> Signing {
    let mut faults = world.faults();
    let mut strikes = |fault| faults.strikes(fault, number);
    if strikes(Fault::UnknownKey) {
        Signing::UnknownKey
    } else if strikes(Fault::WrongSignature) {
        Signing::Wrong
    } else if strikes(Fault::StaleAnswer) {
        Signing::Stale
    } else if strikes(Fault::UnsignedAnswer) {
        Signing::Nobody
    } else {
        Signing::Right
    }
}

/// Why a create is refused on purpose, before anything was accepted.
fn refused_before(world: &World, number: &str) -> Result<(), Refused> {
    let mut faults = world.faults();
    if let Some(refused) = faults.scripted(number, false) {
        return Err(refused);
    }
    let mut strikes = |fault| faults.strikes(fault, number);
    Err(if strikes(Fault::ErrorBefore) {
        system_error()
    } else if strikes(Fault::TooFast) {
        Refused::new(429, "FREQUENCY_LIMITED", "频率超限，请稍后重试")
    } else if strikes(Fault::AddressRefused) {
        Refused::new(403, "NO_AUTH", "此IP地址不允许调用该接口")
    } else if strikes(Fault::NoRight) {
        let words = "当前商户号没有相关权限，暂不支持使用";
        Refused::new(403, "NO_AUTH", words)
    } else if strikes(Fault::NotEnough) {
        Refused::new(403, "NOT_ENOUGH", "资金不足")
    } else if strikes(Fault::QuotaSpent) {
        Refused::invalid("超出商户单日转账额度")
    } else if strikes(Fault::RetryLate) {
        Refused::invalid(TOO_LATE)
    } else {
        return Ok(());
    })
}

/// What comes instead of the answer to a create that was accepted.
enum Denied {
    /// Another answer of the API.
    With(Refused),
    /// Something that is no answer of it.
    Instead(Response),
}

fn denied_after(world: &World, number: &str) -> Option<Denied> {
    let mut faults = world.faults();
    if let Some(refused) = faults.scripted(number, true) {
        return Some(Denied::With(refused));
    }
    let mut strikes = |fault| faults.strikes(fault, number);
    if strikes(Fault::AnswerLost) {
        Some(Denied::Instead(lost()))
    } else if strikes(Fault::HtmlAnswer) {
        Some(Denied::Instead(crate::old::html(502)))
    } else if strikes(Fault::ErrorAfter) {
        Some(Denied::With(system_error()))
    } else if strikes(Fault::UnknownCode) {
        let refused = Refused::new(400, "CODE_OF_TOMORROW", "未知错误");
        Some(Denied::With(refused))
    } else if strikes(Fault::OtherData) {
        Some(Denied::With(Refused::invalid(OTHER_DATA)))
    } else {
        None
    }
}

/// A body that breaks off closes the connection before an answer can be read.
pub(crate) fn lost() -> Response {
    Response::builder()
        .header(header::CONTENT_LENGTH, 1_000)
        .body(Body::new(Broken))
        .expect("the parts of the answer are valid")
}

struct Broken;

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(Some(Err(std::io::Error::other("the answer is lost"))))
    }
}
