//! Links of users with apps: shown, listed, made by a mini program's code, and ended. No openid and
//! no token is ever shown.

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use lingqian_core::command::Command;
use lingqian_core::id::{AppId, UserId, UserNo};
use lingqian_core::link::{LinkAct, LinkCommand, Standing};
use lingqian_engine::link::{LinkFault, by_code};
use lingqian_io::links::{LinkFilter, LinkRow, Links as _};
use lingqian_io::{Browse as _, Clock as _, Ports};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::acts::{Body, act};
use crate::auth::Caller;
use crate::link::nobody;
use crate::request::{self, Query, id};
use crate::wire::link;
use crate::{Doors, Problem};

/// The longest code.
const CODE_MAX: usize = 512;

/// All links of a user.
async fn of_user<P: Ports>(doors: &Doors<P>, user: &UserId) -> Result<Json<Value>, Problem> {
    let today = doors.ports.clock().business().business_date();
    let wallet = doors.ports.store().user(user, today).await?;
    let wallet = wallet.ok_or_else(|| Problem::not_found("user"))?;
    let links: Vec<Value> = wallet.links.values().map(link::shown).collect();
    Ok(Json(json!({
        "user": user.as_str(),
        "linked": wallet.is_linked(),
        "links": links,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeBody {
    app: String,
    code: String,
}

/// Links the wallet of whoever got a code in a mini program.
pub(crate) async fn code<P: Ports>(
    State(doors): State<Doors<P>>,
    Path(user): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let user = id("/user", &user, UserId::parse)?;
    let body: CodeBody = request::json(&headers, &request::body(body)?)?;
    let app = id("/app", &body.app, AppId::parse)?;
    if body.code.is_empty() || body.code.len() > CODE_MAX {
        let detail = "code is what wx.login gave, 1 to 512 bytes";
        return Err(Problem::field("/code", "malformed", detail));
    }
    let linked = by_code(&doors.ports, &doors.desk, (user.clone(), app), &body.code).await;
    linked.map_err(|fault| match fault {
        LinkFault::Rejection(rejection) => Problem::from(rejection),
        LinkFault::Identity(fault) => {
            tracing::warn!(%fault, "WeChat named nobody");
            let (status, code) = nobody(&fault);
            Problem::new(status, code, "WeChat did not say whose code this is")
        }
        LinkFault::Fault(fault) => Problem::from(fault),
    })?;
    Ok((StatusCode::CREATED, of_user(&doors, &user).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ActBody {
    app: Option<String>,
    reason: String,
}

async fn done<P: Ports>(
    doors: Doors<P>,
    what: LinkAct,
    (caller, user): (Caller, String),
    (headers, body): (HeaderMap, Body),
) -> Result<Json<Value>, Problem> {
    let user = id("/user", &user, UserId::parse)?;
    let body: ActBody = request::json(&headers, &request::body(body)?)?;
    let app = body.app.as_deref().map(|app| id("/app", app, AppId::parse));
    let command = LinkCommand::Act {
        user: user.clone(),
        app: app.transpose()?,
        what,
        act: act(&caller, &body.reason)?,
    };
    doors
        .desk
        .submit(Command::Link(Box::new(command)))
        .await??;
    of_user(&doors, &user).await
}

macro_rules! link_acts {
    ($($(#[$words:meta])* $name:ident => $what:expr;)*) => {
        $($(#[$words])*
        pub(crate) async fn $name<P: Ports>(
            State(doors): State<Doors<P>>,
            Extension(caller): Extension<Caller>,
            Path(user): Path<String>,
            headers: HeaderMap,
            body: Body,
        ) -> Result<Json<Value>, Problem> {
            done(doors, $what, (caller, user), (headers, body)).await
        })*
    };
}

link_acts! {
    /// The user leaves.
    unlink => LinkAct::Unlink;
    /// A person ends it.
    revoke => LinkAct::Revoke;
    /// A person says yes to a wallet that is shared.
    allow => LinkAct::Allow;
    /// Its tokens are refreshed now.
    refresh => LinkAct::Refresh;
    /// WeChat is asked for an authorization.
    apply_authorization => LinkAct::ApplyAuthorization;
    /// WeChat is asked to close an authorization.
    close_authorization => LinkAct::CloseAuthorization;
}

/// Reads a cursor: the user's number and the app.
fn after(text: &str) -> Result<(UserNo, AppId), Problem> {
    let parts = text.split_once('/');
    let read = parts.and_then(|(user, app)| {
        let user: i64 = user.parse().ok()?;
        Some((UserNo(user), AppId::parse(app).ok()?))
    });
    read.ok_or_else(|| {
        Problem::field(
            "cursor",
            "cursor_invalid",
            "hand back next_cursor as it came",
        )
    })
}

/// Lists links.
pub(crate) async fn list<P: Ports>(
    State(doors): State<Doors<P>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let known = ["standing", "app", "flagged", "limit", "cursor"];
    let query = Query::parse(query.as_deref(), &known)?;
    let standing = query.get("standing").map(|name| {
        Standing::from_name(name).ok_or_else(|| {
            let detail = "standing is active, needs_reauthorization or revoked";
            Problem::field("standing", "standing_unknown", detail)
        })
    });
    let flagged = match query.get("flagged") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            return Err(Problem::field(
                "flagged",
                "malformed",
                "flagged is true or false",
            ));
        }
    };
    let limit = query.limit()?;
    let filter = LinkFilter {
        standing: standing.transpose()?,
        app: query
            .get("app")
            .map(|app| id("/app", app, AppId::parse))
            .transpose()?,
        flagged,
        after: query.get("cursor").map(after).transpose()?,
        limit: limit + 1,
    };
    let mut rows = doors.ports.store().links(filter).await?;
    let has_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| has_more);
    let next = next.map(|row| format!("{}/{}", row.link.user.0, row.link.app));
    let row = |row: &LinkRow| {
        let mut link = link::shown(&row.link);
        link["user"] = json!(row.user.as_str());
        link
    };
    let data: Vec<Value> = rows.iter().map(row).collect();
    Ok(Json(
        json!({ "data": data, "has_more": has_more, "next_cursor": next }),
    ))
}
