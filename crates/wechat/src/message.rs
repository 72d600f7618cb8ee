//! Messages to users through `cgi-bin`: template messages of official accounts, and subscribe
//! messages of mini programs.
//!
//! An app has one token, the stable one: whoever asks for it, in whichever process, is given the
//! same until five minutes before its end, so that nobody makes another one's void. It is asked for
//! once at a time here, kept until then, and asked for once more where WeChat calls it void.
//!
//! What became of a message never changes a payout. What is absent: retries, and who is told what.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use http_body_util::Full;
use lingqian_core::id::{AppId, OpenId};
use lingqian_io::Clock;
use lingqian_io::rail::AppKind;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use crate::oauth::encode;
use crate::socket::{ANSWER_MAX, Socket};

/// The token is asked for anew so long before its end, in milliseconds: the next one is there then.
const RENEW_MS: i64 = 300_000;
/// The longest name under which WeChat knows a message again.
pub const NAME_MAX: usize = 32;

/// A message to one user.
#[derive(Clone, PartialEq, Eq)]
pub struct UserMessage {
    /// To whom.
    pub to: OpenId,
    /// The template.
    pub template: String,
    /// Its name, the same for every try.
    pub name: String,
    /// The page of a mini program that it leads to.
    pub page: Option<String>,
    /// The web page that a template message leads to.
    pub url: Option<String>,
    /// The values by their keys.
    pub data: Vec<(String, String)>,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// WeChat took it.
    Taken,
    /// The user does not want it, or is nobody: nothing is to be done.
    Unwanted(i64),
    /// Not now.
    Later(String),
    /// Template, page, value or right are wrong: a person must look.
    Wrong(i64),
}

/// What a code means for a message: one table.
#[must_use]
pub fn told(errcode: i64) -> Told {
    match errcode {
        0 => Told::Taken,
        // Not an openid of this app, not following, blacklisted, refused or consent used up.
        40_003 | 43_004 | 43_019 | 43_101 => Told::Unwanted(errcode),
        // Busy, token, too many, quotas.
        -1 | 40_001 | 40_014 | 42_001 | 43_108 | 45_009 | 45_011 => {
            Told::Later(format!("errcode_{errcode}"))
        }
        // Template, page, template taken back, value, right; and whatever nobody knows.
        _ => Told::Wrong(errcode),
    }
}

/// Whether a code says that the token is void.
fn is_void(errcode: i64) -> bool {
    [40_001, 40_014, 42_001].contains(&errcode)
}

#[derive(Clone)]
struct Token {
    text: String,
    renew_at: i64,
}

#[derive(Deserialize)]
struct Given {
    #[serde(default)]
    errcode: i64,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    expires_in: i64,
}

#[derive(Deserialize)]
struct Said {
    errcode: i64,
}

/// One app's way to its users. It has a secret, so it never prints itself.
pub struct WechatMessages<C> {
    app: AppId,
    kind: AppKind,
    secret: String,
    api_url: String,
    clock: C,
    socket: Socket,
    token: Mutex<Option<Token>>,
}

impl<C> std::fmt::Debug for WechatMessages<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WechatMessages({}, …)", self.app)
    }
}

impl<C: Clock> WechatMessages<C> {
    /// An app's way to its users; `api_url` has no slash at its end.
    #[must_use]
    pub fn new(
        (app, kind, secret): (AppId, AppKind, String),
        api_url: &str,
        clock: C,
        timeout: Duration,
    ) -> WechatMessages<C> {
        WechatMessages {
            app,
            kind,
            secret,
            api_url: api_url.to_owned(),
            clock,
            socket: Socket::new(timeout),
            token: Mutex::new(None),
        }
    }

    /// Sends one message.
    pub async fn send(&self, message: &UserMessage) -> Told {
        let (path, body) = match self.kind {
            AppKind::OfficialAccount => ("template/send", self.template(message)),
            AppKind::MiniProgram => ("subscribe/send", self.subscribe(message)),
            AppKind::Website => return Told::Wrong(48_001),
        };
        let mut void = None;
        for _ in 0..2 {
            let token = match self.token(void.take()).await {
                Ok(token) => token,
                Err(told) => return told,
            };
            let path = format!("/cgi-bin/message/{path}?access_token={}", encode(&token));
            let said: Said = match self.post(&path, &body).await {
                Ok(said) => said,
                Err(word) => return Told::Later(word.to_owned()),
            };
            if !is_void(said.errcode) {
                return told(said.errcode);
            }
            void = Some(token);
        }
        told(40_001)
    }

    fn template(&self, message: &UserMessage) -> Value {
        let mut body = self.plain(message);
        // WeChat knows a message again by it for ten minutes.
        body["client_msg_id"] = json!(message.name);
        if let Some(url) = &message.url {
            body["url"] = json!(url);
        }
        body
    }

    fn subscribe(&self, message: &UserMessage) -> Value {
        let mut body = self.plain(message);
        if let Some(page) = &message.page {
            body["page"] = json!(page);
        }
        body
    }

    fn plain(&self, message: &UserMessage) -> Value {
        let data = message.data.iter();
        let data: Map<String, Value> = data
            .map(|(key, value)| (key.clone(), json!({ "value": value })))
            .collect();
        json!({ "touser": message.to.expose(), "template_id": message.template, "data": data })
    }

    /// The token, unless it is the one that is void; one asks at a time.
    async fn token(&self, void: Option<String>) -> Result<String, Told> {
        let mut kept = self.token.lock().await;
        let now = self.clock.business().0;
        let good = kept.as_ref().filter(|token| {
            let stale = void.as_ref() == Some(&token.text);
            token.renew_at > now && !stale
        });
        if let Some(token) = good {
            return Ok(token.text.clone());
        }
        let body = json!({
            "grant_type": "client_credential",
            "appid": self.app.as_str(),
            "secret": self.secret,
            "force_refresh": false,
        });
        let given: Given = match self.post("/cgi-bin/stable_token", &body).await {
            Ok(given) => given,
            Err(word) => return Err(Told::Later(word.to_owned())),
        };
        if given.errcode != 0 || given.access_token.is_empty() {
            return Err(match given.errcode {
                -1 | 45_009 | 45_011 => told(given.errcode),
                code => Told::Wrong(code),
            });
        }
        let life = given.expires_in.saturating_mul(1_000);
        // Shortly before its end the next one is asked for, and that one is another one then.
        let renew_at = now.saturating_add(life.saturating_sub(RENEW_MS));
        *kept = Some(Token {
            text: given.access_token.clone(),
            renew_at,
        });
        Ok(given.access_token)
    }

    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, &'static str> {
        let request = Request::post(format!("{}{path}", self.api_url))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|_| "request_invalid")?;
        let answered = self.socket.call(request, ANSWER_MAX).await?;
        if answered.status != 200 {
            return Err("status");
        }
        serde_json::from_slice(&answered.body).map_err(|_| "answer_unreadable")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_table_leaves_one_thing_to_do() {
        assert_eq!(told(0), Told::Taken);
        for code in [40_003, 43_004, 43_019, 43_101] {
            assert_eq!(told(code), Told::Unwanted(code));
        }
        for code in [-1, 40_001, 40_014, 42_001, 43_108, 45_009, 45_011] {
            assert_eq!(told(code), Told::Later(format!("errcode_{code}")));
        }
        for code in [40_037, 41_030, 43_116, 47_003, 48_001, 99_999] {
            assert_eq!(told(code), Told::Wrong(code));
        }
    }
}
