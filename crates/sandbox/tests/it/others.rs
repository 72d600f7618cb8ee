//! Clients that other people wrote, as they were published: `cargo xtask test` installs them below
//! `target`. Their own code signs, seals, verifies and decrypts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::client::World;

/// Where a library was installed.
fn library(place: &str) -> PathBuf {
    let library = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target")
        .join(place);
    assert!(
        library.is_dir(),
        "{place} is not there: `cargo xtask test` installs it"
    );
    library
}

/// Runs a script against a sandbox with TLS, and gives the lines that it prints.
async fn driven(program: &str, script: &str, environment: &[(&str, PathBuf)]) -> Vec<String> {
    let world = World::with(|settings| {
        settings.tls = Some(([127, 0, 0, 1], 0).into());
    })
    .await;
    // From ten in the morning on, so that no test goes over midnight.
    const DAY_MS: i64 = 86_400_000;
    const HOUR_MS: i64 = 3_600_000;
    let into_day = (world.sandbox.now_business() + 8 * HOUR_MS).rem_euclid(DAY_MS);
    let ahead = u64::try_from(DAY_MS - into_day + 10 * HOUR_MS).expect("ahead");
    world.sandbox.advance(Duration::from_millis(ahead)).await;
    let files = world.dir.path().join("files");
    world.credentials.write_files(&files).expect("written");
    let (url, authority) = world.sandbox.tls().expect("it listens with TLS");
    let authority_file = files.join("ca.pem");
    std::fs::write(&authority_file, authority).expect("written");
    let port = url.rsplit(':').next().expect("a port").to_owned();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/others");
    let mut command = Command::new(program);
    command
        .arg(scripts.join(script))
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .env("SANDBOX", &world.url)
        .env("SANDBOX_TLS_PORT", port)
        .env("SANDBOX_FILES", &files)
        .env("REQUESTS_CA_BUNDLE", &authority_file)
        .env("NODE_EXTRA_CA_CERTS", &authority_file)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("it ends").expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}\n{error}");
    told.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn wechatpayv3_for_python_pays_is_told_and_reads_the_bill() {
    let environment = [("PYTHONPATH", library("python-wechat"))];
    let seen = driven("python3", "wechatpayv3_drive.py", &environment).await;
    let of_mode = |mark: &str| {
        [
            "transfer",
            "same again",
            "other content",
            "query",
            "name",
            "notification",
            "cancel",
            "cancelled",
            "wrong name",
            "batch",
            "batch query",
            "batch item",
            "batch notification",
        ]
        .map(|name| format!("{mark} {name}"))
    };
    let wrong = [
        "notice_probe is refused",
        "notice_probe: the true one",
        "notice_forged is refused",
        "notice_forged: the true one",
        "a wrong answer raises",
        "and yet it was accepted",
        "null is refused",
        "bill",
        "bill file",
        "bill lines",
    ];
    let mut expected = vec!["certificates".to_owned()];
    expected.extend(of_mode("c"));
    expected.extend(of_mode("k"));
    expected.extend(wrong.map(str::to_owned));
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn wechatpay_axios_plugin_for_node_pays_by_both_apis_and_reads_the_bill() {
    let modules = library("node-wechat").join("node_modules");
    let seen = driven("node", "axios_drive.cjs", &[("NODE_PATH", modules)]).await;
    let expected = [
        "certificates",
        "transfer",
        "query",
        "notification",
        "sealed for the other key",
        "no key is named",
        "unknown field",
        "cancel",
        "a client with the public key alone must name it",
        "batch",
        "an item too early",
        "batch query",
        "batch item",
        "batch notification",
        "v2 transfer",
        "v2 same again",
        "v2 other content",
        "v2 query",
        "v2 without a certificate",
        "v2 wrong signature",
        "v2 red packet",
        "v2 red packet query",
        "bill file",
        "bill lines",
        "bill totals",
    ];
    assert_eq!(seen, expected);
}
