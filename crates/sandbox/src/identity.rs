//! People across apps: more apps of an open-platform account, mini programs' codes, tokens that a
//! user takes away, and the calls of `cgi-bin`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::admin::{bad, durable};
use crate::books::{Books, Code};
use crate::crypto::{base64, hex, random_text, sha256};
use crate::journal::Record;
use crate::oauth::{Fields, refused, usable};
use crate::world::World;

/// Calls of one user's in a minute, from which on WeChat says that they are too many.
const SESSIONS_A_MINUTE: usize = 100;
const MINUTE_MS: i64 = 60_000;

/// What an app is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Its page opens inside WeChat. Each merchant's own app is one.
    #[default]
    OfficialAccount,
    /// Its page shows a QR code.
    Website,
    /// It gets codes without a page.
    MiniProgram,
}

/// An app that no merchant came with.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) secret: String,
    pub(crate) kind: Kind,
}

/// Tokens of an app's user that were granted up to a moment are void, with this code from then on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voided {
    pub(crate) at: i64,
    pub(crate) errcode: i64,
}

impl Books {
    /// What an app is; nothing where there is none.
    pub(crate) fn kind_of(&self, appid: &str) -> Option<Kind> {
        let known = self.apps.iter().any(|app| app == appid);
        known.then(|| {
            self.more_apps
                .get(appid)
                .map_or_else(Kind::default, |app| app.kind)
        })
    }

    /// A person across all apps, which are of one open-platform account.
    pub(crate) fn unionid(name: &str) -> String {
        let digest = base64(&sha256(format!("open platform/{name}").as_bytes()));
        let text = digest.replace(['+', '/', '='], "x");
        format!("u{}", &text[..27])
    }

    /// Why tokens of a grant do not work any more, where the user took them away.
    pub(crate) fn voided(&self, appid: &str, openid: &str, granted_at: i64) -> Option<i64> {
        let key = (appid.to_owned(), openid.to_owned());
        let voided = self.voided.get(&key)?;
        (granted_at <= voided.at).then_some(voided.errcode)
    }
}

/// The secret of an app, whoever came with it.
fn secret(world: &World, appid: &str) -> Option<String> {
    let owner = world.owner_of(appid);
    let own = owner.map(|owner| owner.credentials().app_secret.clone());
    own.or_else(|| {
        let books = world.books();
        books.more_apps.get(appid).map(|app| app.secret.clone())
    })
}

/// Checks appid and secret in WeChat's order.
pub(crate) fn entitled(world: &World, given: &Fields) -> Result<(String, String), Value> {
    let field = |name: &str| given.get(name).map_or("", String::as_str);
    for (name, errcode) in [("appid", 41_002), ("secret", 41_004)] {
        if field(name).is_empty() {
            return Err(refused(errcode, &format!("{name} missing")));
        }
    }
    let known = secret(world, field("appid"));
    let known = known.ok_or_else(|| refused(40_013, "invalid appid"))?;
    if known != field("secret") {
        return Err(refused(40_125, "invalid appsecret"));
    }
    Ok((field("appid").to_owned(), known))
}

/// `/sns/jscode2session`: a mini program's code for a person and a session key, once.
pub(crate) fn session(world: &World, given: &Fields) -> Value {
    let (appid, _) = match entitled(world, given) {
        Ok(entitled) => entitled,
        Err(refused) => return refused,
    };
    let field = |name: &str| given.get(name).map_or("", String::as_str);
    if field("js_code").is_empty() {
        return refused(41_008, "js_code missing");
    }
    if field("grant_type") != "authorization_code" {
        return refused(40_002, "invalid grant_type");
    }
    let mut books = world.books();
    let now = books.now();
    let code = field("js_code").to_owned();
    let ours = |found: &Code| found.appid == appid && found.scope == "jscode2session";
    let found = match usable(&books, &code, ours) {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    if books
        .people
        .get(&found.user)
        .is_some_and(|person| person.frozen)
    {
        return refused(40_226, "code blocked");
    }
    let recent = books.sessions.entry(found.user.clone()).or_default();
    recent.retain(|at| now - *at < MINUTE_MS);
    if recent.len() >= SESSIONS_A_MINUTE {
        let words = "api minute-quota reach limit, must slower, retry next minute";
        return refused(45_011, words);
    }
    recent.push(now);
    let openid = books.openid(&appid, &found.user);
    books.record(Record::CodeUsed { code });
    let key = sha256(random_text(32).as_bytes());
    json!({
        "openid": openid,
        "session_key": base64(&key[..16]),
        "unionid": Books::unionid(&found.user),
    })
}

/// `/cgi-bin/token`: an app's own token, which lets it act for no user.
pub(crate) fn app_token(world: &World, given: &Fields) -> Value {
    let field = |name: &str| given.get(name).map_or("", String::as_str);
    if field("grant_type") != "client_credential" {
        return refused(40_002, "invalid grant_type");
    }
    match entitled(world, given) {
        Ok(_) => json!({ "access_token": random_text(64), "expires_in": 7_200 }),
        Err(refused) => refused,
    }
}

type Shared = State<Arc<World>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MakeApp {
    #[serde(default)]
    kind: Kind,
    /// The merchant that it is bound to; none where left out.
    mchid: Option<String>,
}

/// Makes an app of the open-platform account.
pub(crate) async fn make_app(State(world): Shared, Json(body): Json<MakeApp>) -> Response {
    if let Some(Err(words)) = body.mchid.as_deref().map(|mchid| world.named(Some(mchid))) {
        return bad(&words);
    }
    let appid = format!("wx{}", &hex(&sha256(random_text(32).as_bytes()))[..16]);
    let secret = hex(&sha256(random_text(32).as_bytes()))[..32].to_owned();
    let answer = json!({ "appid": appid, "secret": secret, "kind": body.kind });
    durable(&world, |books| {
        books.record(Record::App {
            appid: appid.clone(),
            secret,
            kind: body.kind,
        });
        if let Some(mchid) = body.mchid {
            let bound = true;
            books.record(Record::Bound {
                mchid,
                appid,
                bound,
            });
        }
    })
    .await;
    Json(answer).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WxLogin {
    appid: String,
    user: String,
}

/// What `wx.login` gives a mini program.
pub(crate) async fn wx_login(State(world): Shared, Json(body): Json<WxLogin>) -> Response {
    if world.books().kind_of(&body.appid) != Some(Kind::MiniProgram) {
        return bad("there is no such mini program; POST /_sandbox/apps makes one");
    }
    if body.user.is_empty() || body.user.len() > 64 {
        return bad("user must have 1 to 64 bytes");
    }
    let code = format!("0{}", random_text(31));
    let answer = json!({ "code": code });
    durable(&world, |books| {
        books.meet(&body.user);
        let at = books.now();
        books.record(Record::Code {
            appid: body.appid,
            code,
            user: body.user,
            scope: "jscode2session".to_owned(),
            snapshot: false,
            at,
        });
    })
    .await;
    Json(answer).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TakeAway {
    user: String,
    /// Which app's; all where left out.
    appid: Option<String>,
    /// The user changed the password, instead of revoking the grant.
    #[serde(default)]
    password: bool,
}

/// The user takes grants away: every token so far is void.
pub(crate) async fn take_away(State(world): Shared, Json(body): Json<TakeAway>) -> Response {
    let mut voided = 0;
    durable(&world, |books| {
        let (at, apps) = (books.now(), books.apps.clone());
        let errcode = if body.password { 42_007 } else { 40_030 };
        let wanted = |app: &&String| body.appid.as_ref().is_none_or(|appid| appid == *app);
        for appid in apps.iter().filter(wanted) {
            let openid = books.openid(appid, &body.user);
            books.record(Record::Voided {
                appid: appid.clone(),
                openid,
                at,
                errcode,
            });
            voided += 1;
        }
    })
    .await;
    if voided == 0 {
        return bad("there is no such app");
    }
    Json(json!({ "apps": voided })).into_response()
}
