//! The OAuth dance, from our side: where it begins and where WeChat sends the user back.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use lingqian_core::id::{AppId, UserId};
use lingqian_engine::link::{self, LinkFault, Wanted};
use lingqian_io::Ports;
use lingqian_io::rail::{IdentityFault, LinkScope, Remedy};
use serde_json::{Value, json};

use crate::request::{Query, id};
use crate::{Doors, Problem, wire};

/// Begins a link: answers the page to open in WeChat.
pub(crate) async fn start<P: Ports>(
    State(doors): State<Doors<P>>,
    Path(user): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let user = id("/user", &user, UserId::parse)?;
    let query = Query::parse(query.as_deref(), &["app", "scope"])?;
    let app = query.get("app").map(|app| id("/app", app, AppId::parse));
    let scope = match query.get("scope") {
        None => LinkScope::default(),
        Some(name) => LinkScope::from_name(name).ok_or_else(|| {
            let detail = "scope is snsapi_base, snsapi_userinfo or snsapi_login";
            Problem::field("scope", "scope_unknown", detail)
        })?,
    };
    let wanted = Wanted {
        user,
        app: app.transpose()?,
        scope,
    };
    let redirect = format!("{}/oauth/wechat/callback", doors.settings.public_url);
    let started = link::start(&doors.ports, &doors.desk, wanted, &redirect).await??;
    let body = json!({
        "authorize_url": started.authorize_url,
        "expires_at": wire::rfc3339(started.expires_at),
    });
    Ok((StatusCode::CREATED, Json(body)))
}

/// Ends a link: a page for the user, whatever happened.
pub(crate) async fn finish<P: Ports>(
    State(doors): State<Doors<P>>,
    RawQuery(query): RawQuery,
) -> Response {
    let known = ["state", "code", "lang", "from"];
    let Ok(query) = Query::parse(query.as_deref(), &known) else {
        return page(
            400,
            "parameter_unknown",
            ("链接不正确", "This link is not right"),
        );
    };
    let Some(state) = query
        .get("state")
        .filter(|state| !state.is_empty() && state.len() <= 128)
    else {
        return page(
            400,
            "state_missing",
            ("链接不完整", "This link is not whole"),
        );
    };
    let Some(code) = query
        .get("code")
        .filter(|code| !code.is_empty() && code.len() <= 512)
    else {
        return page(
            200,
            "denied",
            (
                "您没有授权,未绑定零钱",
                "You did not agree; nothing was linked",
            ),
        );
    };
    match link::finish(&doors.ports, &doors.desk, state, code).await {
        Ok(_) => {
            let chinese = "零钱已绑定,可以关闭本页";
            page(
                200,
                "linked",
                (chinese, "Your wallet is linked; you may close this page"),
            )
        }
        Err(fault) => failed(fault),
    }
}

fn failed(fault: LinkFault) -> Response {
    match fault {
        LinkFault::Rejection(rejection) => {
            let code = rejection.code();
            page(Problem::from(rejection).status_code(), code, refused(code))
        }
        LinkFault::Identity(fault) => {
            tracing::warn!(%fault, "WeChat named nobody");
            let (status, code) = nobody(&fault);
            page(status, code, unnamed(code))
        }
        LinkFault::Fault(fault) => {
            let status = Problem::from(fault).status_code();
            page(
                status,
                "unavailable",
                (
                    "服务暂不可用,请稍后重试",
                    "Not available now; try again later",
                ),
            )
        }
    }
}

/// How it is answered that WeChat named nobody.
pub(crate) fn nobody(fault: &IdentityFault) -> (u16, &'static str) {
    let remedy = match fault {
        IdentityFault::Unavailable(_) => return (502, "identity_unavailable"),
        IdentityFault::Refused { remedy, .. } => *remedy,
    };
    let status = match remedy {
        Remedy::Again | Remedy::Slower | Remedy::Tomorrow => 503,
        Remedy::Renew | Remedy::Restart => 410,
        Remedy::Follow | Remedy::Blocked => 403,
        Remedy::Configure | Remedy::Unheard => 502,
    };
    (status, remedy.code())
}

fn unnamed(code: &str) -> (&'static str, &'static str) {
    match code {
        "authorization_ended" => (
            "授权已失效,请重新发起绑定",
            "This authorization is over; begin again",
        ),
        "wechat_busy" | "wechat_slow_down" => (
            "微信繁忙,请一分钟后重新发起绑定",
            "WeChat is busy; begin again in a minute",
        ),
        "wechat_quota_spent" => (
            "今日已达微信接口上限,请明天再试",
            "WeChat answers no more today; try again tomorrow",
        ),
        "must_follow" => (
            "请先关注公众号,再重新发起绑定",
            "Follow the official account first, then begin again",
        ),
        "user_blocked" => (
            "微信限制了该用户,暂时无法绑定",
            "WeChat does not let this user be linked",
        ),
        _ => (
            "微信未能确认身份,请重新发起绑定",
            "WeChat did not confirm who you are; begin again",
        ),
    }
}

fn refused(code: &str) -> (&'static str, &'static str) {
    match code {
        "snapshot_user" => (
            "当前是快照页的虚拟账号,请在微信中重新打开并点击允许",
            "This was a snapshot page with a virtual user; open it again and agree",
        ),
        "wallet_linked_elsewhere" => (
            "该微信已绑定其他账号",
            "This WeChat account is linked to another user",
        ),
        "unionid_mismatch" => (
            "该微信与您此前绑定的微信不是同一人,请先解绑",
            "This is not the WeChat user whom you linked before; unlink that one first",
        ),
        _ => (
            "链接已失效,请重新发起绑定",
            "This link does not work any more; begin again",
        ),
    }
}

fn page(status: u16, code: &str, (chinese, english): (&str, &str)) -> Response {
    let html = format!(
        "<!doctype html><html lang=zh-CN><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width\"><title>零钱 Lingqian</title>\
         <style>body{{font:18px/1.6 system-ui,sans-serif;max-width:28rem;margin:20vh auto;padding:0 1rem;\
         text-align:center}}small{{color:#888}}</style>\
         <p>{chinese}</p><p lang=en>{english}</p><small>{code}</small></html>"
    );
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // The address holds a state and a code.
    let headers = [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
    ];
    (status, headers, Html(html)).into_response()
}
