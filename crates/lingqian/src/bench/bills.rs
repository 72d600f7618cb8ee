//! `lingqian bench bills`: how fast a bill is read, and in how much memory.
//!
//! The bill is made up line by line into a file before the timed part. Each way of reading it is
//! timed on one thread, by that thread's processor time.

use std::fs::File;
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use lingqian_core::id::MchId;
use lingqian_core::time::BusinessDate;
use lingqian_wechat::bill::{BillReader, Expected, Unpacked, check};

use crate::bench::Place;
use crate::bench::figures::per_second;
use crate::bench::machine::{peak, thread_time};
use crate::bench::options::BillsOptions;
use crate::bench::sheet::Sheet;
use crate::output::show;

const MCHID: &str = "1900000109";
const DATE: &str = "2026-03-02";
const HEADER: &str = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),\
                      账户结余(元),资金变更提交申请人,备注,业务凭证号\r\n";
const TOTALS: &str = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额\r\n";

/// Runs the bench.
///
/// # Errors
/// When there is no room for the bill, or it is not read as it was made.
pub(crate) fn run(options: &BillsOptions, json: bool) -> anyhow::Result<ExitCode> {
    let place = Place::make(options.dir.as_deref(), "bills")?;
    let (plain, packed) = (place.path.join("bill.csv"), place.path.join("bill.csv.gz"));
    let before = peak().unwrap_or_default();
    let bytes = make(options.lines, &plain, &packed)?;
    let expected = Expected {
        mchid: MchId::parse(MCHID)?,
        date: BusinessDate::parse(DATE).context("a day")?,
        hash: None,
    };
    let read = timed(|| {
        let mut reader = BillReader::open(File::open(&plain)?)?;
        while reader.next_row()?.is_some() {}
        Ok(reader.sums().count)
    })?;
    let whole = timed(|| Ok(check(File::open(&plain)?, &expected)?.sums.count))?;
    let unpacked = timed(|| Ok(check(File::open(&packed)?, &expected)?.sums.count))?;
    let booked = timed(|| {
        let mut reader = BillReader::open(Unpacked::of(File::open(&packed)?)?)?;
        let mut count = 0;
        while let Some(row) = reader.next_row()? {
            count += u64::from(!row.owned().flow_no.is_empty());
        }
        Ok(count)
    })?;
    for (count, _) in [read, whole, unpacked, booked] {
        anyhow::ensure!(count == options.lines, "{count} lines were read");
    }
    let rate = |(count, took): (u64, Duration)| per_second(count, took);
    let mut sheet = Sheet::default();
    sheet
        .section("bill")
        .put("lines", options.lines)
        .put("bytes", bytes)
        .put("packed_bytes", std::fs::metadata(&packed)?.len());
    sheet
        .section("lines_per_second_and_core")
        .put("read", rate(read))
        .put("read_and_hashed", rate(whole))
        .put("unpacked_read_and_hashed", rate(unpacked))
        .put("unpacked_and_made_ready_to_book", rate(booked));
    let after = peak().unwrap_or_default();
    sheet
        .section("memory")
        .put("peak_bytes", after)
        .put("grown_bytes", after.saturating_sub(before));
    show(json, &sheet, |out| sheet.tell(out))?;
    Ok(ExitCode::SUCCESS)
}

fn timed(read: impl FnOnce() -> anyhow::Result<u64>) -> anyhow::Result<(u64, Duration)> {
    let begun = thread_time();
    let count = read()?;
    Ok((count, thread_time().saturating_sub(begun)))
}

/// Makes a bill, packed and not; answers its length.
fn make(lines: u64, plain: &std::path::Path, packed: &std::path::Path) -> anyhow::Result<u64> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(plain)?;
    let mut out = BufWriter::with_capacity(1 << 20, &file);
    out.write_all("\u{feff}".as_bytes())?;
    out.write_all(HEADER.as_bytes())?;
    let mut balance: u64 = 900_000_000_000;
    let (mut left, mut seed) = (0_u64, 0x9e37_79b9_7f4a_7c15_u64);
    for no in 0..lines {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let amount = 30 + seed % 20_000;
        (balance, left) = (balance - amount, left + amount);
        let second = no * 86_400 / lines;
        writeln!(
            out,
            "`{DATE} {:02}:{:02}:{:02},`1330{seed:020}{no:010},`{MCHID}{no:018},`商家转账,`商家转账,\
             `支出,`{}.{:02},`{}.{:02},`{MCHID}API,`零钱提现,`LQ{seed:026X}01\r",
            second / 3_600,
            second / 60 % 60,
            second % 60,
            amount / 100,
            amount % 100,
            balance / 100,
            balance % 100,
        )?;
    }
    write!(
        out,
        "{TOTALS}`{lines}.0,`0.0,`0.00,`{lines}.0,`{}.{:02}\r\n",
        left / 100,
        left % 100
    )?;
    out.flush()?;
    drop(out);
    let bytes = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut encoder = GzEncoder::new(File::create(packed)?, Compression::fast());
    std::io::copy(&mut file, &mut encoder)?;
    encoder.finish()?;
    Ok(bytes)
}
