//! OAuth: the page where a user allows or denies, and the calls that name them.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::books::{Books, Code, Grant};
use crate::crypto::{hex, random_text, sha256};
use crate::identity::{Kind, entitled};
use crate::journal::Record;
use crate::world::World;

/// A code lives five minutes, an access token two hours, a refresh token thirty days.
pub(crate) const CODE_MS: i64 = 5 * 60_000;
const ACCESS_MS: i64 = 7_200_000;
const REFRESH_MS: i64 = 30 * 86_400_000;

/// A query or form, decoded.
pub(crate) type Fields = BTreeMap<String, String>;

/// Decodes `a=b&c=d`.
pub(crate) fn fields(query: &str) -> Fields {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((first, tail)) = rest.split_first() {
            let code = (*first == b'%').then(|| tail.get(..2)).flatten();
            let code = code.and_then(|code| std::str::from_utf8(code).ok());
            match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
                Some(byte) => {
                    bytes.push(byte);
                    rest = &tail[2..];
                }
                None => {
                    bytes.push(*first);
                    rest = tail;
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}

fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let bytes = text.bytes();
    bytes
        .map(|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

/// The authorization page. A robot names itself by `sandbox_user` in the query or a cookie of
/// that name; a person chooses in a form.
pub(crate) fn page(books: &mut Books, kind: Kind, given: &Fields, headers: &HeaderMap) -> Response {
    let field = |name: &str| given.get(name).map_or("", String::as_str);
    let appid = field("appid").to_owned();
    if !books.apps.contains(&appid) {
        return page_error("10006 appid", "The app is not known here. 应用不存在。");
    }
    if field("response_type") != "code" || !field("redirect_uri").starts_with("http") {
        return page_error(
            "10003 redirect_uri",
            "redirect_uri or response_type is wrong. 参数错误。",
        );
    }
    let scope = field("scope");
    let scopes: &[&str] = match kind {
        Kind::OfficialAccount => &["snsapi_base", "snsapi_userinfo"],
        Kind::Website => &["snsapi_login"],
        Kind::MiniProgram => &[],
    };
    if !scopes.contains(&scope) || books.kind_of(&appid) != Some(kind) {
        return page_error(
            "10005 scope",
            "The scope is not granted. 没有该接口的权限。",
        );
    }
    let user = given.get("sandbox_user").cloned();
    let user = user.or_else(|| user_by_cookie(headers));
    let user = user.filter(|name| !name.is_empty());
    let redirect = |tail: String| {
        let uri = field("redirect_uri");
        let joint = if uri.contains('?') { '&' } else { '?' };
        let location = format!("{uri}{joint}{tail}state={}", encode(field("state")));
        (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
    };
    if field("sandbox_deny") == "1" {
        return redirect(String::new());
    }
    let Some(user) = user else {
        return form(&appid, kind, given);
    };
    if user.len() > 64 {
        return page_error("10010", "The user's name is too long. 用户名过长。");
    }
    let snapshot = field("sandbox_snapshot") == "1";
    books.meet(&user);
    let (code, at) = (random_text(32), books.now());
    let scope = scope.to_owned();
    books.record(Record::Code {
        appid,
        code: code.clone(),
        user,
        scope,
        snapshot,
        at,
    });
    redirect(format!("code={code}&"))
}

fn user_by_cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get(header::COOKIE)?.to_str().ok()?;
    let mut pairs = all.split(';').map(str::trim);
    let own = pairs.find_map(|pair| pair.strip_prefix("sandbox_user="));
    own.map(decode_one)
}

fn decode_one(text: &str) -> String {
    fields(&format!("x={text}")).remove("x").unwrap_or_default()
}

fn page_error(code: &str, words: &str) -> Response {
    let html = format!(
        "<!doctype html><meta charset=utf-8><title>{code}</title><h1>{code}</h1><p>{words}</p>"
    );
    (StatusCode::OK, Html(html)).into_response()
}

fn form(appid: &str, kind: Kind, given: &Fields) -> Response {
    let hidden: String = given
        .iter()
        .map(|(name, value)| {
            format!(
                "<input type=hidden name=\"{}\" value=\"{}\">",
                escape(name),
                escape(value)
            )
        })
        .collect();
    let app = escape(appid);
    let (page, words) = match kind {
        Kind::Website => ("qrconnect", "请用微信扫描二维码 Scan the code with WeChat"),
        Kind::OfficialAccount | Kind::MiniProgram => ("oauth2/authorize", ""),
    };
    let html = format!(
        "<!doctype html><html lang=zh-CN><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width\"><title>微信沙箱 · WeChat sandbox</title>\
         <style>body{{font:16px/1.6 system-ui,sans-serif;max-width:24rem;margin:15vh auto;padding:0 1rem}}\
         button,input[type=text]{{font:inherit;padding:.5rem 1rem;width:100%;box-sizing:border-box;margin:.3rem 0}}\
         .allow{{background:#07c160;color:#fff;border:0;border-radius:.4rem}}\
         .deny{{background:#eee;border:0;border-radius:.4rem}}</style>\
         <h1>微信沙箱</h1><p>{words}</p><p>应用 <code>{app}</code> 申请获得你的 openid。<br>\
         The app asks for your openid. This is a sandbox: choose who you are.</p>\
         <form method=get action=/connect/{page}>{hidden}\
         <label>用户名 User name <input type=text name=sandbox_user value=alice required maxlength=64></label>\
         <label><input type=checkbox name=sandbox_snapshot value=1> 快照页虚拟用户 snapshot user</label>\
         <button class=allow>允许 Allow</button>\
         <button class=deny name=sandbox_deny value=1 formnovalidate>拒绝 Deny</button></form></html>"
    );
    Html(html).into_response()
}

pub(crate) fn refused(errcode: i64, words: &str) -> Value {
    let rid = random_text(8).to_lowercase();
    json!({ "errcode": errcode, "errmsg": format!("{words}, rid: {rid}-{rid}-{rid}") })
}

/// A code that can still be exchanged.
pub(crate) fn usable(
    books: &Books,
    code: &str,
    is_ours: impl Fn(&Code) -> bool,
) -> Result<Code, Value> {
    let found = books.codes.get(code).filter(|found| is_ours(found));
    match found {
        Some(found) if found.used => Err(refused(40_163, "code been used")),
        Some(found) if books.now() - found.at <= CODE_MS => Ok(found.clone()),
        _ => Err(refused(40_029, "invalid code")),
    }
}

/// `/sns/oauth2/access_token`: a code for tokens, once.
pub(crate) fn access_token(world: &World, given: &Fields) -> Value {
    let field = |name: &str| given.get(name).map_or("", String::as_str);
    for (name, errcode) in [("appid", 41002), ("secret", 41004), ("code", 41008)] {
        if field(name).is_empty() {
            return refused(errcode, &format!("{name} missing"));
        }
    }
    let (appid, _) = match entitled(world, given) {
        Ok(entitled) => entitled,
        Err(refused) => return refused,
    };
    if field("grant_type") != "authorization_code" {
        return refused(40002, "invalid grant_type");
    }
    let mut books = world.books();
    let code = field("code").to_owned();
    let ours = |found: &Code| found.appid == appid && found.scope.starts_with("snsapi_");
    let found = match usable(&books, &code, ours) {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let openid = if found.snapshot {
        let digest = hex(&sha256(format!("snapshot/{}", found.user).as_bytes()));
        format!("o{}", &digest[..27])
    } else {
        books.openid(&appid, &found.user)
    };
    let (access, refresh, at) = (random_text(48), random_text(48), books.now());
    books.record(Record::Tokens {
        appid,
        code: Some(code),
        openid: openid.clone(),
        scope: found.scope.clone(),
        access: access.clone(),
        refresh: refresh.clone(),
        at,
    });
    let mut answer = tokens(&openid, &found.scope, &access, &refresh);
    if found.snapshot {
        answer["is_snapshotuser"] = json!(1);
    }
    if found.scope != "snsapi_base" {
        let name = if found.snapshot {
            format!("snapshot/{}", found.user)
        } else {
            found.user
        };
        answer["unionid"] = json!(Books::unionid(&name));
    }
    answer
}

fn tokens(openid: &str, scope: &str, access: &str, refresh: &str) -> Value {
    json!({
        "access_token": access,
        "expires_in": ACCESS_MS / 1_000,
        "refresh_token": refresh,
        "openid": openid,
        "scope": scope,
    })
}

/// `/sns/oauth2/refresh_token`. The refresh token stays what it is and ends thirty days after the
/// grant; where `renews`, a new one with thirty days of its own takes its place.
pub(crate) fn refresh_token(world: &World, given: &Fields, renews: bool) -> Value {
    let field = |name: &str| given.get(name).map_or("", String::as_str);
    for (name, errcode) in [("appid", 41002), ("refresh_token", 41003)] {
        if field(name).is_empty() {
            return refused(errcode, &format!("{name} missing"));
        }
    }
    // An app that was made since counts from now on.
    let _ = world.owner_of(field("appid"));
    let mut books = world.books();
    if books.kind_of(field("appid")).is_none() {
        return refused(40013, "invalid appid");
    }
    if field("grant_type") != "refresh_token" {
        return refused(40002, "invalid grant_type");
    }
    let refresh = field("refresh_token").to_owned();
    let now = books.now();
    let grant = books.refresh.get(&refresh).cloned();
    let Some(grant) = grant.filter(|grant| grant.appid == field("appid")) else {
        return refused(40030, "invalid refresh_token");
    };
    if let Some(errcode) = books.voided(&grant.appid, &grant.openid, grant.at) {
        return refused(errcode, "invalid refresh_token");
    }
    if now - grant.at > REFRESH_MS {
        return refused(42002, "refresh_token expired");
    }
    let access = random_text(48);
    let refresh = if renews { random_text(48) } else { refresh };
    books.record(Record::Tokens {
        appid: grant.appid.clone(),
        code: None,
        openid: grant.openid.clone(),
        scope: grant.scope.clone(),
        access: access.clone(),
        refresh: refresh.clone(),
        at: now,
    });
    tokens(&grant.openid, &grant.scope, &access, &refresh)
}

fn granted(books: &Books, given: &Fields) -> Result<Grant, Value> {
    let field = |name: &str| given.get(name).map_or("", String::as_str);
    if field("access_token").is_empty() {
        return Err(refused(41001, "access_token missing"));
    }
    let grant = books.access.get(field("access_token"));
    let grant = grant.ok_or_else(|| refused(40014, "invalid access_token"))?;
    if books
        .voided(&grant.appid, &grant.openid, grant.at)
        .is_some()
    {
        let words = "invalid credential, access_token is invalid or not latest";
        return Err(refused(40001, words));
    }
    if books.now() - grant.at > ACCESS_MS {
        return Err(refused(42001, "access_token expired"));
    }
    if grant.openid != field("openid") {
        return Err(refused(40003, "invalid openid"));
    }
    Ok(grant.clone())
}

/// `/sns/auth`.
pub(crate) fn auth(books: &Books, given: &Fields) -> Value {
    granted(books, given).map_or_else(|error| error, |_| json!({ "errcode": 0, "errmsg": "ok" }))
}

/// `/sns/userinfo`.
pub(crate) fn userinfo(books: &Books, given: &Fields) -> Value {
    match granted(books, given) {
        Err(error) => error,
        Ok(grant) if !grant.scope.contains("snsapi_userinfo") => refused(48001, "api unauthorized"),
        Ok(grant) => json!({
            "unionid": books.openids.get(&grant.openid).map(|(_, name)| Books::unionid(name)),
            "openid": grant.openid,
            "nickname": "微信用户",
            "sex": 0,
            "province": "",
            "city": "",
            "country": "",
            "headimgurl": "",
            "privilege": [],
        }),
    }
}
