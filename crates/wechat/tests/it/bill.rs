//! Bills as WeChat writes them, and as they must not be.

use lingqian_core::money::Fen;
use lingqian_core::reconcile::Direction;
use lingqian_core::time::Timestamp;
use lingqian_io::Fault;
use lingqian_wechat::bill::{check_hash, parse};
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

fn broken(lines: &[&str]) -> String {
    match parse(&file(lines), "") {
        Err(Fault::Broken(words)) => words,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bill_is_read_exactly() {
    let bill = parse(&file(&[HEADER, OUT, IN, TOTALS, SUMS]), "abc").expect("reads");
    assert_eq!(
        (bill.out, bill.came_in, bill.lines.len()),
        (Fen(1_250), Fen(1_250), 2)
    );
    let line = &bill.lines[0];
    assert_eq!(
        (line.flow_no.as_str(), line.voucher.as_str()),
        ("F1", "PAY1")
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
    assert_eq!(bill.lines[1].direction, Direction::In);
    assert_eq!(bill.sha1, "abc");
}

#[test]
fn line_ends_marks_brackets_and_new_columns_may_differ() {
    let wide = HEADER.replace('(', "（").replace(')', "）");
    let text = [&wide, OUT, IN, TOTALS, SUMS].join("\n");
    assert_eq!(parse(text.as_bytes(), "").expect("reads").lines.len(), 2);
    let more = [
        format!("新列,{HEADER}"),
        format!("`x,{OUT}"),
        format!("`x,{IN}"),
        TOTALS.into(),
        SUMS.into(),
    ];
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    assert_eq!(
        parse(&file(&more), "").expect("reads").lines[0].flow_no,
        "F1"
    );
}

#[test]
fn what_is_not_whole_or_not_right_is_refused_with_its_place() {
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
        ("`F1", "`"),
    ] {
        let line = OUT.replace(wrong, with);
        let words = broken(&[HEADER, &line, IN, TOTALS, SUMS]);
        assert!(
            words.contains("line 2") || words.contains("totals"),
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
    let good = "a9993e364706816aba3e25717850c26c9cd0d89d";
    assert_eq!(check_hash(b"abc", good), Ok(()));
    assert_eq!(check_hash(b"abc", &good.to_uppercase()), Ok(()));
    assert!(check_hash(b"abd", good).is_err());
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(bytes: Vec<u8>) {
        let _ = parse(&bytes, "");
    }

    #[test]
    fn no_change_of_a_good_file_makes_the_reader_panic(at in 0..600_usize, byte: u8) {
        let mut bytes = file(&[HEADER, OUT, IN, TOTALS, SUMS]);
        let place = at % bytes.len();
        bytes[place] = byte;
        let _ = parse(&bytes, "");
    }
}
