//! Bodies and fields of API v3 as every call checks them.

use axum::http::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::auth::{Refused, UNKNOWN_FIELD};
use crate::books::{Books, Person};
use crate::world::Member;

/// A field that must be there and is not.
pub(crate) fn missing(field: &str, words: &str) -> Refused {
    Refused::field(
        field,
        format!("输入源“/body/{field}”映射到字段“{words}”必填性规则校验失败，此字段为必填项"),
    )
}

/// A text that is there, not too long, and of letters that WeChat takes.
pub(crate) fn length(field: &str, text: &str, max: usize) -> Result<(), Refused> {
    if text.is_empty() {
        return Err(missing(field, field));
    }
    if text.chars().count() > max || text.chars().any(|letter| letter.len_utf8() > 3) {
        let message = format!("输入源“/body/{field}”字符串规则校验失败，最大长度{max}");
        return Err(Refused::field(field, message));
    }
    Ok(())
}

/// A merchant's number for something.
pub(crate) fn digits_and_letters(field: &str, text: &str) -> Result<(), Refused> {
    length(field, text, 32)?;
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(Refused::field(field, "商户单号只能由数字、大小写字母组成"))
}

/// Refuses what WeChat takes nowhere in a body: nulls, and letters of four bytes.
fn plain(field: &str, value: &Value) -> Result<(), Refused> {
    match value {
        Value::Null => Err(Refused::field(field, "字段值不能为null")),
        Value::String(text) if text.chars().any(|letter| letter.len_utf8() > 3) => {
            let words = format!("输入源“/body/{field}”字符集校验失败，仅支持1至3字节的UTF-8字符");
            Err(Refused::field(field, words))
        }
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(place, item)| plain(&format!("{field}/{place}"), item))
        }
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            if field.is_empty() {
                plain(name, value)
            } else {
                plain(&format!("{field}/{name}"), value)
            }
        }),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// A body of JSON without nulls and without fields that are not known.
pub(crate) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|_| Refused::new(400, "PARAM_ERROR", "请求体不是合法的JSON"))?;
    plain("", &value)?;
    serde_json::from_value(value).map_err(|error| {
        let text = error.to_string();
        let words = if text.contains("unknown field") {
            UNKNOWN_FIELD
        } else {
            "参数错误"
        };
        let field = text.split('`').nth(1).unwrap_or_default().to_owned();
        Refused::field(&field, words)
    })
}

/// An address for notifications: absolute, and without parameters.
pub(crate) fn address(field: &str, url: &str) -> Result<(), Refused> {
    length(field, url, 256)?;
    if !(url.starts_with("https://") || url.starts_with("http://")) || url.contains('?') {
        return Err(Refused::field(field, "通知地址必须为不带参数的URL"));
    }
    Ok(())
}

/// A name is sealed for the key of WeChat's that the header names; whoever names none, one that
/// nobody knows, or the other one, is refused before anything is read.
pub(crate) fn sealed_for_the_named(
    member: &Member,
    headers: &HeaderMap,
    body: &Value,
) -> Result<(), Refused> {
    let items = body["transfer_detail_list"].as_array();
    let items = items.into_iter().flatten();
    let sealed = std::iter::once(body).chain(items);
    let Some(sealed) = sealed.filter_map(|one| one["user_name"].as_str()).next() else {
        return Ok(());
    };
    opened_by_named(member, headers, "user_name", sealed).map(|_| ())
}

/// A field that was sealed for the key of WeChat's that the header names.
pub(crate) fn opened_by_named(
    member: &Member,
    headers: &HeaderMap,
    field: &str,
    sealed: &str,
) -> Result<String, Refused> {
    let named = headers.get("wechatpay-serial");
    let named = named.and_then(|value| value.to_str().ok());
    let named = named
        .filter(|named| *named == member.credentials().public_key_id || member.certs().has(named));
    let Some(named) = named else {
        let words = "平台证书序列号Wechatpay-Serial错误";
        return Err(Refused::new(400, "PARAM_ERROR", words));
    };
    let opened = if named == member.credentials().public_key_id {
        member.public_key.decrypt(sealed)
    } else {
        member.certs().decrypt_by(named, sealed)
    };
    opened.ok_or_else(|| Refused::field(field, "敏感字段解密失败"))
}

/// A merchant may pay under the apps that it is bound to.
pub(crate) fn bound(books: &Books, mchid: &str, appid: &str) -> Result<(), Refused> {
    if books.is_bound(mchid, appid) {
        return Ok(());
    }
    let words = "商户号和appid没有绑定关系";
    Err(Refused::new(400, "APPID_MCHID_NOT_MATCH", words))
}

/// The person whom an app knows by an openid.
pub(crate) fn person<'b>(
    books: &'b Books,
    appid: &str,
    openid: &str,
) -> Result<&'b Person, Refused> {
    let person = books.person_of(appid, openid);
    person.ok_or_else(|| Refused::invalid("Openid格式错误或者不属于商家公众账号，请检查"))
}

/// Only what is on the account and not promised yet can be paid.
pub(crate) fn enough(books: &Books, mchid: &str, amount: i64) -> Result<(), Refused> {
    if amount > books.free_balance(mchid) {
        return Err(Refused::new(403, "NOT_ENOUGH", "资金不足"));
    }
    Ok(())
}

/// A name that was sealed for one of WeChat's keys.
pub(crate) fn opened_name(member: &Member, sealed: &str) -> Result<String, Refused> {
    let opened = member
        .certs()
        .decrypt(sealed)
        .or_else(|| member.public_key.decrypt(sealed));
    opened.ok_or_else(|| Refused::field("user_name", "敏感字段解密失败"))
}
