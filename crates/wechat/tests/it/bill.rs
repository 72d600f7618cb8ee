//! Bills as WeChat writes them, and as they must not be.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use lingqian_core::id::MchId;
use lingqian_core::money::Fen;
use lingqian_core::reconcile::{BillLine, Direction};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_io::Fault;
use lingqian_io::rail::BillFile;
use lingqian_wechat::bill::{BillFault, Expected, check};
use proptest::prelude::*;

const HEADER: &str = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号";
const OUT: &str = "`2026-03-02 10:15:07,`1330,`F1,`商家转账,`商家转账,`支出,`12.50,`9987.50,`1900000109API,`佣金,`PAY1";
const IN: &str =
    "`2026-03-02 10:20:44,`1330,`F2,`商家转账,`商家转账回退,`收入,`12.5,`10000.00,`system,`,`PAY1";
const TOTALS: &str = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额";
const SUMS: &str = "`2.0,`1.0,`12.50,`1.0,`12.50";

fn file(lines: &[&str]) -> Vec<u8> {
    format!("\u{feff}{}\r\n", lines.join("\r\n")).into_bytes()
}

fn expected(hash: Option<&str>) -> Expected {
    Expected {
        mchid: MchId::parse("1900000109").expect("valid"),
        date: BusinessDate::parse("2026-03-02").expect("a day"),
        hash: hash.map(str::to_owned),
    }
}

fn fault(file: &[u8]) -> BillFault {
    check::check(file, &expected(None)).expect_err("it is wrong")
}

fn broken(lines: &[&str]) -> String {
    fault(&file(lines)).to_string()
}

fn good() -> Vec<u8> {
    file(&[HEADER, OUT, IN, TOTALS, SUMS])
}

fn packed(file: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(file).expect("packs");
    encoder.finish().expect("packs")
}

/// Through a real file, as it is booked.
fn read(bytes: &[u8], hash: Option<&str>) -> Result<(BillFile, Vec<BillLine>), Fault> {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("room");
    let mut bill = check::bill(file, &expected(hash))?;
    let lines = std::mem::replace(&mut bill.lines, Box::new(std::iter::empty()));
    let lines: Result<Vec<BillLine>, Fault> = lines.collect();
    Ok((bill, lines?))
}

#[test]
fn a_bill_is_read_exactly() {
    for bytes in [good(), packed(&good())] {
        let (bill, lines) = read(&bytes, None).expect("reads");
        assert_eq!(
            (bill.out, bill.came_in, bill.count, lines.len()),
            (Fen(1_250), Fen(1_250), 2, 2)
        );
        assert_eq!(bill.balances, Some((Fen(1_000_000), Fen(1_000_000))));
        let line = &lines[0];
        assert_eq!(
            (line.flow_no.as_str(), line.voucher.as_str()),
            ("F1", "PAY1")
        );
        assert_eq!(
            (line.business_no.as_str(), line.words.as_str()),
            ("1330", "商家转账")
        );
        assert_eq!(
            (line.direction, line.amount, line.balance),
            (Direction::Out, Fen(1_250), Fen(998_750))
        );
        assert_eq!(
            line.booked_at,
            Timestamp(1_772_417_707_000),
            "10:15:07 in Beijing"
        );
        assert_eq!(lines[1].direction, Direction::In);
    }
}

#[test]
fn line_ends_marks_brackets_and_new_columns_may_differ() {
    let wide = HEADER.replace('(', "（").replace(')', "）");
    for text in [
        [&wide, OUT, IN, TOTALS, SUMS].join("\n"),
        [HEADER, OUT, IN, TOTALS, SUMS].join("\r\n"),
        [
            "\u{feff}", HEADER, "\n", OUT, "\r\n\r\n", IN, "\n", TOTALS, "\n", SUMS, "\n\n",
        ]
        .concat(),
    ] {
        assert_eq!(
            read(text.as_bytes(), None).expect("reads").1.len(),
            2,
            "{text}"
        );
    }
    let more = [
        format!("新列,{HEADER}"),
        format!("`x,{OUT}"),
        format!("`a, b` c,{IN}"),
        TOTALS.into(),
        SUMS.into(),
    ];
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let (_, lines) = read(&file(&more), None).expect("reads");
    assert_eq!((&*lines[0].flow_no, &*lines[1].flow_no), ("F1", "F2"));
    let none = format!("{HEADER}\r\n{TOTALS}\r\n`0.0,`0.0,`0.00,`0.0,`0.00\r\n");
    assert_eq!(
        read(none.as_bytes(), None).expect("an empty day").0.count,
        0
    );
}

#[test]
fn what_is_not_whole_or_not_right_is_refused_with_its_place() {
    let short = OUT.trim_end_matches(",`PAY1");
    let long = format!("{OUT},`more");
    for line in [short, &long] {
        let words = broken(&[HEADER, line, IN, TOTALS, SUMS]);
        assert!(words.contains("values in line 2 for 11 columns"), "{words}");
    }
    let twice = HEADER.replace("备注", "业务凭证号");
    assert!(broken(&[&twice, OUT, IN, TOTALS, SUMS]).contains("业务凭证号 twice"));
    assert!(broken(&[HEADER, OUT, IN, TOTALS, SUMS, OUT]).contains("goes on after its totals"));
    assert!(broken(&[HEADER, OUT, IN]).contains("ends before its totals"));
    assert!(broken(&[HEADER, OUT, IN, TOTALS]).contains("ends before its totals"));
    assert!(broken(&[""]).contains("is empty"));
    let without = HEADER.replace("业务凭证号", "别的");
    assert!(broken(&[&without, OUT, IN, TOTALS, SUMS]).contains("no column 业务凭证号"));
    for (wrong, with) in [
        ("12.50", "12.505"),
        ("12.50", "12,50"),
        ("12.50", "-12.50"),
        ("12.50", "0.00"),
        ("12.50", "1e3"),
        ("支出", "转出"),
        ("2026-03-02", "2026-02-30"),
        ("10:15:07", "10:61:07"),
        ("`F1", "`"),
    ] {
        let line = OUT.replace(wrong, with);
        let words = broken(&[HEADER, &line, IN, TOTALS, SUMS]);
        assert!(
            words.contains("a line 2 that does not read"),
            "{with}: {words}"
        );
    }
    for sums in [
        "`3.0,`1.0,`12.50,`1.0,`12.50",
        "`2.0,`2.0,`12.50,`1.0,`12.50",
        "`2.0,`1.0,`12.51,`1.0,`12.50",
        "`2.0,`1.0,`12.50,`0.0,`12.50",
        "`2.0,`1.0,`12.50,`1.0,`12.49",
        "`2.0",
    ] {
        assert!(
            broken(&[HEADER, OUT, IN, TOTALS, sums]).contains("wrong totals in line 5"),
            "{sums}"
        );
    }
}

#[test]
fn a_file_with_another_hash_is_not_the_one_that_was_made() {
    let hash = |algorithm, bytes: &[u8]| {
        let digest = aws_lc_rs::digest::digest(algorithm, bytes);
        let hex = |byte: &u8| format!("{byte:02X}");
        digest.as_ref().iter().map(hex).collect::<String>()
    };
    let sha1 = hash(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &good());
    let sha256 = hash(&aws_lc_rs::digest::SHA256, &good());
    for bytes in [good(), packed(&good())] {
        for hash in [&sha1, &sha1.to_lowercase(), &sha256] {
            let (bill, _) = read(&bytes, Some(hash)).expect("the hash is over the unpacked file");
            assert_eq!(bill.sha1, sha1.to_lowercase());
        }
    }
    let of_packed = hash(
        &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
        &packed(&good()),
    );
    for wrong in [&of_packed, &sha1.replace('A', "B")] {
        let Err(Fault::Broken(words)) = read(&packed(&good()), Some(wrong)) else {
            panic!("it was taken");
        };
        assert!(words.starts_with("bill_hash_wrong: "), "{words}");
        assert!(words.ends_with("nothing of it was booked"), "{words}");
    }
    // A damaged file whose lines do not read either is called damaged, because that is the cause.
    let mut damaged = good();
    damaged[300] ^= 0x55;
    let found = check::check(&damaged[..], &expected(Some(&sha1)));
    assert_eq!(found.expect_err("damaged").code(), "bill_hash_wrong");
    for none in ["", "xyz", &sha1[1..]] {
        let found = check::check(&good()[..], &expected(Some(none)));
        assert_eq!(found.expect_err("no hash").code(), "bill_hash_unreadable");
    }
}

#[test]
fn what_breaks_off_anywhere_is_told_from_what_is_wrong() {
    let file = good();
    // Without the end of its last line and the last zero before that it is whole.
    for length in 0..file.len() - 3 {
        let fault = fault(&file[..length]);
        assert!(
            fault.may_be_arriving(),
            "{length} of {}: {fault}",
            file.len()
        );
    }
    let file = packed(&file);
    for length in 2..file.len() {
        let fault = fault(&file[..length]);
        assert_eq!(fault.code(), "bill_packed_short", "{length}: {fault}");
    }
    let mut damaged = packed(&good());
    damaged[40] ^= 0x55;
    let fault = fault(&damaged);
    assert!(
        ["bill_packed_broken", "bill_packed_short"].contains(&fault.code()),
        "{fault}"
    );
}

#[test]
fn a_file_that_grows_as_no_bill_does_is_refused_early() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let head = format!("{HEADER}\r\n");
    bomb.write_all(head.as_bytes()).expect("packs");
    let line = format!("{OUT}\r\n").repeat(10_000);
    for _ in 0..40 {
        bomb.write_all(line.as_bytes()).expect("packs");
    }
    let bomb = bomb.finish().expect("packs");
    assert!(bomb.len() < 400_000, "{}", bomb.len());
    let fault = fault(&bomb);
    assert_eq!(fault.code(), "bill_too_large", "{fault}");
    let zeros = packed(&vec![b'0'; 64 * 1024 * 1024]);
    let words = check::check(&zeros[..], &expected(None)).expect_err("a bomb");
    assert!(
        ["bill_too_large", "bill_line_too_long"].contains(&words.code()),
        "{words}"
    );
}

#[test]
fn a_bill_of_another_merchant_or_day_is_refused() {
    let lines = |out: &str, back: &str| file(&[HEADER, out, back, TOTALS, SUMS]);
    for who in ["1900000777API", "员工@1900000777"] {
        let fault = fault(&lines(&OUT.replace("1900000109API", who), IN));
        assert_eq!(fault.code(), "bill_other_merchant");
        assert!(fault.to_string().contains("1900000777"), "{fault}");
    }
    // A service provider may act for the merchant on some of the lines.
    let mixed = lines(
        &OUT.replace("1900000109API", "1900000777API"),
        &IN.replace("system", "1900000109API"),
    );
    assert!(read(&mixed, None).is_ok());
    let fault = fault(&lines(OUT, &IN.replace("03-02 ", "03-03 ")));
    assert_eq!(fault.code(), "bill_other_day");
    assert!(
        fault
            .to_string()
            .contains("line 3 was booked on 2026-03-03"),
        "{fault}"
    );
}

#[test]
fn a_line_without_an_end_takes_no_memory() {
    let endless = std::io::repeat(b'x').take(1 << 30);
    let found = check::check(endless, &expected(None));
    assert_eq!(found.expect_err("no line").code(), "bill_line_too_long");
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(bytes: Vec<u8>) {
        let _ = check::check(&bytes[..], &expected(None));
    }

    #[test]
    fn no_change_of_a_good_file_makes_the_reader_panic(at in 0..600_usize, byte: u8) {
        let mut bytes = good();
        let place = at % bytes.len();
        bytes[place] = byte;
        let _ = check::check(&bytes[..], &expected(None));
    }

    /// However the bytes come in, the same is read.
    #[test]
    fn pieces_of_any_size_make_the_same_bill(piece in 1..700_usize) {
        struct Pieces<'a>(&'a [u8], usize);
        impl std::io::Read for Pieces<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let length = self.1.min(buffer.len()).min(self.0.len());
                let (now, rest) = self.0.split_at(length);
                buffer[..length].copy_from_slice(now);
                self.0 = rest;
                Ok(length)
            }
        }
        let bytes = good();
        let whole = check::check(&bytes[..], &expected(None));
        prop_assert_eq!(check::check(Pieces(&bytes, piece), &expected(None)), whole);
    }
}
