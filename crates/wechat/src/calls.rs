//! One signed call to API v3: at its pace, by the host that answers, under the key that is accepted.

use std::fs::File;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use lingqian_io::keys::KeyFault;
use lingqian_io::{Clock, Dice, Sealer, Signer};
use serde::Deserialize;

use crate::pace::Pace;
use crate::pay::{KEY_AWAY, KEY_BROKEN, WechatPay};
use crate::sign;
use crate::socket::{ANSWER_MAX, Answered, CONNECT_FAILED, FILE_MAX};

#[derive(Deserialize, Default)]
struct ErrorCode {
    #[serde(default)]
    code: String,
}

/// Method and path; the path is what is signed and what is sent.
pub(crate) type Line<'a> = (&'a str, &'a str);

impl<S: Signer, K: Sealer, C: Clock, D: Dice> WechatPay<S, K, C, D> {
    /// Signs and sends when it is this call's turn. Where the key of the moment is refused and there
    /// is another one, the same request goes out once more under that.
    pub(crate) async fn call(
        &self,
        pace: &Pace,
        line: Line<'_>,
        body: Vec<u8>,
    ) -> Result<Answered, &'static str> {
        let (key, other) = self.signer.at(self.clock.wire());
        let Some(other) = other else {
            return self.call_by(key, pace, line, body).await;
        };
        let answered = self.call_by(key, pace, line, body.clone()).await?;
        if !sign_error(&answered) {
            return Ok(answered);
        }
        let again = self.call_by(other, pace, line, body).await?;
        if sign_error(&again) {
            return Ok(again);
        }
        if self.signer.swap(self.clock.wire()) {
            tracing::error!(
                refused = key.serial(),
                accepted = other.serial(),
                "WeChat refused a key of the merchant and accepted the other: look at the merchant \
                 platform"
            );
        }
        Ok(again)
    }

    async fn call_by(
        &self,
        signer: &S,
        pace: &Pace,
        line: Line<'_>,
        body: Vec<u8>,
    ) -> Result<Answered, &'static str> {
        pace.turn().await;
        let head = self.head(signer, line, &body).await?;
        let (first, second) = self.hosts.now();
        let answered = self.at(first, &head, body.clone()).await;
        // What only asks may be asked again. What acts goes out again only if nothing went out.
        let again = match &answered {
            Ok(_) => false,
            Err(word) => *word == CONNECT_FAILED || line.0 == "GET",
        };
        let answered = match (answered, second) {
            (Err(_), Some(second)) if again => self.at(second, &head, body).await,
            (answered, _) => answered,
        }?;
        pace.heard(answered.status);
        Ok(answered)
    }

    async fn at(&self, host: &str, head: &Head, body: Vec<u8>) -> Result<Answered, &'static str> {
        let request = head.request(host, body)?;
        let sent = self.clock.wire();
        let answered = self.socket.call(request, ANSWER_MAX).await;
        self.hosts.heard(host, answered.is_ok());
        let mchid = &self.settings.mchid;
        let skew = &self.skew;
        answered.inspect(|answered| skew.heard(mchid, (sent, self.clock.wire()), answered))
    }

    /// Fetches a file to the beginning of an empty one; answers the status.
    pub(crate) async fn fetch(&self, path: &str, into: &mut File) -> Result<u16, &'static str> {
        let (key, _) = self.signer.at(self.clock.wire());
        self.bill.turn().await;
        let head = self.head(key, ("GET", path), &[]).await?;
        let (host, _) = self.hosts.now();
        let request = head.request(host, Vec::new())?;
        let fetched = self.socket.fetch(request, FILE_MAX, into).await;
        self.hosts.heard(host, fetched.is_ok());
        fetched.inspect(|status| self.bill.heard(*status))
    }

    async fn head(
        &self,
        signer: &S,
        (method, path): Line<'_>,
        body: &[u8],
    ) -> Result<Head, &'static str> {
        let now = self.clock.wire();
        let seconds = now.0.div_euclid(1_000);
        let nonce = format!("{:032X}", self.dice.roll());
        let signed = sign::Request { method, path, body };
        let mchid = &self.settings.mchid;
        let authorization = sign::authorization(signer, mchid, seconds, &nonce, signed).await;
        let authorization = authorization.map_err(|fault| {
            tracing::error!(%fault, serial = signer.serial(), "a request was not signed");
            match fault {
                KeyFault::Away(_) => KEY_AWAY,
                _ => KEY_BROKEN,
            }
        })?;
        Ok(Head {
            method: method.to_owned(),
            path: path.to_owned(),
            authorization,
            serial: self.trust.sealing_key(now).map(|(serial, _)| serial),
        })
    }
}

/// What is sent besides the body; no host is signed, so it is the same for each.
struct Head {
    method: String,
    path: String,
    authorization: String,
    serial: Option<String>,
}

impl Head {
    fn request(&self, host: &str, body: Vec<u8>) -> Result<Request<Full<Bytes>>, &'static str> {
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(format!("{host}{}", self.path))
            .header("authorization", &self.authorization)
            .header("accept", "application/json")
            .header(
                "user-agent",
                concat!("lingqian/", env!("CARGO_PKG_VERSION")),
            );
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        if let Some(serial) = &self.serial {
            request = request.header("wechatpay-serial", serial);
        }
        request
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| "request_invalid")
    }
}

/// Whether WeChat says that our signature is not right.
fn sign_error(answered: &Answered) -> bool {
    let error: ErrorCode = match answered.status {
        401 => serde_json::from_slice(&answered.body).unwrap_or_default(),
        _ => return false,
    };
    error.code == "SIGN_ERROR"
}
