//! Clients of WeChat Pay that other people wrote, which the tests run against the sandbox: each in
//! a folder of its own below `target`.

use std::path::Path;

use anyhow::ensure;

use crate::{call, has};

/// For Python: what is installed, and where.
const PYTHON: (&str, &str, &str) = ("wechatpayv3==2.0.4", "wechatpayv3", "target/python-wechat");
/// For Node.
const NODE: (&str, &str, &str) = (
    "wechatpay-axios-plugin@0.9.6",
    "node_modules/wechatpay-axios-plugin",
    "target/node-wechat",
);

/// Installs those that are missing.
pub(crate) fn ensure(root: &Path) -> anyhow::Result<()> {
    let (library, module, folder) = PYTHON;
    if !root.join(folder).join(module).is_dir() {
        let fixed = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ];
        let what = ["--root-user-action", "ignore", "--target", folder, library];
        twice(root, "python3", &[&fixed[..], &what[..]].concat())?;
    }
    let (library, module, folder) = NODE;
    if root.join(folder).join(module).is_dir() {
        return Ok(());
    }
    ensure!(
        has("npm", "--version"),
        "the tests need Node.js with npm; install nodejs and npm"
    );
    // Nothing of it runs while it is installed.
    let fixed = [
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
    ];
    let what = ["--prefix", folder, library];
    twice(root, "npm", &[&fixed[..], &what[..]].concat())
}

/// Registries fail now and then.
fn twice(root: &Path, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    call(root, program, arguments).or_else(|_| call(root, program, arguments))
}
