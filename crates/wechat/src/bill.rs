//! The fund-flow bill: hash, columns by name, yuan as exact decimals, and its own totals.

use lingqian_core::money::Fen;
use lingqian_core::reconcile::{BillLine, Direction};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_io::Fault;
use lingqian_io::rail::BillFile;

/// The columns that are needed, as the header names them.
const COLUMNS: [&str; 8] = [
    "记账时间",
    "微信支付业务单号",
    "资金流水单号",
    "业务名称",
    "收支类型",
    "收支金额(元)",
    "账户结余(元)",
    "业务凭证号",
];

fn broken(what: impl std::fmt::Display) -> Fault {
    Fault::Broken(format!("the bill {what}"))
}

/// Checks the hash over the uncompressed file, as WeChat computes it.
///
/// # Errors
/// [`Fault::Broken`] when it differs: the file is not the one that WeChat made.
pub fn check_hash(file: &[u8], expected: &str) -> Result<(), Fault> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, file);
    let hex: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if hex.eq_ignore_ascii_case(expected) {
        Ok(())
    } else {
        Err(broken("has another hash"))
    }
}

/// Reads a file whose hash was checked.
///
/// # Errors
/// [`Fault::Broken`] with the line, when a column is missing, a value does not read, or the
/// totals are not those of the lines.
pub fn parse(file: &[u8], sha1: &str) -> Result<BillFile, Fault> {
    let text = std::str::from_utf8(file).map_err(|_| broken("is not UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty());
    let (_, header) = lines.next().ok_or_else(|| broken("is empty"))?;
    let columns = Columns::of(header)?;
    let mut bill = BillFile {
        sha1: sha1.to_owned(),
        lines: Vec::new(),
        out: Fen::ZERO,
        came_in: Fen::ZERO,
    };
    for (index, line) in lines.by_ref() {
        if !line.starts_with('`') {
            // The header of the summary.
            let (index, totals) = lines
                .next()
                .ok_or_else(|| broken("ends before its totals"))?;
            return check_totals(bill, line, totals)
                .map_err(|what| broken(format!("has wrong totals in line {}: {what}", index + 1)));
        }
        let parsed = columns
            .read(line)
            .ok_or_else(|| broken(format!("has a line {} that does not read", index + 1)))?;
        let sum = match parsed.direction {
            Direction::Out => &mut bill.out,
            Direction::In => &mut bill.came_in,
        };
        *sum = sum
            .plus(parsed.amount)
            .ok_or_else(|| broken("adds up to too much"))?;
        bill.lines.push(parsed);
    }
    Err(broken("ends before its totals"))
}

/// Where each needed column stands.
struct Columns([usize; COLUMNS.len()]);

impl Columns {
    fn of(header: &str) -> Result<Columns, Fault> {
        let names: Vec<String> = header.split(',').map(normal).collect();
        let mut places = [0; COLUMNS.len()];
        for (place, column) in places.iter_mut().zip(COLUMNS) {
            *place = names
                .iter()
                .position(|name| name == column)
                .ok_or_else(|| broken(format!("has no column {column}")))?;
        }
        Ok(Columns(places))
    }

    fn read(&self, line: &str) -> Option<BillLine> {
        let values: Vec<&str> = line.split(',').map(value).collect();
        let [
            time,
            business,
            flow,
            words,
            direction,
            amount,
            balance,
            voucher,
        ] = self.0;
        let at = |place: usize| values.get(place).copied();
        let text = |place: usize| at(place).map(str::to_owned);
        Some(BillLine {
            flow_no: text(flow).filter(|flow| !flow.is_empty())?,
            booked_at: beijing(at(time)?)?,
            business_no: text(business)?,
            voucher: text(voucher)?,
            direction: match at(direction)? {
                "支出" => Direction::Out,
                "收入" => Direction::In,
                _ => return None,
            },
            amount: yuan(at(amount)?).filter(|amount| *amount > Fen::ZERO)?,
            balance: yuan(at(balance)?)?,
            words: text(words)?,
        })
    }
}

/// Brackets occur in two widths.
fn normal(name: &str) -> String {
    value(name.trim()).replace('（', "(").replace('）', ")")
}

/// Every value is preceded by one backtick.
fn value(text: &str) -> &str {
    text.strip_prefix('`').unwrap_or(text)
}

/// Yuan with at most two decimals as fen; exact or nothing.
fn yuan(text: &str) -> Option<Fen> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 2 || !plain(whole) || !plain(decimals) {
        return None;
    }
    let fen: i64 = format!("{whole}{decimals:0<2}").parse().ok()?;
    Some(Fen(sign * fen))
}

/// `yyyy-MM-dd HH:mm:ss` in Beijing.
fn beijing(text: &str) -> Option<Timestamp> {
    let at: jiff::civil::DateTime = text.parse().ok()?;
    let at = jiff::tz::Offset::constant(8).to_timestamp(at).ok()?;
    Some(Timestamp(at.as_millisecond()))
}

/// The file's own count and sums must be those of its lines.
fn check_totals(bill: BillFile, header: &str, totals: &str) -> Result<BillFile, &'static str> {
    let names: Vec<String> = header.split(',').map(normal).collect();
    let values: Vec<&str> = totals.split(',').map(value).collect();
    let total = |name: &str| {
        let place = names.iter().position(|found| found.starts_with(name))?;
        values.get(place).copied()
    };
    let count = total("资金流水总笔数").and_then(|text| text.split('.').next()?.parse().ok());
    if count != Some(bill.lines.len()) {
        return Err("the number of lines");
    }
    let number =
        |name: &str| total(name).and_then(|text| text.split('.').next()?.parse::<usize>().ok());
    let incoming = bill
        .lines
        .iter()
        .filter(|line| line.direction == Direction::In)
        .count();
    if number("收入笔数") != Some(incoming) {
        return Err("the number of lines that came in");
    }
    if number("支出笔数") != Some(bill.lines.len() - incoming) {
        return Err("the number of lines that left");
    }
    if total("收入金额").and_then(yuan) != Some(bill.came_in) {
        return Err("the sum of what came in");
    }
    if total("支出金额").and_then(yuan) != Some(bill.out) {
        return Err("the sum of what left");
    }
    Ok(bill)
}

/// What asks for the bill of a day.
#[must_use]
pub fn apply_path(date: BusinessDate, account: &str) -> String {
    format!("/v3/bill/fundflowbill?bill_date={date}&account_type={account}&tar_type=GZIP")
}
