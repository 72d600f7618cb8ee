//! What the codes of each rail mean, one row each: whether something was accepted, and what to do
//! next. A code that is in no row is unknown: it is asked about under the same number.
//! `docs/RAILS.md` shows these tables, and a test keeps it so.

use lingqian_core::transfer::{Cure, Finding};

/// What a code says about the send that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was accepted; what becomes of it is asked.
    Accepted,
    /// It was not accepted, and this is what to do.
    NotDone(Cure),
    /// Nobody can tell.
    Unknown,
}

/// One code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// WeChat's code.
    pub code: &'static str,
    /// What it says about the send.
    pub fate: Fate,
    /// What it stands for.
    pub means: &'static str,
}

const fn row(code: &'static str, fate: Fate, means: &'static str) -> Row {
    Row { code, fate, means }
}

use Cure::{Float, Later, Never, Person, Tomorrow};
use Fate::{Accepted, NotDone, Unknown};

/// Answers to `promotion/transfers`.
pub const ENTERPRISE: &[Row] = &[
    row(
        "AMOUNT_LIMIT",
        NotDone(Never),
        "under or over what one payment may be",
    ),
    row(
        "CA_ERROR",
        NotDone(Person),
        "the client certificate is missing or wrong",
    ),
    row(
        "EXCEED_PAYEE_ACCOUNT_LIMIT",
        NotDone(Never),
        "the user's wallet may not receive more",
    ),
    row(
        "FATAL_ERROR",
        Unknown,
        "the number was sent before with other parameters",
    ),
    row("FREQ_LIMIT", NotDone(Later), "too many calls"),
    row(
        "MONEY_LIMIT",
        NotDone(Tomorrow),
        "the merchant or the user reached a day's total",
    ),
    row(
        "NAME_MISMATCH",
        NotDone(Never),
        "the real name is another one",
    ),
    row(
        "NOTENOUGH",
        NotDone(Float),
        "the merchant's account has too little",
    ),
    row(
        "NO_AUTH",
        NotDone(Person),
        "no permission for the product or the address",
    ),
    row(
        "OPENID_ERROR",
        NotDone(Never),
        "the openid is not one of the app",
    ),
    row(
        "PARAM_ERROR",
        NotDone(Never),
        "a parameter is missing or malformed",
    ),
    row(
        "PARAM_IS_NOT_UTF8",
        NotDone(Person),
        "the message is not UTF-8",
    ),
    row(
        "PAYEE_ACCOUNT_ABNORMAL",
        NotDone(Never),
        "the user's account may not receive",
    ),
    row(
        "PAYER_ACCOUNT_ABNORMAL",
        NotDone(Person),
        "the merchant's account may not pay",
    ),
    row(
        "PAY_CHANNEL_NOT_ALLOWED",
        NotDone(Person),
        "payments by API are switched off",
    ),
    row(
        "RECEIVED_MONEY_LIMIT",
        NotDone(Tomorrow),
        "the user reached a day's total",
    ),
    row(
        "RECV_ACCOUNT_NOT_ALLOWED",
        NotDone(Person),
        "the user is not on the merchant's list",
    ),
    row(
        "SENDNUM_LIMIT",
        NotDone(Tomorrow),
        "too many payments to this user today",
    ),
    row(
        "SEND_FAILED",
        Unknown,
        "the payment may have failed; only a query tells",
    ),
    row(
        "SEND_MONEY_LIMIT",
        NotDone(Tomorrow),
        "the merchant reached its own day's total",
    ),
    row("SIGN_ERROR", NotDone(Person), "the signature is wrong"),
    row(
        "SYSTEMERROR",
        Unknown,
        "the system is busy; it may be paid hours later",
    ),
    row(
        "V2_ACCOUNT_SIMPLE_BAN",
        NotDone(Never),
        "the user has no verified wallet",
    ),
    row("XML_ERROR", NotDone(Person), "the message does not read"),
];

/// Answers to `sendredpack`. Money that nobody takes within a day comes back.
pub const RED_PACKET: &[Row] = &[
    row(
        "AMOUNT_LIMIT",
        NotDone(Never),
        "under or over what one packet may hold",
    ),
    row(
        "CA_ERROR",
        NotDone(Person),
        "the client certificate is missing or wrong",
    ),
    row(
        "FATAL_ERROR",
        Unknown,
        "the number was sent before with other parameters",
    ),
    row("FREQ_LIMIT", NotDone(Later), "too many calls"),
    row(
        "ILLEGAL_APPID",
        NotDone(Person),
        "the app may not send packets",
    ),
    row(
        "MONEY_LIMIT",
        NotDone(Tomorrow),
        "the merchant or the user reached a day's total",
    ),
    row(
        "NOTENOUGH",
        NotDone(Float),
        "the merchant's account has too little",
    ),
    row(
        "NO_AUTH",
        NotDone(Person),
        "no permission, or the user may not receive packets",
    ),
    row(
        "OPENID_ERROR",
        NotDone(Never),
        "the openid is not one of the app",
    ),
    row(
        "PARAM_ERROR",
        NotDone(Never),
        "a parameter is missing or malformed",
    ),
    row(
        "PROCESSING",
        Accepted,
        "accepted; asked about under the same number",
    ),
    row(
        "RCVDAMOUNT_LIMIT",
        NotDone(Tomorrow),
        "the user reached a day's total",
    ),
    row(
        "SENDAMOUNT_LIMIT",
        NotDone(Tomorrow),
        "the merchant reached a day's total",
    ),
    row(
        "SENDNUM_LIMIT",
        NotDone(Tomorrow),
        "too many packets to this user today",
    ),
    row(
        "SEND_FAILED",
        Unknown,
        "it may have failed; only a query tells",
    ),
    row("SIGN_ERROR", NotDone(Person), "the signature is wrong"),
    row(
        "SYSTEMERROR",
        Unknown,
        "the system is busy; it may be sent later",
    ),
    row("XML_ERROR", NotDone(Person), "the message does not read"),
];

/// An error answer of API v3 to something that was to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// WeChat's code.
    pub code: &'static str,
    /// What its message must begin with, where the code alone stands for too many things.
    pub words: &'static str,
    /// What to do.
    pub cure: Cure,
    /// What it stands for.
    pub means: &'static str,
}

const fn refusal(
    (status, code): (u16, &'static str),
    words: &'static str,
    cure: Cure,
    means: &'static str,
) -> Refusal {
    Refusal {
        status,
        code,
        words,
        cure,
        means,
    }
}

const INVALID: (u16, &str) = (400, "INVALID_REQUEST");

/// Refusals of a transfer of 2025.
pub const TRANSFER: &[Refusal] = &[
    refusal(
        (400, "APPID_MCHID_NOT_MATCH"),
        "",
        Person,
        "the app is not bound to the merchant",
    ),
    refusal(
        (400, "PARAM_ERROR"),
        "",
        Never,
        "a field is missing or malformed",
    ),
    refusal(
        INVALID,
        "超出商户单日转账额度",
        Tomorrow,
        "the merchant reached a day's total",
    ),
    refusal(
        INVALID,
        "超过单笔转账上下限",
        Never,
        "under or over what one transfer may be",
    ),
    refusal(
        INVALID,
        "暂不支持展示当前传入的用户收款感知",
        Never,
        "words that the scene has not",
    ),
    refusal(
        INVALID,
        "Openid格式错误",
        Never,
        "the openid is not one of the app",
    ),
    refusal(
        INVALID,
        "商户未开通该转账场景",
        Never,
        "the merchant has not got the scene",
    ),
    refusal(
        (401, "SIGN_ERROR"),
        "",
        Person,
        "signature, serial number or clock are wrong",
    ),
    refusal(
        (403, "NO_AUTH"),
        "",
        Person,
        "no permission for the product or the address",
    ),
    refusal(
        (403, "NOT_ENOUGH"),
        "",
        Float,
        "the merchant's account has too little",
    ),
    refusal((429, "FREQUENCY_LIMITED"), "", Later, "too many calls"),
    refusal((429, "FREQUENCY_LIMIT_EXCEED"), "", Later, "too many calls"),
    refusal((429, "RATELIMIT_EXCEEDED"), "", Later, "too many calls"),
];

/// Refusals of a batch.
pub const BATCH: &[Refusal] = &[
    refusal(
        (400, "PARAM_ERROR"),
        "",
        Never,
        "a field is missing or malformed, or sums differ",
    ),
    refusal(
        (400, "APPID_MCHID_NOT_MATCH"),
        "",
        Person,
        "the app is not bound to the merchant",
    ),
    refusal(
        (400, "ACCOUNTERROR"),
        "",
        Person,
        "the merchant's account may not pay",
    ),
    refusal(
        (400, "QUOTA_EXCEED"),
        "",
        Tomorrow,
        "a day's total is reached",
    ),
    refusal(
        INVALID,
        "超出商户单日转账额度",
        Tomorrow,
        "the merchant reached a day's total",
    ),
    refusal(
        INVALID,
        "产品权限异常",
        Person,
        "no permission for the product",
    ),
    refusal(
        INVALID,
        "Openid格式错误",
        Never,
        "the openid is not one of the app",
    ),
    refusal(
        (401, "SIGN_ERROR"),
        "",
        Person,
        "signature, serial number or clock are wrong",
    ),
    refusal(
        (403, "NO_AUTH"),
        "",
        Person,
        "no permission, or the merchant moved to the new product",
    ),
    refusal(
        (403, "NOT_ENOUGH"),
        "",
        Float,
        "the merchant's account has too little",
    ),
    refusal((429, "FREQUENCY_LIMITED"), "", Later, "too many calls"),
    refusal((429, "FREQUENCY_LIMIT_EXCEED"), "", Later, "too many calls"),
    refusal((429, "RATELIMIT_EXCEEDED"), "", Later, "too many calls"),
];

/// Why a transfer of API v3 ended unpaid, and whether another one of the same payout may come
/// through. What the user or nobody can cure is over: the money returns to the balance. So does it
/// for a reason that is in no row.
pub const REASONS: &[(&str, Cure, &str)] = &[
    ("ACCOUNT_FROZEN", Never, "the user's account is frozen"),
    ("ACCOUNT_NOT_EXIST", Never, "the user has no such account"),
    (
        "BLOCK_B2C_USERLIMITAMOUNT_BSRULE_MONTH",
        Never,
        "the user's monthly limit is reached",
    ),
    (
        "BLOCK_B2C_USERLIMITAMOUNT_MONTH",
        Never,
        "the user is blocked this month",
    ),
    ("BUDGET_NOT_ENOUGH", Person, "the budget is used up"),
    ("CLOSED", Never, "the batch was closed"),
    (
        "DAY_RECEIVED_COUNT_EXCEED",
        Tomorrow,
        "the user was paid too often today",
    ),
    (
        "DAY_RECEIVED_QUOTA_EXCEED",
        Tomorrow,
        "the user was paid too much today",
    ),
    ("ID_CARD_NOT_CORRECT", Never, "the id number is another one"),
    (
        "MERCHANT_NOT_CONFIRM",
        Person,
        "nobody of the merchant approved it in time",
    ),
    (
        "MERCHANT_REJECT",
        Never,
        "somebody of the merchant rejected it",
    ),
    (
        "MONTH_RECEIVED_QUOTA_EXCEED",
        Never,
        "the user was paid too much this month",
    ),
    ("NAME_NOT_CORRECT", Never, "the real name is another one"),
    ("OPENID_INVALID", Never, "the openid is wrong"),
    ("OTHER_FAIL_REASON_TYPE", Never, "something else"),
    (
        "OVERDUE_CLOSE",
        Person,
        "closed after a day without money or approval",
    ),
    (
        "PAYEE_ACCOUNT_ABNORMAL",
        Never,
        "the user's account may not receive",
    ),
    (
        "PAYER_ACCOUNT_ABNORMAL",
        Person,
        "the merchant's account may not pay",
    ),
    (
        "PRODUCT_AUTH_CHECK_FAIL",
        Person,
        "the product is missing or frozen",
    ),
    (
        "REALNAME_ACCOUNT_RECEIVED_QUOTA_EXCEED",
        Never,
        "the user must complete their identity",
    ),
    ("REAL_NAME_CHECK_FAIL", Never, "the user is not verified"),
    (
        "RECEIVE_ACCOUNT_NOT_CONFIGURE",
        Never,
        "the list of receivers is not set",
    ),
    (
        "RECEIVE_ACCOUNT_NOT_PERMMIT",
        Never,
        "the user is not on the merchant's list",
    ),
    (
        "TRANSFER_QUOTA_EXCEED",
        Never,
        "under or over the user's single limit",
    ),
    ("TRANSFER_REMARK_SET_FAIL", Never, "the remark was refused"),
    ("TRANSFER_RISK", Later, "stopped by risk control"),
    ("TRANSFER_SCENE_INVALID", Never, "the scene is wrong"),
    (
        "TRANSFER_SCENE_UNAVAILABLE",
        Person,
        "the scene cannot be used",
    ),
];

/// Whether another transfer of the same payout may come through after one that ended for this
/// reason.
#[must_use]
pub fn another(reason: &str) -> Cure {
    let found = REASONS.iter().find(|(code, _, _)| *code == reason);
    found.map_or(Never, |(_, cure, _)| *cure)
}

/// The finding of a code that a table has or has not.
#[must_use]
pub fn finding(table: &[Row], code: &str) -> Finding {
    let fate = table
        .iter()
        .find(|row| row.code == code)
        .map_or(Unknown, |row| row.fate);
    let code = code.to_owned();
    match fate {
        Accepted => Finding::Processing,
        NotDone(cure) => Finding::Refused { code, cure },
        Unknown => Finding::Unknown { code },
    }
}
