//! One merchant's way into the old API: signed messages over a connection on which both sides
//! prove themselves.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use lingqian_core::id::MchId;
use lingqian_io::Fault;

use crate::pace::Pace;
use crate::socket::{Identity, Socket};
use crate::v2::sign::{self, Method};
use crate::v2::xml::{self, Fields, XmlFault};

/// The key of the old API has so many characters.
const KEY_LENGTH: usize = 32;

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
        let settings = &self.settings;
        fields.push(("nonce_str", format!("{nonce:032X}")));
        let signature = sign::signature(settings.method, &fields, &settings.key);
        fields.push(("sign", signature));
        let request = Request::post(format!("{}{path}", settings.base_url))
            .header("content-type", "text/xml; charset=utf-8")
            .header(
                "user-agent",
                concat!("lingqian/", env!("CARGO_PKG_VERSION")),
            )
            .body(Full::new(Bytes::from(xml::write(&fields))))
            .map_err(|_| "request_invalid")?;
        self.pace.turn().await;
        let answered = self.socket.call(request, xml::MESSAGE_MAX + 1).await?;
        Ok(Heard {
            status: answered.status,
            fields: xml::read(&answered.body),
        })
    }
}
