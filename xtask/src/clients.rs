//! Clients of WeChat Pay that other people wrote, which the tests run against the sandbox: each in
//! a folder of its own below `target`.

use std::path::Path;

use anyhow::ensure;

use crate::needs::{Library, python};
use crate::{has, twice};

/// For Python.
const PYTHON: Library = Library {
    name: "wechatpayv3",
    version: "wechatpayv3==2.0.4",
    folder: "target/python-wechat",
};
/// For Node: what is installed, how it is known, and where.
const NODE: (&str, &str, &str) = (
    "wechatpay-axios-plugin@0.9.6",
    "node_modules/wechatpay-axios-plugin",
    "target/node-wechat",
);

/// Installs those that are missing.
pub(crate) fn ensure(root: &Path) -> anyhow::Result<()> {
    python(root, PYTHON)?;
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
