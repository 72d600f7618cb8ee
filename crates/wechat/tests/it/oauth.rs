//! OAuth: who it was, and why nobody could be named.

use std::sync::Arc;
use std::time::Duration;

use lingqian_core::id::AppId;
use lingqian_core::link::Identity;
use lingqian_core::user::Sealed;
use lingqian_io::IdentityProvider as _;
use lingqian_io::rail::{AppKind, IdentityFault, LinkScope, Remedy};
use lingqian_io::twin::ManualClock;
use lingqian_wechat::{OauthSettings, WechatOauth};

use crate::world::{Listener, NOW, Plain, Say, Time};

fn app() -> AppId {
    AppId::parse("wx1").expect("valid")
}

fn client(url: &str) -> WechatOauth<Plain, Time> {
    let settings = OauthSettings {
        page_url: "https://open.weixin.qq.com".into(),
        api_url: url.to_owned(),
        app: app(),
        kind: AppKind::OfficialAccount,
        secret: "SECRET".into(),
        timeout: Duration::from_millis(400),
    };
    WechatOauth::new(settings, Plain, Time(Arc::new(ManualClock::new(NOW))))
}

async fn redeemed(say: Say) -> (Result<Identity, IdentityFault>, String) {
    let listener = Listener::open(say).await;
    let identity = client(&listener.url).redeem(&app(), "CODE").await;
    (identity, listener.last_request())
}

fn ok(body: &str) -> Say {
    Say::Answer(200, Vec::new(), body.as_bytes().to_vec())
}

const GRANTED: &str = r#"{"access_token":"A","expires_in":7200,"refresh_token":"R","openid":"oAlice","scope":"snsapi_base"}"#;

#[tokio::test]
async fn a_code_becomes_a_person_with_sealed_tokens() {
    let (identity, request) = redeemed(ok(GRANTED)).await;
    let identity = identity.expect("named");
    assert_eq!(identity.openid.expose(), "oAlice");
    assert!(!identity.snapshot && identity.unionid.is_none());
    let expected =
        "/sns/oauth2/access_token?appid=wx1&secret=SECRET&code=CODE&grant_type=authorization_code";
    assert!(
        request.starts_with(&format!("GET {expected} HTTP")),
        "{request}"
    );
    let tokens =
        String::from_utf8(identity.tokens.expect("tokens").0).expect("the test seals nothing");
    assert!(
        tokens.contains("\"access_expires_at\":1772431200000"),
        "{tokens}"
    );
}

#[tokio::test]
async fn a_snapshot_user_is_told_apart() {
    let body = GRANTED.replace(
        "\"scope\"",
        "\"is_snapshotuser\":1,\"unionid\":\"u1\",\"scope\"",
    );
    let identity = redeemed(ok(&body)).await.0.expect("named");
    assert!(identity.snapshot);
    assert_eq!(identity.unionid.expect("given").expose(), "u1");
}

#[tokio::test]
async fn refusals_carry_their_code_and_everything_else_is_unavailable() {
    for (errcode, remedy) in [
        (40_029, Remedy::Restart),
        (40_163, Remedy::Restart),
        (40_125, Remedy::Configure),
        (40_001, Remedy::Configure),
        (40_013, Remedy::Configure),
        (42_003, Remedy::Restart),
        (45_011, Remedy::Slower),
        (-1, Remedy::Again),
    ] {
        let body = format!(r#"{{"errcode":{errcode},"errmsg":"x, rid: 1"}}"#);
        let fault = redeemed(ok(&body)).await.0.expect_err("refused");
        assert_eq!(fault, IdentityFault::Refused { errcode, remedy });
    }
    let silent = [
        ok("<html>"),
        ok("{}"),
        ok(&GRANTED.replace("oAlice", "o Alice")),
        Say::Answer(502, Vec::new(), Vec::new()),
        Say::Nothing,
        Say::Silence,
    ];
    for say in silent {
        let fault = redeemed(say.clone()).await.0.expect_err("nobody");
        assert!(
            matches!(fault, IdentityFault::Unavailable(_)),
            "{say:?}: {fault:?}"
        );
        assert!(!fault.to_string().contains("Alice"), "{fault}");
    }
}

#[tokio::test]
async fn tokens_are_checked_and_refreshed() {
    let tokens = redeemed(ok(GRANTED)).await.0.expect("named").tokens;
    let tokens = tokens.expect("tokens");
    let check = async |body: &str| {
        let listener = Listener::open(ok(body)).await;
        let checked = client(&listener.url).check(&app(), &tokens).await;
        assert!(
            listener
                .last_request()
                .contains("/sns/auth?access_token=A&openid=oAlice")
        );
        checked
    };
    assert_eq!(check(r#"{"errcode":0,"errmsg":"ok"}"#).await, Ok(true));
    for errcode in [40_003, 40_014, 42_001, 42_007] {
        assert_eq!(
            check(&format!(r#"{{"errcode":{errcode}}}"#)).await,
            Ok(false),
            "{errcode}"
        );
    }
    assert_eq!(
        check(r#"{"errcode":40013}"#).await,
        Err(IdentityFault::Refused {
            errcode: 40_013,
            remedy: Remedy::Configure
        }),
        "a wrong app says nothing about the grant"
    );
    assert!(matches!(
        check(r#"{"errcode":45009}"#).await,
        Err(IdentityFault::Refused {
            remedy: Remedy::Tomorrow,
            ..
        })
    ));
    let listener = Listener::open(ok(GRANTED)).await;
    client(&listener.url)
        .refresh(&app(), &tokens)
        .await
        .expect("refreshed");
    assert!(
        listener
            .last_request()
            .contains("grant_type=refresh_token&refresh_token=R")
    );
    let nonsense = Sealed(b"nonsense".to_vec());
    let fault = client(&listener.url)
        .check(&app(), &nonsense)
        .await
        .expect_err("unreadable");
    assert!(matches!(fault, IdentityFault::Unavailable(_)));
}

#[test]
fn the_page_gets_its_parameters_in_wechats_order() {
    let app = AppId::parse("wx1").expect("valid");
    let client = client("http://x");
    for (scope, page, word) in [
        (LinkScope::Base, "oauth2/authorize", "snsapi_base"),
        (LinkScope::Userinfo, "oauth2/authorize", "snsapi_userinfo"),
        (LinkScope::Login, "qrconnect", "snsapi_login"),
    ] {
        let url = client.authorize_url(&app, "https://a.test/back?x=1&y=2", "s-1", scope);
        let expected = format!(
            "https://open.weixin.qq.com/connect/{page}?appid=wx1\
             &redirect_uri=https%3A%2F%2Fa.test%2Fback%3Fx%3D1%26y%3D2&response_type=code\
             &scope={word}&state=s-1#wechat_redirect"
        );
        assert_eq!(url, expected);
    }
}

#[tokio::test]
async fn a_mini_programs_code_becomes_a_person_and_its_session_key_is_dropped() {
    let body = r#"{"openid":"oAlice","session_key":"c2VjcmV0IHNlc3Npb24ga2V5IQ==","unionid":"u1"}"#;
    let listener = Listener::open(ok(body)).await;
    let identity = client(&listener.url).by_code(&app(), "JSCODE").await;
    let identity = identity.expect("named");
    assert_eq!(identity.openid.expose(), "oAlice");
    assert_eq!(identity.unionid.as_ref().expect("given").expose(), "u1");
    assert_eq!((identity.tokens, identity.snapshot), (None, false));
    let expected = "/sns/jscode2session?appid=wx1&secret=SECRET&js_code=JSCODE\
                    &grant_type=authorization_code";
    let request = listener.last_request();
    assert!(
        request.starts_with(&format!("GET {expected} HTTP")),
        "{request}"
    );
}
