//! Bills that somebody delivers: good ones are booked once, bad ones not at all, and all are kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::process::{json, lingqian, run};

pub(crate) const DATE: &str = "2026-03-02";
const HEADER: &str = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号";
const TOTALS: &str = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额";

/// Books with the sandbox's merchant, and a folder in which bills are delivered.
pub(crate) struct Home {
    dir: tempfile::TempDir,
    pub(crate) data: PathBuf,
    mchid: String,
}

impl Home {
    pub(crate) fn new() -> Home {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        assert!(run(&data, &["keys", "list"]).status.success());
        let drop = dir.path().join("drop");
        fs::create_dir(&drop).expect("a folder");
        let mut home = Home {
            dir,
            data,
            mchid: String::new(),
        };
        // The first look makes the sandbox's credentials.
        let _ = home.reconcile(&drop.display().to_string());
        let credentials = fs::read_to_string(home.data.join("wechat/credentials.json"));
        let credentials: Value =
            serde_json::from_str(&credentials.expect("credentials")).expect("JSON");
        home.mchid = credentials["mchid"].as_str().expect("text").to_owned();
        home
    }

    pub(crate) fn folder(&self) -> String {
        self.dir.path().join("drop").display().to_string()
    }

    pub(crate) fn file(&self, end: &str) -> PathBuf {
        let name = format!("fundflow-{}-{DATE}-BASIC.csv{end}", self.mchid);
        self.dir.path().join("drop").join(name)
    }

    pub(crate) fn bill(&self) -> String {
        let lines = [
            HEADER.to_owned(),
            format!(
                "`{DATE} 10:15:07,`C1,`F1,`充值/提现,`充值,`收入,`500.00,`500.00,`{}API,`,`T1",
                self.mchid
            ),
            format!("`{DATE} 11:00:00,`C2,`F2,`充值/提现,`充值,`收入,`1.50,`501.50,`system,`,`T2"),
            TOTALS.to_owned(),
            "`2.0,`2.0,`501.50,`0.0,`0.00".to_owned(),
        ];
        format!("\u{feff}{}\r\n", lines.join("\r\n"))
    }

    pub(crate) fn reconcile(&self, source: &str) -> Result<Value, String> {
        let arguments = [
            "reconcile",
            "--date",
            DATE,
            "--bill-source",
            source,
            "--json",
        ];
        told(lingqian(&self.data, &arguments))
    }

    /// Lines that are in the books.
    fn booked(&self) -> u64 {
        let table = run(
            &self.data,
            &["sql", "-c", "SELECT count(*) FROM bills", "--json"],
        );
        let text = String::from_utf8_lossy(&table.stdout).into_owned();
        assert!(
            table.status.success(),
            "{}",
            String::from_utf8_lossy(&table.stderr)
        );
        u64::from(!text.contains('0'))
    }
}

pub(crate) fn told(mut command: Command) -> Result<Value, String> {
    let output = command.output().expect("the executable runs");
    match serde_json::from_slice(&output.stdout) {
        Ok(value) => Ok(value),
        Err(_) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn gzip(path: &Path) -> Vec<u8> {
    let output = Command::new("gzip")
        .arg("-c")
        .arg(path)
        .output()
        .expect("gzip");
    assert!(output.status.success());
    output.stdout
}

#[test]
fn a_delivered_bill_is_booked_once_and_kept_as_it_came() {
    let home = Home::new();
    let words = home
        .reconcile(&home.folder())
        .expect_err("nothing was delivered");
    assert!(words.contains("has not made the bill"), "{words}");
    fs::write(home.file(""), home.bill()).expect("written");
    let packed = gzip(&home.file(""));
    fs::remove_file(home.file("")).expect("gone");
    fs::write(home.file(".gz"), &packed).expect("written");
    let first = home.reconcile(&home.folder()).expect("booked");
    assert_eq!(
        (&first["lines"], &first["known_before"]),
        (&2.into(), &0.into()),
        "{first}"
    );
    let second = home.reconcile(&home.folder()).expect("booked before");
    assert_eq!(
        (&second["lines"], &second["known_before"]),
        (&2.into(), &2.into()),
        "{second}"
    );
    let kept = json(&home.data, &["kept", "list"]);
    let kept = kept.as_array().expect("a list");
    assert_eq!(kept.len(), 1, "the same file is kept once: {kept:?}");
    let name = kept[0]["name"].as_str().expect("text");
    assert!(
        name.starts_with(&format!("bills/{}/{DATE}-BASIC-", home.mchid)),
        "{name}"
    );
    let out = home.dir.path().join("out");
    json(
        &home.data,
        &["kept", "get", name, "--out", &out.display().to_string()],
    );
    assert_eq!(fs::read(&out).expect("a file"), packed);
    assert_eq!(json(&home.data, &["kept", "verify"])["files"], 1);
    let path = home.data.join("kept").join(name);
    let mut bytes = fs::read(&path).expect("a file");
    let middle = bytes.len() - 20;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("written");
    assert_eq!(run(&home.data, &["kept", "verify"]).status.code(), Some(3));
}

/// How a file ends, what is in it, which hash comes with it, and what is said of it.
type Bad = (&'static str, Vec<u8>, &'static str, &'static str);

/// A hash of another file.
const ZEROS: &str = "0000000000000000000000000000000000000000";

/// A good bill, damaged in every way that a reader may meet.
fn damaged(good: &str, mchid: &str) -> Vec<Bad> {
    vec![
        ("", good.into(), ZEROS, "bill_hash_wrong"),
        ("", good.into(), "not a hash", "bill_hash_unreadable"),
        (
            "",
            good.replace("业务凭证号", "别的").into(),
            "",
            "bill_column_missing",
        ),
        (
            "",
            good.replacen("`F2", "`F2,`extra", 1).into(),
            "",
            "bill_values_miscounted",
        ),
        ("", good[..good.len() - 20].into(), "", "bill_incomplete"),
        (
            "",
            good.replace("1.50,`501.50", "1.50,`x").into(),
            "",
            "bill_value_unreadable",
        ),
        (
            "",
            good.replace("`2.0,`2.0,`501.50", "`2.0,`2.0,`501.51")
                .into(),
            "",
            "bill_totals_wrong",
        ),
        (
            "",
            good.replace(&format!("{DATE} 11"), "2026-03-03 11").into(),
            "",
            "bill_other_day",
        ),
        (
            "",
            good.replace(&format!("{mchid}API"), "1999999999API").into(),
            "",
            "bill_other_merchant",
        ),
    ]
}

#[test]
fn nothing_of_a_bad_bill_is_booked_and_the_good_one_is_afterwards() {
    let home = Home::new();
    let good = home.bill();
    fs::write(home.file(""), &good).expect("written");
    let mut packed = gzip(&home.file(""));
    packed.truncate(packed.len() - 30);
    let mut cases = damaged(&good, home.mchid.as_str());
    cases.push((".gz", packed, "", "bill_packed_short"));
    for (end, bytes, hash, code) in cases {
        let _ = fs::remove_file(home.file(""));
        fs::write(home.file(end), bytes).expect("written");
        let hash_file = home.file(&format!("{end}.sha1"));
        if hash.is_empty() {
            let _ = fs::remove_file(&hash_file);
        } else {
            fs::write(&hash_file, format!("{hash}  name\n")).expect("written");
        }
        let words = home.reconcile(&home.folder()).expect_err(code);
        assert!(words.contains(&format!("{code}: ")), "{code}: {words}");
        assert!(words.contains("nothing of it was booked"), "{words}");
        assert!(words.contains("fundflow-"), "it says which file: {words}");
        assert_eq!(home.booked(), 0, "{code}");
        let _ = fs::remove_file(home.file(end));
        let _ = fs::remove_file(&hash_file);
    }
    fs::write(home.file(""), good.replace("\r\n", "\n")).expect("written");
    let done = home.reconcile(&home.folder()).expect("booked");
    assert_eq!(
        (&done["lines"], &done["known_before"]),
        (&2.into(), &0.into()),
        "{done}"
    );
    assert_eq!(home.booked(), 1);
}

#[test]
fn the_bench_reads_what_it_made_in_little_memory() {
    let dir = tempfile::tempdir().expect("a directory");
    let told = json(dir.path(), &["bench", "bills", "--lines", "150000"]);
    assert_eq!(told["bill"]["lines"], 150_000, "{told}");
    assert!(told["lines_per_second_and_core"]["unpacked_read_and_hashed"].as_u64() > Some(1_000));
    // The bill is four times as large as what reading it may take.
    let (bytes, grown) = (&told["bill"]["bytes"], &told["memory"]["grown_bytes"]);
    assert!(
        grown.as_u64() < Some(7 << 20) && bytes.as_u64() > Some(28 << 20),
        "{told}"
    );
}

#[test]
fn what_is_no_source_is_refused_and_not_repeated() {
    let home = Home::new();
    for (source, code) in [
        ("sftp://lq:s3cr3t@bank.test/out", "source_secret"),
        ("gopher://s3cr3t", "source_unreadable"),
        ("", "source_unreadable"),
        ("ftp://lq@bank.test/out", "source_login_missing"),
        #[cfg(not(feature = "sftp"))]
        ("sftp://lq@bank.test/out", "source_not_built"),
        #[cfg(feature = "sftp")]
        ("sftp://lq@bank.test/out", "source_login_missing"),
    ] {
        let words = home.reconcile(source).expect_err("refused");
        assert!(words.contains(code), "{source}: {words}");
        assert!(!words.contains("s3cr3t"), "{words}");
    }
}

#[test]
fn what_one_process_keeps_in_a_shared_folder_another_finds() {
    let home = Home::new();
    let (shared, other) = (
        home.dir.path().join("shared"),
        home.dir.path().join("other"),
    );
    let config = home.data.join("lingqian.toml");
    let text = fs::read_to_string(&config).expect("a configuration");
    let folder = format!("[kept]\n# shared\nfolder = \"{}\"\n", shared.display());
    let text = text.replacen("[kept]\n", &folder, 1);
    let text = text.replacen("\nfolder = \"\"\n", "\n", 1);
    fs::write(&config, text).expect("written");
    fs::write(home.file(""), home.bill()).expect("written");
    let words = home
        .reconcile(&home.folder())
        .expect_err("it is not mounted");
    assert!(words.contains("kept_folder_missing"), "{words}");
    fs::create_dir(&shared).expect("mounted");
    // Another process with the same keyring, over books of its own here.
    let copied = Command::new("cp")
        .arg("-r")
        .args([&home.data, &other])
        .status();
    assert!(copied.expect("cp").success());
    home.reconcile(&home.folder()).expect("booked");
    assert!(
        !home.data.join("kept").exists(),
        "it is kept in the shared folder"
    );
    let kept = json(&other, &["kept", "list"]);
    let name = kept[0]["name"].as_str().expect("a kept file");
    let out = home.dir.path().join("out");
    json(
        &other,
        &["kept", "get", name, "--out", &out.display().to_string()],
    );
    assert_eq!(fs::read(&out).expect("a file"), home.bill().into_bytes());
    assert_eq!(json(&other, &["kept", "verify"])["files"], 1);
    let left = fs::read_dir(shared.join("bills").join(&home.mchid)).expect("a folder");
    assert_eq!(left.count(), 1, "no part of a file is left");
}
