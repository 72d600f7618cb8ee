//! Enterprise payments: `promotion/transfers` and `gettransferinfo`.

use serde::{Deserialize, Serialize};

use crate::books::{Books, DAY_MS, beijing_day, rfc3339};
use crate::crypto::{hex, sha256};
use crate::faults::Fault;
use crate::journal::Record;
use crate::kept::Id;
use crate::old::wire::{Parameter, Refused, Told, Wanted};
use crate::world::World;

/// What a payment says.
pub(crate) const FIELDS: &[Parameter] = &[
    ("mch_appid", true, 128),
    ("mchid", true, 32),
    ("device_info", false, 32),
    ("nonce_str", true, 32),
    ("sign", true, 64),
    ("partner_trade_no", true, 32),
    ("openid", true, 64),
    ("check_name", true, 16),
    ("re_user_name", false, 64),
    ("amount", true, 10),
    ("desc", true, 100),
    ("spbill_create_ip", true, 32),
    ("scene", false, 64),
    ("brand_id", false, 10),
    ("finder_template_id", false, 128),
];

/// What a question says; the merchant is named one way or the other.
pub(crate) const QUESTION: &[Parameter] = &[
    ("appid", true, 128),
    ("mch_id", false, 32),
    ("mchid", false, 32),
    ("nonce_str", true, 32),
    ("sign", true, 64),
    ("partner_trade_no", true, 32),
];

/// The same number may be sent again for so long.
const AGAIN_MS: i64 = 3 * DAY_MS;
/// A payment that takes its time takes so long.
const SLOW_MS: i64 = 600_000;

/// One payment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Payment {
    pub(crate) mchid: String,
    pub(crate) number: String,
    pub(crate) payment_no: String,
    pub(crate) appid: String,
    pub(crate) openid: String,
    pub(crate) amount: i64,
    pub(crate) desc: String,
    pub(crate) check_name: String,
    pub(crate) name: String,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) status: Status,
}

/// Where a payment stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "status", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    /// Under way until a moment.
    Processing {
        /// When it ends.
        until: i64,
        /// How it ends.
        paid: bool,
    },
    /// Paid.
    Success,
    /// Not paid.
    Failed {
        /// Words.
        reason: String,
    },
}

impl Payment {
    /// What it is known by.
    pub(crate) fn id(&self) -> Id {
        Id::new(&self.mchid, &self.number)
    }
}

impl Status {
    /// WeChat's word for it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Status::Processing { .. } => "PROCESSING",
            Status::Success => "SUCCESS",
            Status::Failed { .. } => "FAILED",
        }
    }
}

fn parameter(words: &str) -> Refused {
    Refused::new("PARAM_ERROR", format!("参数错误:{words}"))
}

/// Pays, or answers what became of a payment of that number.
pub(crate) fn pay(world: &World, books: &mut Books, wanted: &Wanted) -> Result<Told, Refused> {
    let payment = read(books, wanted)?;
    if let Some(known) = books.payments.get(&payment.id()) {
        return again(books, known, &payment);
    }
    check(world, books, &payment)?;
    let status = match slowness(world, &payment.number) {
        Some(paid) => Status::Processing {
            until: payment.created_at + SLOW_MS,
            paid,
        },
        None => Status::Success,
    };
    let payment = Payment { status, ..payment };
    books.pay(payment.clone());
    match payment.status {
        Status::Success => Ok(paid(&payment)),
        _ => Err(Refused::system()),
    }
}

/// Whether a payment takes its time, and how it ends then.
fn slowness(world: &World, number: &str) -> Option<bool> {
    let mut faults = world.faults();
    if faults.strikes(Fault::PaidLate, number) {
        Some(true)
    } else if faults.strikes(Fault::FailedLate, number) {
        Some(false)
    } else {
        None
    }
}

/// The form of a payment.
fn read(books: &Books, wanted: &Wanted) -> Result<Payment, Refused> {
    let number = wanted["partner_trade_no"].clone();
    if !number.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(parameter("输入的商户订单号有误"));
    }
    let amount = &wanted["amount"];
    let digits = !amount.is_empty() && amount.bytes().all(|byte| byte.is_ascii_digit());
    let amount = amount.parse::<i32>().ok().filter(|_| digits);
    let amount = i64::from(amount.ok_or_else(|| parameter("输入的金额有误"))?);
    match wanted["check_name"].as_str() {
        "NO_CHECK" => {}
        "FORCE_CHECK" if !wanted["re_user_name"].is_empty() => {}
        "FORCE_CHECK" => return Err(parameter("请填写收款人姓名")),
        _ => return Err(parameter("校验用户姓名选项有误")),
    }
    if !books.is_bound(wanted.mchid(), &wanted["mch_appid"]) {
        return Err(parameter("商户号和appid没有绑定关系"));
    }
    let now = books.now();
    let digest = hex(&sha256(number.as_bytes()));
    let digits = digest.bytes().map(|byte| char::from(b'0' + byte % 10));
    let payment_no = format!("10000{}", digits.take(23).collect::<String>());
    Ok(Payment {
        mchid: wanted.mchid().to_owned(),
        number,
        payment_no,
        appid: wanted["mch_appid"].clone(),
        openid: wanted["openid"].clone(),
        amount,
        desc: wanted["desc"].clone(),
        check_name: wanted["check_name"].clone(),
        name: wanted["re_user_name"].clone(),
        created_at: now,
        updated_at: now,
        status: Status::Success,
    })
}

/// The same number once more.
fn again(books: &Books, known: &Payment, wanted: &Payment) -> Result<Told, Refused> {
    let same = (&known.appid, &known.openid, known.amount, &known.desc)
        == (&wanted.appid, &wanted.openid, wanted.amount, &wanted.desc)
        && (&known.check_name, &known.name) == (&wanted.check_name, &wanted.name);
    if !same {
        return Err(Refused::fatal());
    }
    match known.status {
        _ if books.now() - known.created_at > AGAIN_MS => Err(Refused::failed()),
        Status::Success => Ok(paid(known)),
        Status::Processing { .. } => Err(Refused::system()),
        Status::Failed { .. } => Err(Refused::failed()),
    }
}

/// Limits, then the account, then the person.
fn check(world: &World, books: &Books, payment: &Payment) -> Result<(), Refused> {
    let limits = world.settings.old;
    let Some(person) = books.person_of(&payment.appid, &payment.openid) else {
        let words = "Openid格式错误或者不属于商家公众账号";
        return Err(Refused::new("OPENID_ERROR", words));
    };
    if payment.amount < limits.single_min_fen || payment.amount > world.settings.single_max_fen {
        let words = "付款金额超出限制。低于最小金额或累计超过限额。";
        return Err(Refused::new("AMOUNT_LIMIT", words));
    }
    let key = (payment.openid.clone(), beijing_day(books.now()));
    let (count, sum) = books.paid_days.get(&key).copied().unwrap_or_default();
    if count >= limits.user_day_count {
        let words = "该用户今日付款次数超过限制,如有需要请进入【微信支付商户平台-产品中心-企业付款到零钱-产品设置】进行修改";
        return Err(Refused::new("SENDNUM_LIMIT", words));
    }
    if sum + payment.amount > limits.user_day_fen {
        let words = "该单据受用户单日收款限额影响，当天暂不能重试，请第二天原单重试";
        return Err(Refused::new("MONEY_LIMIT", words));
    }
    if payment.amount > books.free_balance(&payment.mchid) {
        let echo = vec![
            ("mch_appid", payment.appid.clone()),
            ("mchid", payment.mchid.clone()),
        ];
        return Err(Refused::new("NOTENOUGH", "余额不足").about(echo));
    }
    if person.frozen {
        let words = "用户账户收款异常，请联系用户完善其在微信支付的身份信息以继续收款";
        return Err(Refused::new("PAYEE_ACCOUNT_ABNORMAL", words));
    }
    let wrong = person.real_name.as_ref() != Some(&payment.name);
    if payment.check_name == "FORCE_CHECK" && person.real_name.is_some() && wrong {
        return Err(Refused::new("NAME_MISMATCH", "真实姓名不一致"));
    }
    Ok(())
}

fn paid(payment: &Payment) -> Told {
    vec![
        ("mch_appid", payment.appid.clone()),
        ("mchid", payment.mchid.clone()),
        ("partner_trade_no", payment.number.clone()),
        ("payment_no", payment.payment_no.clone()),
        ("payment_time", beijing(payment.created_at)),
    ]
}

/// `2026-03-02 10:15:07`.
pub(crate) fn beijing(at: i64) -> String {
    rfc3339(at)[..19].replace('T', " ")
}

/// No record of a number.
pub(crate) fn not_found(id: &Id) -> Refused {
    let about = vec![
        ("partner_trade_no", id.number.clone()),
        ("mch_id", id.mchid.clone()),
    ];
    Refused::new("NOT_FOUND", "指定单号数据不存在").about(about)
}

/// How a payment stands.
pub(crate) fn told(books: &Books, id: &Id) -> Result<Told, Refused> {
    let found = books.payments.get(id);
    let found = found.filter(|payment| books.now() - payment.created_at <= 30 * DAY_MS);
    let payment = found.ok_or_else(|| not_found(id))?;
    let mut told = vec![
        ("partner_trade_no", payment.number.clone()),
        ("appid", payment.appid.clone()),
        ("mch_id", payment.mchid.clone()),
        ("detail_id", payment.payment_no.clone()),
        ("status", payment.status.word().to_owned()),
        ("openid", payment.openid.clone()),
        ("payment_amount", payment.amount.to_string()),
        ("transfer_time", beijing(payment.created_at)),
        ("desc", payment.desc.clone()),
    ];
    if !payment.name.is_empty() {
        told.push(("transfer_name", payment.name.clone()));
    }
    match &payment.status {
        Status::Success => told.push(("payment_time", beijing(payment.updated_at))),
        Status::Failed { reason } => told.push(("reason", reason.clone())),
        Status::Processing { .. } => {}
    }
    Ok(told)
}

impl Books {
    /// Keeps a payment as it stands now, with its line on the account when it was paid.
    pub(crate) fn pay(&mut self, payment: Payment) {
        self.together(|books| {
            if payment.status == Status::Success {
                let bill = (payment.payment_no.clone(), payment.number.clone());
                books.book((&payment.mchid, false), payment.amount, "企业付款", bill);
            }
            let payment = Box::new(payment);
            books.record(Record::Payment { payment });
        });
    }

    /// A payment as a record tells it.
    pub(crate) fn paid(&mut self, payment: Payment) {
        let under_way = |status: &Status| matches!(status, Status::Processing { .. });
        let (id, amount) = (payment.id(), payment.amount);
        if under_way(&payment.status) {
            self.account_mut(&id.mchid).paying += amount;
        }
        let key = (payment.openid.clone(), beijing_day(payment.created_at));
        match self.payments.insert(id.clone(), payment) {
            Some(before) if under_way(&before.status) => {
                self.account_mut(&id.mchid).paying -= amount;
            }
            Some(_) => {}
            None => {
                let day = self.paid_days.entry(key).or_default();
                *day = (day.0 + 1, day.1 + amount);
            }
        }
    }
}

/// Payments that took their time end.
pub(crate) fn pass(books: &mut Books) {
    if books.accounts.values().all(|account| account.paying == 0) {
        return;
    }
    let now = books.now();
    let due = |payment: &&Payment| match payment.status {
        Status::Processing { until, .. } => until <= now,
        _ => false,
    };
    let due: Vec<Payment> = books.payments.values().filter(due).cloned().collect();
    for payment in due {
        let status = match payment.status {
            Status::Processing { paid: true, .. } => Status::Success,
            _ => Status::Failed {
                reason: "收款用户账户异常".to_owned(),
            },
        };
        books.pay(Payment {
            status,
            updated_at: now,
            ..payment
        });
    }
}
