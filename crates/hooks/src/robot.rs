//! The robots of group chats: those of WeCom and of DingTalk. Each takes a text in their sort
//! of Markdown, at most 20 in a minute, and answers with a code of its own beside the status.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lingqian_io::courier::Receipt;
use serde::Deserialize;
use serde_json::json;

use crate::client::{self, Answer};

/// What WeCom takes of a text, in bytes.
pub(crate) const WECOM_MAX: usize = 4_000;
/// What DingTalk takes of a message, in bytes.
pub(crate) const DINGTALK_MAX: usize = 16_000;

/// WeCom's code for too many messages, and how long it wants to be left in peace.
const WECOM_TOO_FAST: i64 = 45_009;
const WECOM_PEACE_MS: i64 = 60_000;
/// DingTalk's codes for too many messages; it takes none for ten minutes then.
const DINGTALK_TOO_FAST: [i64; 2] = [130_101, 410_100];
const DINGTALK_PEACE_MS: i64 = 10 * 60_000;

/// Whose robot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Robot {
    Wecom,
    Dingtalk,
}

/// A message for WeCom's robot.
pub(crate) fn wecom(text: &str) -> String {
    json!({ "msgtype": "markdown", "markdown": { "content": text } }).to_string()
}

/// A message for DingTalk's robot.
pub(crate) fn dingtalk(title: &str, text: &str) -> String {
    let markdown = json!({ "title": title, "text": text });
    json!({ "msgtype": "markdown", "markdown": markdown }).to_string()
}

/// An address of DingTalk's, signed: the time in milliseconds, and the HMAC-SHA256 of it and the
/// secret under the secret.
pub(crate) fn signed(url: &str, secret: &str, at_ms: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hmac::sign(&key, format!("{at_ms}\n{secret}").as_bytes());
    let signature = STANDARD.encode(signature);
    let escaped = signature.bytes().map(|byte| match byte {
        b'+' => "%2B".to_owned(),
        b'/' => "%2F".to_owned(),
        b'=' => "%3D".to_owned(),
        plain => char::from(plain).to_string(),
    });
    let sign: String = escaped.collect();
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}timestamp={at_ms}&sign={sign}")
}

/// What both answer.
#[derive(Deserialize)]
struct Said {
    errcode: i64,
}

/// What an answer means: only the code zero is a yes.
pub(crate) fn receipt(robot: Robot, answer: &Answer, now_ms: i64) -> Receipt {
    let by_status = client::receipt(answer, now_ms);
    if by_status != Receipt::Taken {
        return by_status;
    }
    let Ok(Said { errcode }) = serde_json::from_slice(&answer.body) else {
        return Receipt::unanswered("answer_unreadable");
    };
    let peace = match robot {
        Robot::Wecom if errcode == WECOM_TOO_FAST => Some(WECOM_PEACE_MS),
        Robot::Dingtalk if DINGTALK_TOO_FAST.contains(&errcode) => Some(DINGTALK_PEACE_MS),
        _ => None,
    };
    match errcode {
        0 => Receipt::Taken,
        code => Receipt::NotTaken {
            code: format!("errcode_{code}"),
            retry_after_ms: peace,
            gone: false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `printf '1577262236757\nSECabc' | openssl dgst -sha256 -hmac SECabc -binary`.
    #[test]
    fn an_address_is_signed_as_openssl_signs_it() {
        let url = "https://oapi.dingtalk.com/robot/send?access_token=x";
        assert_eq!(
            signed(url, "SECabc", 1_577_262_236_757),
            format!(
                "{url}&timestamp=1577262236757&sign=I5TKCOTTj6fad4sJ4q9RsIffw0PAChVQZQGTdtRbNEQ%3D"
            )
        );
    }
}
