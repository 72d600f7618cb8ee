//! The fund-flow bill of a day: applied for, then downloaded by a token.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::auth::Refused;
use crate::books::{Books, DAY_MS, beijing_day, day_start, rfc3339, wire_now};
use crate::crypto::{hex, sha1_hex, sha256};
use crate::kept::FlowLine;
use crate::world::{Member, World};

/// Bills are made from nine in the morning of the next day.
pub(crate) const MADE_AFTER_MS: i64 = 9 * 3_600_000;
/// Merchants have no operation account, so everything moves on the basic one.
pub(crate) const ACCOUNT: &str = "BASIC";
/// A token works for five minutes.
const TOKEN_MS: i64 = 5 * 60_000;

const HEADER: &str = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),\
                      账户结余(元),资金变更提交申请人,备注,业务凭证号";
const TOTALS: &str = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额";

/// Answers hash and address of the bill of a day.
pub(crate) fn apply(
    world: &World,
    member: &Member,
    books: &Books,
    query: &str,
) -> Result<Value, Refused> {
    let parameter = |name: &str| {
        query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key == name).then_some(value)
        })
    };
    let date = parameter("bill_date")
        .ok_or_else(|| Refused::new(400, "PARAM_ERROR", "bill_date为必填项"))?;
    let day = day_of(date).ok_or_else(|| Refused::new(400, "PARAM_ERROR", "bill_date格式错误"))?;
    let today = beijing_day(books.now());
    if day >= today || day < today - 92 {
        return Err(Refused::invalid(
            "账单日期错误，只能查询三个月内、今日之前的账单",
        ));
    }
    let gzip = match parameter("tar_type") {
        None => false,
        Some("GZIP") => true,
        Some(_) => return Err(Refused::new(400, "PARAM_ERROR", "tar_type错误")),
    };
    let account = parameter("account_type").unwrap_or("BASIC");
    if !["BASIC", "OPERATION", "FEES"].contains(&account) {
        return Err(Refused::new(400, "PARAM_ERROR", "account_type错误"));
    }
    if books.now() < day_start(day + 1) + MADE_AFTER_MS {
        return Err(Refused::new(400, "STATEMENT_CREATING", "账单生成中"));
    }
    let file = file(books, member.mchid(), day);
    let Some(file) = file.filter(|_| account == ACCOUNT) else {
        return Err(Refused::new(
            400,
            "NO_STATEMENT_EXIST",
            "请求的账单文件不存在",
        ));
    };
    let expires = wire_now() + TOKEN_MS;
    let tail = if gzip { "&tartype=gzip" } else { "" };
    let token = format!("{day}-{expires}-{}", mac(member, day, expires));
    Ok(json!({
        "hash_type": "SHA1",
        "hash_value": sha1_hex(file.as_bytes()),
        "download_url": format!("{}/v3/billdownload/file?token={token}{tail}", world.url),
    }))
}

/// What a merchant can spend, and what is locked.
pub(crate) fn balance(member: &Member, books: &Books, account: &str) -> Result<Value, Refused> {
    if account != ACCOUNT {
        return Err(Refused::invalid("输入账户类型未开通"));
    }
    let locked = books.account(member.mchid()).locked;
    let available = books.free_balance(member.mchid());
    Ok(json!({ "available_amount": available, "pending_amount": locked }))
}

fn mac(member: &Member, day: i64, expires: i64) -> String {
    let text = format!("{}/{day}/{expires}", member.provision.secret);
    hex(&sha256(text.as_bytes()))
}

/// The file of a token; a merchant's token works for that merchant alone.
pub(crate) fn download(member: &Member, books: &Books, query: &str) -> Result<Vec<u8>, Refused> {
    let gone = || Refused::invalid("下载链接已失效，请重新申请账单");
    let token = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("token="))
        .ok_or_else(gone)?;
    let mut parts = token.splitn(3, '-');
    let (day, expires) = (parts.next(), parts.next());
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let (day, expires) = (
        number(day).ok_or_else(gone)?,
        number(expires).ok_or_else(gone)?,
    );
    if wire_now() > expires || parts.next() != Some(mac(member, day, expires).as_str()) {
        return Err(gone());
    }
    let file = file(books, member.mchid(), day).ok_or_else(gone)?;
    if !query.contains("tartype=gzip") {
        return Ok(file.into_bytes());
    }
    packed(&file).ok_or_else(|| Refused::new(500, "SYSTEM_ERROR", "系统异常，请稍后重试"))
}

/// The file as GZIP makes it smaller.
pub(crate) fn packed(file: &str) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(file.as_bytes()).ok()?;
    encoder.finish().ok()
}

pub(crate) fn day_of(date: &str) -> Option<i64> {
    let date: jiff::civil::Date = date.parse().ok()?;
    let at = jiff::tz::Offset::UTC
        .to_timestamp(date.at(0, 0, 0, 0))
        .ok()?;
    Some(at.as_millisecond().div_euclid(DAY_MS))
}

/// The bill of a merchant's day, or none when nothing moved.
pub(crate) fn file(books: &Books, mchid: &str, day: i64) -> Option<String> {
    let lines: Vec<&FlowLine> = books
        .account(mchid)
        .flow
        .iter()
        .filter(|line| beijing_day(line.at) == day)
        .collect();
    if lines.is_empty() {
        return None;
    }
    let mut text = format!("\u{feff}{HEADER}\r\n");
    let (mut came_in, mut out) = ((0_u64, 0), (0_u64, 0));
    for line in lines {
        let sum = if line.income { &mut came_in } else { &mut out };
        sum.0 += 1;
        sum.1 += line.amount;
        let time = rfc3339(line.at)[..19].replace('T', " ");
        let direction = if line.income { "收入" } else { "支出" };
        text.push_str(&format!(
            "`{time},`{},`{},`{},`{},`{direction},`{},`{},`{}API,`,`{}\r\n",
            line.business_no,
            line.flow_no,
            line.words.trim_end_matches("回退"),
            line.words,
            yuan(line.amount),
            yuan(line.balance),
            mchid,
            line.voucher,
        ));
    }
    text.push_str(&format!(
        "{TOTALS}\r\n`{}.0,`{}.0,`{},`{}.0,`{}\r\n",
        came_in.0 + out.0,
        came_in.0,
        yuan(came_in.1),
        out.0,
        yuan(out.1)
    ));
    Some(text)
}

fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", fen.abs() / 100, fen.abs() % 100)
}
