//! OAuth: where to send the user, and who it was that came back.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use lingqian_core::id::{AppId, OpenId};
use lingqian_core::link::Identity;
use lingqian_core::user::Sealed;
use lingqian_io::rail::{AppKind, IdentityFault, LinkScope, Remedy};
use lingqian_io::{Clock, IdentityProvider, Sealer};
use serde::{Deserialize, Serialize};

use crate::remedy::{Asked, remedy};
use crate::settings::OauthSettings;
use crate::socket::{ANSWER_MAX, Socket};

/// The purpose that tokens are sealed for.
pub const TOKENS_PURPOSE: &str = "tokens";

/// How often a question is asked while WeChat is busy or does not answer, and the first wait in
/// between; the next one is twice as long.
const TRIES: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// There is no secret for this app here.
pub(crate) const NO_APP: &str = "app_not_configured";

/// One app's OAuth.
#[derive(Debug)]
pub struct WechatOauth<K, C> {
    settings: OauthSettings,
    sealer: K,
    clock: C,
    socket: Socket,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: i64,
    refresh_token: String,
    openid: String,
    scope: String,
    unionid: Option<String>,
    #[serde(default)]
    is_snapshotuser: i64,
}

/// What is kept of a grant, sealed. Times are Unix milliseconds.
#[derive(Deserialize, Serialize)]
struct Tokens {
    openid: String,
    access_token: String,
    access_expires_at: i64,
    refresh_token: String,
}

/// Whose code it was. The session key that comes along opens what a mini program encrypts for its
/// own server. We read nothing of the kind, so it is never kept, and cannot leak.
#[derive(Deserialize)]
struct Session {
    openid: String,
    unionid: Option<String>,
}

#[derive(Deserialize)]
struct Code {
    #[serde(default)]
    errcode: i64,
}

impl<K: Sealer, C: Clock> WechatOauth<K, C> {
    /// An app's OAuth.
    #[must_use]
    pub fn new(settings: OauthSettings, sealer: K, clock: C) -> Self {
        let socket = Socket::new(settings.timeout);
        WechatOauth {
            settings,
            sealer,
            clock,
            socket,
        }
    }

    /// Which app it is.
    #[must_use]
    pub fn app(&self) -> &AppId {
        &self.settings.app
    }

    /// A code or token of another app is not ours to use.
    fn own(&self, app: &AppId) -> Result<(), IdentityFault> {
        if *app == self.settings.app {
            return Ok(());
        }
        Err(IdentityFault::Unavailable(NO_APP.into()))
    }

    /// Asks, and asks again where WeChat is busy or nobody answered. A code that an unheard answer
    /// used up is refused the second time, and the user begins again as without that try.
    async fn get(
        &self,
        asked: Asked,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Bytes, IdentityFault> {
        let mut wait = FIRST_WAIT;
        for _ in 1..TRIES {
            match self.get_once(asked, path, query).await {
                Err(
                    IdentityFault::Unavailable(_)
                    | IdentityFault::Refused {
                        remedy: Remedy::Again,
                        ..
                    },
                ) => tokio::time::sleep(wait).await,
                heard => return heard,
            }
            wait = wait.saturating_mul(2);
        }
        self.get_once(asked, path, query).await
    }

    /// Every answer has status 200; only `errcode` tells success from failure.
    async fn get_once(
        &self,
        asked: Asked,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Bytes, IdentityFault> {
        let unavailable = |word: &str| IdentityFault::Unavailable(word.to_owned());
        let pairs: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect();
        let request = Request::get(format!(
            "{}{path}?{}",
            self.settings.api_url,
            pairs.join("&")
        ))
        .body(Full::new(Bytes::new()))
        .map_err(|_| unavailable("request_invalid"))?;
        let answered = self
            .socket
            .call(request, ANSWER_MAX)
            .await
            .map_err(unavailable)?;
        if answered.status != 200 {
            return Err(unavailable("status"));
        }
        let code: Code =
            serde_json::from_slice(&answered.body).map_err(|_| unavailable("answer_unreadable"))?;
        match code.errcode {
            0 => Ok(answered.body),
            errcode => Err(IdentityFault::Refused {
                errcode,
                remedy: remedy(asked, errcode),
            }),
        }
    }

    async fn identity(&self, body: &[u8]) -> Result<Identity, IdentityFault> {
        let unreadable = || IdentityFault::Unavailable("answer_unreadable".into());
        let granted: Granted = serde_json::from_slice(body).map_err(|_| unreadable())?;
        let tokens = Tokens {
            openid: granted.openid.clone(),
            access_token: granted.access_token,
            access_expires_at: self
                .clock
                .business()
                .after_ms(granted.expires_in.saturating_mul(1_000))
                .0,
            refresh_token: granted.refresh_token,
        };
        let plain = serde_json::to_vec(&tokens).map_err(|_| unreadable())?;
        let sealed = self.sealer.seal(TOKENS_PURPOSE, &plain).await;
        let person = |text: &str| OpenId::parse(text).map_err(|_| unreadable());
        Ok(Identity {
            openid: person(&granted.openid)?,
            unionid: granted.unionid.as_deref().map(person).transpose()?,
            scope: granted.scope,
            snapshot: granted.is_snapshotuser == 1,
            tokens: Some(sealed.map_err(|fault| IdentityFault::Unavailable(fault.to_string()))?),
        })
    }

    async fn tokens(&self, sealed: &Sealed) -> Result<Tokens, IdentityFault> {
        let unavailable = |word: String| IdentityFault::Unavailable(word);
        let plain = self.sealer.open(TOKENS_PURPOSE, sealed).await;
        let plain = plain.map_err(|fault| unavailable(fault.to_string()))?;
        serde_json::from_slice(&plain).map_err(|_| unavailable("tokens_unreadable".into()))
    }
}

impl<K: Sealer, C: Clock> IdentityProvider for WechatOauth<K, C> {
    fn apps(&self) -> Vec<(AppId, AppKind)> {
        vec![(self.settings.app.clone(), self.settings.kind)]
    }

    /// The page checks the order of the parameters.
    fn authorize_url(
        &self,
        app: &AppId,
        redirect_uri: &str,
        state: &str,
        scope: LinkScope,
    ) -> String {
        let page = match scope {
            LinkScope::Base | LinkScope::Userinfo => "oauth2/authorize",
            LinkScope::Login => "qrconnect",
        };
        format!(
            "{}/connect/{page}?appid={app}&redirect_uri={}&response_type=code\
             &scope={}&state={}#wechat_redirect",
            self.settings.page_url,
            encode(redirect_uri),
            scope.name(),
            encode(state)
        )
    }

    async fn by_code(&self, app: &AppId, code: &str) -> Result<Identity, IdentityFault> {
        self.own(app)?;
        let query = [
            ("appid", self.settings.app.as_str()),
            ("secret", self.settings.secret.as_str()),
            ("js_code", code),
            ("grant_type", "authorization_code"),
        ];
        let body = self
            .get(Asked::Session, "/sns/jscode2session", &query)
            .await?;
        let unreadable = || IdentityFault::Unavailable("answer_unreadable".into());
        let session: Session = serde_json::from_slice(&body).map_err(|_| unreadable())?;
        let person = |text: &str| OpenId::parse(text).map_err(|_| unreadable());
        Ok(Identity {
            openid: person(&session.openid)?,
            unionid: session.unionid.as_deref().map(person).transpose()?,
            scope: "jscode2session".into(),
            snapshot: false,
            tokens: None,
        })
    }

    async fn redeem(&self, app: &AppId, code: &str) -> Result<Identity, IdentityFault> {
        self.own(app)?;
        let query = [
            ("appid", self.settings.app.as_str()),
            ("secret", self.settings.secret.as_str()),
            ("code", code),
            ("grant_type", "authorization_code"),
        ];
        let body = self
            .get(Asked::Exchange, "/sns/oauth2/access_token", &query)
            .await?;
        self.identity(&body).await
    }

    async fn refresh(&self, app: &AppId, tokens: &Sealed) -> Result<Identity, IdentityFault> {
        self.own(app)?;
        let tokens = self.tokens(tokens).await?;
        let query = [
            ("appid", self.settings.app.as_str()),
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens.refresh_token.as_str()),
        ];
        let body = self
            .get(Asked::Refresh, "/sns/oauth2/refresh_token", &query)
            .await?;
        self.identity(&body).await
    }

    async fn check(&self, app: &AppId, tokens: &Sealed) -> Result<bool, IdentityFault> {
        self.own(app)?;
        let tokens = self.tokens(tokens).await?;
        let query = [
            ("access_token", tokens.access_token.as_str()),
            ("openid", tokens.openid.as_str()),
        ];
        match self.get(Asked::Use, "/sns/auth", &query).await {
            Ok(_) => Ok(true),
            Err(IdentityFault::Refused {
                remedy: Remedy::Renew | Remedy::Restart,
                ..
            }) => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}

/// Percent-encodes all but letters, digits and `-._~`.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
