//! Every test of the workspace, with nextest where it is installed.

use std::path::Path;

use crate::{call, call_with, has, kafka, needs, postgres, rabbitmq};

/// What is tested and not in a build by default.
pub(crate) const FEATURES: [&str; 2] = ["--features", "lingqian/sftp"];
/// The same with brokers.
const WITH_BROKERS: [&str; 2] = [
    "--features",
    "lingqian/sftp,lingqian/rabbitmq,lingqian/kafka",
];

/// Runs the documents' examples first, so that the runner's summary ends the output. A
/// PostgreSQL server runs beside the tests, unless the environment names one already.
pub(crate) fn run(root: &Path, brokers: bool, arguments: &[String]) -> anyhow::Result<()> {
    needs::ensure(root)?;
    if brokers {
        needs::brokers(root)?;
    }
    let features = if brokers { WITH_BROKERS } else { FEATURES };
    let server = match std::env::var(postgres::VARIABLE) {
        Ok(_) => None,
        Err(_) => Some(postgres::Server::start()?),
    };
    let server = server
        .as_ref()
        .map(|server| (postgres::VARIABLE, server.url.as_str()));
    let absent = |name: &str| brokers && std::env::var_os(name).is_none();
    let broker = absent(rabbitmq::VARIABLE).then(|| rabbitmq::Nodes::start(1));
    let broker = broker.transpose()?;
    let broker = broker.as_ref().map(rabbitmq::Nodes::urls);
    let broker = broker.as_deref().map(|urls| (rabbitmq::VARIABLE, urls));
    let other = absent(kafka::VARIABLE).then(|| kafka::Server::start(root));
    let other = other.transpose()?;
    let other = other
        .as_ref()
        .map(|server| (kafka::VARIABLE, server.address.as_str()));
    let environment: Vec<(&str, &str)> = server.into_iter().chain(broker).chain(other).collect();
    let extra: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if !has("cargo", "nextest") && !has("cargo-nextest", "--version") {
        let whole = [
            &["test", "--workspace", "--locked"],
            &features[..],
            &extra[..],
        ]
        .concat();
        return call_with(root, "cargo", &whole, &environment);
    }
    let profile = if std::env::var_os("CI").is_some() {
        "ci"
    } else {
        "default"
    };
    let documents = ["test", "--workspace", "--locked", "--doc", "--quiet"];
    call(root, "cargo", &[&documents[..], &features].concat())?;
    let fixed = [
        "nextest",
        "run",
        "--workspace",
        "--locked",
        "--profile",
        profile,
    ];
    call_with(
        root,
        "cargo",
        &[&fixed[..], &features, &extra[..]].concat(),
        &environment,
    )
}
