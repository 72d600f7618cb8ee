//! One merchant's way into the old API: signed messages over a connection on which both sides
//! prove themselves.

use std::fmt;
use std::fs::File;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use lingqian_core::id::MchId;
use lingqian_io::Fault;

use crate::pace::Pace;
use crate::socket::{FILE_MAX, Identity, Socket};
use crate::v2::sign::{self, Method};
use crate::v2::xml::{self, Fields, XmlFault};

/// The key of the old API has so many characters.
const KEY_LENGTH: usize = 32;

/// Codes that say that calls come too fast.
const TOO_FAST: [&str; 2] = ["FREQ_LIMIT", "FREQUENCY_LIMITED"];

/// A merchant at the old API.
#[derive(Clone)]
pub struct DoorSettings {
    /// `https://api.mch.weixin.qq.com`; `http` only to this machine.
    pub base_url: String,
    /// The merchant.
    pub mchid: MchId,
    /// The 32 characters that messages are signed with.
    pub key: String,
    /// How they are signed.
    pub method: Method,
    /// The app that bills are asked for under; each order has its own.
    pub app: String,
    /// The address that messages name as the caller's.
    pub ip: String,
    /// Who sends red packets, as the user reads it; at most 32 characters.
    pub sender: String,
    /// An answer that has not come after this is unknown. Two minutes have been seen.
    pub timeout: Duration,
    /// Calls a second.
    pub rate: u32,
    /// The merchant's certificate; WeChat wants it.
    pub identity: Option<Identity>,
}

impl fmt::Debug for DoorSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DoorSettings")
            .field("base_url", &self.base_url)
            .field("mchid", &self.mchid)
            .finish_non_exhaustive()
    }
}

/// An answer that came, whether or not it reads. It may name a person, so it never prints itself.
pub struct Heard {
    /// The HTTP status.
    pub status: u16,
    /// WeChat's id of the request, where the gateway gave one.
    pub request_id: Option<String>,
    /// The fields of its message.
    pub fields: Result<Fields, XmlFault>,
}

impl Heard {
    /// A field that is there and not empty.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let fields = self.fields.as_ref().ok()?;
        let value = fields.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }
}

/// A merchant's way in.
#[derive(Debug)]
pub struct Door {
    settings: DoorSettings,
    socket: Socket,
    pace: Pace,
}

impl Door {
    /// Opens a door. Nothing is sent.
    ///
    /// # Errors
    /// [`Fault::Broken`] when the settings could never work or would not be safe: a key of another
    /// length, a certificate that does not read or is missing, clear text to another machine.
    pub fn open(settings: DoorSettings) -> Result<Door, Fault> {
        let broken = |words: &str| Err(Fault::Broken(words.to_owned()));
        if settings.key.len() != KEY_LENGTH || !settings.key.is_ascii() {
            return broken("the v2 key must have 32 letters and digits");
        }
        let address: Uri = match settings.base_url.parse() {
            Ok(address) => address,
            Err(_) => return broken("the address of the v2 API is none"),
        };
        let here = ["127.0.0.1", "localhost", "[::1]"];
        match address.scheme_str() {
            Some("https") if settings.identity.is_none() => {
                return broken("the v2 API wants the merchant's certificate and its key");
            }
            Some("https") => {}
            Some("http") if address.host().is_some_and(|host| here.contains(&host)) => {}
            _ => return broken("the v2 API is spoken to over https only"),
        }
        let socket = match &settings.identity {
            Some(identity) => Socket::with_identity(settings.timeout, identity)?,
            None => Socket::new(settings.timeout),
        };
        Ok(Door {
            socket,
            pace: Pace::per_second(settings.rate),
            settings,
        })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &DoorSettings {
        &self.settings
    }

    /// Signs and sends when it is this call's turn.
    ///
    /// # Errors
    /// A word for why no answer came; whether WeChat acted on the message is not known then.
    pub async fn call(
        &self,
        path: &str,
        mut fields: Vec<(&'static str, String)>,
        nonce: u128,
    ) -> Result<Heard, &'static str> {
        let request = self.request(self.settings.method, path, &mut fields, nonce)?;
        self.pace.turn().await;
        let answered = self.socket.call(request, xml::MESSAGE_MAX + 1).await?;
        let fields = xml::read(&answered.body);
        let too_fast = fields
            .as_ref()
            .ok()
            .and_then(|fields| fields.get("err_code"));
        let too_fast = too_fast.is_some_and(|code| TOO_FAST.contains(&code.as_str()));
        self.pace
            .heard(if too_fast { 429 } else { answered.status });
        Ok(Heard {
            status: answered.status,
            request_id: answered.header("request-id").map(str::to_owned),
            fields,
        })
    }

    /// Signs by HMAC-SHA256, sends, and writes the answer to a file: a bill, or a message that says
    /// why there is none. Answers the status and the headers.
    ///
    /// # Errors
    /// A word for why no answer came.
    pub async fn fetch(
        &self,
        path: &str,
        mut fields: Vec<(&'static str, String)>,
        nonce: u128,
        into: &mut File,
    ) -> Result<(u16, Vec<(String, String)>), &'static str> {
        let request = self.request(Method::HmacSha256, path, &mut fields, nonce)?;
        self.pace.turn().await;
        self.socket.fetch_headed(request, FILE_MAX, into).await
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        fields: &mut Vec<(&'static str, String)>,
        nonce: u128,
    ) -> Result<Request<Full<Bytes>>, &'static str> {
        let settings = &self.settings;
        fields.push(("nonce_str", format!("{nonce:032X}")));
        let signature = sign::signature(method, fields, &settings.key);
        fields.push(("sign", signature));
        Request::post(format!("{}{path}", settings.base_url))
            .header("content-type", "text/xml; charset=utf-8")
            .header(
                "user-agent",
                concat!("lingqian/", env!("CARGO_PKG_VERSION")),
            )
            .body(Full::new(Bytes::from(xml::write(fields))))
            .map_err(|_| "request_invalid")
    }
}
