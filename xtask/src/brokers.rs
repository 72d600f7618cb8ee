//! Brokers into the books, measured: each broker alone and with the books behind it, and a cluster
//! that loses a node under the load.

use std::path::Path;

use anyhow::Context as _;

use crate::{call, call_with, kafka, needs, rabbitmq};

/// The program that measures.
const PROGRAM: &str = "target/release/lingqian";

/// Builds the program and measures everything, one after the other.
pub(crate) fn run(root: &Path, events: u64) -> anyhow::Result<()> {
    needs::brokers(root)?;
    let build = [
        "build",
        "--release",
        "--locked",
        "-p",
        "lingqian",
        "--features",
        "brokers",
    ];
    call(root, "cargo", &build)?;
    let events = events.to_string();
    let bench = ["bench", "brokers", "--events", &events];
    {
        let server = kafka::Server::start(root, kafka::Kind::Noida)?;
        call(
            root,
            PROGRAM,
            &[&bench[..], &["--kafka", &server.address]].concat(),
        )?;
    }
    {
        let node = rabbitmq::Nodes::start(1)?;
        let urls = node.urls();
        for kind in ["quorum", "classic"] {
            let what = ["--rabbitmq", &urls, "--queue-type", kind];
            call(root, PROGRAM, &[&bench[..], &what].concat())?;
        }
    }
    let cluster = rabbitmq::Nodes::start(3)?;
    let urls = cluster.urls();
    // Another than the first, which clients ask first, would be too easy.
    let machine = cluster.machine(0).context("there is no Erlang machine")?;
    let what = ["--kill", &machine, "--rabbitmq", &urls];
    call_with(root, PROGRAM, &[&bench[..], &what].concat(), &[])
}
