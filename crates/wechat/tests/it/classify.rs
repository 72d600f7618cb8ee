//! The one table, row by row.

use lingqian_core::transfer::{Cure, Finding};
use lingqian_wechat::classify::{ErrorAnswer, query_error, refusal, state};
use lingqian_wechat::tables::TRANSFER;

const EXISTS: &str = "单号已存在但信息不一致，请查单后比较确认";
const LIMITS: &str = "超过单笔转账上下限，核实产品设置是否准确";
const PERCEPTION: &str = "暂不支持展示当前传入的用户收款感知";
const OPENID: &str = "Openid格式错误或者不属于商家公众账号，请检查";
const QUOTA: &str = "超出商户单日转账额度，请核实";

fn answer<'a>(status: u16, code: &'a str, message: &'a str, signed: bool) -> ErrorAnswer<'a> {
    ErrorAnswer {
        status,
        code,
        message,
        signed,
    }
}

fn cure(status: u16, code: &str, message: &str, signed: bool) -> Option<Cure> {
    match refusal(TRANSFER, &answer(status, code, message, signed)) {
        Finding::Refused { cure, .. } => Some(cure),
        Finding::Unknown { .. } => None,
        other => panic!("{status} {code}: {other:?}"),
    }
}

#[test]
fn only_listed_refusals_of_a_send_are_definite() {
    let table: [(u16, &str, &str, Option<Cure>); 27] = [
        (400, "PARAM_ERROR", "", Some(Cure::Never)),
        (400, "INVALID_REQUEST", LIMITS, Some(Cure::Never)),
        (400, "INVALID_REQUEST", PERCEPTION, Some(Cure::Never)),
        (400, "INVALID_REQUEST", OPENID, Some(Cure::Never)),
        (400, "INVALID_REQUEST", QUOTA, Some(Cure::Tomorrow)),
        (400, "INVALID_REQUEST", EXISTS, None),
        (400, "INVALID_REQUEST", "单号错误，请检查", None),
        (
            400,
            "INVALID_REQUEST",
            "something that was never seen",
            None,
        ),
        (400, "ALREADY_EXISTS", "", None),
        (400, "MADE_UP", "", None),
        (400, "", "", None),
        (401, "SIGN_ERROR", "", Some(Cure::Person)),
        (403, "NO_AUTH", "", Some(Cure::Person)),
        (400, "APPID_MCHID_NOT_MATCH", "", Some(Cure::Person)),
        (403, "NOT_ENOUGH", "", Some(Cure::Float)),
        (403, "USER_ERROR", "", None),
        (403, "", "", None),
        (404, "NOT_FOUND", "", None),
        (429, "FREQUENCY_LIMITED", "", Some(Cure::Later)),
        (429, "FREQUENCY_LIMIT_EXCEED", "", Some(Cure::Later)),
        (429, "RATELIMIT_EXCEEDED", "", Some(Cure::Later)),
        (429, "", "", None),
        (500, "SYSTEM_ERROR", "", None),
        (500, "PARAM_ERROR", "", None),
        (502, "", "", None),
        (503, "SERVICE_UNAVAILABLE", "", None),
        (302, "", "", None),
    ];
    for (status, code, message, expected) in table {
        assert_eq!(
            cure(status, code, message, true),
            expected,
            "{status} {code} {message}"
        );
    }
}

#[test]
fn without_a_signature_nothing_is_refused_for_good() {
    for (code, message) in [("PARAM_ERROR", ""), ("INVALID_REQUEST", LIMITS)] {
        assert_eq!(
            cure(400, code, message, false),
            Some(Cure::Person),
            "{code}"
        );
    }
    assert_eq!(cure(403, "NOT_ENOUGH", "", false), Some(Cure::Float));
}

#[test]
fn a_refused_question_says_nothing_but_that_there_is_no_record() {
    for code in ["NOT_FOUND", "RESOURCE_NOT_EXISTS"] {
        assert_eq!(query_error(&answer(404, code, "", true)), Finding::NotFound);
    }
    for (status, code) in [
        (404, ""),
        (404, "MADE_UP"),
        (400, "PARAM_ERROR"),
        (400, "INVALID_REQUEST"),
        (401, "SIGN_ERROR"),
        (403, "NO_AUTH"),
        (429, "FREQUENCY_LIMITED"),
        (500, "SYSTEM_ERROR"),
    ] {
        let finding = query_error(&answer(status, code, "", true));
        assert!(
            matches!(finding, Finding::Unknown { .. }),
            "{status} {code}: {finding:?}"
        );
    }
}

#[test]
fn every_state_has_its_meaning_and_a_state_that_is_not_known_has_none() {
    let package = Some("p".to_owned());
    let found = |word: &str, reason: Option<&str>| state(word, reason, package.clone());
    for word in ["ACCEPTED", "PROCESSING", "TRANSFERING"] {
        assert_eq!(found(word, None), Finding::Processing, "{word}");
    }
    assert_eq!(
        found("WAIT_USER_CONFIRM", None),
        Finding::AwaitingUser {
            package: package.clone()
        }
    );
    assert_eq!(found("SUCCESS", None), Finding::Paid);
    assert_eq!(found("CANCELING", None), Finding::Cancelling);
    assert_eq!(found("CANCELLED", None), Finding::Cancelled);
    assert_eq!(found("FAIL", Some("OVERDUE_CLOSE")), Finding::Expired);
    assert_eq!(found("FAIL", Some("MCH_CANCEL")), Finding::Cancelled);
    for (reason, cure) in [
        ("ACCOUNT_FROZEN", Cure::Never),
        ("NAME_NOT_CORRECT", Cure::Never),
        ("TRANSFER_QUOTA_EXCEED", Cure::Never),
        ("A_NEW_REASON", Cure::Never),
        ("TRANSFER_RISK", Cure::Later),
        ("DAY_RECEIVED_COUNT_EXCEED", Cure::Tomorrow),
        ("DAY_RECEIVED_QUOTA_EXCEED", Cure::Tomorrow),
        ("BUDGET_NOT_ENOUGH", Cure::Person),
        ("MERCHANT_NOT_CONFIRM", Cure::Person),
        ("PAYER_ACCOUNT_ABNORMAL", Cure::Person),
        ("PRODUCT_AUTH_CHECK_FAIL", Cure::Person),
        ("TRANSFER_SCENE_UNAVAILABLE", Cure::Person),
    ] {
        assert_eq!(
            found("FAIL", Some(reason)),
            Finding::Failed {
                code: reason.into(),
                cure,
            }
        );
    }
    assert_eq!(
        found("FAIL", None),
        Finding::Failed {
            code: "FAIL".into(),
            cure: Cure::Never,
        }
    );
    for word in ["", "success", "TRANSFERRING", "CANCELED", "FAILED"] {
        assert!(
            matches!(found(word, None), Finding::Unknown { .. }),
            "{word}"
        );
    }
}
