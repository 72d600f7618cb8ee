//! Authorizations to be paid without confirming each transfer: applied for, granted by the user
//! once, closed by either side.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::auth::{OTHER_DATA, Refused};
use crate::books::{Books, DAY_MS, rfc3339};
use crate::crypto::{hex, random_text, sha256};
use crate::fields::{address, bound, digits_and_letters, length, parsed, person};
use crate::journal::Record;
use crate::kept::Id;
use crate::scenes::scene;
use crate::world::Member;

/// One authorization.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Authorization {
    pub(crate) mchid: String,
    pub(crate) number: String,
    pub(crate) id: String,
    pub(crate) appid: String,
    pub(crate) openid: String,
    pub(crate) scene: String,
    pub(crate) display_name: String,
    pub(crate) notify_url: String,
    pub(crate) package: String,
    pub(crate) state: State,
    pub(crate) created_at: i64,
    pub(crate) authorized_at: Option<i64>,
}

/// Where an authorization stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "state", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum State {
    WaitUserConfirm,
    TakingEffect,
    Closed { reason: String, at: i64 },
}

impl State {
    fn word(&self) -> &'static str {
        match self {
            State::WaitUserConfirm => "WAIT_USER_CONFIRM",
            State::TakingEffect => "TAKING_EFFECT",
            State::Closed { .. } => "CLOSED",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Apply {
    out_authorization_no: String,
    appid: String,
    openid: String,
    transfer_scene_id: String,
    user_display_name: String,
    authorization_notify_url: String,
    user_recv_perception: Option<String>,
    scene_info: Option<SceneInfo>,
}

/// Where the user is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SceneInfo {
    #[serde(rename = "client_ip")]
    _client_ip: Option<String>,
    #[serde(rename = "device_id")]
    _device_id: Option<String>,
    device_type: Option<String>,
}

impl SceneInfo {
    fn check(&self) -> Result<(), Refused> {
        match self.device_type.as_deref() {
            None | Some("IOS" | "ANDROID" | "HARMONY" | "OTHER") => Ok(()),
            Some(_) => Err(Refused::field("scene_info/device_type", "设备类型错误")),
        }
    }
}

/// What a transfer that asks for an authorization says of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    user_display_name: String,
    out_authorization_no: String,
    authorization_notify_url: String,
}

impl Wish {
    pub(crate) fn number(&self) -> &str {
        &self.out_authorization_no
    }

    pub(crate) fn display_name(&self) -> &str {
        &self.user_display_name
    }
}

impl Authorization {
    /// What it is known by.
    pub(crate) fn id(&self) -> Id {
        Id::new(&self.mchid, &self.number)
    }
}

/// Whose authorization, under which app and scene.
pub(crate) struct Whose<'a> {
    pub(crate) mchid: &'a str,
    pub(crate) appid: &'a str,
    pub(crate) openid: &'a str,
    pub(crate) scene: &'a str,
}

/// Applies for one, or answers how one of that number stands.
pub(crate) fn apply(member: &Member, books: &mut Books, body: &[u8]) -> Result<Value, Refused> {
    let apply: Apply = parsed(body)?;
    scene(&apply.transfer_scene_id)?.perceives(apply.user_recv_perception.as_deref())?;
    if let Some(info) = &apply.scene_info {
        info.check()?;
    }
    let whose = Whose {
        mchid: member.mchid(),
        appid: &apply.appid,
        openid: &apply.openid,
        scene: &apply.transfer_scene_id,
    };
    let wish = Wish {
        user_display_name: apply.user_display_name.clone(),
        out_authorization_no: apply.out_authorization_no.clone(),
        authorization_notify_url: apply.authorization_notify_url.clone(),
    };
    wished(books, &whose, &wish)?;
    let known = &books.authorizations[&Id::new(whose.mchid, &wish.out_authorization_no)];
    let mut told = json!({
        "out_authorization_no": known.number,
        "state": known.state.word(),
        "create_time": rfc3339(known.created_at),
    });
    if known.state == State::WaitUserConfirm {
        told["package_info"] = json!(known.package);
    }
    Ok(told)
}

/// Whether a body is an application by its form.
pub(crate) fn reads(body: &[u8]) -> bool {
    parsed::<Apply>(body).is_ok() | parsed::<Wish>(body).is_ok()
}

/// Whether a wish can be kept; nothing happens yet.
pub(crate) fn check(books: &Books, whose: &Whose<'_>, wish: &Wish) -> Result<(), Refused> {
    digits_and_letters("out_authorization_no", &wish.out_authorization_no)?;
    length("user_display_name", &wish.user_display_name, 64)?;
    address("authorization_notify_url", &wish.authorization_notify_url)?;
    scene(whose.scene)?;
    bound(books, whose.mchid, whose.appid)?;
    person(books, whose.appid, whose.openid)?;
    let id = Id::new(whose.mchid, &wish.out_authorization_no);
    if let Some(known) = books.authorizations.get(&id) {
        let same = known.openid == whose.openid
            && known.scene == whose.scene
            && known.appid == whose.appid
            && known.display_name == wish.user_display_name;
        return if same {
            Ok(())
        } else {
            Err(Refused::invalid(OTHER_DATA))
        };
    }
    let open = |known: &&Authorization| {
        known.mchid == whose.mchid
            && known.openid == whose.openid
            && known.scene == whose.scene
            && !matches!(known.state, State::Closed { .. })
    };
    if books.authorizations.values().any(|known| open(&known)) {
        let words = "用户在当前场景下的授权数量达到限制，不支持发起授权";
        return Err(Refused::invalid(words));
    }
    Ok(())
}

/// Begins to wait for the user, where that is new.
pub(crate) fn wished(books: &mut Books, whose: &Whose<'_>, wish: &Wish) -> Result<(), Refused> {
    check(books, whose, wish)?;
    let number = &wish.out_authorization_no;
    if books
        .authorizations
        .contains_key(&Id::new(whose.mchid, number))
    {
        return Ok(());
    }
    let digits = hex(&sha256(number.as_bytes()));
    let digits = digits.bytes().map(|byte| char::from(b'0' + byte % 10));
    let authorization = Box::new(Authorization {
        mchid: whose.mchid.to_owned(),
        number: number.clone(),
        id: digits.take(27).collect(),
        appid: whose.appid.to_owned(),
        openid: whose.openid.to_owned(),
        scene: whose.scene.to_owned(),
        display_name: wish.user_display_name.clone(),
        notify_url: wish.authorization_notify_url.clone(),
        package: format!("0002-{}", random_text(43)),
        state: State::WaitUserConfirm,
        created_at: books.now(),
        authorized_at: None,
    });
    books.record(Record::Authorization { authorization });
    Ok(())
}

/// The authorization that a transfer without confirmation rests on.
pub(crate) fn in_effect<'a>(
    books: &'a Books,
    mchid: &str,
    number: Option<&str>,
    id: Option<&str>,
) -> Result<&'a Authorization, Refused> {
    let found = match (number, id) {
        (Some(number), _) => books.authorizations.get(&Id::new(mchid, number)),
        (None, Some(id)) => books
            .authorizations
            .values()
            .find(|known| known.mchid == mchid && known.id == id),
        (None, None) => None,
    };
    let found = found.filter(|known| known.state == State::TakingEffect);
    found.ok_or_else(|| Refused::invalid("用户授权不存在或已失效，请检查"))
}

/// What a query and a notification tell.
pub(crate) fn shown(authorization: &Authorization) -> Value {
    let mut told = json!({
        "out_authorization_no": authorization.number,
        "appid": authorization.appid,
        "openid": authorization.openid,
        "user_display_name": authorization.display_name,
        "state": authorization.state.word(),
        "transfer_scene_id": authorization.scene,
        "create_time": rfc3339(authorization.created_at),
    });
    if let Some(at) = authorization.authorized_at {
        told["authorization_id"] = json!(authorization.id);
        told["authorize_time"] = json!(rfc3339(at));
    }
    match &authorization.state {
        State::WaitUserConfirm => told["package_info"] = json!(authorization.package),
        State::TakingEffect => {}
        State::Closed { reason, at } => {
            let info = json!({ "close_time": rfc3339(*at), "close_reason": reason });
            told["close_info"] = info;
        }
    }
    told
}

/// What a notification tells.
pub(crate) fn announced(authorization: &Authorization) -> Value {
    let mut told = shown(authorization);
    if let Some(fields) = told.as_object_mut() {
        for name in ["transfer_scene_id", "create_time", "package_info"] {
            fields.remove(name);
        }
    }
    told
}

/// How one stands.
pub(crate) fn query(books: &Books, id: &Id) -> Result<Value, Refused> {
    let found = books.authorizations.get(id);
    found
        .map(shown)
        .ok_or_else(|| Refused::new(404, "NOT_FOUND", "记录不存在"))
}

/// The merchant closes one.
pub(crate) fn close(books: &mut Books, id: &Id) -> Result<Value, Refused> {
    query(books, id)?;
    books.close_authorization(id, "CLOSE_VIA_MCH_API");
    query(books, id)
}

impl Books {
    /// The user grants one that waits; whether there was one.
    pub(crate) fn grant_authorization(&mut self, id: &Id) -> bool {
        let now = self.now();
        let known = self.authorizations.get(id).cloned();
        let waits = |known: &Authorization| known.state == State::WaitUserConfirm;
        let Some(known) = known.filter(waits) else {
            return false;
        };
        self.keep(Authorization {
            state: State::TakingEffect,
            authorized_at: Some(now),
            ..known
        });
        true
    }

    /// One ends; whether there was one that had not.
    pub(crate) fn close_authorization(&mut self, id: &Id, reason: &str) -> bool {
        let at = self.now();
        let known = self.authorizations.get(id).cloned();
        let open = |known: &Authorization| !matches!(known.state, State::Closed { .. });
        let Some(known) = known.filter(open) else {
            return false;
        };
        let reason = reason.to_owned();
        self.keep(Authorization {
            state: State::Closed { reason, at },
            ..known
        });
        true
    }

    fn keep(&mut self, authorization: Authorization) {
        let number = format!("authorization/{}", authorization.number);
        let id = Id::new(&authorization.mchid, &number);
        let authorization = Box::new(authorization);
        self.together(|books| {
            books.record(Record::Authorization { authorization });
            books.announce(&id);
        });
    }
}

/// What nobody grants within a day ends.
pub(crate) fn pass(books: &mut Books) {
    let now = books.now();
    let due = |known: &&Authorization| {
        known.state == State::WaitUserConfirm && now - known.created_at >= DAY_MS
    };
    let due: Vec<Id> = books
        .authorizations
        .values()
        .filter(due)
        .map(Authorization::id)
        .collect();
    for id in due {
        books.close_authorization(&id, "USER_OVERDUE_UNCONFIRMED");
    }
}
