//! An authority for the servers of the tests, made by OpenSSL: `ca.pem`, what it signed for the
//! server (`server.pem`, `server.key`) and for a client (`client.pem`, `client.key`, and both in
//! `client.p12`), and `other.pem`, an authority that nothing here was signed by.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::postgres::run;

/// What the file after PKCS#12 is closed with.
pub(crate) const PASSWORD: &str = "lingqian-tests";
/// Whom the client's certificate names: a user that every broker has from the beginning.
const CLIENT: &str = "guest";
/// A key that every library reads.
const KEY: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
];

/// Makes all of it in a folder, which is made.
pub(crate) fn make(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, file) in [("the tests", "ca"), ("nobody", "other")] {
        let subject = format!("/CN=Authority of {name}");
        openssl(
            folder,
            &[
                &["req", "-x509", "-days", "30", "-subj", &subject],
                &KEY[..],
            ]
            .concat(),
            &[
                "-keyout",
                &format!("{file}.key"),
                "-out",
                &format!("{file}.pem"),
            ],
        )?;
    }
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
    signed(folder, ("server", "localhost"), names)?;
    signed(folder, ("client", CLIENT), "extendedKeyUsage=clientAuth")?;
    let export = [
        "pkcs12",
        "-export",
        "-in",
        "client.pem",
        "-inkey",
        "client.key",
    ];
    let to = [
        "-out",
        "client.p12",
        "-passout",
        &format!("pass:{PASSWORD}"),
    ];
    openssl(folder, &export, &to)
}

fn signed(folder: &Path, (file, name): (&str, &str), extension: &str) -> anyhow::Result<()> {
    let subject = format!("/CN={name}");
    let begin = [
        "req", "-x509", "-days", "30", "-CA", "ca.pem", "-CAkey", "ca.key",
    ];
    let what = ["-subj", &subject, "-addext", extension, "-addext"];
    let what = [&what[..], &["basicConstraints=critical,CA:FALSE"]].concat();
    let files = [
        "-keyout",
        &format!("{file}.key"),
        "-out",
        &format!("{file}.pem"),
    ];
    openssl(
        folder,
        &[&begin[..], &KEY[..]].concat(),
        &[&what[..], &files[..]].concat(),
    )
}

fn openssl(folder: &Path, what: &[&str], more: &[&str]) -> anyhow::Result<()> {
    run(Command::new("openssl")
        .args(what)
        .args(more)
        .current_dir(folder))
}
