//! Bodies and fields of API v3 as every call checks them.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::auth::Refused;
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

/// A body of JSON without nulls and without fields that are not known.
pub(crate) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|_| Refused::new(400, "PARAM_ERROR", "请求体不是合法的JSON"))?;
    let null = value
        .as_object()
        .and_then(|map| map.iter().find(|(_, value)| value.is_null()));
    if let Some((field, _)) = null {
        return Err(Refused::field(field, "字段值不能为null"));
    }
    serde_json::from_value(value).map_err(|error| {
        let text = error.to_string();
        let words = if text.contains("unknown field") {
            "请求中含有未在API文档中定义的参数"
        } else {
            "参数错误"
        };
        let field = text.split('`').nth(1).unwrap_or_default().to_owned();
        Refused::field(&field, words)
    })
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
