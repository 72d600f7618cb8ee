//! Whose message it is, in WeChat's order of checks, and answers in XML.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use axum::body::Body;
use axum::http::header;
use axum::response::Response;
use md5::{Digest as _, Md5};

use crate::old::{Certificate, xml};
use crate::world::World;

/// The signature by a keyed hash, for calls that declare it.
pub(crate) const HMAC: &str = "HMAC-SHA256";

/// A parameter of a call: its name, whether it must be there, and the most characters of it.
pub(crate) type Parameter = (&'static str, bool, usize);

/// A message that was proved, by its fields. A field that is not there reads as empty.
pub(crate) struct Wanted(BTreeMap<String, String>);

impl Wanted {
    /// The merchant, which calls name one way or the other.
    pub(crate) fn mchid(&self) -> &str {
        let named = ["mchid", "mch_id"].map(|name| self[name].as_str());
        named
            .into_iter()
            .find(|value| !value.is_empty())
            .unwrap_or_default()
    }
}

impl std::ops::Index<&str> for Wanted {
    type Output = String;

    fn index(&self, name: &str) -> &String {
        static EMPTY: String = String::new();
        self.0.get(name).unwrap_or(&EMPTY)
    }
}

/// Fields of a good answer.
pub(crate) type Told = Vec<(&'static str, String)>;

/// An error answer.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// Whether the message itself was refused.
    message: bool,
    code: Option<&'static str>,
    words: String,
    more: Vec<(&'static str, String)>,
}

impl Refused {
    pub(crate) fn new(code: &'static str, words: impl Into<String>) -> Refused {
        Refused {
            message: false,
            code: Some(code),
            words: words.into(),
            more: Vec::new(),
        }
    }

    /// The message itself is refused with a code.
    pub(crate) fn message(code: &'static str, words: impl Into<String>) -> Refused {
        Refused {
            message: true,
            ..Refused::new(code, words)
        }
    }

    /// The real answer refuses message and matter at once.
    pub(crate) fn system() -> Refused {
        Refused {
            message: true,
            ..Refused::new("SYSTEMERROR", "系统繁忙，请稍后再试。")
        }
    }

    pub(crate) fn fatal() -> Refused {
        Refused::new("FATAL_ERROR", "两次请求参数不一致")
    }

    pub(crate) fn failed() -> Refused {
        Refused::new("SEND_FAILED", "发送失败，请查单确认付款状态")
    }

    /// The same with what it is about.
    pub(crate) fn about(self, more: Vec<(&'static str, String)>) -> Refused {
        Refused { more, ..self }
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let code = if self.message { "FAIL" } else { "SUCCESS" };
        let mut fields = vec![
            ("return_code", code.to_owned()),
            ("return_msg", self.words.clone()),
        ];
        if let Some(code) = self.code {
            fields.push(("result_code", "FAIL".to_owned()));
            fields.push(("err_code", code.to_owned()));
            fields.push(("err_code_des", self.words.clone()));
        }
        fields.extend(self.more.iter().cloned());
        fields
    }
}

/// Whether the caller proved itself by a certificate, where there was a handshake at all.
pub(crate) fn shows_a_certificate(peer: &Certificate) -> bool {
    peer.as_ref()
        .is_none_or(|peer| peer.0.0.certificate.is_some())
}

/// Reads and proves a message.
pub(crate) fn request(
    world: &World,
    peer: &Certificate,
    body: &[u8],
    parameters: &[Parameter],
) -> Result<Wanted, Refused> {
    let wrong = |code, words: &str| Refused {
        message: true,
        ..Refused::new(code, words)
    };
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        // A message of another charset still begins as one.
        Err(_) if body.starts_with(b"<xml") => {
            return Err(wrong("PARAM_IS_NOT_UTF8", "请求参数中包含非utf8编码字符"));
        }
        Err(_) => return Err(wrong("XML_ERROR", "Post请求数据不是合法的xml格式内容")),
    };
    let fields =
        xml::read(text).ok_or_else(|| wrong("XML_ERROR", "Post请求数据不是合法的xml格式内容"))?;
    let wanted = Wanted(fields);
    for (name, required, most) in parameters {
        let value = &wanted[name];
        if *required && value.is_empty() {
            let words = format!("参数错误:必须填入{name}");
            return Err(Refused::new("PARAM_ERROR", words));
        }
        if value.chars().count() > *most || value.chars().any(|letter| letter.len_utf8() > 3) {
            let words = format!("参数错误:输入的{name}有误");
            return Err(Refused::new("PARAM_ERROR", words));
        }
    }
    let Some(member) = world.member(wanted.mchid()) else {
        let words = "产品权限验证失败,请查看您当前是否具有该产品的权限";
        return Err(Refused::new("NO_AUTH", words));
    };
    if let Some((serial, spki)) = peer.as_ref().and_then(|peer| peer.0.0.certificate.as_ref())
        && member.certs().merchant(serial).as_ref() != Some(spki)
    {
        return Err(wrong("CA_ERROR", "请求未携带证书，或请求携带的证书出错"));
    }
    let credentials = member.credentials();
    let by_hmac = wanted["sign_type"] == HMAC;
    if wanted["sign"] != signature(&wanted.0, &credentials.v2_key, by_hmac) {
        return Err(Refused {
            message: true,
            code: None,
            words: "签名错误".to_owned(),
            more: Vec::new(),
        });
    }
    Ok(wanted)
}

/// Over the fields that are not empty, by their names' bytes.
fn signature(fields: &BTreeMap<String, String>, key: &str, by_hmac: bool) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if name != "sign" && !value.is_empty() {
            text.push_str(&format!("{name}={value}&"));
        }
    }
    text.push_str(&format!("key={key}"));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    if by_hmac {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        return hex(hmac::sign(&key, text.as_bytes()).as_ref());
    }
    hex(&Md5::digest(text.as_bytes()))
}

/// An answer; whatever it says, its status is 200.
pub(crate) fn answer(result: Result<Told, Refused>) -> Response {
    let fields = match result {
        Ok(told) => {
            let mut fields = vec![
                ("return_code", "SUCCESS".to_owned()),
                ("return_msg", String::new()),
                ("result_code", "SUCCESS".to_owned()),
            ];
            fields.extend(told);
            fields
        }
        Err(refused) => refused.fields(),
    };
    Response::builder()
        .header(header::CONTENT_TYPE, "text/plain")
        .body(Body::from(xml::write(&fields)))
        .expect("the parts of the answer are valid")
}

/// What a gateway says that is no answer of the API.
pub(crate) fn html(status: u16) -> Response {
    let text = "<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>\r\n\
                <body><center><h1>400 Bad Request</h1></center></body>\r\n</html>\r\n";
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/html")
        .body(Body::from(text))
        .expect("the parts of the answer are valid")
}
