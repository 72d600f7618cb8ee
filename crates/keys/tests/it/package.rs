//! Files as the merchant platform hands them out, made by OpenSSL.

use std::fs;
use std::path::Path;
use std::process::Command;

use lingqian_keys::SoftwareSigner;
use lingqian_keys::package::{PACKAGE_MAX, PackageFault, open};

const MCHID: &str = "1900000109";

fn openssl(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(dir)
        .output();
    let output = output.expect("openssl; cargo xtask test installs it");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A key, its certificate, and a folder with both.
fn made() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let subject = format!("/CN={MCHID}");
    let new = [
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
    ];
    openssl(dir.path(), &[&new[..], &["-subj", &subject]].concat());
    dir
}

fn packed(dir: &Path, how: &[&str], password: &str) -> Vec<u8> {
    let password = format!("pass:{password}");
    let fixed = [
        "pkcs12", "-export", "-in", "cert.pem", "-inkey", "key.pem", "-out", "p12",
    ];
    openssl(dir, &[&fixed[..], &["-passout", &password], how].concat());
    fs::read(dir.join("p12")).expect("a file")
}

#[test]
fn files_of_any_age_open_with_the_merchants_number() {
    let dir = made();
    let certificate = fs::read_to_string(dir.path().join("cert.pem")).expect("PEM");
    for how in [
        // RC2 with 40 bits for the certificate, 3DES for the key: as WeChat's have always been.
        &["-legacy"][..],
        &["-legacy", "-descert"],
        &[],
        &["-legacy", "-name", "Tenpay Certificate"],
    ] {
        let opened = open(&packed(dir.path(), how, MCHID), MCHID).expect("it opens");
        let plain = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(plain(&opened.certificates), plain(&certificate), "{how:?}");
        fs::write(dir.path().join("out.pem"), opened.key.as_bytes()).expect("written");
        let of = |file| openssl(dir.path(), &["pkey", "-in", file, "-pubout"]);
        assert_eq!(of("out.pem"), of("key.pem"), "{how:?}");
        SoftwareSigner::from_pem(&opened.key, "AB").expect("it signs");
    }
}

#[test]
fn what_does_not_open_says_what_to_look_at() {
    let dir = made();
    let file = packed(dir.path(), &["-legacy"], MCHID);
    let fault = |file: &[u8], password: &str| open(file, password).err().expect("refused");
    let wrong = fault(&file, "1900000777");
    assert_eq!(wrong, PackageFault::DoesNotOpen);
    assert!(wrong.to_string().contains("the merchant's number"));
    for damaged in [
        &file[..0],
        &file[..file.len() / 2],
        b"-----BEGIN CERTIFICATE-----",
    ] {
        assert_eq!(fault(damaged, MCHID), PackageFault::DoesNotOpen);
    }
    let mut changed = file.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    assert_eq!(fault(&changed, MCHID), PackageFault::DoesNotOpen);
    assert_eq!(
        fault(&vec![0; PACKAGE_MAX + 1], MCHID),
        PackageFault::TooLarge
    );
    let password = format!("pass:{MCHID}");
    let alone = [
        "pkcs12", "-export", "-nokeys", "-in", "cert.pem", "-out", "alone", "-passout",
    ];
    openssl(dir.path(), &[&alone[..], &[&password, "-legacy"]].concat());
    let alone = fs::read(dir.path().join("alone")).expect("a file");
    assert_eq!(fault(&alone, MCHID), PackageFault::WithoutKey);
    let changed = open(&packed(dir.path(), &["-legacy"], "another"), "another");
    assert!(changed.is_ok(), "a password of one's own");
}
