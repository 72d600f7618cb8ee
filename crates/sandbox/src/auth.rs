//! The wire of API v3: whose request it is, in WeChat's order of checks, and signed answers.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use crate::books::wire_now;
use crate::crypto::{random_text, verify};
use crate::world::Member;

/// Seconds that a request may be off.
const SKEW_MAX_S: i64 = 300;

/// What is said about a field that is in no document.
pub(crate) const UNKNOWN_FIELD: &str = "请求中含有未在API文档中定义的参数";
/// What is said when a number comes again with something else.
pub(crate) const OTHER_DATA: &str = "单号已存在但信息不一致，请查单后比较确认";
/// What is said when a number comes again too late.
pub(crate) const TOO_LATE: &str = "对应单号已超出重试期，请查单确认后决定是否换单请求";

/// An error answer.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) detail: Option<Value>,
}

impl Refused {
    pub(crate) fn new(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Refused {
        Refused {
            status,
            code: code.into(),
            message: message.into(),
            detail: None,
        }
    }

    /// A field of the body that is not as agreed.
    pub(crate) fn field(field: &str, message: impl Into<String>) -> Refused {
        let detail = json!({ "field": format!("/body/{field}"), "location": "body", "value": "" });
        let refused = Refused::new(400, "PARAM_ERROR", message);
        Refused {
            detail: Some(detail),
            ..refused
        }
    }

    /// A business rule that says no.
    pub(crate) fn invalid(message: impl Into<String>) -> Refused {
        Refused::new(400, "INVALID_REQUEST", message)
    }

    /// WeChat's own number of an error, which ends the id of a request.
    fn inner(&self) -> u32 {
        match &*self.code {
            "SIGN_ERROR" => 268_443_699,
            "FREQUENCY_LIMITED" => 268_447_840,
            "PARAM_ERROR" if self.message == UNKNOWN_FIELD => 270_924_358,
            "PARAM_ERROR" => 268_435_461,
            "INVALID_REQUEST" if self.message == OTHER_DATA => 268_498_688,
            _ => 268_435_464,
        }
    }

    fn body(&self) -> Value {
        let mut body = json!({ "code": self.code, "message": self.message });
        if let (Some(detail), Some(map)) = (&self.detail, body.as_object_mut()) {
            map.insert("detail".into(), detail.clone());
        }
        body
    }
}

/// A request as it came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) method: &'a str,
    /// Path and query as sent.
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// The one proof of a request; two are none.
fn authorization(headers: &HeaderMap) -> Option<&str> {
    let mut found = headers.get_all(header::AUTHORIZATION).iter();
    let first = found.next()?.to_str().ok()?;
    found.next().is_none().then_some(first)
}

/// What every request says about itself besides, and what one with a body says of that.
fn check_headers(request: Incoming<'_>) -> Result<(), Refused> {
    let refuse = |words: &str| Err(Refused::new(400, "PARAM_ERROR", words));
    let said = |name| {
        let value: Option<&axum::http::HeaderValue> = request.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    if said(header::ACCEPT).is_empty() || said(header::USER_AGENT).is_empty() {
        return refuse("Http头缺少Accept或User-Agent");
    }
    let kind = said(header::CONTENT_TYPE)
        .split(';')
        .next()
        .unwrap_or_default();
    if !request.body.is_empty() && !kind.trim().eq_ignore_ascii_case("application/json") {
        return refuse("Http头Content-Type错误，请使用application/json");
    }
    Ok(())
}

fn part<'a>(parts: &'a str, name: &str) -> Option<&'a str> {
    parts.split(',').find_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        (key == name).then(|| value.trim_matches('"'))
    })
}

/// The parts of a proof, as far as they are there.
pub(crate) fn parts(proof: &str) -> Vec<&str> {
    let names = ["mchid", "nonce_str", "timestamp", "serial_no", "signature"];
    let (_, parts) = proof.split_once(' ').unwrap_or_default();
    names
        .into_iter()
        .filter_map(|name| part(parts, name))
        .collect()
}

/// The merchant that a request says it is from.
pub(crate) fn claimed_mchid(headers: &HeaderMap) -> Option<&str> {
    let (_, parts) = authorization(headers)?.split_once(' ')?;
    part(parts, "mchid")
}

/// Proves that a request is this merchant's.
pub(crate) fn check(member: &Member, request: Incoming<'_>) -> Result<(), Refused> {
    let sign_error = |message: &str| Refused::new(401, "SIGN_ERROR", message);
    let value = authorization(request.headers).ok_or_else(|| {
        sign_error("Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》")
    })?;
    let (scheme, parts) = value.split_once(' ').unwrap_or((value, ""));
    if scheme != "WECHATPAY2-SHA256-RSA2048" {
        return Err(sign_error("Http头Authorization认证类型不正确"));
    }
    let part = |name: &str| {
        part(parts, name).ok_or_else(|| {
            sign_error("Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》")
        })
    };
    let (mchid, nonce) = (part("mchid")?, part("nonce_str")?);
    let (timestamp, serial) = (part("timestamp")?, part("serial_no")?);
    let signature = part("signature")?;
    let seconds: i64 = timestamp
        .parse()
        .map_err(|_| sign_error("时间戳格式错误"))?;
    if (wire_now() / 1_000 - seconds).abs() > SKEW_MAX_S {
        return Err(sign_error(
            "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟",
        ));
    }
    if nonce.is_empty() || nonce.len() > 32 {
        return Err(sign_error("随机串长度错误"));
    }
    if mchid != member.mchid() {
        return Err(sign_error("商户号不存在"));
    }
    let spki = member
        .certs()
        .merchant(serial)
        .ok_or_else(|| sign_error("商户证书序列号有误。请使用签名私钥匹配的证书序列号"))?;
    let head = format!(
        "{}\n{}\n{timestamp}\n{nonce}\n",
        request.method, request.path
    );
    let message = [head.as_bytes(), request.body, b"\n"].concat();
    if verify(&spki, &message, signature) {
        return check_headers(request);
    }
    Err(wrong_signature(request, &message))
}

/// WeChat shows the beginning of what it signed.
fn wrong_signature(request: Incoming<'_>, message: &[u8]) -> Refused {
    let truncated: String = String::from_utf8_lossy(message).chars().take(128).collect();
    let detail = json!({
        "detail": { "issue": "sign not match" },
        "field": "signature",
        "location": "authorization",
        "sign_information": {
            "method": request.method,
            "sign_message_length": message.len(),
            "truncated_sign_message": truncated,
            "url": request.path,
        },
    });
    let refused = Refused::new(401, "SIGN_ERROR", "错误的签名，验签失败");
    Refused {
        detail: Some(detail),
        ..refused
    }
}

/// How an answer is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    /// With the key that the request chose.
    Right,
    /// With a key that nobody knows.
    UnknownKey,
    /// With a signature that is none.
    Wrong,
    /// By a clock that is far behind.
    Stale,
    /// Not at all.
    Nobody,
}

/// The headers that prove a body: serial, timestamp, nonce, signature.
pub(crate) fn proof(member: &Member, public_key: bool, body: &[u8]) -> Proof {
    proof_at(wire_now() / 1_000, member, public_key, body)
}

/// The id of a request: hex, and a number of WeChat's own, zero where nothing was wrong.
pub(crate) fn request_id(inner: u32) -> String {
    let id = crate::crypto::hex(random_text(21).as_bytes()).to_ascii_uppercase();
    format!("08{id}-{inner}")
}

type Proof = [(&'static str, String); 5];

fn proof_at(seconds: i64, member: &Member, public_key: bool, body: &[u8]) -> Proof {
    let (timestamp, nonce) = (seconds.to_string(), random_text(32));
    let message = [format!("{timestamp}\n{nonce}\n").as_bytes(), body, b"\n"].concat();
    let (signature, serial) = if public_key {
        let id = member.credentials().public_key_id.clone();
        (member.public_key.sign(&message), id)
    } else {
        let (key, serial) = member.certs().signing();
        (key.sign(&message), serial)
    };
    [
        ("Wechatpay-Serial", serial),
        ("Wechatpay-Timestamp", timestamp),
        ("Wechatpay-Nonce", nonce),
        ("Wechatpay-Signature", signature),
        (
            "Wechatpay-Signature-Type",
            "WECHATPAY2-SHA256-RSA2048".to_owned(),
        ),
    ]
}

/// Whether a request wants its answer signed by the public key.
pub(crate) fn wants_public_key(member: &Member, headers: &HeaderMap) -> bool {
    let wanted = headers
        .get("wechatpay-serial")
        .and_then(|value| value.to_str().ok());
    wanted == Some(member.credentials().public_key_id.as_str())
}

/// A signed JSON answer.
pub(crate) fn answer(
    member: &Member,
    headers: &HeaderMap,
    result: Result<Value, Refused>,
    signing: Signing,
) -> Response {
    let (status, body) = match &result {
        Ok(value) => (200, value.to_string()),
        Err(refused) => (refused.status, refused.body().to_string()),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let inner = result.as_ref().err().map_or(0, Refused::inner);
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header("Request-ID", request_id(inner));
    let behind = if signing == Signing::Stale {
        SKEW_MAX_S * 2
    } else {
        0
    };
    let proof = (signing != Signing::Nobody).then(|| {
        let public_key = wants_public_key(member, headers);
        proof_at(
            wire_now() / 1_000 - behind,
            member,
            public_key,
            body.as_bytes(),
        )
    });
    for (name, value) in proof.into_iter().flatten() {
        let value = match (signing, name) {
            (Signing::UnknownKey, "Wechatpay-Serial") => {
                "0000000000000000000000000000000000000000".into()
            }
            (Signing::Wrong, "Wechatpay-Signature") => format!("WECHATPAY/SIGNTEST/{value}"),
            _ => value,
        };
        response = response.header(name, value);
    }
    response
        .body(Body::from(body))
        .expect("the parts of the answer are valid")
}
