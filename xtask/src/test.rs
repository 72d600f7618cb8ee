//! Every test of the workspace, with nextest where it is installed.

use std::path::Path;

use anyhow::Context as _;

use crate::{call, call_with, has, kafka, needs, postgres, rabbitmq};

/// What is tested and not in a build by default.
pub(crate) const FEATURES: [&str; 2] = ["--features", "lingqian/rabbitmq-tls,lingqian/sftp"];
/// The same with what takes its time to build.
const ALL_FEATURES: [&str; 2] = [
    "--features",
    "lingqian/rabbitmq-tls,lingqian/kafka-tls,lingqian/sftp",
];

/// Servers beside the tests, each unless the environment names one already. They end with this.
#[derive(Default)]
struct Servers {
    postgres: Option<postgres::Server>,
    nodes: Vec<rabbitmq::Nodes>,
    kafka: Vec<kafka::Server>,
    environment: Vec<(&'static str, String)>,
}

impl Servers {
    fn start(root: &Path, brokers: bool) -> anyhow::Result<Servers> {
        let absent = |name: &str| std::env::var_os(name).is_none();
        let mut all = Servers::default();
        if absent(postgres::VARIABLE) {
            let server = postgres::Server::start()?;
            all.environment
                .push((postgres::VARIABLE, server.url.clone()));
            all.postgres = Some(server);
        }
        if absent(rabbitmq::VARIABLE) {
            let node = rabbitmq::Nodes::start(1)?;
            all.environment.push((rabbitmq::VARIABLE, node.urls()));
            if let Some((address, authority)) = node.tls() {
                all.environment.push((rabbitmq::TLS, address));
                all.environment.push((rabbitmq::AUTHORITY, authority));
            }
            all.nodes.push(node);
        }
        if !brokers {
            return Ok(all);
        }
        if absent(rabbitmq::CLUSTER) {
            let cluster = rabbitmq::Nodes::start(3)?;
            // Another than the first, which clients ask first, would be too easy.
            let machine = cluster.machine(0).context("there is no Erlang machine")?;
            all.environment.push((rabbitmq::MACHINE, machine));
            all.environment.push((rabbitmq::CLUSTER, cluster.urls()));
            all.nodes.push(cluster);
        }
        let kinds = [
            (kafka::VARIABLE, kafka::Kind::Noida),
            (kafka::COOPERATIVE, kafka::Kind::Tansu),
        ];
        for (variable, kind) in kinds.into_iter().filter(|(name, _)| absent(name)) {
            let server = kafka::Server::start(root, kind)?;
            all.environment.push((variable, server.address.clone()));
            all.kafka.push(server);
        }
        if absent(kafka::SECURED) {
            let server = kafka::Server::start_secured(root)?;
            let authority = server.authority();
            all.environment.push((kafka::AUTHORITY, authority));
            let address = server.address.clone();
            all.environment.push((kafka::SECURED, address));
            all.kafka.push(server);
        }
        Ok(all)
    }
}

/// Runs the documents' examples first, so that the runner's summary ends the output. PostgreSQL
/// and RabbitMQ run beside the tests; with `brokers` a cluster and servers that speak Kafka do, too.
pub(crate) fn run(root: &Path, brokers: bool, arguments: &[String]) -> anyhow::Result<()> {
    if brokers {
        needs::brokers(root)?;
    } else {
        needs::ensure(root)?;
    }
    let features = if brokers { ALL_FEATURES } else { FEATURES };
    let servers = Servers::start(root, brokers)?;
    let environment = servers.environment.iter();
    let environment: Vec<(&str, &str)> = environment
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let extra: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if !has("cargo", "nextest") && !has("cargo-nextest", "--version") {
        let whole = ["test", "--workspace", "--locked"];
        let whole = [&whole[..], &features[..], &extra[..]].concat();
        return call_with(root, "cargo", &whole, &environment);
    }
    let profile = if std::env::var_os("CI").is_some() {
        "ci"
    } else {
        "default"
    };
    let examples = ["test", "--workspace", "--locked", "--doc", "--quiet"];
    call(root, "cargo", &[&examples[..], &features[..]].concat())?;
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
        &[&fixed[..], &features[..], &extra[..]].concat(),
        &environment,
    )
}
