//! Messages to users: the stable token of an app, template messages of official accounts and
//! subscribe messages of mini programs. Templates are made and consents given by calls that only a
//! sandbox has; what was sent is shown, and forgotten when the sandbox ends.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::admin::bad;
use crate::crypto::random_text;
use crate::identity::{Kind, entitled};
use crate::oauth::{Fields, fields, refused};
use crate::world::World;

/// A token lives two hours; five minutes before its end the next one is given.
const TOKEN_MS: i64 = 7_200_000;
const RENEW_MS: i64 = 300_000;
/// A token is forced at most so often in a day, and so far apart.
const FORCED_A_DAY: usize = 20;
const FORCED_APART_MS: i64 = 30_000;
const DAY_MS: i64 = 86_400_000;
/// The same message under the same name is one for so long.
const SAME_MS: i64 = 600_000;
/// So many messages are remembered.
const SENT_MAX: usize = 1_000;

const TEMPLATE: &str = "/cgi-bin/message/template/send";
const SUBSCRIBE: &str = "/cgi-bin/message/subscribe/send";

/// A template of an app.
#[derive(Clone, Debug)]
struct Template {
    appid: String,
    keys: Vec<String>,
}

#[derive(Clone, Debug)]
struct Token {
    text: String,
    until: i64,
}

/// What messages leave behind.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    templates: BTreeMap<String, Template>,
    /// How many messages an openid agreed to, by template.
    consents: BTreeMap<(String, String), u32>,
    /// The tokens of an app that live, the newest last.
    tokens: BTreeMap<String, Vec<Token>>,
    forced: BTreeMap<String, Vec<i64>>,
    /// How often a token was asked for, and how many were made.
    asked: u64,
    made: u64,
    names: BTreeMap<String, (i64, u64)>,
    sent: VecDeque<Value>,
    next: u64,
}

impl Messages {
    fn app_of(&self, token: &str, now: i64) -> Result<String, Value> {
        if token.is_empty() {
            return Err(refused(41_001, "access_token missing"));
        }
        let owner = self.tokens.iter().find_map(|(appid, tokens)| {
            let found = tokens.iter().find(|known| known.text == token)?;
            Some((appid.clone(), found.until))
        });
        match owner {
            None => Err(refused(
                40_001,
                "invalid credential, access_token is invalid or not latest",
            )),
            Some((_, until)) if until <= now => Err(refused(42_001, "access_token expired")),
            Some((appid, _)) => Ok(appid),
        }
    }

    fn token(&mut self, appid: &str, force: bool, now: i64) -> Value {
        self.asked += 1;
        let tokens = self.tokens.entry(appid.to_owned()).or_default();
        let newest = tokens.last().cloned();
        let fresh = newest.filter(|token| token.until - now > RENEW_MS && !force);
        if force {
            let forced = self.forced.entry(appid.to_owned()).or_default();
            forced.retain(|at| now - *at < DAY_MS);
            let close = forced.last().is_some_and(|at| now - *at < FORCED_APART_MS);
            if forced.len() >= FORCED_A_DAY || close {
                return refused(45_009, "reach max api daily quota limit");
            }
            forced.push(now);
            // What was given before is void.
            tokens.clear();
        }
        let token = fresh.unwrap_or_else(|| {
            let token = Token {
                text: random_text(136),
                until: now + TOKEN_MS,
            };
            self.made += 1;
            tokens.push(token.clone());
            token
        });
        json!({ "access_token": token.text, "expires_in": (token.until - now) / 1_000 })
    }
}

/// Every answer has status 200.
fn said(value: &Value) -> Response {
    let kind = (header::CONTENT_TYPE, "application/json; charset=utf-8");
    ([kind], value.to_string()).into_response()
}

fn planned(world: &World, uri: &Uri) -> Option<Response> {
    let call = uri.path().trim_start_matches('/');
    let errcode = world.faults().planned(call)?;
    Some(said(&refused(errcode, "as it was planned")))
}

type Shared = State<Arc<World>>;

#[derive(Deserialize)]
struct AskedToken {
    #[serde(default)]
    grant_type: String,
    #[serde(default)]
    appid: String,
    #[serde(default)]
    secret: String,
    #[serde(default)]
    force_refresh: bool,
}

/// `/cgi-bin/stable_token`.
async fn stable_token(State(world): Shared, uri: Uri, body: Bytes) -> Response {
    if let Some(planned) = planned(&world, &uri) {
        return planned;
    }
    let Ok(asked) = serde_json::from_slice::<AskedToken>(&body) else {
        return said(&refused(47_001, "data format error"));
    };
    if asked.grant_type != "client_credential" {
        return said(&refused(40_002, "invalid grant_type"));
    }
    let given = Fields::from([
        ("appid".to_owned(), asked.appid.clone()),
        ("secret".to_owned(), asked.secret),
    ]);
    let now = world.books().now();
    said(&match entitled(&world, &given) {
        Err(refused) => refused,
        Ok(_) => world
            .messages()
            .token(&asked.appid, asked.force_refresh, now),
    })
}

#[derive(Deserialize)]
struct Sent {
    #[serde(default)]
    touser: String,
    #[serde(default)]
    template_id: String,
    #[serde(default)]
    client_msg_id: String,
    #[serde(default)]
    data: Value,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Both ways of sending.
async fn send(State(world): Shared, uri: Uri, body: Bytes) -> Response {
    if let Some(planned) = planned(&world, &uri) {
        return planned;
    }
    let given = fields(uri.query().unwrap_or_default());
    let token = given.get("access_token").map_or("", String::as_str);
    let now = world.books().now();
    let appid = match world.messages().app_of(token, now) {
        Ok(appid) => appid,
        Err(refused) => return said(&refused),
    };
    let Ok(sent) = serde_json::from_slice::<Sent>(&body) else {
        return said(&refused(47_001, "data format error"));
    };
    let subscribes = uri.path() == SUBSCRIBE;
    let (kind, knows) = {
        let books = world.books();
        let of = books.openids.get(&sent.touser);
        (
            books.kind_of(&appid),
            of.is_some_and(|(of, _)| *of == appid),
        )
    };
    let wanted = match subscribes {
        true => Kind::MiniProgram,
        false => Kind::OfficialAccount,
    };
    if kind != Some(wanted) {
        return said(&refused(48_001, "api unauthorized"));
    }
    if !knows {
        return said(&refused(40_003, "invalid openid"));
    }
    said(&take(
        &mut world.messages(),
        (&appid, sent, now),
        subscribes,
    ))
}

fn take(messages: &mut Messages, (appid, sent, now): (&str, Sent, i64), subscribes: bool) -> Value {
    let template = messages.templates.get(&sent.template_id);
    let Some(template) = template.filter(|template| template.appid == appid) else {
        return refused(40_037, "invalid template_id");
    };
    let Some(data) = sent.data.as_object() else {
        return refused(47_003, "argument invalid! data must be an object");
    };
    for key in &template.keys {
        let value = data.get(key).and_then(|one| one.get("value"));
        if !value
            .and_then(Value::as_str)
            .is_some_and(|text| fits(key, text))
        {
            return refused(
                47_003,
                &format!("argument invalid! data.{key}.value invalid"),
            );
        }
    }
    let name = sent.client_msg_id.as_str();
    let known = messages
        .names
        .get(name)
        .filter(|(at, _)| now - *at < SAME_MS);
    if let Some((_, msgid)) = known.filter(|_| !name.is_empty()) {
        return json!({ "errcode": 0, "errmsg": "ok", "msgid": msgid });
    }
    if subscribes {
        let key = (sent.touser.clone(), sent.template_id.clone());
        let left = messages.consents.get_mut(&key).filter(|left| **left > 0);
        let Some(left) = left else {
            return refused(43_101, "user refuse to accept the msg");
        };
        *left -= 1;
    }
    messages.next += 1;
    let msgid = messages.next;
    if !name.is_empty() {
        messages.names.insert(name.to_owned(), (now, msgid));
    }
    let mut shown = json!({
        "msgid": msgid,
        "appid": appid,
        "touser": sent.touser,
        "template_id": sent.template_id,
        "client_msg_id": sent.client_msg_id,
        "data": sent.data,
    });
    sent.rest
        .into_iter()
        .for_each(|(name, value)| shown[name] = value);
    if messages.sent.len() >= SENT_MAX {
        messages.sent.pop_front();
    }
    messages.sent.push_back(shown);
    json!({ "errcode": 0, "errmsg": "ok", "msgid": msgid })
}

/// What a value of a key may be; the digits behind its name only number it.
fn fits(key: &str, text: &str) -> bool {
    let count = text.chars().count();
    let ascii = text.chars().all(|one| one.is_ascii_graphic() || one == ' ');
    match key.trim_end_matches(|one: char| one.is_ascii_digit()) {
        _ if count == 0 => false,
        "thing" | "const" => count <= 20,
        "character_string" => count <= 32 && ascii,
        "number" => count <= 32 && text.bytes().all(|byte| b"0123456789.".contains(&byte)),
        "letter" => count <= 32 && text.bytes().all(|byte| byte.is_ascii_alphabetic()),
        "symbol" | "phrase" => count <= 5,
        "amount" => {
            let digits = text
                .trim_start_matches(['¥', '￥', '$'])
                .trim_end_matches('元');
            digits.len() <= 13 && digits.parse::<f64>().is_ok()
        }
        "time" | "date" => count <= 32 && text.contains(|one: char| one.is_ascii_digit()),
        "phone_number" => count <= 17,
        "car_number" => count <= 8,
        "name" => count <= 20,
        _ => count <= 200,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MakeTemplate {
    appid: String,
    /// Its keys, such as `thing1` and `amount2`.
    keys: Vec<String>,
}

/// Makes a template of an app.
async fn make_template(State(world): Shared, Json(body): Json<MakeTemplate>) -> Response {
    // An app that was made since counts from now on.
    let _ = world.owner_of(&body.appid);
    if world.books().kind_of(&body.appid).is_none() {
        return bad("there is no such app");
    }
    let id = random_text(43);
    let template = Template {
        appid: body.appid,
        keys: body.keys,
    };
    world.messages().templates.insert(id.clone(), template);
    Json(json!({ "template_id": id })).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Consent {
    appid: String,
    user: String,
    template_id: String,
    times: u32,
}

/// A user agrees to so many messages of a template.
async fn consent(State(world): Shared, Json(body): Json<Consent>) -> Response {
    let openid = world.books().openid(&body.appid, &body.user);
    let mut messages = world.messages();
    let key = (openid.clone(), body.template_id);
    *messages.consents.entry(key).or_default() += body.times;
    Json(json!({ "openid": openid })).into_response()
}

/// What was sent, the oldest first, and how tokens were asked for.
async fn shown(State(world): Shared) -> Response {
    let messages = world.messages();
    let tokens = json!({ "asked": messages.asked, "made": messages.made });
    Json(json!({ "data": messages.sent, "tokens": tokens })).into_response()
}

/// Everything about messages.
pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/cgi-bin/stable_token", post(stable_token))
        .route(TEMPLATE, post(send))
        .route(SUBSCRIBE, post(send))
        .route("/_sandbox/messages", get(shown))
        .route("/_sandbox/templates", post(make_template))
        .route("/_sandbox/consents", post(consent))
}
